"""Imports before an edited module what does not depend on it, as the supervisor has found out (`HoistLevel`).

Runs in the server while it loads, on the main thread, right before an import searches the first of the modules that are held back.
Rules that hold: what is hoisted runs as it would by its own import; nothing is imported twice, for what is being searched now is
held back with all that could import it; a module that raises here, or behind which the process may not be frozen, ends the
process: its state is none that a load could have left.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection, Sequence
from itertools import islice

from devserver.messages import FIRST_REQUESTS, HoistLevel, Plan
from devserver.signatures import module_path


class Hoister:
    """`phase` names the part of the load that runs. `build_early` builds what first requests have built, after all else; it may
    raise HoistError. `sources`: of the user's modules that ran, in their order."""

    def __init__(
        self,
        phase: Callable[[], str],
        build_early: Callable[[Sequence[str]], None],
        sources: Callable[[], Collection[str]],
    ) -> None:
        self.count = 0
        """How many modules were hoisted, in this process and in those that it continues."""
        self._phase = phase
        self._build_early = build_early
        self._sources = sources
        self._levels: tuple[HoistLevel, ...] = ()
        self._early: tuple[str, ...] = ()

    def follow(self, plan: Plan) -> None:
        """From here on the load goes by this plan."""
        self._levels, self._early = plan.hoist, plan.early

    def is_due(self, path: str) -> bool:
        """Is it time, before the search of the module at `path` (folder/name)?"""
        return bool(self._levels) and path in self._levels[0].before and self._phase() == self._levels[0].phase

    def hoist(self, find_barriers: Callable[[], Sequence[str]], rest: Callable[[], None]) -> None:
        """Import the modules of the level that is due. `find_barriers`: what must not be frozen now. `rest` is called between the
        steps. Raises HoistError."""
        level, *levels = self._levels
        self._levels = ()  # what is imported here is not held back
        before, held, ran = frozenset(sys.modules), frozenset(level.before), len(self._sources())
        for name in level.modules:
            if name in sys.modules or not _has_package(name):
                continue
            rest()
            try:
                importlib.import_module(name)
            except BaseException as error:  # SystemExit too
                raise HoistError(name, f"{type(error).__name__}: {error}") from None
            if barriers := find_barriers():
                raise HoistError(name, barriers[0])
            if held.intersection(map(module_path, islice(self._sources(), ran, None))):
                raise HoistError(name, "it needs what is held back")  # by a way that no edge tells of
        if not levels and self._early:
            self._build_early(self._early)
            if barriers := find_barriers():
                raise HoistError(FIRST_REQUESTS, barriers[0])
        self.count += sum(name in sys.modules and name not in before for name in level.modules)
        self._levels = tuple(levels)


class HoistError(Exception):
    """This module cannot be imported before the others."""

    def __init__(self, module: str, reason: str) -> None:
        super().__init__(f"{module}: {reason}")
        self.module = module
        self.reason = reason


def _has_package(name: str) -> bool:
    """Else the package itself would be imported, which is held back or cannot be hoisted."""
    package = name.rpartition(".")[0]
    return not package or package in sys.modules
