"""Source lines → coloured pieces, for every rendering alike.

Runs in whichever process renders a Report. Rules that hold: Pygments is imported with the first error, not before; without
it, or for a language it does not know, each line is one piece without a colour; line numbers never shift: the pieces
of a line, joined, are its text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Protocol

from devserver.record import Record

_TEMPLATES = (".html", ".htm", ".djhtml", ".jinja", ".jinja2", ".j2", ".txt", ".xml")


class Ink(StrEnum):
    """What a piece of source is, as far as it gets a colour of its own."""

    PLAIN = ""
    KEYWORD = "keyword"
    STRING = "string"
    NUMBER = "number"
    COMMENT = "comment"
    NAME = "name"  # of what is being defined, and decorators


class Lexer(Protocol):
    """As much of Pygments as is used here."""

    def get_tokens(self, text: str) -> Iterable[tuple[object, str]]: ...


class Piece(Record):
    ink: Ink
    text: str


def highlighted(lines: Sequence[str], path: str, within: str = "") -> tuple[tuple[Piece, ...], ...]:
    """The pieces of each of `lines`, which begin in a string opened by the quotes `within`, if any."""
    plain = tuple((Piece(Ink.PLAIN, line),) if line else () for line in lines)
    try:
        coloured = _coloured(lines, path, within)
    except Exception:  # Pygments is imported from the user's sys.path: it may be missing, or not be Pygments
        return plain
    # a lexer that loses or joins lines would show the wrong code
    return tuple(
        pieces if "".join(piece.text for piece in pieces) == line else fallback
        for line, pieces, fallback in zip(lines, coloured, plain, strict=True)
    )


def _coloured(lines: Sequence[str], path: str, within: str) -> list[tuple[Piece, ...]]:
    prelude = within + "\n" if within else ""
    rows: list[list[Piece]] = [[]]
    for token, text in _lexer(path).get_tokens(prelude + "\n".join(lines)):
        ink = _ink(str(token))
        for index, part in enumerate(text.split("\n")):
            if index:
                rows.append([])
            if part:
                rows[-1].append(Piece(ink, part))
    first = 1 if within else 0
    rows += [[] for _ in range(first + len(lines) - len(rows))]
    return [_joined(row) for row in rows[first : first + len(lines)]]


def _lexer(path: str) -> Lexer:
    if path.endswith(_TEMPLATES):
        from pygments.lexers.templates import HtmlDjangoLexer  # type: ignore[import-untyped]

        html: Lexer = HtmlDjangoLexer(stripnl=False, ensurenl=False)
        return html
    from pygments.lexers.python import PythonLexer  # type: ignore[import-untyped]

    python: Lexer = PythonLexer(stripnl=False, ensurenl=False)
    return python


def _ink(token: str) -> Ink:
    """Pygments' token types are dotted names: `Token.Literal.String.Doc`."""
    token = token.removeprefix("Token.")
    if token.startswith("Keyword") or token == "Operator.Word":
        return Ink.KEYWORD
    if token.startswith("Literal.String") and token != "Literal.String.Interpol":
        return Ink.STRING
    if token.startswith("Literal.Number"):
        return Ink.NUMBER
    if token.startswith("Comment"):
        return Ink.COMMENT
    if token in {"Name.Class", "Name.Function", "Name.Function.Magic", "Name.Decorator", "Name.Tag"}:
        return Ink.NAME
    return Ink.PLAIN


def _joined(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """Neighbours of one ink as one piece."""
    joined: list[Piece] = []
    for piece in pieces:
        if joined and joined[-1].ink is piece.ink:
            joined[-1] = Piece(piece.ink, joined[-1].text + piece.text)
        else:
            joined.append(piece)
    return tuple(joined)
