"""Polling of what was read: often where no events come from, seldom everywhere else.

Runs in the watcher's thread of the supervisor. Rule that holds: the work is bounded by a share of a core, so more paths are
looked at less often, not at a higher price.
"""

from __future__ import annotations

import time

from devserver.supervisor.folders import FolderTree
from devserver.supervisor.ignore import IgnoreRules
from devserver.supervisor.places import Place, sort
from devserver.supervisor.polling import Mounts, Poller

POLL_S = 0.5
SWEEP_S = 10.0
POLL_SHARE = 0.05  # of a core, at most, for paths that have no events
SWEEP_SHARE = 0.001  # and for seeing whether events were lost


class Lookout:
    """Looks at the read-set. `with_events` says whether the tree's folders are watched at all."""

    def __init__(self, tree: FolderTree, rules: IgnoreRules, mounts: Mounts, *, with_events: bool) -> None:
        self._tree = tree
        self._with_events = with_events
        self._urgent = Poller(rules, mounts=mounts, replaced=tree.listed)
        self._sweep = Poller(rules, mounts=mounts, replaced=tree.listed)
        self._reads: frozenset[str] = frozenset()
        self._unsorted = True
        self._next_poll = self._next_sweep = 0.0

    def follow(self, reads: frozenset[str]) -> None:
        """All that was read, in place of what was told before."""
        if reads != self._reads:
            self._reads = reads
            self._unsorted = True

    def tree_changed(self) -> None:
        """Other folders are watched than before."""
        self._unsorted = True

    def expect_no_events(self) -> None:
        """From now on everything is polled, at once for the first time."""
        self._with_events = False
        self._unsorted = True
        self._next_poll = 0.0

    def patience_s(self) -> float:
        """Until the next look that is worth waking up for."""
        return max(0.0, self._next_poll - time.monotonic())

    def look(self) -> set[str]:
        """Paths that may have changed, among them those that are polled for the first time: nobody watched them before."""
        found: set[str] = set()
        now = time.monotonic()
        if now >= self._next_poll:
            self._next_poll = now + POLL_S  # also if something raises
            if self._unsorted:
                self._sort()
            changed, first = self._urgent.poll()
            found |= changed | first
            self._next_poll = now + max(POLL_S, (time.monotonic() - now) / POLL_SHARE)
        if now >= self._next_sweep:
            started = time.monotonic()
            changed, _ = self._sweep.poll()
            found |= changed
            self._next_sweep = now + max(SWEEP_S, (time.monotonic() - started) / SWEEP_SHARE)
        return found

    def _sort(self) -> None:
        places = sort(self._tree, self._reads)
        covered, uncovered = places[Place.WATCHED], places[Place.UNWATCHED] | places[Place.OUTSIDE]
        self._urgent.follow(uncovered if self._with_events else uncovered | covered)
        self._sweep.follow(covered if self._with_events else ())
        self._unsorted = False
