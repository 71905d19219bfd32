"""What the tests of reloading share: change lines, a proof that nothing happened, the ways in which editors save.

That nothing happened is proven by something that does: a style sheet that the server has sent is written afterwards, and its
line in the log has to be the next one. Changes are decided in the order in which they are seen.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from tests.e2e.harness import DevServer, Serve

MARK = "marks/mark.css"
ARGUMENTS = ("app:application", "--static", "/marks=marks", "--no-access-log")
_CHANGE = re.compile(r"^(.*) (?:changed|ended|asked for a restart): (.*)$", re.MULTILINE)
_RESUMED = re.compile(r"resumed(?: before (?:it|them))?, \d+ of (\d+ modules?) ran again")

Save = Callable[[Path, str], None]


class Reloading:
    """A served project, and what its log tells of changes."""

    def __init__(self, server: DevServer) -> None:
        self.server = server
        self.project = server.project
        self._marks = 0

    def lines(self) -> list[str]:
        """The change lines so far: `app.py: restarted, 1 module`. Left out are times, and from where the load went on: a
        resume is to a user what a restart is."""
        log = _RESUMED.sub(r"restarted, \1", self.server.log)
        return [f"{names}: {re.sub(r', [0-9.]+ m?s', '', what)}" for names, what in _CHANGE.findall(log)]

    def loads(self) -> int:
        """How many loads there were after the first."""
        return sum("restarted" in line or "failed to load" in line for line in self.lines())

    def after(self, act: Callable[[], object]) -> list[str]:
        """The change lines that `act` leads to, none for none."""
        self.server.get(f"/{MARK}")  # a server that has not sent it does not care
        before = self.lines()
        act()
        self._marks += 1
        (self.project / MARK).write_text(f"b {{ order: {self._marks} }}")

        def told() -> list[str]:
            return self.lines()[len(before) :]

        lines = self.server.wait_for(told, "a change line")
        return lines if lines != [f"{MARK}: refreshed"] else []

    def settle(self) -> None:
        """Wait until the line of what went before is there and nothing follows: an answer can be faster than its line."""
        for _ in range(20):
            if not self.after(lambda: None):
                return
        pytest.fail(f"there is no end of changes\n{self.server.log}")

    def stays(self, act: Callable[[], object]) -> None:
        """Do something that must not lead to anything."""
        pid = self.server.server_pid()
        lines = self.after(act)
        assert lines == [], f"{lines}\n{self.server.log}"
        assert self.server.server_pid() == pid

    def restarts(self, act: Callable[[], object], text: str | None = None, path: str = "/") -> str:
        """Do something that must lead to a restart, and to `text` in the answer; the change line."""
        before = len(self.lines())
        act()
        told = self.server.wait_for(lambda: self.lines()[before:], "a change line")
        assert "restarted" in told[0], told
        if text is not None:
            self.server.wait_for_text(text, path)
        return told[0]


def reload(serve: Serve, files: Mapping[str, str], *arguments: str, env: Mapping[str, str] | None = None) -> Reloading:
    """Serve a project whose target is app:application, with the mark."""
    return Reloading(serve({MARK: "b {}", **files}, *ARGUMENTS, *arguments, env=env))


def app_with(app: str, *lines: str, text: str = '"one"') -> str:
    """The small app with lines before it; it answers the expression `text`, evaluated once, at import."""
    return "\n".join((*(dedent(line) for line in lines), dedent(app).replace('TEXT = "one"', f"TEXT = {text}")))


# --- how editors save ---


class PausedTooLongError(Exception):
    """This machine was too busy for what was to be tested."""


def _pause() -> None:
    """What editors do between two steps of a save; a save that takes longer than 50 ms is two."""
    began = time.monotonic()
    time.sleep(0.02)
    if time.monotonic() - began > 0.035:
        raise PausedTooLongError


def in_place(path: Path, text: str) -> None:
    path.write_text(text)


def truncate_then_write(path: Path, text: str) -> None:
    with path.open("w") as file:
        try:
            _pause()
        finally:
            file.write(text)


def in_two_writes(path: Path, text: str) -> None:
    """The first half ends inside a statement."""
    half = text.rindex("=") + 1
    with path.open("w") as file:
        file.write(text[:half])
        file.flush()
        try:
            _pause()
        finally:
            file.write(text[half:])


def write_and_rename(path: Path, text: str) -> None:
    new = path.with_name(".tmp-save")
    new.write_text(text)
    new.replace(path)


def unlink_and_create(path: Path, text: str) -> None:
    path.unlink()
    try:
        _pause()
    finally:
        path.write_text(text)


def as_vim(path: Path, text: str) -> None:
    """`:w` with backupcopy=no: a probe, a swap file, the old file renamed to the backup, a new file, the backup removed."""
    swap = path.with_name(f".{path.name}.swp")
    swap.write_text("b0VIM")
    probe = path.with_name("4913")
    probe.touch()
    probe.unlink()
    backup = path.with_name(f"{path.name}~")
    path.rename(backup)
    path.write_text(text)
    backup.unlink()
    swap.unlink()


def as_emacs(path: Path, text: str) -> None:
    """A lock (a link that leads nowhere), the auto-save file, a backup that stays, the file in place."""
    lock = path.with_name(f".#{path.name}")
    lock.symlink_to("user@host.1:1")
    auto = path.with_name(f"#{path.name}#")
    auto.write_text(text)
    path.with_name(f"{path.name}~").write_bytes(path.read_bytes())
    path.write_text(text)
    auto.unlink()
    lock.unlink()


def as_jetbrains(path: Path, text: str) -> None:
    """Safe write: a new file, the old one moved aside, the new one moved in, the old one removed."""
    new, old = path.with_name(f"{path.name}___jb_tmp___"), path.with_name(f"{path.name}___jb_old___")
    new.write_text(text)
    path.rename(old)
    new.rename(path)
    old.unlink()


EDITORS: tuple[Save, ...] = (
    in_place,
    truncate_then_write,
    in_two_writes,
    write_and_rename,
    unlink_and_create,
    as_vim,
    as_emacs,
    as_jetbrains,
)


def git(folder: Path, *arguments: str) -> str:
    """Run git in `folder` and wait for it; what it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@example.org",
    }
    done = subprocess.run(
        ["git", *arguments], check=False, cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
