"""A watcher on a folder, and a way to wait for what it says."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from devserver.supervisor.ignore import IgnoreRules
from devserver.supervisor.watcher import Watcher

DEADLINE_S = 20.0


class Observed:
    """A watcher and all that it has said since the last `forget`."""

    def __init__(self, watcher: Watcher, lines: list[str]) -> None:
        self.watcher = watcher
        self.lines = lines
        self.paths: set[str] = set()
        self.rescans = 0
        self.batches = 0
        self.failures: list[str] = []

    def take(self) -> None:
        batch = self.watcher.take()
        self.paths |= batch.paths
        self.rescans += batch.rescan
        self.batches += bool(batch.paths or batch.rescan)
        if batch.failed is not None:
            self.failures.append(batch.failed)

    def forget(self) -> None:
        self.paths, self.rescans, self.batches = set(), 0, 0

    def until(self, reached: Callable[[], bool], *, poke: Callable[[], object] = lambda: None) -> None:
        """Take until `reached`; `poke` makes something happen each time. Fails after a deadline with all that came."""
        end = time.monotonic() + DEADLINE_S
        while not reached():
            poke()
            left = end - time.monotonic()
            if left <= 0:
                pytest.fail(f"in vain: rescans {self.rescans}, lines {self.lines}, paths {sorted(self.paths)[:40]}")
            select.select([self.watcher.fileno()], [], [], left)
            self.take()

    def until_seen(self, *paths: Path | str) -> None:
        wanted = {str(path) for path in paths}
        self.until(lambda: wanted <= self.paths)

    def until_rescan(self) -> None:
        self.until(lambda: self.rescans > 0)

    def until_quiet_about(self, folder: Path) -> None:
        """Write a file in a watched folder and wait for it: what was done before would have been reported by then."""
        marks = [
            folder / f"mark{number}" for number in range(3)
        ]  # one batch may be held back while a new folder is walked
        for mark in marks:
            before = self.rescans
            mark.write_text(str(time.monotonic_ns()))
            self.until(lambda mark=mark, before=before: str(mark) in self.paths or self.rescans > before)  # type: ignore[misc]
        self.paths -= set(map(str, marks))  # a write is several events, and they may come in more than one batch


class Observe(Protocol):
    def __call__(
        self,
        *roots: Path,
        poll: bool = False,
        include: tuple[str, ...] = (),
        exclude: tuple[str, ...] = (),
        **seams: object,
    ) -> Observed: ...


@pytest.fixture
def observe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Observe]:
    """Start a watcher and wait for the rescan that says that it watches; closed at the end. It polls often."""
    for module in ("lookout", "watcher"):
        monkeypatch.setattr(f"devserver.supervisor.{module}.POLL_S", 0.05)
    watchers: list[Watcher] = []

    def start(
        *roots: Path,
        poll: bool = False,
        include: tuple[str, ...] = (),
        exclude: tuple[str, ...] = (),
        **seams: object,
    ) -> Observed:
        lines: list[str] = []
        rules = IgnoreRules.from_options(include, exclude, roots[0])
        watcher = Watcher(roots, rules, poll=poll, notify=lines.append, **seams)  # type: ignore[arg-type]
        watchers.append(watcher)
        observed = Observed(watcher, lines)
        observed.until_rescan()
        observed.forget()
        return observed

    yield start
    for watcher in watchers:
        watcher.close(DEADLINE_S)
        assert not watcher.is_alive()
