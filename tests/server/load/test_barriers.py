"""What must not be frozen, by real threads, sockets, files, locks and timers, each in a process of its own."""

from __future__ import annotations

import mmap
import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from devserver.server.load import barriers, descriptors, mappings
from devserver.server.load.barriers import Baseline, find_barriers, why_not_freeze
from tests.server.load.probing import probe

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux's /proc")


class Case(NamedTuple):
    clauses: tuple[str, ...]  # regular expressions, all that is found, in any order
    source: str  # of a module; `undo` takes the barrier away


BARRIERS: dict[str, Case] = {
    # --- threads ---
    "a thread": Case(
        (r"a thread runs \(tasks\.py\)",),
        """
        import threading
        end = threading.Event()
        def work(): end.wait()
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        def undo(): end.set(); thread.join()
        """,
    ),
    "a thread of a method in a partial": Case(
        (r"a thread runs \(tasks\.py\)",),
        """
        import threading, functools
        end = threading.Event()
        class Worker:
            def work(self, event): event.wait()
        thread = threading.Thread(target=functools.partial(Worker().work, end), daemon=True)
        thread.start()
        def undo(): end.set(); thread.join()
        """,
    ),
    "a thread whose class has a run of its own": Case(
        (r"a thread runs \(tasks\.py\)",),
        """
        import threading
        end = threading.Event()
        class Worker(threading.Thread):
            name = property(lambda self: 1 / 0, lambda self, value: None)
            def __getattribute__(self, name):
                if name in {"_target", "_ident", "native_id"} and threading.current_thread() is threading.main_thread() and armed:
                    raise SystemExit("code of the user's was called")
                return super().__getattribute__(name)
            def run(self): end.wait()
        armed = False
        thread = Worker(daemon=True)
        thread.start()
        armed = True
        def undo():
            global armed
            armed = False
            end.set(); thread.join()
        """,
    ),
    "a timer of threading": Case(
        (r"a thread runs \(tasks\.py\)",),
        """
        import threading
        def later(): pass
        timer = threading.Timer(1000, later)
        timer.daemon = True
        timer.start()
        def undo(): timer.cancel(); timer.join()
        """,
    ),
    "an executor": Case(
        (r"a thread runs \(Pool_0\)",),
        """
        from concurrent.futures import ThreadPoolExecutor
        pool = ThreadPoolExecutor(1, thread_name_prefix="Pool")
        pool.submit(int).result()
        def undo(): pool.shutdown()
        """,
    ),
    "a thread that threading does not know": Case(
        (r"a thread runs \(tasks\.py\)",),
        """
        import _thread, threading
        end, began, ended = threading.Lock(), threading.Lock(), threading.Lock()
        for lock in (end, began, ended): lock.acquire()
        def work():
            began.release()
            end.acquire()
            ended.release()
        _thread.start_new_thread(work, ())
        began.acquire()
        def undo(): end.release(); ended.acquire()
        """,
    ),
    "a native thread": Case(
        (r"a native thread runs",),
        """
        import ctypes
        library = ctypes.CDLL(None)
        thread = ctypes.c_ulong()
        library.pthread_create(ctypes.byref(thread), None, library.pause, None)
        def undo(): library.pthread_cancel(thread); library.pthread_join(thread, None)
        """,
    ),
    "a native thread with a name": Case(
        (r"a native thread runs \(runtime-worker\)",),
        """
        import ctypes
        library = ctypes.CDLL(None)
        thread = ctypes.c_ulong()
        library.pthread_create(ctypes.byref(thread), None, library.pause, None)
        assert not library.pthread_setname_np(thread, b"runtime-worker")
        def undo(): library.pthread_cancel(thread); library.pthread_join(thread, None)
        """,
    ),
    # --- sockets and their like ---
    "a TCP connection": Case(
        (r"an open socket \(127\.0\.0\.1:{port}\)", r"an open socket \(127\.0\.0\.1:\d+\)"),
        """
        import socket
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = result = server.getsockname()[1]
            client = socket.create_connection(server.getsockname())
            accepted, _ = server.accept()
        def undo(): client.close(); accepted.close()
        """,
    ),
    "a listening socket": Case(
        (r"a listening socket \(127\.0\.0\.1:{port}\)",),
        """
        import socket
        server = socket.create_server(("127.0.0.1", 0))
        result = server.getsockname()[1]
        def undo(): server.close()
        """,
    ),
    "a socket of the sixth version": Case(
        (r"an open socket \(\[::\]:{port}\)",),
        """
        import socket
        sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        sock.bind(("::", 0))
        result = sock.getsockname()[1]
        def undo(): sock.close()
        """,
    ),
    "a pair of sockets": Case(
        (r"an open socket",),
        """
        import socket
        pair = socket.socketpair()
        def undo(): [end.close() for end in pair]
        """,
    ),
    "a pipe": Case(
        (r"an open pipe",),
        """
        import os
        pipe = os.pipe()
        def undo(): [os.close(end) for end in pipe]
        """,
    ),
    "a named pipe": Case(
        (r"an open pipe \(queue\)",),
        """
        import os
        os.mkfifo("queue")
        fd = os.open("queue", os.O_RDWR)
        def undo(): os.close(fd)
        """,
    ),
    "epoll": Case((r"an open epoll",), "import select; poll = select.epoll()\ndef undo(): poll.close()"),
    "eventfd": Case((r"an open eventfd",), "import os; fd = os.eventfd(0)\ndef undo(): os.close(fd)"),
    "pidfd": Case((r"an open pidfd",), "import os; fd = os.pidfd_open(os.getpid())\ndef undo(): os.close(fd)"),
    "inotify": Case(
        (r"an open inotify",),
        "import ctypes, os; fd = ctypes.CDLL(None).inotify_init(); assert fd > 0\ndef undo(): os.close(fd)",
    ),
    "timerfd": Case(
        (r"an open timerfd",),
        "import ctypes, os; fd = ctypes.CDLL(None).timerfd_create(1, 0); assert fd > 0\ndef undo(): os.close(fd)",
    ),
    "memfd": Case(
        (r"an open memory file \(cache\)",), "import os; fd = os.memfd_create('cache')\ndef undo(): os.close(fd)"
    ),
    "a terminal of its own": Case(
        (r"an open device \(.*ptmx\)", r"an open device \(/dev/pts/\d+\)"),
        "import os, pty; pair = pty.openpty()\ndef undo(): [os.close(end) for end in pair]",
    ),
    # --- files ---
    "a file open for writing": Case(
        (r"a file open for writing \(out\.txt\)",), "file = open('out.txt', 'w')\ndef undo(): file.close()"
    ),
    "a file open for both": Case(
        (r"a file open for writing \(out\.txt\)",), "file = open('out.txt', 'x+')\ndef undo(): file.close()"
    ),
    "an SQLite database": Case(
        (r"an open database \(db\.sqlite3\)",),
        """
        import sqlite3
        connection = sqlite3.connect("db.sqlite3")
        connection.execute("CREATE TABLE t (x)")
        connection.commit()
        def undo(): connection.close()
        """,
    ),
    "an SQLite database with nothing in it": Case(
        (r"a file open for writing \(db\.sqlite3\)",),
        """
        import sqlite3
        connection = sqlite3.connect("db.sqlite3")
        def undo(): connection.close()
        """,
    ),
    "a database of a library's, to be written": Case(
        (r"an open database \(cache\.db\)",),
        """
        import os, sqlite3
        os.makedirs("lib/site-packages")
        connection = sqlite3.connect("lib/site-packages/cache.db")
        connection.execute("CREATE TABLE t (x)")
        def undo(): connection.close()
        """,
    ),
    "an SQLite database to be read": Case(
        (r"an open database \(db\.sqlite3\)",),
        """
        import sqlite3
        connection = sqlite3.connect("db.sqlite3")
        connection.execute("CREATE TABLE t (x)")
        connection.close()
        connection = sqlite3.connect("file:db.sqlite3?mode=ro", uri=True)
        connection.execute("SELECT * FROM t").fetchall()
        def undo(): connection.close()
        """,
    ),
    "flock": Case(
        (r"a file lock \(app\.lock\)",),
        """
        import fcntl
        file = open("app.lock", "a")
        fcntl.flock(file, fcntl.LOCK_EX)
        def undo(): fcntl.flock(file, fcntl.LOCK_UN)
        """,
    ),
    "flock of a file to be read": Case(
        (r"a file lock \(tasks\.py\)",),
        """
        import fcntl
        file = open(__file__)
        fcntl.flock(file, fcntl.LOCK_SH)
        def undo(): fcntl.flock(file, fcntl.LOCK_UN)
        """,
    ),
    "lockf": Case(
        (r"a file lock \(app\.lock\)",),
        """
        import fcntl
        file = open("app.lock", "a")
        fcntl.lockf(file, fcntl.LOCK_EX)
        def undo(): fcntl.lockf(file, fcntl.LOCK_UN)
        """,
    ),
    "a lock on a folder": Case(
        (r"a file lock \(.+\)",),
        """
        import fcntl, os
        fd = os.open(".", os.O_RDONLY)
        fcntl.flock(fd, fcntl.LOCK_EX)
        def undo(): fcntl.flock(fd, fcntl.LOCK_UN)
        """,
    ),
    "a temporary folder": Case(
        (r"a temporary folder \(/.+app-.+\)",),
        """
        import tempfile
        folder = tempfile.TemporaryDirectory(prefix="app-")
        def undo(): folder.cleanup()
        """,
    ),
    "a temporary file": Case(
        (r"a file open for writing \(.+\)",),
        """
        import tempfile
        file = tempfile.NamedTemporaryFile()
        def undo(): file.close()
        """,
    ),
    "a temporary file without a name": Case(
        (r"a file open for writing \(.+\)",),
        """
        import tempfile
        file = tempfile.TemporaryFile()
        def undo(): file.close()
        """,
    ),
    # --- memory ---
    "shared anonymous memory": Case(
        (r"shared memory",), "import mmap; area = mmap.mmap(-1, 4096)\ndef undo(): area.close()"
    ),
    "a file mapped for writing": Case(
        (r"a shared mapping \(data\.bin\)", r"a file open for writing \(data\.bin\)"),  # mmap keeps a descriptor
        """
        import mmap
        with open("data.bin", "wb") as file: file.write(bytes(4096))
        with open("data.bin", "r+b") as file: area = mmap.mmap(file.fileno(), 0)
        def undo(): area.close()
        """,
    ),
    # --- processes, timers, tracing, locks, loops ---
    "a child process": Case(
        (r"a child process \({pid}\)",),
        """
        import os, signal
        from devserver import processes
        me = os.getpid()
        result = os.fork()
        if not result:
            processes.die_with_parent(me)
            while True: signal.pause()
        def undo(): os.kill(result, signal.SIGKILL); os.waitpid(result, 0)
        """,
    ),
    "a child process nobody has waited for": Case(
        (r"a child process \({pid}\)",),
        """
        import os
        result = os.fork()
        if not result: os._exit(0)
        os.waitid(os.P_PID, result, os.WEXITED | os.WNOWAIT)
        def undo(): os.waitpid(result, 0)
        """,
    ),
    "an alarm": Case((r"a timer \(ITIMER_REAL\)",), "import signal; signal.alarm(1000)\ndef undo(): signal.alarm(0)"),
    "a timer of processor time": Case(
        (r"a timer \(ITIMER_VIRTUAL\)",),
        "import signal; which = signal.ITIMER_VIRTUAL; signal.setitimer(which, 1000)\ndef undo(): signal.setitimer(which, 0)",
    ),
    "a profiler's timer": Case(
        (r"a timer \(ITIMER_PROF\)",),
        "import signal; which = signal.ITIMER_PROF; signal.setitimer(which, 1000, 1)\ndef undo(): signal.setitimer(which, 0)",
    ),
    "a trace function": Case(
        (r"tracing \(tasks\)",),
        """
        import sys
        before = sys.gettrace()
        def trace(frame, event, argument): return None
        sys.settrace(trace)
        def undo(): sys.settrace(before)
        """,
    ),
    "a trace function for threads": Case(
        (r"tracing \(tasks\)",),
        """
        import threading
        before = threading.gettrace()
        def trace(frame, event, argument): return None
        threading.settrace(trace)
        def undo(): threading.settrace(before)
        """,
    ),
    "a profile function": Case(
        (r"tracing \(tasks\)",),
        """
        import sys
        class Profile:
            def __call__(self, frame, event, argument): return None
        sys.setprofile(Profile())
        def undo(): sys.setprofile(None)
        """,
    ),
    "a logger's handler in use": Case(
        (r"a logging lock is held",),
        """
        import logging
        handler = logging.StreamHandler()
        handler.acquire()
        def undo(): handler.release()
        """,
    ),
}


