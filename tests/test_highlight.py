"""Pieces of source: coloured, and never other text than the line's."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devserver.highlight import Ink, Piece, highlighted


def inks(rows: Sequence[Sequence[Piece]]) -> list[list[tuple[str, str]]]:
    return [[(piece.ink.value, piece.text) for piece in row if piece.ink] for row in rows]


def test_python() -> None:
    rows = highlighted(["@cached", "def f(x):", '    return "a" + str(12)  # why'], "views.py")
    assert inks(rows) == [
        [("name", "@cached")],
        [("keyword", "def"), ("name", "f")],
        [("keyword", "return"), ("string", '"a"'), ("number", "12"), ("comment", "# why")],
    ]


def test_lines_that_begin_within_a_string() -> None:
    rows = highlighted(["  import nothing", '  """', "import os"], "views.py", '"""')
    assert inks(rows) == [[("string", "  import nothing")], [("string", '  """')], [("keyword", "import")]]


def test_templates() -> None:
    rows = highlighted(["<p>{% if x %}"], "index.html")
    assert ("keyword", "if") in inks(rows)[0]


def test_without_pygments_lines_are_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygments.lexers.python", None)
    assert highlighted(["def f(): pass", ""], "views.py") == ((Piece(Ink.PLAIN, "def f(): pass"),), ())


LINES = st.lists(st.text(st.sampled_from(list("ab \t\"'#\\(){}:\r\f\u2028é1")), max_size=20), max_size=6)


@given(LINES, st.sampled_from(["", '"""', "'''"]), st.sampled_from(["a.py", "a.html", "a"]))
def test_the_text_of_a_line_is_never_changed(lines: list[str], within: str, path: str) -> None:
    rows = highlighted(lines, path, within)
    assert ["".join(piece.text for piece in row) for row in rows] == lines
