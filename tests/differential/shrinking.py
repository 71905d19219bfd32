"""Makes a failure small enough to be read: steps, operations, files and statements are left out as long as it still fails.

Runs in the test process. Every try serves the project anew, so there is a budget of time; what is found by then is given.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from tests.differential.model import assets
from tests.differential.operations import Operation, Pause, Step, Write
from tests.differential.session import Failure, Replay, write_project

ASSETS = frozenset(assets())
KEPT = ASSETS | {"app.py"}
BLOCK = "\n\n"
"""What stands between two statements of a generated module."""
T = TypeVar("T")
_Others = tuple[list[Operation], list[Operation]]


@dataclass(slots=True)
class Shrinker:
    """`replay` gives the failure of a try, None if there is none. `budget_s`: after so many seconds no try begins."""

    replay: Replay
    budget_s: float = 120.0

    def shrink(self, failure: Failure) -> Failure:
        """A failure with as little as possible in it; `failure` itself if it can't be had again."""
        deadline = time.monotonic() + self.budget_s
        smallest = failure

        def fails(files: dict[str, str], steps: Sequence[Step]) -> bool:
            nonlocal smallest
            if time.monotonic() > deadline:
                return False
            found = self.replay(files, steps)
            if found is None or found.what != failure.what or bool(found.steps) != bool(failure.steps):
                return False  # it fails in another way: a target that is not there from the start, for example
            smallest = found
            return True

        files, steps = dict(failure.files), list(failure.steps)
        before_last = files_after(files, steps[:-1])
        if steps and fails(before_last, steps[-1:]):
            files, steps = before_last, steps[-1:]
        elif fails(files, steps):
            steps = reduced(list(smallest.steps), lambda some: fails(files, some))
        else:
            return failure
        names = reduced([name for name in files if name not in KEPT], lambda some: fails(_only(files, some), steps))
        files = _only(files, names)
        blocks = reduced(_blocks(files), lambda some: fails(_joined(files, some), steps))
        files = _joined(files, blocks)
        for index in range(len(steps)):
            steps = _reduced_step(steps, index, lambda some: fails(files, some))
        return smallest


def _reduced_step(steps: list[Step], index: int, fails: Callable[[list[Step]], bool]) -> list[Step]:
    """The steps with less in that one: operations, then blocks of what they write."""

    def with_operations(operations: Sequence[Operation]) -> list[Step]:
        changed = replace(steps[index], operations=tuple(operations))
        return [*steps[:index], changed, *steps[index + 1 :]]

    operations = reduced(list(steps[index].operations), lambda some: fails(with_operations(some)))
    for at, operation in enumerate(operations):
        if isinstance(operation, Write) and BLOCK in operation.text:
            others = operations[:at], operations[at + 1 :]

            def less_fails(blocks: list[str], write: Write = operation, others: _Others = others) -> bool:
                return fails(with_operations([*others[0], replace(write, text=BLOCK.join(blocks)), *others[1]]))

            blocks = reduced(operation.text.split(BLOCK), less_fails)
            operations[at] = replace(operation, text=BLOCK.join(blocks))
    return with_operations(operations)


def reduced(items: list[T], fails: Callable[[list[T]], bool]) -> list[T]:
    """The least of `items`, in their order, for which `fails` holds; it holds for all of them (delta debugging)."""
    size = max(1, len(items) // 2)
    while items:
        at = 0
        while at < len(items):
            rest = items[:at] + items[at + size :]
            if fails(rest):
                items = rest
            else:
                at += size
        if size == 1:
            break
        size = max(1, size // 2)
    return items


def files_after(files: Mapping[str, str], steps: Sequence[Step]) -> dict[str, str]:
    """The files that the steps leave, without what a load writes. Links become files."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve() / "project"
        write_project(files, root)
        for step in steps:
            for operation in step.operations:
                if not isinstance(operation, Pause):
                    operation.apply(root)
        return {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*")) if path.is_file()}


def _only(files: Mapping[str, str], names: list[str]) -> dict[str, str]:
    return {name: text for name, text in files.items() if name in names or name in KEPT}


def _blocks(files: Mapping[str, str]) -> list[tuple[str, int]]:
    """All that may be left out of sources: the file, and the number of the block in it. The first block stays."""
    numbers = {name: range(1, text.count(BLOCK) + 1) for name, text in files.items() if name not in ASSETS}
    return [(name, number) for name in numbers for number in numbers[name]]


def _joined(files: Mapping[str, str], blocks: Collection[tuple[str, int]]) -> dict[str, str]:
    """The files with these blocks."""
    kept = set(blocks)

    def text(name: str) -> str:
        parts = enumerate(files[name].split(BLOCK))
        return BLOCK.join(part for number, part in parts if number == 0 or (name, number) in kept)

    return {name: files[name] if name in ASSETS else text(name) for name in files}
