"""Freeze and resume: fork lives here alone.

Runs in the root. The root is the first checkpoint: a fresh interpreter with the engine imported and nothing of the user's. It is
also the guardian of the tree: when its channel ends it kills all that is below it and goes. Rules that hold: a frozen process
runs no user code; every child leads a process group of its own and dies with its parent; whoever forked a server reaps it, kills
what is left of its group, and then says how it ended.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn

from devserver import processes
from devserver.channel import Channel
from devserver.messages import (
    Configure,
    KillServer,
    Message,
    ProtocolError,
    ResumeCheckpoint,
    RootReady,
    ServerEnded,
    ServerForked,
)
from devserver.report import Report

_POLL_WITHOUT_PIDFD_MS = 50
"""Where the system has no pidfd (macOS), how often ended children are looked for."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """What a process finds when it continues from a checkpoint."""

    server: int
    channel: Channel  # its own
    stack_fd: int  # an append-only file for faulthandler
    configure: Configure
    stand_in: Report | None  # a page to serve instead of the target


@dataclass(slots=True)
class _Child:
    server: int
    pid: int
    start: int
    pidfd: int | None = None


@dataclass(slots=True)
class Root:
    """The root checkpoint. Owns its channel and its children."""

    channel: Channel
    preload: Callable[[], None]  # what may wait until the first server is on its way
    configure: Configure | None = None
    _is_preloaded: bool = False
    _children: dict[int, _Child] = field(default_factory=dict)  # by server

    def freeze(self) -> Resumed:
        """Wait, and fork at each `ResumeCheckpoint`. Returns in the children only; the root itself never comes back."""
        processes.become_subreaper()
        # What is alive now stays alive: kept out of every later collection, its pages stay shared with the children.
        gc.freeze()
        self.channel.send(RootReady(os.getpid()))
        while True:
            self._wait()
            if self.channel.wants_write:
                self.channel.flush()
            for message, fds in self._received():
                if (resumed := self._obey(message, fds)) is not None:
                    return resumed
            self._reap()
            if self.channel.closed:
                self._end()
            if self._children and not self._is_preloaded:
                self._is_preloaded = True
                self.preload()
                gc.freeze()

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self.channel, select.POLLIN | (select.POLLOUT if self.channel.wants_write else 0))
        timeout_ms = None
        for child in self._children.values():
            if child.pidfd is None:
                timeout_ms = _POLL_WITHOUT_PIDFD_MS
            else:
                poll.register(child.pidfd, select.POLLIN)
        poll.poll(timeout_ms)

    def _received(self) -> list[tuple[Message, list[int]]]:
        try:
            return self.channel.receive()
        except ProtocolError as error:
            os.write(2, f"devserver: {error}\n".encode())
            self._end()

    def _obey(self, message: Message, fds: list[int]) -> Resumed | None:
        match message:
            case Configure():
                self.configure = message
            case ResumeCheckpoint():
                return self._resume(message, *fds)
            case KillServer(server=server):
                if server in self._children:
                    processes.kill_tree(self._children[server].pid)
            case _:
                raise ProtocolError(f"not for a root: {message}")
        return None

    def _resume(self, message: ResumeCheckpoint, control_fd: int, stack_fd: int) -> Resumed | None:
        assert self.configure is not None, "Configure is the first message a root gets"
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()  # else what stands in the buffer is printed by both
        parent = os.getpid()
        pid = os.fork()
        if pid:
            self._set_group(pid)
            os.close(control_fd)
            os.close(stack_fd)
            self._children[message.server] = _Child(message.server, pid, processes.start_time(pid), _open_pidfd(pid))
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
        # A child that the app forks must not keep the connection open after this process has ended.
        os.register_at_fork(after_in_child=control.disown)
        return Resumed(message.server, control, stack_fd, self.configure, message.stand_in)

    @staticmethod
    def _set_group(pid: int) -> None:
        # By parent and child both: whoever comes first, the group exists before anyone signals it.
        try:
            os.setpgid(pid, pid)
        except (PermissionError, ProcessLookupError):
            pass

    def _reap(self) -> None:
        for child in list(self._children.values()):
            # WNOWAIT: while it is a zombie its pid, and so its group, cannot be taken by another process.
            if os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                continue
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
            _pid, status = os.waitpid(child.pid, 0)
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

    def _end(self) -> NoReturn:
        processes.kill_all_below()
        os._exit(0)


def _open_pidfd(pid: int) -> int | None:
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:  # older kernels, some sandboxes
        return None
