"""What the terminal shows, character by character."""

from __future__ import annotations

import re
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devserver import terminal
from devserver.errors import DevServerError
from devserver.record import replace
from devserver.terminal import (
    PLAIN,
    Banner,
    Style,
    banner,
    change_line,
    duration,
    error_text,
    escape_control,
    is_remote,
    notice_line,
    refresh_line,
    request_line,
    shows_links,
    size,
    warning_line,
)

COLOR = Style(color=True)


def without_color(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "_CLOCK", (-1, ""))
    monkeypatch.setattr(time, "localtime", time.gmtime)


# --- escaping ---


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain é 日本", "plain é 日本"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("a\nb\r\tc\x00\x7f", "a\\nb\\r\\tc\\x00\\x7f"),
        ("\x9b31m", "\\x9b31m"),  # CSI of the C1 set
        ("\u202egnp.exe", "\\u202egnp.exe"),  # right-to-left override
        ("\u2028", "\\u2028"),
        ("caf\udce9", "caf\\xe9"),  # an undecodable byte of a file name
        ("\ud800", "\\ud800"),
        ("\U000e0001", "\\U000e0001"),
    ],
)
def test_escape_control(text: str, escaped: str) -> None:
    assert escape_control(text) == escaped


def test_escape_control_keeps_what_it_is_told_to() -> None:
    assert escape_control("a\n\tb", keep="\n") == "a\n\\tb"


@given(st.text(st.characters()))
def test_what_is_escaped_is_printable(text: str) -> None:
    assert escape_control(text).isprintable()


# --- the lines of a session ---

FACTS = Banner(
    version="0.1.0",
    target="mysite.wsgi:application",
    app="Django",
    urls=("http://127.0.0.1:8000/",),
    network_urls=("http://192.168.1.20:8000/",),
    reason="WSGI_APPLICATION of mysite/settings.py",
    modules=214,
    load_ms=310.4,
    keys=True,
)


def test_banner() -> None:
    assert banner(FACTS) == (
        "devserver 0.1.0  mysite.wsgi:application  Django  (WSGI_APPLICATION of mysite/settings.py)\n"
        "\n"
        "  http://127.0.0.1:8000/\n"
        "  http://192.168.1.20:8000/  from other machines\n"
        "\n"
        "  loaded 214 modules, 310 ms; a saved change restarts it\n"
        "  for development only, not for production\n"
        "  r + Enter restarts, Ctrl-C ends"
    )
    assert without_color(banner(FACTS, COLOR)) == banner(FACTS)


def test_who_knows_that_it_is_for_development_need_not_be_told() -> None:
    lines = banner(FACTS).splitlines()
    assert banner(replace(FACTS, warns=False)).splitlines() == [
        line for line in lines if "not for production" not in line
    ]


def test_banner_of_the_little_that_is_known() -> None:
    facts = Banner(version="0.1.0", target="site\x1b[2J", app="folder", urls=("http://[::1]:80/",), reload=False)
    assert banner(facts).splitlines() == [
        "devserver 0.1.0  site\\x1b[2J  folder",
        "",
        "  http://[::1]:80/",
        "",
        "  for development only, not for production",
    ]


