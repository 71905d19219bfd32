"""Which of the user's modules imported which while it was executed, and so which depend on one that is edited.

Plain data that server and supervisor share: the server builds it from what `server/load/edges.py` saw, the supervisor keeps it
beside the read-set. An edge goes from the module that was being *executed*, whoever's function did the import. Modules of libraries
are left out; a way that leads through them is an edge from the user's module before to the user's module behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImportGraph:
    """The user's sources in the order of their execution, and for each the numbers of those it imported."""

    sources: tuple[str, ...] = ()
    imported: tuple[tuple[int, ...], ...] = ()

    @classmethod
    def build(cls, sources: Iterable[str], imports: Mapping[str, Iterable[str]]) -> ImportGraph:
        """`sources`: the user's, in the order of their execution. `imports`: the sources that each imported, those of libraries
        among them."""
        order = tuple(sources)
        numbers = {source: number for number, source in enumerate(order)}

        def users_behind(source: str) -> tuple[int, ...]:
            found: set[int] = set()
            seen, open_ = {source}, [source]
            while open_:
                for target in imports.get(open_.pop(), ()):
                    if target in seen:
                        continue
                    seen.add(target)
                    if target in numbers:
                        found.add(numbers[target])
                    else:
                        open_.append(target)
            return tuple(sorted(found))

        return cls(order, tuple(map(users_behind, order)))

    def dependents(self, source: str) -> frozenset[str]:
        """The sources from which edges lead to `source`, directly or through others. Never itself."""
        importers: dict[int, list[int]] = {}
        for importer, targets in enumerate(self.imported):
            for target in targets:
                importers.setdefault(target, []).append(importer)
        found: set[int] = set()
        open_ = [number for number, known in enumerate(self.sources) if known == source]
        while open_:
            for importer in importers.get(open_.pop(), ()):
                if importer not in found:
                    found.add(importer)
                    open_.append(importer)
        return frozenset(self.sources[number] for number in found) - {source}
