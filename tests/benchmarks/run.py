"""The command of `make bench`: run the benchmarks, print the tables, write docs/benchmarks.md.

Only a full run writes the page; with --only, --servers or --quick it is printed alone.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from types import FrameType
from typing import Final

from tests.benchmarks import (
    environment,
    measure_browser,
    measure_hoisting,
    measure_idle,
    measure_save,
    measure_start,
    measure_throughput,
)
from tests.benchmarks.report import Sample, Surroundings, render_page

NAMES: Final = ("save", "browser", "throughput", "start", "idle", "again", "behind")
MEASURES: Final = (
    measure_save.SAVE,
    measure_browser.PAINTED,
    measure_browser.ANSWERED,
    measure_throughput.THROUGHPUT,
    measure_start.START,
    measure_idle.CPU,
    measure_idle.MEMORY,
    measure_hoisting.AGAIN,
    measure_hoisting.BEHIND,
)
PAGE: Final = environment.ROOT / "docs" / "benchmarks.md"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.run", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="rounds of save and start; a third of it for throughput")
    parser.add_argument("--only", type=_names(NAMES), default=(), help=f"some of {','.join(NAMES)}")
    parser.add_argument(
        "--servers", default="", help="some servers by the first word of their name, such as devserver,uvicorn"
    )
    parser.add_argument("--quick", action="store_true", help="two rounds and short waits: does it run?")
    return parser.parse_args(arguments)


def measure(options: argparse.Namespace) -> Iterator[Sample]:
    only = frozenset(filter(None, options.servers.split(",")))
    rounds = 2 if options.quick else options.rounds
    benchmarks: dict[str, Callable[[], Iterator[Sample]]] = {
        "save": lambda: measure_save.measure(rounds, only),
        "browser": lambda: measure_browser.measure(rounds, only),
        "throughput": lambda: measure_throughput.measure(max(1, rounds // 3), 1 if options.quick else 5, only),
        "start": lambda: measure_start.measure(rounds, only),
        "idle": lambda: measure_idle.measure(1, 3 if options.quick else 70, 3 if options.quick else 20, only),
        "again": lambda: measure_hoisting.measure_saves(rounds if options.quick else max(1, rounds * 2 // 3), only),
        "behind": lambda: measure_hoisting.measure_throughput(max(1, rounds // 3), 1 if options.quick else 5, only),
    }
    for name in options.only or NAMES:
        yield from benchmarks[name]()


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    wanted = options.only or NAMES
    if {"throughput", "behind"} & set(wanted) and not measure_throughput.is_available():
        print(
            "bench: wrk is missing (Debian: apt-get install wrk), or leave out throughput and behind with --only",
            file=sys.stderr,
        )
        return 1
    if "browser" in wanted and not measure_browser.is_available():
        print(
            "bench: Chromium is missing (Debian: apt-get install chromium-headless-shell), or leave out browser",
            file=sys.stderr,
        )
        return 1
    # Servers are ended by context managers: a SIGTERM must unwind them like Ctrl-C does.
    signal.signal(signal.SIGTERM, _interrupt)
    environment.prepare()
    began = time.monotonic()
    samples = []
    for sample in measure(options):
        samples.append(sample)
        value = "overdue" if sample.value is None else f"{sample.value:.2f}"
        failed = f"  {sample.failed_requests} failed" if sample.failed_requests else ""
        print(
            f"{time.monotonic() - began:6.0f} s  {sample.measure:10} {sample.case:20} {sample.server:24} {value:>10}{failed}"
        )
    page = render_page(
        samples,
        MEASURES,
        Surroundings(
            date=datetime.now(UTC).strftime("%Y-%m-%d"),
            command=shlex.join(["python", "-m", "tests.benchmarks.run", *arguments]),
            machine=environment.machine(),
            versions=environment.versions(),
        ),
    )
    print(page)
    if not (options.quick or options.only or options.servers):
        PAGE.write_text(page)
        print(f"written: {PAGE.relative_to(environment.ROOT)}")
    return 0


def _names(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    def parse_names(text: str) -> tuple[str, ...]:
        names = tuple(text.split(","))
        if unknown := set(names) - set(known):
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
        return names

    return parse_names


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
