"""Where in a load a checkpoint is worth its cost.

Runs in the server. Pure: times are given. Rules that hold: a file that was saved while running gets a checkpoint right before it,
so that its next save costs the least; files edited lately get one if something was loaded before them; between them checkpoints
stand where enough was loaded since the last. A freeze costs the fork and the pages that are copied after it, so the distance
follows from what the forks of this very process took.
"""

from __future__ import annotations

from collections.abc import Callable

from devserver.messages import Plan
from devserver.signatures import module_path

MAX_CHECKPOINTS = 12
MIN_DISTANCE_MS = 40.0
"""Loading so much again is not felt."""
NEAR_MS = 2.0
"""A saved file does without a checkpoint of its own if the last one is so near."""
RECENT_DISTANCE_MS = 20.0
MAX_RECENT = 2
COST_SHARE = 0.05
"""How much of a load may go into forks."""
SHARES = 6
"""Of a load whose length is known: into so many parts it is cut."""
GROWTH = 1.5
"""Of a load whose length is unknown: each distance is so much longer than the one before."""


class Spacing:
    """The choice for one load; goes on in the processes that continue it."""

    def __init__(self, plan: Plan) -> None:
        self._made = 0  # in the whole chain
        self._recent = 0
        self.follow(plan)

    def follow(self, plan: Plan) -> None:
        """From here on the load goes by this plan."""
        self._saved = frozenset(module_path(path) for path in plan.saved)
        self._load_ms = plan.load_ms

    def is_saved(self, path: str) -> bool:
        """Was the source of the module at `path` (folder/name) saved while running?"""
        return path in self._saved

    def is_due(self, path: str, since_ms: float, fork_ms: float, is_recent: Callable[[], bool]) -> bool:
        """Is it worth it to freeze before the module at `path`, `since_ms` after the last checkpoint?

        `fork_ms`: what the last fork took. `is_recent` looks whether somebody edited the module lately.
        """
        if self.is_saved(path):
            return since_ms >= NEAR_MS
        if self._made >= MAX_CHECKPOINTS or since_ms < fork_ms / COST_SHARE:
            return False
        if since_ms >= self._distance_ms():
            return True
        return since_ms >= RECENT_DISTANCE_MS and self._recent < MAX_RECENT and is_recent()

    def is_ready_due(self, since_ms: float, fork_ms: float) -> bool:
        """Is it worth it to freeze when everything is loaded?"""
        return since_ms >= max(MIN_DISTANCE_MS, fork_ms / COST_SHARE)

    def made(self, path: str, *, recent: bool) -> None:
        """A checkpoint was made before the module at `path`."""
        if not self.is_saved(path):
            self._made += 1
            self._recent += recent

    def _distance_ms(self) -> float:
        if self._load_ms:
            return max(MIN_DISTANCE_MS, self._load_ms / SHARES)
        return float(MIN_DISTANCE_MS * GROWTH**self._made)
