"""The threads that WSGI requests run in, and their way back to the event loop.

Runs in the server process. Rules that hold:
- A thread is made only when a job waits and no thread is idle; idle ones are kept and the one that slept last is woken first.
- At most one thread is being woken at any time; it wakes the next one itself if it finds more jobs than its own.
  The intent: a burst of short jobs is done by few threads with few switches, since the thread that ends its job takes
  the next; a job that blocks does not hold up those behind it, since another thread is on its way by then.
- Daemon threads: a request that never ends must not hold up the end of the process, as `concurrent.futures` would.
- No job ends a thread, whatever it raises.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol


class Job(Protocol):
    def run(self) -> None:
        """Do the work, in a thread."""

    def drop(self) -> None:
        """The work will never be done. Called by whoever calls `stop`."""


class RequestThreads:
    """Runs jobs in up to `limit` threads named `{name}-1`, `{name}-2` …, in the order in which they were submitted."""

    def __init__(self, limit: int, *, name: str) -> None:
        if limit < 1:
            raise ValueError(f"at least one thread is needed, not {limit}")
        self.limit = limit
        self._name = name
        self._lock = threading.Lock()  # guards everything below
        self._jobs: deque[Job] = deque()
        self._idle: list[threading.Lock] = []  # what each idle thread sleeps on
        self._threads = 0
        self._outstanding = 0
        self._waking = False
        self._stopped = False
        self._on_quiet: list[Callable[[], None]] = []

    @property
    def outstanding(self) -> int:
        """Jobs that were submitted and have not ended."""
        return self._outstanding

    def submit(self, job: Job) -> int:
        """Run `job.run()` in a thread, soon; the number of jobs outstanding, this one included.

        Raises RuntimeError after `stop`, or if the system gives not a single thread.
        """
        with self._lock:
            if self._stopped:
                raise RuntimeError("no request can be run: the server is stopping")
            self._jobs.append(job)
            self._outstanding += 1
            outstanding = self._outstanding
            sleeper = self._next_sleeper()
        if sleeper is not None:
            self._wake(sleeper)
        return outstanding

    def when_quiet(self, call: Callable[[], None]) -> None:
        """Call `call` once when no job is outstanding: now, or later in the thread of the last one. It must not raise."""
        with self._lock:
            if self._outstanding:
                self._on_quiet.append(call)
                return
        call()

    def stop(self) -> None:
        """Drop the jobs that wait, end the idle threads, and the busy ones after their job. Does not block."""
        with self._lock:
            self._stopped = True
            dropped = list(self._jobs)
            self._jobs.clear()
            self._outstanding -= len(dropped)
            idle, self._idle = self._idle, []
            quiet: list[Callable[[], None]] = []
            if not self._outstanding:
                quiet, self._on_quiet = self._on_quiet, []
        for sleeper in idle:
            sleeper.release()
        for job in dropped:
            job.drop()
        for call in quiet:
            call()

    def _next_sleeper(self) -> threading.Lock | None:
        """Under the lock: what to release so that one more thread comes for the jobs. None if none has to or can."""
        if self._waking or not self._jobs:
            return None
        if self._idle:
            self._waking = True
            return self._idle.pop()
        if self._threads < self.limit:
            self._waking = True
            self._threads += 1
            return threading.Lock()  # not locked: a thread that is to be made
        return None

    def _wake(self, sleeper: threading.Lock) -> None:
        if sleeper.locked():
            sleeper.release()
            return
        thread = threading.Thread(target=self._work, args=(sleeper,), name=f"{self._name}-{self._threads}", daemon=True)
        sleeper.acquire()
        try:
            thread.start()
        except RuntimeError:  # the system has no more threads to give
            with self._lock:
                self._threads -= 1
                self._waking = False
                if self._threads or not self._jobs:
                    return  # those there are will come for the jobs
                self._jobs.pop()
                self._outstanding -= 1
            raise

    def _work(self, sleeper: threading.Lock) -> None:
        ended = 0  # jobs since the last look under the lock: 0 or 1
        while True:
            next_sleeper = None
            quiet: list[Callable[[], None]] = []
            with self._lock:
                if ended:
                    self._outstanding -= 1
                    if not self._outstanding and self._on_quiet:
                        quiet, self._on_quiet = self._on_quiet, []
                else:
                    self._waking = False
                job = self._jobs.popleft() if self._jobs else None
                if job is not None:
                    next_sleeper = self._next_sleeper()
                elif self._stopped:
                    self._threads -= 1
                else:
                    self._idle.append(sleeper)
                stopped = self._stopped
            for call in quiet:
                call()
            if job is None:
                if stopped:
                    return
                sleeper.acquire()
                ended = 0
                continue
            if next_sleeper is not None:
                self._wake(next_sleeper)
            try:
                # An empty context, not a copy: nothing that the server, its start or another request has set may reach
                # this one, and nothing that it sets may stay behind in the thread for the next.
                contextvars.Context().run(job.run)
            except BaseException:
                report_in_thread()
            ended = 1
            job = None  # while the thread sleeps, nothing of the request may be kept alive by it


class LoopCalls:
    """Calls from threads to the loop. Many that come close together wake the loop once: on the standard loop each wake-up
    is a system call that gives the GIL away."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._calls: deque[Callable[[], None]] = deque()
        self._rung = False
        self._context = contextvars.Context()  # else each call would carry a copy of the app's context

    def post(self, call: Callable[[], None]) -> None:
        """Have `call` called on the loop. Raises RuntimeError if the loop is closed."""
        self._calls.append(call)
        if not self._rung:
            self._rung = True
            try:
                self.loop.call_soon_threadsafe(self._run, context=self._context)
            except RuntimeError:
                self._rung = False
                raise

    def _run(self) -> None:
        self._rung = False  # first: a call that is added while the others run rings again, or is run here
        calls = self._calls
        while calls:
            calls.popleft()()


def report_in_thread(error: BaseException | None = None) -> None:
    """Tell `threading.excepthook` of an error that nobody waits for (default: the one being handled)."""
    if error is None:
        error = sys.exception()
    if error is not None:
        args = (type(error), error, error.__traceback__, threading.current_thread())
        threading.excepthook(threading.ExceptHookArgs(args))