@pytest.mark.parametrize("name", BARRIERS)
def test_a_barrier(name: str, tmp_path: Path) -> None:
    found = probe(tmp_path, BARRIERS[name].source)
    left = list(found.asked)
    for clause in BARRIERS[name].clauses:
        pattern = clause.replace("{port}", str(found.result)).replace("{pid}", str(found.result))
        assert any(re.fullmatch(pattern, text) for text in left), found.asked
        left = [text for text in left if not re.fullmatch(pattern, text)]
    assert not left
    assert found.freed == ()


NO_BARRIERS: dict[str, str] = {
    "jemalloc's background thread": """
        import ctypes
        library = ctypes.CDLL(None)
        thread = ctypes.c_ulong()
        library.pthread_create(ctypes.byref(thread), None, library.pause, None)
        assert not library.pthread_setname_np(thread, b"jemalloc_bg_thd")
        """,
    "nothing": "",
    "an append-only log": "file = open('app.log', 'a'); file.write('begun')",
    "a log that can be read as well": "file = open('app.log', 'a+'); file.write('begun')",
    "logging into a file": """
        import logging.handlers
        logging.basicConfig(handlers=[logging.FileHandler("a.log"), logging.handlers.RotatingFileHandler("b.log")])
        logging.warning("begun")
        """,
    "a file just opened": "file = open(__file__)",
    "a file half read": "file = open(__file__, 'rb', buffering=0); file.read(3)",
    "a file that was read": "file = open(__file__); file.read()",
    "a file that was removed": "import os; file = open('gone', 'w'); file.close(); file = open('gone'); os.unlink('gone')",
    "a folder": "import os; fd = os.open('.', os.O_RDONLY)",
    "a place in the file system": "import os; fds = [os.open(path, os.O_PATH) for path in ('.', __file__, '/dev/tty')]",
    "harmless devices": "files = [open('/dev/null', 'wb'), open('/dev/urandom', 'rb'), open('/dev/zero', 'rb')]",
    "a copy of standard output": "import os; fd = os.dup(1)",
    "a temporary folder that stays": "import tempfile; folder = tempfile.mkdtemp(dir='.')",
    "a temporary folder that went": """
        import tempfile
        with tempfile.TemporaryDirectory() as folder: pass
        with tempfile.NamedTemporaryFile() as file: pass
        """,
    "a finalizer": "import weakref; owner = type('Owner', (), {})(); weakref.finalize(owner, print, 'gone')",
    "a loop that has ended": """
        import asyncio
        async def main(): await asyncio.sleep(0); return 42
        assert asyncio.run(main()) == 42
        """,
    "a child that has ended": "import subprocess; subprocess.run(['true'], check=True)",
    "a database in memory": "import sqlite3; connection = sqlite3.connect(':memory:'); connection.execute('CREATE TABLE t (x)')",
    "a database that a library reads of its own": """
        import os, sqlite3
        os.makedirs("lib/site-packages")
        connection = sqlite3.connect("lib/site-packages/proj.db")
        connection.execute("CREATE TABLE t (x)")
        connection.close()
        connection = sqlite3.connect("file:lib/site-packages/proj.db?mode=ro", uri=True)
        connection.execute("SELECT * FROM t").fetchall()
        """,
    "a private mapping": """
        import mmap
        area = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        """,
    "a lock of the thread's own": "import threading; lock = threading.RLock(); lock.acquire()",
    "a signal handler": "import signal; signal.signal(signal.SIGUSR1, lambda *_: None)",
    "an atexit handler": "import atexit; atexit.register(print)",
    "tracing that has ended": "import sys; before = sys.gettrace(); sys.settrace(lambda *_: None); sys.settrace(before)",
    "logging's lock in the hands of others": """
        import logging
        logging.basicConfig()
        logging.warning("done")
        """,
}


