"""One project, served, edited step by step, and compared with a fresh start after each.

Runs in the test process. How a step is waited for: what a fresh start would serve is known, so the server is asked until it
answers that, or until the deadline has passed. That it *stays* so is seen when the next step begins: of a step that could be
seen half done (several operations, a save in two parts) the server may show the half for a moment, but must come back; after
any other it must not have moved.
"""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Protocol

import pytest

from tests.differential import answers
from tests.differential.answers import State
from tests.differential.edits import Editor
from tests.differential.fresh import HASH_SEED, FreshSide
from tests.differential.model import TARGET, Project, assets, random_project
from tests.differential.operations import Step, Write, told
from tests.e2e import telling
from tests.e2e.harness import DevServer

DEADLINE_S = 10.0
"""How long the server may take until it answers as a fresh start would."""
_COPY_AGAIN_S = 0.7
_ASK_AGAIN_S = 0.003
_HOISTED = re.compile(r"hoisted, order checked\)")
_PUT_RIGHT = re.compile(r" loaded in the exact order: ")
_CHANGE_LINE = re.compile(r"(?:changed|ended|asked for a restart): (restarted|resumed|failed to load|refreshed)")


@dataclass(frozen=True, slots=True)
class Failure:
    """Where the server and a fresh start part, and how to get there."""

    what: str  # one line
    files: Mapping[str, str]  # the project at the beginning
    steps: tuple[Step, ...]  # the last one is the one after which it shows
    difference: str
    log: str

    def __str__(self) -> str:
        files = "\n".join(f"--- {name}\n{text}" for name, text in self.files.items() if name not in assets())
        return (
            f"{self.what}\n\n=== files\n{files}\n=== steps\n{told(self.steps)}\n\n"
            f"=== difference (- fresh start, + devserver)\n{self.difference}\n\n=== log\n{self.log[-3000:]}"
        )


@dataclass(slots=True)
class Outcome:
    """What came of a session."""

    steps: int = 0
    loaded: int = 0  # steps after which the project loaded
    changed: int = 0  # steps after which the answer was another one
    loads: Counter[str] = field(default_factory=Counter)  # change lines of the server by their participle
    failure: Failure | None = None

    def add(self, other: Outcome) -> None:
        self.steps += other.steps
        self.loaded += other.loaded
        self.changed += other.changed
        self.loads += other.loads

    def __str__(self) -> str:
        loads = ", ".join(f"{count} {name}" for name, count in self.loads.most_common())
        return f"{self.steps} steps, {self.loaded} loaded, {self.changed} changed the answer; {loads}"


class Steps(Protocol):
    """Where steps come from. None: there are no more."""

    def __call__(self, state: State, /) -> Step | None: ...


@dataclass(frozen=True, slots=True)
class Way:
    """How the project is served."""

    arguments: tuple[str, ...] = ()
    eager: bool = False  # what is done behind a server is done at once, and waited for
    unordered: bool = False  # modules do not say in which order they ran: most can be hoisted then

    @property
    def variables(self) -> dict[str, str]:
        """Those of both sides."""
        return {"LEDGER_UNORDERED": "1"} if self.unordered else {}

    def command(self) -> list[str]:
        options = [TARGET, "--no-access-log", "--port", "0", *self.arguments]
        if self.eager:
            return telling.command(*options, all_that_can_be=True)
        return [sys.executable, "-m", "devserver", "run", *options]


def random_session(seed: str, count: int, way: Way, folder: Path, *, deadline_s: float = DEADLINE_S) -> Outcome:
    """`count` random steps on a random project; both follow from `seed`. `folder` is empty and the session's own."""
    rng = Random(seed)
    root = folder / "project"
    with FreshSide(folder, way.variables) as fresh:
        project = _loading_project(rng, root, fresh)
        editor = Editor(rng, project, root)
        left = iter(range(count))

        def steps(state: State) -> Step | None:
            return None if next(left, None) is None else editor.step(state)

        return _Session(project.files(), root, fresh, way, deadline_s).run(steps)


def replay(files: Mapping[str, str], steps: Sequence[Step], way: Way, folder: Path, *, deadline_s: float) -> Outcome:
    """The same steps on the same project."""
    root = folder / "project"
    write_project(files, root)
    following: Iterator[Step] = iter(steps)
    with FreshSide(folder, way.variables) as fresh:
        return _Session(files, root, fresh, way, deadline_s).run(lambda state: next(following, None))


