"""The fresh side: what an interpreter started now would serve.

Runs in the test process; the interpreter is `zygote.py`. It loads a *copy* of the project made at that moment, without
bytecode: a load writes files, and one that ran in the project itself would change what the server sees.

What "now" means for files that the load writes: the server's load found the disk as it was before it, a fresh start finds
what that load left. The two serve the same only if writing again changes nothing, so the projects write only such files (see
`statements.py`); `test_model.py` holds them to it, with two fresh starts one after the other.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.differential.answers import State, from_fresh

HASH_SEED = "0"
"""PYTHONHASHSEED on both sides: the order of sets is part of the answer."""
_FLAGS = ("-B", "-P")


def environment() -> dict[str, str]:
    """The variables of both sides."""
    names = {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"}
    return {**{name: value for name, value in os.environ.items() if name not in names}, "PYTHONHASHSEED": HASH_SEED}


class FreshSide:
    """A zygote and the folder of its copies. To be used in a `with`."""

    def __init__(self, folder: Path, variables: Mapping[str, str] | None = None) -> None:
        self._copy = folder / "copy"
        self._zygote = subprocess.Popen(
            [sys.executable, *_FLAGS, str(Path(__file__).with_name("zygote.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**environment(), **(variables or {})},
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        assert self._zygote.stdin is not None
        assert self._zygote.stdout is not None
        self._zygote.stdin.close()
        self._zygote.wait(30)
        self._zygote.stdout.close()

    def state(self, project: Path, *, starts: int = 1) -> State:
        """What a fresh start on the project as it is now would serve; with `starts`, the last of several."""
        self.copy(project)
        state = self._load()
        for _ in range(starts - 1):
            state = self._load()
        shutil.rmtree(self._copy)
        return state

    def state_of_new_interpreter(self, project: Path) -> State:
        """The same from an interpreter of its own: slow, to compare."""
        self.copy(project)
        done = subprocess.run(
            [sys.executable, *_FLAGS, str(Path(__file__).with_name("zygote.py"))],
            input=f"{self._copy}\n",
            capture_output=True,
            env=environment(),
            text=True,
            check=True,
        )
        shutil.rmtree(self._copy)
        return from_fresh(done.stdout, str(self._copy))

    def copy(self, project: Path) -> None:
        """Take the project as it is, whoever may be writing in it."""
        shutil.rmtree(self._copy, ignore_errors=True)
        _copy_folder(str(project), str(self._copy))

    def _load(self) -> State:
        assert self._zygote.stdin is not None
        assert self._zygote.stdout is not None
        self._zygote.stdin.write(f"{self._copy}\n")
        self._zygote.stdin.flush()
        return from_fresh(self._zygote.stdout.readline(), str(self._copy))


def _copy_folder(source: str, target: str) -> None:
    os.mkdir(target)
    try:
        entries = list(os.scandir(source))
    except FileNotFoundError:
        return
    for entry in entries:
        there = f"{target}/{entry.name}"
        try:
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), there)
            elif entry.is_dir():
                if entry.name != "__pycache__":
                    _copy_folder(entry.path, there)
            else:
                shutil.copyfile(entry.path, there)
        except FileNotFoundError:  # a load was replacing it
            continue
