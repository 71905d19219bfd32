"""What is served stale today, each as small as it can be. Random projects do none of it: they would find nothing else.

A gap that is closed fails here: then its kind of statement belongs into `statements.py`, and its row out of here.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.differential.model import small_project
from tests.differential.operations import How, Link, MakeFolder, Operation, Remove, Step, Write
from tests.differential.session import Way, replay

ONE = {"data.txt": "one"}
IN_FOLDER = {"folder/one.txt": "one"}
LONGER = (Write("data.txt", "longer", How.RENAMED_OVER),)

GAPS: dict[str, tuple[dict[str, str], tuple[Operation, ...]]] = {
    "the size of a listed file": (
        small_project("import os\nfound = [entry.stat().st_size for entry in os.scandir('folder')]", IN_FOLDER),
        (Write("folder/one.txt", "longer", How.RENAMED_OVER),),
    ),
    "the type of a listed file": (
        small_project("import os\nfound = [entry.is_dir() for entry in os.scandir('folder')]", IN_FOLDER),
        (Remove("folder/one.txt"), MakeFolder("folder/one.txt")),
    ),
    "a link in place of a file": (
        small_project("import os\nfound = os.path.islink('data.txt')", ONE),
        (Link("data.txt", "elsewhere/data.txt"),),
    ),
    "read by tokenize and linecache": (
        small_project("import linecache\nfound = linecache.getlines('data.txt')", ONE),
        LONGER,
    ),
    "read by FileIO": (small_project("import io\nfound = io.FileIO('data.txt').readall().decode()", ONE), LONGER),
    "a probe by a module that is imported in a request": (
        small_project("", {"late.py": "import os\nfound = os.path.exists('flag')\n"}, asked="import late"),
        (Write("flag", "", How.RENAMED_OVER),),
    ),
    "a file that the load reads before it writes it": (
        small_project(
            "import pathlib\nmade = pathlib.Path('made.txt')\nfound = made.exists()\nmade.write_text('')\nmade = None",
            {},
        ),
        (),
    ),
}


SEEN_IN_BETWEEN = frozenset({"the type of a listed file"})
"""What takes two operations: on a machine that is slow enough the first is seen by itself, and then nothing is stale."""


def known(gap: str) -> pytest.MarkDecorator:
    return pytest.mark.xfail(
        raises=AssertionError, reason="known to be served stale", strict=gap not in SEEN_IN_BETWEEN
    )


@pytest.mark.e2e
@pytest.mark.parametrize("gap", [pytest.param(gap, marks=known(gap)) for gap in GAPS])
def test_gap(tmp_path: Path, gap: str) -> None:
    files, operations = GAPS[gap]
    failure = replay(files, [Step(gap, operations)], Way(), tmp_path, deadline_s=1.0).failure
    if failure is not None and not failure.difference:
        pytest.fail(str(failure))  # not stale: it did not work at all
    assert failure is None, failure.difference


@pytest.mark.e2e
def test_without_gaps(tmp_path: Path) -> None:
    """Projects like those above are served as they should be where there is no gap."""
    asked = "os.path.exists('flag'), os.path.getsize('folder/one.txt'), sorted(os.listdir('folder'))"
    files = small_project(f"import os\nfound = {asked}", IN_FOLDER)
    steps = [
        Step("probe", (Write("flag", ""),)),
        Step("list", (Write("folder/two.txt", ""),)),
        Step("size", (Write("folder/one.txt", "longer"),)),
    ]
    outcome = replay(files, steps, Way(), tmp_path, deadline_s=10.0)
    assert (outcome.failure, outcome.steps, outcome.changed) == (None, 3, 3)
