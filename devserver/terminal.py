"""What the terminal shows, as text: banner, change lines, request lines, errors and notices.

Pure: data in, text out, no terminal is touched; runs in the supervisor and, for request lines, in the server. Rules that hold:
no escape sequence when `Style.color` is false and `Style.links` is false; no control character of anyone else's comes
through (`escape_control`); colour is never the only carrier of a meaning; nothing here imports Pygments, for a request line must
cost microseconds. Reports are rendered by `terminal_report.py`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from urllib.parse import quote

from devserver.errors import DevServerError
from devserver.record import Record


class Paint(StrEnum):
    """The palette: the terminal's own colours, which its theme makes readable on its background."""

    STRONG = "1"
    FAINT = "2"
    ERROR = "31"
    ERROR_STRONG = "1;31"
    GOOD = "32"
    WARNING = "33"
    LINK = "36"
    ACCENT = "35"


class Style(Record):
    """What the reader's terminal can do."""

    color: bool = False
    width: int = 80  # columns
    links: bool = False  # OSC 8 hyperlinks
    link_host: str = ""  # whose files they are, if the terminal runs on another machine

    def paint(self, text: str, paint: Paint) -> str:
        return f"\x1b[{paint.value}m{text}\x1b[0m" if self.color and text else text

    def link(self, text: str, path: str) -> str:
        """`text`, which opens the file at `path` where the terminal knows how."""
        if not self.links or not path.startswith("/"):
            return text
        return f"\x1b]8;;file://{quote(self.link_host + path, errors='surrogateescape')}\x1b\\{text}\x1b]8;;\x1b\\"


PLAIN = Style()


class Banner(Record):
    """What is known when the first server is ready."""

    version: str
    target: str  # its label
    app: str  # what it is: "Django", "ASGI app"
    urls: tuple[str, ...]  # with the true host and port, the one for this machine first
    network_urls: tuple[str, ...] = ()  # for other machines
    reason: str = ""  # why the target was chosen, when the user did not say
    modules: int | None = None  # how many of the user's were loaded
    load_ms: float | None = None
    reload: bool = True
    keys: bool = False  # a person is at the keyboard
    is_loaded: bool = True  # False: a page tells why it is not
    warns: bool = True  # that this is no server for production


# --- what a terminal can ---

_LINKING_PROGRAMS = frozenset(
    {"ghostty", "Hyper", "iTerm.app", "mintty", "rio", "Tabby", "WarpTerminal", "WezTerm", "zed"}
)
_LINKING_TERMS = ("alacritty", "contour", "foot", "wezterm", "xterm-ghostty", "xterm-kitty")


def shows_links(environ: Mapping[str, str]) -> bool:
    """Whether the terminal is known to show OSC 8 hyperlinks. What others make of them nobody knows: some print them.

    VS Code and PyCharm are left out: they find `views.py:12` in the text by themselves, and open it at its line; a link to a file
    has no line.
    """
    if forced := environ.get("FORCE_HYPERLINK"):
        return forced != "0"
    term, program = environ.get("TERM", ""), environ.get("TERM_PROGRAM", "")
    if term in ("", "dumb", "linux") or "INSIDE_EMACS" in environ:
        return False
    if "TMUX" in environ:  # what is said of the terminal around it may be out of date
        return program == "tmux" and _version(environ.get("TERM_PROGRAM_VERSION", "")) >= (3, 4)
    if term.startswith("screen") or program == "vscode" or "JetBrains" in environ.get("TERMINAL_EMULATOR", ""):
        return False
    return (
        program in _LINKING_PROGRAMS
        or term.startswith(_LINKING_TERMS)
        or "WT_SESSION" in environ
        or _number(environ.get("VTE_VERSION", "")) > 5000  # 0.50.0 dies of a link
        or _number(environ.get("KONSOLE_VERSION", "")) >= 201200
    )


