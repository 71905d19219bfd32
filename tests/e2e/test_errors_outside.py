"""Errors that no error page can show: what the terminal tells of them, by real processes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.e2e.harness import DEADLINE_S, DevServer, Serve, write
from tests.e2e.terminal import TerminalServer
from tests.e2e.test_survival import ask_in_background

pytestmark = pytest.mark.e2e

COMMON = """
    import ctypes, os, sys, threading, time, warnings

    class Fragile:
        def __del__(self):
            raise KeyError("in __del__")

    def fail():
        raise ValueError("in a thread")

    def leave():
        sys.exit("in a thread")

    def thread():
        threading.Thread(target=leave, name="leaver").start()
        threading.Thread(target=fail, name="worker-1").start()

    def flood():
        for number in range(50):
            thread = threading.Thread(target=int, args=("flood",))
            thread.start()
            thread.join()

    def hold():
        time.sleep(0.5)

    def warn():
        warnings.warn("warned while serving", UserWarning, stacklevel=2)

    def segv():
        ctypes.string_at(0)

    def leave_process():
        os._exit(7)

    def unraisable():
        Fragile()
"""
WSGI = (
    COMMON
    + """
    def application(environ, start_response):
        path = environ["PATH_INFO"].strip("/")
        start_response("200 OK", [("Content-Type", "text/plain")])
        if path == "late":
            return late()
        globals().get(path, str)()
        return [b"ok"]

    def late():
        yield b"the beginning"
        raise ValueError("after the beginning")
"""
)
ASGI = (
    COMMON
    + """
    import asyncio, gc
    from starlette.background import BackgroundTask
    from starlette.responses import PlainTextResponse

    async def notify():
        raise ValueError("in a task")

    async def wait():
        await asyncio.get_running_loop().create_future()

    def task():
        asyncio.create_task(notify(), name="mail")

    def never():
        notify()

    def callback():
        asyncio.get_running_loop().call_soon(int, "in a callback")

    def in_background():
        raise ValueError("in the background")

    async def forgotten():
        asyncio.create_task(wait(), name="lost")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gc.collect()

    async def application(scope, receive, send):
        if scope["type"] == "lifespan":
            raise NotImplementedError
        path = scope["path"].strip("/")
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            raise ValueError("in a WebSocket")
        background = BackgroundTask(in_background) if path == "background" else None
        if path == "forgotten":
            await forgotten()
        elif path == "late":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"the beginning", "more_body": True})
            raise ValueError("after the beginning")
        else:
            globals().get(path, str)()
        await PlainTextResponse("ok", background=background)(scope, receive, send)
