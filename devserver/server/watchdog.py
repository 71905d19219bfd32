"""What holds up the event loop, seen from beside it: a thread asks the loop for a sign of life and looks where it is stuck.

Runs in the server, only if `--slow-callbacks` asks for it. asyncio's debug mode would tell afterwards which callback it was, for
the price of a slower loop, and not at all under uvloop; here a stack is taken while the loop stands still. Rules that hold:
nothing is said of less than was asked for; time at a debugger prompt does not count; a loop that never goes on is told too.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from _thread import allocate_lock, start_new_thread  # by name: a greenlet would stand still with the loop
from collections.abc import Callable, Iterator, Sequence
from time import sleep
from types import FrameType

from devserver.record import Record
from devserver.report import ErrorInfo, Occasion, Report
from devserver.server.deferred import ours_first
from devserver.server.warned import Call
from devserver.source import frames_of
from devserver.terminal import duration

PATIENCE_S = 5.0
"""A loop that is held longer than this is told before it goes on."""
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.005, 0.25


class Held(Record):
    """The loop gave no sign of life for so long."""

    seconds: float
    calls: tuple[Call, ...]  # what its thread was doing meanwhile, the outermost first
    is_over: bool


class Watchdog:
    """Watches the loop of the thread that makes it."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limit_s: float,
        *,
        clock: Callable[[], float],
        tell: Callable[[Held], None],
        notice: Callable[[str], None],
    ) -> None:
        """`tell` and `notice`, which prints a line, are called in the watchdog's thread."""
        self._loop = loop
        self._thread = threading.get_ident()
        self._limit_s = limit_s
        self._pause_s = min(max(limit_s / 8, _SHORTEST_PAUSE_S), _LONGEST_PAUSE_S)
        self._clock = clock
        self._tell = tell
        self._notice = notice
        self._stopped = False

    def start(self) -> None:
        start_new_thread(self._watch, ())

    def stop(self) -> None:
        """The loop is about to end."""
        self._stopped = True

    def _watch(self) -> None:
        while not self._stopped:
            sleep(self._pause_s)
            sign = allocate_lock()
            sign.acquire()
            asked = self._clock()
            try:
                self._loop.call_soon_threadsafe(sign.release)
            except RuntimeError:  # closed
                return
            if not self._comes(sign, asked + self._limit_s):
                self._look(sign, asked)

    def _look(self, sign: threading.Lock, asked: float) -> None:
        calls = tuple(_calls(sys._current_frames().get(self._thread)))
        if sign.acquire(blocking=False):  # it went on in this moment: who knows what was seen
            return
        is_over = self._comes(sign, asked + max(PATIENCE_S, 2 * self._limit_s))
        if not self._stopped:
            self._tell(Held(self._clock() - asked, calls, is_over))
        if not is_over:
            sign.acquire()
            self._notice(f"the event loop goes on, after {duration((self._clock() - asked) * 1000)}")

    def _comes(self, sign: threading.Lock, deadline: float) -> bool:
        """Whether the sign comes by then. The clock may stand still."""
        while (left := deadline - self._clock()) > 0:
            if sign.acquire(timeout=left):
                return True
        return False


def report_from_held(held: Held, user_roots: Sequence[str]) -> Report:
    """What held the loop, with the calls that its thread was in."""
    with ours_first():
        from devserver import hints

    taken = duration(held.seconds * 1000)
    message = f"The event loop was held for {taken}" if held.is_over else f"The event loop is held, for {taken} by now"
    frames = frames_of([call for call in held.calls if not call[0].startswith("<frozen")], user_roots)
    error = ErrorInfo(type_name="", message=message, frames=frames, bases=("held loop",))
    report = Report(Occasion.WARNING, message, (error,), detail="meanwhile it was here")
    return hints.advised(report)


def _calls(frame: FrameType | None) -> Iterator[Call]:
    """The calls of a thread, the outermost first."""
    calls: list[Call] = []
    while frame is not None:
        calls.append((frame.f_code.co_filename, frame.f_lineno or 0, frame.f_code.co_qualname))
        frame = frame.f_back
    return reversed(calls)
