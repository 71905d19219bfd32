"""All that the supervisor and the processes below it say to each other, and its framing.

One Unix stream socket between the supervisor and each process; one message per line of JSON:
`{"type": "Drain", "grace_s": 2.0}`.
Descriptors travel beside the line as SCM_RIGHTS and are counted in it (`fds`), so a reader takes exactly
those that belong to it.
Messages from the supervisor are imperative, messages to it are past tense.
Runs in every process; does no I/O on its own.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Callable, Hashable
from enum import StrEnum
from functools import cache

from devserver.importgraph import ImportGraph
from devserver.options import Options
from devserver.readset import Read
from devserver.record import Record
from devserver.report import Report
from devserver.target import Target
from devserver.terminal import PLAIN, Style


class Interface(StrEnum):
    WSGI = "wsgi"
    ASGI = "asgi"
    STATIC = "static"  # a folder of files


# --- supervisor → root ---


class Configure(Record):
    """What holds for all servers of this root. The first message a root gets."""

    options: Options
    target: Target
    argv: tuple[str, ...]
    bound_hosts: tuple[str, ...]  # the addresses that are listened on
    style: Style = PLAIN  # of standard output
    error_style: Style = PLAIN  # of standard error, where reports go
    environment: tuple[tuple[str, str], ...] = ()  # variables from --env-file, already read
    page_token: str = ""  # what pages of ours send with all that acts; "" turns that off
    grant: str = ""  # what opens prompts in error pages, given to who knows the PIN; "" turns them off


# --- supervisor → checkpoint, the root being the first ---


class HoistLevel(Record):
    """Modules to import before the first search of any that depends on an edited file; a checkpoint follows."""

    phase: str  # of the load, in which all of them run
    before: tuple[str, ...]  # folder/name of the edited modules and of those that depend on them
    modules: tuple[str, ...]  # names, in their order


class Plan(Record):
    """Where the load that is about to go on may freeze. What it says of files is known from the loads before."""

    checkpoints: bool = False
    saved: tuple[str, ...] = ()  # files that were saved while running, the latest first
    load_ms: float = 0.0  # how long a whole load takes; 0: nobody knows
    hoist: tuple[HoistLevel, ...] = ()  # in the order in which they are reached; checkpoints stand nowhere else then
    rehearses: bool = False  # what it loads is to be compared, not served: `StateDigested`
    late: tuple[str, ...] = ()  # of a rehearsal: what first requests have imported, which it imports when all is loaded
    early: tuple[str, ...] = ()  # of a rehearsal: what first requests have built, as `Integration.built_late` names it


class ResumeCheckpoint(Record):
    """Fork a server that continues from here. Carries two descriptors: its control socket and its stack file."""

    server: int
    stand_in: Report | None = None  # serve this page instead of the target
    plan: Plan = Plan()
    run: int = 0  # what browsers tell by whether they show the newest; greater than those of all servers before
    refreshes: int = 0  # how many there were: what this server answers is newer
    fds: int = 2


class KillServer(Record):
    """SIGKILL for the server and its process group, and for all that is below it."""

    server: int


class Discard(Record):
    """Nobody continues from here any more: end, once the last child has."""


# --- checkpoint → supervisor ---


class RootReady(Record):
    pid: int


class ServerForked(Record):
    server: int
    pid: int


class ServerEnded(Record):
    """A child was reaped, its group killed: the server, or the checkpoint that it had left behind on its way.

    `pid` tells which; it is 0 if there was no process to be had for the server.
    `status` as `subprocess` has it: negative for a signal.
    """

    server: int
    pid: int
    status: int


# --- supervisor → server ---


class Serve(Record):
    """Begin to accept. Carries the listening sockets."""

    fds: int


class AdoptConnections(Record):
    """Idle keep-alive connections of the server before. Carries one descriptor each, and what was read from it already."""

    fds: int
    data: tuple[str, ...]  # bytes as latin-1


class Drain(Record):
    """Accept no more, hand over what is idle, finish the rest within `grace_s` seconds, then end."""

    grace_s: float


class RefreshFiles(Record):
    """These files changed and do not restart anything (templates, static files): forget what was cached of them."""

    paths: tuple[str, ...]
    number: int = 0  # of this refresh, counted over all servers
    watched: tuple[str, ...] = ()  # of these the app wants to hear (`LoadEnded.watched`), before browsers do


class DescribeState(Record):
    """To a rehearsal: the parts of these digests are wanted."""

    labels: tuple[str, ...]


class TakeOver(Record):
    """To a rehearsal: serve after all. `Serve` follows when it has said that it is loaded."""

    run: int
    refreshes: int


class PinJudged(Record):
    """The answer to `PinTried`; they come in the order of the tries."""

    grant: str  # what opens prompts from now on; "" if the PIN was wrong
    left: int  # how many more may be tried


class TerminalGranted(Record):
    """The debugger prompt may read: no one else does."""


# --- supervisor → launcher ---


class LaunchEditor(Record):
    """Open this place, by `Options.editor`. The only message a launcher gets."""

    editor: str | None
    path: str  # absolute
    line: int  # 1-based, as the column
    column: int


# --- server → supervisor ---


class ReadsRecorded(Record):
    reads: tuple[Read, ...]


class ImportsRecorded(Record):
    """Which modules imported which, all that came before the checkpoint included. Of a rehearsal, before its `StateDigested`."""

    graph: ImportGraph


class CheckpointFrozen(Record):
    """The process that was this server stays behind, frozen; its child, which says this, goes on loading as the server.

    All reads before this message belong to the checkpoint. Carries our end of the checkpoint's channel.
    """

    position: int  # in the chain; the root's is 0
    pid: int  # of the checkpoint
    server_pid: int
    fds: int = 1


class LateImports(Record):
    """What the first requests have imported of libraries, and built. Of a server that was loaded because something was saved."""

    modules: tuple[str, ...]
    built: tuple[str, ...] = ()


class LoadEnded(Record):
    """The target is loaded; the server waits for `Serve`."""

    name: str  # of the app, for the banner
    interface: Interface
    modules: int  # how many modules of the user's are loaded
    load_ms: float  # since it was forked from the checkpoint that it continued from
    ran: int = 0  # how many of the modules ran since then
    hoisted: int = 0  # how many others, libraries' included, were imported before their turn
    barrier: str = ""  # what kept the load from being frozen to its end
    exclusive: tuple[str, ...] = ()  # what it holds that a second process could not: "port 5678", "lock on …"
    template_roots: tuple[str, ...] = ()
    static_roots: tuple[str, ...] = ()
    watched: tuple[str, ...] = ()  # absolute globs: the app wants to hear of changes of these, read or not
    notices: tuple[str, ...] = ()  # one line each, for the terminal


class StateDigested(Record):
    """A rehearsal has ended: digests of the state that the load has left, by what they are about."""

    digests: tuple[tuple[str, str], ...] = ()
    complete: bool = True  # else it was too much to be looked at, and equal digests prove nothing
    error: str = ""  # the load raised: what, and where


class StateDescribed(Record):
    """The answer to `DescribeState`: a digest for each part."""

    parts: tuple[tuple[str, str], ...]


OF_LIBRARIES = "library "
"""With it labels of `StateDigested` begin that are about libraries."""

OF_CACHES = "cached results"
"""Of that label the parts are answers that the user's functions have kept."""

