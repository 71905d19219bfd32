"""Frozen processes: real forks in a process of their own, with the test in the supervisor's place."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import TypeVar

import pytest

from devserver import processes
from devserver.channel import Channel, socket_pair
from devserver.messages import (
    CheckpointFrozen,
    Discard,
    Drain,
    KillServer,
    Message,
    Noticed,
    Plan,
    ResumeCheckpoint,
    RootReady,
    ServerEnded,
    ServerForked,
)
from tests.e2e.harness import alive
from tests.waiting import DEADLINE_S, eventually

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc, parent-death signals")

T = TypeVar("T", bound=Message)

# `say` tells the test something; `serve` waits until it is told to end with a status, or the channel ends.
DRIVER = """
import os, signal, socket, sys, threading
from devserver.channel import Channel
from devserver.messages import Noticed
from devserver.server.load import chain
from devserver.server.load.chain import Root, call_in_apps_children, freeze

channel = Channel(socket.socket(fileno=int(sys.argv[1])))
preloaded = []

def say(text):
    channel.send(Noticed(str(text)))
    channel.flush_within(20)

def frozen(position=1):
    "Freeze; how this process has come to go on."
    global channel
    resumed = freeze(1, channel, position, lambda: preloaded.append(position))
    if resumed is None:
        return "first"
    channel = resumed.channel
    return f"server {resumed.server}, {resumed.plan.load_ms:g} ms"

def serve():
    while True:
        channel.readable(None)
        for message, _fds in channel.receive():
            os._exit(int(message.grace_s))
        if channel.closed:
            os._exit(99)
"""


@dataclass
class Speaker:
    """A channel, and what was said on it that nobody has asked for yet."""

    channel: Channel
    _heard: list[tuple[Message, list[int]]] = field(default_factory=list)

    def next(self, kind: type[T]) -> tuple[T, list[int]]:
        """The next message of this type; those before it stay."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            for item in self._heard:
                if isinstance(item[0], kind):
                    self._heard.remove(item)
                    return item[0], item[1]
            left = deadline - time.monotonic()
            if left <= 0 or self.channel.closed:
                pytest.fail(f"no {kind.__name__}, only {self._heard}")
            self.channel.readable(left)
            self._heard += self.channel.receive()

    def left(self, kind: type[Message]) -> list[tuple[Message, list[int]]]:
        """All messages of this type that came by now."""
        return [item for item in self._heard if isinstance(item[0], kind)]

    def text(self) -> str:
        return self.next(Noticed)[0].text

    def ends(self) -> bool:
        """Wait for the end of file."""
        return eventually(lambda: self.channel.receive() == [] and self.channel.closed)


