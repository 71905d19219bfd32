"""Hoisting, by real processes: the second save runs what depends on the file, and the order of imports never shows."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections.abc import Callable, Mapping

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from devserver import processes
from tests.e2e import telling
from tests.e2e.chained import needs_checkpoints
from tests.e2e.harness import DEADLINE_S, Serve, alive
from tests.e2e.hoisting import STILL_S, Hoisting, module
from tests.e2e.terminal import TerminalServer

pytestmark = [pytest.mark.either_kind, needs_checkpoints]

WSGI_APP = """
    import registry
    import first, second, third

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [" ".join([first.TEXT, second.TEXT, third.TEXT, *registry.NAMES]).encode()]
"""
ASGI_APP = """
    import asyncio
    import registry
    import first, second, third

    async def application(scope, receive, send):
        if scope["type"] == "lifespan":
            while True:
                what = (await receive())["type"].removeprefix("lifespan.")
                print("lifespan", what, first.TEXT)
                await send({"type": f"lifespan.{what}.complete"})
                if what == "shutdown":
                    return
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            while (await receive())["type"] != "websocket.disconnect":
                pass
            return
        body = " ".join([first.TEXT, second.TEXT, third.TEXT, *registry.NAMES])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": body.encode()})
"""
APPS = {"wsgi": WSGI_APP, "asgi": ASGI_APP}


@pytest.fixture
def start(serve: Serve, kind: str) -> Callable[..., Hoisting]:
    def start(files: Mapping[str, str] | None = None, *options: str, tells: bool = True) -> Hoisting:
        """`tells`: what is done behind the server is begun at once, and its end is told."""
        sources = {
            "app.py": APPS[kind],
            "registry.py": "NAMES = []\n",
            **{f"{name}.py": module(name) for name in ("first", "second", "third")},
            **(files or {}),
        }
        arguments = "app:application", "--no-access-log", *options
        command = telling.command(*arguments, "--port", "0") if tells else ()
        return Hoisting(serve(sources, *arguments, command=command), tells=tells)

    return start


def test_a_save_runs_the_file_and_what_depends_on_it(start: Callable[..., Hoisting]) -> None:
    project = start()
    assert "2 of 5 modules" not in project.save()
    line = project.hoisted()
    assert ": resumed before it, 1 of 5 modules ran again" in line
    assert line.endswith("(2 hoisted, order checked)")
    seen = len(project.server.log)
    project.still()  # what was saved is compared with the exact load
    assert "(2 hoisted, order checked)" in project.save()
    assert "exact order" not in project.server.log
    assert "second runs" not in project.server.log[seen:], "what is loaded behind is not heard"


def test_without(start: Callable[..., Hoisting]) -> None:
    project = start(None, "--no-hoist", tells=False)
    project.save()
    project.save()
    below = project.server.below()
    project.still()
    assert project.server.below() == below
    assert "hoisted" not in project.save()


def test_a_file_that_was_hoisted_is_saved(start: Callable[..., Hoisting]) -> None:
    project = start()
    project.hoisted()
    project.server.edit("second.py", module("another"))
    project.server.wait_for_text("another")
    line = project.server.wait_for_log(r"second.py changed: .*").group()
    assert "hoisted" not in line
    project.hoisted()
    assert "another" in project.server.get().text


def test_a_mistake_and_its_end(start: Callable[..., Hoisting]) -> None:
    project = start()
    project.hoisted()
    project.server.edit("first.py", "1 +\n")
    project.server.wait_for_text("SyntaxError")
    project.still()
    assert "exact order" not in project.server.log, "the exact load raises the same"
    assert "hoisted" in project.save()


# --- when the order matters ---

REGISTERS = "import registry; registry.NAMES.append(__name__)"


def test_an_order_that_matters_is_never_changed(start: Callable[..., Hoisting]) -> None:
    project = start({"first.py": module("first", REGISTERS), "second.py": module("second", REGISTERS)})
    told = "first.py is loaded in the exact order: in another one registry:NAMES differs"
    project.save(REGISTERS)
    deadline = time.monotonic() + DEADLINE_S
    while "exact order" not in project.server.log:
        assert time.monotonic() < deadline, project.server.log
        project.still()
        assert project.server.get().text.endswith("third first second")
    project.server.wait_for_log(told)
    assert "hoisted" not in project.save(REGISTERS)
    assert project.server.get().text.endswith("third first second")
    project.still()
    assert project.server.log.count("exact order") == 1


def test_an_order_that_begins_to_matter_is_put_right(start: Callable[..., Hoisting], kind: str) -> None:
    project = start({"second.py": module("second", REGISTERS)}, tells=False)
    project.hoisted()
    if kind == "asgi":
        code = asyncio.run(close_code(project, lambda: project.save(REGISTERS)))
        assert code == 1012
    else:
        project.save(REGISTERS)
    project.server.wait_for_text("third first second")
    project.server.wait_for_log(r"first.py loaded in the exact order: .*\(in another one registry:NAMES differs\)")
    project.still()
    assert "hoisted" not in project.save(REGISTERS)
    assert project.server.get().text.endswith("third first second")
    if kind == "asgi":
        log = project.server.log
        assert log.count("lifespan startup") - log.count("lifespan shutdown") == 1, "one that rehearses has no lifespan"


async def close_code(project: Hoisting, save: Callable[[], object]) -> int | None:
    """With which code a WebSocket is closed that was opened after the save, and before the exact load took over."""
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, save)
    async with connect(f"ws://127.0.0.1:{project.server.port}/") as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), DEADLINE_S)
    return closed.value.rcvd.code if closed.value.rcvd else None


def test_a_load_that_fails_in_its_own_order_alone(start: Callable[..., Hoisting]) -> None:
    project = start()
    project.hoisted()
    project.server.edit("first.py", module("circular", "import sys", "assert 'third' in sys.modules, 'too early'"))
    project.server.wait_for_text("too early")
    project.server.wait_for_log(r"first.py loaded in the exact order: failed to load")
    assert "hoisted" not in project.save()


def test_a_load_that_fails_in_the_other_order_alone(start: Callable[..., Hoisting]) -> None:
    project = start()
    project.hoisted()
    project.server.edit("first.py", module("late", "import sys", "assert 'third' not in sys.modules, 'too late'"))
    project.server.wait_for_text("late second")
    project.server.wait_for_log(r"first.py loaded in the exact order: .*error fixed")


def test_a_module_that_nobody_imports_any_more(start: Callable[..., Hoisting]) -> None:
    needs_extra = "import extra"
    project = start({"extra.py": module("extra", REGISTERS)})
    project.save(needs_extra)
    project.hoisted(needs_extra)
    assert project.server.get().text.endswith(" extra")
    project.save()
    project.server.wait_for_log(r"first.py loaded in the exact order: .*nobody imports module extra any more")
    project.server.wait_for(lambda: not project.server.get().text.endswith(" extra"), "the end of the module")
    assert "extra" not in project.hoisted(), "the file may be hoisted around again"


CONFIG = """
    import functools, os

    @functools.lru_cache
    def settings():
        return [os.environ.get("TITLE", "none")]
