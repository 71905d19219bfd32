"""ASGI by the real command: streams, WebSockets, lifespan, background tasks."""

from __future__ import annotations

import http.client
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.e2e.harness import DEADLINE_S, DevServer, Serve


@contextmanager
def asking(server: DevServer, path: str) -> Iterator[http.client.HTTPResponse]:
    with closing(http.client.HTTPConnection(server.host, server.port, timeout=DEADLINE_S)) as connection:
        connection.request("GET", path)
        with connection.getresponse() as response:
            yield response


# --- HTTP ---

HTTP = """
    import asyncio, os, sys
    go = asyncio.Event()

    async def application(scope, receive, send):
        assert scope["type"] == "http"
        path = scope["path"]
        if path == "/exit":
            sys.exit("I leave")
        if path == "/cancelled":
            task = asyncio.ensure_future(asyncio.sleep(1000))
            task.cancel()
            await task
        if path == "/background":
            asyncio.get_running_loop().create_task(fail())
        if path == "/go":
            go.set()
        if path == "/disconnect":
            await receive()
            print("waiting", flush=True)
            print("got " + (await receive())["type"], flush=True)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if path in ("/stream", "/broken"):
            await send({"type": "http.response.body", "body": b"first", "more_body": True})
            await go.wait()
            await send({"type": "http.response.body", "body": b"second", "more_body": True})
            if path == "/broken":
                raise ValueError("in the middle")
        body = str(os.getpid()).encode() if path == "/pid" else b""
        await send({"type": "http.response.body", "body": body})

    async def fail():
        raise LookupError("nobody awaits this")
"""


def test_chunks_arrive_when_they_are_sent(serve: Serve) -> None:
    server = serve({"app.py": HTTP}, "app:application")
    with asking(server, "/stream") as response:
        assert response.read(5) == b"first"
        server.get("/go")
        assert response.read() == b"second"


def test_an_error_in_mid_stream_truncates_the_answer_and_is_told(serve: Serve) -> None:
    server = serve({"app.py": HTTP}, "app:application")
    with asking(server, "/broken") as response:
        assert response.read(5) == b"first"
        server.get("/go")
        with pytest.raises(http.client.IncompleteRead):
            response.read()
    server.wait_for_log("ValueError: in the middle")
    assert server.log.count("ValueError: in the middle") == 1


def test_the_app_learns_that_the_client_left(serve: Serve) -> None:
    server = serve({"app.py": HTTP}, "app:application")
    with server.connect() as client:
        client.sendall(b"GET /disconnect HTTP/1.1\r\nHost: localhost\r\n\r\n")
        server.wait_for_log("waiting")
    server.wait_for_log("got http.disconnect")
    server.wait_for_log(r"GET /disconnect  ---")
    assert "NoAnswerError" not in server.log


def test_errors_that_would_end_a_task_end_the_request_only(serve: Serve) -> None:
    server = serve({"app.py": HTTP}, "app:application")
    pid = server.server_pid()
    for path, error in (("/exit", "SystemExit"), ("/cancelled", "CancelledError")):
        answer = server.get(path)
        assert answer.status == 500
        assert error in answer.text
        server.wait_for_log(error)
    assert server.server_pid() == pid


def test_an_error_that_nobody_awaits_is_told(serve: Serve) -> None:
    server = serve({"app.py": HTTP}, "app:application")
    assert server.get("/background").status == 200
    server.get("/go")
    server.wait_for_log("LookupError: nobody awaits this")
    server.wait_for_log(r"app\.py:\d+ in fail")


def test_asgi_2(serve: Serve) -> None:
    source = """
        class Application:
            def __init__(self, scope):
                assert scope["type"] == "http"
                self.scope = scope
            async def __call__(self, receive, send):
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": self.scope["path"].encode()})
    """
    server = serve({"app.py": source}, "app:Application")
    assert server.get("/two").text == "/two"


