"""Large projects, and a file that is saved again: what hoisting gains, and what the work behind the server costs.

The projects come from `tests/realworld`, which installs them first. One server after the other serves the same project, for all
would see each save. Before a save it is waited until nothing is done behind the server any more, as a person who reads and types
would."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from tests.benchmarks.measure_throughput import parse_wrk, run_wrk
from tests.benchmarks.process import Running, find_free_port
from tests.benchmarks.report import OURS, Better, Measure, Sample
from tests.realworld.projects import OSCAR, PRETIX, WAGTAIL, Project, SetUpFailedError
from tests.realworld.saving import devserver, edited, rest, save, serving

AGAIN: Final = Measure(
    "again",
    "From a later save of a file to the first new answer, in large projects",
    "ms",
    Better.LOWER,
    "A line at the end of a file is changed. The first save of the file does not count; before each it is waited until the "
    "server is at rest. pretix and oscar: a view before most of the URLconf; Wagtail: a view at the end of the load; and a file "
    "that most others import, around which hardly anything can be hoisted.",
)
BEHIND: Final = Measure(
    "behind",
    "Requests per second while a load is compared behind the server",
    "requests/s",
    Better.HIGHER,
    "The exact load and its comparison follow a second after the first answer to a save. `wrk` with four connections asks oscar "
    "for a redirection meanwhile, five seconds long.",
)
PAGE: Final = "/"  # a redirection
BEGINS_S: Final = 1.1
"""After the first answer; a moment later than the work behind the server."""
WITHOUT: Final = f"{OURS} --no-hoist"
RUNSERVER: Final = """\
import os
import sys

from django.conf import settings
from django.core.management import execute_from_command_line

settings.WSGI_APPLICATION = "serve.app"
execute_from_command_line(["manage.py", "runserver", sys.argv[1]])
"""
"""`manage.py runserver`, with an app that tells of saves."""
RUNSERVER_FILE: Final = "bench_runserver.py"


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    project: Project
    file: str  # relative to the project's folder
    peer: str
    settings: str = ""


CASES: Final = (
    Case("pretix, a view", PRETIX, "pretix/control/views/auth.py", "gunicorn --reload"),
    Case("oscar, a view", OSCAR, "../src/oscar/apps/catalogue/views.py", "runserver", "settings"),
    Case("Wagtail, a view", WAGTAIL, "search/views.py", "runserver", "mysite.settings.dev"),
    Case("oscar, a file that most others import", OSCAR, "../src/oscar/core/loading.py", "runserver", "settings"),
)
OF_THE_THROUGHPUT: Final = CASES[1]


def measure_saves(rounds: int, only: frozenset[str]) -> Iterator[Sample]:
    pauses = random.Random(1)
    for case in _put_up(CASES):
        for name in (OURS, WITHOUT, case.peer):
            if only and name.split()[0] not in only:
                continue
            with _serving(case, name) as server, edited(case.project, case.file) as (file,):
                for number in range(rounds + 1):
                    rest(server)
                    time.sleep(pauses.uniform(0.0, 1.0))  # those who poll do it in turns of a second
                    milliseconds = save(server, case.project.url, file, f"save {number}")
                    if number:
                        yield Sample(AGAIN.key, case.name, name, milliseconds)


def measure_throughput(rounds: int, seconds: int, only: frozenset[str]) -> Iterator[Sample]:
    for case in _put_up((OF_THE_THROUGHPUT,)):
        for name in (OURS, WITHOUT):
            if only and name.split()[0] not in only:
                continue
            with _serving(case, name) as server, edited(case.project, case.file) as (file,):
                for number in range(rounds + 1):
                    rest(server)
                    save(server, case.project.url, file, f"save {number}")
                    if number:
                        time.sleep(BEGINS_S)
                        rate, failed = parse_wrk(run_wrk(server, seconds, url=PAGE, connections=4))
                        yield Sample(BEHIND.key, case.project.name, name, rate, failed)


def _put_up(cases: tuple[Case, ...]) -> Iterator[Case]:
    """Those whose project can be had: one of them comes from GitHub."""
    for case in cases:
        try:
            case.project.put_up()
            if case.peer.startswith("gunicorn"):
                case.project.install("gunicorn")
        except SetUpFailedError as error:
            print(f"bench: {case.name} is left out: {error}", file=sys.stderr)
        else:
            yield case


@contextmanager
def _serving(case: Case, name: str) -> Iterator[Running]:
    port = find_free_port()
    environ = {"DJANGO_SETTINGS_MODULE": case.settings} if case.settings else {}
    script = case.project.folder / RUNSERVER_FILE
    script.write_text(RUNSERVER)
    try:
        with serving(case.project, _command(case, name, port), port, environ) as started:
            yield started
    finally:
        script.unlink()


def _command(case: Case, name: str, port: int) -> list[str]:
    python = str(case.project.python)
    match name:
        case "gunicorn --reload":
            return [python, "-m", "gunicorn", "--reload", "--bind", f"127.0.0.1:{port}", case.project.target]
        case "runserver":
            return [python, RUNSERVER_FILE, f"127.0.0.1:{port}"]
        case _:
            return devserver(case.project, port, *name.split()[1:])
