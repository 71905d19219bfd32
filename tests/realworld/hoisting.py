"""The command of `make hoisting`: the second save of a view in large projects, with modules hoisted and without, beside a peer.

One after the other serves the same project, for all would see each save. Before a save it is waited until nothing is done behind
the server any more, as a person who reads and types would. The time runs from the write to the end of the first answer of the new
code. The first save does not count, nor one that found nothing hoisted yet.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from tests.benchmarks.process import Running, cpu_seconds, find_free_port, running
from tests.realworld.curve import wait_for
from tests.realworld.projects import OSCAR, PRETIX, WAGTAIL, Project, named

CALM_S: Final = 2
BUSY_S: Final = 0.4  # in a second; those who poll have something to do at any time
STILL_DEADLINE_S: Final = 90.0
HOISTED: Final = "hoisted, order checked"
RUNSERVER: Final = """\
import os
import sys

from django.conf import settings
from django.core.management import execute_from_command_line

settings.WSGI_APPLICATION = "serve.app"
execute_from_command_line(["manage.py", "runserver", sys.argv[1]])
"""
"""`manage.py runserver`, with an app that tells of saves."""


@dataclass(frozen=True, slots=True)
class Case:
    project: Project
    file: str  # below the project's folder; or, where it is a package beside it, below the clone's
    peer: str
    settings: str = ""


CASES: Final = (
    Case(PRETIX, "pretix/control/views/auth.py", "gunicorn --reload"),
    Case(OSCAR, "../src/oscar/apps/catalogue/views.py", "runserver", "settings"),
    Case(WAGTAIL, "search/views.py", "runserver", "mysite.settings.dev"),
)


class Server:
    """One of those that are compared."""

    def __init__(self, running: Running, url: str) -> None:
        self._running = running
        self._url = url
        self.saves: list[tuple[float, bool]] = []
        """Milliseconds, and whether modules were hoisted."""

    def rest(self) -> None:
        """Wait until it has hardly worked for a while."""
        deadline = time.monotonic() + STILL_DEADLINE_S
        calm = 0
        while calm < CALM_S and time.monotonic() < deadline:
            before = cpu_seconds(self._running.tree())
            time.sleep(1.0)
            calm = calm + 1 if abs(cpu_seconds(self._running.tree()) - before) < BUSY_S else 0

    def save(self, path: Path, text: bytes, mark: str) -> None:
        """Save it, and take the time until the answer tells so."""
        before = self._log().count(HOISTED)
        path.write_bytes(text + f'\n__import__("builtins").saved = "{mark}"\n'.encode())
        saved = time.perf_counter()
        milliseconds = (wait_for(self._running, self._url, mark) - saved) * 1000
        time.sleep(0.2)  # its line comes a moment after the answer
        self.saves.append((milliseconds, self._log().count(HOISTED) > before))

    def wait_until_up(self) -> None:
        wait_for(self._running, self._url, "")

    def _log(self) -> str:
        return self._running.log.read_text(errors="replace")


def command(case: Case, name: str, port: int) -> list[str]:
    python = str(case.project.python)
    match name:
        case "gunicorn --reload":
            return [python, "-m", "gunicorn", "--reload", "--bind", f"127.0.0.1:{port}", case.project.target]
        case "runserver":
            return [python, "runserver.py", f"127.0.0.1:{port}"]
        case _:
            options = ["--no-hoist"] if name.endswith("--no-hoist") else []
            return [python, "-m", "devserver", "run", case.project.target, "--port", str(port), *options]


def measured(case: Case, name: str, saves: int) -> list[float]:
    """Milliseconds of each save that counts."""
    project = case.project
    path = (project.folder / case.file).resolve()
    original = path.read_bytes()
    environ = project.variables() | ({"DJANGO_SETTINGS_MODULE": case.settings} if case.settings else {})
    port = find_free_port()
    with running(command(case, name, port), port=port, folder=project.folder, environ=environ) as started:
        server = Server(started, project.url)
        server.wait_until_up()
        try:
            for number in range(saves + 1):
                server.rest()
                server.save(path, original, f"save{number}")
        finally:
            path.write_bytes(original)
    if name == "devserver":
        return [taken for taken, hoisted in server.saves if hoisted]
    return [taken for taken, _hoisted in server.saves[1:]]


def lines(case: Case, saves: int) -> Iterator[str]:
    """A table in Markdown."""
    if case.peer.startswith("gunicorn"):
        case.project._pip("gunicorn")
    (case.project.folder / "runserver.py").write_text(RUNSERVER)
    yield f"**{case.project.name}**, `{case.file}`"
    yield ""
    yield "| | median | saves |"
    yield "| --- | --- | --- |"
    for name in ("devserver", "devserver --no-hoist", case.peer):
        counted = measured(case, name, saves)
        told = ", ".join(f"{taken:.0f}" for taken in counted)
        yield f"| {name} | {median(counted or [float('nan')]):.0f} ms | {told} |"
    yield ""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.realworld.hoisting", description=__doc__)
    parser.add_argument("--only", type=named, default=(PRETIX, OSCAR, WAGTAIL), help="some of pretix,oscar,wagtail")
    parser.add_argument("--saves", type=int, default=5)
    options = parser.parse_args(arguments)
    for case in CASES:
        if case.project in options.only:
            case.project.put_up()
            for line in lines(case, options.saves):
                print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
