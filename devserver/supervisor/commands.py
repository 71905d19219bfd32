"""What is to be done: all that `state.advance` answers. Imperative, plain data. Runs in the supervisor."""

from __future__ import annotations

from enum import Enum, auto

from devserver.record import Record
from devserver.report import Report
from devserver.supervisor.events import Timer


class SpawnRoot(Record):
    pass


class RetireRoot(Record):
    """The current root gets no more work: it ends when its last server has."""


class Resume(Record):
    """Fork `server` from the checkpoint of the branch at `hoisted`, if there is one; else from that of the line at `position`, or
    the deepest before it. A stand-in from the root."""

    server: int
    position: int = 0
    hoisted: int = 0
    stand_in: Report | None = None
    generation: int = 0  # of what it answers: greater than all that came before
    inherits: bool = False  # but for that of one that died, with nothing saved since


class TakeOver(Record):
    """The rehearsal is a server from now on."""

    server: int
    generation: int


class LetServe(Record):
    server: int


class LetDrain(Record):
    server: int


class KillServer(Record):
    server: int


class Refresh(Record):
    server: int
    paths: tuple[str, ...]
    watched: tuple[str, ...] = ()  # of these the app wants to hear


class TellBrowsers(Record):
    """What shows less than this generation is old."""

    generation: int


class StartTimer(Record):
    timer: Timer
    server: int
    seconds: float


class ReadStack(Record):
    """Ask a hung server for its stack (`status` is None) or make a report of how a dead one ended."""

    server: int
    status: int | None = None


class OpenEditor(Record):
    path: str
    line: int
    column: int


class Notice(Enum):
    """What a person is told; the words are `console`'s."""

    SERVING = auto()  # the new server answers
    LOAD_FAILED = auto()
    CHECKS_FAILED = auto()
    HANGS = auto()
    DIED_LOADING = auto()
    DIED_SERVING = auto()
    GAVE_UP = auto()
    WAITING_FOR_PROMPT = auto()
    WAITING_FOR_EXCLUSIVE = auto()
    GRACE_OVER = auto()
    ROOT_DIED = auto()
    STOPPING = auto()


class Tell(Record):
    notice: Notice
    server: int = 0
    report: Report | None = None
    status: int | None = None
    detail: str = ""


class Exit(Record):
    code: int


Command = (
    SpawnRoot
    | RetireRoot
    | Resume
    | TakeOver
    | LetServe
    | LetDrain
    | KillServer
    | Refresh
    | TellBrowsers
    | StartTimer
    | ReadStack
    | OpenEditor
    | Tell
    | Exit
)
