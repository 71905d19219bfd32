"""An error as plain data: what every rendering (terminal, page, JSON, text) shows, and its codec.

Made by `server/web/tracebacks.py` from a live exception, or from a dead process's last words; rendered by
`terminal.py` and `server/web/pages.py`. Holds no live object: a Report can be sent to another process.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Occasion(StrEnum):
    """When it happened."""

    LOAD = "load"  # while the target was loaded
    REQUEST = "request"  # while a request was answered
    WEBSOCKET = "websocket"
    LIFESPAN = "lifespan"  # ASGI lifespan startup or shutdown
    BACKGROUND = "background"  # outside a request: a task, a thread
    DEATH = "death"  # the process ended by itself
    HANG = "hang"  # the load does not end


@dataclass(frozen=True, slots=True)
class SourceLine:
    number: int  # 1-based
    text: str  # without the line end


@dataclass(frozen=True, slots=True)
class Local:
    name: str
    value: str  # a safe repr, limited in size; secrets hidden


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, outermost first within an `ErrorInfo`. Columns are 0-based, in characters of the line (co_positions)."""

    path: str  # absolute file name, or "<frozen …>", "<string>"
    display_path: str  # relative to the working folder where that is shorter
    function: str
    line: int
    end_line: int | None
    column: int | None
    end_column: int | None
    is_user: bool  # the user's code, not a library's
    source: tuple[SourceLine, ...]  # around `line`; empty when there is none
    locals: tuple[Local, ...] = ()


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """One exception of the chain."""

    type_name: str  # qualified, `builtins.` left out
    message: str
    frames: tuple[Frame, ...]
    notes: tuple[str, ...] = ()
    link: str = ""  # how it hangs together with the one before it in `Report.errors`: "", "cause", "context", "group"


@dataclass(frozen=True, slots=True)
class RequestFacts:
    method: str
    url: str
    http_version: str
    client: str
    headers: tuple[tuple[str, str], ...]  # secrets hidden


@dataclass(frozen=True, slots=True)
class Advice:
    """What a beginner should do next; from `hints.py`."""

    text: str
    command: str = ""  # one line to paste into a shell, if there is one


@dataclass(frozen=True, slots=True)
class Report:
    """An error, whole."""

    occasion: Occasion
    title: str  # one line: what happened, for a headline
    errors: tuple[ErrorInfo, ...] = ()  # the one that was raised last first, then its causes and contexts
    advice: tuple[Advice, ...] = ()
    stack: str = ""  # for DEATH and HANG: faulthandler's text
    request: RequestFacts | None = None
    versions: tuple[tuple[str, str], ...] = ()  # ("Python", "3.12.1"), ("Django", "5.2")
    detail: str = ""  # a sentence below the title, where there is one
