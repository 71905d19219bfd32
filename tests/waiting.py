"""Waiting for what happens elsewhere, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable

DEADLINE_S = 20.0


def eventually(reached: Callable[[], object]) -> bool:
    """Whether it became true before the deadline; asked every 2 ms."""
    deadline = time.monotonic() + DEADLINE_S
    while not reached():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True
