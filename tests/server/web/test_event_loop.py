"""Which event loop the engine runs on."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

PRELUDE = "import asyncio, sys, warnings; from devserver.server.web.engine import choose_event_loop\n"


def told(code: str) -> str:
    """What the code prints, in a process of its own: loops are global."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PRELUDE + code], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


SHOW = "loop = choose_event_loop(); print(type(loop).__module__); loop.close()"


@pytest.mark.parametrize(
    "code", ["", "asyncio.run(asyncio.sleep(0))", "asyncio.set_event_loop(None)", "asyncio.get_event_loop_policy()"]
)
def test_uvloop_unless_the_app_left_a_loop(code: str) -> None:
    assert told(f"{code}\n{SHOW}") == "uvloop"


def test_the_loop_that_the_app_left() -> None:
    code = "mine = asyncio.new_event_loop(); asyncio.set_event_loop(mine); print(choose_event_loop() is mine); mine.close()"
    assert told(code) == "True"


def test_the_loop_that_the_app_asked_for() -> None:
    code = "warnings.simplefilter('ignore'); mine = asyncio.get_event_loop(); print(choose_event_loop() is mine); mine.close()"
    assert told(code) == "True"


def test_a_closed_loop_is_of_no_use() -> None:
    assert told(f"mine = asyncio.new_event_loop(); asyncio.set_event_loop(mine); mine.close()\n{SHOW}") == "uvloop"


def test_it_is_where_a_new_one_would_be_made_anyway() -> None:
    """Should asyncio keep its current loop elsewhere one day, this says so."""
    policy = asyncio.get_event_loop_policy()
    assert asyncio.events._event_loop_policy is policy  # type: ignore[attr-defined]
    assert hasattr(policy._local, "_loop")