def write_project(files: Mapping[str, str], root: Path) -> None:
    """Exactly these files."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    for path, text in files.items():
        Write(path, text).apply(root)


def _loading_project(rng: Random, root: Path, fresh: FreshSide) -> Project:
    """A project that loads, written to `root`."""
    for _ in range(50):
        project = random_project(rng)
        write_project(project.files(), root)
        if fresh.state(root).loaded:
            return project
    raise AssertionError("of 50 random projects none loads")


class _Session:
    def __init__(self, files: Mapping[str, str], root: Path, fresh: FreshSide, way: Way, deadline_s: float) -> None:
        self._files = files
        self._root = root
        self._fresh = fresh
        self._way = way
        self._deadline_s = deadline_s
        self._done: list[Step] = []
        self._outcome = Outcome()
        self._server: DevServer | None = None

    def run(self, steps: Steps) -> Outcome:
        """Serve, and take steps until there are no more or one fails."""
        outcome = self._outcome
        try:
            self._server = DevServer(
                self._root,
                command=self._way.command(),
                env={
                    "PYTHONHASHSEED": HASH_SEED,
                    "PYTHONDONTWRITEBYTECODE": "",
                    "NO_COLOR": "1",
                    **self._way.variables,
                },
                wait=False,
            )
            self._server.wait_for_address()
            self._take(steps)
            self._server.stop()
        except pytest.fail.Exception as error:  # the harness: no answer, no address, no end
            what, _, rest = str(error).partition("\n")
            outcome.failure = self._failure(what, rest)
        finally:
            if self._server is not None:
                outcome.loads.update(_CHANGE_LINE.findall(self._server.log))
                outcome.loads["through a branch"] += len(_HOISTED.findall(self._server.log))
                outcome.loads["put right"] += len(_PUT_RIGHT.findall(self._server.log))
                self._server.kill()
                if self._server.process.stdout is not None:
                    self._server._reader.join(5)
                    self._server.process.stdout.close()
        return outcome

    def _take(self, steps: Steps) -> None:
        outcome = self._outcome
        state = self._settle()
        while state is not None and (step := steps(state)) is not None:
            before = state
            step.apply(self._root)
            self._done.append(step)
            state = self._settle()
            if state is not None and self._way.eager:
                self._await_rehearsals()
                state = self._settle()
            if state is None:
                return
            outcome.steps += 1
            outcome.loaded += state.loaded
            outcome.changed += state != before
            if not self._stays(step, state):
                return

    def _settle(self) -> State | None:
        """Ask until the answer is that of a fresh start. None: it never was; the failure is noted."""
        deadline = time.monotonic() + self._deadline_s
        while True:
            expected = self._fresh.state(self._root)
            copy_again = time.monotonic() + _COPY_AGAIN_S
            while time.monotonic() < copy_again:
                found = self._ask()
                if found == expected:
                    return expected
                time.sleep(_ASK_AGAIN_S)
            # The copy may have met a load that was writing: look at what it left.
            if time.monotonic() > deadline:
                message = "the server did not come to serve what a fresh start serves"
                self._outcome.failure = self._failure(message, answers.difference(expected, found))
                return None

    def _await_rehearsals(self) -> None:
        """Wait until nothing is done behind the server."""
        server = self._server
        assert server is not None

        server.wait_for(lambda: telling.is_idle(server.log), "an end of what is done behind the server")

    def _stays(self, step: Step, state: State) -> bool:
        found = self._ask()
        if found == state:
            return True
        if step.is_single:
            difference = answers.difference(state, found)
            self._outcome.failure = self._failure(
                "the answer was that of a fresh start and did not stay so", difference
            )
            return False
        return self._settle() is not None

    def _ask(self) -> State:
        assert self._server is not None
        answer = self._server.get("/", Accept="application/json")
        return answers.from_server(answer.status, answer.body, str(self._root))

    def _failure(self, what: str, difference: str) -> Failure:
        log = self._server.log if self._server is not None else ""
        return Failure(what, self._files, tuple(self._done), difference, log)


Replay = Callable[[Mapping[str, str], Sequence[Step]], Failure | None]
