"""The engine on a real loop, with real sockets and bytes that no client library would send."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from devserver.server.asgi import ASGIApp, Receive, Scope, Send
from devserver.server.web.capture import AnswerCutError
from devserver.server.web.engine import Engine, new_event_loop

DEADLINE_S = 20.0
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run on the loop that servers have; nothing may be left on it."""
    loop = new_event_loop()
    problems: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _loop, context: problems.append(context))
    try:
        loop.run_until_complete(asyncio.wait_for(main, DEADLINE_S))
        assert not asyncio.all_tasks(loop)
    finally:
        loop.close()
    assert not problems


class Client:
    """A TCP connection that sends and receives bytes."""

    def __init__(self, port: int) -> None:
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.loop = asyncio.get_running_loop()
        self.port = port

    async def __aenter__(self) -> Client:
        await self.loop.sock_connect(self.sock, ("127.0.0.1", self.port))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.sock.close()

    async def send(self, data: bytes) -> None:
        await self.loop.sock_sendall(self.sock, data)

    async def until(self, end: bytes) -> bytes:
        """Receive until what came ends with `end`."""
        received = b""
        while not received.endswith(end):
            data = await self.loop.sock_recv(self.sock, 65536)
            assert data, f"closed after {received!r}"
            received += data
        return received

    async def rest(self) -> bytes:
        """Receive until the server closes; b"reset" if it resets."""
        received = b""
        while True:
            try:
                data = await self.loop.sock_recv(self.sock, 65536)
            except ConnectionResetError:
                return received + b"reset"
            if not data:
                return received
            received += data

    async def ask(self, text: str, path: str = "/") -> None:
        """A whole request, answered with `text`."""
        await self.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answer = await self.until(text.encode())
        assert answer.startswith(b"HTTP/1.1 200"), answer


class Server:
    """An engine, and what became of it."""

    def __init__(self, app: ASGIApp, **arguments: Any) -> None:
        self.notices: list[str] = []
        self.errors: list[BaseException] = []
        seams: dict[str, Any] = {"state": {}, "notice": self.notices.append, "on_error": self.errors.append}
        self.engine = Engine(app, **seams | arguments)
        self.handed_over: list[tuple[int, bytes]] = []
        self.successor: Engine | None = None

    def hand_over(self, fd: int, data: bytes) -> None:
        if self.successor is None:
            self.handed_over.append((fd, data))
        else:
            self.successor.adopt(fd, data)

    def begin_drain(self, successor: Engine | None = None) -> None:
        self.successor = successor
        self.engine.begin_drain(self.hand_over)

    async def finish(self, seconds: float = DEADLINE_S) -> None:
        loop = asyncio.get_running_loop()
        self.begin_drain(self.successor)
        await self.engine.finish_drain(loop.time() + seconds, loop.time, ignore=lambda task: False)
        while self.engine.server_state.connections:
            await asyncio.sleep(0)


@asynccontextmanager
async def serving(app: ASGIApp, **arguments: Any) -> AsyncIterator[tuple[Server, int]]:
    """An engine that serves `app`; what is open at the end is cut."""
    async with listening() as listener:
        server = Server(app, **arguments)
        server.engine.serve([copy(listener)])
        try:
            yield server, listener.getsockname()[1]
        finally:
            await server.finish(0)
            for fd, _data in server.handed_over:
                os.close(fd)


@asynccontextmanager
async def listening() -> AsyncIterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        listener.setblocking(False)
        yield listener


def copy(listener: socket.socket) -> int:
    """As a server gets it: a descriptor of its own."""
    return os.dup(listener.fileno())