"""
)
SOURCES = {"wsgi": WSGI, "asgi": ASGI}


def failing_server(source: str, folder: Path) -> Iterator[DevServer]:
    """One server for all tests of a kind: no error that is told ends it."""
    write(folder, {"app.py": source})
    server = DevServer(folder, "app:application", "--slow-callbacks", "0.1")
    yield server
    assert "\x1b" not in server.log  # it is piped
    assert server.stop() == 0
    for message in ("ValueError: after the beginning", "ValueError: in a WebSocket", "ValueError: in the background"):
        assert server.log.count(message) <= 1
    assert server.process.stdout is not None
    server.process.stdout.close()


@pytest.fixture(scope="module")
def wsgi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    yield from failing_server(WSGI, tmp_path_factory.mktemp("wsgi"))


@pytest.fixture(scope="module")
def asgi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    yield from failing_server(ASGI, tmp_path_factory.mktemp("asgi"))


@pytest.fixture
def failing(kind: str, request: pytest.FixtureRequest) -> DevServer:
    """Both kinds."""
    server: DevServer = request.getfixturevalue(kind)
    return server


def wait_for(server: DevServer, headline: str, *lines: str) -> None:
    """Wait for a report in the log: its headline, and these lines below it in their order, as patterns."""
    server.wait_for_log(f"(?m)^{headline}" + "".join(rf".*(?:\n.*)*?\n +{line}" for line in lines))


def test_a_thread(failing: DevServer) -> None:
    failing.get("/thread")
    wait_for(failing, "ValueError: in a thread", 'in the thread "worker-1"', r"app\.py:\d+ in fail", r"> +\d+ │ +raise")
    assert "leaver" not in failing.log


def test_a_finalizer(failing: DevServer) -> None:
    failing.get("/unraisable")
    wait_for(failing, "KeyError: 'in __del__'", "in __del__ of Fragile", r"app\.py:\d+ in Fragile\.__del__")


def test_the_same_again_and_again_is_counted(failing: DevServer) -> None:
    failing.get("/flood")
    count = int(failing.wait_for_log(r"ValueError in the thread .*: the same again, (\d+) times")[1])
    assert failing.log.count("invalid literal for int() with base 10: 'flood'") == 3
    assert count <= 47


def test_after_the_answer_began(failing: DevServer) -> None:
    thread, answers = ask_in_background(failing, "/late")
    thread.join(DEADLINE_S)
    assert answers == ["IncompleteRead"]
    wait_for(failing, "ValueError: after the beginning", r"while answering GET http://.*/late", r"app\.py:\d+ in ")


def test_a_warning_while_serving(failing: DevServer) -> None:
    failing.get("/warn")
    wait_for(failing, "UserWarning: warned while serving", r"app\.py:\d+ in application", r"> +\d+ │ +globals")


def test_a_task_that_nobody_awaits(asgi: DevServer) -> None:
    asgi.get("/task")
    wait_for(
        asgi,
        "ValueError: in a task",
        r"in a task that nobody awaited \(mail running notify\(\)\)",
        r"app\.py:\d+ in notify",
    )


def test_a_coroutine_that_nobody_awaits(asgi: DevServer) -> None:
    asgi.get("/never")
    wait_for(
        asgi,
        "RuntimeWarning: coroutine 'notify' was never awaited",
        r"> +\d+ │ +notify\(\)",
        r"hint: (?:.|\n)*?await notify\(",
    )


def test_a_task_that_nobody_keeps(asgi: DevServer) -> None:
    asgi.get("/forgotten")
    wait_for(asgi, r"lost running wait\(\) was destroyed before it ended", r"app\.py:\d+ in ", "hint: Keep the task")


def test_a_callback_of_the_loop(asgi: DevServer) -> None:
    asgi.get("/callback")
    wait_for(asgi, "ValueError: .*'in a callback'", "in a callback of the event loop")


def test_a_background_task(asgi: DevServer) -> None:
    assert asgi.get("/background").text == "ok"
    wait_for(asgi, "ValueError: in the background", "after GET", r"app\.py:\d+ in in_background")


def test_a_websocket_handler(asgi: DevServer) -> None:
    with connect(f"ws://{asgi.host}:{asgi.port}/", open_timeout=DEADLINE_S, proxy=None) as client:
        with pytest.raises(ConnectionClosed):
            client.recv(DEADLINE_S)
    wait_for(asgi, "ValueError: in a WebSocket", r"app\.py:\d+ in application")


def test_what_holds_the_loop(asgi: DevServer) -> None:
    asgi.get("/hold")
    wait_for(asgi, r"The event loop was held for \d+ ms", r"app\.py:\d+ in hold", r"> +\d+ │ +time\.sleep", "hint: ")


def test_deaths(failing: DevServer) -> None:
    for path, message in (("/segv", "SIGSEGV"), ("/leave_process", "exited with code 7")):
        thread, _answers = ask_in_background(failing, path)
        thread.join(DEADLINE_S)
        failing.wait_for_log(message)
    wait_for(
        failing,
        r"The server process was killed by signal SIGSEGV \(segmentation fault\)",
        "Fatal Python error: Segmentation fault",
        r"app\.py:\d+ in segv",
        r"> +\d+ │ +ctypes\.string_at",
        "hint: ",
    )
    assert failing.get().text == "ok"


def test_the_lifespan(serve: Serve) -> None:
    source = """
        async def application(scope, receive, send):
            if scope["type"] == "lifespan":
                await receive()
                START
                await send({"type": "lifespan.startup.complete"})
                await receive()
                raise ValueError("at the shutdown")
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"ok"})
    """
    server = serve({"app.py": source.replace("START", 'raise ValueError("at the startup")')}, "app:application")
    wait_for(server, "ValueError: at the startup", "in the app's lifespan", r"app\.py:\d+ in application")
    server.edit("app.py", source.replace("START", ""))
    server.wait_for_text("ok")
    assert server.stop() == 0
    wait_for(server, "ValueError: at the shutdown", "in the app's lifespan", r"app\.py:\d+ in application")


WARNING_APP = """
    import os, threading, time
    until = time.perf_counter() + 0.01
    while time.perf_counter() < until:
        pass
    import old, library, views

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/thread":
            threading.Thread(target=views.fail).start()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [views.TEXT]
