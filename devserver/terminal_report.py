"""A Report as text: in the terminal, and as the plain-text answer for curl.

Pure; runs in the supervisor and the server. Rules that hold: message first, then the user's frames from the innermost outwards,
library frames counted, not listed, unless all are asked for; then what the error was caused by, in the same order; what a group
holds is indented below it; the marks stand under the exact columns, also below tabs and wide characters; as in `terminal.py`, no
escape sequence without colour and no control character of anyone else's.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from devserver.highlight import Ink, highlighted
from devserver.record import replace
from devserver.report import LINKS, Advice, ErrorInfo, Frame, Occasion, Report, SourceLine
from devserver.source import packages_of
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


def report_text(report: Report, style: Style = PLAIN, *, full: bool = False) -> str:
    """`report` for a person at a terminal; lines without the last line end. `full`: with all calls in libraries."""
    lines: list[str] = []
    is_warning = report.occasion is Occasion.WARNING
    paint = Paint.WARNING if is_warning else Paint.ERROR_STRONG
    depths = _depths(report.errors)
    for index, error in enumerate(report.errors[:MAX_ERRORS]):
        indent = "  " * depths[index]
        narrower = replace(style, width=style.width - len(indent))
        block = [
            *_headline(error, _link(report.errors, index), report.detail if index == 0 else "", paint, style),
            *_frames(error.frames, narrower, context=0 if is_warning else 3, full=full),
        ]
        lines += [*([""] if lines else []), *(indent + line if line else "" for line in block)]
    if not report.errors:
        lines.append(style.paint(escape_control(report.title), paint))
    if len(report.errors) > MAX_ERRORS:
        lines += ["", f"  … and {len(report.errors) - MAX_ERRORS} more"]
    if report.stack and not any(error.frames for error in report.errors):
        lines += _stack(report.stack)
    if report.advice:
        lines.append("")
        for advice in report.advice:
            lines += _advice(advice, style)
    return "\n".join(lines)


def _depths(errors: Sequence[ErrorInfo]) -> list[int]:
    """In how many groups each error is. A parent comes before its children."""
    depths: list[int] = []
    for error in errors:
        around = depths[error.parent] if error.parent is not None and error.parent < len(depths) else 0
        depths.append(around + (error.link == "group"))
    return depths


def _link(errors: Sequence[ErrorInfo], index: int) -> str:
    """How an error hangs together with its parent, as the beginning of its headline."""
    error = errors[index]
    if error.link not in ("group", "finding"):
        return f"{LINKS[error.link]} " if error.link in LINKS else ""
    members = [number for number, one in enumerate(errors) if one.link == error.link and one.parent == error.parent]
    return f"{members.index(index) + 1} of {len(members)}{' in the group' if error.link == 'group' else ''}: "


def _headline(error: ErrorInfo, link: str, detail: str, paint: Paint, style: Style) -> Iterator[str]:
    first, *rest = error.message.splitlines() or [""]
    parts = [style.paint(escape_control(part), paint) for part in (error.type_name, first) if part]
    yield link + ": ".join(parts)
    for line in rest[:20]:
        yield f"  {escape_control(line)}"
    if detail:
        yield f"  {style.paint(escape_control(detail), Paint.FAINT)}"
    for note in error.notes:
        for line in note.splitlines()[:10]:
            yield f"  {escape_control(line)}"


def _frames(frames: Sequence[Frame], style: Style, *, context: int, full: bool) -> Iterator[str]:
    """The calls from the innermost outwards: the user's, or where there are none the innermost of all; in full, every one."""
    own = [frame for frame in reversed(frames) if frame.is_user]
    with_source = _places(own)[: None if full else MAX_USER_FRAMES] or list(frames[-1:])
    listed = _places(reversed(frames)) if full else with_source
    was_line = False
    for index, frame in enumerate(listed):
        is_line = frame not in with_source
        if not (is_line and was_line):
            yield ""
        yield _place(frame, style, called_from=index > 0)
        if not is_line:
            yield from _source(frame, style, context=min(context, 1) if index else context)
        was_line = is_line
    if left_out := ", ".join(_left_out(frames, listed, full=full)):
        yield ""
        yield "  " + style.paint(f"calls not shown: {left_out}", Paint.FAINT)


