"""The PIN of the consoles in error pages. Pure but for its random numbers; runs in the supervisor.

One for each run of devserver, shown in the terminal when it is wanted. Rule that holds (CVE-2024-34069, CVE-2019-14806): wrong
tries are counted here, where no restart of a server forgets them, and after MAX_FAILURES of them no PIN is right any more.
"""

from __future__ import annotations

import os

from devserver.messages import PinJudged

MAX_FAILURES = 10
DIGITS = 9


class Pin:
    """`grant` is what a right PIN is exchanged for: no one has to type it twice."""

    def __init__(self) -> None:
        # 128 bits for 30: what the remainder prefers is beyond measure. `secrets` would cost the start some milliseconds.
        self._digits = f"{int.from_bytes(os.urandom(16)) % 10**DIGITS:0{DIGITS}d}"
        self.grant = os.urandom(24).hex()
        self._failures = 0

    @property
    def text(self) -> str:
        """As people read it: `123-456-789`."""
        return "-".join(self._digits[start : start + 3] for start in range(0, DIGITS, 3))

    @property
    def is_locked(self) -> bool:
        return self._failures >= MAX_FAILURES

    def judge(self, tried: str) -> PinJudged:
        """Whether this is the PIN, however it is grouped. Counts."""
        import hmac

        if self.is_locked:
            return PinJudged("", 0)
        digits = "".join(char for char in tried if char.isascii() and char.isdigit())
        if hmac.compare_digest(digits, self._digits):
            self._failures = 0
            return PinJudged(self.grant, MAX_FAILURES)
        self._failures += 1
        return PinJudged("", MAX_FAILURES - self._failures)
