"""Lines of the server's own for the terminal: in order with the app's prints, never blocking.

Runs in the server, on its loop's thread. A line is written at once; while the reader takes no more, lines are kept and written
later, so that a terminal halted by Ctrl-S does not halt the server. The app's prints go out line by line (main.py sees to that);
half a line of theirs is not flushed for the sake of the order, for a thread may be in the middle of its print().
"""

from __future__ import annotations

import asyncio

from devserver.output import Output

_RETRY_S = 0.05
STDOUT, STDERR = 1, 2


class LineWriter:
    """Writes lines to standard output and standard error, in the order in which they came."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._output = Output()

    def write(self, line: str, fd: int = STDOUT) -> None:
        """Write `line` (without its end) now, or as soon as the reader takes it. To be called on the loop's thread."""
        waited = self._output.waits_for is not None
        self._output.write(fd, line + "\n")
        if not waited and self._output.waits_for is not None:
            self._loop.call_later(_RETRY_S, self._retry)

    def take_left(self) -> list[tuple[int, str]]:
        """Before the end: what could not be written yet, each with its descriptor."""
        self._output.flush()
        return self._output.take_left()

    def _retry(self) -> None:
        if not self._output.flush():
            self._loop.call_later(_RETRY_S, self._retry)