"""
OLD = 'import warnings\nwarnings.warn("old is deprecated", DeprecationWarning, stacklevel=1)\n'
VIEWS = 'TEXT = b"one"\ndef fail():\n    raise ValueError(TEXT)\n'


def test_a_warning_is_shown_once_and_hooks_hold_over_checkpoints(serve: Serve, tmp_path: Path) -> None:
    library = tmp_path / "site-packages"
    write(library, {"library.py": OLD.replace("old is", "the library is")})
    files = {"app.py": WARNING_APP, "old.py": OLD, "views.py": VIEWS}
    server = serve(files, "app:application", env={"PYTHONPATH": str(library)})
    server.wait_for_text("one")
    for text in ("two", "three"):  # the second resumes right before the views
        server.edit("views.py", VIEWS.replace("one", text))
        server.wait_for_text(text)
    server.wait_for_log("resumed before it")
    server.get("/thread")
    wait_for(server, "ValueError: b'three'", "in the thread")
    server.edit("old.py", "# a comment\n" + OLD)
    server.wait_for_log("old.py changed: res")
    assert server.log.count("DeprecationWarning: old is deprecated") == 1
    server.edit("old.py", OLD.replace("stacklevel=1", "stacklevel=True"))
    server.wait_for_log("DeprecationWarning: old is deprecated", count=2)
    assert "the library is" not in server.log


def test_full_tracebacks(serve: Serve) -> None:
    source = ASGI.replace("async def application", "async def inner", 1) + (
        "\n    from starlette.middleware.gzip import GZipMiddleware\n    application = GZipMiddleware(inner)\n"
    )
    server = serve({"app.py": source}, "app:application", "--full-tracebacks")
    server.get("/fail")
    wait_for(
        server,
        "ValueError: in a thread",
        r"called from app\.py:\d+ in inner",
        r"called from starlette/middleware/gzip\.py:\d+ in ",
    )


@pytest.mark.parametrize("term", ["xterm-kitty", "dumb"])
def test_places_are_links_where_the_terminal_shows_them(term: str, project: Path) -> None:
    write(project, {"app.py": WSGI})
    with TerminalServer(project, "app:application", env={"TERM": term, "SSH_CONNECTION": ""}) as server:
        server.get("/thread")
        ask_in_background(server, "/late")
        wait_for(server, "ValueError: in a thread", r"> +\d+")
        wait_for(server, "ValueError: after the beginning", r"> +\d+")
        links = re.findall(r"\x1b\]8;;file://[^/]*(/[^\x1b]*)\x1b\\", server.raw)
        assert set(links) == ({str(project / "app.py")} if term == "xterm-kitty" else set())
        assert ("\x1b" in server.raw) is (term == "xterm-kitty")
