"""From the start of the command to the first answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from tests.benchmarks import servers
from tests.benchmarks.report import Better, Measure, Sample

START: Final = Measure(
    "start",
    "From the start of the command to the first answer",
    "ms",
    Better.LOWER,
    "A client asks on new connections from the start on. devserver watches for changes; uvicorn runs without `--reload`. "
    "Bytecode was compiled by a start before, which does not count.",
)


def measure(rounds: int, only: frozenset[str]) -> Iterator[Sample]:
    for full_case in servers.STARTING:
        case = full_case.only(only)
        with servers.folders(case) as folders:
            for round_number in range(-1, rounds):
                for server in servers.rotated(case, round_number):
                    with servers.serving(server, folders[server]) as started:
                        started.wait_until_up()
                        milliseconds = (time.perf_counter() - started.started) * 1000
                    if round_number >= 0:
                        yield Sample(START.key, case.project.name, server.name, milliseconds)