def is_remote(environ: Mapping[str, str]) -> bool:
    """Whether the terminal shows another machine's session: a path alone would be one of its own."""
    return bool(environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"))


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text))


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


# --- escaping ---


def escape_control(text: str, *, keep: str = "") -> str:
    """`text` with every character that is not printable as an escape (`\\x1b`, `\\u202e`), except those in `keep`."""
    if text.isprintable():
        return text
    return "".join(char if char in keep or char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    """As Python writes it, so that it can be found in the source. A lone surrogate is an undecodable byte."""
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii") if code < 0xD800 or code > 0xDFFF else f"\\u{code:04x}"


# --- the lines of a session ---


def banner(facts: Banner, style: Style = PLAIN) -> str:
    """The first thing that is printed, once the first server is ready. Several lines, without the last line end."""
    paint = style.paint
    what = escape_control(facts.target)
    if facts.app:
        what += f"  {paint(escape_control(facts.app), Paint.FAINT)}"
    if facts.reason:
        what += paint(f"  ({escape_control(facts.reason)})", Paint.FAINT)
    loaded = ", ".join(_loaded(facts.modules, facts.load_ms))
    lines = [
        f"{paint('devserver', Paint.STRONG)} {paint(facts.version, Paint.FAINT)}  {what}",
        "",
        *(f"  {paint(url, Paint.LINK)}" for url in facts.urls),
        *(f"  {paint(url, Paint.LINK)}  {paint('from other machines', Paint.FAINT)}" for url in facts.network_urls),
        "",
    ]
    if loaded:
        lines.append(f"  loaded {loaded}" + ("; a saved change restarts it" if facts.reload else ""))
    if not facts.is_loaded:
        then = "; a saved change loads it again" if facts.reload else ""
        lines.append(f"  {paint('not loaded yet:', Paint.WARNING)} the page tells why{then}")
    if facts.warns:
        lines.append(f"  {paint('for development only, not for production', Paint.FAINT)}")
    keys = ["r + Enter restarts"] if facts.reload else []
    if facts.keys:
        lines.append(f"  {paint(', '.join([*keys, 'Ctrl-C ends']), Paint.FAINT)}")
    return "\n".join(lines)


def change_line(
    names: Sequence[str],
    outcome: str,
    style: Style = PLAIN,
    *,
    event: str = "changed",
    modules: int | None = None,
    ran: int | None = None,
    elapsed_ms: float | None = None,
    fixed: bool = False,
    reason: str = "",
) -> str:
    """What a change led to: `views.py changed: restarted, 214 modules, 310 ms`.

    `names` are display paths, the most telling first; `outcome` is a participle (restarted, refreshed, failed to load);
    `ran` how many of the modules ran again, if not all; `fixed` says that the error shown before is gone; `reason` why
    no less was possible.
    """
    first = escape_control(names[0]) if names else "something"
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    results = [style.paint("error fixed", Paint.GOOD)] if fixed else []
    results += [outcome, *_loaded(modules, elapsed_ms, ran)]
    line = f"{style.paint(first + more, Paint.STRONG)} {event}: {', '.join(results)}"
    return line + (style.paint(f" ({escape_control(reason)})", Paint.FAINT) if reason else "")


def refresh_line(names: Sequence[str], style: Style = PLAIN, *, browsers: int | None = None) -> str:
    """A change that ended no process: `site.css changed: refreshed 2 browser tabs`."""
    whom = "" if browsers is None else f" {browsers} browser tab{'' if browsers == 1 else 's'}"
    return change_line(names, f"refreshed{whom}", style)


def error_text(error: DevServerError, style: Style = PLAIN) -> str:
    """Message and hint of an error of the command or its surroundings."""
    text = f"{style.paint('devserver:', Paint.ERROR_STRONG)} {_indented(error.message, '  ')}"
    return text if error.hint is None else f"{text}\n{hint_text(error.hint, style)}"


def hint_text(hint: str, style: Style = PLAIN) -> str:
    """The next step, indented below what it belongs to."""
    return f"  {style.paint('hint:', Paint.LINK)} {_indented(hint, '    ')}"


def notice_line(text: str, style: Style = PLAIN) -> str:
    return f"{style.paint('devserver:', Paint.FAINT)} {_indented(text, '  ')}"


def warning_line(text: str, style: Style = PLAIN) -> str:
    return f"{style.paint('devserver: warning:', Paint.WARNING)} {_indented(text, '  ')}"


def duration(milliseconds: float) -> str:
    """A length of time for people: `0.4 ms`, `3 ms`, `1.24 s`, `2 min 5 s`."""
    if milliseconds < 0.95:
        return f"{milliseconds:.1f} ms"
    if milliseconds < 999.5:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    if seconds < 59.95:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def size(count: int) -> str:
    """A number of bytes for people: `17 B`, `1.2 kB`, `3.4 MB` (powers of 1000)."""
    if count < 1000:
        return f"{count} B"
    if count < 999_950:
        return f"{count / 1e3:.1f} kB"
    if count < 999_950_000:
        return f"{count / 1e6:.1f} MB"
    return f"{count / 1e9:.1f} GB"


# --- requests ---

_STATUS_PAINT = {1: Paint.LINK, 2: Paint.GOOD, 3: Paint.LINK, 4: Paint.WARNING, 5: Paint.ERROR_STRONG}
_PLAIN_STATUS = {status: str(status) for status in range(100, 600)}
_PAINTED_STATUS = {status: f"\x1b[{_STATUS_PAINT[status // 100].value}m{status}\x1b[0m" for status in range(100, 600)}
# Taken before the app is loaded: Django sets the time zone of the whole process to its own (time.tzset).
_UTC_OFFSET_S: int = time.localtime().tm_gmtoff
_CLOCK: tuple[int, str] = (-1, "")
"""The second that was formatted last: strftime costs more than the rest of a line. One tuple, so that threads see a pair."""


def request_line(
    time_s: float, method: str, path: str, status: int, size_bytes: int, duration_s: float, style: Style = PLAIN
) -> str:
    """One answered request: `12:01:55  GET /path?x  200  1.2 kB  3 ms`.

    `time_s` is seconds since the epoch, shown in local time; `status` 0 means that the client left before an answer.
    `method` and `path` are untrusted and are escaped. Made for the hot path: a microsecond or two.
    """
    global _CLOCK
    second = int(time_s)
    last, clock = _CLOCK
    if last != second:
        clock = time.strftime("%H:%M:%S", time.gmtime(second + _UTC_OFFSET_S))
        _CLOCK = (second, clock)
    if not path.isprintable():
        path = escape_control(path)
    if not method.isprintable():
        method = escape_control(method)
    if not status:
        shown = "---"
    else:
        shown = (_PAINTED_STATUS if style.color else _PLAIN_STATUS).get(status) or str(status)
    amount = f"{size_bytes} B" if size_bytes < 1000 else size(size_bytes)
    milliseconds = duration_s * 1000
    taken = f"{milliseconds:.0f} ms" if 0.95 <= milliseconds < 999.5 else duration(milliseconds)
    if style.color:
        return f"\x1b[2m{clock}\x1b[0m  {method} {path}  {shown}  \x1b[2m{amount}  {taken}\x1b[0m"
    return f"{clock}  {method} {path}  {shown}  {amount}  {taken}"


def _loaded(modules: int | None, elapsed_ms: float | None, ran: int | None = None) -> list[str]:
    counted = [] if modules is None else [f"{modules} module{'' if modules == 1 else 's'}"]
    if counted and ran is not None:
        counted = [f"{ran} of {counted[0]} ran again"]
    return counted if elapsed_ms is None else [*counted, duration(elapsed_ms)]


def _indented(text: str, indent: str) -> str:
    return f"\n{indent}".join(escape_control(line) for line in text.splitlines())
