"""From a save to the first answer of the new code, as a client sees it that asks on new connections in a tight loop."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests.benchmarks import servers
from tests.benchmarks.process import POLL_PAUSE_S, Running, ask
from tests.benchmarks.report import Better, Measure, Sample

SAVE: Final = Measure(
    "save",
    "From a save to the first new answer",
    "ms",
    Better.LOWER,
    "A constant in the file of the view is changed in place, 1 to 2 s after the answer to the change before. The time runs "
    "from just after the write to the end of the first answer that shows it. Failed requests are those that were refused, "
    "reset, cut or answered 5xx meanwhile, over all rounds.",
)
DEADLINE_S: Final = 20.0


def measure(rounds: int, only: frozenset[str]) -> Iterator[Sample]:
    pauses = random.Random(1)
    for full_case in servers.RELOADING:
        case = full_case.only(only)
        with servers.folders(case) as folders, ExitStack() as stack:
            up = {server: stack.enter_context(servers.serving(server, folders[server])) for server in case.servers}
            for started in up.values():
                started.wait_until_up()
            for round_number in range(rounds):
                for server in servers.rotated(case, round_number):
                    up[server].wait_until_up()
                    # Reloaders that compare whole seconds or wait for quiet get what a person at an editor gives them.
                    time.sleep(pauses.uniform(1.0, 2.0))
                    # A length of its own for each round: equal size in the same second leaves some peers on stale bytecode.
                    heading = f"round {round_number} {'.' * round_number}!"
                    milliseconds, failed = _time_save(up[server], case, folders[server], heading)
                    yield Sample(SAVE.key, case.project.name, server.name, milliseconds, failed)


def _time_save(server: Running, case: servers.Case, folder: Path, heading: str) -> tuple[float | None, int]:
    """Milliseconds (None after the deadline) and the number of requests that failed meanwhile."""
    expected = heading.encode()
    failed = 0
    case.project.edit(folder, heading)
    saved = time.perf_counter()
    while (elapsed := time.perf_counter() - saved) < DEADLINE_S:
        answer = ask(server.port, timeout_s=DEADLINE_S - elapsed)
        if answer is None or answer.status >= 500:
            failed += 1
        elif expected in answer.body:
            return (time.perf_counter() - saved) * 1000, failed
        time.sleep(POLL_PAUSE_S)
    return None, failed
