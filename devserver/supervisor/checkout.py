"""Whether git is in the middle of changing the work tree.

git holds `index.lock` in the repository's folder from before the first file it changes until after the last. Runs in the
watcher's thread of the supervisor; reads, never writes. Rule that holds: no lock, left behind by a crash or held while
somebody writes a commit message, delays changes for longer than `HOLD_S`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable

HOLD_S = 10.0

Lock = tuple[str, int, int]


class Checkout:
    """The locks of the repositories that these folders belong to."""

    def __init__(
        self,
        folders: Iterable[str],
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._folders = tuple(folders)
        self._clock = clock
        self._wall_clock = wall_clock
        self._since: dict[Lock, float] = {}

    def is_going_on(self) -> bool:
        """True while a lock stands that is younger than `HOLD_S` and was not waited for that long."""
        locks = {lock: created for lock, created in map(_lock_of, self._folders) if lock is not None}
        now = self._clock()
        self._since = {lock: self._since.get(lock, now) for lock in locks}
        wall_now = self._wall_clock()
        return any(now - self._since[lock] < HOLD_S and wall_now - created < HOLD_S for lock, created in locks.items())


def _lock_of(folder: str) -> tuple[Lock | None, float]:
    repository = find_repository(folder)
    if repository is None:
        return None, 0.0
    path = os.path.join(repository, "index.lock")
    try:
        status = os.lstat(path)
    except OSError:
        return None, 0.0
    return (path, status.st_ino, status.st_mtime_ns), status.st_mtime


def find_repository(folder: str) -> str | None:
    """The git folder of the work tree that `folder` lies in, or None.

    Linked work trees and submodules have a file in its place that names it (gitrepository-layout(5)).
    """
    while True:
        candidate = os.path.join(folder, ".git")
        if os.path.isdir(candidate):
            return candidate
        if os.path.isfile(candidate):
            try:
                with open(candidate, encoding="utf-8", errors="surrogateescape") as file:
                    label, _, target = file.read(4096).partition(":")
            except OSError:
                return None
            return os.path.normpath(os.path.join(folder, target.strip())) if label == "gitdir" else None
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above