# --- WebSockets ---

SOCKETS = """
    async def application(scope, receive, send):
        if scope["type"] == "lifespan":
            raise NotImplementedError
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": TEXT.encode()})
            return
        path = scope["path"]
        assert (await receive())["type"] == "websocket.connect"
        if path == "/reject":
            await send({"type": "websocket.close", "code": 4001})
            return
        if path == "/denied":
            assert "websocket.http.response" in scope["extensions"]
            await send({"type": "websocket.http.response.start", "status": 418, "headers": [(b"x-tea", b"pot")]})
            await send({"type": "websocket.http.response.body", "body": b"short and stout"})
            return
        if path == "/early":
            raise ValueError("before it was accepted")
        await send({"type": "websocket.accept", "subprotocol": (scope["subprotocols"] or [None])[-1]})
        if path == "/close":
            await send({"type": "websocket.close", "code": 4002, "reason": "enough"})
            return
        if path == "/naive":
            class WebSocketDisconnect(Exception): pass
        while True:
            event = await receive()
            if event["type"] == "websocket.disconnect":
                print(f"left with {event['code']}", flush=True)
                if path == "/naive":
                    raise WebSocketDisconnect(event["code"])
                return
            if event.get("text") == "fail":
                raise ValueError("in the handler")
            await send({"type": "websocket.send", "text": event.get("text"), "bytes": event.get("bytes")})
    TEXT = "one"
"""


@contextmanager
def websocket(server: DevServer, path: str, *subprotocols: str) -> Iterator[ClientConnection]:
    url = f"ws://{server.host}:{server.port}{path}"
    with connect(
        url, subprotocols=[Subprotocol(name) for name in subprotocols] or None, open_timeout=DEADLINE_S, proxy=None
    ) as client:
        yield client


def closed(client: ClientConnection) -> tuple[int, str]:
    """The close frame that the server sends."""
    with pytest.raises(ConnectionClosed) as raised:
        client.recv(timeout=DEADLINE_S)
    assert raised.value.rcvd is not None
    return raised.value.rcvd.code, raised.value.rcvd.reason


def test_echo_and_the_codes_of_both_ends(serve: Serve) -> None:
    server = serve({"app.py": SOCKETS}, "app:application")
    with websocket(server, "/", "a", "b") as client:
        assert client.subprotocol == "b"
        for message in ("text", b"\x00bytes", "x" * 200_000):
            client.send(message)
            assert client.recv(timeout=DEADLINE_S) == message
        client.close(4003, "bye")
    server.wait_for_log("left with 4003")
    with websocket(server, "/close") as client:
        assert closed(client) == (4002, "enough")
    server.wait_for_log(r"WS /  101")
    server.wait_for_log(r"WS /close  101")


def test_refused_handshakes(serve: Serve) -> None:
    server = serve({"app.py": SOCKETS}, "app:application")
    for path, status, body in (("/reject", 403, b""), ("/denied", 418, b"short and stout"), ("/early", 500, b"")):
        with pytest.raises(InvalidStatus) as raised, websocket(server, path):
            pass
        assert raised.value.response.status_code == status
        assert body in (raised.value.response.body or b"")
        server.wait_for_log(rf"WS {path}  {status}")
    server.wait_for_log("ValueError: before it was accepted")


def test_an_error_in_a_handler(serve: Serve) -> None:
    server = serve({"app.py": SOCKETS}, "app:application")
    with websocket(server, "/") as client:
        client.send("fail")
        assert closed(client)[0] == 1011
    server.wait_for_log("ValueError: in the handler")