FIRST_REQUESTS = "what first requests have built"
"""Stands for the name of a module in `HoistFailed`."""


class HoistFailed(Record):
    """A rehearsal ends because this module cannot be imported before the others."""

    module: str
    reason: str


class LoadFailed(Record):
    """The load raised. The process serves the error page; it waits for `Serve` too."""

    report: Report
    load_ms: float
    exclusive: tuple[str, ...] = ()


class ServingBegan(Record):
    """It accepts connections."""


class RequestBegan(Record):
    """Sent once, with the first request."""


class ConnectionsHandedOver(Record):
    """Connections that the next server is to adopt. Carries one descriptor each, and what was read from it already."""

    fds: int
    data: tuple[str, ...]  # bytes as latin-1


class StreamOpened(Record):
    """A browser listens for events. Carries its connection, whose request was read and found good; nothing was answered."""

    fds: int = 1


class FilesRefreshed(Record):
    """The answer to `RefreshFiles`: what was cached is forgotten, browsers may ask again."""

    urls: tuple[str, ...]  # paths at which browsers know the files
    page: bool  # some are at none: pages were made from them
    number: int = 0


class LoadWanted(Record):
    """These files changed, and who watches them in the app did not deal with it: it wants to be loaded anew."""

    paths: tuple[str, ...]


class ExclusiveHeld(Record):
    """While serving, the app took something that a second process could not have."""

    what: str


class TerminalWanted(Record):
    """A debugger prompt is about to open; it waits for `TerminalGranted`."""


class TerminalReleased(Record):
    pass


class EditorWanted(Record):
    """A person at an error page wants to see this place in the editor."""

    path: str
    line: int = 1  # 1-based, as the column
    column: int = 1


class PinWanted(Record):
    """Somebody at this machine is about to use the console of an error page: show the PIN in the terminal."""


class PinTried(Record):
    pin: str