@pytest.mark.parametrize("name", NO_BARRIERS)
def test_no_barrier(name: str, tmp_path: Path) -> None:
    assert probe(tmp_path, NO_BARRIERS[name]).asked == ()


def test_the_import_of_a_handlers_module_in_dict_config(tmp_path: Path) -> None:
    """logging holds its lock meanwhile: a child would release one that it has not."""
    (tmp_path / "handlers.py").write_text(
        "import logging\nasked.append(find_barriers(baseline))\nclass Handler(logging.StreamHandler): pass\n"
    )
    found = probe(
        tmp_path,
        """
        import logging.config
        logging.config.dictConfig({"version": 1, "handlers": {"own": {"class": "handlers.Handler"}}, "root": {"handlers": ["own"]}})
        """,
    )
    assert found.within == (("a logging lock is held",),)
    assert found.asked == ()


def test_a_running_event_loop(tmp_path: Path) -> None:
    found = probe(
        tmp_path,
        """
        import asyncio
        async def main(): asked.append(find_barriers(baseline))
        asyncio.run(main())
        """,
    )
    assert set(found.within[0]) == {"a running event loop", "an open epoll", "an open socket"}
    assert found.asked == ()


def test_an_import_in_a_thread(tmp_path: Path) -> None:
    found = probe(
        tmp_path,
        """
        import threading
        def work(): asked.append(find_barriers(baseline))
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        def undo(): pass
        """,
        moving=True,  # a thread that was joined is still on its way out for a moment
    )
    assert found.within == (("an import in a thread", "a thread runs (tasks.py)"),)


