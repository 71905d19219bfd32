"""The processes below the supervisor: which roots, checkpoints and servers there are, what was said to them and what they said.

Runs in the supervisor. Decides nothing: carries commands out and turns messages into events of `state`. Owns the roots, the
channels, the stack files and the connections that wait for the next server.
"""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from devserver import processes
from devserver.channel import Channel, socket_pair
from devserver.messages import (
    MAX_FDS_PER_MESSAGE,
    AdoptConnections,
    CheckpointFrozen,
    ChecksEnded,
    Configure,
    ConnectionsHandedOver,
    DescribeState,
    Drain,
    EditorWanted,
    ExclusiveHeld,
    FilesRefreshed,
    HoistFailed,
    ImportsRecorded,
    KillServer,
    LateImports,
    LoadEnded,
    LoadFailed,
    LoadWanted,
    Message,
    Noticed,
    OutputLeft,
    PinJudged,
    PinTried,
    PinWanted,
    Plan,
    ReadsRecorded,
    RefreshFiles,
    Reported,
    RequestBegan,
    ResumeCheckpoint,
    RootReady,
    Serve,
    ServerEnded,
    ServerForked,
    ServingBegan,
    StateDescribed,
    StateDigested,
    StreamOpened,
    TakeOver,
    TerminalGranted,
    TerminalReleased,
    TerminalWanted,
)
from devserver.readset import Read, ReadKind, ReadSet
from devserver.record import replace
from devserver.report import Report
from devserver.signatures import PENDING, sign_file
from devserver.supervisor import events
from devserver.supervisor.chain import Chain, CheckpointRecord
from devserver.supervisor.process import RootProcess, spawn_root

_STACK_BYTES = 1 << 18
_UNHEARD_S = 1.0
"""So long after the end of what it says a server that ends has ended."""
_UNHEARD = (
    "the app has cut its process off from devserver: does it close or write to descriptors that it has not opened "
    "(os.closerange, os.close)?"
)


@dataclass(slots=True, eq=False)
class RootRecord:
    process: RootProcess
    checkpoint: CheckpointRecord
    retired: bool = False
    servers: set[int] = field(default_factory=set)

    @property
    def channel(self) -> Channel:
        return self.checkpoint.channel


@dataclass(slots=True, eq=False)
class ServerRecord:
    """What is known of one server."""

    number: int
    root: RootRecord
    parent: CheckpointRecord  # the last checkpoint before it
    channel: Channel
    stack_file: BinaryIO
    stand_in: bool
    began: float  # time.monotonic() when it was asked for
    resumed_from: CheckpointRecord = field(init=False)
    reads: ReadSet = field(default_factory=ReadSet)  # since its parent
    adds_to: Callable[[CheckpointRecord], None] | None = None  # takes its checkpoints; None: they are discarded
    rehearses: bool = False
    writes: dict[str, str] = field(default_factory=dict)  # of a rehearsal: what it has written, and what was there then
    hoisted: bool = False  # it continues from a checkpoint of the branch
    pid: int = 0
    loaded: LoadEnded | None = None
    failed: LoadFailed | None = None

    def __post_init__(self) -> None:
        self.resumed_from = self.parent

    @property
    def resumed_at(self) -> int:
        """The position of the checkpoint that it continued from."""
        return self.resumed_from.position

    def chain(self) -> list[ReadSet]:
        """All that is in the state of this process: the reads of its checkpoints, the root first, and its own."""
        return [*(checkpoint.reads for checkpoint in self.parent.line()), self.reads]


