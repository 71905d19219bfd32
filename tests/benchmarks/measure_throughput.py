"""Requests per second on hello world, with everything on as a user has it and the log in a file."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Final

from tests.benchmarks import servers
from tests.benchmarks.process import Running
from tests.benchmarks.report import Better, Measure, Sample

CONNECTIONS: Final = 32
THROUGHPUT: Final = Measure(
    "throughput",
    "Requests per second on hello world",
    "requests/s",
    Better.HIGHER,
    f"`wrk` with {CONNECTIONS} keep-alive connections and one thread, on the same machine, after a second of warming up. devserver "
    "has its request log (to a file), host check and error capture on. waitress has no request log of its own.",
)
RATE: Final = re.compile(r"^Requests/sec:\s+([\d.]+)$", re.MULTILINE)
WRONG_STATUS: Final = re.compile(r"^\s*Non-2xx or 3xx responses: (\d+)$", re.MULTILINE)
SOCKET_ERRORS: Final = re.compile(
    r"^\s*Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)$", re.MULTILINE
)


def is_available() -> bool:
    return shutil.which("wrk") is not None


def measure(rounds: int, seconds: int, only: frozenset[str]) -> Iterator[Sample]:
    for full_case in servers.THROUGHPUT:
        case = full_case.only(only)
        with servers.folders(case) as folders:
            for round_number in range(rounds):
                for server in servers.rotated(case, round_number):
                    with servers.serving(server, folders[server]) as started:
                        answer = started.wait_until_up()
                        if answer.body != b"Hello":
                            raise started.fail(f"{server.name} answers {answer.body!r}, not hello")
                        run_wrk(started, 1)
                        rate, failed = parse_wrk(run_wrk(started, seconds))
                    yield Sample(THROUGHPUT.key, case.project.name, server.name, rate, failed)


def parse_wrk(output: str) -> tuple[float, int]:
    """Requests per second, and how many failed: wrong statuses and socket errors."""
    rate = RATE.search(output)
    if rate is None:
        raise ValueError(f"not the output of wrk: {output!r}")
    wrong = WRONG_STATUS.search(output)
    errors = SOCKET_ERRORS.search(output)
    failed = (int(wrong[1]) if wrong else 0) + (sum(map(int, errors.groups())) if errors else 0)
    return float(rate[1]), failed


def run_wrk(server: Running, seconds: int, *, url: str = "/", connections: int = CONNECTIONS) -> str:
    """What it prints."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", f"http://127.0.0.1:{server.port}{url}"]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 30).stdout
