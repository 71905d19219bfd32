"""What holds up an event loop, seen by a real watchdog."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable

import pytest
import uvloop

from devserver.report import Occasion
from devserver.server import watchdog
from devserver.server.watchdog import Held, Watchdog, report_from_held
from devserver.terminal_report import report_text

DEADLINE_S = 20.0
LIMIT_S = 0.05


@pytest.fixture(params=[asyncio.SelectorEventLoop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoop:
    loop: asyncio.AbstractEventLoop = request.param()
    return loop


def watched(
    loop: asyncio.AbstractEventLoop, hold: Callable[[queue.Queue[Held]], None], clock: Callable[[], float]
) -> tuple[list[Held], list[str]]:
    """What is told while `hold` runs on the loop, and the lines."""
    told: queue.Queue[Held] = queue.Queue()
    lines: queue.Queue[str] = queue.Queue()
    dog = Watchdog(loop, LIMIT_S, clock=clock, tell=told.put, notice=lines.put)
    dog.start()
    loop.call_soon(hold, told)
    loop.call_soon(loop.stop)
    loop.run_forever()
    turns = threading.Event()  # the loop goes on until the watchdog has had its sign
    loop.call_later(LIMIT_S, turns.set)
    while not turns.is_set():
        loop.call_soon(loop.stop)
        loop.run_forever()
    dog.stop()
    loop.close()
    return list(told.queue), list(lines.queue)


def wait_until_told(told: queue.Queue[Held]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while told.empty() and time.monotonic() < deadline:
        time.sleep(0.001)


def hold(told: queue.Queue[Held]) -> None:
    time.sleep(6 * LIMIT_S)


def test_who_holds_the_loop_is_named(loop: asyncio.AbstractEventLoop) -> None:
    told, lines = watched(loop, hold, time.monotonic)
    assert lines == []
    (held,) = told
    assert held.is_over
    assert LIMIT_S <= held.seconds <= DEADLINE_S
    assert (__file__, "hold") in [(path, function) for path, _line, function in held.calls]


def test_a_loop_that_does_not_go_on_is_told_too(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "PATIENCE_S", LIMIT_S)
    told, lines = watched(loop, wait_until_told, time.monotonic)
    (held,) = told
    assert not held.is_over
    assert "wait_until_told" in [function for _path, _line, function in held.calls]
    assert len(lines) == 1
    assert lines[0].startswith("the event loop goes on, after ")


def test_time_at_a_prompt_does_not_count(loop: asyncio.AbstractEventLoop) -> None:
    assert watched(loop, hold, lambda: 1.0) == ([], [])


def test_the_report_names_place_and_way_out() -> None:
    calls = (("<frozen runpy>", 1, "run"), (report_text.__code__.co_filename, 1, "ours"), (__file__, 1, "index"))
    report = report_from_held(Held(2.3, calls, is_over=True), [__file__.rpartition("/")[0]])
    assert report.occasion is Occasion.WARNING
    assert report.title == "The event loop was held for 2.30 s"
    assert [frame.function for frame in report.errors[0].frames] == ["index"]
    assert "asyncio.to_thread" in report.advice[0].text
    assert report_from_held(Held(7, (), is_over=False), []).title == "The event loop is held, for 7.00 s by now"
