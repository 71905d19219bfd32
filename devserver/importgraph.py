"""Which module imported which while it was executed, and so which depend on one that is edited.

Plain data that server and supervisor share: the server builds it from what `server/load/edges.py` saw, the supervisor decides by it
what may be imported before an edited file. An edge goes from the module that was being *executed*, whoever's function did the
import. Libraries' modules are in it as well: a way may lead through them, and they take their time like the user's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from devserver.record import Record


class Run(NamedTuple):
    """A module's run, as it began."""

    source: str  # "": a library's
    phase: str | None  # of the load; None: nobody could import it by its name now
    ms: float  # until the next one began


class ImportGraph(Record):
    """The modules in the order in which they began to run. All tuples have their length."""

    names: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    phases: tuple[str | None, ...] = ()
    took_ms: tuple[float, ...] = ()
    imported: tuple[tuple[int, ...], ...] = ()
    """For each the numbers of those that it imported."""

    @classmethod
    def build(cls, runs: Mapping[str, Run], imports: Mapping[str, Iterable[str]]) -> ImportGraph:
        """`runs`: by name, in the order in which they began. `imports`: what each asked for; names that did not run are left
        out."""
        numbers = {name: number for number, name in enumerate(runs)}

        def targets(name: str) -> tuple[int, ...]:
            return tuple(sorted({numbers[target] for target in imports.get(name, ()) if target in numbers}))

        return cls(
            tuple(runs),
            tuple(run.source for run in runs.values()),
            tuple(run.phase for run in runs.values()),
            tuple(run.ms for run in runs.values()),
            tuple(map(targets, runs)),
        )

    def structure(self) -> tuple[tuple[str, str, str | None, frozenset[str]], ...]:
        """The user's modules in their order, each with those of the user's that it imported: loads in which this is equal differ in
        what modules do, and not in which of them run."""
        return tuple(
            (name, source, phase, frozenset(self.names[target] for target in targets if self.sources[target]))
            for name, source, phase, targets in zip(self.names, self.sources, self.phases, self.imported, strict=True)
            if source
        )

    def numbers_of(self, source: str) -> tuple[int, ...]:
        """The modules that this file is: one as a rule, more if it was imported by several names."""
        return tuple(number for number, known in enumerate(self.sources) if known == source)

    def dependents(self, modules: Collection[int]) -> frozenset[int]:
        """Those from which edges lead to one of `modules`, directly or through others, and `modules` themselves."""
        importers: dict[int, list[int]] = {}
        for importer, targets in enumerate(self.imported):
            for target in targets:
                importers.setdefault(target, []).append(importer)
        found, open_ = set(modules), list(modules)
        while open_:
            for importer in importers.get(open_.pop(), ()):
                if importer not in found:
                    found.add(importer)
                    open_.append(importer)
        return frozenset(found)
