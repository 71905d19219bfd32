"""When the watcher slows down, with a clock and timers of the test's own."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from devserver.supervisor.pace import QUIET_AFTER_S, Pace


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, seconds: float, act: Callable[[], None]) -> None:
        self.timers.append((self.now + seconds, act))

    def pass_to(self, moment: float) -> None:
        while due := sorted((timer for timer in self.timers if timer[0] <= moment), key=lambda timer: timer[0]):
            self.timers.remove(due[0])
            self.now = due[0][0]
            due[0][1]()
        self.now = moment


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    return clock


def test_slow_a_minute_after_the_last_use(clock: Clock) -> None:
    told: list[tuple[float, bool]] = []
    began = clock.now
    pace = Pace(lambda busy: told.append((clock.now - began, busy)), call_later=clock.call_later)
    clock.pass_to(began + 0.25)
    pace.in_use()  # shortly after the start: one minute from here, not two from there
    clock.pass_to(began + 200)
    assert told == [(QUIET_AFTER_S + 0.25, False)]
    pace.in_use()
    assert told[1:] == [(200, True)]
    for second in range(201, 300):
        clock.pass_to(began + second)
        pace.in_use()
    assert len(told) == 2
    clock.pass_to(began + 1000)
    assert told[2:] == [(299 + QUIET_AFTER_S, False)]
    assert clock.timers == []  # nothing wakes up while nothing happens