class Tree:
    """All processes of the command. `emit` takes the events; `on_reads` is told when a server has read more, `on_rehearsal` what a
    rehearsal says and a server has to say to later ones, and with None that a rehearsal has ended.

    `spare` names the children of the supervisor that are not the tree's to kill.
    """

    def __init__(
        self,
        first: RootProcess,
        configure: Callable[[], Configure],
        *,
        emit: Callable[[events.Event], None],
        on_reads: Callable[[ServerRecord, Sequence[Read]], None],
        on_activity: Callable[[], None],
        notice: Callable[[str, bool], None],
        on_report: Callable[[Report, bool], None],
        on_checks: Callable[[ChecksEnded], None],
        on_output: Callable[[int, str], None],
        show_pin: Callable[[], None],
        judge_pin: Callable[[str], PinJudged],
        on_stream: Callable[[int], None],
        on_refreshed: Callable[[FilesRefreshed], None],
        on_load_wanted: Callable[[ServerRecord, Sequence[str]], None],
        on_rehearsal: Callable[[int, Message | None], None],
        call_later: Callable[[float, Callable[[], None]], None],
        spare: Callable[[int], bool] = lambda pid: False,
    ) -> None:
        self._configure = configure
        self._emit = emit
        self._on_reads = on_reads
        self._on_activity = on_activity
        self._notice = notice
        self._show_pin = show_pin
        self._judge_pin = judge_pin
        self._on_stream = on_stream
        self._on_refreshed = on_refreshed
        self._on_load_wanted = on_load_wanted
        self._on_rehearsal = on_rehearsal
        self._call_later = call_later
        self._noticed: set[str] = set()
        self._on_report = on_report
        self._on_checks = on_checks
        self._on_output = on_output
        self._spare = spare
        self._roots: list[RootRecord] = []
        self._root: RootRecord | None = None
        self._chain = Chain()
        self.servers: dict[int, ServerRecord] = {}
        self.last_words: dict[int, str] = {}  # what faulthandler wrote of the server that ended last
        self._listeners: Sequence[socket.socket] = ()
        self._accepting: ServerRecord | None = None
        self._waiting: list[tuple[int, str]] = []  # connections for the next server
        self.load_ms = 0.0  # of the last load that began at a root
        processes.become_subreaper()
        self._take_root(first)

    def listen_on(self, listeners: Sequence[socket.socket]) -> None:
        """The sockets that servers are to accept on. Not taken over."""
        self._listeners = listeners

    def channels(self) -> list[Channel]:
        """What belongs in the selector."""
        found = [root.channel for root in self._roots] + [server.channel for server in self.servers.values()]
        found += [checkpoint.channel for checkpoint in self._chain.frozen()]
        return [channel for channel in found if not channel.closed]

    # --- commands ---

    def spawn_root(self) -> None:
        self._take_root(spawn_root())

    def _take_root(self, process: RootProcess) -> None:
        root = RootRecord(process, CheckpointRecord(0, process.pid, Channel(process.sock), None))
        self._roots.append(root)
        self._root = root
        self._chain.begin(root.checkpoint)
        root.channel.send(self._configure())

    def retire_root(self) -> None:
        """The current root gets no more work."""
        if self._root is not None:
            self._root.retired = True
            self._chain.leave()
            self._end_if_idle(self._root)
            self._root = None

    def resume(self, number: int, position: int, hoisted: int, plan: Plan, *, run: int, refreshes: int) -> None:
        """Fork a server from the checkpoint of the branch at `hoisted`, if there is one, else from that of the line at `position`,
        or from the deepest before it that lives.

        Those behind these are discarded. Nothing happens if the root is gone (its end is an event of its own).
        """
        if self._root is None:
            return
        self._chain.cut(position)
        self._chain.cut_branch(hoisted)
        branch = self._chain.branch
        for server in self.servers.values():
            server.adds_to = None
        server = self._fork(number, branch[-1] if branch else self._chain.deepest, None, plan, run, refreshes)
        server.hoisted = bool(branch)
        server.adds_to = self._chain.add_to_branch if branch else self._chain.add

    def stand_in(self, number: int, page: Report, plan: Plan, *, run: int, refreshes: int) -> None:
        """Fork a server from the root that serves nothing but this page."""
        if self._root is not None:
            self._fork(number, self._root.checkpoint, page, plan, run, refreshes)

    def rehearse(self, number: int, parent: CheckpointRecord, plan: Plan) -> None:
        """Fork a server from `parent` whose load is to be compared. Its checkpoints are those of the branch if it hoists, else of
        the line if that ends there."""
        if self._root is None:
            return
        server = self._fork(number, parent, None, plan, 0, 0)
        server.rehearses = True
        if plan.hoist:
            self._chain.begin_branch(parent)
            server.adds_to = self._chain.add_to_branch
        elif plan.checkpoints:
            server.adds_to = self._chain.add

    def take_over(self, number: int, *, run: int, refreshes: int) -> None:
        """This rehearsal is to serve."""
        if server := self.servers.get(number):
            server.rehearses = False
            server.began = time.monotonic()
            server.channel.send(TakeOver(run, refreshes))

    def describe_state(self, number: int, labels: Sequence[str]) -> None:
        if server := self.servers.get(number):
            server.channel.send(DescribeState(tuple(labels)))

    @property
    def chain(self) -> Chain:
        """Who may be continued from."""
        return self._chain

    def _fork(
        self, number: int, parent: CheckpointRecord, stand_in: Report | None, plan: Plan, run: int, refreshes: int
    ) -> ServerRecord:
        assert self._root is not None
        ours, theirs = socket_pair()
        stack_file = _stack_file()
        server = ServerRecord(
            number,
            self._root,
            parent,
            Channel(ours),
            stack_file,
            stand_in is not None,
            time.monotonic(),
        )
        self.servers[number] = server
        self._root.servers.add(number)
        stack_fd = os.dup(stack_file.fileno())
        parent.channel.send(
            ResumeCheckpoint(number, stand_in, plan, run, refreshes), [theirs.detach(), stack_fd], close_fds=True
        )
        return server

    def let_serve(self, number: int) -> None:
        server = self.servers.get(number)
        if server is None:
            return
        self._accepting = server
        server.channel.send(Serve(len(self._listeners)), [listener.fileno() for listener in self._listeners])
        self._forward_connections()

    def let_drain(self, number: int, grace_s: float) -> None:
        if server := self.servers.get(number):
            if self._accepting is server:
                self._accepting = None
            server.channel.send(Drain(grace_s))

    def kill(self, number: int) -> None:
        if server := self.servers.get(number):
            if self._accepting is server:
                self._accepting = None
            server.parent.channel.send(KillServer(number))

    def refresh(self, number: int, paths: tuple[str, ...], watched: tuple[str, ...], refresh: int) -> None:
        if server := self.servers.get(number):
            server.channel.send(RefreshFiles(paths, refresh, watched))

    def ask_for_stack(self, number: int) -> None:
        """Have the process write its stacks into its stack file."""
        if (server := self.servers.get(number)) and server.pid:
            _signal(server.pid, processes.STACK_SIGNAL)

    def let_prompt(self, number: int) -> None:
        """The terminal is this server's."""
        if server := self.servers.get(number):
            server.channel.send(TerminalGranted())

    def interrupt(self, number: int) -> None:
        """Ctrl-C for the process at the debugger prompt."""
        if (server := self.servers.get(number)) and server.pid:
            _signal(server.pid, signal.SIGINT)

    def redraw_prompt(self, number: int, *, resized: bool = False) -> None:
        """Something was printed at the debugger prompt, or the terminal has another size: the prompt is shown anew."""
        if (server := self.servers.get(number)) and server.pid:
            _signal(server.pid, signal.SIGWINCH if resized else processes.REDRAW_SIGNAL)

    @staticmethod
    def stack_of(server: ServerRecord) -> str:
        """What stands in the stack file."""
        return os.pread(server.stack_file.fileno(), _STACK_BYTES, 0).decode(errors="replace")

    def close(self, deadline_s: float) -> None:
        """End everything: roots kill what they have below at the end of file. What is left then is killed."""
        for _fd, _data in self._waiting:
            os.close(_fd)
        self._waiting.clear()
        for server in self.servers.values():
            server.channel.close()
            server.stack_file.close()
        self._chain.close()
        for root in self._roots:
            root.channel.close()  # all at once, then wait for each
        for root in self._roots:
            root.process.abandon(deadline_s)
        processes.kill_all_below(spare=self._spare)

    # --- what processes say ---

    def attend(self, channel: Channel) -> None:
        """Read what came on `channel`, and send what it takes now."""
        channel.flush()
        root = next((root for root in self._roots if root.channel is channel), None)
        server = next((server for server in self.servers.values() if server.channel is channel), None)
        for message, fds in channel.receive():
            if server is not None:
                self._server_said(server, message, fds)
            else:
                self._checkpoint_said(root, message)
        if server is not None and channel.closed:
            self._call_later(_UNHEARD_S, lambda: self._end_unheard(server.number))

    def _end_unheard(self, number: int) -> None:
        """Nothing can be asked of it any more, nor would it say that it has loaded."""
        if (server := self.servers.get(number)) is not None:
            if not server.rehearses:
                self._notice(_UNHEARD, True)
            self.kill(number)

    def reap_roots(self) -> None:
        """After SIGCHLD: a root that ended is no more, nor is anything it had below."""
        for root in list(self._roots):
            status = root.process.reap()
            if status is None:
                continue
            for message, _fds in root.channel.receive():  # its last words
                self._checkpoint_said(root, message)
            self._roots.remove(root)
            root.channel.close()
            processes.kill_all_below(spare=self._is_spared)
            for number in list(root.servers):
                self._forget(number)
            self._chain.forget_below(root.checkpoint)
            if root is self._root:
                self._root = None
                self._chain.leave()
                self._emit(events.RootEnded(status))

    def _is_spared(self, pid: int) -> bool:
        return any(pid == root.process.pid for root in self._roots) or self._spare(pid)

    def _checkpoint_said(self, root: RootRecord | None, message: Message) -> None:
        match message:
            case RootReady():
                if root is self._root:
                    self._emit(events.RootStarted())
            case ServerForked(server=number, pid=pid):
                server = self.servers.get(number)
                if server is not None and not server.pid:  # else it was frozen since, and said so first
                    server.pid = pid
            case ServerEnded(server=number, pid=pid, status=status):
                self._process_ended(number, pid, status)
            case _:
                raise AssertionError(f"not from a checkpoint: {message}")

    def _process_ended(self, number: int, pid: int, status: int) -> None:
        """A server is gone, or a checkpoint and with it all that is below it."""
        if (server := self.servers.get(number)) is not None:
            self._hear_out(server)  # it may have left a checkpoint behind meanwhile
        checkpoint = self._chain.with_pid(pid)
        if checkpoint is None:
            self._server_ended(number, status)
            return
        for below in [server for server in self.servers.values() if checkpoint in server.parent.line()]:
            self._server_ended(below.number, status)
        self._chain.forget_below(checkpoint)

    def _server_ended(self, number: int, status: int) -> None:
        server = self.servers.get(number)
        if server is not None:
            self._hear_out(server)
            self.last_words = {number: self.stack_of(server)}
        if server is not None and server.rehearses:
            cut_off = [path for path, signature in server.writes.items() if signature == PENDING]
            self._share_written(server, [Read(ReadKind.WRITTEN, path, sign_file(path)) for path in cut_off])
            self._forget(number)
            self._on_rehearsal(number, None)
        else:
            self._emit(events.Ended(number, status))
            self._forget(number)
        if server is not None:
            server.root.servers.discard(number)
            self._end_if_idle(server.root)

    def _hear_out(self, server: ServerRecord) -> None:
        """Take in what it said before it ended."""
        for message, fds in server.channel.receive():
            self._server_said(server, message, fds)

    def _forget(self, number: int) -> None:
        server = self.servers.pop(number, None)
        if server is not None:
            if self._accepting is server:
                self._accepting = None
            server.channel.close()
            server.stack_file.close()

    def _end_if_idle(self, root: RootRecord) -> None:
        if root.retired and not root.servers:
            root.channel.close()

    def _rehearsal_said(self, server: ServerRecord, message: Message, fds: list[int]) -> None:
        """What it has to say beside that is of no interest: it was said by the load that it repeats."""
        match message:
            case ReadsRecorded(reads=reads):
                server.reads.add(reads)
                self._share_written(server, [read for read in reads if read.kind is ReadKind.WRITTEN])
            case CheckpointFrozen():
                self._frozen_behind(server, message, fds)
            case ImportsRecorded() | StateDigested() | StateDescribed() | HoistFailed():
                self._on_rehearsal(server.number, message)
            case TerminalWanted():  # a debugger prompt: nobody is to be asked
                self.kill(server.number)
            case _:
                for fd in fds:
                    os.close(fd)

    def _share_written(self, rehearsal: ServerRecord, written: Sequence[Read]) -> None:
        """What a rehearsal writes repeats what the load has written that it repeats, and is no change by somebody else."""
        for read in written:
            rehearsal.writes[read.path] = read.signature
            for server in self.servers.values():
                if not server.rehearses:
                    server.reads.add([replace(read, position=server.resumed_at + 1)])
            for checkpoint in {*self._chain.line, *self._chain.branch}:
                if any(own.kind is ReadKind.WRITTEN for own in checkpoint.reads.reads_of(read.path)):
                    checkpoint.reads.add([replace(read, position=checkpoint.position)])

    def _server_said(self, server: ServerRecord, message: Message, fds: list[int]) -> None:
        if server.rehearses:
            self._rehearsal_said(server, message, fds)
            return
        match message:
            case ReadsRecorded(reads=reads):
                server.reads.add(reads)
                self._on_reads(server, reads)
            case CheckpointFrozen():
                self._frozen_behind(server, message, fds)
            case LoadEnded(exclusive=exclusive):
                server.loaded = message
                if not server.resumed_at:
                    self.load_ms = message.load_ms
                self._emit(events.Loaded(server.number, exclusive))
            case LoadFailed(report=report, exclusive=exclusive):
                server.failed = message
                self._emit(events.LoadRaised(server.number, report, exclusive))
            case ServingBegan():
                self._emit(events.Began(server.number))
            case RequestBegan():
                self._on_activity()
                self._emit(events.RequestArrived(server.number))
            case ExclusiveHeld(what=what):
                self._emit(events.TookExclusive(server.number, what))
            case ConnectionsHandedOver(data=data):
                self._waiting += zip(fds, data, strict=False)  # out of descriptors: the last ones are lost
                self._forward_connections()
            case TerminalWanted():
                self._emit(events.PromptOpened(server.number))
            case TerminalReleased():
                self._emit(events.PromptClosed(server.number))
            case EditorWanted(path=path, line=line, column=column):
                self._emit(events.EditorAsked(path, line, column))
            case PinWanted():
                self._show_pin()
            case PinTried(pin=tried):
                server.channel.send(self._judge_pin(tried))
            case OutputLeft(fd=fd, text=text):
                self._on_output(fd, text)
            case StreamOpened():
                for fd in fds:  # none if this process is out of descriptors
                    self._on_stream(fd)
            case FilesRefreshed():
                self._on_refreshed(message)
            case LateImports():
                self._on_rehearsal(server.number, message)
            case LoadWanted(paths=paths):
                self._on_load_wanted(server, paths)
            case Noticed(text=text, warning=warning, once=once):
                if not once or text not in self._noticed:
                    self._notice(text, warning)
                if once:
                    self._noticed.add(text)
            case Reported(report=report, once=once):
                self._on_report(report, once)
            case ChecksEnded():
                if server is self._accepting:  # else a newer one's will tell
                    self._on_checks(message)
                if message.failure is not None:
                    self._emit(events.ChecksFailed(server.number, message.failure))
            case _:
                raise AssertionError(f"not from a server: {message}")

    def _frozen_behind(self, server: ServerRecord, message: CheckpointFrozen, fds: list[int]) -> None:
        """A server has left a checkpoint behind, and what it had read until then."""
        server.pid = message.server_pid
        if not fds:  # out of descriptors: nobody can reach the checkpoint, which ends with its child
            return
        checkpoint = CheckpointRecord(
            message.position, message.pid, Channel(socket.socket(fileno=fds[0])), server.parent, server.reads
        )
        server.parent, server.reads = checkpoint, ReadSet()
        (server.adds_to or self._chain.discard)(checkpoint)

    def _forward_connections(self) -> None:
        while self._waiting and self._accepting is not None:
            batch, self._waiting = self._waiting[:MAX_FDS_PER_MESSAGE], self._waiting[MAX_FDS_PER_MESSAGE:]
            message = AdoptConnections(len(batch), tuple(data for _fd, data in batch))
            self._accepting.channel.send(message, [fd for fd, _data in batch], close_fds=True)


def _stack_file() -> BinaryIO:
    """A file without a name."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("devserver-stack"), "rb+", buffering=0)
    return tempfile.TemporaryFile(buffering=0)


def _signal(pid: int, signum: int) -> None:
    try:
        os.kill(pid, signum)
    except ProcessLookupError:
        pass
