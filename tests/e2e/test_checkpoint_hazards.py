"""What a load may do that two processes cannot share: each says where a resume goes on, and that the app is as after a fresh start.

The tests have one server in common and exchange the module `hazard`, so each begins with whatever the last one has left behind.
"""

from __future__ import annotations

import os
import random
import re
import signal
from pathlib import Path

import pytest

from tests.e2e.chained import needs_checkpoints
from tests.e2e.resuming import Resuming

pytestmark = [pytest.mark.e2e, needs_checkpoints]


@pytest.fixture
def tmp(tmp_path: Path) -> Path:
    """A folder outside the project, for what the load writes."""
    return tmp_path


# --- barriers: a resume goes before the module that raised them ---

THREAD = """
    import threading
    done = threading.Event()
    def work():
        done.wait()
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    def state():
        return thread.is_alive() and thread in threading.enumerate()
"""
CHILD = """
    import subprocess
    child = subprocess.Popen(["sleep", "600"])
    def state():
        return child.poll() is None
    def child_pid():
        return child.pid
"""
POOL = """
    import multiprocessing
    pool = multiprocessing.get_context("fork").Pool(1)
    def state():
        return pool.apply(abs, (-3,)) == 3
    def child_pid():
        return pool.apply(__import__("os").getpid)
"""
LOCK = """
    import multiprocessing
    lock = multiprocessing.Lock()
    def state():
        with lock:
            return not lock.acquire(block=False)
"""
SQLITE = """
    import sqlite3
    connection = sqlite3.connect("TMP/base.sqlite", check_same_thread=False)
    connection.execute("create table if not exists visit (pid integer)")
    connection.commit()
    def state():
        connection.execute("insert into visit values (1)")
        connection.commit()
        return connection.execute("pragma integrity_check").fetchone() == ("ok",)
"""
FOLDER = """
    import os, tempfile
    folder = tempfile.TemporaryDirectory(dir="TMP")
    def state():
        return os.path.isdir(folder.name)
    def name():
        return folder.name
"""
FILE_LOCK = """
    import fcntl
    file = open("TMP/lock", "w")
    fcntl.flock(file, fcntl.LOCK_EX)
    def state():
        with open("TMP/lock") as other:
            try:
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return True
        return False
"""
TIMER = """
    import signal
    ticks = []
    signal.signal(signal.SIGALRM, lambda *args: ticks.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    def state():
        import time
        seen = len(ticks)
        deadline = time.monotonic() + 10
        while len(ticks) == seen and time.monotonic() < deadline:
            time.sleep(0.005)
        return len(ticks) > seen
"""
LOOP = """
    import asyncio, threading
    loop, turn = asyncio.new_event_loop(), threading.Lock()
    async def work():
        await asyncio.sleep(0)
        return True
    def state():
        with turn:
            return loop.run_until_complete(work())
"""
TRACE = """
    import sys
    calls = []
    def trace(frame, event, argument):
        calls.append(event)
    sys.settrace(trace)
    def state():
        return bool(calls)
"""
UNIX_SOCKET = """
    import socket
    mine, other = socket.socketpair()
    def state():
        other.send(b"x")
        return mine.recv(9) == b"x"
"""
BARRIERS = {
    "a thread": (THREAD, r"a thread runs \(hazard\.py\)"),
    "a child process": (CHILD, r"a child process \(\d+\)"),
    "a pool of processes": (POOL, r"a child process \(\d+\)"),
    "a lock of processes": (LOCK, "a lock shared by processes"),
    "an SQLite handle": (SQLITE, r"an open database \(.*base\.sqlite\)"),
    "a temporary folder": (FOLDER, r"a temporary folder \(.*\)"),
    "a file lock": (FILE_LOCK, r"a file lock \(.*/lock\)"),
    "a timer": (TIMER, r"a timer \(ITIMER_REAL\)"),
    "an event loop": (LOOP, "an open (epoll|socket)"),
    "a trace function": (TRACE, r"tracing \(hazard\)"),
    "a pair of sockets": (UNIX_SOCKET, "an open socket"),
}


@pytest.mark.parametrize("what", BARRIERS)
def test_a_resume_goes_before_what_cannot_be_shared_and_names_it(resuming: Resuming, tmp: Path, what: str) -> None:
    source, words = BARRIERS[what]
    resuming.put(source.replace("TMP", str(tmp)))
    assert resuming.ask("state") == "True"
    for _ in range(2):
        resumed = resuming.resume()
        assert (resumed.ran, resumed.modules) == (3, 5), resuming.server.log  # hazard, after, views
        assert re.fullmatch(words, resumed.reason), resumed
        assert resuming.ask("state") == "True"


@pytest.mark.parametrize("source", [CHILD, POOL], ids=["a child process", "a pool of processes"])
def test_children_of_a_load_go_with_its_server(resuming: Resuming, source: str) -> None:
    resuming.put(source)
    old = int(resuming.ask("child_pid"))
    resuming.resume()
    assert int(resuming.ask("child_pid")) != old
    resuming.server.wait_until_gone([old])


