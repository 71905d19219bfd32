"""The command of `make probe`: how far the chain gets in ten real projects, and which barrier ends it.

Each project is loaded as `loading.py` says. A row tells how long a whole load takes, how many checkpoints were made, up to which
share of the load, what a resume from the last one takes, and what stood in the way of more.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from tests.realworld.projects import Project, SetUpFailedError, named

LOADING: Final = Path(__file__).parent / "loading.py"
LOADS_S: Final = 600.0
HEADINGS: Final = ("project", "kind", "modules", "edges", "load", "checkpoints", "last at", "resume", "barrier")


def load(project: Project) -> list[dict[str, Any]]:
    """The loads that `loading.py` made. Raises SetUpFailedError if there was none."""
    with tempfile.NamedTemporaryFile() as file:
        command = (str(project.python), str(LOADING), file.name, "run", project.target)
        done = project.run(*command, inside=project.folder, timeout_s=LOADS_S)
        text = Path(file.name).read_text()
    loads: list[dict[str, Any]] = json.loads(text) if text else []
    if not loads or loads[-1]["error"]:
        raise SetUpFailedError(loads[-1]["error"] if loads else done.stdout[-800:])
    return loads


def row(project: Project) -> tuple[str, ...]:
    whole, frozen, resumed = load(project)
    last = f"{frozen['frozen_ms'][-1] / frozen['ms']:.0%}" if frozen["frozen_ms"] else "–"
    return (
        project.name,
        project.kind,
        str(whole["modules"]),
        str(whole["edges"]),
        f"{whole['ms'] / 1000:.1f} s",
        str(len(frozen["frozen_ms"])),
        last,
        f"{resumed['ms']:.0f} ms",
        frozen["barrier"] or "none",
    )


def lines(projects: Sequence[Project]) -> Iterator[str]:
    """A table in Markdown, a row as soon as it is known."""
    yield f"| {' | '.join(HEADINGS)} |"
    yield f"|{' --- |' * len(HEADINGS)}"
    for project in projects:
        try:
            project.put_up()
            yield f"| {' | '.join(row(project))} |"
        except SetUpFailedError as error:
            print(f"{project.name}: {error}", file=sys.stderr)
            yield f"| {project.name} | {project.kind} |{' – |' * (len(HEADINGS) - 3)} it could not be put up |"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.realworld.probe", description=__doc__)
    parser.add_argument("--only", type=named, default=named(""), help="some of them, such as oscar,pretix")
    for line in lines(parser.parse_args(arguments).only):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