"""


@pytest.mark.parametrize(
    ("lines", "asks", "told"),
    [
        (
            "import os; os.environ.setdefault('TITLE', 'first')",
            "config.settings()",
            "cached results:config.settings ()",
        ),
        ("import os; os.environ.setdefault('TITLE', 'first')", "import plugin", "library plugin:plugin.TITLE"),
        ("import logging; logging.basicConfig(level=10)", "import logging; logging.basicConfig()", "logging:(root)"),
        ("import random; random.seed(1)", "import random; random.seed(2)", "random numbers:sequence"),
    ],
)
def test_an_order_that_matters_elsewhere(start: Callable[..., Hoisting], lines: str, asks: str, told: str) -> None:
    """In a cache, in a library, in the process."""
    sources = {
        "config.py": CONFIG,
        "third.py": module("third", "import config, sys; sys.path.insert(0, 'lib/site-packages')", asks),
        "lib/site-packages/plugin.py": "import os; TITLE = os.environ.get('TITLE', 'none')",
    }
    project = start(sources)
    project.save(lines)
    project.server.wait_for_log(re.escape(f"first.py is loaded in the exact order: in another one {told} differs"))


# --- what cannot be hoisted ---


def test_a_module_that_raises_before_its_turn(start: Callable[..., Hoisting]) -> None:
    project = start({"second.py": module("second", "import sys", "assert sys.modules['first'].TEXT")})
    assert project.hoisted().endswith("(1 hoisted, order checked)")
    assert "exact order" not in project.server.log


def test_a_module_that_starts_a_thread(start: Callable[..., Hoisting]) -> None:
    lines = "import threading", "threading.Thread(target=threading.Event().wait, daemon=True).start()"
    project = start({"third.py": module("third", *lines)})
    assert "(1 hoisted, order checked" in project.hoisted()


@pytest.mark.parametrize("what", ["str(os.getpid())", "str(time.time())"])
def test_a_file_that_each_load_writes_and_reads(start: Callable[..., Hoisting], what: str) -> None:
    """What a load behind the server writes is no save."""
    lines = (
        "import os, time",
        "OLD = open('app.pid').read() if os.path.exists('app.pid') else ''",
        f"open('app.pid', 'w').write({what})",
    )
    project = start({"third.py": module("third", *lines)}, tells=False)
    for _ in range(3):
        project.save()
        project.still(2 * STILL_S)
    assert "app.pid" not in project.server.log, project.server.log
    assert len(project.lines()) == 3


def test_an_app_with_other_json(start: Callable[..., Hoisting]) -> None:
    """What the processes say to each other does not go through functions that the app may replace."""
    project = start({"third.py": module("third", "import json", "json.dumps = json.loads = lambda *a, **k: 'none'")})
    project.save()
    project.still()
    project.save()


def test_a_hidden_lock_is_asked_for_once(start: Callable[..., Hoisting]) -> None:
    """Whoever cannot be loaded a second time beside itself is left alone."""
    lines = (
        "import os",
        "os.close(os.open('lock', os.O_CREAT | os.O_EXCL))",
        "import atexit; atexit.register(os.unlink, 'lock')",
    )
    project = start({"third.py": module("third", *lines)})
    for _ in range(2):
        assert "hoisted" not in project.save()
        project.still()
    assert "exact order" not in project.server.log


# --- the life of what is done behind ---


def test_a_save_ends_what_is_done_behind(start: Callable[..., Hoisting], kind: str) -> None:
    project = start({"third.py": module("third", "time.sleep(1)")}, tells=False)
    project.save()
    below = project.server.below()
    project.server.wait_for(lambda: len(project.server.below()) > len(below), "a rehearsal")
    rehearsal = max(set(project.server.below()) - set(below))
    project.save()
    project.server.wait_until_gone([rehearsal])


def test_nothing_is_left_of_it(start: Callable[..., Hoisting]) -> None:
    project = start({"third.py": module("third", "time.sleep(1)")}, tells=False)
    project.save()
    below = project.server.below()
    project.server.wait_for(lambda: len(project.server.below()) > len(below), "a rehearsal")
    everything = project.server.below()
    os.kill(project.server.process.pid, signal.SIGKILL)
    project.server.wait_until_gone(everything)


def test_the_branch_dies(start: Callable[..., Hoisting]) -> None:
    """A frozen process is killed by somebody: the next save does without it."""
    project = start()
    project.hoisted()
    project.still()
    frozen = [pid for pid in project.server.below() if processes.children(pid)][-1]
    os.kill(frozen, signal.SIGKILL)
    project.server.wait_for(lambda: not alive(frozen), "its end")
    project.server.edit("first.py", module("later"))  # told as a change, or as the end of the server that died with it
    project.server.wait_for_text("later")
    project.hoisted()


def test_a_prompt_in_a_load_behind_asks_nobody(start: Callable[..., Hoisting]) -> None:
    unheard = "import os; os.readlink('/proc/self/fd/1') == os.devnull and breakpoint()"
    project = start({"third.py": module("third", unheard)}, tells=False)
    folder = project.server.project
    project.server.stop()
    with TerminalServer(folder, "app:application", "--no-access-log") as server:
        project = Hoisting(server)
        project.save()
        project.still()
        assert "hoisted" not in project.save()
        assert "(Pdb)" not in server.log
