"""What happened: all that `state.advance` is told. Past tense, plain data. Runs in the supervisor."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from devserver.report import Report


class Timer(Enum):
    HANG = auto()
    SETTLED = auto()
    END = auto()  # a drained server has to be gone
    STOP = auto()  # everything has to be gone


@dataclass(frozen=True, slots=True)
class RootStarted:
    pass


@dataclass(frozen=True, slots=True)
class RootEnded:
    """The current root is gone, and with it everything below it."""

    status: int


@dataclass(frozen=True, slots=True)
class Loaded:
    server: int
    exclusive: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LoadRaised:
    server: int
    report: Report
    exclusive: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChecksFailed:
    """The framework's checks found something serious, and the server answers with a page about it."""

    server: int
    report: Report


@dataclass(frozen=True, slots=True)
class Began:
    """A server accepts."""

    server: int


@dataclass(frozen=True, slots=True)
class RequestArrived:
    server: int


@dataclass(frozen=True, slots=True)
class TookExclusive:
    server: int
    what: str


@dataclass(frozen=True, slots=True)
class Ended:
    server: int
    status: int


@dataclass(frozen=True, slots=True)
class StackRead:
    """Where a hung load stands, or the last words of a dead server, as a report for a page."""

    server: int
    report: Report


@dataclass(frozen=True, slots=True)
class ResumeDecided:
    """The planner's word, or a key: load anew from the checkpoint at this position, or from one before it; or, with modules
    hoisted, from the branch at that position, if it reaches so far."""

    position: int = 0
    hoisted: int = 0


@dataclass(frozen=True, slots=True)
class RehearsalPreferred:
    """What was loaded behind the current server differs from it, and is right: it is to serve."""

    server: int


@dataclass(frozen=True, slots=True)
class RestartDecided:
    """The planner's word, or a key: load anew in a fresh interpreter."""


@dataclass(frozen=True, slots=True)
class RefreshDecided:
    paths: tuple[str, ...]
    watched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PromptOpened:
    server: int


@dataclass(frozen=True, slots=True)
class PromptClosed:
    server: int


@dataclass(frozen=True, slots=True)
class EditorAsked:
    """Somebody clicked at a frame of an error page. Lines and columns are 1-based."""

    path: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class TimerFired:
    timer: Timer
    server: int = 0


@dataclass(frozen=True, slots=True)
class StopAsked:
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
