"""A Report as text: in the terminal, and as the plain-text answer for curl.

Pure; runs in the supervisor and the server. Rules that hold: message first, then the user's frames from the innermost outwards,
library frames counted, not listed; the marks stand under the exact columns, also below tabs and wide characters;
as in `terminal.py`, no escape sequence without colour and no control character of anyone else's.
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterator, Sequence

from devserver.highlight import Ink, highlighted
from devserver.report import Advice, ErrorInfo, Frame, Report, SourceLine
from devserver.source import package_of
from devserver.terminal import PLAIN, Paint, Style, escape_control

MAX_USER_FRAMES = 4
MAX_ERRORS = 6
MAX_STACK_LINES = 40
TAB = 4
"""Columns of a tab in shown source."""

_INKS = {
    Ink.KEYWORD: Paint.ACCENT,
    Ink.STRING: Paint.GOOD,
    Ink.NUMBER: Paint.LINK,
    Ink.COMMENT: Paint.FAINT,
    Ink.NAME: Paint.STRONG,
}

_LINKS = {
    "cause": "caused by",
    "context": "while handling",
    "group": "in the group",
}


def report_text(report: Report, style: Style = PLAIN) -> str:
    """`report` for a person at a terminal; lines without the last line end."""
    lines: list[str] = []
    for index, error in enumerate(report.errors[:MAX_ERRORS]):
        lines += [*([""] if lines else []), *_headline(error, report.detail if index == 0 else "", style)]
        lines += _frames(error.frames, style)
    if not report.errors:
        lines.append(style.paint(escape_control(report.title), Paint.ERROR_STRONG))
    if len(report.errors) > MAX_ERRORS:
        lines += ["", f"  … and {len(report.errors) - MAX_ERRORS} more"]
    if report.stack and not any(error.frames for error in report.errors):
        lines += _stack(report.stack)
    if report.advice:
        lines.append("")
        for advice in report.advice:
            lines += _advice(advice, style)
    return "\n".join(lines)


def _headline(error: ErrorInfo, detail: str, style: Style) -> Iterator[str]:
    link = f"{_LINKS.get(error.link, error.link)} " if error.link else ""
    first, *rest = error.message.splitlines() or [""]
    parts = [style.paint(escape_control(part), Paint.ERROR_STRONG) for part in (error.type_name, first) if part]
    yield link + ": ".join(parts)
    for line in rest[:20]:
        yield f"  {escape_control(line)}"
    if detail:
        yield f"  {style.paint(escape_control(detail), Paint.FAINT)}"
    for note in error.notes:
        for line in note.splitlines()[:10]:
            yield f"  {escape_control(line)}"


def _frames(frames: Sequence[Frame], style: Style) -> Iterator[str]:
    """The user's frames, innermost first; where there are none, the innermost of all."""
    own = [frame for frame in reversed(frames) if frame.is_user]
    places: dict[tuple[str, int, str], Frame] = {}
    for frame in own:
        places.setdefault((frame.path, frame.line, frame.function), frame)
    shown = list(places.values())[:MAX_USER_FRAMES] or list(frames[-1:])
    for index, frame in enumerate(shown):
        yield ""
        yield from _frame(frame, style, context=3 if index == 0 else 1, called_from=index > 0)
    counted = []
    if len(places) > len(shown):
        counted.append(f"{len(places) - len(shown)} more of yours")
    if library := [frame for frame in frames if not frame.is_user and frame not in shown]:
        packages = dict.fromkeys(package_of(frame.display_path) for frame in library)
        names = ", ".join(list(packages)[:4]) + (", …" if len(packages) > 4 else "")
        counted.append(f"{len(library)} in libraries ({escape_control(names)})")
    if repeated := len(own) - len(places) + sum(frame.skipped for frame in frames):
        counted.append(f"{repeated} of the same in a recursion")
    if counted:
        yield ""
        yield "  " + style.paint(f"calls not shown: {', '.join(counted)}", Paint.FAINT)


