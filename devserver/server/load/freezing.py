"""The load, frozen on its way: before which modules, after what preparations, and what a resumed process puts right.

Runs in the server while it loads, on the main thread. Rules that hold: a freeze is before a search, never after it: what an import
finds is looked up again by whoever continues; all that was read before is told before; nothing is frozen behind a barrier, and the
barrier is named; only the load is frozen, never a process that serves.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from devserver.messages import Plan
from devserver.server.deferred import preload
from devserver.server.integration import Integration, files_changed
from devserver.server.load.barriers import Baseline, find_barriers, why_not_freeze
from devserver.server.load.chain import Resumed, flush_output, freeze
from devserver.server.load.collector import collect_new, show_frozen_objects
from devserver.server.load.hoisting import Hoister, HoistError
from devserver.server.load.imports import forget_listings
from devserver.server.load.logfiles import AppendedFiles
from devserver.server.load.randomness import SharedGenerator
from devserver.server.load.readfiles import ReadFiles
from devserver.server.load.spacing import Spacing
from devserver.server.load.workingfolder import WorkingFolder
from devserver.signatures import ABSENT, module_file, sign_module

RECENT_S = 3600.0
_BARRIER_PAUSE_MS = 20.0
"""Behind a barrier it is looked again after so much of the load."""

_stat = os.stat  # before `interception` replaces it


class Journal(Protocol):
    """Who records what is read."""

    position: int
    source_count: int  # modules of the user's that ran

    def settle(self) -> None:
        """The process is about to be frozen: sign what the load has written, and tell everything."""

    def confirm_early(self) -> Sequence[str]:
        """What was built before any request was built from these files, which are others by now."""


class Freezer:
    """Makes the checkpoints of one load. `resumed` is called first in every process that continues from one."""

    def __init__(
        self,
        resumed: Resumed,
        *,
        journal: Journal,
        integrations: Iterable[Integration],
        on_resumed: Callable[[Resumed], None],
        hoister: Hoister,
        rest: Callable[[], None],
        not_hoisted: Callable[[HoistError], None],
    ) -> None:
        """`rest` is called between the steps of the load; `not_hoisted` does not return."""
        self.barrier = ""
        """What kept the process from being frozen when it was looked last."""
        self._server, self._channel = resumed.server, resumed.channel
        self._stack_fd = resumed.stack_fd  # all who continue have theirs at this number
        self._able = resumed.plan.checkpoints and not why_not_freeze()
        self._enabled = self._able
        self._spacing = Spacing(resumed.plan)
        self._hoister = hoister
        self._rest = rest
        self._not_hoisted = not_hoisted
        self._follow(resumed.plan)
        self._journal = journal
        self._integrations = tuple(integrations)
        self._on_resumed = on_resumed
        self._baseline = Baseline.take() if self._able else None
        if self._able:
            show_frozen_objects()
        self._generator = SharedGenerator() if self._able or resumed.plan.rehearses else None
        self._began = self._looked = time.perf_counter()
        self._ran = 0  # modules, up to the last checkpoint
        self._fork_ms = 0.0

    # --- when ---

    def search_begins(self, path: str) -> None:
        """An import is about to search the user's folder for a name; `path` is folder/name."""
        self._rest()
        if self._hoister.is_due(path):
            self._hoist()
            return
        if not self._enabled or self._journal.source_count == self._ran:
            return  # nothing of the user's has run since the last checkpoint
        now = time.perf_counter()
        since_ms = (now - self._began) * 1000
        recent = False

        def is_recent() -> bool:
            nonlocal recent
            recent = _is_recent(path)
            return recent

        if not self._spacing.is_due(path, since_ms, self._fork_ms, is_recent):
            return
        if self.barrier and (now - self._looked) * 1000 < _BARRIER_PAUSE_MS and not self._spacing.is_saved(path):
            return
        if sign_module(path) == ABSENT or threading.current_thread() is not threading.main_thread():
            return
        if self._freeze():
            self._spacing.made(path, recent=recent)
        if self._hoister.is_due(path):  # who continues from here has a plan of its own
            self._hoist()

    def _hoist(self) -> None:
        """Import what does not depend on the module that is about to be searched, and freeze."""
        try:
            self._hoister.hoist(self._barriers, self._rest)
            if not self._freeze():
                raise HoistError("", self.barrier)
        except HoistError as error:
            self._not_hoisted(error)

    def load_ended(self) -> None:
        """Everything is loaded, nothing served: freeze once more, the last time, if much was loaded since the last one."""
        if self._enabled:
            since_ms = (time.perf_counter() - self._began) * 1000
            if self._spacing.is_ready_due(since_ms, self._fork_ms):
                self._freeze()
            self._enabled = False

    def stop(self) -> None:
        """The load has failed: no more checkpoints."""
        self._enabled = False

    def know(self, *fds: int) -> None:
        """These descriptors are the server's own."""
        if self._baseline is not None:
            self._baseline = self._baseline.including(*fds)

    def random_numbers(self) -> object:
        """Where the sequence has come to that somebody has seeded; None: nobody has."""
        return self._generator.note() if self._generator is not None else None

    # --- how ---

    def _freeze(self) -> bool:
        """Freeze here, unless something forbids it. True if there is a checkpoint now."""
        assert self._baseline is not None
        assert self._generator is not None
        self._looked = began = time.perf_counter()
        collect_new()  # before the barriers: it may close what is in the way
        barriers = self._barriers()
        self.barrier = barriers[0] if barriers else ""
        if barriers:
            return False
        flush_output()
        appended, read = AppendedFiles.note(self._baseline), ReadFiles.note(self._baseline)
        folder = WorkingFolder.note()
        self._journal.settle()
        if not self._channel.flush_within(1.0):
            return False
        state = self._generator.note()
        try:
            resumed = freeze(self._server, self._channel, self._journal.position, preload)
        except OSError as error:
            self.barrier = f"no process to be had: {error.strerror}"
            return False
        self._journal.position += 1
        read.reopen()
        self._generator.restore(state)
        if resumed is not None:
            if folder is not None:
                folder.reenter()
            self._continue(resumed, appended)
            began = time.perf_counter()
        self._began = time.perf_counter()
        self._ran = self._journal.source_count
        self._fork_ms = max(self._fork_ms * 0.5, (self._began - began) * 1000)
        return True

    def _continue(self, resumed: Resumed, appended: AppendedFiles) -> None:
        self._server, self._channel = resumed.server, resumed.channel
        self._follow(resumed.plan)
        self._on_resumed(resumed)
        self.know(resumed.channel.fileno(), self._stack_fd)
        forget_listings()
        appended.reopen()
        for integration in self._integrations:
            integration.after_resume()
        files_changed(self._integrations, self._journal.confirm_early())

    def _follow(self, plan: Plan) -> None:
        self._spacing.follow(plan)
        self._hoister.follow(plan)
        self._enabled = self._able and plan.checkpoints and not plan.hoist

    def _barriers(self) -> tuple[str, ...]:
        """What must not be frozen, after the integrations have put away what they can."""
        assert self._baseline is not None
        return (*self._lower_barriers(), *find_barriers(self._baseline))

    def _lower_barriers(self) -> Iterable[str]:
        for integration in self._integrations:
            try:
                integration.before_freeze()
            except Exception as error:
                yield f"{integration.name}: {error}"


def _is_recent(path: str) -> bool:
    try:
        return time.time() - _stat(module_file(path, sign_module(path))).st_mtime < RECENT_S
    except OSError:
        return False
