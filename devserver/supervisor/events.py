"""What happened: all that `state.advance` is told. Past tense, plain data. Runs in the supervisor."""

from __future__ import annotations

from enum import Enum, auto

from devserver.record import Record
from devserver.report import Report


class Timer(Enum):
    HANG = auto()
    SETTLED = auto()
    END = auto()  # a drained server has to be gone
    STOP = auto()  # everything has to be gone


class RootStarted(Record):
    pass


class RootEnded(Record):
    """The current root is gone, and with it everything below it."""

    status: int


class Loaded(Record):
    server: int
    exclusive: tuple[str, ...] = ()


class LoadRaised(Record):
    server: int
    report: Report
    exclusive: tuple[str, ...] = ()


class ChecksFailed(Record):
    """The framework's checks found something serious, and the server answers with a page about it."""

    server: int
    report: Report


class Began(Record):
    """A server accepts."""

    server: int


class RequestArrived(Record):
    server: int


class TookExclusive(Record):
    server: int
    what: str


class Ended(Record):
    server: int
    status: int


class StackRead(Record):
    """Where a hung load stands, or the last words of a dead server, as a report for a page."""

    server: int
    report: Report


class ResumeDecided(Record):
    """The planner's word, or a key: load anew from the checkpoint at this position, or from one before it; or, with modules
    hoisted, from the branch at that position, if it reaches so far."""

    position: int = 0
    hoisted: int = 0


class RehearsalPreferred(Record):
    """What was loaded behind the current server differs from it, and is right: it is to serve."""

    server: int


class RestartDecided(Record):
    """The planner's word, or a key: load anew in a fresh interpreter."""


class RefreshDecided(Record):
    paths: tuple[str, ...]
    watched: tuple[str, ...] = ()


class PromptOpened(Record):
    server: int


class PromptClosed(Record):
    server: int


class EditorAsked(Record):
    """Somebody clicked at a frame of an error page. Lines and columns are 1-based."""

    path: str
    line: int
    column: int


class TimerFired(Record):
    timer: Timer
    server: int = 0


class StopAsked(Record):
    """Ctrl-C, SIGTERM, SIGHUP."""


Event = (
    RootStarted
    | RootEnded
    | Loaded
    | LoadRaised
    | ChecksFailed
    | Began
    | RequestArrived
    | TookExclusive
    | Ended
    | StackRead
    | ResumeDecided
    | RehearsalPreferred
    | RestartDecided
    | RefreshDecided
    | PromptOpened
    | PromptClosed
    | EditorAsked
    | TimerFired
    | StopAsked
)