def _left_out(frames: Sequence[Frame], listed: Sequence[Frame], *, full: bool) -> Iterator[str]:
    """How many calls of which kind are not listed."""
    own = [frame for frame in frames if frame.is_user]
    places = len(_places(own))
    if not full and (hidden := places - sum(frame.is_user for frame in listed)):
        yield f"{hidden} more of yours"
    if not full and (library := [frame for frame in frames if not frame.is_user and frame not in listed]):
        names = packages_of(frame.display_path for frame in library)
        yield f"{len(library)} in libraries ({escape_control(names)})"
    repeated = len(frames) - len(listed) if full else len(own) - places
    if repeated := repeated + sum(frame.skipped for frame in frames):
        yield f"{repeated} of the same in a recursion"


def _places(frames: Iterable[Frame]) -> list[Frame]:
    """The first frame of each place."""
    places: dict[tuple[str, int, str], Frame] = {}
    for frame in frames:
        places.setdefault((frame.path, frame.line, frame.function), frame)
    return list(places.values())


def _place(frame: Frame, style: Style, *, called_from: bool) -> str:
    where = style.link(style.paint(f"{escape_control(frame.display_path)}:{frame.line}", Paint.LINK), frame.path)
    function = f" in {escape_control(frame.function)}" if frame.function else ""
    return f"  {'called from ' if called_from else ''}{where}{function}"


def _source(frame: Frame, style: Style, *, context: int) -> Iterator[str]:
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
        cut = _cut(text, start, end, room)
        hit = start < end
        gutter = style.paint(f"{'>' if hit or row.number == frame.line else ' '} {row.number:>{digits}}", Paint.ERROR)
        if row.number != frame.line and not hit:
            gutter = style.paint(f"  {row.number:>{digits}}", Paint.FAINT)
        bar = style.paint("│", Paint.FAINT)
        if pieces:
            code = "".join(_slices([(style, _INKS.get(piece.ink), piece.text) for piece in pieces[index]], cut))
        else:
            code = text[cut]
        yield f"  {gutter} {bar} {code}".rstrip()
        if hit:
            before, marked = _columns(text[cut.start : start]), max(_columns(text[start : min(end, cut.stop)]), 1)
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


def _cut(text: str, start: int, end: int, room: int) -> slice:
    """What of `text` is shown in so many columns: its beginning, if the marks from `start` to `end` are in it."""
    offset = 0
    if _columns(text[:end]) > room and _columns(text[:start]) > room // 2:
        offset = start - _fitting(reversed(text[:start]), room // 2)
    return slice(offset, offset + _fitting(text[offset:], room))


def _fitting(text: Iterable[str], room: int) -> int:
    """How many of these characters fit into so many columns."""
    count = 0
    for char in text:
        room -= _columns_of(char)
        if room < 0:
            break
        count += 1
    return count


def _columns(text: str) -> int:
    """How many columns of a terminal `text` takes."""
    return sum(_columns_of(char) for char in text) if not text.isascii() else len(text)


def _columns_of(char: str) -> int:
    if char.isascii():
        return 1
    if unicodedata.category(char) in {"Mn", "Me"}:  # accents, and what picks the shape of an emoji
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


_CODE = re.compile(r"`[^`]{1,50}`")
_GLUE = "\N{NO-BREAK SPACE}"
"""What holds code between backticks together, for nobody types it from two lines."""


def _advice(advice: Advice, style: Style) -> Iterator[str]:
    lines = [
        part.replace(_GLUE, " ")
        for line in advice.text.splitlines()
        for part in textwrap.wrap(
            _CODE.sub(lambda code: code[0].replace(" ", _GLUE), escape_control(line)),
            max(style.width - 8, 40),
            subsequent_indent=" " * (len(line) - len(line.lstrip())),
        )
    ]
    first, *rest = lines or [""]
    yield f"  {style.paint('hint:', Paint.LINK)} {first}"
    for line in rest:
        yield f"        {line}"
    if advice.command:
        yield f"        {style.paint(escape_control(advice.command), Paint.STRONG)}"