def test_a_restart_closes_with_1012_and_blames_nobody(serve: Serve) -> None:
    server = serve({"app.py": SOCKETS}, "app:application", "--grace", "60")
    with websocket(server, "/naive") as client, websocket(server, "/") as other:
        server.edit("app.py", SOCKETS.replace('"one"', '"two"'))
        assert closed(client)[0] == 1012
        assert closed(other)[0] == 1012
    server.wait_for_text("two")
    server.wait_for_log("left with 1012", count=2)
    assert "WebSocketDisconnect" not in server.log
    with websocket(server, "/") as client:
        server.process.send_signal(signal.SIGINT)
        assert closed(client)[0] == 1012
    assert server.process.wait(DEADLINE_S) == 0


# --- event streams ---

EVENTS = """
    import asyncio
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse, StreamingResponse
    from starlette.routing import Route

    async def events(request):
        async def numbers():
            number = 0
            try:
                while True:
                    yield f"data: {number}\\n\\n"
                    number += 1
                    await asyncio.sleep(WAIT)
            finally:
                print("stream ended", flush=True)
        return StreamingResponse(numbers(), media_type="text/event-stream")

    async def index(request):
        return PlainTextResponse(TEXT)

    application = Starlette(routes=[Route("/", index), Route("/events", events)])
    TEXT = "one"
    WAIT = 1000
"""


@pytest.mark.parametrize("wait", ["0.01", "1000"])
def test_an_event_stream_of_starlette_ends_at_once(serve: Serve, wait: str) -> None:
    source = EVENTS.replace("WAIT = 1000", f"WAIT = {wait}")
    server = serve({"app.py": source}, "app:application", "--grace", "600")
    with asking(server, "/events") as response:
        assert response.read(9) == b"data: 0\n\n"
        server.edit("app.py", source.replace('"one"', '"two"'))
        server.wait_for_text("two")
        while response.read1(1000):  # its end is proper
            pass
    server.wait_for_log("stream ended")
    with asking(server, "/events") as response:
        assert response.read(9) == b"data: 0\n\n"
        assert server.stop() == 0  # within the deadline, which is far below the grace
        while response.read1(1000):
            pass


# --- lifespan ---

LIFESPAN = """
    async def application(scope, receive, send):
        if scope["type"] == "lifespan":
            while True:
                event = await receive()
                print(f"{TEXT}: {event['type']}", flush=True)
                if event["type"] == "lifespan.startup":
                    STARTUP
                    scope["state"]["word"] = TEXT
                await send({"type": event["type"] + ".complete"})
                if event["type"] == "lifespan.shutdown":
                    return
        scope["state"]["word"] += "!"  # a copy for each request
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["state"]["word"].encode()})
    TEXT = "one"
"""


def test_lifespan(serve: Serve) -> None:
    source = LIFESPAN.replace("STARTUP", "pass")
    server = serve({"app.py": source}, "app:application")
    for _ in range(2):
        assert server.get().text == "one!"
    server.edit("app.py", source.replace('"one"', '"two"'))
    server.wait_for_text("two!")
    server.wait_for_log("one: lifespan.shutdown")
    assert server.stop() == 0
    assert server.log.count("two: lifespan.shutdown") == 1
    assert server.log.count("lifespan.startup") == 2


@pytest.mark.parametrize(
    ("startup", "shown"),
    [
        ("raise ConnectionError('no database')", "ConnectionError: no database"),
        ("await send({'type': 'lifespan.startup.failed', 'message': 'not today'}); return", "not today"),
        ("await send({'type': 'lifespan.startup.failed'}); await receive()", "startup failed"),
        ("raise SystemExit(3)", "SystemExit"),
    ],
)
def test_a_startup_that_fails_has_its_page_and_heals(serve: Serve, startup: str, shown: str) -> None:
    server = serve({"app.py": LIFESPAN.replace("STARTUP", startup)}, "app:application")
    page = server.wait_for_text(shown, Accept="text/html")
    assert page.status == 500
    server.wait_for_log(shown)
    server.edit("app.py", LIFESPAN.replace("STARTUP", "pass"))
    server.wait_for_text("one!")


