"""Launchers as the supervisor has them: real processes, with an editor that is a script."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devserver.supervisor.launches import Launches

DEADLINE_S = 20.0


class Desk:
    """Launchers, and what they have said."""

    def __init__(self, editor: str | None) -> None:
        self.said: list[tuple[str, bool]] = []
        self.launches = Launches(editor, notice=lambda text, warning: self.said.append((text, warning)))

    def pids(self) -> list[int]:
        """Of the launchers."""
        return [launcher.pid for launcher in self.launches._launchers]

    def until(self, reached: Callable[[], object]) -> None:
        """Attend as the supervisor does, until `reached`."""
        deadline = time.monotonic() + DEADLINE_S
        while not reached():
            if time.monotonic() > deadline:
                pytest.fail(f"in vain; it said {self.said}")
            readable, _, _ = select.select(self.launches.channels(), [], [], 0.01)
            for channel in readable:
                self.launches.attend(channel)
            self.launches.reap()

    def opened(self, path: Path | str, line: int = 1, column: int = 1) -> tuple[str, bool]:
        """What is said of it."""
        self.said.clear()
        self.launches.open(str(path), line, column)
        self.until(lambda: self.said)
        return self.said[0]


Sit = Callable[..., Desk]


@pytest.fixture
def sit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sit]:
    """A desk in a project with a `views.py`, whose editor is a script."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "views.py").write_text("a = 1\n")
    desks: list[Desk] = []

    def start(script: str = "", *, editor: str | None = "./myed {file} {line} {column}") -> Desk:
        (tmp_path / "myed").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "myed").chmod(0o755)
        desks.append(Desk(editor))
        return desks[-1]

    yield start
    for desk in desks:
        desk.until(lambda desk=desk: not desk.pids())  # type: ignore[misc]
        desk.launches.close()


def test_a_file_is_opened_and_nothing_is_left(sit: Sit, tmp_path: Path) -> None:
    desk = sit('printf "%s|" "$@" > opened')
    desk.launches.open(str(tmp_path / "views.py"), 12, 5)
    (launcher,) = desk.pids()
    desk.until(lambda: not desk.pids())
    assert desk.said == [("opened views.py:12 in myed", False)]
    assert (tmp_path / "opened").read_text() == f"{tmp_path}/views.py|12|5|"
    with pytest.raises(ChildProcessError):
        os.waitpid(launcher, os.WNOHANG)


def test_places_that_cannot_be_are_put_right(sit: Sit, tmp_path: Path) -> None:
    (tmp_path / "-x.py").write_text("")
    desk = sit('printf "%s|" "$@" > opened')
    desk.opened("-x.py", 0, -3)
    assert (tmp_path / "opened").read_text() == f"{tmp_path}/-x.py|1|1|"


@pytest.mark.parametrize("path", ["/nowhere/a.py", "<string>", "", "a\0b", "/dev/null", "/tmp"])
def test_only_a_file_is_opened(sit: Sit, path: str) -> None:
    desk = sit()
    desk.launches.open(path, 1, 1)
    ((text, warning),) = desk.said
    assert text.startswith("not opened in the editor, no such file")
    assert text.isprintable()
    assert warning
    assert desk.launches.channels() == []


@pytest.mark.parametrize(
    ("script", "said"),
    [("exit 3", "myed exited with code 3"), ("kill -TERM $$", "myed was killed by signal SIGTERM")],
)
def test_an_editor_that_fails_is_told(sit: Sit, tmp_path: Path, script: str, said: str) -> None:
    text, warning = sit(script).opened(tmp_path / "views.py")
    assert text.startswith(f"views.py:1 was not opened: {said}")
    assert warning


def test_a_script_that_cannot_be_run_is_told(sit: Sit, tmp_path: Path) -> None:
    desk = sit()
    (tmp_path / "myed").write_text("#!/nowhere/interpreter\n")
    text, warning = desk.opened(tmp_path / "views.py")
    assert text.startswith("views.py:1 was not opened: ")
    assert "No such file" in text
    assert warning


def test_an_editor_that_is_not_there_is_told(sit: Sit, tmp_path: Path) -> None:
    assert sit(editor="no-such-editor").opened(tmp_path / "views.py") == (
        "views.py:1 was not opened: no command no-such-editor",
        True,
    )


def test_an_editor_for_the_terminal_is_a_line_to_paste(
    sit: Sit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    desk = sit(editor="./nano")
    (tmp_path / "myed").rename(tmp_path / "nano")
    text, warning = desk.opened(tmp_path / "views.py", 12, 5)
    assert text == f"nano needs a terminal of its own; in another one:  ./nano +12,5 {tmp_path}/views.py"
    assert not warning


@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")
def test_in_tmux_it_gets_a_window(sit: Sit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    tmux = ["tmux", "-S", str(tmp_path / "socket"), "-f", "/dev/null"]
    subprocess.run([*tmux, "new-session", "-d", "sleep", "600"], check=True, timeout=DEADLINE_S)
    try:
        monkeypatch.setenv("TMUX", f"{tmp_path}/socket,1,0")
        desk = sit(f'test -t 0 && printf "%s|" "$@" > "{tmp_path}/part" && mv "{tmp_path}/part" "{tmp_path}/opened"')
        (tmp_path / "myed").rename(tmp_path / "nano")
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        desk = sit(editor="nano -w")
        assert desk.opened(tmp_path / "views.py", 12, 5) == ("opened views.py:12 in nano", False)
        desk.until((tmp_path / "opened").exists)
        assert (tmp_path / "opened").read_text() == f"-w|+12,5|{tmp_path}/views.py|"
    finally:
        subprocess.run([*tmux, "kill-server"], check=True, timeout=DEADLINE_S)


def test_a_launcher_ends_with_the_supervisor_and_the_editor_does_not(sit: Sit, tmp_path: Path) -> None:
    desk = sit("echo $$ > pid.part && mv pid.part pid; exec sleep 600")
    desk.launches.open(str(tmp_path / "views.py"), 1, 1)
    desk.until((tmp_path / "pid").exists)
    pid = int((tmp_path / "pid").read_text())
    (launcher,) = desk.pids()
    try:
        assert desk.launches.holds(launcher)
        assert not desk.launches.holds(pid)
        desk.launches.close()
        assert not desk.launches.holds(launcher)
        assert os.waitpid(launcher, 0) == (launcher, 0)
        os.kill(pid, 0)
        assert os.getsid(pid) == pid
    finally:
        os.kill(pid, signal.SIGKILL)
