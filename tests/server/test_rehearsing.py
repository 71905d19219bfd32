"""A load that nobody hears of and nobody waits for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from devserver.server import rehearsing
from devserver.server.rehearsing import Courtesy


class Clock:
    """Wall and processor time; sleeping takes wall time alone."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall = 100.0
        self.cpu = 5.0
        self.slept: list[float] = []
        monkeypatch.setattr(rehearsing, "_wall", lambda: self.wall)
        monkeypatch.setattr(rehearsing, "_cpu", lambda: self.cpu)
        monkeypatch.setattr(rehearsing, "_sleep", self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.wall += seconds

    def work(self, seconds: float, share: float = 1.0) -> None:
        self.wall += seconds
        self.cpu += seconds * share


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_who_has_the_processor_alone_goes_on(clock: Clock) -> None:
    courtesy = Courtesy()
    courtesy.begin(active=True)
    for _ in range(20):
        clock.work(0.01)
        courtesy.give_way()
    assert clock.slept == []


def test_who_shares_it_sleeps(clock: Clock) -> None:
    courtesy = Courtesy()
    courtesy.begin(active=True)
    clock.work(0.01, 0.5)
    courtesy.give_way()
    assert clock.slept == [pytest.approx(0.03)]
    clock.work(0.01)
    courtesy.give_way()
    assert len(clock.slept) == 1, "the sleep itself is no sign of others"
    clock.work(10, 0.1)
    courtesy.give_way()
    assert clock.slept[1:] == [0.1]


def test_it_does_not_look_all_the_time(clock: Clock) -> None:
    courtesy = Courtesy()
    courtesy.begin(active=True)
    for _ in range(4):
        clock.work(0.001, 0)
        courtesy.give_way()
    assert clock.slept == []
    clock.work(0.001, 0)
    courtesy.give_way()
    assert len(clock.slept) == 1


def test_who_serves_gives_way_to_nobody(clock: Clock) -> None:
    courtesy = Courtesy()
    clock.work(1, 0)
    courtesy.give_way()
    courtesy.begin(active=True)
    courtesy.begin(active=False)
    clock.work(1, 0)
    courtesy.give_way()
    assert clock.slept == []


MUTED = """
import os, sys, subprocess
from devserver.server.rehearsing import Mute
mute = Mute()
print("before", end=" ")
mute.switch(on=True)
mute.switch(on=True)
print("unheard")
if sys.argv[1:] != ["closed"]:
    print("unheard", file=sys.stderr)
os.write(1, b"unheard")
subprocess.run([sys.executable, "-c", "print('unheard')"])
mute.switch(on=False)
mute.switch(on=False)
print("after")
if sys.argv[1:] != ["closed"]:
    print("after", file=sys.stderr)
print(mute.descriptors(), len(os.listdir("/dev/fd")) == at_first)
"""


@pytest.mark.parametrize("closed", [False, True])
def test_what_is_printed_is_not_heard(closed: bool, tmp_path: Path) -> None:
    first = "import os; os.close(2)" if closed else ""
    script = f"{first}\nimport os; at_first = len(os.listdir('/dev/fd'))\n{dedent(MUTED)}"
    done = subprocess.run(
        [sys.executable, "-c", script, *(["closed"] if closed else [])],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout == "before after\n() True\n"
    assert done.stderr == ("" if closed else "after\n")


def test_packages_without_a_file_are_the_users_too(tmp_path: Path) -> None:
    (tmp_path / "made" / "inner").mkdir(parents=True)
    (tmp_path / "ran.py").write_text("")
    code = f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        import json, made.inner, ran
        from devserver.server.rehearsing import users_modules
        print(*sorted(users_modules(["ran"])))
    """
    done = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["made", "made.inner", "ran"], done.stderr


def test_who_asks_whether_it_is_a_terminal_gets_the_answer_of_the_server() -> None:
    """What is loaded in a rehearsal may serve later, in colours."""
    code = """
        import os, pty, sys
        master, slave = pty.openpty()
        os.dup2(slave, 1)
        from devserver.server.rehearsing import Mute
        mute = Mute()
        mute.switch(on=True)
        seen = sys.stdout.isatty(), sys.stderr.isatty(), os.isatty(1)
        mute.switch(on=False)
        print(seen, sys.stdout.isatty(), "isatty" in vars(sys.stdout), file=sys.stderr)
    """
    done = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr.strip() == "(True, False, False) True False"
