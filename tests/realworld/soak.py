"""The command of `make soak-large`: many saves over ten files of pretix, with all that hoisting does behind, and no growth.

Most saves follow each other as fast as they are answered, so the work behind is given up for them again and again; twice for each
file it is waited for.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Final

from tests.benchmarks.process import Running, find_free_port
from tests.e2e.footprint import Footprint, growth
from tests.realworld.projects import PRETIX
from tests.realworld.saving import devserver, edited, rest, restored, save, serving

FILES: Final = tuple(
    f"pretix/{name}.py"
    for name in (
        *(f"control/views/{name}" for name in ("auth", "main", "event", "item", "orders", "vouchers")),
        *(f"presale/views/{name}" for name in ("event", "cart")),
        *("api/views/order", "control/forms/filter"),
    )
)
EVERY: Final = 10
RESTS: Final = (EVERY // 2, EVERY - 1)  # the saves between them find modules hoisted
SETTLES: Final = 100
"""Saves until each file was waited for once."""


def soak(server: Running, saves: int, files: Sequence[str]) -> Iterator[tuple[int, float, Footprint | None]]:
    """Number and milliseconds of each save; the footprint of those after which it was waited."""
    with edited(PRETIX, *files) as paths:
        last = paths[0]
        for number in range(1, saves + 1):
            # Each file several times in a row, as one works.
            path = paths[number // EVERY % len(paths)]
            if path is not last:
                restored(last)  # else it might tell of its save after this one has
                last = path
            milliseconds = save(server, PRETIX.url, path, f"save {number}")
            footprint = None
            if number % EVERY in RESTS:
                rest(server)
                supervisor, *below = server.tree()
                footprint = Footprint.of(supervisor, below)
            yield number, milliseconds, footprint


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0 without growth."""
    parser = argparse.ArgumentParser(prog="python -m tests.realworld.soak", description=__doc__)
    parser.add_argument("--saves", type=int, default=500)
    options = parser.parse_args(arguments)
    PRETIX.put_up()
    port, began = find_free_port(), time.monotonic()
    early: list[Footprint] = []
    late: list[Footprint] = []
    with serving(PRETIX, devserver(PRETIX, port), port, {}) as server:
        for number, milliseconds, footprint in soak(server, options.saves, FILES):
            if footprint is not None:
                print(f"{number}: {milliseconds:.0f} ms, {footprint}", flush=True)
                (early if number <= SETTLES else late).append(footprint)
        hoisted = server.log.read_text(errors="replace").count("order checked)")
    found = growth(early, late[-len(early) :]) if late else []
    told = f"{options.saves} saves, {hoisted} of them hoisted, in {time.monotonic() - began:.0f} s"
    print(f"{told}: {'; '.join(found) or 'no growth'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
