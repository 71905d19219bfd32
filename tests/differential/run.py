"""`make fuzz`: long runs. `python -m tests.differential.run --steps 20000 --seed 7 -- --no-checkpoints`

What stands after `--` goes to devserver. A run is made of sessions, each a project of its own that follows from the seed and the
session's number alone, so `--seed 7 --session 12` repeats one of them whatever ran beside it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import secrets
import shlex
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path

from tests.differential.operations import Step
from tests.differential.session import Failure, Outcome, Way, random_session, replay
from tests.differential.shrinking import Shrinker

STEPS_PER_SESSION = 40
_SHRINKING_DEADLINE_S = 1.5
_PROGRESS_S = 15.0


def session_seed(seed: int, number: int) -> str:
    """What the session of that number follows from."""
    return f"{seed}/{number}"


def run_session(seed: int, number: int, steps: int, way: Way) -> Outcome:
    """One session in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="differential-") as folder:
        return random_session(session_seed(seed, number), steps, way, Path(folder).resolve())


def shrunk(failure: Failure, way: Way, budget_s: float) -> Failure:
    """The failure with as little as possible in it."""

    def replayed(files: Mapping[str, str], steps: Sequence[Step]) -> Failure | None:
        with tempfile.TemporaryDirectory(prefix="differential-") as folder:
            deadline_s = _SHRINKING_DEADLINE_S
            return replay(files, steps, way, Path(folder).resolve(), deadline_s=deadline_s).failure

    return Shrinker(replayed, budget_s).shrink(failure)


def repeating(seed: int, number: int, way: Way) -> str:
    """The command that repeats a session."""
    more = (" --eager" if way.eager else "") + (" --unordered" if way.unordered else "")
    more += f" -- {shlex.join(way.arguments)}" if way.arguments else ""
    return f"make fuzz SEED={seed} ARGS={shlex.quote(f'--session {number}{more}')}"


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0 without a difference."""
    given = list(sys.argv[1:] if argv is None else argv)
    given, arguments = (given[: given.index("--")], given[given.index("--") + 1 :]) if "--" in given else (given, [])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--session", type=int, default=None, help="this one alone")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--shrink", type=float, default=120.0, metavar="SECONDS", help="for making a failure small")
    parser.add_argument("--failures", type=int, default=1, help="stop after so many")
    parser.add_argument("--eager", action="store_true", help="hoist whatever can be, after each step")
    parser.add_argument("--unordered", action="store_true", help="modules that do not tell in which order they ran")
    options = parser.parse_args(given)
    way = Way(tuple(arguments), eager=options.eager, unordered=options.unordered)
    seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    count = -(-options.steps // STEPS_PER_SESSION)
    numbers = range(count) if options.session is None else [options.session]
    print(f"seed {seed}: {len(numbers)} sessions of {STEPS_PER_SESSION} steps, {' '.join(way.command()[1:])}")
    total, failures = Outcome(), 0
    began = told = time.monotonic()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.workers, mp_context=context) as pool:
        waiting = iter(numbers)
        running: dict[Future[Outcome], int] = {}
        while True:
            while failures < options.failures and len(running) < options.workers:
                if (number := next(waiting, None)) is None:
                    break
                running[pool.submit(run_session, seed, number, STEPS_PER_SESSION, way)] = number
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                number, outcome = running.pop(future), future.result()
                total.add(outcome)
                if outcome.failure is not None:
                    failures += 1
                    print(f"\n##### seed {seed}, session {number}, after {outcome.steps} steps\n", flush=True)
                    print(shrunk(outcome.failure, way, options.shrink), flush=True)
                    print(f"\nagain: {repeating(seed, number, way)}", flush=True)
            if time.monotonic() - told > _PROGRESS_S:
                told = time.monotonic()
                print(f"{told - began:.0f} s: {total}", flush=True)
    print(f"seed {seed}, {time.monotonic() - began:.0f} s: {total}; {failures} sessions with a difference")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