def says(text: str) -> ASGIApp:
    """An app that answers with `text` after reading the request."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(text))]})
        await send({"type": "http.response.body", "body": text.encode()})

    return app


class Gated:
    """An app whose answers wait until they are let go: head, then `before`, then `after`."""

    def __init__(self, text: str = "old", *, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        self.text = text
        self.headers = headers or []
        self.began = asyncio.Event()
        self.go = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.began.set()
        await self.go.wait()
        length = (b"content-length", b"%d" % len(self.text))
        await send({"type": "http.response.start", "status": 200, "headers": [length, *self.headers]})
        await send({"type": "http.response.body", "body": self.text.encode()})


async def recorder(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with what the scope and the body are."""
    body = b""
    while True:
        event = await receive()
        body += event.get("body", b"")
        if not event.get("more_body"):
            break
    shown = (scope["method"], scope["path"], scope["raw_path"], scope["query_string"], len(body))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": repr(shown).encode()})


# --- answering ---


@pytest.mark.parametrize(
    ("head", "body", "expected"),
    [
        (b"GET /a%20b?x=%20 HTTP/1.1\r\n", b"", ("GET", "/a b", b"/a%20b", b"x=%20", 0)),
        ("GET /ü?ü HTTP/1.1\r\n".encode(), b"", ("GET", "/ü", b"/%C3%BC", b"%C3%BC", 0)),
        (b"GET /\xff HTTP/1.1\r\n", b"", ("GET", "/\ufffd", b"/%FF", b"", 0)),
        (b"GET /%e2%82%ac%2F HTTP/1.1\r\n", b"", ("GET", "/€/", b"/%e2%82%ac%2F", b"", 0)),
        (b"GET http://x/p?q HTTP/1.1\r\n", b"", ("GET", "/p", b"/p", b"q", 0)),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\n", b"abc", ("POST", "/", b"/", b"", 3)),
        (
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n",
            b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: x\r\n\r\n",
            ("POST", "/", b"/", b"", 5),
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nX-Long: " + b"a" * 500_000 + b"\r\n", b"", ("GET", "/", b"/", b"", 0), id="long header"
        ),
        pytest.param(
            b"GET /" + b"a" * 60_000 + b" HTTP/1.1\r\n",
            b"",
            ("GET", "/" + "a" * 60_000, b"/" + b"a" * 60_000, b"", 0),
            id="long path",
        ),
        (b"PROPFIND / HTTP/1.1\r\n", b"", ("PROPFIND", "/", b"/", b"", 0)),
        (b"OPTIONS * HTTP/1.1\r\n", b"", ("OPTIONS", "*", b"*", b"", 0)),
        (b"GET //evil/a HTTP/1.1\r\n", b"", ("GET", "//evil/a", b"//evil/a", b"", 0)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("split", [False, True], ids=["whole", "in pieces"])
def test_requests(head: bytes, body: bytes, expected: tuple[str, str, bytes, bytes, int], split: bool) -> None:
    async def main() -> None:
        async with serving(recorder) as (server, port), Client(port) as client:
            data = head + b"Host: x\r\nConnection: close\r\n\r\n" + body
            if split:
                step = max(1, len(data) // 20)
                for start in range(0, len(data), step):
                    await client.send(data[start : start + step])
                    await asyncio.sleep(0)
            else:
                await client.send(data)
            answer = await client.rest()
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer
            assert repr(expected).encode() in answer
            assert server.notices == []

    run(main())


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: a\x00b\r\n\r\n",
        b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://x HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nnope\r\n",
        b"\x00" * 100,
    ],
)
def test_malformed_requests(request_: bytes) -> None:
    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async def main() -> None:
        async with serving(never) as (server, port), Client(port) as client:
            await client.send(request_)
            answer = await client.rest()
            assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n"), answer
            assert b"connection: close\r\n" in answer
            assert len(server.notices) == 1
            async with Client(port) as other:  # nobody else notices
                await other.send(GET)

    run(main())


def test_a_tls_hello_is_told_once() -> None:
    async def main() -> None:
        async with serving(says("x")) as (server, port):
            for _ in range(3):
                async with Client(port) as client:
                    await client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500)
                    assert await client.rest() in (b"", b"reset")
            assert len(server.notices) == 1
            assert "http://" in server.notices[0]

    run(main())


def test_keep_alive_and_pipelining() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0)
        await recorder(scope, receive, send)

    async def main() -> None:
        async with serving(app) as (_server, port), Client(port) as client:
            for number in range(3):
                await client.send(f"GET /{number} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                assert f"'/{number}'".encode() in await client.until(b"0\r\n\r\n")
            await client.send(b"".join(f"GET /{number} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for number in range(9)))
            answers = b""
            while answers.count(b"\r\n0\r\n\r\n") < 9:
                answers += await client.until(b"0\r\n\r\n")
            places = [answers.index(f"'/{number}'".encode()) for number in range(9)]
            assert places == sorted(places)

    run(main())


@pytest.mark.parametrize(
    ("head", "closes"),
    [
        (b"GET / HTTP/1.0\r\nHost: x\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", True),
        (b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", False),
        (GET, False),
    ],
)
def test_who_keeps_the_connection(head: bytes, closes: bool) -> None:
    async def main() -> None:
        async with serving(says("done")) as (_server, port), Client(port) as client:
            await client.send(head)
            answer = await client.until(b"\r\n\r\n" if head.startswith(b"HEAD") else b"done")
            assert (b"connection: close" in answer) is (b"Connection: close" in head) or b"HTTP/1.0" in head
            assert b"date: " in answer
            assert b"server:" not in answer
            if closes:
                assert await client.rest() == b""
            else:
                await client.ask("done")

    run(main())


def test_an_answer_that_closes() -> None:
    async def main() -> None:
        app = Gated(headers=[(b"connection", b"close")])
        app.go.set()
        async with serving(app) as (_server, port), Client(port) as client:
            await client.send(GET + GET)
            answer = await client.rest()
            assert answer.count(b"HTTP/1.1 200") == 1
            assert answer.endswith(b"old")

    run(main())


def test_expect_100_continue_is_answered_when_the_app_reads() -> None:
    async def main() -> None:
        gate = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await gate.wait()
            await recorder(scope, receive, send)

        async with serving(app) as (_server, port), Client(port) as client:
            await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
            gate.set()
            assert await client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            await client.send(b"abc")
            assert b"b'', 3)" in await client.until(b"0\r\n\r\n")

    run(main())


def test_bodies_wait_for_the_app() -> None:
    """What the app does not read is not read from the socket either."""

    async def main() -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            began.set()
            await asyncio.Event().wait()

        began = asyncio.Event()
        size = 64 << 20
        async with serving(app) as (_server, port), Client(port) as client:
            await client.send(f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode())
            await began.wait()
            sent, stuck = 0, 0
            while sent < size and stuck < 50:
                try:
                    sent += client.sock.send(b"x" * 65536)
                    stuck = 0
                except BlockingIOError:
                    stuck += 1
                await asyncio.sleep(0.001)
            assert sent < size // 2

    run(main())


# --- accepting ---


def test_a_default_timeout_of_the_user_does_not_block_the_loop() -> None:
    async def main() -> None:
        socket.setdefaulttimeout(DEADLINE_S * 10)
        try:
            async with serving(says("x")) as (_server, port), Client(port) as client:
                await client.ask("x")
        finally:
            socket.setdefaulttimeout(None)

    run(main())


def test_running_out_of_descriptors_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    class Exhausted(socket.socket):
        accepts = 0
        exhausted = True

        def accept(self) -> Any:
            type(self).accepts += 1
            if self.exhausted:
                raise OSError(errno.EMFILE, "Too many open files")
            return super().accept()

    async def main() -> None:
        async with listening() as listener:
            server = Server(says("x"))
            monkeypatch.setattr("devserver.server.web.engine.Socket", Exhausted)
            server.engine.serve([copy(listener)])
            async with Client(listener.getsockname()[1]) as client:
                while not server.notices:
                    await asyncio.sleep(0)
                for _ in range(100):
                    await asyncio.sleep(0)
                assert Exhausted.accepts == 1  # it does not spin
                Exhausted.exhausted = False
                await client.ask("x")
            assert server.notices == ["cannot accept a connection now: Too many open files"]
            await server.finish(0)

    run(main())


def test_orders_come_before_requests_after_the_loop_stood_still() -> None:
    async def main() -> None:
        orders: list[str] = []

        def look() -> None:
            orders.append("looked")
            if len(orders) == 1:
                old.begin_drain(new.engine)

        async with listening() as listener:
            new = Server(says("new"))
            old = Server(says("old"), look_at_orders=look)
            old.engine.serve([copy(listener)])
            async with Client(listener.getsockname()[1]) as client:
                time.sleep(0.05)  # that is the case: something blocks the loop
                await client.send(GET)
                new.engine.serve([copy(listener)])
                assert (await client.until(b"new")).startswith(b"HTTP/1.1 200")
                assert orders == ["looked"]
            await old.finish(0)
            await new.finish(0)

    run(main())


def test_the_first_request_is_told_once() -> None:
    async def main() -> None:
        firsts: list[str] = []
        async with serving(says("x"), on_first_request=lambda: firsts.append("first")) as (_server, port):
            async with Client(port) as client:
                await client.send(b"GET / HT")
                await asyncio.sleep(0.01)
                assert firsts == []
                await client.send(b"TP/1.1\r\nHost: x\r\n\r\n")
                await client.until(b"x")
                await client.ask("x")
            assert firsts == ["first"]

    run(main())


# --- draining ---


@asynccontextmanager
async def succession(app: ASGIApp, **arguments: Any) -> AsyncIterator[tuple[Server, Server, int]]:
    """An old server that serves, a new one that waits, and the port of both."""
    async with listening() as listener:
        old, new = Server(app, **arguments), Server(says("new"))
        old.engine.serve([copy(listener)])
        yield old, new, listener.getsockname()[1]
        new.engine.serve([copy(listener)])
        await old.finish(0)
        await new.finish(0)
        for server in (old, new):
            for fd, _data in server.handed_over:
                os.close(fd)


async def accepted(server: Server, count: int = 1) -> None:
    while len(server.engine.server_state.connections) < count:
        await asyncio.sleep(0)


PREFIXES = [
    b"",
    b"G",
    b"GET / HTTP/1.1",
    b"GET / HTTP/1.1\r\nHost: x\r\nX-Y",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r",
    b"POST /\xc3\xbc HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nX: \xff\r\n",
]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("before", [0, 2], ids=["new connection", "kept alive"])
def test_a_connection_on_which_no_request_has_begun_is_handed_over(prefix: bytes, before: int) -> None:
    """Its bytes come with it, and before those that come later."""
    rest = {b"G": b"ET / HTTP/1.1\r\nHost: x\r\n\r\n", b"": GET}.get(prefix) or (
        b"\nabc" if prefix.endswith(b"\r") else b"\r\n\r\nabc" if b"X-Y" not in prefix else b": z\r\n\r\n"
    )
    if prefix.endswith(b"\xff\r\n"):
        rest = b"\r\nabc"
    if prefix.endswith(b"1.1"):
        rest = b"\r\nHost: x\r\n\r\n"
    if prefix.endswith(b"\r"):
        rest = b"\n"

    async def main() -> None:
        async with succession(says("old")) as (old, new, port), Client(port) as client:
            for _ in range(before):
                await client.ask("old")
            await accepted(old)
            await client.send(prefix)
            (connection,) = old.engine.server_state.connections
            while prefix and connection.unread != prefix:  # type: ignore[union-attr]
                await asyncio.sleep(0)
            old.begin_drain()
            ((fd, data),) = old.handed_over
            old.handed_over.clear()
            assert data == prefix
            await client.send(rest)  # is there before the new server reads
            new.engine.adopt(fd, data)
            assert (await client.until(b"new")).startswith(b"HTTP/1.1 200")
            await client.ask("new")
            await old.finish()
            await client.ask("new")

    run(main())


def test_a_request_in_flight_is_finished_then_its_connection_is_handed_over() -> None:
    async def main() -> None:
        app = Gated()
        async with succession(app) as (old, new, port), Client(port) as client:
            await client.send(GET)
            await app.began.wait()
            old.begin_drain(new.engine)
            drained = asyncio.ensure_future(old.finish())
            await asyncio.sleep(0)
            assert not drained.done()
            app.go.set()
            answer = await client.until(b"old")
            assert b"connection: close" not in answer
            await client.ask("new")
            await drained

    run(main())


def test_what_goes_on_after_its_answer_is_waited_for_and_no_longer() -> None:
    """Background tasks end without a word of their connection, which is the new server's by then."""

    async def main() -> None:
        answered, go = asyncio.Event(), asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await says("old")(scope, receive, send)
            answered.set()
            await go.wait()

        async with succession(app) as (old, new, port), Client(port) as client:
            await client.ask("old")
            await answered.wait()
            old.begin_drain(new.engine)
            await client.ask("new")
            drained = asyncio.ensure_future(old.finish(DEADLINE_S * 10))
            await asyncio.sleep(0.01)
            assert not drained.done()
            go.set()
            await drained

    run(main())


def test_pipelined_requests_are_all_answered() -> None:
    async def main() -> None:
        app = Gated()
        async with succession(app) as (old, new, port), Client(port) as client:
            await client.send(GET * 4)
            await app.began.wait()
            old.begin_drain(new.engine)
            app.go.set()
            answers = b""
            while answers.count(b"old") + answers.count(b"new") < 4:
                answers += await client.loop.sock_recv(client.sock, 65536)
            assert answers.count(b"HTTP/1.1 200") == 4
            await client.ask("new")
            await old.finish()

    run(main())


def test_half_of_a_pipelined_request_is_finished_by_the_old_server() -> None:
    async def main() -> None:
        app = Gated()
        async with succession(app) as (old, new, port), Client(port) as client:
            await client.send(GET + GET[:10])
            await app.began.wait()
            old.begin_drain(new.engine)
            app.go.set()
            await client.until(b"old")
            drained = asyncio.ensure_future(old.finish())
            await client.send(GET[10:])
            await client.until(b"old")
            await client.ask("new")
            await drained

    run(main())


def test_the_rest_of_an_upload_that_was_answered_already_is_read_to_its_end() -> None:
    """The answer may come before the whole request; the connection goes over when it is all read."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3")]})
        await send({"type": "http.response.body", "body": b"old"})

    async def main() -> None:
        async with succession(app) as (old, new, port), Client(port) as client:
            await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n01234")
            await client.until(b"old")
            old.begin_drain(new.engine)
            drained = asyncio.ensure_future(old.finish())
            await asyncio.sleep(0.01)
            assert not drained.done()
            await client.send(b"56789")
            await drained
            await client.ask("new")

    run(main())


def test_an_answer_that_is_not_out_yet_is_sent_before_the_connection_goes() -> None:
    size = 32 << 20  # more than the kernel takes

    async def big(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
        await send({"type": "http.response.body", "body": bytes(size)})

    async def main() -> None:
        async with succession(big) as (old, new, port), Client(port) as client:
            await client.send(GET)
            head = await client.loop.sock_recv(client.sock, 1000)
            length = len(head.partition(b"\r\n\r\n")[2])
            old.begin_drain(new.engine)
            drained = asyncio.ensure_future(old.finish())
            await asyncio.sleep(0.02)
            assert not drained.done()
            while length < size:
                length += len(await client.loop.sock_recv(client.sock, 1 << 20))
            assert length == size
            await client.ask("new")
            await drained

    run(main())


def test_what_is_not_kept_alive_ends_with_its_answer() -> None:
    async def main() -> None:
        app = Gated()
        async with succession(app) as (old, new, port), Client(port) as client:
            await client.send(b"GET / HTTP/1.0\r\n\r\n")
            await app.began.wait()
            old.begin_drain(new.engine)
            app.go.set()
            assert (await client.rest()).endswith(b"old")
            await old.finish()

    run(main())


def test_what_does_not_end_is_cut_at_the_deadline() -> None:
    async def main() -> None:
        cancelled = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            began.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise

        began = asyncio.Event()
        async with succession(app) as (old, new, port), Client(port) as client:
            await client.send(GET)
            await began.wait()
            old.begin_drain(new.engine)
            await old.finish(0.01)
            assert cancelled.is_set()
            assert b"200" not in await client.rest()
            assert old.errors == []

    run(main())


def test_a_task_that_refuses_to_be_cancelled_holds_up_nothing() -> None:
    async def main() -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            began.set()
            while not over.is_set():
                try:
                    await over.wait()
                except asyncio.CancelledError:
                    pass

        began, over = asyncio.Event(), asyncio.Event()
        async with succession(app) as (old, new, port), Client(port) as client:
            await client.send(GET)
            await began.wait()
            old.begin_drain(new.engine)
            await old.finish(0.01)
            assert not over.is_set()
            assert b"200" not in await client.rest()
            over.set()
            while old.engine.server_state.tasks:
                await asyncio.sleep(0)

    run(main())


def test_connections_in_the_backlog_wait_for_the_new_server() -> None:
    async def main() -> None:
        async with succession(says("old")) as (old, new, port):
            old.begin_drain(new.engine)
            await old.finish()
            async with Client(port) as client, Client(port) as other:
                await client.send(GET)
                await asyncio.sleep(0.01)
                with pytest.raises(BlockingIOError):
                    client.sock.recv(1)
                async with listening() as _unrelated:
                    pass
                new.engine.serve([])  # nothing to do is no error
                await asyncio.sleep(0)
                del other

    run(main())


def test_adopted_connections_that_are_gone_do_no_harm() -> None:
    async def main() -> None:
        async with succession(says("old")) as (old, new, port):
            async with Client(port):
                await accepted(old)
                old.begin_drain()
            ((fd, data),) = old.handed_over
            old.handed_over.clear()
            new.engine.adopt(fd, data)
            await accepted(new)
            while new.engine.server_state.connections:
                await asyncio.sleep(0)

    run(main())


def test_a_connection_that_was_adopted_while_draining_goes_on() -> None:
    async def main() -> None:
        async with succession(says("old")) as (old, new, port), Client(port) as client:
            await accepted(old)
            old.begin_drain()
            ((fd, _data),) = old.handed_over
            old.handed_over.clear()
            middle = Server(says("middle"))
            middle.engine.adopt(fd, GET[:7])
            middle.begin_drain(new.engine)
            await client.send(GET[7:])
            assert (await client.until(b"new")).startswith(b"HTTP/1.1 200")
            await middle.finish()

    run(main())


def test_without_descriptors_an_idle_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(fd: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    async def main() -> None:
        async with succession(says("old")) as (old, new, port), Client(port) as client:
            await client.ask("old")
            with monkeypatch.context() as patch:
                patch.setattr(os, "dup", exhausted)
                old.begin_drain(new.engine)
            assert await client.rest() == b""
            await old.finish()

    run(main())


def test_idle_connections_are_closed_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devserver.server.web.engine.KEEP_ALIVE_S", 0)

    async def main() -> None:
        async with serving(says("x")) as (_server, port), Client(port) as client:
            assert await client.rest() == b""

    run(main())


# --- what the engine tells ---


@pytest.mark.parametrize("begun", [False, True])
def test_errors_that_nobody_captured_are_told(begun: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"first", "more_body": True})
        raise ValueError("mine")

    async def main() -> None:
        async with serving(app) as (server, port), Client(port) as client:
            await client.send(GET)
            if begun:
                answer = await client.rest()
                assert b"first" in answer
                assert not answer.endswith(b"0\r\n\r\n")
            else:
                assert (await client.until(b"Internal Server Error")).startswith(b"HTTP/1.1 500")
            assert [str(error) for error in server.errors] == ["mine"]

    run(main())


def test_errors_that_were_reported_are_not_told_again() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise AnswerCutError

    async def main() -> None:
        async with serving(app) as (server, port), Client(port) as client:
            await client.send(GET)
            await client.until(b"Internal Server Error")
            assert server.errors == []
            assert server.notices == []

    run(main())


def test_the_users_logging_is_left_alone() -> None:
    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    async def main() -> None:
        async with serving(says("x")) as (_server, port), Client(port) as client:
            await client.ask("x")
            await client.send(b"nonsense\r\n\r\n")
            await client.rest()
        async with serving(close_at_once) as (_server, port), Client(port) as client:
            await client.send(UPGRADE)
            await client.until(b"\x88\x02\x03\xe8")

    async def close_at_once(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})

    records: list[logging.LogRecord] = []
    access = logging.getLogger("uvicorn.access")
    handler = Handler()
    access.addHandler(handler)
    root = logging.getLogger()
    root.addHandler(handler)
    level = root.level
    root.setLevel(logging.DEBUG)
    try:
        run(main())
        assert access.handlers == [handler]
        assert access.propagate
        assert [record for record in records if not record.name.startswith("asyncio")] == []
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
        access.removeHandler(handler)


# --- WebSockets ---

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
CLOSE_1012 = b"\x88\x02\x03\xf4"


class Chat:
    """Accepts, and keeps what it receives until it is disconnected."""

    def __init__(self) -> None:
        self.accepted = asyncio.Event()
        self.events: list[dict[str, Any]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        self.accepted.set()
        while True:
            event = await receive()
            self.events.append(dict(event))
            if event["type"] == "websocket.disconnect":
                return


def test_an_open_websocket_is_closed_with_1012() -> None:
    async def main() -> None:
        app = Chat()
        async with succession(app) as (old, new, port), Client(port) as client:
            await client.send(UPGRADE)
            await client.until(b"\r\n\r\n")
            await app.accepted.wait()
            old.begin_drain(new.engine)
            assert await client.until(CLOSE_1012) == CLOSE_1012
            await client.send(b"\x88\x82\x00\x00\x00\x00\x03\xf4")
            assert await client.rest() == b""
            await old.finish()
            assert app.events[-1]["type"] == "websocket.disconnect"
            assert app.events[-1]["code"] == 1012

    run(main())


def test_a_websocket_client_that_talks_sees_the_close_too() -> None:
    """A socket closed with unread data is reset, and the close frame would be lost with it."""

    async def main() -> None:
        async def deaf(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "websocket.accept"})
            accepted.set()
            await over.wait()

        accepted, over = asyncio.Event(), asyncio.Event()
        frame = b"\x82\xfe\x7d\x00\x00\x00\x00\x00" + bytes(32000)
        async with succession(deaf) as (old, new, port), Client(port) as client:
            await client.send(UPGRADE)
            await client.until(b"\r\n\r\n")
            await accepted.wait()
            for _ in range(4):  # the first ones are read, the others wait in the kernel
                client.sock.send(frame)
            await asyncio.sleep(0.01)
            old.begin_drain(new.engine)
            over.set()
            assert (await client.until(CLOSE_1012)) == CLOSE_1012
            await client.send(b"\x88\x82\x00\x00\x00\x00\x03\xf4")
            assert await client.rest() == b""
            await old.finish()

    run(main())


def test_a_websocket_client_that_does_not_answer_is_cut() -> None:
    async def main() -> None:
        app = Chat()
        async with succession(app) as (old, new, port), Client(port) as client:
            await client.send(UPGRADE)
            await client.until(b"\r\n\r\n")
            await app.accepted.wait()
            old.begin_drain(new.engine)
            await old.finish()  # waits for the client, but not for long
            assert (await client.rest()).removesuffix(b"reset") == CLOSE_1012

    run(main())


def test_a_handshake_that_waits_is_refused_at_drain() -> None:
    async def main() -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            began.set()
            await receive()
            await receive()

        began = asyncio.Event()
        async with succession(app) as (old, new, port), Client(port) as client:
            await client.send(UPGRADE)
            await began.wait()
            old.begin_drain(new.engine)
            assert (await client.rest()).startswith(b"HTTP/1.1 500")
            await old.finish()

    run(main())


def test_an_upgrade_to_something_else_is_a_request() -> None:
    async def main() -> None:
        async with serving(says("plain")) as (_server, port), Client(port) as client:
            await client.send(
                b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
            )
            assert (await client.until(b"plain")).startswith(b"HTTP/1.1 200")

    run(main())
