"""The same error again and again: which of them are shown whole, and which are only counted. Pure: the time is an argument.

Runs in the server. Rules that hold: the first is shown, and so is whatever differs; each that is not shown is counted in a line
that is told within a minute.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

SHOWN_WHOLE = 3
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
"""From one line about the same error to the next: each pause is twice as long as the one before."""
NEWS_AGAIN_S = 10.0
"""An error that did not come for so long is shown whole again."""


@dataclass(slots=True)
class _Run:
    """An error that keeps coming."""

    name: str
    last_s: float
    shown: int = 1
    untold: int = 0
    pause_s: float = FIRST_PAUSE_S
    tell_at_s: float = 0.0


class Repeats:
    """What has come, and how often. Not thread-safe."""

    def __init__(self) -> None:
        self._runs: dict[Hashable, _Run] = {}

    def is_shown(self, key: Hashable, name: str, now_s: float) -> bool:
        """An error has come: whether to show it; else it is counted. `name` is what the line about it calls it."""
        self._forget_until(now_s - NEWS_AGAIN_S)
        run = self._runs.get(key)
        if run is None:
            self._runs[key] = _Run(name, now_s)
            return True
        run.last_s = now_s
        if run.shown < SHOWN_WHOLE:
            run.shown += 1
            return True
        if not run.untold:
            run.tell_at_s = now_s + run.pause_s
        run.untold += 1
        return False

    @property
    def next_s(self) -> float | None:
        """When `take_lines` has something to say; None if nothing is left untold."""
        return min((run.tell_at_s for run in self._runs.values() if run.untold), default=None)

    def take_lines(self, now_s: float) -> Iterator[str]:
        """A line for each error whose count is to be told by now."""
        for run in self._runs.values():
            if run.untold and run.tell_at_s <= now_s:
                yield f"{run.name}: the same again, {run.untold} time{'' if run.untold == 1 else 's'}"
                run.untold = 0
                run.pause_s = min(run.pause_s * 2, LONGEST_PAUSE_S)

    def forget(self) -> None:
        self._runs.clear()

    def _forget_until(self, time_s: float) -> None:
        for key in [key for key, run in self._runs.items() if run.last_s <= time_s and not run.untold]:
            del self._runs[key]
