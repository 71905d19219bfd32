"""Modules are imported before their turn: which, in what order, and what ends it. In a process of its own, as a load does it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from devserver.messages import FIRST_REQUESTS

DRIVER = """
import sys
from devserver.messages import HoistLevel, Plan
from devserver.server.load.hoisting import Hoister, HoistError

sys.path.insert(0, sys.argv[1])
ran = sys.ran = []
phase = "views"
barriers = []
built = []

def sources():
    return [f"{sys.argv[1]}/{name}.py" for name in ran]

hoister = Hoister(lambda: phase, built.extend, sources)
rests = 0

def rest():
    global rests
    rests += 1

def follow(*levels, early=()):
    levels = tuple(HoistLevel(phase, tuple(before), tuple(modules)) for phase, before, modules in levels)
    hoister.follow(Plan(hoist=levels, early=early))

def hoist():
    try:
        hoister.hoist(lambda: barriers, rest)
    except HoistError as error:
        print("not", error.module, "because", error.reason)
    print(*ran, "|", hoister.count)
"""


def run(folder: Path, files: dict[str, str], what: str) -> list[str]:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("import sys; sys.ran.append(__name__)\n" + dedent(text))
    done = subprocess.run(
        [sys.executable, "-c", DRIVER + dedent(what), str(folder)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


FILES = {"a.py": "", "b.py": "import c", "c.py": "", "d.py": ""}


def test_in_the_order_that_is_given(tmp_path: Path) -> None:
    what = """
    import d
    follow(("views", ["/app/a"], ["d", "b", "c"]))
    hoist()
    print(rests)
    """
    assert run(tmp_path, FILES, what) == ["d b c | 2", "1"], "what is there already is not counted, what was nested is"


def test_when_it_is_due(tmp_path: Path) -> None:
    what = """
    follow(("views", ["/app/a", "/app/urls"], ["b"]), ("views", ["/app/a"], ["d"]))
    print(hoister.is_due("/app/x"), hoister.is_due("/app/urls"))
    phase = "models"
    print(hoister.is_due("/app/urls"))
    phase = "views"
    hoist()
    print(hoister.is_due("/app/urls"), hoister.is_due("/app/a"))
    hoist()
    print(hoister.is_due("/app/a"))
    follow(("views", ["/app/a"], ["d"]))
    print(hoister.is_due("/app/a"))
    follow()
    print(hoister.is_due("/app/a"))
    """
    assert run(tmp_path, FILES, what) == [
        "False True",
        "False",
        "b c | 1",
        "False True",
        "b c d | 2",
        "False",
        "True",
        "False",
    ]


def test_while_it_hoists_nothing_is_due(tmp_path: Path) -> None:
    what = """
    sys.hoister = hoister
    follow(("views", ["/app/a"], ["asks"]), ("views", ["/app/a"], ["d"]))
    hoist()
    """
    files = {"asks.py": "print(sys.hoister.is_due('/app/a'))"}
    assert run(tmp_path, files, what) == ["False", "asks | 1"]


def test_a_package_that_is_held_back_is_not_imported_for_what_is_in_it(tmp_path: Path) -> None:
    files = {"p/__init__.py": "", "p/a.py": "", "q/__init__.py": "", "q/b.py": ""}
    what = """
    import q
    follow(("views", ["/app/p"], ["p.a", "q.b"]))
    hoist()
    """
    assert run(tmp_path, files, what) == ["q q.b | 1"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("import nowhere", "ModuleNotFoundError: No module named 'nowhere'"),
    ],
)
def test_one_that_raises(tmp_path: Path, text: str, reason: str) -> None:
    what = """
    follow(("views", ["/app/a"], ["c", "fails", "d"]))
    hoist()
    """
    assert run(tmp_path, {**FILES, "fails.py": text}, what)[0] == f"not fails because {reason}"


def test_one_behind_which_nothing_can_be_frozen(tmp_path: Path) -> None:
    what = """
    sys.barriers = barriers
    follow(("views", ["/app/a"], ["c", "starts", "d"]))
    hoist()
    """
    files = {**FILES, "starts.py": "sys.barriers.append('a thread')"}
    assert run(tmp_path, files, what)[0] == "not starts because a thread"


def test_what_first_requests_have_built_comes_last(tmp_path: Path) -> None:
    what = """
    follow(("views", ["/app/a"], ["b"]), ("views", ["/app/a"], ["d"]), early=("a template",))
    hoist()
    print(built)
    hoist()
    print(built)
    """
    assert run(tmp_path, FILES, what) == ["b c | 1", "[]", "b c d | 2", "['a template']"]


def test_what_first_requests_have_built_leaves_something_that_cannot_be_frozen(tmp_path: Path) -> None:
    what = """
    hoister = Hoister(lambda: phase, barriers.extend, sources)
    follow(("views", ["/app/a"], ["d"]), early=("a connection",))
    hoist()
    """
    assert run(tmp_path, FILES, what)[0] == f"not {FIRST_REQUESTS} because a connection"


def test_what_needs_a_module_that_is_held_back(tmp_path: Path) -> None:
    """Edges may not tell of it: somebody looked for modules only once."""
    what = """
    follow(("views", [f"{sys.argv[1]}/a"], ["d", "b"]))
    hoist()
    """
    found = run(tmp_path, {**FILES, "c.py": "import a"}, what)
    assert found == ["not b because it needs what is held back", "d b c a | 0"]
