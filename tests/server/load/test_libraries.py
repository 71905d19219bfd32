"""What is told of libraries and of the process: two loads differ in it where a user could see it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

LIBRARY = """
import os
HOME = os.environ.get("BIGLIB_HOME", "unset")
COUNTER = 0
HOOKS, BY_NAME, _cache = [], {}, []

class Base:
    subclasses = []

    def __init_subclass__(cls):
        Base.subclasses.append(cls)

    def method(self): ...
"""
SHOW = """
import json, sys
from devserver.server.load.libraries import library_state, process_state
users = {"app"}
found = dict([*process_state(), *library_state(users)])
print(json.dumps(found, default=repr, sort_keys=True))
"""


def state(folder: Path, app: str) -> str:
    (folder / "biglib.py").write_text(LIBRARY)
    (folder / "app.py").write_text("import biglib, logging, warnings, signal, sys, os\n" + dedent(app))
    done = subprocess.run(
        # Without bytecode: both are written within a second, and may have one size.
        [sys.executable, "-B", "-c", f"import sys; sys.path.insert(0, {str(folder)!r})\nimport app" + SHOW],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


F = "def f(): ...\ndef g(): ...\n"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("biglib.HOME = '/data'", ""),
        (F + "biglib.HOOKS += [f, g]", F + "biglib.HOOKS += [g, f]"),
        (F + "biglib.BY_NAME['x'] = f", F + "biglib.BY_NAME['x'] = g"),
        (F + "biglib.BY_NAME['x'] = [(f, 1)]", F + "biglib.BY_NAME['x'] = [(g, 1)]"),
        (F + "biglib.Base.method = f", F),
        (F + "os.getpid = f", F),
        (
            "class A(biglib.Base): ...\nclass B(biglib.Base): ...",
            "class B(biglib.Base): ...\nclass A(biglib.Base): ...",
        ),
        ("logging.basicConfig(level=10)", "logging.basicConfig(level=20)"),
        ("warnings.simplefilter('error', UserWarning)", ""),
        (F + "signal.signal(signal.SIGUSR2, f)", F + "signal.signal(signal.SIGUSR2, g)"),
        ("sys.setrecursionlimit(1234)", ""),
    ],
)
def test_what_differs(tmp_path: Path, one: str, other: str) -> None:
    assert state(tmp_path, one) != state(tmp_path, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("", ""),
        ("biglib.COUNTER = 5", ""),
        (F + "biglib._cache.append(f)", F),
        (
            F + "biglib.BY_NAME['x'] = f; biglib.BY_NAME['y'] = g",
            F + "biglib.BY_NAME['y'] = g; biglib.BY_NAME['x'] = f",
        ),
    ],
)
def test_what_does_not(tmp_path: Path, one: str, other: str) -> None:
    assert state(tmp_path, one) == state(tmp_path, other)


def test_no_code_of_anybody_runs(tmp_path: Path) -> None:
    app = """
        class Odd:
            def __getattribute__(self, name): sys.exit(f"asked for {name}")
            def __eq__(self, other): sys.exit("compared")
            def __hash__(self): return 1
            def __repr__(self): sys.exit("told")
            def __len__(self): sys.exit("counted")
        biglib.HOOKS.append(Odd())
        biglib.BY_NAME[Odd()] = Odd()
        biglib.odd = Odd()
    """
    assert "instance of app.Odd" in state(tmp_path, app)
