"""What libraries leave behind when they are imported and used while loading: numpy, coverage, debugpy, gevent and others."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from devserver.server.load import threads
from devserver.server.load.mappings import Mappings
from tests.server.load.probing import probe

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux's /proc")


# OpenBLAS's threads wait in a loop for a while after they have computed; then they sleep, and can be told from others. What is
# tested with `until_idle` does not need the moment that the server gives them.
IDLE = r"""
def until_idle():
    import os, time
    deadline = time.monotonic() + 20
    while any(open(f"/proc/self/task/{task}/syscall").read().startswith("running")
              for task in os.listdir("/proc/self/task") if int(task) != os.getpid()):
        assert time.monotonic() < deadline
        time.sleep(0.002)

import ctypes, os, re
import numpy
library = ctypes.CDLL(re.search(r"/\S*openblas\S*", open("/proc/self/maps").read())[0])
library.scipy_openblas_set_num_threads64_(3)  # more than the machine may have
until_idle()
assert len(os.listdir("/proc/self/task")) == 3, "numpy without threads proves nothing"
"""


def test_numpy(tmp_path: Path) -> None:
    assert probe(tmp_path, IDLE).asked == ()


def test_numpy_that_has_computed(tmp_path: Path) -> None:
    found = probe(tmp_path, IDLE + "matrix = numpy.ones((400, 400)); product = matrix @ matrix; until_idle()")
    assert found.asked == ()


def test_numpy_that_computes(tmp_path: Path) -> None:
    """Its threads cannot be told from others before they have come to rest: that is waited for."""
    found = probe(tmp_path, IDLE + "matrix = numpy.ones((400, 400)); product = matrix @ matrix")
    assert found.asked == ()


class Numpy(Mappings):
    """OpenBLAS's data at one address."""

    def forking_libraries(self) -> tuple[range, ...]:
        return (range(4096, 8192),)


