"""What the tests of checkpoints share: a project whose load can be frozen before and after one module, and its change lines.

The modules are loaded in this order: before, hazard, after, views. Both `hazard` and `views` have been saved while running, so
there is a checkpoint right before each, unless something forbids it. What `hazard` does is each test's own.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.harness import DevServer, write

_CHANGE = re.compile(r"(?<![\w./-])([\w./-]+)(?: and \d+ more)? changed: (.*)$", re.MULTILINE)
_RESUMED = re.compile(r"resumed before (?:it|them), (\d+) of (\d+) modules? ran again, [^(]*?(?: \((.*)\))?")

WEIGHT = """
    import time
    until = time.perf_counter() + 0.01
    while time.perf_counter() < until:
        pass
"""
APP = """
    import os
    import before, hazard, after, views

    def application(environ, start_response):
        name = environ["PATH_INFO"].strip("/")
        if name == "pid":
            body = os.getpid()
        else:
            body = getattr(hazard, name)() if name else views.TEXT
        start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
        return [str(body).encode()]
"""
FILES = {"app.py": APP, "before.py": WEIGHT, "hazard.py": "", "after.py": WEIGHT, "views.py": "TEXT = 'none'\n"}


@dataclass(frozen=True, slots=True)
class Resume:
    """A change line of a resume."""

    name: str
    ran: int
    modules: int
    reason: str  # what cut the chain; empty if nothing did

    @property
    def is_whole(self) -> bool:
        """Did only the changed module run again? The module that imports it stands in the checkpoint."""
        return self.ran == 1 and not self.reason


@dataclass(slots=True)
class Resuming:
    """A served project made of FILES."""

    server: DevServer
    _saves: int = 0
    _told: int = 0  # change lines that were taken
    _extra: tuple[str, ...] = ()  # lines of the views

    @property
    def project(self) -> Path:
        return self.server.project

    @property
    def is_well(self) -> bool:
        """Is all as a test finds it that comes after one that passed?"""
        if self.server.process.poll() is not None or len(_CHANGE.findall(self.server.log)) != self._told:
            return False
        return self.server.get().text == f"text {self._saves}"

    def save(self, name: str, text: str, **others: str) -> str:
        """Save a file, and wait for its change line: all of it after `changed: `."""
        write(self.project, {**others, name: text})
        return self.change_of(name)

    def change_of(self, name: str) -> str:
        """The next change line, all of it after `changed: `; it must be of this file. `name` may be a pattern."""

        def told() -> list[tuple[str, str]]:
            return _CHANGE.findall(self.server.log)[self._told :]

        named, what = self.server.wait_for(told, f"the change line of {name}")[0]
        self._told += 1
        assert re.fullmatch(name, named), self.server.log
        return str(what)

    def put(self, hazard: str, files: Mapping[str, str] | None = None) -> Resume:
        """Have this done by the module `hazard`; `files` are there before."""
        if self._extra:
            self.resume()
        if files:
            self.put(f"PUT = {self._told}\n")  # nothing is left that has read them
            write(self.project, files)
        return parse("hazard.py", self.save("hazard.py", hazard), self.server.log)

    def resume(self, *lines: str) -> Resume:
        """Save the views, with a new text and these lines, and wait until they answer."""
        self._saves += 1
        self._extra = lines
        text = f"text {self._saves}"
        resumed = parse("views.py", self.save("views.py", "\n".join((f"TEXT = {text!r}", *lines, ""))), self.server.log)
        assert self.server.get().text == text
        return resumed

    def ask(self, name: str) -> str:
        """What this function of the module `hazard` returns, in the server."""
        answer = self.server.get(f"/{name}")
        assert answer.status == 200, f"{answer.text}\n{self.server.log}"
        return answer.text


class Shared:
    """One server for many tests, exchanged after a test that failed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = 0
        self._resuming: Resuming | None = None

    def get(self) -> Resuming:
        """The server, ready for a test."""
        if self._resuming is not None and not self._resuming.is_well:
            self.close()
        if self._resuming is None:
            self._made += 1
            project = self._folder / f"project{self._made}"
            write(project, FILES)
            self._resuming = Resuming(DevServer(project, "app:application", "--no-access-log"))
            begin(self._resuming)
        return self._resuming

    def close(self) -> None:
        """End it; nothing may be left."""
        if self._resuming is not None:
            server, self._resuming = self._resuming.server, None
            code = server.stop(signal.SIGTERM)
            assert server.process.stdout is not None
            server.process.stdout.close()
            assert code == 0, server.log


def parse(name: str, what: str, log: str) -> Resume:
    """The change line of a resume, in its parts."""
    match = _RESUMED.fullmatch(what)
    assert match, f"{what}\n{log}"
    return Resume(name, int(match[1]), int(match[2]), match[3] or "")


def begin(resuming: Resuming) -> None:
    """Save both files once: from here on there are checkpoints before them."""
    resuming.save("hazard.py", "BEGUN = True\n")  # from wherever there was one
    resuming.resume()
    assert resuming.resume().is_whole, resuming.server.log
