"""The names that a file has besides its real path: symbolic links, roots given through one, folders mounted twice.

Runs in the watcher's thread of the supervisor; touches no file. Rule that holds: a path always keeps its own name.
"""

from __future__ import annotations

from collections.abc import Iterable

# Links that lead into each other would name one file without end.
NAME_LIMIT = 16


class Links:
    """Which name leads to which real path."""

    def __init__(self) -> None:
        self._targets: dict[str, str] = {}
        self._names: dict[str, set[str]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._targets

    def items(self) -> list[tuple[str, str]]:
        return list(self._targets.items())

    def target(self, name: str) -> str | None:
        return self._targets.get(name)

    def add(self, name: str, target: str) -> None:
        """`name` leads to `target` from now on. A path that leads to itself is no link."""
        self.discard(name)
        if name != target:
            self._targets[name] = target
            self._names.setdefault(target, set()).add(name)

    def discard(self, name: str) -> None:
        target = self._targets.pop(name, None)
        if target is not None:
            names = self._names[target]
            names.discard(name)
            if not names:
                del self._names[target]

    def discard_all(self, names: Iterable[str]) -> None:
        for name in names:
            self.discard(name)

    def names(self, path: str) -> set[str]:
        """The path itself and what it is called through links, at most `NAME_LIMIT` names."""
        found = {path}
        if not self._names:
            return found
        pending = [path]
        while pending:
            name = pending.pop()
            at = name
            while at:
                for link in self._names.get(at, ()):
                    alias = link + name[len(at) :]
                    if alias not in found and len(found) < NAME_LIMIT:
                        found.add(alias)
                        pending.append(alias)
                at = at.rpartition("/")[0]
        return found
