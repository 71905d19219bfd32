"""An error as plain data: what every rendering (terminal, page, JSON, text) shows.

Made by `server/web/tracebacks.py` from a live exception and by `lastwords.py` from what a dead or hanging process left;
rendered by `terminal_report.py` and `server/web/pages.py`. Runs in every process.
Rules that hold: no live object (a Report can be sent to another process), all texts are raw (each rendering escapes for
its own medium), sizes are bounded by whoever makes one.
"""

from __future__ import annotations

from enum import StrEnum

from devserver.record import Record


class Occasion(StrEnum):
    """When it happened."""

    LOAD = "load"  # while the target was loaded
    REQUEST = "request"  # while a request was answered
    WEBSOCKET = "websocket"
    LIFESPAN = "lifespan"  # ASGI lifespan startup or shutdown
    BACKGROUND = "background"  # outside a request: a task, a thread
    DEATH = "death"  # the process ended by itself
    HANG = "hang"  # the load does not end
    WARNING = "warning"  # nothing failed: a Python warning, or the event loop was held up


LINKS = {"cause": "caused by", "context": "while handling", "group": "in the group", "finding": "found"}
"""How an error of a chain hangs together with its parent (`ErrorInfo.link`), in words that its name follows."""


def type_name(cls: type) -> str:
    """The name of an exception's class as it is shown."""
    return cls.__qualname__ if cls.__module__ in {"builtins", "__main__"} else f"{cls.__module__}.{cls.__qualname__}"


class SourceLine(Record):
    number: int  # 1-based
    text: str  # without the line end


class Local(Record):
    name: str
    value: str  # a safe repr, limited in size; secrets hidden


class Frame(Record):
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
    unmade: int = 0  # how many more variables there are: their texts are made when somebody asks for them
    within: str = ""  # the quotes of the string in which `source` begins, if it does: a highlighter needs them
    skipped: int = 0  # how many frames were left out between the one before and this one

    def marked(self, line: SourceLine) -> tuple[int, int]:
        """The range of `line.text` that the columns point at, (0, 0) for none; past the end for what is missing there."""
        last = self.end_line or self.line
        if self.column is None or not self.line <= line.number <= last:
            return 0, 0
        length = len(line.text.rstrip())
        start = self.column if line.number == self.line else len(line.text) - len(line.text.lstrip())
        if line.number == self.line and start >= length:
            return length, length + 1
        end = length if line.number < last or self.end_column is None else min(self.end_column, length)
        return (start, end) if start < end else (0, 0)


class ErrorInfo(Record):
    """One exception of the chain."""

    type_name: str  # qualified, `builtins.` left out; "" for what is no exception (DEATH, HANG and others)
    message: str
    frames: tuple[Frame, ...]
    notes: tuple[str, ...] = ()
    link: str = ""  # how it hangs together with its parent: "" (the first) or one of LINKS
    parent: int | None = None  # index in `Report.errors` of the one whose cause, context or member this is
    bases: tuple[str, ...] = ()  # its class and that class's bases, named as in `type_name`; what hints match on
    facts: tuple[tuple[str, str], ...] = ()  # what it carries beside its message: ("name", "yaml"), ("errno", "98")

    @property
    def place(self) -> Frame | None:
        """Where to look first: the innermost frame of the user's code, else the innermost of all."""
        return next(
            (frame for frame in reversed(self.frames) if frame.is_user), self.frames[-1] if self.frames else None
        )

    def fact(self, name: str) -> str:
        """The first fact of that name, or the empty string."""
        return next((value for key, value in self.facts if key == name), "")


class RequestFacts(Record):
    method: str
    url: str
    http_version: str
    client: str
    headers: tuple[tuple[str, str], ...]  # secrets hidden, as in all that follows
    query: tuple[tuple[str, str], ...] = ()
    form: tuple[tuple[str, str], ...] = ()  # fields of the body; of a file its name and size
    cookies: tuple[tuple[str, str], ...] = ()
    body: str = ""  # of a request that brought JSON
    session: tuple[tuple[str, str], ...] = ()  # where the framework offers one


class Sheet(Record):
    """A table of what else is known: of the app, of what the request did."""

    title: str
    rows: tuple[tuple[str, str], ...]  # name and value; secrets hidden


class Advice(Record):
    """What a beginner should do next; from `hints.py`."""

    text: str
    command: str = ""  # one line to paste into a shell, if there is one


class Report(Record):
    """An error, whole."""

    occasion: Occasion
    title: str  # one line: what happened, for a headline
    errors: tuple[ErrorInfo, ...] = ()  # the one that was raised last first, then its causes and contexts
    advice: tuple[Advice, ...] = ()
    stack: str = ""  # for DEATH and HANG: faulthandler's text
    request: RequestFacts | None = None
    sheets: tuple[Sheet, ...] = ()
    versions: tuple[tuple[str, str], ...] = ()  # ("Python", "3.12.1"), ("Django", "5.2")
    detail: str = ""  # a sentence below the title, where there is one
    id: str = ""  # by which a page asks for what was kept of it (`kept.py`); "" where nothing was

    @property
    def gist(self) -> str:
        """What was raised, and where. Equal for reports of the same mistake; messages may hold addresses."""
        places = [f"{error.type_name} {error.place.path}:{error.place.line}" for error in self.errors if error.place]
        return " ".join((str(self.occasion), *(places or [self.title])))