def test_a_raising_probe_is_a_barrier(tmp_path: Path) -> None:
    """No descriptor is left to look at /proc with."""
    found = probe(
        tmp_path,
        """
        import resource
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (1, hard))
        asked.append(find_barriers(baseline))
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        """,
    )
    assert found.within == (
        (
            "threads cannot be told (OSError)",
            "open descriptors cannot be told (OSError)",
            "shared memory cannot be told (OSError)",
        ),
    )
    assert found.asked == ()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up rights")
def test_a_file_that_may_not_be_opened_again(tmp_path: Path) -> None:
    """Its offset would stay shared."""
    found = probe(
        tmp_path,
        """
        import os
        fd = os.open("secret", os.O_RDONLY | os.O_CREAT, 0o600)
        os.seteuid(65534)
        asked.append(find_barriers(baseline))
        os.seteuid(0)
        """,
    )
    (clause,) = found.within[0]
    assert re.fullmatch(r"an open file that may not be opened again \(.*secret\)", clause)
    assert found.asked == ()


# --- the baseline ---


def test_what_was_there_before_is_no_barrier(tmp_path: Path) -> None:
    """A pipe, a lock, a mapping, a tracer, a thread: all before the baseline."""
    found = probe(
        tmp_path,
        """
        import fcntl, mmap, os, sys, threading
        from devserver.server.load.barriers import Baseline
        pipe, area, file, end = os.pipe(), mmap.mmap(-1, 4096), open("app.lock", "w"), threading.Event()
        fcntl.flock(file, fcntl.LOCK_EX)
        threading.Thread(target=end.wait, daemon=True).start()
        sys.setprofile(lambda *_: None)
        asked.append(find_barriers(baseline))
        later = Baseline.take()
        asked.append(find_barriers(later))
        sys.setprofile(None)
        other = os.pipe()
        asked.append(find_barriers(later))
        asked.append(find_barriers(later.including(*other)))
        """,
    )
    assert len(found.within[0]) == 5
    assert found.within[1:] == ((), ("an open pipe",), ())


