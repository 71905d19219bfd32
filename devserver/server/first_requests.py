"""What the first requests import and build: found out in a server, done beforehand in a rehearsal and in the branch.

Runs in the server process. Rules that hold: what fails is left to the request, whose affair it is; what is read counts as read by a
request; nothing is built before that needs modules of the user's which may be held back.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from devserver.messages import FIRST_REQUESTS, LateImports
from devserver.server.deferred import found_by_ours
from devserver.server.integration import Integration, build_early, built_late
from devserver.server.load.hoisting import HoistError
from devserver.server.load.incidental import OURS
from devserver.server.load.reads import Recorder


class FirstRequests:
    """Of one server."""

    def __init__(self, recorder: Recorder, integrations: Sequence[Integration], give_way: Callable[[], None]) -> None:
        """`give_way` is called between the steps."""
        self._recorder = recorder
        self._integrations = integrations
        self._give_way = give_way
        self._loaded: frozenset[str] = frozenset()

    def begin(self) -> None:
        """The load has ended, and no request came so far."""
        self._loaded = frozenset(sys.modules)

    def found(self) -> LateImports:
        """What they have needed so far."""
        left_out = {OURS, *found_by_ours()}
        known = {*self._loaded, *self._recorder.modules()}
        late = (name for name in tuple(sys.modules) if name not in known and name.partition(".")[0] not in left_out)
        return LateImports(tuple(late), built_late(self._integrations))

    def import_early(self, modules: Iterable[str]) -> None:
        for name in modules:
            with suppress(Exception):
                importlib.import_module(name)

    def build_early(self, names: Iterable[str]) -> None:
        """What a request would read for it is kept back until `Recorder.confirm_early`."""
        with self._recorder.early():
            build_early(self._integrations, names, self._give_way)

    def build_in_branch(self, names: Iterable[str]) -> None:
        """Raises HoistError if it needs modules of the user's: they might depend on what is held back."""
        ran = self._recorder.source_count
        self.build_early(names)
        if self._recorder.source_count != ran:
            raise HoistError(FIRST_REQUESTS, "it imports modules")
