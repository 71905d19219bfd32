"""Freeze and resume: fork lives here alone.

Runs in the checkpoints. The root is the first of them: a fresh interpreter with the engine imported and nothing of the user's. It
is also the guardian of the tree: when its channel ends it kills all that is below it and goes. The others are servers that stopped
in the middle of their load; each is the parent of the next. Rules that hold: a frozen process runs no user code; every child leads
a process group of its own and dies with its parent; whoever forked a process reaps it, kills what is left of its group, and then
says how it ended; a frozen process ends by `os._exit`.
"""

from __future__ import annotations

import gc
import math
import os
import select
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NoReturn

from devserver import processes
from devserver.channel import Channel, socket_pair
from devserver.messages import (
    CheckpointFrozen,
    Configure,
    Discard,
    KillServer,
    Message,
    Plan,
    ProtocolError,
    ResumeCheckpoint,
    RootReady,
    ServerEnded,
    ServerForked,
)
from devserver.record import Record
from devserver.report import Report

PRELOAD_AFTER_S = 1.0
"""So long who continues first has the processor for itself."""
_POLL_WITHOUT_PIDFD_MS = 50
"""Where the system has no pidfd (macOS), how often ended children are looked for."""
_clock = time.monotonic  # the user's libraries may replace it
_HAS_WAITID = hasattr(os, "waitid")  # not on macOS
_WARNS_OF_THREADS = sys.version_info >= (3, 12)

_forking = threading.local()


class Resumed(Record):
    """What a process finds when it continues from a checkpoint."""

    server: int
    channel: Channel  # its own
    stack_fd: int  # an append-only file for faulthandler
    stand_in: Report | None  # a page to serve instead of the target
    plan: Plan
    run: int = 0
    refreshes: int = 0


@dataclass(slots=True)
class _Child:
    server: int
    pid: int
    start: int
    pidfd: int | None = None


@dataclass(slots=True)
class Checkpoint:
    """A frozen process. Owns its channel and its children."""

    channel: Channel
    preload: Callable[[], None] = lambda: None  # what the first process that continues from here may do without
    _children: dict[int, _Child] = field(default_factory=dict)  # by server
    _discarded: bool = False
    _used_s: float | None = None  # when somebody first continued from here
    _is_preloaded: bool = False

    def wait(self) -> Resumed:
        """Wait, and fork at each `ResumeCheckpoint`. Returns in the children only; the checkpoint itself never comes back."""
        try:
            processes.become_subreaper()
            while True:
                if (resumed := self._turn()) is not None:
                    return resumed
        except BaseException as error:  # not into the user's import, which would go on
            os.write(2, f"devserver: a checkpoint failed: {type(error).__name__}: {error}\n".encode())
            self._end(os.EX_SOFTWARE)

    def _turn(self) -> Resumed | None:
        self._wait()
        if self.channel.wants_write:
            self.channel.flush()
        received = self.channel.receive()
        for number, (message, fds) in enumerate(received, 1):
            if (resumed := self._obey(message, fds)) is not None:
                _close_all(fd for _message, others in received[number:] for fd in others)
                return resumed
        self._reap()
        if self.channel.closed or (self._discarded and not self._children):
            self._end()
        if self._preloads_in_s() == 0:
            self._is_preloaded = True
            self.preload()
            gc.freeze()
        return None

    def keep(self, server: int, pid: int) -> None:
        """`pid` is a child that goes on as `server`."""
        self._set_group(pid)
        self._children[server] = _Child(server, pid, processes.start_time(pid), _open_pidfd(pid))

    def _preloads_in_s(self) -> float | None:
        """None: never. Not while the first that continues needs the processor: its answer is waited for."""
        if self._used_s is None or self._is_preloaded:
            return None
        return max(0.0, self._used_s + PRELOAD_AFTER_S - _clock())

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self.channel, select.POLLIN | (select.POLLOUT if self.channel.wants_write else 0))
        preloads_in_s = self._preloads_in_s()
        timeout_ms = None if preloads_in_s is None else math.ceil(preloads_in_s * 1000)
        for child in self._children.values():
            if child.pidfd is None:
                timeout_ms = _POLL_WITHOUT_PIDFD_MS
            else:
                poll.register(child.pidfd, select.POLLIN)
        poll.poll(timeout_ms)

    def _obey(self, message: Message, fds: list[int]) -> Resumed | None:
        match message:
            case ResumeCheckpoint():
                return self._resume(message, fds)
            case KillServer(server=server):
                if server in self._children:
                    processes.kill_tree(self._children[server].pid)
            case Discard():
                self._discarded = True
            case _:
                raise ProtocolError(f"not for a checkpoint: {message}")
        return None

    def _resume(self, message: ResumeCheckpoint, fds: list[int]) -> Resumed | None:
        if len(fds) < message.fds:
            self._refuse(message, fds, "no more files may be opened")
            return None
        control_fd, stack_fd = fds
        parent = os.getpid()
        try:
            with _own_fork():
                pid = os.fork()
        except OSError as error:
            self._refuse(message, fds, error.strerror or str(error))
            return None
        if pid:
            self._used_s = self._used_s or _clock()
            self.keep(message.server, pid)
            os.close(control_fd)
            os.close(stack_fd)
            self.channel.send(ServerForked(message.server, pid))
            return None
        processes.die_with_parent(parent)
        self._set_group(0)
        self.channel.close()
        for child in self._children.values():
            if child.pidfd is not None:
                os.close(child.pidfd)
        self._children.clear()
        control = Channel(socket.socket(fileno=control_fd))
        call_in_apps_children(control.disown)  # it must not keep the connection open after this process has ended
        return Resumed(
            message.server, control, stack_fd, message.stand_in, message.plan, message.run, message.refreshes
        )

    def _refuse(self, message: ResumeCheckpoint, fds: list[int], why: str) -> None:
        """The system does not give what it takes: to the supervisor the server has died, and is tried again."""
        os.write(2, f"devserver: no process for the app: {why}\n".encode())
        _close_all(fds)
        self.channel.send(ServerEnded(message.server, 0, os.EX_OSERR))

    @staticmethod
    def _set_group(pid: int) -> None:
        # By parent and child both: whoever comes first, the group exists before anyone signals it.
        try:
            os.setpgid(pid, pid)
        except (PermissionError, ProcessLookupError):
            pass

    def _reap(self) -> None:
        for child in list(self._children.values()):
            if _HAS_WAITID:
                # WNOWAIT: while it is a zombie its pid, and so its group, cannot be taken by another process.
                if os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                    continue
                _kill_group(child.pid)
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if not pid:
                continue
            if not _HAS_WAITID:
                _kill_group(child.pid)  # a group with members keeps its number from being taken
            if child.pidfd is not None:
                os.close(child.pidfd)
            del self._children[child.server]
            self._kill_strays(left_by=child)
            self.channel.send(ServerEnded(child.server, child.pid, os.waitstatus_to_exitcode(status)))

    def _kill_strays(self, left_by: _Child) -> None:
        """End the processes that an ended server had started in sessions of their own; they came to us as orphans.

        Which server an orphan belonged to is not recorded anywhere, but one that is older than every server that still
        lives belonged to the dead. The others wait for the next end.
        """
        mine = {child.pid for child in self._children.values()}
        oldest = min((child.start for child in self._children.values()), default=None)

        def spare(pid: int) -> bool:
            return pid in mine or (oldest is not None and processes.start_time(pid) >= oldest)

        if any(not spare(pid) for pid, _start in processes.children(os.getpid())):
            processes.kill_all_below(spare=spare)

    def _end(self, status: int = 0) -> NoReturn:
        processes.kill_all_below()
        os._exit(status)


