"""The threads of requests, with events in place of sleeps."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterator

import pytest

from devserver.server.web.threads import LoopCalls, RequestThreads

DEADLINE_S = 20


class Call:
    """A job that calls a function and can be waited for."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function
        self.ended = threading.Event()
        self.dropped = threading.Event()

    def run(self) -> None:
        try:
            self._function()
        finally:
            self.ended.set()

    def drop(self) -> None:
        self.dropped.set()


@pytest.fixture
def make_threads() -> Iterator[Callable[[int], RequestThreads]]:
    made: list[RequestThreads] = []
    before = set(threading.enumerate())

    def make(limit: int) -> RequestThreads:
        made.append(RequestThreads(limit, name="t"))
        return made[-1]

    yield make
    for threads in made:
        threads.stop()
    for thread in set(threading.enumerate()) - before:
        thread.join(DEADLINE_S)
        assert not thread.is_alive()


MakeThreads = Callable[[int], RequestThreads]


def wait_until_quiet(threads: RequestThreads) -> None:
    quiet = threading.Event()
    threads.when_quiet(quiet.set)
    assert quiet.wait(DEADLINE_S)


def test_as_many_jobs_run_at_once_as_there_may_be_threads(make_threads: MakeThreads) -> None:
    threads = make_threads(8)
    together = threading.Barrier(8, timeout=DEADLINE_S)
    calls = [Call(together.wait) for _ in range(8)]  # ends only if all eight run at the same time
    for call in calls:
        threads.submit(call)
    assert all(call.ended.wait(DEADLINE_S) for call in calls)
    assert not together.broken


def test_a_job_over_the_limit_waits_for_a_thread(make_threads: MakeThreads) -> None:
    threads = make_threads(2)
    gate = threading.Event()
    blocked = [Call(lambda: gate.wait(DEADLINE_S)) for _ in range(2)]
    assert [threads.submit(call) for call in blocked] == [1, 2]
    late = Call(lambda: None)
    assert threads.submit(late) == 3
    assert not late.ended.wait(0.05)
    gate.set()
    assert late.ended.wait(DEADLINE_S)
    wait_until_quiet(threads)
    assert threads.outstanding == 0


def test_one_thread_is_strictly_serial_and_in_order(make_threads: MakeThreads) -> None:
    threads = make_threads(1)
    running, order = threading.Lock(), []

    def work(number: int) -> None:
        assert running.acquire(blocking=False)
        order.append(number)
        running.release()

    for number in range(200):
        threads.submit(Call(lambda number=number: work(number)))  # type: ignore[misc]
    wait_until_quiet(threads)
    assert order == list(range(200))


def test_an_idle_thread_is_used_again(make_threads: MakeThreads) -> None:
    threads = make_threads(64)
    names = set()
    for _ in range(50):
        threads.submit(Call(lambda: names.add(threading.current_thread().name)))
        wait_until_quiet(threads)
    assert len(names) <= 2  # the one that ended may not have lain down yet when the next job came
    assert all(name.startswith("t-") for name in names)


def test_each_job_has_an_empty_context_of_its_own(make_threads: MakeThreads) -> None:
    threads = make_threads(1)
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("of the submitter")
    seen: list[str | None] = []

    def work() -> None:
        seen.append(variable.get(None))
        variable.set("of the job before")

    threads.submit(Call(work))
    threads.submit(Call(work))
    wait_until_quiet(threads)
    assert seen == [None, None]


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_no_job_ends_a_thread(make_threads: MakeThreads, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    reported: list[BaseException | None] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: reported.append(args.exc_value))
    threads = make_threads(1)
    names = []

    def fail() -> None:
        names.append(threading.current_thread().name)
        raise error

    threads.submit(Call(fail))
    threads.submit(Call(lambda: names.append(threading.current_thread().name)))
    wait_until_quiet(threads)
    assert reported == [error]
    assert names == ["t-1", "t-1"]


def test_stop_drops_what_waits_and_lets_what_runs_end(make_threads: MakeThreads) -> None:
    threads = make_threads(1)
    begun, gate = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        gate.wait(DEADLINE_S)

    runs, waits = Call(work), Call(lambda: None)
    threads.submit(runs)
    assert begun.wait(DEADLINE_S)
    threads.submit(waits)
    threads.stop()
    assert waits.dropped.is_set()
    assert threads.outstanding == 1
    with pytest.raises(RuntimeError, match="stopping"):
        threads.submit(Call(lambda: None))
    gate.set()
    assert runs.ended.wait(DEADLINE_S)
    assert not waits.ended.is_set()


def test_a_system_without_a_single_thread(make_threads: MakeThreads, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = make_threads(4)

    def no_thread(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    with pytest.raises(RuntimeError, match="can't start"):
        threads.submit(Call(lambda: None))
    assert threads.outstanding == 0
    monkeypatch.undo()
    call = Call(lambda: None)
    threads.submit(call)
    assert call.ended.wait(DEADLINE_S)


def test_a_system_with_no_further_thread_uses_those_there_are(
    make_threads: MakeThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = make_threads(4)
    begun, gate = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        gate.wait(DEADLINE_S)

    threads.submit(Call(work))
    assert begun.wait(DEADLINE_S)

    def no_thread(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    late = Call(lambda: None)
    threads.submit(late)
    gate.set()
    assert late.ended.wait(DEADLINE_S)


def test_at_least_one_thread() -> None:
    with pytest.raises(ValueError, match="at least one"):
        RequestThreads(0, name="t")


def test_jobs_from_many_threads_are_all_done(make_threads: MakeThreads) -> None:
    threads = make_threads(8)
    done: list[int] = []

    def submit_all() -> None:
        for _ in range(500):
            threads.submit(Call(lambda: done.append(1)))

    submitters = [threading.Thread(target=submit_all) for _ in range(4)]
    for submitter in submitters:
        submitter.start()
    for submitter in submitters:
        submitter.join(DEADLINE_S)
    wait_until_quiet(threads)
    assert len(done) == 2000


def test_many_calls_wake_the_loop_once() -> None:
    async def scenario() -> tuple[int, list[int]]:
        loop = asyncio.get_running_loop()
        wakes, called = 0, []
        ended = asyncio.Event()
        real = loop.call_soon_threadsafe

        def counted(*args: object, **kwargs: object) -> asyncio.Handle:
            nonlocal wakes
            wakes += 1
            return real(*args, **kwargs)  # type: ignore[arg-type]

        loop.call_soon_threadsafe = counted  # type: ignore[method-assign]
        calls = LoopCalls(loop)
        for number in range(10):  # while the loop is busy with this
            calls.post(lambda number=number: called.append(number))  # type: ignore[misc]
        calls.post(ended.set)
        await asyncio.wait_for(ended.wait(), DEADLINE_S)
        first = wakes
        calls.post(lambda: called.append(10))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert wakes == first + 1
        return first, called

    assert asyncio.run(scenario()) == (1, list(range(11)))


def test_calls_to_a_closed_loop_fail_each_time() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    calls = LoopCalls(loop)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="closed"):
            calls.post(lambda: None)
