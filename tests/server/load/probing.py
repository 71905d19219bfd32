"""A process of its own that imports a module as an app would, and asks what of it must not be frozen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

DEADLINE_S = 60.0

# `asked`: what find_barriers says after `tasks` was imported. `freed`: after its `undo`; a thread that was joined may take a moment
# to leave the kernel's list. `result`: what the module's `result` is.
DRIVER = """
import builtins, gc, json, os, sys, time
from devserver.server.load.barriers import Baseline, find_barriers
from devserver.server.load.descriptors import open_descriptors

sys.path.insert(0, os.getcwd())
gc.collect()
baseline = Baseline.take()
asked = []
builtins.baseline, builtins.find_barriers, builtins.asked = baseline, find_barriers, asked
import tasks

before = open_descriptors()
found = find_barriers(baseline)
again = find_barriers(baseline)
left = [known for known in open_descriptors() if known not in before]
freed = None
if hasattr(tasks, "undo"):
    tasks.undo()
    deadline = time.monotonic() + 20
    while (freed := find_barriers(baseline)) and time.monotonic() < deadline:
        time.sleep(0.002)
os.write(int(sys.argv[1]), json.dumps({
    "asked": found, "again": again, "freed": freed, "left": len(left), "within": asked,
    "result": getattr(tasks, "result", None),
}).encode())
os._exit(0)
"""

FORKED = """
def in_child(function):
    "What the function answers in a child forked right now."
    import json, os, traceback
    read_fd, write_fd = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.write(write_fd, json.dumps(function()).encode())
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(write_fd)
    with open(read_fd, "rb") as file:
        answer = file.read()
    os.waitpid(pid, 0)
    return json.loads(answer)

"""


@dataclass(frozen=True, slots=True)
class Probed:
    asked: tuple[str, ...]  # after the import
    freed: tuple[str, ...] | None  # after `undo`, if the module has one
    within: tuple[tuple[str, ...], ...]  # what the module asked itself, into `asked`
    result: object
    output: str


def probe(
    folder: Path,
    source: str,
    *,
    forks: bool = False,
    moving: bool = False,
) -> Probed:
    """Import `source` as the module `tasks` in `folder`, in a process of its own.

    `forks`: it uses `in_child`. `moving`: what it started goes on to change by itself.
    """
    (folder / "tasks.py").write_text((FORKED if forks else "") + dedent(source))
    read_fd, write_fd = os.pipe()
    try:
        done = subprocess.run(
            [sys.executable, "-c", DRIVER, str(write_fd)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
            pass_fds=(write_fd,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
    finally:
        os.close(write_fd)
        with open(read_fd, "rb") as file:
            answer = file.read()
    assert answer, done.stdout
    found = json.loads(answer)
    if not moving:
        assert found["again"] == found["asked"], "asking changed something"
        assert not found["left"], "a probe left a descriptor open"
    freed = found["freed"]
    return Probed(
        tuple(found["asked"]),
        None if freed is None else tuple(freed),
        tuple(map(tuple, found["within"])),
        found["result"],
        done.stdout,
    )
