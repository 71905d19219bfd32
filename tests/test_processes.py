"""What the system knows about processes, by real ones. Everything that kills runs in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from textwrap import dedent

import pytest

from devserver import processes
from tests.waiting import DEADLINE_S, eventually

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux's /proc and prctl")

# A sleeper that says that it runs; `children` start more of them before they say so.
SLEEP = "print('up', flush=True); import time; time.sleep(1000)"
PARENT = """
import os, subprocess, sys
below = [subprocess.Popen([sys.executable, "-c", {sleep!r}], stdout=subprocess.PIPE, start_new_session=session)
         for session in {sessions}]
for child in below:
    child.stdout.readline()
print(*[child.pid for child in below], flush=True)
sys.stdin.read()
"""


def wait_for(what: Callable[[], object], message: str) -> None:
    assert eventually(what), message


def runs(pid: int) -> bool:
    """Whether a process is there and not just a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


def gone(pid: int) -> bool:
    return not runs(pid)


@pytest.fixture
def family() -> Iterator[Callable[..., tuple[subprocess.Popen[bytes], list[int]]]]:
    """Start a process in a group of its own with children, in sessions of their own or not; all are killed afterwards."""
    started: list[tuple[subprocess.Popen[bytes], list[int]]] = []

    def start(*sessions: bool) -> tuple[subprocess.Popen[bytes], list[int]]:
        script = PARENT.format(sleep=SLEEP, sessions=sessions)
        parent = subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
        )
        assert parent.stdout is not None
        children = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(children) == len(sessions)
        started.append((parent, children))
        return parent, children

    yield start
    for parent, children in started:
        assert parent.stdin is not None
        assert parent.stdout is not None
        for pid in (parent.pid, *children):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        parent.wait(DEADLINE_S)
        parent.stdin.close()
        parent.stdout.close()


Family = Callable[..., tuple[subprocess.Popen[bytes], list[int]]]


def test_who_is_below(family: Family) -> None:
    parent, children = family(False, True)
    assert sorted(processes.descendants(parent.pid)) == sorted(children)
    found = processes.descendants(os.getpid())
    assert found.index(parent.pid) < min(found.index(child) for child in children)  # nearest first
    assert parent.pid in [pid for pid, _start in processes.children(os.getpid())]
    assert not set(children) & {pid for pid, _start in processes.children(os.getpid())}


def test_start_times(family: Family) -> None:
    first, _ = family()
    second, _ = family()
    start = processes.start_time(first.pid)
    assert 0 < start <= processes.start_time(second.pid)
    uptime_s = float(Path("/proc/uptime").read_text().split()[0])
    assert start <= uptime_s * os.sysconf("SC_CLK_TCK")
    assert (first.pid, start) in processes.children(os.getpid())
    assert processes.start_time(2**22 + 1) == 0  # more than there can be


def test_nothing_is_below_who_is_gone(family: Family) -> None:
    parent, _ = family()
    parent.kill()
    parent.wait(DEADLINE_S)
    assert processes.descendants(parent.pid) == []
    assert processes.children(parent.pid) == []
    assert processes.start_time(parent.pid) == 0


@pytest.mark.parametrize("name", ["a) R 1 1", "(((", ") )", "\udcff) 1"])
def test_names_that_look_like_fields(family: Family, name: str) -> None:
    """The command stands in the middle of the line, in parentheses, and may hold anything."""
    script = f"open('/proc/self/comm', 'wb').write({os.fsencode(name)!r}); {SLEEP}"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == b"up\n"
            assert child.pid in processes.descendants(os.getpid())
            assert processes.start_time(child.pid) > 0
        finally:
            child.kill()


def test_killing_a_tree(family: Family) -> None:
    parent, children = family(False, True)
    other, others = family(False)
    processes.kill_tree(parent.pid)
    assert parent.wait(DEADLINE_S) == -signal.SIGKILL
    for child in children:
        wait_for(partial(gone, child), f"{child} lives")
    assert other.poll() is None
    assert all(runs(pid) for pid in others)


