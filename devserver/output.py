"""Text for a terminal, file or pipe that others write to as well: whole, in order, and never waiting for the reader.

Runs in the supervisor and in the server. When the reader takes no more (a terminal halted by Ctrl-S, a full pipe) the rest is kept
until it does; the descriptors' blocking mode is not touched, for it belongs to all who have them open.
"""

from __future__ import annotations

import itertools
import os
from collections import deque
from select import PIPE_BUF, POLLOUT, poll  # by name: an app may replace what the module has (gevent, eventlet)

KEPT = 10_000
"""How many writes are kept when nobody reads; then the oldest go."""
_CHUNK_BYTES = PIPE_BUF
"""As much as a descriptor that is ready takes without blocking."""


class Output:
    """Writes to descriptors it does not own. Not thread-safe."""

    def __init__(self) -> None:
        self._kept: deque[tuple[int, bytes]] = deque(maxlen=KEPT)
        self._poll = poll()

    @property
    def waits_for(self) -> int | None:
        """The descriptor that has to become writable before `flush` gets on; None if nothing is left."""
        return self._kept[0][0] if self._kept else None

    def write(self, fd: int, text: str) -> None:
        """Write `text` now, or keep it behind what is kept already. What nobody can read any more is dropped."""
        self._kept.append((fd, text.encode("utf-8", "backslashreplace")))
        if len(self._kept) == 1:
            self.flush()

    def flush(self) -> bool:
        """Write what is kept, as far as it goes without waiting. True when nothing is left."""
        while self._kept:
            fd, data = self._kept.popleft()
            if rest := self._put(fd, data):
                self._kept.appendleft((fd, rest))
                return False
        return True

    def take_left(self) -> list[tuple[int, str]]:
        """What is kept, to be written by someone else: joined as far as it goes to one descriptor."""
        left = [
            (fd, b"".join(data for _fd, data in group).decode(errors="replace"))
            for fd, group in itertools.groupby(self._kept, key=lambda item: item[0])
        ]
        self._kept.clear()
        return left

    def flush_within(self, timeout_s: float) -> bool:
        """Block until everything is written, or nothing went out for this long."""
        while not self.flush():
            if not self.is_ready(self._kept[0][0], timeout_s):
                return False
        return True

    def is_ready(self, fd: int, timeout_s: float = 0) -> bool:
        """Whether its reader takes more, now or within that time."""
        self._poll.register(fd, POLLOUT)
        try:
            return bool(self._poll.poll(timeout_s * 1000))
        finally:
            self._poll.unregister(fd)

    def _put(self, fd: int, data: bytes) -> bytes:
        """What is left of `data`."""
        try:
            while data and self.is_ready(fd):
                data = data[os.write(fd, data[:_CHUNK_BYTES]) :]
        except BlockingIOError:
            pass
        except OSError:  # the reader is gone
            return b""
        return data
