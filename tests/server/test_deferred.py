"""What may wait: a package without its `__init__`, imports that do not find the user's files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from devserver.server.deferred import put_off
put_off("uvicorn")
import uvicorn.config
assert "uvicorn.main" not in sys.modules
{use}
assert "uvicorn.main" in sys.modules
import uvicorn
assert uvicorn.config.Config is uvicorn.Config
assert uvicorn.run
try:
    uvicorn.nonsense
except AttributeError as error:
    print(error)
"""


def run(program: str, *, folder: Path) -> str:
    """What the program prints, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "use", ["import uvicorn; uvicorn.run", "from uvicorn import Server", "import uvicorn; hasattr(uvicorn, 'x')"]
)
def test_a_package_whose_init_was_put_off_is_whole_when_it_is_asked(use: str, tmp_path: Path) -> None:
    assert "module 'uvicorn' has no attribute 'nonsense'" in run(PROGRAM.format(use=use), folder=tmp_path)


OURS_FIRST = """
import sys, threading
from devserver.server.deferred import ours_first
sys.path.insert(0, "users")
with ours_first():
    import wave
    theirs = []
    thread = threading.Thread(target=lambda: theirs.append(__import__("chunkier").WHOSE))
    thread.start()
    thread.join()
assert not hasattr(wave, "WHOSE"), wave.__file__
import sndhdr_of_the_user
assert theirs == ["the user's"]
assert sys.meta_path[0].__class__.__name__ != "_OursFirst"
"""


def test_imports_of_ours_do_not_find_the_users_files_and_those_of_others_do(tmp_path: Path) -> None:
    for name in ("wave", "chunkier", "sndhdr_of_the_user"):
        (tmp_path / "users").mkdir(exist_ok=True)
        (tmp_path / "users" / f"{name}.py").write_text('WHOSE = "the user\'s"\n')
    run(OURS_FIRST, folder=tmp_path)


PUT_OFF = """
import sys, threading
from devserver.server.deferred import put_off
put_off("package")
put_off("package.part")
put_off("package.none")
put_off("none")
put_off("none.part")
import package.part
from package import part as same
print("imported")
assert same is package.part is sys.modules["package.part"]
assert "none" not in sys.modules
{use}
"""


@pytest.mark.parametrize(
    ("use", "printed"),
    [
        ("", []),
        ("from package.part import NAME; print(NAME)", ["part runs", "package runs", "name"]),
        ("print(package.part.NAME, package.part.NAME)", ["part runs", "package runs", "name name"]),
        ("print(hasattr(package, 'x'), package.part is same)", ["package runs", "False True"]),
        ("print(package.part.anything)", ["part runs", "package runs", "any thing"]),
    ],
)
def test_a_module_that_was_put_off_runs_once_when_it_is_asked(use: str, printed: list[str], tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("print('package runs')\nVERSION = 1\n")
    (package / "part.py").write_text(
        "print('part runs')\nimport package\npackage.VERSION\nNAME = 'name'\n"
        "def __getattr__(name):\n    if name == 'anything': return 'any thing'\n    raise AttributeError(name)\n"
    )
    assert run(PUT_OFF.format(use=use), folder=tmp_path).splitlines() == ["imported", *printed]


BROKEN = """
from devserver.server.deferred import put_off
put_off("broken")
import broken
for _ in range(2):
    try:
        broken.name
    except ImportError as error:
        print(error)
"""


def test_a_module_that_was_put_off_and_cannot_run_says_so_to_each_who_asks(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise ImportError('not today')\n")
    assert run(BROKEN, folder=tmp_path) == "not today\n" * 2


THREADS = """
import threading
from devserver.server.deferred import put_off
put_off("slow")
import slow
found, ready = [], threading.Event()
slow_is_running = threading.Event()
threading.running, threading.others_ask = slow_is_running, ready
first = threading.Thread(target=lambda: found.append(slow.LAST))
first.start()
slow_is_running.wait(30)
second = threading.Thread(target=lambda: (ready.set(), found.append(slow.LAST)))
second.start()
first.join(30), second.join(30)
print(found)
"""


def test_a_thread_that_asks_while_another_runs_the_module_waits(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import threading\nthreading.running.set()\nthreading.others_ask.wait(30)\nLAST = 'last'\nprint('ran')\n"
    )
    assert run(THREADS, folder=tmp_path) == "ran\n['last', 'last']\n"


CIRCLE = """
import sys, threading
from devserver.server.deferred import ours_first

met = threading.Barrier(2)
failures = []

def get(name):
    met.wait()
    try:
        with ours_first():
            __import__(name)
    except ImportError as error:
        failures.append(error)

threads = [threading.Thread(target=get, args=(name,)) for name in ("circle.first", "circle.second")]
for thread in threads: thread.start()
for thread in threads: thread.join()
sys.exit(repr(failures) if failures else 0)
"""


def test_two_threads_import_a_circle_from_its_two_ends(tmp_path: Path) -> None:
    package = tmp_path / "circle"
    package.mkdir()
    (package / "__init__.py").touch()
    wait = "import time; time.sleep(0.05)  # so that each is in the middle when the other comes\n"
    (package / "first.py").write_text(f"{wait}from circle.second import two\none = 1\n")
    (package / "second.py").write_text(f"{wait}two = 2\nfrom circle.first import one\n")
    run(CIRCLE, folder=tmp_path)
