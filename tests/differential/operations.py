"""What a person or a tool does to the files of a project, as plain data that can be replayed.

Runs in the test process. Rules that hold: paths are relative to the project; an operation that has nothing to act on does
nothing, so that any of them can be left out of a sequence.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class How(StrEnum):
    """The ways in which files are saved."""

    IN_PLACE = "in place"
    RENAMED_OVER = "renamed over"
    IN_TWO_WRITES = "in two writes"
    TRUNCATED_FIRST = "truncated first"
    UNLINKED_FIRST = "unlinked first"


@dataclass(frozen=True, slots=True)
class Write:
    """A file gets this content; folders on the way are made, a folder in its place is removed."""

    path: str
    text: str
    how: How = How.IN_PLACE
    keeps_time: bool = False  # the mtime of the file before is restored: rsync -t, cp -p

    def apply(self, root: Path) -> None:
        path = root / self.path
        _make_way(root, path)
        if path.is_dir() and not path.is_symlink():
            _remove_tree(path)
        if path.is_symlink() and not path.exists():  # it led to what is gone, folder and all
            path.unlink()
        times = _times(path) if self.keeps_time else None
        if self.how is How.RENAMED_OVER:
            # The new file begins in a folder that no project lists: a name that is ignored may be seen in passing.
            self._renamed_over(path, times, root / f".{path.name}.swp")
        else:
            getattr(self, f"_{self.how.name.lower()}")(path)
        if times is not None:
            os.utime(path, ns=times)

    def _in_place(self, path: Path) -> None:
        path.write_text(self.text)

    def _renamed_over(self, path: Path, times: tuple[int, int] | None, new: Path) -> None:
        new.write_text(self.text)
        if times is not None:
            os.utime(new, ns=times)
        new.replace(path)

    def _in_two_writes(self, path: Path) -> None:
        half = len(self.text) // 2
        with path.open("w") as file:
            file.write(self.text[:half])
            file.flush()
            file.write(self.text[half:])

    def _truncated_first(self, path: Path) -> None:
        with path.open("w") as file:
            file.flush()
            file.write(self.text)

    def _unlinked_first(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        path.write_text(self.text)


@dataclass(frozen=True, slots=True)
class Remove:
    """A file, or a folder with all that is in it, goes."""

    path: str

    def apply(self, root: Path) -> None:
        path = root / self.path
        if path.is_dir() and not path.is_symlink():
            _remove_tree(path)
        else:
            try:
                path.unlink(missing_ok=True)
            except NotADirectoryError:
                pass


@dataclass(frozen=True, slots=True)
class Rename:
    """A file or folder gets another name. What was there before is replaced, if it is a file."""

    old: str
    new: str

    def apply(self, root: Path) -> None:
        old, new = root / self.old, root / self.new
        if not os.path.lexists(old) or (new.is_dir() and not new.is_symlink()):
            return
        _make_way(root, new)
        old.replace(new)


@dataclass(frozen=True, slots=True)
class Link:
    """A file moves away and a link takes its place."""

    path: str
    target: str

    def apply(self, root: Path) -> None:
        path, target = root / self.path, root / self.target
        if not path.is_file() or path.is_symlink():
            return
        _make_way(root, target)
        path.replace(target)
        path.symlink_to(os.path.relpath(target, path.parent))


@dataclass(frozen=True, slots=True)
class MakeFolder:
    path: str

    def apply(self, root: Path) -> None:
        path = root / self.path
        _make_way(root, path)
        if not os.path.lexists(path):
            path.mkdir()


@dataclass(frozen=True, slots=True)
class Rewrite:
    """The same bytes once more."""

    path: str

    def apply(self, root: Path) -> None:
        path = root / self.path
        if path.is_file():
            path.write_bytes(path.read_bytes())


@dataclass(frozen=True, slots=True)
class Touch:
    path: str
    mtime_s: int | None = None  # None: now

    def apply(self, root: Path) -> None:
        path = root / self.path
        if path.exists():
            os.utime(path, None if self.mtime_s is None else (self.mtime_s, self.mtime_s))


@dataclass(frozen=True, slots=True)
class Pause:
    """The time a person or tool takes between two saves: shorter than a load, or longer. A stimulus, no wait."""

    seconds: float

    def apply(self, root: Path) -> None:
        time.sleep(self.seconds)


Operation = Write | Remove | Rename | Link | MakeFolder | Rewrite | Touch | Pause


@dataclass(frozen=True, slots=True)
class Step:
    """Operations that follow each other at once, and what they are meant to be."""

    meaning: str
    operations: tuple[Operation, ...]

    @property
    def is_single(self) -> bool:
        """Is there no state in between that a server may have seen?"""
        operations = self.operations
        return len(operations) <= 1 and not any(
            isinstance(operation, Write) and operation.how is not How.RENAMED_OVER for operation in operations
        )

    def apply(self, root: Path) -> None:
        for operation in self.operations:
            operation.apply(root)


def told(steps: Sequence[Step]) -> str:
    """The steps for people."""
    lines = []
    for number, step in enumerate(steps, 1):
        lines.append(f"{number}. {step.meaning}")
        lines += [f"   {_one_told(operation)}" for operation in step.operations]
    return "\n".join(lines)


def _one_told(operation: Operation) -> str:
    if not isinstance(operation, Write):
        return repr(operation)
    how = operation.how + (", its time kept" if operation.keeps_time else "")
    body = "".join(f"\n      | {line}" for line in operation.text.splitlines() if line)
    return f"write {operation.path} ({how}){body}"


def _times(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_atime_ns, status.st_mtime_ns


def _make_way(root: Path, path: Path) -> None:
    """Make the folders above `path`; files that stand in the way go."""
    for folder in reversed(path.relative_to(root).parents):
        above = root / folder
        if above.is_symlink() or above.is_file():
            above.unlink()
        above.mkdir(exist_ok=True)


def _remove_tree(path: Path) -> None:
    # A load may write into it at the same time.
    for _ in range(100):
        try:
            shutil.rmtree(path)
            return
        except FileNotFoundError:
            if not path.exists():
                return
        except OSError:
            continue
    raise OSError(f"{path} could not be removed")