def test_a_startup_that_hangs_is_overtaken_by_a_save(serve: Serve) -> None:
    server = serve({"app.py": LIFESPAN.replace("STARTUP", "pass")}, "app:application")
    server.edit("app.py", LIFESPAN.replace("STARTUP", "import asyncio; await asyncio.Event().wait()"))
    server.wait_for_log("one: lifespan.startup", count=2)
    server.edit("app.py", LIFESPAN.replace("STARTUP", "pass").replace('"one"', '"two"'))
    server.wait_for_text("two!")


def test_an_error_at_shutdown_is_told(serve: Serve) -> None:
    fails = 'event["type"] == "lifespan.shutdown" and fail()'
    source = LIFESPAN.replace("STARTUP", "pass").replace(
        'await send({"type": event', f'{fails}; await send({{"type": event'
    )
    source += """
    def fail():
        raise ValueError("at the end")
    """
    server = serve({"app.py": source}, "app:application")
    server.wait_for_text("one!")
    assert server.stop() == 0
    assert "ValueError: at the end" in server.log


def test_an_app_that_raises_on_the_lifespan_scope_has_none(serve: Serve) -> None:
    server = serve({"app.py": SOCKETS}, "app:application")
    assert server.get().text == "one"
    assert server.stop() == 0
    assert "NotImplementedError" not in server.log


FASTAPI = """
    import asyncio
    from contextlib import asynccontextmanager
    from fastapi import BackgroundTasks, FastAPI, WebSocket

    @asynccontextmanager
    async def lifespan(app):
        print("opened", flush=True)
        STARTUP
        yield {"word": "state"}
        await asyncio.sleep(0.3)
        print("disposed", flush=True)

    application = FastAPI(lifespan=lifespan)

    async def later():
        print("background begins", flush=True)
        await asyncio.sleep(0.5)
        print("background ends", flush=True)

    @application.get("/")
    async def index(tasks: BackgroundTasks, background: bool = False):
        if background:
            tasks.add_task(later)
        return {"text": TEXT}

    @application.websocket("/ws")
    async def ws(socket: WebSocket):
        await socket.accept()
        while True:
            await socket.send_text(await socket.receive_text())
    TEXT = "one"
"""


def test_fastapi(serve: Serve) -> None:
    source = FASTAPI.replace("STARTUP", "pass")
    server = serve({"app.py": source}, "app:application", "--grace", "30")
    assert server.get("/?background=1").status == 200
    server.wait_for_log("background begins")
    with websocket(server, "/ws") as client:
        client.send("x")
        assert client.recv(timeout=DEADLINE_S) == "x"
        server.edit("app.py", source.replace('"one"', '"two"'))
        server.wait_for_text("two")
        assert closed(client)[0] == 1012
    server.wait_for_log("background ends")  # within the grace
    server.wait_for_log("disposed")
    assert server.get("/?background=1").status == 200
    server.wait_for_log("background begins", count=2)
    assert server.stop() == 0
    assert server.log.count("background ends") == 2
    assert server.log.count("disposed") == 2
    assert "Disconnect" not in server.log


def test_fastapi_startup_failure(serve: Serve) -> None:
    server = serve({"app.py": FASTAPI.replace("STARTUP", "raise LookupError('no cache')")}, "app:application")
    page = server.wait_for_text("LookupError: no cache")
    assert page.status == 500
    assert page.text.splitlines()[0] == "LookupError: no cache"
    assert "app.py" in page.text
    server.edit("app.py", FASTAPI.replace("STARTUP", "pass"))
    server.wait_for_text("one")


def test_a_shutdown_has_what_is_left_of_the_grace(serve: Serve) -> None:
    """Closing a pool of connections may take longer than nothing."""
    source = FASTAPI.replace("STARTUP", "pass").replace("sleep(0.3)", "sleep(1.5)")
    server = serve({"app.py": source}, "app:application", "--grace", "30")
    server.wait_for_text("one")
    assert server.stop() == 0
    assert server.log.count("disposed") == 1
