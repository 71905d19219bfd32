"""The roots as the supervisor sees them: spawn, adopt what they leave, end by deadline, reap.

Runs in the supervisor. Imports nothing slow: the root is spawned before the supervisor itself is fully imported, so that both
start side by side. The root's environment and standard streams are the supervisor's own.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time

CHANNEL_FD = 3  # processes.CHANNEL_FD; not imported from there, for that module loads ctypes


class RootProcess:
    """A root: its pid, our end of its channel. Not a dataclass: importing that would cost a third of the way to the spawn."""

    __slots__ = ("pid", "sock", "status")

    def __init__(self, pid: int, sock: socket.socket) -> None:
        self.pid = pid
        self.sock = sock
        self.status: int | None = None  # as subprocess has it, once reaped

    def abandon(self, deadline_s: float = 2.0) -> None:
        """End it: at the end of file a root kills all it has below and exits. Kills it past the deadline. Idempotent."""
        self.sock.close()
        deadline = time.monotonic() + deadline_s
        while self.reap() is None:
            if time.monotonic() > deadline:
                self.kill()
            time.sleep(0.002)  # there is nothing to wait on before the supervisor has its selector

    def reap(self) -> int | None:
        """Its exit status if it ended (negative for a signal), else None."""
        if self.status is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                pid, status = self.pid, 0
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status

    def kill(self) -> None:
        """SIGKILL, for a root that does not answer."""
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)


def spawn_root() -> RootProcess:
    """Start a fresh interpreter that imports the engine and waits for `Configure`.

    `-P` keeps the current folder off its path: a student's `random.py` or `email.py` must not kill it.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with theirs:
        argv = [sys.executable, "-P", *_interpreter_flags(), "-m", "devserver.server"]
        pid = os.posix_spawn(
            sys.executable,
            argv,
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), CHANNEL_FD)],
            setsigmask=[],
            setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGPIPE],
        )
    return RootProcess(pid, ours)


def _interpreter_flags() -> list[str]:
    """The flags of this interpreter that user code can notice."""
    flags = ["-O"] * sys.flags.optimize
    flags += [f"-W{option}" for option in sys.warnoptions]
    flags += [f"-X{name}" if value is True else f"-X{name}={value}" for name, value in sys._xoptions.items()]
    if sys.flags.dont_write_bytecode:
        flags.append("-B")
    return flags