def test_a_temporary_folder_goes_with_its_server(resuming: Resuming, tmp: Path) -> None:
    resuming.put(FOLDER.replace("TMP", str(tmp)))
    old = Path(resuming.ask("name"))
    assert old.is_dir()
    resuming.resume()
    resuming.server.wait_for(lambda: not old.exists(), f"the end of {old}")
    assert [str(path) for path in tmp.iterdir()] == [resuming.ask("name")]


def test_a_thread_that_has_ended_is_none(resuming: Resuming) -> None:
    resuming.put("import threading\nthread = threading.Thread(target=print)\nthread.start()\nthread.join()\n")
    assert resuming.resume().is_whole, resuming.server.log


def test_processes_are_not_lost_on_a_module_that_is_put_right(resuming: Resuming) -> None:
    """What cut the chain is gone: the next save goes on from right before the changed module again."""
    resuming.put(THREAD)
    assert resuming.resume().ran == 3
    resuming.put("")
    assert resuming.resume().is_whole, resuming.server.log


# --- no barriers: what goes on in a process that continues ---


def test_numpy_goes_on_after_a_resume(resuming: Resuming) -> None:
    resuming.put("""
        import numpy
        numpy.random.seed(42)
        first = numpy.random.random()
        size = 300
        big = numpy.arange(size * size, dtype=float).reshape(size, size)
        def product():
            return bool(numpy.allclose(big @ numpy.eye(size), big))
        def drawn():
            return first
    """)
    expected = None
    for _ in range(3):
        resumed = resuming.resume("import numpy", "SECOND = numpy.random.random()", "TEXT += '' if SECOND else 'x'")
        assert resumed.is_whole, resuming.server.log
        assert resuming.ask("product") == "True"
        expected = expected or resuming.ask("drawn")
        assert resuming.ask("drawn") == expected


def test_a_seeded_sequence_continues_and_an_unseeded_one_differs(resuming: Resuming) -> None:
    drawing = ("import random, hazard", "hazard.seen = (hazard.first, random.random(), random.Random().random())")
    source = """
        import random
        random.seed(42)
        first = random.random()
        def numbers():
            return repr(seen)
    """
    resuming.put(source)
    fresh = random.Random(42)
    expected = (fresh.random(), fresh.random())
    others = set()
    for _ in range(3):
        assert resuming.resume(*drawing).is_whole, resuming.server.log
        first, second, other = eval(resuming.ask("numbers"))
        assert (first, second) == expected
        others.add(other)
    resuming.put(source.replace("random.seed(42)", ""))
    for _ in range(3):
        assert resuming.resume(*drawing).is_whole, resuming.server.log
        others.add(eval(resuming.ask("numbers"))[1])
    assert len(others) == 6


def test_a_coroutine_that_ran_at_import(resuming: Resuming) -> None:
    resuming.put("""
        import asyncio
        async def number():
            await asyncio.sleep(0.001)
            return 7
        value = asyncio.run(number())
        def result():
            return value
    """)
    assert resuming.resume().is_whole, resuming.server.log
    assert resuming.ask("result") == "7"


def test_exit_handlers_run_when_a_server_ends_and_in_no_frozen_process(resuming: Resuming, tmp: Path) -> None:
    source = f"""
        import atexit, os
        def at_exit():
            with open("{tmp}/ended", "a") as file:
                print(os.getpid(), file=file)
        atexit.register(at_exit)
        import collections  # something after it
    """
    resuming.put(source)
    servers = []
    for _ in range(3):
        servers.append(resuming.server.server_pid())
        assert resuming.resume().is_whole, resuming.server.log
    ended = tmp / "ended"
    resuming.server.wait_for(lambda: ended.exists() and len(ended.read_text().split()) >= 3, "the exit handlers")
    servers.append(resuming.server.server_pid())
    resuming.put("")  # discards the checkpoints that hold the handler
    resuming.server.wait_for(lambda: len(ended.read_text().split()) >= 4, "the last exit handler")
    assert resuming.resume().is_whole, resuming.server.log
    assert sorted(map(int, ended.read_text().split())) == sorted(servers)


def test_signal_handlers_run_where_the_signal_went_and_in_no_frozen_process(resuming: Resuming, tmp: Path) -> None:
    resuming.put(f"""
        import os, signal
        def handle(signum, frame):
            with open("{tmp}/signalled", "a") as file:
                print(os.getpid(), file=file)
        signal.signal(signal.SIGUSR2, handle)
        def kill():
            os.kill(os.getpid(), signal.SIGUSR2)
    """)
    assert resuming.resume().is_whole, resuming.server.log
    server, signalled = resuming.server, tmp / "signalled"
    pid = server.server_pid()
    frozen = [other for other in server.below() if other != pid and handles(other, signal.SIGUSR2)]
    assert frozen  # the one before the views at least
    for other in frozen:
        os.kill(other, signal.SIGUSR2)
    assert resuming.resume().is_whole, server.log
    assert not signalled.exists()
    resuming.ask("kill")
    server.wait_for(signalled.exists, "the handler")
    assert signalled.read_text().split() == [str(server.server_pid())]


