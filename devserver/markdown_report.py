"""A Report as Markdown: for an issue, a chat, a language model. Pure; runs in the server.

Rules that hold: as in the terminal, the user's frames come from the innermost outwards and library frames are counted; what
stands in a fence or between backticks cannot end it; values of variables are left out, for what is pasted is read by others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from devserver.report import LINKS, ErrorInfo, Frame, Report
from devserver.source import packages_of

MAX_FRAMES = 8
MAX_ERRORS = 6


def report_markdown(report: Report) -> str:
    """`report` for people elsewhere; ends with a line end."""
    return "\n".join(_lines(report)).rstrip() + "\n"


def _lines(report: Report) -> Iterator[str]:
    for index, error in enumerate(report.errors[:MAX_ERRORS]):
        yield from _error(error, is_first=index == 0)
        if index == 0 and report.detail:
            yield f"{_escaped(report.detail)}"
            yield ""
        yield from _frames(error)
    if not report.errors:
        yield f"## {_escaped(report.title)}"
        yield ""
    if len(report.errors) > MAX_ERRORS:
        yield f"… and {len(report.errors) - MAX_ERRORS} more"
        yield ""
    if report.stack:
        yield from _fenced(report.stack.rstrip(), "text")
    for advice in report.advice:
        yield f"**Hint:** {_prose(advice.text)}"
        yield ""
        if advice.command:
            yield from _fenced(advice.command, "sh")
    if report.request is not None:
        yield f"Request: {_code(f'{report.request.method} {report.request.url}')}"
        yield ""
    if report.versions:
        yield ", ".join(f"{name} {version}" for name, version in report.versions)


def _error(error: ErrorInfo, *, is_first: bool) -> Iterator[str]:
    first, *rest = error.message.splitlines() or [""]
    headline = ": ".join(part for part in (error.type_name, first) if part)
    link = f"{LINKS.get(error.link, error.link).capitalize()} " if error.link else ""
    yield f"{'##' if is_first else '###'} {link}{_escaped(headline)}"
    yield ""
    if rest:
        yield from _fenced("\n".join(rest), "text")
    for note in error.notes:
        yield from _fenced(note, "text")


def _frames(error: ErrorInfo) -> Iterator[str]:
    own = [frame for frame in reversed(error.frames) if frame.is_user]
    shown = own[:MAX_FRAMES] or list(error.frames[-1:])
    for frame in shown:
        where = f"{_code(f'{frame.display_path}:{frame.line}')}"
        yield where + (f" in {_code(frame.function)}" if frame.function else "")
        yield ""
        yield from _source(frame)
    hidden = [frame for frame in error.frames if not any(frame is one for one in shown)]
    if hidden:
        libraries = packages_of(frame.display_path for frame in hidden)
        count = len(hidden) + sum(frame.skipped for frame in error.frames)
        yield f"Calls not shown: {count} ({_escaped(libraries)})"
        yield ""


def _source(frame: Frame) -> Iterator[str]:
    if not frame.source:
        return
    digits = len(str(frame.source[-1].number))
    rows = []
    for line in frame.source:
        start, end = frame.marked(line)
        hit = start < end or line.number == frame.line
        rows.append(f"{'>' if hit else ' '} {line.number:>{digits}} | {line.text}".rstrip())
        if start < end:
            # Tabs of the line come along, so that the marks stand below what they mark whatever a tab is wide.
            indent = re.sub(r"[^\t]", " ", line.text[:start])
            rows.append(f"  {' ' * digits} | {indent}{'^' * (end - start)}")
    yield from _fenced("\n".join(rows), "python" if frame.path.endswith(".py") else "text")


def _fenced(text: str, language: str) -> Sequence[str]:
    fence = "`" * max(3, _longest_run(text) + 1)
    return (f"{fence}{language}", text, fence, "")


def _code(text: str) -> str:
    ticks = "`" * (_longest_run(text) + 1)
    padding = " " if "`" in text else ""
    return f"{ticks}{padding}{' '.join(text.split())}{padding}{ticks}"


def _longest_run(text: str) -> int:
    return max(map(len, re.findall(r"`+", text)), default=0)


def _prose(text: str) -> str:
    """Text in which `code` stands between backticks."""
    return "`".join(part if index % 2 else _escaped(part) for index, part in enumerate(text.split("`")))


def _escaped(text: str) -> str:
    """Text in which nothing is markup, line ends as spaces (CommonMark §2.4)."""
    return re.sub(r"([\\`*_\[\]<>#|~&])", r"\\\1", re.sub(r"\s+", " ", text))
