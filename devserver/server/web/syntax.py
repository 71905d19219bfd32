"""Where a SyntaxError is: the lines of its source, and its range in characters.

Pure but for reading the source; runs in the server process. CPython's own numbers need care: the parser counts bytes up to 3.12
when it was given bytes (as imports do) and characters otherwise, the compiler behind it always counts bytes, 3.11 counts
within the braces of an f-string, and an end may be missing, zero, or before the start.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Sequence

from devserver.record import Record
from devserver.source import character_column, read_lines

MAX_PADDING = 100_000


class SyntaxPlace(Record):
    """The range of a SyntaxError: lines 1-based, columns 0-based in characters; None where they are not known."""

    path: str
    lines: tuple[str, ...]  # of the whole source; of code without a file, all but the one in question are empty
    line: int
    end_line: int
    column: int | None
    end_column: int | None


def syntax_place(exc: SyntaxError) -> SyntaxPlace | None:
    """Where the code could not be compiled; None if the exception does not say."""
    if not exc.filename or not exc.lineno:
        return None
    path, line = str(exc.filename), exc.lineno
    lines = read_lines(path)
    text = (exc.text or "").rstrip("\r\n")
    if not 1 <= line <= len(lines):
        lines = [""] * (line - 1) + text.splitlines()[:1] if text and 0 < line < MAX_PADDING else []
    shown = lines[line - 1] if 1 <= line <= len(lines) else ""
    if text and shown != text and (inner := text.strip().strip("()")) in shown:  # 3.11: the expression of an f-string
        column = shown.index(inner)
        return SyntaxPlace(path, tuple(lines), line, line, column, column + len(inner))
    offset, end_offset = _character_offsets(exc, lines)
    if not offset or offset < 0:
        return SyntaxPlace(path, tuple(lines), line, line, None, None)
    end_line = exc.end_lineno or line
    if not end_offset or end_offset < 0 or end_line < line or (end_line == line and end_offset <= offset):
        end_line, end_offset = line, offset + 1
    return SyntaxPlace(path, tuple(lines), line, end_line, offset - 1, end_offset - 1)


def _character_offsets(exc: SyntaxError, lines: Sequence[str]) -> tuple[int | None, int | None]:
    """`offset` and `end_offset` (1-based) in characters. Only a line that is not ASCII makes a difference."""
    line, end_line = exc.lineno or 0, exc.end_lineno or exc.lineno or 0
    concerned = lines[max(line - 1, 0) : end_line]
    if not concerned or all(text.isascii() for text in concerned):
        return exc.offset, exc.end_offset
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse("\n".join(lines) + "\n")
    except SyntaxError as again:  # from text the parser counts characters
        return (again.offset, again.end_offset) if again.lineno == exc.lineno else (exc.offset, exc.end_offset)
    except (ValueError, RecursionError, MemoryError):
        return exc.offset, exc.end_offset
    # it parses, so the compiler raised
    return _from_bytes(concerned[0], exc.offset), _from_bytes(concerned[-1], exc.end_offset)


def _from_bytes(text: str, offset: int | None) -> int | None:
    column = character_column(text, offset - 1) if offset and offset > 0 else None
    return None if column is None else column + 1
