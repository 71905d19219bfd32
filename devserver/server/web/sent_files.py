"""Which addresses of a server stand for which files, so that a browser can be told what to load again. Runs in the server.

The static handler tells its files. What an app or a framework sends itself is known by its address: it is the file below a static
root whose path ends like that, or, if there is none, any file with the same last two parts. For an address at which nothing was
found stand the files that would have been it. Bounded; thread-safe, for each call is one operation of a dictionary or works on a
copy.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from devserver.server.integration import StaticMount

T = TypeVar("T")

MAX_URLS = 5_000
MAX_MISSED = 1_000
"""Files that nobody found: who goes through addresses at random is not to fill the read-set."""


class SentFiles:
    """What this server has sent."""

    def __init__(self) -> None:
        self.roots: tuple[str, ...] = ()  # from which the framework sends files itself
        self.mounts: Sequence[StaticMount] = ()  # what the static handler answers
        self._files: dict[str, str] = {}  # by URL, the latest last
        self._answered: dict[str, None] = {}
        self._missed: dict[str, str] = {}  # by file

    def sent(self, path: Path, url: str) -> None:
        """The static handler has sent the file for this path of a URL."""
        _put(self._files, url, os.path.abspath(path))

    def about_to_send(self, url: str) -> str:
        """The file below a root that the app will send for this path of a URL; "" if none is. Asks the disk the first time."""
        if not (file := self._files.get(url, "")) and url not in self._answered:
            file = self._below_a_root(url)
        if file:
            _put(self._files, url, file)
        return file

    def answered(self, url: str) -> None:
        """The app has answered this path of a URL with what is no document, nor such a file."""
        _put(self._answered, url, None)

    def missed(self, url: str) -> tuple[str, ...]:
        """Nothing was found for this path of a URL. The files below the roots that might have been it."""
        if len(self._missed) >= MAX_MISSED:
            return ()
        files = tuple(
            file for file in (os.path.abspath(path) for path in self._candidates(url)) if not os.path.lexists(file)
        )
        for file in files:
            _put(self._missed, file, url)
        return files

    def urls_of(self, path: str) -> tuple[str, ...]:
        """The paths of the URLs at which browsers know this file; none if it was not sent as it is."""
        if urls := tuple(url for url, file in self._files.copy().items() if file == path):
            return urls
        if path in self._missed:
            return (self._missed[path],)
        name = path.rpartition("/")[2]
        alike = [url for url in self._answered.copy() if url.rpartition("/")[2] == name]
        longest = max((_common_tail(path, url) for url in alike), default=0)
        # A name alone says little, unless it is all there is of the address.
        return tuple(
            url for url in alike if _common_tail(path, url) == longest and (longest > 1 or url.count("/") == 1)
        )

    def file_of(self, url: str) -> str:
        """The file that was sent for this path of a URL; "" if none was."""
        return self._files.get(url, "")

    def _below_a_root(self, url: str) -> str:
        return next((os.path.abspath(file) for file in self._candidates(url) if os.path.isfile(file)), "")

    def _candidates(self, url: str) -> Iterator[str]:
        """Where a file would lie that is sent for this path of a URL."""
        parts = url.strip("/").split("/")
        if ".." in parts or "\0" in url:
            return
        if mounts := [mount for mount in self.mounts if url.startswith(mount.url)]:
            for mount in mounts:
                rest = url.removeprefix(mount.url).strip("/").split("/")
                for root in mount.roots or self.roots:
                    yield os.path.join(root, *rest)
                    if mount.index:
                        yield os.path.join(root, *rest, "index.html")
            return
        for start in range(len(parts)):
            for root in self.roots:
                yield os.path.join(root, *parts[start:])


def _put(known: dict[str, T], url: str, value: T) -> None:
    known.pop(url, None)  # the latest last
    known[url] = value
    if len(known) > MAX_URLS:
        known.pop(next(iter(known.copy())), None)


def _common_tail(path: str, url: str) -> int:
    """How many parts of two paths are the same, counted from the end."""
    count = 0
    for one, other in zip(reversed(path.split("/")), reversed(url.split("/")), strict=False):
        if one != other:
            break
        count += 1
    return count
