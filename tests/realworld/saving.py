"""A real project that is served, and a file of it that is saved again and again."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from tests.benchmarks.process import Running, cpu_seconds, running
from tests.realworld.curve import wait_for
from tests.realworld.projects import Project

CALM_S: Final = 2
BUSY_S: Final = 0.4  # in a second; those who poll have something to do at any time
CALM_DEADLINE_S: Final = 90.0
_TELLS: Final = '\n__import__("builtins").saved'


@contextmanager
def serving(project: Project, command: list[str], port: int, environ: Mapping[str, str]) -> Iterator[Running]:
    """`command` in the project's folder, once it answers."""
    with running(command, port=port, folder=project.folder, environ={**project.variables(), **environ}) as started:
        wait_for(started, project.url, "")
        yield started


def devserver(project: Project, port: int, *options: str) -> list[str]:
    """How it is started."""
    return [str(project.python), "-m", "devserver", "run", project.target, "--port", str(port), *options]


@contextmanager
def edited(project: Project, *names: str) -> Iterator[list[Path]]:
    """The files, relative to the project's folder, which are as before afterwards."""
    with ExitStack() as stack:
        files = [(project.folder / name).resolve() for name in names]
        for file in files:
            stack.callback(file.write_bytes, file.read_bytes())
        yield files


def rest(server: Running) -> None:
    """Wait until it has hardly worked for a while."""
    deadline = time.monotonic() + CALM_DEADLINE_S
    calm = 0
    while calm < CALM_S and time.monotonic() < deadline:
        before = cpu_seconds(server.tree())
        time.sleep(1.0)
        calm = calm + 1 if abs(cpu_seconds(server.tree()) - before) < BUSY_S else 0


def save(server: Running, project: Project, file: Path, mark: str) -> float:
    """Milliseconds until an answer tells of it."""
    file.write_text(f'{_original(file)}{_TELLS} = "{mark}"\n')
    saved = time.perf_counter()
    return (wait_for(server, project.url, mark) - saved) * 1000


def restored(file: Path) -> None:
    """Save it as it was."""
    file.write_text(_original(file))


def _original(file: Path) -> str:
    return file.read_text().partition(_TELLS)[0]
