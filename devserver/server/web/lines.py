"""Lines of the server's own for the terminal: whole, in order with the app's prints, never blocking.

Runs in the server. A line is written at once with one write; when the reader does not take more (a stopped terminal, a full
pipe), lines are kept and written later, so that a terminal halted by Ctrl-S does not halt the server.
"""

from __future__ import annotations

import asyncio
import os
import select
from collections import deque

_RETRY_S = 0.05
_KEPT_LINES = 10_000


class LineWriter:
    """Writes lines to a descriptor it does not own."""

    def __init__(self, fd: int, loop: asyncio.AbstractEventLoop) -> None:
        self._fd = fd
        self._loop = loop
        self._kept: deque[bytes] = deque(maxlen=_KEPT_LINES)  # the oldest go first when nobody reads for long
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)

    def write(self, line: str) -> None:
        """Write `line` (without its end) now, or as soon as the reader takes it. To be called on the loop's thread."""
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        if self._kept:
            self._kept.append(data)
        elif not self._put(data):
            self._loop.call_later(_RETRY_S, self.flush)

    def flush(self) -> None:
        """Write what was kept, as far as it goes."""
        while self._kept:
            if not self._put(self._kept.popleft()):
                self._loop.call_later(_RETRY_S, self.flush)
                return

    def _put(self, data: bytes) -> bool:
        try:
            if not self._poll.poll(0):
                self._kept.appendleft(data)
                return False
            written = os.write(self._fd, data)
        except BlockingIOError:
            written = 0
        except OSError:
            return True  # the reader is gone: nobody misses the line
        if written < len(data):
            self._kept.appendleft(data[written:])
            return False
        return True