def test_banner_before_a_first_load_that_went_well() -> None:
    facts = Banner(version="0.1.0", target="app:app", app="", urls=("http://[::1]:80/",), is_loaded=False)
    assert banner(facts).splitlines() == [
        "devserver 0.1.0  app:app",
        "",
        "  http://[::1]:80/",
        "",
        "  not loaded yet: the page tells why; a saved change loads it again",
        "  for development only, not for production",
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            change_line(["views.py"], "restarted", modules=214, elapsed_ms=310),
            "views.py changed: restarted, 214 modules, 310 ms",
        ),
        (
            change_line(["views.py", "a", "b", "c"], "restarted", modules=1, elapsed_ms=1240),
            "views.py and 3 more changed: restarted, 1 module, 1.24 s",
        ),
        (
            change_line(["views.py"], "restarted", elapsed_ms=31, fixed=True),
            "views.py changed: error fixed, restarted, 31 ms",
        ),
        (
            change_line(["views.py"], "resumed before it", modules=214, ran=3, elapsed_ms=31),
            "views.py changed: resumed before it, 3 of 214 modules ran again, 31 ms",
        ),
        (change_line(["new.py"], "restarted", event="added"), "new.py added: restarted"),
        (
            change_line(["a.py"], "restarted", reason="threads started in app/tasks.py"),
            "a.py changed: restarted (threads started in app/tasks.py)",
        ),
        (change_line(["a\nb.py"], "failed to load"), "a\\nb.py changed: failed to load"),
        (refresh_line(["site.css"], browsers=2), "site.css changed: refreshed 2 browser tabs"),
        (refresh_line(["site.css"], browsers=1), "site.css changed: refreshed 1 browser tab"),
        (refresh_line(["site.css"]), "site.css changed: refreshed"),
        (notice_line("two\nlines"), "devserver: two\n  lines"),
        (warning_line("watch\x07 out"), "devserver: warning: watch\\x07 out"),
    ],
)
def test_lines(line: str, expected: str) -> None:
    assert line == expected


def test_errors() -> None:
    error = DevServerError("port 8000 is in use by python (pid 4121)", hint="stop it, or run  devserver run --port 0")
    assert error_text(error) == (
        "devserver: port 8000 is in use by python (pid 4121)\n  hint: stop it, or run  devserver run --port 0"
    )
    assert error_text(DevServerError("no")) == "devserver: no"
    assert without_color(error_text(error, COLOR)) == error_text(error)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0.0 ms"),
        (0.44, "0.4 ms"),
        (0.949, "0.9 ms"),
        (0.95, "1 ms"),
        (999.4, "999 ms"),
        (999.6, "1.00 s"),
        (9_994, "9.99 s"),
        (9_996, "10.0 s"),
        (59_940, "59.9 s"),
        (59_960, "1 min 0 s"),
        (125_000, "2 min 5 s"),
    ],
)
def test_duration(milliseconds: float, text: str) -> None:
    assert duration(milliseconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (999_950_000, "1.0 GB"),
        (5 * 10**12, "5000.0 GB"),
    ],
)
def test_size(count: int, text: str) -> None:
    assert size(count) == text


# --- requests ---

NOON = 12 * 3600 + 115.9


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (request_line(NOON, "GET", "/path?x", 200, 1234, 0.003), "12:01:55  GET /path?x  200  1.2 kB  3 ms"),
        (request_line(NOON, "WS", "/chat", 101, 0, 0.0004), "12:01:55  WS /chat  101  0 B  0.4 ms"),
        (request_line(NOON, "GET", "/slow", 0, 0, 12.0), "12:01:55  GET /slow  ---  0 B  12.0 s"),
        (request_line(NOON, "GET", "/odd", 777, 5, 0.5), "12:01:55  GET /odd  777  5 B  500 ms"),
        (
            request_line(NOON, "G\x1b", "/\x1b[2J\r\nfaked  200", 404, 9, 0.001),
            "12:01:55  G\\x1b /\\x1b[2J\\r\\nfaked  200  404  9 B  1 ms",
        ),
    ],
)
def test_request_lines(line: str, expected: str) -> None:
    assert line.partition("  ")[2] == expected.partition("  ")[2]  # the clock has a test of its own


@pytest.mark.usefixtures("utc")
def test_the_clock_of_request_lines_moves_on() -> None:
    lines = [request_line(at, "GET", "/", 200, 0, 0) for at in (NOON, NOON + 0.05, NOON + 0.1, NOON - 1, 86_399)]
    assert [line[:8] for line in lines] == ["12:01:55", "12:01:55", "12:01:56", "12:01:54", "23:59:59"]


