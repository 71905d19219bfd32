"""What may wait: a package without its `__init__`, imports that do not find the user's files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from devserver.server.deferred import put_off_init
put_off_init("uvicorn")
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
