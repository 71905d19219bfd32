"""The command of `make curve`: from a save to the first new answer in large projects, over the position of the file in the load.

Files of the user's are taken at even distances of the load's time, the last one too. Each is saved several times; the first save
of a file, which has no checkpoint of its own yet, does not count. Beside it stands what a fresh start would still have had to load
after that file: the aim is that and 50 ms.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from tests.benchmarks.process import Running, find_free_port, running
from tests.realworld.probe import load
from tests.realworld.projects import OSCAR, PRETIX, WAGTAIL, Project, named
from tests.realworld.saving import edited, save, wait_for

PAUSE_S: Final = 0.6  # between an answer and the next save: a person takes longer
HEADINGS: Final = ("file", "ran at", "rest of the load", "save → answer", "beyond the rest")


class Point(NamedTuple):
    source: str
    at_ms: float
    rest_ms: float


def points(project: Project, count: int) -> tuple[float, list[Point]]:
    """How long a whole load takes, and files spread over it."""
    whole = load(project)[0]
    timeline = [
        Point(source, at_ms, whole["ms"] - at_ms)
        for source, at_ms in zip(whole["sources"], whole["sources_ms"], strict=True)
        if Path(source).stat().st_size and not source.endswith("serve.py")
    ]
    wanted = [
        timeline[0].at_ms + (timeline[-1].at_ms - timeline[0].at_ms) * step / (count - 1) for step in range(count)
    ]
    chosen = {min(timeline, key=lambda point: abs(point.at_ms - at_ms)): None for at_ms in wanted}
    return whole["ms"], list(chosen)


def save_to_answer(server: Running, project: Project, point: Point, saves: int) -> float:
    """Milliseconds, the median of all saves but the first. The file is as before afterwards."""
    taken = []
    with edited(project, point.source) as (file,):
        for number in range(saves + 1):
            time.sleep(PAUSE_S)
            taken.append(save(server, project.url, file, f"{file.name} {number}"))
    wait_for(server, project.url, "")
    return median(taken[1:])


def lines(project: Project, count: int, saves: int) -> Iterator[str]:
    """A table in Markdown."""
    load_ms, chosen = points(project, count)
    port = find_free_port()
    command = [str(project.python.parent / "devserver"), "run", project.target, "--port", str(port)]
    results = []
    with running(command, port=port, folder=project.folder, environ=project.variables()) as server:
        started_ms = (wait_for(server, project.url, "") - server.started) * 1000
        yield f"**{project.name}**: a load of {load_ms:.0f} ms, {started_ms:.0f} ms from the command to the first answer"
        yield ""
        yield f"| {' | '.join(HEADINGS)} |"
        yield f"|{' --- |' * len(HEADINGS)}"
        for point in chosen:
            taken_ms = save_to_answer(server, project, point, saves)
            results.append(taken_ms)
            name = point.source.removeprefix(f"{project.top}/project/")
            cells = [
                name,
                *(f"{value:.0f} ms" for value in (point.at_ms, point.rest_ms, taken_ms, taken_ms - point.rest_ms)),
            ]
            yield f"| {' | '.join(cells)} |"
    yield ""
    yield f"Median over the files: {median(results):.0f} ms, {median(results) / started_ms:.2f} of a fresh start."
    yield ""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.realworld.curve", description=__doc__)
    parser.add_argument("--only", type=named, default=(OSCAR, PRETIX, WAGTAIL), help="some of oscar,pretix,wagtail")
    parser.add_argument("--files", type=int, default=9)
    parser.add_argument("--saves", type=int, default=3)
    options = parser.parse_args(arguments)
    for project in options.only:
        project.put_up()
        for line in lines(project, options.files, options.saves):
            print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
