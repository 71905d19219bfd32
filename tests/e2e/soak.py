"""`make soak`: many resumes in a row, without growth. `python -m tests.e2e.soak --saves 1000`"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.chained import Chained, chained
from tests.e2e.footprint import Footprint, growth
from tests.e2e.harness import DevServer, write

MODULES = ("third", "third", "second", "third", "first")
"""Which are saved in turn: each branches off elsewhere."""
WINDOW = 10
"""So many moments are compared with as many."""


def soak(project: Chained, saves: int, *, settle: int) -> Iterator[tuple[int, Footprint]]:
    """Save so many times; the footprint after each of the last saves of the time to settle, and of the end."""
    for number in range(1, saves + 1):
        name = MODULES[number % len(MODULES)]
        project.save(name, f"{name} {number}")
        if settle - WINDOW < number <= settle or number > saves - WINDOW:
            yield number, Footprint.of(project.server.process.pid, project.line())


def compare(prints: Sequence[tuple[int, Footprint]], settle: int) -> list[str]:
    """What has grown since the time to settle."""
    return growth(
        [one for number, one in prints if number <= settle], [one for number, one in prints if number > settle]
    )


@contextmanager
def _serving(folder: Path) -> Iterator[Chained]:
    servers: list[DevServer] = []

    def serve(files: Mapping[str, str], *arguments: str) -> DevServer:
        write(folder, files)
        servers.append(DevServer(folder, *arguments))
        return servers[-1]

    try:
        yield chained(serve, "wsgi")
    finally:
        for server in servers:
            server.stop()


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0 without growth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--saves", type=int, default=1000)
    parser.add_argument("--settle", type=int, default=100, help="compare with the state after so many")
    options = parser.parse_args(argv)
    began = time.monotonic()
    prints = []
    with tempfile.TemporaryDirectory(prefix="soak-") as folder, _serving(Path(folder).resolve()) as project:
        for number, footprint in soak(project, options.saves, settle=options.settle):
            print(f"{number}: {footprint}", flush=True)
            prints.append((number, footprint))
    found = compare(prints, options.settle)
    print(f"{options.saves} saves in {time.monotonic() - began:.0f} s: {'; '.join(found) or 'no growth'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
