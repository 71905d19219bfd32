"""What is no barrier, in the processes that a fork makes: each goes on as a fresh start would have."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.server.load.probing import probe

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux's /proc")


def test_a_log_is_written_by_all(tmp_path: Path) -> None:
    found = probe(
        tmp_path,
        """
        import logging, os
        logging.basicConfig(handlers=[logging.FileHandler("app.log")], format="%(message)s", level=logging.INFO)
        logging.info("loaded")
        result = find_barriers(baseline)
        in_child(lambda: logging.info("first"))
        logging.info("parent")
        in_child(lambda: logging.info("second"))
        """,
        forks=True,
    )
    assert found.result == []
    assert (tmp_path / "app.log").read_text().splitlines() == ["loaded", "first", "parent", "second"]


def test_random_is_seeded_anew_by_python(tmp_path: Path) -> None:
    """So whoever continues a load has to restore the state: the user may have seeded."""
    found = probe(
        tmp_path,
        """
        import random
        random.seed(42)
        state = random.getstate()
        own = random.Random(42)
        def draw(): return random.random()
        def restored(): random.setstate(state); return random.random()
        def of_own(): return own.random()
        result = [in_child(draw), in_child(restored), in_child(of_own), own.random(), random.random()]
        """,
        forks=True,
    )
    assert isinstance(found.result, list)
    drawn, restored, of_own, own, expected = found.result
    assert drawn != expected
    assert restored == of_own == own == expected


def test_atexit_handlers_are_inherited(tmp_path: Path) -> None:
    found = probe(
        tmp_path,
        """
        import atexit
        ran = []
        atexit.register(ran.append, "loaded")
        def end(): atexit._run_exitfuncs(); return ran
        result = [find_barriers(baseline), in_child(end), in_child(end), ran]
        """,
        forks=True,
    )
    assert found.result == [[], ["loaded"], ["loaded"], []]


def test_signal_handlers_are_inherited(tmp_path: Path) -> None:
    found = probe(
        tmp_path,
        """
        import os, signal
        got = []
        signal.signal(signal.SIGUSR1, lambda number, frame: got.append(number))
        def hear():
            os.kill(os.getpid(), signal.SIGUSR1)
            while not got: pass
            return got
        result = [find_barriers(baseline), in_child(hear), got, int(signal.SIGUSR1)]
        """,
        forks=True,
    )
    assert isinstance(found.result, list)
    asked, in_child, in_parent, number = found.result
    assert (asked, in_child, in_parent) == ([], [number], [])


def test_a_loop_that_has_ended_can_be_begun_again(tmp_path: Path) -> None:
    found = probe(
        tmp_path,
        """
        import asyncio
        async def main():
            await asyncio.sleep(0)
            return 42
        asyncio.run(main())
        asked.append(find_barriers(baseline))
        result = [in_child(lambda: asyncio.run(main())), asyncio.run(main())]
        """,
        forks=True,
    )
    assert found.within == ((),)
    assert found.result == [42, 42]


def test_flushed_output_is_printed_once(tmp_path: Path) -> None:
    """Standard output is a pipe here, so it is buffered: what is not flushed before the fork comes from both."""
    found = probe(
        tmp_path,
        """
        import sys
        print("loaded")
        asked.append(find_barriers(baseline))
        sys.stdout.flush()
        in_child(lambda: print("first", flush=True))
        in_child(lambda: print("second", flush=True))
        print("end", flush=True)
        """,
        forks=True,
    )
    assert found.within == ((),)
    assert found.output.splitlines() == ["loaded", "first", "second", "end"]


def test_locks_of_the_thread_are_released_by_the_child(tmp_path: Path) -> None:
    """An import under a lock of the user's, and under logging's as it is before a fork that no barrier stops."""
    found = probe(
        tmp_path,
        """
        import threading
        lock, plain = threading.RLock(), threading.Lock()
        lock.acquire(); plain.acquire()
        def release():
            lock.release(); plain.release()
            return [lock._is_owned(), plain.locked()]
        result = [find_barriers(baseline), in_child(release), lock._is_owned()]
        """,
        forks=True,
    )
    assert found.result == [[], [False, False], True]


def test_why_loggings_locks_are_a_barrier(tmp_path: Path) -> None:
    found = probe(
        tmp_path,
        """
        import logging
        handler = logging.StreamHandler()
        handler.acquire()
        def release():
            try:
                handler.release()
            except RuntimeError as error:
                return str(error)
        result = in_child(release)
        handler.release()
        """,
        forks=True,
    )
    assert found.result == "cannot release un-acquired lock"
