"""The sources of events that stand for the watched folders.

Runs in the watcher's thread of the supervisor. A source watches a fixed set of folders, so new
folders get a source of their own and small ones are merged later. Rules that hold: the new source stands before an old one
is closed; folders that can't be watched are refused, so that what was read there is polled; nothing raises but errors in
such a number that no folder can be to blame.
"""

from __future__ import annotations

import errno
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from devserver.supervisor.folders import FolderTree

# Making a source holds the GIL for up to 80 µs per folder. FSEvents has no watches to count, and one stream is best.
FOLDERS_PER_SOURCE = 500 if sys.platform != "darwin" else sys.maxsize
SMALL_SOURCES = 6
OPEN_ATTEMPTS = 10
ERRORS_A_MINUTE = 5

Events = set[tuple[int, str]]


class Source(Protocol):
    """Gathers events of a fixed set of folders, not of folders below them."""

    def drain(self) -> Events:
        """What came since the last call, as watchfiles' kinds and paths. Does not wait. Raises if events were lost."""
        ...

    def close(self) -> None: ...


SourceFactory = Callable[[Sequence[str]], Source]


@dataclass(slots=True)
class Watch:
    source: Source
    folders: frozenset[str]


@dataclass(slots=True)
class Drained:
    events: Events
    lost: bool = False  # there were more events than these


class Watches:
    """All sources there are."""

    def __init__(self, tree: FolderTree, open_source: SourceFactory) -> None:
        self._tree = tree
        self._open_source = open_source
        self._watches: list[Watch] = []
        self._errors: list[float] = []
        self._leftover = Drained(set())
        self.failure: str | None = None  # why folders could not be watched, until somebody takes it

    def drain(self) -> Drained:
        """What all sources have. A source that raises once raises for ever, it gets a successor."""
        drained, self._leftover = self._leftover, Drained(set())
        for watch in list(self._watches):
            try:
                drained.events |= watch.source.drain()
            except Exception as error:
                self._recover(watch, error)
                drained.lost = True
        return drained

    def add(self, folders: Iterable[str]) -> None:
        """Watch these too, as far as they are there and can be watched."""
        wanted = sorted(folders)
        for start in range(0, len(wanted), FOLDERS_PER_SOURCE):
            self._open(wanted[start : start + FOLDERS_PER_SOURCE])

    def tidy(self, retired: set[str]) -> None:
        """Give the watches of these folders back, and merge small sources when there are many."""
        self._renew([watch for watch in self._watches if watch.folders & retired])
        small = [watch for watch in self._watches if len(watch.folders) < FOLDERS_PER_SOURCE // 2]
        if len(small) > SMALL_SOURCES:
            self._renew(small)

    def close(self) -> None:
        watches, self._watches = self._watches, []
        for watch in watches:
            watch.source.close()

    def _open(self, folders: list[str]) -> None:
        for _ in range(OPEN_ATTEMPTS):
            if not folders:
                return
            try:
                source = self._open_source(folders)
            except (FileNotFoundError, NotADirectoryError):
                left = [folder for folder in folders if os.path.isdir(folder)]
                self._tree.forget(set(folders).difference(left))
                folders = left
            except PermissionError as error:
                left = [folder for folder in folders if os.access(folder, os.R_OK)]
                for folder in set(folders).difference(left) or folders:
                    self._tree.refuse(folder, f"it cannot be read ({error.strerror or error})")
                folders = left if len(left) < len(folders) else []
            except Exception as error:
                self.failure = explain(error)
                for folder in folders:
                    self._tree.refuse(folder, self.failure)
                return
            else:
                self._watches.append(Watch(source, frozenset(folders)))
                return
        # Folders that come and go all the time: whoever hears of the loss walks the roots and finds them again.
        self._tree.forget(folders)
        self._leftover.lost = True

    def _renew(self, watches: list[Watch]) -> None:
        """Other sources in place of these, for those of their folders that are still wanted."""
        folders = set[str]().union(*(watch.folders for watch in watches))
        self.add(folders & (self._tree.folders.keys() | self._tree.narrow))
        for watch in watches:
            self._watches.remove(watch)
            try:
                self._leftover.events |= watch.source.drain()
            except Exception:
                pass
            # Its own thread reads the kernel's queue; on a busy machine it lags, and nobody can tell how far.
            self._leftover.lost = True
            watch.source.close()

    def _recover(self, watch: Watch, error: Exception) -> None:
        undecodable = re.search(r'Unable to decode path "(.*)/[^/]*" to string', str(error))
        folder = undecodable[1] if undecodable else ""
        if folder in watch.folders:
            self._tree.refuse(folder, "it holds a name that is not UTF-8")
        else:
            now = time.monotonic()
            self._errors = [*(moment for moment in self._errors if now - moment < 60.0), now]
            if len(self._errors) > ERRORS_A_MINUTE:
                raise error
        self._renew([watch])


def explain(error: BaseException) -> str:
    """Why a folder cannot be watched, with what to do about the limits of inotify(7)."""
    text = str(error)
    if "file watch limit reached" in text or getattr(error, "errno", None) == errno.ENOSPC:
        return "the limit of inotify watches is reached (sudo sysctl fs.inotify.max_user_watches=524288 raises it)"
    if "os error 24" in text or getattr(error, "errno", None) == errno.EMFILE:
        return "the limit of inotify instances is reached (sudo sysctl fs.inotify.max_user_instances=1024 raises it)"
    return f"{type(error).__name__}: {text}"