@pytest.mark.parametrize(
    ("status", "code"), [(101, "36"), (200, "32"), (302, "36"), (404, "33"), (500, "1;31"), (503, "1;31")]
)
def test_request_lines_in_color(status: int, code: str) -> None:
    line = request_line(NOON, "GET", "/", status, 10, 0.001, COLOR)
    assert f"\x1b[{code}m{status}\x1b[0m" in line
    assert without_color(line) == request_line(NOON, "GET", "/", status, 10, 0.001)


@given(st.text(), st.text(), st.integers(0, 999), st.integers(0, 10**15), st.floats(0, 10**6))
def test_a_request_is_one_printable_line(method: str, path: str, status: int, amount: int, seconds: float) -> None:
    assert request_line(NOON, method, path, status, amount, seconds).isprintable()


def test_links() -> None:
    style = Style(links=True)
    assert style.link("a b.py:3", "/x/a b.py") == "\x1b]8;;file:///x/a%20b.py\x1b\\a b.py:3\x1b]8;;\x1b\\"
    assert style.link("x", "<string>") == "x"
    assert style.link("x", "/caf\udce9.py").startswith("\x1b]8;;file:///caf%E9.py")
    assert PLAIN.link("x", "/x.py") == "x"
    assert style.link("x", "/a#b?c%d;e\x1b.py").startswith("\x1b]8;;file:///a%23b%3Fc%25d%3Be%1B.py\x1b\\")
    assert Style(links=True, link_host="büro").link("x", "/x.py").startswith("\x1b]8;;file://b%C3%BCro/x.py\x1b\\")


@pytest.mark.parametrize(
    ("environ", "shown"),
    [
        ({}, False),
        ({"TERM": "dumb", "WT_SESSION": "1"}, False),
        ({"TERM": "linux"}, False),
        ({"TERM": "xterm-256color"}, False),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7600"}, True),
        ({"TERM": "xterm-256color", "VTE_VERSION": "5000"}, False),
        ({"TERM": "xterm-256color", "VTE_VERSION": "new"}, False),
        ({"TERM": "xterm-256color", "KONSOLE_VERSION": "230800"}, True),
        ({"TERM": "xterm-256color", "KONSOLE_VERSION": "190000"}, False),
        ({"TERM": "xterm-256color", "WT_SESSION": "a-b"}, True),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, True),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"}, False),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "vscode"}, False),
        ({"TERM": "xterm-256color", "TERMINAL_EMULATOR": "JetBrains-JediTerm", "VTE_VERSION": "7600"}, False),
        ({"TERM": "xterm-kitty"}, True),
        ({"TERM": "foot-extra"}, True),
        ({"TERM": "alacritty", "INSIDE_EMACS": "29.1,comint"}, False),
        ({"TERM": "screen.xterm-256color", "VTE_VERSION": "7600"}, False),
        ({"TERM": "tmux-256color", "TMUX": "x", "TERM_PROGRAM": "tmux", "TERM_PROGRAM_VERSION": "3.4"}, True),
        ({"TERM": "tmux-256color", "TMUX": "x", "TERM_PROGRAM": "tmux", "TERM_PROGRAM_VERSION": "next-3.5"}, True),
        ({"TERM": "screen", "TMUX": "x", "TERM_PROGRAM": "tmux", "TERM_PROGRAM_VERSION": "3.3a"}, False),
        ({"TERM": "screen", "TMUX": "x", "VTE_VERSION": "7600"}, False),
        ({"TERM": "xterm", "FORCE_HYPERLINK": "1"}, True),
        ({"TERM": "xterm-kitty", "FORCE_HYPERLINK": "0"}, False),
    ],
)
def test_which_terminals_show_links(environ: dict[str, str], shown: bool) -> None:
    assert shows_links(environ) is shown


def test_the_machine_is_named_where_the_terminal_is_elsewhere() -> None:
    assert is_remote({"SSH_CONNECTION": "10.0.0.1 5 10.0.0.2 22"})
    assert not is_remote({})


def test_request_lines_need_no_pygments() -> None:
    """A fresh interpreter: others may have imported it here."""
    code = "import sys, devserver.terminal; print([m for m in ('pygments', 'click') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