def handles(pid: int, signum: int) -> bool:
    """Has the process a handler for this signal?"""
    caught = re.search(r"SigCgt:\s*(\S+)", Path(f"/proc/{pid}/status").read_text())
    assert caught
    return bool(int(caught[1], 16) >> (signum - 1) & 1)


LOG = """
    import logging, os
    log = logging.getLogger("hazard")
    log.propagate = False
    log.handlers[:] = [logging.FileHandler("TMP/app.log")]
    log.warning("loaded")
    def write():
        log.warning("by %s", os.getpid())
"""


def test_a_log_file_is_written_by_each_server_also_when_it_was_rotated_or_removed(
    resuming: Resuming, tmp: Path
) -> None:
    log, rotated = tmp / "app.log", tmp / "app.log.1"
    resuming.put(LOG.replace("TMP", str(tmp)))
    resuming.ask("write")
    old = resuming.server.server_pid()
    assert resuming.resume().is_whole, resuming.server.log
    resuming.ask("write")
    new = resuming.server.server_pid()
    assert log.read_text().splitlines() == ["loaded", f"by {old}", f"by {new}"]
    log.rename(rotated)
    assert resuming.resume().is_whole, resuming.server.log
    resuming.ask("write")
    assert log.read_text().splitlines() == [f"by {resuming.server.server_pid()}"]
    assert len(rotated.read_text().splitlines()) == 3
    log.unlink()
    assert resuming.resume().is_whole, resuming.server.log
    resuming.ask("write")
    assert log.read_text().splitlines() == [f"by {resuming.server.server_pid()}"]


def test_a_handler_class_of_the_project_that_logging_imports_itself(resuming: Resuming) -> None:
    """`dictConfig` holds logging's lock while it imports: a process frozen there would release what it never took."""
    handlers = """
        import logging, time
        until = time.perf_counter() + 0.01
        while time.perf_counter() < until:
            pass
        WORD = "one"
        class Keeping(logging.Handler):
            kept = []
            def emit(self, record):
                self.kept.append(record.getMessage())
    """
    source = """
        import logging.config
        logging.config.dictConfig({
            "version": 1,
            "handlers": {"keeping": {"class": "own_handlers.Keeping"}},
            "loggers": {"keeping": {"handlers": ["keeping"]}},
        })
        def kept():
            import own_handlers
            logging.getLogger("keeping").warning("x")
            return own_handlers.WORD + "".join(own_handlers.Keeping.kept)
    """
    resuming.put(source, {"own_handlers.py": handlers})
    assert resuming.ask("kept") == "onex"
    for word in ("two", "three"):
        resuming.save("own_handlers.py", handlers.replace("one", word))
        assert resuming.ask("kept") == f"{word}x"
        assert resuming.resume().is_whole, resuming.server.log
        assert resuming.ask("kept") == f"{word}x"


def test_nothing_is_printed_twice(resuming: Resuming) -> None:
    begun = len(resuming.server.log)
    resuming.put("""
        import sys
        sys.stdout.reconfigure(line_buffering=False)
        print("printed <at import", end=">")
        sys.stdout.write("<big " + "b" * 3000 + ">")
        sys.stderr.write("<to stderr>")
    """)
    for _ in range(2):
        assert resuming.resume("print('<by the views>', end=' ', flush=True)").is_whole, resuming.server.log
    resuming.server.wait_for_log("<by the views>", count=2)
    log = resuming.server.log[begun:]
    assert [log.count(text) for text in ("<at import>", "b" * 3000, "<to stderr>", "<by the views>")] == [1, 1, 1, 2]


def test_debugpy_may_be_imported(resuming: Resuming) -> None:
    resuming.put("import debugpy\ndef connected(): return debugpy.is_client_connected()\n")
    resumed = resuming.resume()
    assert resumed.is_whole, resuming.server.log
    assert resuming.ask("connected") == "False"


# --- loads that fail ---

FAILURES = {
    "an exception": ("raise LookupError('in the middle')", "LookupError"),
    "sys.exit": ("import sys; sys.exit(3)", "SystemExit"),
    "a typo": ("def (:", "SyntaxError"),
    "threads replaced by gevent": ("from gevent import monkey; monkey.patch_all()", "gevent"),
}


@pytest.mark.parametrize("what", FAILURES)
def test_the_fix_of_a_load_that_failed_resumes(resuming: Resuming, what: str) -> None:
    line, shown = FAILURES[what]
    resuming.put("VALUE = 1\n")
    resuming.save("hazard.py", f"{line}\n")
    answer = resuming.server.get()
    assert answer.status >= 500
    assert shown in answer.text
    fixed = resuming.save("hazard.py", "def state(): return 'fixed'\n")
    assert fixed.startswith("error fixed, resumed before it, 3 of 5 modules ran again"), fixed
    assert resuming.ask("state") == "fixed"
    assert resuming.resume().is_whole, resuming.server.log
