"""The tree of processes from what is said on channels; the test speaks for the processes, of which there are none."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from devserver import processes
from devserver.channel import Channel, socket_pair
from devserver.messages import (
    CheckpointFrozen,
    ChecksEnded,
    Configure,
    Discard,
    FilesRefreshed,
    Interface,
    KillServer,
    LoadEnded,
    Message,
    PinJudged,
    Plan,
    ReadsRecorded,
    ResumeCheckpoint,
    RootReady,
    ServerEnded,
    ServerForked,
)
from devserver.options import Options
from devserver.readset import Read, ReadKind
from devserver.report import Occasion, Report
from devserver.supervisor import events
from devserver.supervisor.process import RootProcess
from devserver.supervisor.state import DEEPEST
from devserver.supervisor.tree import ServerRecord, Tree
from devserver.target import Target, TargetKind

STACK = b"Fatal Python error"
PAGE = Report(Occasion.HANG, "still loading")


class Process:
    """The other end of a channel."""

    def __init__(self, sock: socket.socket, stack_fd: int = -1) -> None:
        self.channel = Channel(sock)
        self.stack_fd = stack_fd

    def heard(self) -> list[tuple[Message, list[int]]]:
        return self.channel.receive()

    def is_discarded(self) -> bool:
        return any(isinstance(message, Discard) for message, _fds in self.heard())

    def close(self) -> None:
        self.channel.close()
        if self.stack_fd >= 0:
            os.close(self.stack_fd)


class Grove:
    """A tree, and those of whom it believes that they are processes."""

    def __init__(self) -> None:
        self.events: list[events.Event] = []
        self.streams: list[int] = []
        self.refreshed: list[FilesRefreshed] = []
        self.wanted: list[tuple[int, Sequence[str]]] = []
        self.rehearsed: list[tuple[int, Message | None]] = []
        self.noticed: list[str] = []
        self.checked: list[ChecksEnded] = []
        self.later: list[Callable[[], None]] = []
        ours, theirs = socket_pair()
        self.root = Process(theirs)
        self._processes = [self.root]
        self.tree = Tree(
            RootProcess(-1, ours),
            lambda: Configure(Options(), Target(TargetKind.MODULE, "app", "/app/app.py", "/app"), (), ()),
            emit=self.events.append,
            on_reads=lambda server, reads: None,
            on_activity=lambda: None,
            notice=lambda text, warning: self.noticed.append(text),
            show_pin=lambda: None,
            on_stream=self.streams.append,
            on_refreshed=self.refreshed.append,
            on_load_wanted=lambda server, paths: self.wanted.append((server.number, paths)),
            on_rehearsal=lambda number, message: self.rehearsed.append((number, message)),
            call_later=lambda seconds, act: self.later.append(act),
            judge_pin=lambda tried: PinJudged("open" if tried == "123" else "", 3),
            on_report=lambda report, once: None,
            on_checks=self.checked.append,
            on_output=lambda fd, text: None,
        )
        assert isinstance(self.root.heard()[0][0], Configure)

    def resume(
        self,
        number: int,
        position: int = DEEPEST,
        hoisted: int = DEEPEST,
        *,
        by: Process | None = None,
        stand_in: Report | None = None,
    ) -> Process:
        """Have the tree resume; the server, which was forked `by` this process."""
        if stand_in is not None:
            self.tree.stand_in(number, stand_in, Plan(), run=1000 + number, refreshes=3)
        else:
            self.tree.resume(number, position, hoisted, Plan(), run=1000 + number, refreshes=3)
        asked = [(message, fds) for message, fds in (by or self.root).heard() if isinstance(message, ResumeCheckpoint)]
        ((message, (control, stack)),) = asked
        assert (message.server, message.run, message.refreshes) == (number, 1000 + number, 3)
        server = Process(socket.socket(fileno=control), stack)
        self._processes.append(server)
        return server

    def freeze(self, server: Process, position: int, pid: int, *, reachable: bool = True) -> Process:
        """The server leaves this checkpoint behind and goes on with the next pid."""
        ours, theirs = socket_pair()
        checkpoint = Process(ours)
        self._processes.append(checkpoint)
        if reachable:
            server.channel.send(CheckpointFrozen(position, pid, pid + 1), [theirs.fileno()])
        theirs.close()
        self.hear()
        return checkpoint

    def says(self, process: Process, *messages: Message) -> None:
        for message in messages:
            process.channel.send(message)
        self.hear()

    def hear(self) -> None:
        for channel in self.tree.channels():
            if not channel.closed:
                self.tree.attend(channel)

    def record(self, number: int) -> ServerRecord:
        return self.tree.servers[number]

    def close(self) -> None:
        for channel in self.tree.channels():
            channel.close()
        for number in list(self.tree.servers):
            self.record(number).channel.close()
            self.record(number).stack_file.close()
        for process in self._processes:
            process.close()


@pytest.fixture
def grove(monkeypatch: pytest.MonkeyPatch) -> Iterator[Grove]:
    monkeypatch.setattr(processes, "become_subreaper", lambda: None)  # not the process of the tests
    planted = Grove()
    yield planted
    planted.close()


def reads(*names: str) -> ReadsRecorded:
    return ReadsRecorded(tuple(Read(ReadKind.SOURCE, f"/app/{name}.py", "h:x") for name in names))


def names(server: ServerRecord) -> list[list[str]]:
    """What each process of the line has read."""
    return [sorted(Path(path).stem for path in one.paths()) for one in server.chain()]


def test_reads_belong_to_the_checkpoint_that_holds_them(grove: Grove) -> None:
    grove.says(grove.root, RootReady(10))
    assert grove.events == [events.RootStarted()]
    server = grove.resume(1)
    grove.says(server, reads("settings", "models"))
    grove.freeze(server, 1, 11)
    grove.says(server, reads("views"))
    grove.freeze(server, 2, 12)
    grove.says(server, reads("urls"))
    assert names(grove.record(1)) == [[], ["models", "settings"], ["views"], ["urls"]]
    assert (grove.record(1).pid, grove.record(1).resumed_at) == (13, 0)


def test_a_resume_discards_what_lies_deeper(grove: Grove) -> None:
    server = grove.resume(1)
    frozen = [grove.freeze(server, position, 10 + position) for position in (1, 2, 3)]
    grove.resume(2, 1, by=frozen[0])
    assert [one.is_discarded() for one in frozen] == [False, True, True]
    assert grove.record(2).resumed_at == 1
    grove.resume(3, 2, by=frozen[0])  # there is none at 2 any more: the deepest before it
    assert grove.record(3).resumed_at == 1
    assert len(grove.tree.channels()) == 1 + 3 + 3, "what is discarded lives until it is gone"


def test_who_was_overtaken_leaves_nothing_to_continue_from(grove: Grove) -> None:
    overtaken = grove.resume(1)
    current = grove.resume(2)
    assert grove.freeze(overtaken, 1, 11).is_discarded()
    kept = grove.freeze(current, 1, 21)
    assert not kept.is_discarded()
    grove.resume(3, by=kept)


def test_a_page_comes_from_the_root_and_changes_nothing(grove: Grove) -> None:
    loading = grove.resume(1)
    first = grove.freeze(loading, 1, 11)
    grove.resume(2, stand_in=PAGE)
    second = grove.freeze(loading, 2, 12)
    assert not first.is_discarded()
    assert not second.is_discarded()
    assert grove.record(2).chain()[1:] == [grove.record(2).reads]


def test_with_a_checkpoint_all_below_it_ends(grove: Grove) -> None:
    """Somebody killed it: its parent says so, with the number of the server that it had been."""
    server = grove.resume(1)
    first, second = grove.freeze(server, 1, 11), grove.freeze(server, 2, 12)
    beside = grove.resume(2, by=second)
    grove.freeze(beside, 3, 21)
    grove.says(first, ServerEnded(1, 12, -9))
    assert grove.events == [events.Ended(1, -9), events.Ended(2, -9)]
    assert not grove.tree.servers
    grove.resume(3, by=first)
    assert grove.record(3).resumed_at == 1


def test_the_end_of_a_discarded_checkpoint_is_nobodys_news(grove: Grove) -> None:
    server = grove.resume(1)
    first, _second = grove.freeze(server, 1, 11), grove.freeze(server, 2, 12)
    grove.resume(2, 1, by=first)
    grove.says(grove.root, ServerEnded(1, 99, 0))  # the server itself, told by whoever had it
    told = list(grove.events)
    grove.says(first, ServerEnded(1, 12, 0))
    assert grove.events == told
    assert len(grove.tree.channels()) == 1 + 1 + 1


def test_what_was_said_before_the_end_comes_first(grove: Grove) -> None:
    server = grove.resume(1)
    os.write(server.stack_fd, STACK)
    server.channel.send(LoadEnded("app", Interface.WSGI, 1, 5.0))
    grove.root.channel.send(ServerEnded(1, 11, -11))
    grove.hear()
    assert grove.events == [events.Loaded(1), events.Ended(1, -11)]
    assert grove.tree.last_words == {1: STACK.decode()}
    assert grove.tree.load_ms == 5.0


def test_a_checkpoint_left_behind_just_before_the_end(grove: Grove) -> None:
    """Both are in the channels; whoever continues must not be sent to it."""
    server = grove.resume(1)
    ours, theirs = socket_pair()
    server.channel.send(CheckpointFrozen(1, 11, 12), [theirs.detach()], close_fds=True)
    grove.says(grove.root, ServerEnded(1, 11, -9))
    assert grove.events == [events.Ended(1, -9)]
    ours.close()
    grove.resume(2)
    assert grove.record(2).resumed_at == 0


def test_a_checkpoint_that_cannot_be_reached_is_none(grove: Grove) -> None:
    """The supervisor is out of descriptors."""
    server = grove.resume(1)
    grove.says(server, reads("models"))
    grove.freeze(server, 1, 11, reachable=False)
    record = grove.record(1)
    grove.tree._frozen_behind(record, CheckpointFrozen(1, 11, 12), [])
    grove.says(server, reads("views"))
    assert names(record) == [[], ["models", "views"]]
    assert record.pid == 12
    grove.tree.kill(1)
    assert [message for message, _fds in grove.root.heard()] == [KillServer(1)]


def test_a_server_that_cannot_be_heard_is_ended(grove: Grove) -> None:
    """It gets its moment: what it says may end because it ends."""
    server = grove.resume(1)
    server.channel.close()
    grove.hear()
    assert not grove.root.heard()
    assert not grove.noticed
    grove.later.pop()()
    assert [message for message, _fds in grove.root.heard()] == [KillServer(1)]
    assert "cut its process off" in grove.noticed[0]


def test_a_server_that_was_not_heard_any_more_because_it_ended(grove: Grove) -> None:
    server = grove.resume(1)
    server.channel.close()
    grove.hear()
    grove.says(grove.root, ServerEnded(1, 11, 0))
    grove.later.pop()()
    assert not grove.root.heard()
    assert not grove.noticed


def test_a_server_for_which_there_was_no_process(grove: Grove) -> None:
    grove.resume(1)
    grove.says(grove.root, ServerEnded(1, 0, os.EX_OSERR))
    assert grove.events == [events.Ended(1, os.EX_OSERR)]


def test_the_pid_is_that_of_the_process_that_goes_on(grove: Grove) -> None:
    """Who forked it may be heard after it."""
    server = grove.resume(1)
    grove.freeze(server, 1, 11)
    grove.says(grove.root, ServerForked(1, 11))
    assert grove.record(1).pid == 12
    grove.resume(2, 0)
    grove.says(grove.root, ServerForked(2, 21))
    assert grove.record(2).pid == 21


def test_who_drains_is_killed_by_its_own_parent(grove: Grove) -> None:
    old = grove.resume(1)
    frozen = grove.freeze(old, 1, 11)
    grove.resume(2, 0)
    assert frozen.is_discarded()
    grove.tree.kill(1)
    assert [message for message, _fds in frozen.heard()] == [KillServer(1)]


def test_a_retired_root_lives_as_long_as_its_servers(grove: Grove) -> None:
    server = grove.resume(1)
    frozen = grove.freeze(server, 1, 11)
    grove.tree.retire_root()
    assert frozen.is_discarded()
    grove.tree.resume(2, DEEPEST, DEEPEST, Plan(), run=2, refreshes=0)
    assert not grove.root.heard()
    assert not grove.root.channel.closed
    grove.says(frozen, ServerEnded(1, 12, 0))
    grove.root.heard()
    assert grove.root.channel.closed, "the end of file is how it is told"
