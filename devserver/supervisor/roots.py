"""The folders and files that are wanted by name, and where they really are.

Runs in the watcher's thread of the supervisor; touches no file. Rule that holds: every question costs the depth of a
path, not the number of roots, because each module that was loaded from elsewhere is one.
"""

from __future__ import annotations

from collections.abc import Iterator


class Roots:
    """Roots as they were given, with their real paths."""

    def __init__(self) -> None:
        self._real: dict[str, str | None] = {}
        self.real: set[str] = set()
        self._above: set[str] = set()

    def __contains__(self, given: str) -> bool:
        return given in self._real

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._real))

    def add(self, given: str) -> None:
        self._real.setdefault(given, None)

    def locate(self, given: str, real: str) -> str | None:
        """Note where the root is; returns where it was before, None at first."""
        before = self._real[given]
        if before == real:
            return before
        self._real[given] = real
        self.real.add(real)
        self._above.update(_upwards(real))
        if before is not None:
            self.real = {root for root in self._real.values() if root is not None}
            self._above = {folder for root in self.real for folder in _upwards(root)}
        return before

    def around(self, path: str) -> str | None:
        """The nearest root, as given or real, that the path is or lies in."""
        return next((at for at in _upwards(path) if at in self._real or at in self.real), None)

    def any_inside(self, folder: str) -> bool:
        """Whether a root is this folder or lies below it."""
        return folder in self._above


def _upwards(path: str) -> Iterator[str]:
    while path not in ("", "/"):
        yield path
        path = path.rpartition("/")[0]
    yield "/"
