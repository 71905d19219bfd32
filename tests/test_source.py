"""Whose code, which lines, which columns."""

from __future__ import annotations

import json
import linecache
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import devserver
from devserver import source
from devserver.source import UserCode, character_column, display_path, excerpt, open_quotes, package_of, read_lines


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ("views.py", True),
        ("pkg/sub/views.py", True),
        (".venv/lib/python3.11/site-packages/django/views.py", False),
        ("vendored/dist-packages/x.py", False),
        ("../elsewhere/views.py", False),
        ("../project-two/views.py", False),  # shares a prefix with the root
    ],
)
def test_user_code_is_below_a_root_and_not_installed(tmp_path: Path, inside: str, expected: bool) -> None:
    root = tmp_path / "project"
    assert (str(root / inside) in UserCode([str(root)])) is expected


@pytest.mark.parametrize("path", [json.__file__, devserver.__file__, "<string>", "<frozen importlib._bootstrap>", 3])
def test_standard_library_ourselves_and_made_up_names_are_never_the_users(path: object) -> None:
    assert path not in UserCode(["/"])


def test_a_relative_path_is_the_users_if_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "script.py").touch()
    assert "script.py" in UserCode([str(tmp_path)])
    assert "pandas/_libs/index.pyx" not in UserCode([str(tmp_path)])  # what an extension says of itself


def test_a_root_that_is_a_link_holds_both_spellings(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    link = tmp_path / "link"
    link.symlink_to(real)
    assert str(real / "a.py") in UserCode([str(link)])
    assert str(link / "a.py") in UserCode([str(link)])


def test_display_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert display_path(str(tmp_path / "polls" / "views.py")) == "polls/views.py"
    assert display_path("/x/lib/python3.11/site-packages/django/urls.py") == "django/urls.py"
    assert display_path(json.__file__) == "json/__init__.py"
    assert display_path("/app/views.py", ["/app"]) == "views.py"
    assert display_path("/elsewhere/views.py", ["/app"]) == "/elsewhere/views.py"
    assert display_path("<string>") == "<string>"


def test_display_path_survives_a_removed_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert display_path("/app/views.py", ["/app"]) == "views.py"


@pytest.mark.parametrize(
    ("shown", "package"),
    [("django/urls.py", "django"), ("random.py", "random"), ("/x/y/tool.py", "tool"), ("<string>", "<string>")],
)
def test_package_of(shown: str, package: str) -> None:
    assert package_of(shown) == package


def test_lines_are_those_of_now(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("one\ntwo\n")
    assert read_lines(str(file)) == ["one", "two"]
    file.write_text("a line more\none\ntwo\n")
    os.utime(file, ns=(1, 1))
    assert read_lines(str(file)) == ["a line more", "one", "two"]


def test_what_was_compiled_from_a_string_is_not_the_text_of_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """From 3.13 on `python -c` leaves its text there."""
    monkeypatch.setitem(linecache.cache, "<string>", (5, None, ["pass\n"], "<string>"))
    assert read_lines("<string>") == []


def test_lines_of_what_cannot_be_decoded_or_read(tmp_path: Path) -> None:
    file = tmp_path / "latin.py"
    file.write_bytes(b"x = 1\ny = '\xe9'\n")
    assert read_lines(str(file)) == ["x = 1", "y = '\ufffd'"]
    assert read_lines(str(tmp_path)) == []
    assert read_lines(str(tmp_path / "none.py")) == []
    assert read_lines("a\0b") == []


def test_lines_of_a_module_come_from_its_loader() -> None:
    class Loader:
        def get_source(self, name: str) -> str:
            return f"# {name}\n"

    module_globals = {"__name__": "made_up", "__loader__": Loader()}
    assert read_lines("<made up for this test>", module_globals) == []  # a name in brackets has no file
    assert read_lines("made_up_for_this_test.py", module_globals) == ["# made_up"]


def test_excerpt() -> None:
    lines = ["", "", *(f"line {number}" for number in range(3, 31))]
    assert [line.number for line in excerpt(lines, 10)] == list(range(5, 16))
    assert [line.number for line in excerpt(lines, 3)] == list(range(3, 9))  # no blank lines at the edge
    assert [line.number for line in excerpt(lines, 30)] == list(range(25, 31))
    assert [line.number for line in excerpt(lines, 10, 12)] == list(range(5, 18))
    assert len(excerpt(lines, 10, 30)) == 1 + 3 * source.CONTEXT_LINES
    assert excerpt(lines, 0) == excerpt(lines, 31) == ()
    assert excerpt(["", "x", ""], 1)[0].number == 1  # the line that counts is never left out
    assert len(excerpt(["x" * 10_000], 1)[0].text) == source.MAX_LINE


@pytest.mark.parametrize(
    ("text", "line", "quotes"),
    [
        ('def f():\n    """one\n    two\n    """\n    x', 3, '"""'),
        ('def f():\n    """one\n    two\n    """\n    x', 5, ""),
        ("a = '''x\ny", 2, "'''"),
        ("a = '''x \\''' y\nz", 2, "'''"),
        ("a = 'it'; b = \"'''\"\nc", 2, ""),
        ("# it's a comment with '''\nc", 2, ""),
        ("a = ''''''\nb", 2, ""),
        ("a = 'unterminated\nb = '''x\ny", 3, "'''"),
        ("x", 1, ""),
    ],
)
def test_open_quotes(text: str, line: int, quotes: str) -> None:
    assert open_quotes(text.split("\n"), line) == quotes


@given(st.text(st.characters(codec="utf-8")), st.data())
def test_character_column_is_the_inverse_of_encoding(text: str, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(text)))
    assert character_column(text, len(text[:index].encode())) == index


def test_character_column_beyond_the_line_is_unknown() -> None:
    assert character_column("abc", 4) is None
    assert character_column("abc", -1) is None
    assert character_column("abc", None) is None
