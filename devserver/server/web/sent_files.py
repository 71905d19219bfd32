"""Which addresses of a server stand for which files, so that a browser can be told what to load again. Runs in the server.

The static handler tells its files. What an app or a framework sends itself is known by its address: it is the file below a static
root whose path ends like that, or, if there is none, any file with the same last two parts. Bounded; thread-safe, for each call
is one operation of a dictionary or works on a copy.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

MAX_URLS = 5_000


class SentFiles:
    """What this server has sent."""

    def __init__(self) -> None:
        self.roots: tuple[str, ...] = ()  # from which the framework sends files itself
        self._files: dict[str, str] = {}  # by URL, the latest last
        self._answered: dict[str, None] = {}

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

    def urls_of(self, path: str) -> tuple[str, ...]:
        """The paths of the URLs at which browsers know this file; none if it was not sent as it is."""
        if urls := tuple(url for url, file in self._files.copy().items() if file == path):
            return urls
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
        parts = url.strip("/").split("/")
        if ".." in parts or "\0" in url:
            return ""
        for start in range(len(parts)):
            for root in self.roots:
                if os.path.isfile(file := os.path.join(root, *parts[start:])):
                    return os.path.abspath(file)
        return ""


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
