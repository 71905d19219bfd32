"""Whether the project is in use: the watcher looks often while it is, seldom after a minute of quiet.

Runs in the supervisor. Rule that holds: slowing down waits for the last sign of use, not for the first.
"""

from __future__ import annotations

import time
from collections.abc import Callable

QUIET_AFTER_S = 60.0
"""How long after the last change or request the project counts as not in use."""


class Pace:
    """In use from the start. `changed` is told what it is now, when that changes."""

    def __init__(
        self, changed: Callable[[bool], None], *, call_later: Callable[[float, Callable[[], None]], None]
    ) -> None:
        self._changed = changed
        self._call_later = call_later
        self._busy = True
        self._last_use = time.monotonic()
        call_later(QUIET_AFTER_S, self._look)

    def in_use(self) -> None:
        """A change was acted on, or a request began."""
        self._last_use = time.monotonic()
        if not self._busy:
            self._busy = True
            self._changed(True)
            self._call_later(QUIET_AFTER_S, self._look)

    def _look(self) -> None:
        rest = self._last_use + QUIET_AFTER_S - time.monotonic()
        if rest > 0:
            self._call_later(rest, self._look)
        else:
            self._busy = False
            self._changed(False)