def test_a_number_that_leads_elsewhere_now(tmp_path: Path) -> None:
    found = probe(
        tmp_path,
        """
        import os
        from devserver.server.load.barriers import Baseline
        fd = os.open(__file__, os.O_RDONLY)
        later = Baseline.take()
        other = os.open("out", os.O_WRONLY | os.O_CREAT)
        os.dup2(other, fd)
        os.close(other)
        asked.append(find_barriers(later))
        """,
    )
    assert found.within == (("a file open for writing (out)",),)


# --- nothing is changed ---


def test_a_socket_keeps_its_mode_and_a_file_its_offset(tmp_path: Path) -> None:
    found = probe(
        tmp_path,
        """
        import os, socket
        socket.setdefaulttimeout(5)
        server = socket.socket()
        os.set_blocking(server.fileno(), True)
        server.bind(("127.0.0.1", 0))
        file = open(__file__, "rb", buffering=0)
        file.read(7)
        asked.append(find_barriers(baseline))
        result = [os.get_blocking(server.fileno()), file.tell(), os.get_inheritable(server.fileno())]
        """,
    )
    assert len(found.within[0]) == 1
    assert found.result == [True, 7, False]


def test_mappings_are_listed_only_when_some_came(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list costs the kernel time by its length; the heap may grow without it being read."""
    read: list[str] = []

    def read_all(path: str) -> bytes:
        read.append(path)
        return descriptors.read_all(path)

    monkeypatch.setattr(mappings, "read_all", read_all)
    baseline = Baseline.take()
    for _ in range(3):
        find_barriers(baseline)
    kept = [bytes(1 << 20) for _ in range(64)]
    find_barriers(baseline)
    assert read.count("/proc/self/maps") == 1
    with open(__file__, "rb") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ):
            find_barriers(baseline)
            find_barriers(baseline)
    assert read.count("/proc/self/maps") == 2
    assert len(kept) == 64


# --- where nothing can be frozen ---


def test_why_not_freeze(monkeypatch: pytest.MonkeyPatch) -> None:
    assert why_not_freeze() is None
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "darwin")
        assert why_not_freeze() == "what a process holds is not told by this system"
    with monkeypatch.context() as patch:
        patch.delattr(os, "fork")
        assert why_not_freeze() == "this Python has no fork"
    with monkeypatch.context() as patch:
        patch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
        assert why_not_freeze() == "this Python runs without the GIL"
    with monkeypatch.context() as patch:
        patch.setattr(barriers, "_isdir", lambda path: False)
        assert why_not_freeze() == "/proc is not mounted"
