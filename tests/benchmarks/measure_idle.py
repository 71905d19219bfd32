"""What a server costs that nobody uses: the processor time and the memory of its whole tree."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

from tests.benchmarks import servers
from tests.benchmarks.process import cpu_seconds, proportional_set_size_mb
from tests.benchmarks.report import Better, Measure, Sample

CPU: Final = Measure(
    "cpu",
    "Processor time when idle",
    "% of a core",
    Better.LOWER,
    "User and system time of the whole process tree over 20 s, after 70 s without a request or a change.",
    digits=2,
)
MEMORY: Final = Measure(
    "memory",
    "Memory when idle",
    "MB",
    Better.LOWER,
    "PSS of the whole process tree: pages that several processes share count once.",
)


def measure(rounds: int, quiet_s: float, span_s: float, only: frozenset[str]) -> Iterator[Sample]:
    """All servers of a case are idle at the same time: nothing that one does reaches another."""
    for full_case in servers.IDLE:
        case = full_case.only(only)
        for _ in range(rounds):
            with servers.folders(case) as folders, ExitStack() as stack:
                up = {server: stack.enter_context(servers.serving(server, folders[server])) for server in case.servers}
                for started in up.values():
                    started.wait_until_up()
                time.sleep(quiet_s)
                before = {server: (started.tree(), time.monotonic()) for server, started in up.items()}
                spent = {server: cpu_seconds(pids) for server, (pids, _) in before.items()}
                time.sleep(span_s)
                for server, (pids, since) in before.items():
                    percent = 100 * (cpu_seconds(pids) - spent[server]) / (time.monotonic() - since)
                    yield Sample(CPU.key, case.project.name, server.name, percent)
                    yield Sample(MEMORY.key, case.project.name, server.name, proportional_set_size_mb(pids))