def test_killing_a_tree_takes_those_of_its_group_that_have_lost_their_parent(family: Family) -> None:
    script = f"""
import subprocess, sys
middle = subprocess.Popen([sys.executable, "-c", '''
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {SLEEP!r}], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
'''], stdout=subprocess.PIPE)
print(middle.stdout.readline().decode().strip(), flush=True)
middle.wait()
print("orphaned", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
    ) as leader:
        assert leader.stdout is not None
        orphan = int(leader.stdout.readline())
        assert leader.stdout.readline() == b"orphaned\n"
        assert orphan not in processes.descendants(leader.pid)
        processes.kill_tree(leader.pid)
    wait_for(partial(gone, orphan), f"{orphan} lives")


def test_killing_who_is_gone_is_no_error(family: Family) -> None:
    parent, _ = family()
    parent.kill()
    parent.wait(DEADLINE_S)
    processes.kill_tree(parent.pid)


def run(script: str) -> str:
    """What a Python process prints; it may kill all it has below."""
    done = subprocess.run(
        [sys.executable, "-c", f"SLEEP = {SLEEP!r}\n" + dedent(script)],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout


def test_killing_all_below_finds_those_that_left() -> None:
    """A double fork into a session of its own is the usual way out; a subreaper finds them all the same."""
    out = run("""
        import os, subprocess, sys
        from devserver import processes
        processes.become_subreaper()
        read, write = os.pipe()
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.write(write, b"%d\\n" % os.getpid())
                os.close(write)
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                os.execv(sys.executable, [sys.executable, "-c", SLEEP])
            os._exit(0)
        os.wait()
        daemon = int(os.read(read, 100))
        print(daemon in processes.descendants(os.getpid()))
        processes.kill_all_below()
        print(processes.descendants(os.getpid()), os.path.exists(f"/proc/{daemon}"))
    """)
    assert out.splitlines()[0] == "True"
    assert out.splitlines()[-1] == "[] False"


def test_killing_all_below_spares_who_is_to_be_spared() -> None:
    out = run("""
        import os, subprocess, sys
        from devserver import processes
        def start(script):
            child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
            child.stdout.readline()
            return child
        nested = "import subprocess, sys; c = subprocess.Popen([sys.executable, '-c', " + repr(SLEEP) + "]); c.wait()"
        spared, killed = start(nested), start(nested)
        below = processes.descendants(spared.pid)
        assert len(below) == 1
        processes.kill_all_below(spare=lambda pid: pid == spared.pid)
        left = processes.descendants(os.getpid())
        print(sorted(left) == sorted([spared.pid, *below]))
        processes.kill_all_below()
        print(processes.descendants(os.getpid()))
        spared.returncode = killed.returncode = 0  # they were reaped behind subprocess's back
        spared.stdout.close(), killed.stdout.close()
    """)
    assert out == "True\n[]\n"


BREEDING = """
import os, select, sys, time
print("up", flush=True)
killed = 0
while not select.select([0], [], [], 0)[0]:
    pid = os.fork()
    if pid == 0:
        time.sleep(0.003)
        os._exit(0)
    killed += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
print(killed, flush=True)
"""


def test_who_is_born_meanwhile_below_a_spared_process_is_spared() -> None:
    out = run(f"""
        import subprocess, sys
        from devserver import processes
        spared = subprocess.Popen(
            [sys.executable, "-c", {BREEDING!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        spared.stdout.readline()
        for _ in range(200):
            processes.kill_all_below(spare=lambda pid: pid == spared.pid)
        print(spared.communicate("end")[0])
    """)
    assert out.split() == ["0"]


def test_killing_all_below_has_a_deadline() -> None:
    """A process that cannot be killed (in the kernel, or coming again and again) does not hold it up for ever."""
    out = run("""
        import os, signal, time
        from devserver import processes
        began = time.monotonic()
        processes._all_processes = lambda: [(2**22 + 1, os.getpid(), 0)]
        processes.kill_all_below(deadline_s=0.05)
        print(time.monotonic() - began < 10)
    """)
    assert out == "True\n"


def test_dying_with_the_parent() -> None:
    script = """
        import os
        from devserver import processes
        read, write = os.pipe()
        middle = os.fork()
        if middle == 0:
            parent = os.getpid()
            if os.fork() == 0:
                processes.die_with_parent(parent)
                os.write(write, b"up")  # and keeps it open
                import time; time.sleep(1000)
            os.waitpid(-1, 0)
        assert os.read(read, 100) == b"up"
        os.kill(middle, 9)
        os.waitpid(middle, 0)
        os.close(write)
        print(os.read(read, 1))  # the end of file comes when the child is gone
    """
    assert run(script) == "b''\n"


def test_a_parent_that_died_before_is_noticed() -> None:
    out = run("""
        import os
        from devserver import processes
        pid = os.fork()
        if pid == 0:
            processes.die_with_parent(2**22 + 1)  # not who is the parent now
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    """)
    assert out == "1\n"
