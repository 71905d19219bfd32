"""The variables of frames as texts, in bounded time.

Runs in the server while an error is reported. A repr of the user's may block (a query, a lock) or sleep: so reprs are made in a
thread of their own, one that takes longer than PATIENCE_S is left behind with its thread, and all together have one deadline.
Rule that holds: who calls this waits no longer than the deadline, whatever the values; a repr that holds the GIL is beyond help.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType

from devserver.record import Record
from devserver.report import Local
from devserver.server.web.reprs import CODE, named_repr

DEADLINE_S = 0.4
PATIENCE_S = 0.08
MAX_CHARACTERS = 60_000
"""Of all values of a page together: what is beyond is made when it is asked for."""
MAX_LOCALS = 40
TOO_SLOW = "‹its repr takes too long›"
MAX_STUCK = 12
"""Threads that were left behind and have not come back: with so many, nobody's repr is asked for any more."""

_threads: list[threading.Thread] = []
_threads_lock = threading.Lock()


def patiently(work: Callable[[], str], otherwise: str, patience_s: float = 1.0) -> str:
    """What `work` gives, from a thread of its own; `otherwise` if that takes too long."""
    found: list[str] = []
    thread = _start(lambda: found.append(work()))
    if thread is not None:
        thread.join(patience_s)
    return found[0] if found else otherwise


def _start(work: Callable[[], object]) -> threading.Thread | None:
    """Run it in a thread, in a copy of this context; None if too many threads have not come back."""
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(work,), name="devserver-reprs", daemon=True)
    with _threads_lock:
        _threads[:] = [one for one in _threads if one.is_alive()]
        if len(_threads) >= MAX_STUCK:
            return None
        thread.start()
        _threads.append(thread)
    return thread


class Variable(Record):
    """One variable of a frame. Holds the live value."""

    name: str
    value: object


def variables(values: Mapping[str, object], code: CodeType) -> list[Variable]:
    """What is worth showing of a frame's; of a module's only the data, or its imports and functions would fill the page."""
    names = [name for name in values if not (name.startswith("__") and name.endswith("__"))]
    if code.co_name == "<module>":
        names = [name for name in names if not isinstance(values[name], CODE)]
    return [Variable(name, values[name]) for name in names]


def texts(
    wanted: Sequence[Variable], *, deadline_s: float = DEADLINE_S, characters: int = MAX_CHARACTERS
) -> Iterator[Local | None]:
    """One for each of `wanted`, in order; None for those that there was no time or no room for."""
    return iter(_Making(wanted, characters).run(deadline_s))


@dataclass(slots=True)
class _Making:
    wanted: Sequence[Variable]
    room: int
    made: list[Local | None] = field(init=False)
    at: int = 0  # the next to be made
    worker: int = 0  # who was left behind has another number
    lock: threading.Lock = field(default_factory=threading.Lock)
    ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.made = [None] * len(self.wanted)

    def run(self, deadline_s: float, clock: Callable[[], float] = time.monotonic) -> list[Local | None]:
        if not self.wanted:
            return []
        end = clock() + deadline_s
        self._start_worker()
        seen = 0
        while not self.ended.wait(max(min(PATIENCE_S, end - clock()), 0)):
            with self.lock:
                if self.at == seen or clock() >= end:
                    self._leave_behind()
                    if clock() >= end or self.at == len(self.wanted):
                        break
                seen = self.at
        with self.lock:
            self.worker += 1  # whoever is at work still has no say any more
            return list(self.made)

    def _leave_behind(self) -> None:
        """The one at work does not come to an end: go on behind what it is at."""
        stuck = self.at - 1
        if stuck >= 0 and self.made[stuck] is None:
            self.made[stuck] = Local(self.wanted[stuck].name, TOO_SLOW)
        self._start_worker()

    def _start_worker(self) -> None:
        self.worker += 1
        number = self.worker
        if _start(lambda: self._work(number)) is None:
            self.ended.set()

    def _work(self, number: int) -> None:
        while True:
            with self.lock:
                if number != self.worker:
                    return
                if self.at == len(self.wanted) or self.room <= 0:
                    self.ended.set()
                    return
                index = self.at
                self.at += 1
            variable = self.wanted[index]
            try:
                text = named_repr(variable.name, variable.value)
            except BaseException as error:  # named_repr lets KeyboardInterrupt out
                text = f"‹its repr raised {type(error).__name__}›"
            with self.lock:
                if number != self.worker:
                    return
                self.made[index] = Local(variable.name, text)
                self.room -= len(text) + len(variable.name)