FUTEX = b"202 0x1010 0x80 0x2"


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the number of futex is x86-64's")
@pytest.mark.parametrize(
    ("said", "foreign"),
    [
        ([FUTEX], []),
        ([b"running\n", b"running\n", FUTEX], []),
        ([b"running\n", b"0 0x3 0x7 0x1"], [1]),  # it reads a file: none of numpy's
        ([b"running\n"] * 10_000, [1]),
    ],
)
def test_a_thread_that_runs_gets_a_moment(
    said: list[bytes], foreign: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_all(path: str) -> bytes:
        return b"python" if path.endswith("comm") else said.pop(0)

    monkeypatch.setattr(threads, "read_all", read_all)
    monkeypatch.setattr(threads, "_patience", threads._Patience())
    assert threads._foreign([1], Numpy()) == foreign
    if said:  # the moment is over, and there is no other
        asked = len(said)
        assert threads._foreign([1], Numpy()) == foreign
        assert len(said) == asked - 1


def test_numexpr(tmp_path: Path) -> None:
    """It starts its threads when it is imported (pandas imports it, too), and again in a process that was forked."""
    found = probe(
        tmp_path,
        IDLE.replace("== 3", ">= 3")
        + """
os.environ["NUMEXPR_NUM_THREADS"] = os.environ["NUMEXPR_MAX_THREADS"] = "4"
import numexpr
until_idle()
assert len(os.listdir("/proc/self/task")) == 3 + 4
def behind_a_fork():
    numbers = numpy.arange(1e6)
    return float(numexpr.evaluate("numbers * 2 + 1")[-1])
result = in_child(behind_a_fork)
""",
        forks=True,
    )
    assert found.asked == ()
    assert found.result == 1_999_999.0


def test_a_thread_beside_numpy(tmp_path: Path) -> None:
    found = probe(
        tmp_path,
        IDLE
        + """
import threading
end = threading.Event()
def work(): end.wait()
thread = threading.Thread(target=work)
thread.start()
def undo(): end.set(); thread.join()
""",
    )
    assert found.asked == ("a thread runs (tasks.py)",)
    assert found.freed == ()


def test_a_native_thread_in_the_place_of_numpys(tmp_path: Path) -> None:
    """After a fork numpy has no threads, until it needs them: as many as it had could be anybody's."""
    found = probe(
        tmp_path,
        IDLE
        + """
def behind_a_fork():
    import ctypes
    assert len(os.listdir("/proc/self/task")) == 1
    before = find_barriers(baseline)
    library = ctypes.CDLL(None)
    library.pthread_create(ctypes.byref(ctypes.c_ulong()), None, library.pause, None)
    return before, find_barriers(baseline)
result = in_child(behind_a_fork)
""",
        forks=True,
    )
    assert found.result == [["an open pipe"], ["a native thread runs", "an open pipe"]]  # the pipe is the test's


def test_numpy_computes_after_a_fork(tmp_path: Path) -> None:
    """Twice in a row, as in a chain; and the process that was forked does as well."""
    found = probe(
        tmp_path,
        IDLE
        + """
matrix = numpy.arange(160_000, dtype=float).reshape(400, 400) % 7
expected = (matrix @ matrix).sum()
def compute(): return bool((matrix @ matrix).sum() == expected)
def deeper(): return [compute(), in_child(compute), compute()]
result = [*in_child(deeper), in_child(compute), compute()]
until_idle()
""",
        forks=True,
    )
    assert found.result == [True] * 5
    assert found.asked == ()


def test_a_generator_of_numpys_goes_on_where_it_was(tmp_path: Path) -> None:
    found = probe(
        tmp_path,
        IDLE
        + """
numpy.random.seed(42)
generator = numpy.random.default_rng(42)
def draw(): return [float(numpy.random.random()), float(generator.random())]
children = [in_child(draw), in_child(draw)]
result = children + [draw()]
""",
        forks=True,
    )
    assert isinstance(result := found.result, list)
    assert result[0] == result[1] == result[2]


def test_a_lock_of_multiprocessing(tmp_path: Path) -> None:
    found = probe(
        tmp_path,
        """
        import gc, multiprocessing
        lock = multiprocessing.Lock()
        def undo():
            global lock
            del lock
            gc.collect()
        """,
    )
    assert "a lock shared by processes" in found.asked


def test_a_pool_of_multiprocessing(tmp_path: Path) -> None:
    found = probe(
        tmp_path,
        """
        import gc, multiprocessing, os
        from devserver import processes
        pool = multiprocessing.get_context("fork").Pool(1, processes.die_with_parent, (os.getpid(),))
        pool.apply(int)
        def undo():
            global pool
            pool.terminate()
            pool.join()
            pool = None
            gc.collect()  # its queues refer to each other, and hold the locks
        """,
    )
    assert found.freed == ()
    words = " ".join(found.asked)
    for clause in ("a child process (", "a thread runs (", "an open pipe", "a lock shared by processes"):
        assert clause in words


def test_shared_memory(tmp_path: Path) -> None:
    found = probe(
        tmp_path,
        """
        from multiprocessing import resource_tracker, shared_memory
        memory = shared_memory.SharedMemory(create=True, size=4096)
        name = result = memory.name
        asked.append(find_barriers(baseline))
        memory.close()
        memory.unlink()
        resource_tracker._resource_tracker._stop()
        """,
    )
    assert f"shared memory ({found.result})" in found.within[0]
    assert found.asked == ()


def test_coverage(tmp_path: Path) -> None:
    found = probe(
        tmp_path,
        """
        import sys
        before = sys.gettrace()
        sys.settrace(None)
        import coverage
        measured = coverage.Coverage(data_file=None)
        measured.start()
        def undo():
            measured.stop()
            sys.settrace(before)
        """,
    )
    assert found.asked == ("tracing (coverage)",)
    assert found.freed == ()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring")
def test_a_monitoring_tool(tmp_path: Path) -> None:
    found = probe(
        tmp_path,
        """
        import sys
        sys.monitoring.use_tool_id(4, "lines")
        def undo(): sys.monitoring.free_tool_id(4)
        """,
    )
    assert found.asked == ("tracing (lines)",)
    assert found.freed == ()


def test_a_profiler(tmp_path: Path) -> None:
    found = probe(
        tmp_path,
        """
        import cProfile
        profile = cProfile.Profile()
        profile.enable()
        def undo(): profile.disable()
        """,
    )
    assert found.asked in (("tracing (cProfile)",), ("tracing (_lsprof)",))
    assert found.freed == ()


def test_debugpy(tmp_path: Path) -> None:
    found = probe(
        tmp_path,
        """
        import sys
        sys.settrace(None)
        import debugpy
        debugpy.listen(("127.0.0.1", 0), in_process_debug_adapter=True)
        """,
        moving=True,
    )
    assert "tracing (debugpy)" in found.asked
    assert any(text.startswith("a thread runs (") for text in found.asked)


def test_debugpy_that_is_only_imported(tmp_path: Path) -> None:
    assert probe(tmp_path, "import debugpy").asked == ()


@pytest.mark.parametrize(
    ("name", "patch"),
    [
        ("gevent", "import gevent.monkey; gevent.monkey.patch_all()"),
        ("eventlet", "import eventlet; eventlet.monkey_patch()"),
    ],
)
@pytest.mark.filterwarnings("default")
def test_patches(name: str, patch: str, tmp_path: Path) -> None:
    found = probe(tmp_path, patch)
    assert f"patches by {name}" in found.asked


def test_gevent_that_is_only_imported(tmp_path: Path) -> None:
    assert probe(tmp_path, "import gevent.monkey").asked == ()


@pytest.mark.parametrize("library", ["django", "flask", "fastapi", "starlette.applications", "channels"])
def test_frameworks_leave_nothing(library: str, tmp_path: Path) -> None:
    pytest.importorskip(library.partition(".")[0])
    assert probe(tmp_path, f"import {library}").asked == ()
