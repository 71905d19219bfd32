"""The generator behind the functions of `random`, across a freeze.

Runs in the server. Python seeds it anew in each fork. Rules that hold: a sequence that somebody seeded goes on where the load had
come, as in a fresh start; any other is each process's own, else every resume would draw what the last server drew.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable

State = tuple[object, ...]


class SharedGenerator:
    """Knows whether the generator was seeded from here on. One in a process."""

    def __init__(self) -> None:
        self._is_seeded = False
        self._set_state = random.setstate
        self._replace("seed", lambda a=None, version=2: a is not None)
        self._replace("setstate", lambda state: True)

    def note(self) -> State | None:
        """What `restore` needs; None if nobody has seeded it."""
        return random.getstate() if self._is_seeded else None

    def restore(self, state: State | None) -> None:
        """In each process that goes on: as it was when it was noted."""
        if state is not None:
            self._set_state(state)

    def _replace(self, name: str, seeds: Callable[..., bool]) -> None:
        original: Callable[..., None] = getattr(random, name)

        @functools.wraps(original)
        def call(*args: object, **kwargs: object) -> None:
            original(*args, **kwargs)
            self._is_seeded = seeds(*args, **kwargs)

        setattr(random, name, call)
