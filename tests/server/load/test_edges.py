"""Who imported whom: in a process of its own, as a load does it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

DRIVER = """
import json, os, sys
from importlib.machinery import SourceFileLoader
from devserver.server.load.edges import EdgeRecorder

app, library = sys.argv[1:3]
sys.path[:0] = [app, library]
bootstrap = sys.modules["_frozen_importlib"]
before = [__import__, bootstrap._gcd_import, bootstrap._load_unlocked]
# All modules of the app, as the loader tells them.
ran = {}
get_code = SourceFileLoader.get_code
def telling(self, name):
    if self.path.startswith(app):
        ran[name] = self.path
        recorder.began(name)
    return get_code(self, name)
SourceFileLoader.get_code = telling

recorder = EdgeRecorder(lambda: os.environ.get("PHASE", ""))
recorder.install()
try:
    import main
except BaseException:
    import traceback
    traceback.print_exc()
recorder.remove()
assert [__import__, bootstrap._gcd_import, bootstrap._load_unlocked] == before
graph = recorder.take_graph(ran)
print(json.dumps({graph.names[n]: [graph.names[i] for i in found] for n, found in enumerate(graph.imported)}))
"""


def run(folder: Path, files: dict[str, str], *, after: str = "") -> subprocess.CompletedProcess[str]:
    for name, text in {**files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    return subprocess.run(
        [sys.executable, "-c", DRIVER + dedent(after), str(folder / "app"), str(folder / "library")],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )


def edges(folder: Path, files: dict[str, str]) -> dict[str, str]:
    """What each module imported, of what had not been loaded before; in the order in which they began."""
    done = run(folder, files)
    assert done.stderr == ""
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return {name: " ".join(sorted(targets)) for name, targets in found.items()}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param(
            {"app/main.py": "import a, b", "app/a.py": "import b", "app/b.py": ""},
            {"main": "a b", "a": "b", "b": ""},
            id="also what is loaded already",
        ),
        pytest.param(
            {"app/main.py": "import p.q.r", "app/p/__init__.py": "", "app/p/q/__init__.py": "", "app/p/q/r.py": ""},
            {"main": "p p.q p.q.r", "p": "", "p.q": "", "p.q.r": ""},
            id="the packages on the way",
        ),
        pytest.param(
            {
                "app/main.py": "from p import a, b; import p.c",
                "app/p/__init__.py": "a = 1",
                "app/p/b.py": "from . import c",
                "app/p/c.py": "from .d.e import x",
                "app/p/d/__init__.py": "",
                "app/p/d/e.py": "from ..b import __name__ as x",
            },
            {"main": "p p.b p.c", "p": "", "p.b": "p p.c", "p.c": "p p.d p.d.e", "p.d": "", "p.d.e": "p p.b"},
            id="from a package, and relative",
        ),
        pytest.param(
            {"app/main.py": "from p import *", "app/p/__init__.py": "__all__ = ['a']", "app/p/a.py": ""},
            {"main": "p p.a", "p": "", "p.a": ""},
            id="a star",
        ),
        pytest.param(
            {
                "app/main.py": "import a; from importlib import import_module; import_module('.b', 'p'); __import__('a')",
                "app/a.py": "import importlib; importlib.import_module('p.b')",
                "app/p/__init__.py": "",
                "app/p/b.py": "",
            },
            {"main": "a p p.b", "a": "p p.b", "p": "", "p.b": ""},
            id="by name",
        ),
        pytest.param(
            {"app/main.py": "import a, b; b.late()", "app/a.py": "", "app/b.py": "def late():\n    import a"},
            {"main": "a b", "a": "", "b": ""},
            id="from who is executed, not from whose function",
        ),
        pytest.param(
            {
                "app/main.py": "import a, b\ntry:\n    import c\nexcept ValueError:\n    pass",
                "app/a.py": "import b",
                "app/b.py": "import a",
                "app/c.py": "import a\nraise ValueError",
            },
            {"main": "a b c", "a": "b", "b": "a", "c": "a"},
            id="a circle, and one that failed",
        ),
        pytest.param(
            {
                "app/main.py": "import framework, a, b",
                "app/a.py": "import framework.conf",
                "app/b.py": "import other",
                "app/settings.py": "",
                "library/framework/__init__.py": "from . import deep",
                "library/framework/deep.py": "from . import conf",
                "library/framework/conf.py": "import importlib; importlib.import_module('settings')",
                "library/other.py": "import json",
            },
            {
                "main": "a b framework",
                "framework": "framework.deep",
                "framework.deep": "framework framework.conf",
                "framework.conf": "settings",
                "settings": "",
                "a": "framework framework.conf",
                "b": "other",
                "other": "",
            },
            id="libraries",
        ),
        pytest.param(
            {
                "app/main.py": "import sys, a; sys.modules['b'] = a.Odd(); sys.modules['c'] = None; import d",
                "app/a.py": "import types\nclass Odd:\n    __slots__ = ()\n    __class__ = types.ModuleType",
                "app/d.py": "import b\nclass Lazy(type(b)): pass",
            },
            {"main": "a d", "a": "", "d": ""},
            id="what is in sys.modules and no module",
        ),
        pytest.param(
            {"app/main.py": "import importlib; import a; importlib.reload(a)", "app/a.py": "import b", "app/b.py": ""},
            {"main": "a", "a": "b", "b": ""},
            id="reloaded",
        ),
    ],
)
def test_edges(tmp_path: Path, files: dict[str, str], expected: dict[str, str]) -> None:
    found = edges(tmp_path, files)
    assert found == expected
    assert list(found) == list(expected), "the order in which they began"


def test_runs(tmp_path: Path) -> None:
    files = {
        "app/main.py": """
            import os, sys, importlib.util, slow
            os.environ["PHASE"] = "second"
            spec = importlib.util.spec_from_file_location("loaded", os.path.join(os.path.dirname(__file__), "by_path.py"))
            spec.loader.exec_module(importlib.util.module_from_spec(spec))
            import helper
            try:
                import failing
            except ValueError:
                pass
            import gone
            del sys.modules["gone"]
            import a, gone
            """,
        "app/slow.py": "import time\nend = time.perf_counter() + 0.05\nwhile time.perf_counter() < end: pass",
        "app/by_path.py": "",
        "library/helper.py": "",
        "app/failing.py": "raise ValueError",
        "app/gone.py": "",
        "app/a.py": "",
    }
    after = """
    print(json.dumps([(name, os.path.basename(source), phase, ms > 40) for name, source, phase, ms in
        zip(graph.names, graph.sources, graph.phases, graph.took_ms)]))
    """
    assert json.loads(run(tmp_path, files, after=after).stdout.splitlines()[-1]) == [
        ["main", "main.py", "", False],
        ["slow", "slow.py", "", True],
        ["loaded", "by_path.py", None, False],
        ["helper", "", "second", False],
        ["failing", "failing.py", None, False],
        ["gone", "gone.py", "second", False],
        ["a", "a.py", "second", False],
    ]


def test_a_copy_of_builtins_notes_nothing_after_the_load(tmp_path: Path) -> None:
    files = {"app/main.py": "import builtins, a\nsafe = dict(vars(builtins))", "app/a.py": ""}
    after = """
    import main
    before = len(recorder._statements)
    for _ in range(50):
        exec("import json, a", {"__builtins__": main.safe})
    assert len(recorder._statements) == before == 0
    """
    assert run(tmp_path, files, after=after).stderr == ""


def test_what_goes_wrong_looks_as_without(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        {
            "app/main.py": "import a",
            "app/a.py": "from importlib import import_module\nimport_module('b')",
            "app/b.py": "import c",
            "app/c.py": "1 / 0",
        },
    )
    shown = [line.strip() for line in done.stderr.splitlines() if line.strip().startswith("File")]
    places = [line.split('"')[1].rpartition("/")[2] for line in shown]
    assert places == ["<string>", "main.py", "a.py", "__init__.py", "b.py", "c.py"]


def test_a_warning_is_of_who_imports(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        {"app/main.py": "import a", "app/a.py": "import warnings; warnings.warn('old', stacklevel=2)"},
    )
    assert done.stderr.splitlines()[0].endswith("app/main.py:1: UserWarning: old")


def test_wrong_arguments_get_the_words_of_python(tmp_path: Path) -> None:
    source = """
    calls = [lambda: __import__(3), lambda: __import__("os", 7, None, [], 1), lambda: __import__("os", fromlist=3)]
    for call in (*calls, lambda: __import__(name="os.path", fromlist=["sep"]), __import__):
        try:
            print(call().__name__)
        except Exception as error:
            print(type(error).__name__, error)
    import copy, pickle, types
    print(__import__, __import__.__name__, callable(__import__), __import__.__doc__[:6])
    print(isinstance(__import__, types.BuiltinFunctionType), pickle.loads(pickle.dumps(__import__)) is __import__)
    print(copy.deepcopy(__import__) is __import__)
    """
    *recorded, _graph = run(tmp_path, {"app/main.py": source}).stdout.splitlines()
    plain = subprocess.run(
        [sys.executable, "-c", dedent(source)], capture_output=True, text=True, check=True, timeout=30
    )
    assert recorded == plain.stdout.splitlines()


def test_an_app_that_counts_the_frames_of_a_failed_import(tmp_path: Path) -> None:
    source = """
    import sys, traceback
    for name in ("nothing", "failing"):
        try:
            __import__(name)
        except ImportError:
            print(name, len(traceback.extract_tb(sys.exc_info()[2])))
    try:
        import nothing
    except ImportError:
        print(len(traceback.extract_tb(sys.exc_info()[2])))
    """
    done = run(tmp_path, {"app/main.py": source, "app/failing.py": "import nothing"})
    assert done.stdout.splitlines()[:-1] == ["nothing 1", "failing 2", "1"]