def _frame(frame: Frame, style: Style, *, context: int, called_from: bool) -> Iterator[str]:
    where = style.link(style.paint(f"{escape_control(frame.display_path)}:{frame.line}", Paint.LINK), frame.path)
    function = f" in {escape_control(frame.function)}" if frame.function else ""
    yield f"  {'called from ' if called_from else ''}{where}{function}"
    first, last = frame.line - context, max(frame.line, min(frame.end_line or frame.line, frame.line + 3)) + context
    rows = [(index, row) for index, row in enumerate(frame.source) if first <= row.number <= last]
    while rows and not rows[0][1].text.strip():
        del rows[0]
    while rows and not rows[-1][1].text.strip():
        del rows[-1]
    if not rows:
        return
    digits = len(str(rows[-1][1].number))
    room = max(style.width - digits - 8, 30)
    texts = [_displayable(row.text) for row in frame.source]
    pieces = highlighted(texts, frame.path, frame.within) if style.color else ()
    for index, row in rows:
        start, end = _marked(frame, row)
        text = texts[index]
        offset = start - room // 2 if end > room and start > room // 2 else 0
        hit = start < end
        gutter = style.paint(f"{'>' if hit or row.number == frame.line else ' '} {row.number:>{digits}}", Paint.ERROR)
        if row.number != frame.line and not hit:
            gutter = style.paint(f"  {row.number:>{digits}}", Paint.FAINT)
        bar = style.paint("│", Paint.FAINT)
        cut = slice(offset, offset + room)
        if pieces:
            code = "".join(_slices([(style, _INKS.get(piece.ink), piece.text) for piece in pieces[index]], cut))
        else:
            code = text[cut]
        yield f"  {gutter} {bar} {code}".rstrip()
        if hit:
            before, marked = _columns(text[offset:start]), max(_columns(text[start : min(end, offset + room)]), 1)
            yield f"  {' ' * (digits + 2)} {bar} {' ' * before}{style.paint('^' * marked, Paint.ERROR_STRONG)}"


def _marked(frame: Frame, row: SourceLine) -> tuple[int, int]:
    """The range of `row`'s displayable text that is to be marked; empty for none."""
    start, end = frame.marked(row)
    before = len(_displayable(row.text[:start]))
    return before, max(len(_displayable(row.text[:end])), before + 1) if start < end else before


def _displayable(text: str) -> str:
    """Tabs as spaces, and one mark for each character that cannot be printed, so that columns hold."""
    text = text.expandtabs(TAB)
    return text if text.isprintable() else "".join(char if char.isprintable() else "\ufffd" for char in text)


def _columns(text: str) -> int:
    """How many columns of a terminal `text` takes."""
    return sum(_columns_of(char) for char in text) if not text.isascii() else len(text)


def _columns_of(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def _slices(pieces: Sequence[tuple[Style, Paint | None, str]], cut: slice) -> Iterator[str]:
    position = 0
    for style, paint, text in pieces:
        part = text[max(cut.start - position, 0) : max(cut.stop - position, 0)]
        position += len(text)
        if part:
            yield style.paint(part, paint) if paint else part


def _stack(stack: str) -> Iterator[str]:
    yield ""
    lines = stack.rstrip().splitlines()
    for line in lines[:MAX_STACK_LINES]:
        yield f"  {escape_control(line)}".rstrip()
    if len(lines) > MAX_STACK_LINES:
        yield "  …"


def _advice(advice: Advice, style: Style) -> Iterator[str]:
    wrapped = [
        textwrap.wrap(
            escape_control(line), max(style.width - 8, 40), subsequent_indent=" " * (len(line) - len(line.lstrip()))
        )
        for line in advice.text.splitlines()
    ]
    first, *rest = [line for lines in wrapped for line in lines] or [""]
    yield f"  {style.paint('hint:', Paint.LINK)} {first}"
    for line in rest:
        yield f"        {line}"
    if advice.command:
        yield f"        {style.paint(escape_control(advice.command), Paint.STRONG)}"