class OutputLeft(Record):
    """At its end: what a halted terminal, or a full pipe, had not taken yet."""

    text: str
    fd: int  # 1 or 2


class Noticed(Record):
    """One line for the terminal. A launcher says it too."""

    text: str
    warning: bool = False
    once: bool = False  # not again after a restart


class Reported(Record):
    """A report for the terminal, of what happened outside of a request."""

    report: Report
    once: bool = False  # a warning: not again after a restart


class ChecksEnded(Record):
    """What the framework found wrong with the project after it began to serve. With a failure the server answers with its page."""

    warnings: tuple[Report, ...] = ()
    notices: tuple[str, ...] = ()  # one line each
    failure: Report | None = None


Message = (
    Configure
    | ResumeCheckpoint
    | KillServer
    | Discard
    | RootReady
    | ServerForked
    | ServerEnded
    | Serve
    | AdoptConnections
    | Drain
    | RefreshFiles
    | DescribeState
    | TakeOver
    | PinJudged
    | TerminalGranted
    | LaunchEditor
    | ReadsRecorded
    | ImportsRecorded
    | CheckpointFrozen
    | StateDigested
    | StateDescribed
    | HoistFailed
    | LateImports
    | LoadEnded
    | LoadFailed
    | ServingBegan
    | RequestBegan
    | ConnectionsHandedOver
    | StreamOpened
    | FilesRefreshed
    | LoadWanted
    | ExclusiveHeld
    | TerminalWanted
    | TerminalReleased
    | EditorWanted
    | PinWanted
    | PinTried
    | OutputLeft
    | Noticed
    | Reported
    | ChecksEnded
)

_TYPES: dict[str, type[Message]] = {cls.__name__: cls for cls in typing.get_args(Message)}

MAX_FDS_PER_MESSAGE = 200
"""Linux takes at most 253 descriptors in one message (SCM_MAX_FD); senders split above this."""


class ProtocolError(Exception):
    """The peer said something that is no message. A bug of ours: both ends are of one version."""


# --- codec ---

# The app may put something else in the place of json's functions.
_to_json = json.JSONEncoder(separators=(",", ":")).encode
_from_json = json.JSONDecoder().decode


def encode(message: Message) -> bytes:
    """The line for `message`, its end included. Lone surrogates (undecodable file names) survive."""
    return _to_json({"type": type(message).__name__} | _plain_fields(message)).encode() + b"\n"


def decode(line: bytes) -> Message:
    """The message in `line`. Raises ProtocolError."""
    try:
        data = _from_json(line.decode())
        cls = _TYPES[data.pop("type")]
        return typing.cast("Message", _reader(typing.cast("Hashable", cls))(data))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProtocolError(f"not a message: {line[:200]!r}") from error


def fds_of(message: Message) -> int:
    """How many descriptors travel with `message`."""
    return getattr(message, "fds", 0)


class Framing:
    """Turns a stream of bytes into messages. Owns no socket."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that `data` completes."""
        self._buffer += data
        if b"\n" not in data:
            return []
        *lines, rest = self._buffer.split(b"\n")
        self._buffer = bytearray(rest)
        return [decode(bytes(line)) for line in lines]


def _plain_fields(value: typing.Any) -> dict[str, object]:
    return {field: _plain(getattr(value, field)) for field in _field_names(type(value))}


def _plain(value: typing.Any) -> object:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return _plain_fields(value)


_of_options = tuple(field.name for field in dataclasses.fields(Options))


def _field_names(cls: type) -> tuple[str, ...]:
    return cls.__match_args__ if issubclass(cls, Record) else _of_options


@cache
def _reader(hint: Hashable) -> Callable[[typing.Any], object]:
    """A function that turns what json.loads gave into a value of the annotated type."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(hint, type) and (
        dataclasses.is_dataclass(hint) or issubclass(hint, Record) or hasattr(hint, "_fields")
    ):
        hints: dict[str, Hashable] = typing.get_type_hints(hint)
        readers = {name: _reader(hints[name]) for name in _field_names(hint)}
        cls: type = hint

        def read_fields(data: dict[str, typing.Any]) -> object:
            return cls(**{name: readers[name](value) for name, value in data.items()})

        return read_fields
    if origin is tuple:
        if len(args) == 2 and args[1] is Ellipsis:
            item = _reader(args[0])
            return lambda values: tuple(item(value) for value in values)
        items = [_reader(arg) for arg in args]
        return lambda values: tuple(read(value) for read, value in zip(items, values, strict=True))
    if origin in (typing.Union, types.UnionType):
        (inner,) = [arg for arg in args if arg is not type(None)]
        read = _reader(typing.cast("Hashable", inner))
        return lambda value: None if value is None else read(value)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint
    return lambda value: value
