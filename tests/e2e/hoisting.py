"""A served project of which one file is saved again and again, until modules are hoisted around it."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable
from textwrap import dedent

from tests.e2e import telling
from tests.e2e.harness import DevServer

WEIGHT = "import time; time.sleep(0.06)\n"
STILL_S = 1.5
"""Longer than the moment that a server is given before anything is done behind it."""


def module(text: str, *lines: str) -> str:
    return "\n".join([f"print({text!r}, 'runs')", f"TEXT = {text!r}", WEIGHT, *map(dedent, lines)])


class Hoisting:
    """A served project, and the module in it that is saved: `first.py`, or another with a text of its own."""

    def __init__(
        self, server: DevServer, file: str = "first.py", write: Callable[..., str] = module, *, tells: bool = False
    ) -> None:
        """`write`: the module, given the text that an answer has to show, and more lines. `tells`: by `telling.py`."""
        self.server = server
        self._tells = tells
        self._file = file
        self._write = write
        self._count = itertools.count(1)

    def lines(self) -> list[str]:
        """The change lines. What was edited a moment before may be named with the module."""
        mine = re.compile(rf"(?:{re.escape(self._file)}|\S+ and \d+ more) changed: ")
        return [line for line in self.server.log.splitlines() if mine.match(line)]

    def save(self, *lines: str, answer: str = "") -> str:
        """Save the module with another text and these lines; the change line. `answer`: what there is to be seen but the text."""
        before, text = len(self.lines()), f"saved{next(self._count)}"
        self.server.edit(self._file, self._write(text, *lines))
        self.server.wait_for_text(answer or text)
        return self.server.wait_for(lambda: self.lines()[before:], "a change line")[0]

    def still(self, still_s: float = STILL_S) -> None:
        """Wait for the end of what is done behind the server: until it says so, or nothing begins or ends for so long."""
        what = "an end of what happens behind the server"
        if self._tells:
            self.server.wait_for(lambda: telling.is_idle(self.server.log), what)
            return
        last, since = None, time.monotonic()

        def is_still() -> bool:
            nonlocal last, since
            if (now := self.server.below()) != last:
                last, since = now, time.monotonic()
            return time.monotonic() - since > still_s

        self.server.wait_for(is_still, what)

    def hoisted(self, *lines: str) -> str:
        """Save until a save finds all but the module and what depends on it loaded; the change line.

        What happens behind the server gives way to the tests beside this one, and a save ends it: it gets more time with each.
        """
        for times in range(1, 9):
            if " hoisted" in (line := self.save(*lines)):
                return line
            self.still(times * STILL_S)
        raise AssertionError(self.server.log)