@dataclass(slots=True)
class Root(Checkpoint):
    """The root checkpoint."""

    _configure: Configure | None = None

    @property
    def configure(self) -> Configure:
        """What holds for all servers. There from the first `ResumeCheckpoint` on."""
        assert self._configure is not None, "Configure is the first message a root gets"
        return self._configure

    def freeze(self) -> Resumed:
        """Become the guardian; see `wait`."""
        flush_output()
        # What is alive now stays alive: kept out of every later collection, its pages stay shared with the children.
        gc.freeze()
        self.channel.send(RootReady(os.getpid()))
        return self.wait()

    def _obey(self, message: Message, fds: list[int]) -> Resumed | None:
        if isinstance(message, Configure):
            self._configure = message
            return None
        return Checkpoint._obey(self, message, fds)  # a class with slots is made anew: super() would not find itself


def flush_output() -> None:
    """Before a freeze: else what stands in a buffer is printed by each process. Once frozen, nothing more is written."""
    for stream in (sys.stdout, sys.__stdout__, sys.stderr, sys.__stderr__):
        try:
            stream.flush()  # type: ignore[union-attr]  # there may be none
        except Exception:
            pass  # closed, or what the user put in its place


def freeze(server: int, channel: Channel, position: int, preload: Callable[[], None]) -> Resumed | None:
    """Leave this process behind as the checkpoint at `position`, and go on in a child.

    None in the child, which is `server` from now on; its channel stays `channel`. Returns once more in each process that
    continues later, with what that one finds. Flush the output before. `preload`: see `Checkpoint`. Raises OSError if the
    system has no process to give: then nothing has happened.
    """
    ours, theirs = socket_pair()
    frozen = os.getpid()
    gc.freeze()
    # The user's handlers must not run in the frozen process; for whoever continues, nothing was sent. Before the fork: by the
    # time the child can be seen, its parent is deaf.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
        with _own_fork():
            pid = os.fork()
    except BaseException:  # OSError, or what a handler of the user's raised at the last moment
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        ours.close()
        theirs.close()
        raise
    if not pid:
        processes.die_with_parent(frozen)
        Checkpoint._set_group(0)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        ours.close()
        channel.send(CheckpointFrozen(position, frozen, os.getpid()), [theirs.detach()], close_fds=True)
        return None
    theirs.close()
    channel.close()
    handler = signal.getsignal(signal.SIGCHLD)
    if handler is signal.SIG_IGN:  # the system would reap our children, and nobody learn how they ended
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    checkpoint = Checkpoint(Channel(ours), preload)
    checkpoint.keep(server, pid)
    resumed = checkpoint.wait()
    if handler is signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return resumed


@contextmanager
def _own_fork() -> Iterator[None]:
    """A fork by us, not by the app. Python warns of native threads, of which a numpy has some that can be forked."""
    _forking.now = True
    try:
        if _WARNS_OF_THREADS and len(_names("/proc/self/task")) > 1:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                yield
        else:
            yield
    finally:
        _forking.now = False


def call_in_apps_children(act: Callable[[], None]) -> None:
    """Have `act` called in each child that the app forks from here on, and not in those that continue the load."""

    def forked() -> None:
        if not getattr(_forking, "now", False):
            act()

    os.register_at_fork(after_in_child=forked)


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def _close_all(fds: Iterable[int]) -> None:
    for fd in fds:
        os.close(fd)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _open_pidfd(pid: int) -> int | None:
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:  # older kernels, some sandboxes
        return None