class Loading:
    """A process that loads, with the test as its supervisor."""

    def __init__(self, folder: Path, source: str, *, cwd: Path | None = None) -> None:
        (folder / "load.py").write_text(DRIVER + dedent(source))
        ours, theirs = socket_pair()
        with theirs:
            self.output = (folder / "output").open("w+")
            self.process = subprocess.Popen(
                [sys.executable, str(folder / "load.py"), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=self.output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
            )
        self.server = Speaker(Channel(ours))
        self._channels = [self.server.channel]

    def checkpoint(self) -> tuple[Speaker, CheckpointFrozen]:
        """The one that was left behind now."""
        message, fds = self.server.next(CheckpointFrozen)
        return self.speaker(fds[0]), message

    def resume(
        self, checkpoint: Speaker, number: int, *, load_ms: float = 0.0, checkpoints: bool = False
    ) -> tuple[Speaker, int]:
        """Another server from there, and its pid."""
        ours, theirs = socket_pair()
        stack = os.memfd_create("stack")
        message = ResumeCheckpoint(number, None, Plan(checkpoints, load_ms=load_ms))
        checkpoint.channel.send(message, [theirs.detach(), stack], close_fds=True)
        forked, _fds = checkpoint.next(ServerForked)
        assert forked.server == number
        return self.speaker(ours.detach()), forked.pid

    def speaker(self, fd: int) -> Speaker:
        """Whoever speaks on this descriptor, which is taken over."""
        speaker = Speaker(Channel(socket.socket(fileno=fd)))
        self._channels.append(speaker.channel)
        return speaker

    def said(self) -> str:
        """What was printed."""
        self.output.seek(0)
        return self.output.read()

    def close(self) -> None:
        for pid in [*processes.descendants(self.process.pid), self.process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        for channel in self._channels:
            channel.close()
        self.output.close()


Load = Callable[[str], Loading]


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    started: list[Loading] = []

    def start(source: str) -> Loading:
        started.append(Loading(tmp_path, source))
        return started[-1]

    yield start
    for one in started:
        one.close()


SIMPLE = """
    loaded = ["before"]
    how = frozen()
    loaded.append(how)
    say(f"{os.getpid()} {os.getpgrp()} {os.getppid()} {loaded}")
    serve()
"""


def test_the_first_goes_on_as_the_same_server(load: Load) -> None:
    loading = load(SIMPLE)
    _checkpoint, frozen = loading.checkpoint()
    assert frozen.pid == loading.process.pid
    server = frozen.server_pid
    assert loading.server.text() == f"{server} {server} {frozen.pid} ['before', 'first']"
    assert frozen.position == 1


def test_each_that_continues_finds_the_state_of_the_freeze(load: Load) -> None:
    loading = load(SIMPLE)
    checkpoint, frozen = loading.checkpoint()
    pids = {frozen.server_pid}
    for number in (2, 3):
        server, pid = loading.resume(checkpoint, number, load_ms=number * 10)
        expected = f"['before', 'server {number}, {number * 10} ms']"
        assert server.text() == f"{pid} {pid} {frozen.pid} {expected}"
        pids.add(pid)
    assert len(pids) == 3
    assert all(map(alive, pids))


def test_how_a_server_ended_is_told_by_whom_it_came_from(load: Load) -> None:
    loading = load(SIMPLE)
    checkpoint, frozen = loading.checkpoint()
    server, pid = loading.resume(checkpoint, 2)
    server.channel.send(Drain(7.0))
    assert checkpoint.next(ServerEnded)[0] == ServerEnded(2, pid, 7)
    checkpoint.channel.send(KillServer(1))
    assert checkpoint.next(ServerEnded)[0] == ServerEnded(1, frozen.server_pid, -signal.SIGKILL)
    checkpoint.channel.send(KillServer(1))  # gone already: nothing to be done
    assert loading.resume(checkpoint, 3)[0].text().endswith("'server 3, 0 ms']")


def test_what_is_left_of_a_server_ends_with_it(load: Load) -> None:
    """Its group, and what it had started in a session of its own."""
    loading = load(
        """
        import subprocess
        frozen()
        sleep = [sys.executable, "-c", "import signal; signal.pause()"]
        children = [subprocess.Popen(sleep), subprocess.Popen(sleep, start_new_session=True)]
        say(" ".join(str(child.pid) for child in children))
        serve()
        """
    )
    checkpoint, _frozen = loading.checkpoint()
    children = [int(pid) for pid in loading.server.text().split()]
    loading.server.channel.send(Drain(0.0))
    checkpoint.next(ServerEnded)
    assert eventually(lambda: not any(map(alive, children)))


def test_a_discarded_checkpoint_ends_with_its_last_child(load: Load) -> None:
    loading = load(SIMPLE)
    checkpoint, frozen = loading.checkpoint()
    other, pid = loading.resume(checkpoint, 2)
    checkpoint.channel.send(Discard())
    loading.server.channel.send(Drain(0.0))
    assert checkpoint.next(ServerEnded)[0].pid == frozen.server_pid
    assert loading.process.poll() is None
    assert alive(pid)
    other.channel.send(Drain(0.0))
    assert loading.process.wait(DEADLINE_S) == 0


def test_a_chain_ends_from_its_end(load: Load) -> None:
    """The deeper checkpoint is a child of the other: its end is told there, with the number of the server it had been."""
    loading = load("frozen(1); say('between'); frozen(2); say('behind'); serve()")
    first, frozen_first = loading.checkpoint()
    second, frozen_second = loading.checkpoint()
    assert frozen_second.pid == frozen_first.server_pid
    for checkpoint in (first, second):
        checkpoint.channel.send(Discard())
    loading.server.channel.send(Drain(3.0))
    assert second.next(ServerEnded)[0] == ServerEnded(1, frozen_second.server_pid, 3)
    assert first.next(ServerEnded)[0] == ServerEnded(1, frozen_second.pid, 0)
    assert loading.process.wait(DEADLINE_S) == 0


@pytest.mark.parametrize("how", ["killed", "end of file"])
def test_who_is_below_ends_with_a_checkpoint(load: Load, how: str) -> None:
    loading = load("frozen(1); frozen(2); say('loaded'); serve()")
    first, frozen_first = loading.checkpoint()
    second, frozen_second = loading.checkpoint()
    _server, pid = loading.resume(second, 2)
    below = [frozen_first.server_pid, frozen_second.server_pid, pid]
    if how == "killed":
        loading.process.kill()
    else:
        first.channel.close()
    loading.process.wait(DEADLINE_S)
    assert eventually(lambda: not any(map(alive, below)))


def test_a_frozen_process_hears_no_signal(load: Load) -> None:
    """Nor does a server that continues from there afterwards: to it nothing was sent."""
    loading = load(
        """
        heard = []
        signal.signal(signal.SIGTERM, lambda *_: heard.append("handled"))
        how = frozen()
        say(f"{how} {signal.pthread_sigmask(signal.SIG_BLOCK, []) or set()} {signal.sigpending() or set()}")
        while not heard:
            channel.readable(0.05)
        say(heard)
        serve()
        """
    )
    checkpoint, frozen = loading.checkpoint()
    assert loading.server.text() == "first set() set()"
    os.kill(frozen.pid, signal.SIGTERM)
    server, pid = loading.resume(checkpoint, 2)
    assert server.text() == "server 2, 0 ms set() set()"
    os.kill(pid, signal.SIGTERM)
    assert server.text() == "['handled']"
    assert alive(frozen.pid)


def test_an_app_that_ignores_the_end_of_children(load: Load) -> None:
    """Then the system reaps them; the checkpoint wants to be told nevertheless, the servers must go on ignoring it."""
    loading = load(
        """
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        how = frozen()
        say(f"{how} {signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN}")
        serve()
        """
    )
    checkpoint, frozen = loading.checkpoint()
    assert loading.server.text() == "first True"
    server, pid = loading.resume(checkpoint, 2)
    assert server.text() == "server 2, 0 ms True"
    server.channel.send(Drain(3.0))
    assert checkpoint.next(ServerEnded)[0] == ServerEnded(2, pid, 3)
    assert alive(frozen.pid)


def test_each_holds_its_own_channel_alone(load: Load) -> None:
    """When the last of its holders is gone, the other side sees the end of file: nobody else may have a copy."""
    loading = load(SIMPLE)
    checkpoint, frozen = loading.checkpoint()
    one, _pid = loading.resume(checkpoint, 2)
    two, pid = loading.resume(checkpoint, 3)
    loading.server.text()
    one.text()
    two.text()
    os.kill(frozen.server_pid, signal.SIGKILL)
    checkpoint.next(ServerEnded)
    assert loading.server.ends()
    one.channel.send(Drain(0.0))
    checkpoint.next(ServerEnded)
    assert one.ends()
    os.kill(pid, signal.SIGKILL)
    checkpoint.next(ServerEnded)
    assert two.ends()
    loading.process.kill()
    assert checkpoint.ends()


def test_resumes_that_come_at_once(load: Load) -> None:
    """Two orders in one reading: the first child takes nothing of the second."""
    loading = load(SIMPLE)
    checkpoint, frozen = loading.checkpoint()
    os.kill(frozen.pid, signal.SIGSTOP)
    pairs = [socket_pair() for _ in range(2)]
    for number, (_ours, theirs) in enumerate(pairs, 2):
        message = ResumeCheckpoint(number, None, Plan())
        checkpoint.channel.send(message, [theirs.detach(), os.memfd_create("stack")], close_fds=True)
    os.kill(frozen.pid, signal.SIGCONT)
    servers = [loading.speaker(ours.detach()) for ours, _theirs in pairs]
    assert [server.text().split("server ")[1][0] for server in servers] == ["2", "3"]
    servers[1].channel.send(Drain(0.0))
    checkpoint.next(ServerEnded)
    assert servers[1].ends(), "the first has no copy of the second's channel"


def test_preparations_are_made_after_the_first_and_before_the_second(load: Load) -> None:
    loading = load("chain.PRELOAD_AFTER_S = 0; how = frozen(); say(f'{how} {preloaded}'); serve()")
    checkpoint, _frozen = loading.checkpoint()
    assert loading.server.text() == "first []"
    assert loading.resume(checkpoint, 2)[0].text() == "server 2, 0 ms []"
    assert loading.resume(checkpoint, 3)[0].text() == "server 3, 0 ms [1]"


def test_output_in_a_buffer_is_printed_once(load: Load) -> None:
    loading = load("print('printed before', end=''); sys.stdout.flush(); frozen(); say('on'); serve()")
    checkpoint, _frozen = loading.checkpoint()
    for number in (2, 3):
        server, _pid = loading.resume(checkpoint, number)
        server.text()
        server.channel.send(Drain(0.0))
        checkpoint.next(ServerEnded)
    assert loading.said() == "printed before"


def test_what_the_user_put_in_place_of_the_output_is_left_alone(load: Load) -> None:
    """It was flushed before the freeze; a frozen process runs no code of the user's."""
    loading = load(
        """
        class Output:
            def write(self, text): pass
            def flush(self): raise RuntimeError("the user wrote this")
        sys.stdout = Output()
        sys.stderr.close()
        say(frozen())
        serve()
        """
    )
    checkpoint, _frozen = loading.checkpoint()
    assert loading.server.text() == "first"
    server, _pid = loading.resume(checkpoint, 2)
    assert server.text() == "server 2, 0 ms"


def test_no_process_is_to_be_had_for_a_checkpoint(load: Load) -> None:
    loading = load(
        """
        def fork(): raise BlockingIOError(11, "no")
        before = sorted(os.listdir("/proc/self/fd"))
        real, os.fork = os.fork, fork
        try:
            frozen()
        except OSError as error:
            say(f"{error.strerror}, {sorted(os.listdir('/proc/self/fd')) == before}")
        os.fork = real
        say(frozen())
        serve()
        """
    )
    assert loading.server.text() == "no, True"
    assert loading.server.text() == "first"


def test_no_process_is_to_be_had_for_a_server(load: Load) -> None:
    """To the supervisor it has died; the checkpoint is as before."""
    loading = load(
        """
        calls, real = [], os.fork
        def fork():
            calls.append(1)
            if len(calls) == 2:
                raise BlockingIOError(11, "no more processes")
            return real()
        os.fork = fork
        say(frozen())
        serve()
        """
    )
    checkpoint, _frozen = loading.checkpoint()
    ours, theirs = socket_pair()
    fds = [theirs.detach(), os.memfd_create("stack")]
    checkpoint.channel.send(ResumeCheckpoint(2, None, Plan()), fds, close_fds=True)
    assert checkpoint.next(ServerEnded)[0] == ServerEnded(2, 0, os.EX_OSERR)
    assert ours.recv(1) == b""
    ours.close()
    assert "no process for the app: no more processes" in loading.said()
    assert loading.resume(checkpoint, 3)[0].text() == "server 3, 0 ms"


def test_no_files_are_to_be_had_for_a_server(load: Load) -> None:
    loading = load("say(frozen()); serve()")
    checkpoint, frozen = loading.checkpoint()
    loading.resume(checkpoint, 2)  # by then it has opened and closed what belongs to a freeze
    usual = resource.prlimit(frozen.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(frozen.pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{frozen.pid}/fd")), usual[1]))
    ours, theirs = socket_pair()
    with ours:
        fds = [theirs.detach(), os.memfd_create("stack")]
        checkpoint.channel.send(ResumeCheckpoint(3, None, Plan()), fds, close_fds=True)
        assert checkpoint.next(ServerEnded)[0] == ServerEnded(3, 0, os.EX_OSERR)
    resource.prlimit(frozen.pid, resource.RLIMIT_NOFILE, usual)
    assert loading.resume(checkpoint, 4)[0].text() == "server 4, 0 ms"


def test_what_is_no_message_ends_the_checkpoint_and_not_in_the_users_import(load: Load) -> None:
    loading = load(
        """
        try:
            frozen()
        except BaseException as error:
            print("the import was told", error, flush=True)
        serve()
        """
    )
    checkpoint, frozen = loading.checkpoint()
    checkpoint.channel.send(Drain(1.0))
    assert loading.process.wait(DEADLINE_S) == os.EX_SOFTWARE
    assert eventually(lambda: not alive(frozen.server_pid))
    assert "a checkpoint failed: ProtocolError" in loading.said()
    assert "the import was told" not in loading.said()


def test_children_of_the_app_are_told_from_processes_that_continue(load: Load) -> None:
    loading = load(
        """
        told = []
        call_in_apps_children(lambda: told.append(os.getpid()))
        how = frozen()
        pid = os.fork()
        if not pid:
            os._exit(len(told))
        say(f"{how}: {len(told)} here, {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])} in a child")
        serve()
        """
    )
    checkpoint, _frozen = loading.checkpoint()
    assert loading.server.text() == "first: 0 here, 1 in a child"
    assert loading.resume(checkpoint, 2)[0].text() == "server 2, 0 ms: 0 here, 1 in a child"


def test_a_child_of_the_app_does_not_keep_its_channel_open(load: Load) -> None:
    loading = load(
        """
        frozen()
        pid = os.fork()
        if not pid:
            os.setsid()
            signal.pause()
        say(pid)
        serve()
        """
    )
    checkpoint, _frozen = loading.checkpoint()
    server, pid = loading.resume(checkpoint, 2)
    child = int(server.text())
    os.kill(child, signal.SIGSTOP)  # so that it is not gone before its parent
    os.kill(pid, signal.SIGKILL)
    assert server.ends()


def test_an_import_goes_on_in_the_middle(load: Load, tmp_path: Path) -> None:
    """Frozen inside nested imports, with their locks held: each that continues finishes them, and imports in threads."""
    (tmp_path / "outer.py").write_text("import inner\nDONE = inner.HOW\n")
    (tmp_path / "inner.py").write_text("import builtins\nHOW = builtins.frozen()\n")
    (tmp_path / "late.py").write_text("import outer\nDONE = outer.DONE\n")
    loading = load(
        """
        import builtins
        builtins.frozen = frozen
        import outer
        found = []
        def import_late():
            import late, inner
            found.append(late.DONE)
        thread = threading.Thread(target=import_late)
        thread.start()
        thread.join(20)
        say(f"{outer.DONE}, {found}")
        serve()
        """
    )
    checkpoint, _frozen = loading.checkpoint()
    assert loading.server.text() == "first, ['first']"
    for number in (2, 3):
        how = f"server {number}, 0 ms"
        assert loading.resume(checkpoint, number)[0].text() == f"{how}, ['{how}']"


def test_the_root_is_a_checkpoint_with_nothing_of_the_users(load: Load) -> None:
    loading = load(
        """
        root = Root(channel)
        resumed = root.freeze()
        channel = resumed.channel
        say(f"server {resumed.server}")
        serve()
        """
    )
    assert loading.server.next(RootReady)[0].pid == loading.process.pid
    one, pid = loading.resume(loading.server, 1)
    assert one.text() == "server 1"
    one.channel.send(Drain(4.0))
    assert loading.server.next(ServerEnded)[0] == ServerEnded(1, pid, 4)
    _two, pid = loading.resume(loading.server, 2)
    loading.server.channel.close()
    assert loading.process.wait(DEADLINE_S) == 0
    assert eventually(lambda: not alive(pid))


def test_no_descriptor_is_gathered(load: Load) -> None:
    """After so many servers the checkpoint has no more of them than after the first."""
    loading = load(SIMPLE)
    checkpoint, frozen = loading.checkpoint()

    def once(number: int) -> int:
        server, _pid = loading.resume(checkpoint, number)
        assert re.search(rf"server {number}", server.text())
        server.channel.send(Drain(0.0))
        checkpoint.next(ServerEnded)
        return len(os.listdir(f"/proc/{frozen.pid}/fd"))

    first = once(2)
    assert [once(number) for number in range(3, 13)] == [first] * 10
