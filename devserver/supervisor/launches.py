"""The launchers: the processes that open an editor, each with what the editor has started below it.

Runs in the supervisor. Rules that hold: nothing here waits; a launcher and what is below it is never killed; a path is
believed only if a file is there.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

from devserver.channel import Channel, socket_pair
from devserver.messages import LaunchEditor, Noticed
from devserver.processes import CHANNEL_FD
from devserver.record import Record
from devserver.source import working_folder
from devserver.terminal import escape_control


class _Launcher(Record):
    pid: int
    channel: Channel


class Launches:
    """All launchers that run."""

    def __init__(self, editor: str | None, *, notice: Callable[[str, bool], None]) -> None:
        self._editor = editor
        self._notice = notice
        self._launchers: list[_Launcher] = []

    def open(self, path: str, line: int, column: int) -> None:
        """Open a file in the editor. What becomes of it is told by a line."""
        path = os.path.normpath(os.path.join(working_folder(), path))
        if not os.path.isfile(path):
            self._notice(f"not opened in the editor, no such file: {escape_control(path)}", True)
            return
        ours, theirs = socket_pair()
        channel = Channel(ours)
        with theirs:
            try:
                pid = _spawn(theirs.fileno())
            except OSError as error:
                channel.close()
                self._notice(f"no editor can be opened: {error.strerror}", True)
                return
        channel.send(LaunchEditor(self._editor, path, max(1, line), max(1, column)))
        self._launchers.append(_Launcher(pid, channel))

    def channels(self) -> list[Channel]:
        """What belongs in the selector."""
        return [launcher.channel for launcher in self._launchers if not launcher.channel.closed]

    def attend(self, channel: Channel) -> None:
        """Read what came on `channel`, and send what it takes now."""
        channel.flush()
        for message, _fds in channel.receive():
            assert isinstance(message, Noticed), message
            self._notice(message.text, message.warning)

    def reap(self) -> None:
        """After SIGCHLD: launchers that ended are no more."""
        for launcher in list(self._launchers):
            if _has_ended(launcher.pid):
                self.attend(launcher.channel)  # its last words
                launcher.channel.close()
                self._launchers.remove(launcher)

    def holds(self, pid: int) -> bool:
        """Whether that child of the supervisor is a launcher."""
        return any(launcher.pid == pid for launcher in self._launchers)

    def close(self) -> None:
        """Let go of them: they end, what they have opened goes on."""
        for launcher in self._launchers:
            launcher.channel.close()
        self._launchers.clear()


def _spawn(channel_fd: int) -> int:
    """Start a launcher, in a session of its own; its pid."""
    return os.posix_spawn(
        sys.executable,
        [sys.executable, "-P", "-m", "devserver.launcher"],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_DUP2, channel_fd, CHANNEL_FD),
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        ],
        setsid=True,
        setsigmask=[],
        setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGPIPE, signal.SIGTTIN],
    )


def _has_ended(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG) != (0, 0)
    except ChildProcessError:
        return True
