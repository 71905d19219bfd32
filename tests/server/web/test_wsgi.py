"""The adapter as an ASGI callable, on a real loop, with a client of queues."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import io
import threading
import time
import traceback
import weakref
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any
from wsgiref.validate import validator

import pytest

from devserver.server.asgi import Event
from devserver.server.web.wsgi import WSGIAdapter
from devserver.server.web.wsgi_exchange import IN_FLIGHT, WHOLE_ANSWER
from devserver.server.web.wsgi_headers import WSGIError

DEADLINE_S = 20
PLAIN = [("Content-Type", "text/plain")]


class Client:
    """One request: what the app receives comes from `body` and `leave`, what it sends is in `sent`."""

    def __init__(self, method: str = "GET", *headers: tuple[bytes, bytes], **scope: Any) -> None:
        self.scope: dict[str, Any] = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": "/", "raw_path": b"/", "query_string": b"", "root_path": "", "headers": [(b"host", b"x"), *headers],
            "client": ("127.0.0.1", 5000), "server": ("127.0.0.1", 8000),
        } | scope  # fmt: skip
        self.sent: list[Event] = []
        self.receives = 0
        self._incoming: asyncio.Queue[Event] = asyncio.Queue()
        self._progress = asyncio.Condition()
        self.writable = asyncio.Event()
        self.writable.set()

    def body(self, data: bytes, *, more: bool = False) -> None:
        self._incoming.put_nowait({"type": "http.request", "body": data, "more_body": more})

    def leave(self) -> None:
        self._incoming.put_nowait({"type": "http.disconnect"})

    async def receive(self) -> Event:
        self.receives += 1
        async with self._progress:
            self._progress.notify_all()
        return await self._incoming.get()

    async def send(self, event: Event) -> None:
        await self.writable.wait()
        self.sent.append(event)
        async with self._progress:
            self._progress.notify_all()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S), self._progress:
            await self._progress.wait_for(condition)

    async def ask(self, adapter: WSGIAdapter) -> None:
        async with asyncio.timeout(DEADLINE_S):
            await adapter(self.scope, self.receive, self.send)

    @property
    def status(self) -> int:
        assert self.sent[0]["type"] == "http.response.start"
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def chunks(self) -> list[bytes]:
        return [event["body"] for event in self.sent[1:]]

    @property
    def content(self) -> bytes:
        assert [event.get("more_body") for event in self.sent[1:]] == [True] * (len(self.sent) - 2) + [False]
        return b"".join(self.chunks)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(DEADLINE_S * 2):
            await scenario()

    asyncio.run(whole())


def ask(
    app: Any, method: str = "GET", *headers: tuple[bytes, bytes], body: bytes | None = None, **options: Any
) -> Client:
    """One request to `app`, answered, its thread done."""
    client: Client

    async def scenario() -> None:
        nonlocal client
        client = Client(method, *headers)
        if body is not None:
            client.scope["headers"].append((b"content-length", b"%d" % len(body)))
            client.body(body)
        adapter = WSGIAdapter(app, **options)
        try:
            await client.ask(adapter)
        finally:
            await asyncio.wait_for(adapter.drained(), DEADLINE_S)
            adapter.stop()

    run(scenario)
    return client


def answering(result: Any, status: Any = "200 OK", headers: list[tuple[str, str]] | None = None) -> Any:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response(status, PLAIN if headers is None else headers)
        return result

    return app


class Result:
    """An iterable that counts what is done to it."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self.steps = 0
        self.closes = 0
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self.steps += 1
            yield chunk

    def close(self) -> None:
        self.closes += 1
        self.closed.set()


@pytest.fixture
def late_errors(monkeypatch: pytest.MonkeyPatch) -> list[BaseException | None]:
    """What went to threading.excepthook."""
    errors: list[BaseException | None] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: errors.append(args.exc_value))
    return errors


# --- answers ---


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
@pytest.mark.parametrize("make", [list, tuple, iter, Result], ids=lambda make: make.__name__)
@pytest.mark.parametrize("chunks", [[b"one", b"", b"two"], [b"one"], [], [b""]], ids=repr)
@pytest.mark.parametrize("status", ["200 OK", "404 Not Found", "204 No Content", "304 Not Modified"])
def test_valid_for_wsgiref(
    method: str, make: Any, chunks: list[bytes], status: str, capsys: pytest.CaptureFixture[str]
) -> None:
    headers = [] if status[0] == "3" or status.startswith("204") else PLAIN
    client = ask(validator(answering(make(chunks), status, headers)), method, body=b"x" if method == "POST" else None)
    without_content = method == "HEAD" or status[:3] in ("204", "304")
    assert client.status == int(status[:3])
    assert client.content == (b"" if without_content else b"".join(chunks))
    assert capsys.readouterr().err == ""


def test_a_small_list_is_sent_whole_with_its_length() -> None:
    client = ask(answering([b"one", b"two"]))
    assert client.sent == [
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"text/plain"), (b"content-length", b"6")],
        },
        {"type": "http.response.body", "body": b"onetwo", "more_body": False},
    ]


def test_a_large_list_has_its_length_and_is_not_joined() -> None:
    chunk = b"x" * WHOLE_ANSWER
    client = ask(answering([chunk, b"", chunk]))
    assert client.headers[b"content-length"] == b"%d" % (2 * WHOLE_ANSWER)
    assert client.chunks == [chunk, chunk]
    assert client.content == chunk + chunk


def test_a_first_chunk_that_fulfils_the_length_is_sent_whole() -> None:
    client = ask(answering(iter([b"abc"]), headers=[("Content-Length", "3")]))
    assert client.chunks == [b"abc"]
    assert client.content == b"abc"


@pytest.mark.parametrize(
    ("method", "status", "headers", "result", "length"),
    [
        ("GET", "200 OK", [], [], b"0"),
        ("GET", "200 OK", [], iter([]), b"0"),
        ("GET", "200 OK", [], iter([b"x"]), None),
        ("GET", "205 Reset Content", [], [], b"0"),
        ("GET", "204 No Content", [], [], None),
        ("GET", "204 No Content", [("Content-Length", "0")], [], None),
        ("GET", "204 No Content", [], [b"dropped"], None),
        ("GET", "304 Not Modified", [("Content-Length", "99")], [], None),
        ("HEAD", "200 OK", [("Content-Length", "99")], [], b"99"),
        ("HEAD", "200 OK", [("Content-Length", "99")], [b"x" * 99], b"99"),
        ("HEAD", "200 OK", [("Content-Length", "99")], iter([b"x" * 50, b"x" * 49]), b"99"),
        ("HEAD", "200 OK", [], [b"abc"], b"3"),
        ("HEAD", "200 OK", [], [], None),
        ("HEAD", "200 OK", [], iter([b"abc"]), None),
    ],
)
def test_the_length(
    method: str, status: str, headers: list[tuple[str, str]], result: Any, length: bytes | None
) -> None:
    client = ask(answering(result, status, headers), method)
    assert client.headers.get(b"content-length") == length
    if method == "HEAD" or (length is None and status != "200 OK"):
        assert client.content == b""


def test_a_head_request_does_not_run_an_endless_answer() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"event"

    result = Result(endless())
    client = ask(answering(result), "HEAD")
    assert client.content == b""
    assert (result.steps, result.closes) == (1, 1)


def test_write_then_chunks() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        write = start_response("200 OK", PLAIN)
        write(b"a")
        write(b"")
        write(b"b")
        return [b"c", b"d"]

    client = ask(validator(app))
    assert client.content == b"abcd"
    assert client.chunks[:2] == [b"a", b"b"]
    assert b"content-length" not in client.headers


def test_write_may_fulfil_the_length() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [("Content-Length", "2")])(b"ab")
        return []

    assert ask(app).content == b"ab"


def test_start_response_may_be_called_by_the_first_step() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("201 Created", PLAIN)
        yield b"x"

    client = ask(app)
    assert (client.status, client.content) == (201, b"x")


def test_file_wrapper(tmp_path: Any) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"0123456789" * 30000)
    opened = []

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", PLAIN)
        opened.append(path.open("rb"))
        return environ["wsgi.file_wrapper"](opened[0], 4096)

    client = ask(app)
    assert client.content == path.read_bytes()
    assert len(client.chunks) == 300000 // 65536 + 2  # blocks of 64 KiB, and the end
    assert opened[0].closed


# --- streaming ---


def test_each_chunk_is_sent_when_it_is_yielded() -> None:
    async def scenario() -> None:
        steps: list[threading.Event] = [threading.Event() for _ in range(3)]

        def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
            start_response("200 OK", PLAIN)
            for number, step in enumerate(steps):
                yield b"%d" % number
                assert step.wait(DEADLINE_S)

        client = Client()
        task = asyncio.create_task(client.ask(WSGIAdapter(app)))
        for number, step in enumerate(steps):
            await client.until(lambda count=number + 2: len(client.sent) == count)  # type: ignore[misc]
            assert client.chunks[-1] == b"%d" % number
            step.set()
        await task
        assert client.content == b"012"

    run(scenario)


def test_the_app_waits_for_a_slow_client() -> None:
    async def scenario() -> None:
        chunk = bytes(32768)
        result = Result(chunk for _ in range(200))
        client = Client()
        client.writable.clear()
        adapter = WSGIAdapter(answering(result))
        task = asyncio.create_task(client.ask(adapter))
        limit = IN_FLIGHT // len(chunk) + 1
        before = -1
        async with asyncio.timeout(DEADLINE_S):
            while result.steps != before or not result.steps:  # until nothing moves any more
                before = result.steps
                await asyncio.sleep(0.1)
        assert result.steps <= limit + 1
        client.writable.set()
        await task
        assert client.content == chunk * 200
        assert result.closed.wait(DEADLINE_S)
        assert result.steps == 200

    run(scenario)


def test_many_tiny_chunks_are_limited_in_number() -> None:
    async def scenario() -> None:
        result = Result(b"x" for _ in range(20000))
        client = Client()
        client.writable.clear()
        task = asyncio.create_task(client.ask(WSGIAdapter(answering(result))))
        before = -1
        async with asyncio.timeout(DEADLINE_S):
            while result.steps != before or not result.steps:
                before = result.steps
                await asyncio.sleep(0.1)
        assert result.steps <= 260
        client.writable.set()
        await task
        assert client.content == b"x" * 20000

    run(scenario)


def test_the_client_leaves_while_it_is_streamed_to() -> None:
    async def scenario() -> None:
        left = threading.Event()

        def chunks() -> Iterator[bytes]:
            yield b"first"
            assert left.wait(DEADLINE_S)
            while True:
                yield b"more"

        result = Result(chunks())
        client = Client()
        client.body(b"")  # the end of the request, as engines tell it
        adapter = WSGIAdapter(answering(result))
        task = asyncio.create_task(client.ask(adapter))
        await client.until(lambda: len(client.sent) == 2)
        client.leave()
        await task
        left.set()
        await asyncio.wait_for(adapter.drained(), DEADLINE_S)
        assert result.closes == 1
        assert client.chunks == [b"first"]

    run(scenario)


@pytest.mark.parametrize("kind", ["chunks", "list", "write"])
def test_the_client_leaves_while_the_app_waits_for_it(kind: str, late_errors: list[BaseException | None]) -> None:
    async def scenario() -> None:
        chunk = bytes(WHOLE_ANSWER)
        raised: list[BaseException] = []

        def app(environ: dict[str, Any], start_response: Any) -> Any:
            write = start_response("200 OK", PLAIN)
            if kind == "write":
                try:
                    while True:
                        write(chunk)
                except OSError as error:
                    raised.append(error)
                    raise
            return [chunk] * 1000 if kind == "list" else (chunk for _ in range(1000))

        client = Client()
        adapter = WSGIAdapter(app)
        task = asyncio.create_task(client.ask(adapter))
        await client.until(lambda: client.receives > 0)  # it is being watched
        client.writable.clear()
        client.leave()
        client.writable.set()
        await task
        await asyncio.wait_for(adapter.drained(), DEADLINE_S)
        assert len(client.chunks) < 1000
        assert bool(raised) == (kind == "write")

    run(scenario)
    assert late_errors == []


def test_a_task_that_is_cancelled_lets_its_thread_go() -> None:
    async def scenario() -> None:
        result = Result(iter(lambda: bytes(WHOLE_ANSWER), b""))
        client = Client()
        client.writable.clear()
        adapter = WSGIAdapter(answering(result))
        task = asyncio.create_task(client.ask(adapter))
        async with asyncio.timeout(DEADLINE_S):
            while result.steps < 2:
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(adapter.drained(), DEADLINE_S)
        assert result.closes == 1

    run(scenario)


def test_a_small_answer_does_not_receive() -> None:
    assert ask(answering([b"x"])).receives == 0
    assert ask(answering(iter([b"x"]), headers=[("Content-Length", "1")])).receives == 0


def test_a_small_request_crosses_the_border_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        wakes = 0
        real = loop.call_soon_threadsafe

        def counted(*args: Any, **kwargs: Any) -> asyncio.Handle:
            nonlocal wakes
            wakes += 1
            return real(*args, **kwargs)

        monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
        adapter = WSGIAdapter(answering([b"Hello"]))
        for _ in range(10):
            client = Client()
            await client.ask(adapter)
            assert client.content == b"Hello"
        assert wakes <= 10  # fewer if the thread was faster than the loop came to wait

    run(scenario)


# --- close() and the time after ---


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("chunks", [[b"a", b"b"], [b"ab"], []], ids=repr)
def test_close_is_called_once(method: str, chunks: list[bytes]) -> None:
    result = Result(chunks)
    ask(answering(result), method)
    assert result.closes == 1


@pytest.mark.parametrize("length", [None, "2"])
def test_the_answer_is_out_before_close_is_called(length: str | None) -> None:
    async def scenario() -> None:
        gate = threading.Event()

        class Slow(Result):
            def close(self) -> None:
                assert gate.wait(DEADLINE_S)
                super().close()

        result = Slow([b"ab"])
        adapter = WSGIAdapter(answering(result, headers=[("Content-Length", length)] if length else None))
        client = Client()
        await client.ask(adapter)
        assert client.content == b"ab"
        assert (result.closes, adapter.busy()) == (0, 1)
        gate.set()
        await asyncio.wait_for(adapter.drained(), DEADLINE_S)
        assert (result.closes, adapter.busy()) == (1, 0)

    run(scenario)


def test_the_code_behind_the_last_yield_runs() -> None:
    done: list[int] = []

    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", "2")])
        yield b"ab"
        done.append(1)

    assert ask(app).content == b"ab"
    assert done == [1]


def test_chunks_beyond_the_length_are_told_of() -> None:
    warnings: list[str] = []
    client = ask(answering(iter([b"ab", b"c"]), headers=[("Content-Length", "2")]), warn=warnings.append)
    assert client.content == b"ab"
    assert len(warnings) == 1
    assert "more than its Content-Length" in warnings[0]


def test_an_error_after_the_answer_is_reported_and_the_answer_stands(late_errors: list[BaseException | None]) -> None:
    error = ValueError("late")

    class Failing(Result):
        def close(self) -> None:
            raise error

    assert ask(answering(Failing([b"ab"]))).content == b"ab"
    assert late_errors == [error]


def test_on_request_ended_is_called_in_the_thread_and_context_of_the_request() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    seen: list[tuple[str | None, str, int]] = []
    result = Result([b"x"])

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        variable.set("of the request")
        start_response("200 OK", PLAIN)
        return result

    ask(app, on_request_ended=lambda: seen.append((variable.get(None), threading.current_thread().name, result.closes)))
    assert seen == [("of the request", "devserver-wsgi-1", 1)]


def test_on_request_ended_is_called_after_an_error_too() -> None:
    ended: list[int] = []

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        ask(app, on_request_ended=lambda: ended.append(1))
    assert ended == [1]


def test_nothing_of_a_request_is_kept_alive() -> None:
    class Marker:
        pass

    kept: list[weakref.ref[Marker]] = []

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        marker = environ["app.marker"] = Marker()
        kept.append(weakref.ref(marker))
        start_response("200 OK", PLAIN)
        return [b"x"]

    async def scenario() -> None:
        adapter = WSGIAdapter(app)
        gc.disable()  # without the help of the collector: no cycles
        try:
            client = Client("POST", (b"content-length", b"100000"))
            client.body(bytes(100000))
            for request in (Client(), client):
                await request.ask(adapter)
                await asyncio.wait_for(adapter.drained(), DEADLINE_S)
            async with asyncio.timeout(DEADLINE_S):
                while any(ref() for ref in kept):
                    await asyncio.sleep(0.001)
        finally:
            gc.enable()

    run(scenario)


# --- errors ---


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_an_error_comes_out_with_its_traceback(error: BaseException) -> None:
    def view() -> None:
        raise error

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", PLAIN)
        view()

    async def scenario() -> None:
        adapter = WSGIAdapter(app, threads=1)
        for _ in range(2):  # the thread survives
            client = Client()
            with pytest.raises(type(error)) as raised:
                await client.ask(adapter)
            assert raised.value is error
            assert [frame.name for frame in traceback.extract_tb(error.__traceback__)][-2:] == ["app", "view"]
            assert client.sent == []
        adapter.stop()

    run(scenario)


def test_an_error_in_the_middle_cuts_the_answer() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        yield b"first"
        raise ValueError("middle")

    async def scenario() -> None:
        client = Client()
        with pytest.raises(ValueError, match="middle"):
            await client.ask(WSGIAdapter(app))
        assert client.chunks == [b"first"]
        assert client.sent[-1]["more_body"] is True

    run(scenario)


def test_an_error_of_a_cut_answer_still_closes_it() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"first"
        raise ValueError("middle")

    result = Result(chunks())
    with pytest.raises(ValueError, match="middle"):
        ask(answering(result))
    assert result.closed.wait(DEADLINE_S)
    assert result.closes == 1


def test_an_error_page_by_exc_info() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", PLAIN)
        try:
            raise ValueError("oops")
        except ValueError as error:
            start_response("500 Oops", [("X-Error", "1")], (type(error), error, error.__traceback__))
        return [b"sorry"]

    client = ask(app)
    assert (client.status, client.headers[b"x-error"], client.content) == (500, b"1", b"sorry")


def test_exc_info_after_the_head_is_out_raises_the_error() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        yield b"first"
        try:
            raise ValueError("oops")
        except ValueError as error:
            start_response("500 Oops", PLAIN, (type(error), error, error.__traceback__))
        yield b"never"

    async def scenario() -> None:
        client = Client()
        with pytest.raises(ValueError, match="oops"):
            await client.ask(WSGIAdapter(app))
        assert (client.status, client.chunks) == (200, [b"first"])

    run(scenario)


def twice(environ: dict[str, Any], start_response: Any) -> Any:
    start_response("200 OK", PLAIN)
    start_response("200 OK", PLAIN)


def never(environ: dict[str, Any], start_response: Any) -> Any:
    return [b"x"]


def never_and_empty(environ: dict[str, Any], start_response: Any) -> Any:
    return iter([])


def never_but_yields(environ: dict[str, Any], start_response: Any) -> Any:
    yield b"x"


def written_text(environ: dict[str, Any], start_response: Any) -> Any:
    start_response("200 OK", PLAIN)("text")


async def asynchronous(environ: dict[str, Any], start_response: Any) -> Any:
    return [b"x"]


FIVE = [("Content-Length", "5")]


@pytest.mark.parametrize(
    ("app", "message", "hint"),
    [
        (answering(None), "returned None", "is a return missing"),
        (answering("text"), "returned a str", "encode"),
        (answering(b"bytes"), "returned a bytes", "in a list"),
        (answering(5), "returned a int", "an iterable of bytes"),
        (answering(["text"]), "a list with str instead of bytes: 'text'", "encode"),
        (answering([b"", 7]), "a list with int instead of bytes: 7", "made of bytes"),
        (answering(iter(["text"])), "yielded str instead of bytes: 'text'", "encode"),
        (answering(iter([bytearray(b"x")])), "yielded bytearray instead of bytes", "made of bytes"),
        (answering({"a": 1}), "yielded str instead of bytes: 'a'", "encode"),
        (asynchronous, "returned a coroutine", "--interface asgi"),
        (twice, "called twice", "sys.exc_info"),
        (never, "before it called start_response", "200 OK"),
        (never_and_empty, "before it called start_response", "200 OK"),
        (never_but_yields, "before it called start_response", "200 OK"),
        (written_text, "given str instead of bytes", "encode"),
        (answering([], 200), "status must be a str", "200 OK"),
        (answering([], headers=[("Connection", "close")]), "belongs to the connection", "leave"),
        (answering([b"toolong"], headers=FIVE), "has 7 bytes, its Content-Length says 5", "bytes"),
        (answering([b"abc"], headers=FIVE), "has 3 bytes, its Content-Length says 5", "bytes"),
        (answering(iter([b"toolong"]), headers=FIVE), "longer than the Content-Length of 5", "bytes"),
        (answering(iter([]), headers=FIVE), "has 0 bytes, its Content-Length says 5", "bytes"),
    ],
)
def test_an_app_that_does_not_keep_to_pep_3333_is_told(app: Any, message: str, hint: str) -> None:
    client: Client

    async def scenario() -> None:
        nonlocal client
        client = Client()
        with pytest.raises(WSGIError, match=message) as raised:
            await client.ask(WSGIAdapter(app))
        assert hint in (raised.value.hint or "")

    run(scenario)
    assert client.sent == []  # so there can be an error page


@pytest.mark.parametrize(("chunks", "message"), [([b"ab", b"c"], "has 3 bytes"), ([b"ab", b"cdefg"], "longer")])
def test_a_stream_of_another_length_than_it_said_is_cut(chunks: list[bytes], message: str) -> None:
    with pytest.raises(WSGIError, match=message):
        ask(answering(iter(chunks), headers=FIVE))


def test_the_app_is_named_with_its_place() -> None:
    with pytest.raises(WSGIError, match=r"never\(\) \(.*test_wsgi\.py, line \d+\) returned before"):
        ask(never)


# --- bodies of requests ---


def reading(read: Callable[[Any], Any]) -> Any:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        data = read(environ["wsgi.input"])
        start_response("200 OK", PLAIN)
        return [repr(data).encode()]

    return app


def post(app: Any, *pieces: bytes, headers: Iterable[tuple[bytes, bytes]] = ()) -> Client:
    """A request whose body comes in pieces, larger than what is read before the app."""
    client: Client

    async def scenario() -> None:
        nonlocal client
        client = Client("POST", *headers)
        for index, piece in enumerate(pieces):
            client.body(piece, more=index < len(pieces) - 1)
        await client.ask(WSGIAdapter(app))

    run(scenario)
    return client


CHUNKED = [(b"transfer-encoding", b"chunked")]
READS: list[Callable[[Any], Any]] = [
    lambda stream: stream.read(),
    lambda stream: stream.read(-1),
    lambda stream: stream.read(None),
    lambda stream: b"".join(iter(lambda: stream.read(3), b"")),
    lambda stream: stream.read(100),
    lambda stream: b"".join(stream),
    lambda stream: b"".join(stream.readlines()),
    lambda stream: b"".join(iter(stream.readline, b"")),
    lambda stream: b"".join(iter(lambda: stream.readline(2), b"")),
]


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("pieces", [(b"one\ntwo\n\nth", b"r", b"", b"ee"), (b"",), (b"x" * 11, b"")], ids=str)
@pytest.mark.parametrize("kind", ["whole", "stream"])
def test_every_way_to_read(read: Any, pieces: tuple[bytes, ...], kind: str) -> None:
    whole = b"".join(pieces)
    if kind == "whole":
        client = post(reading(read), whole, headers=[(b"content-length", b"%d" % len(whole))])
    else:
        client = post(reading(read), *pieces, headers=CHUNKED)
    assert client.content == repr(whole).encode()


def test_a_body_that_is_not_there_reads_as_empty() -> None:
    client = ask(reading(lambda stream: stream.read()), "POST")
    assert client.content == b"b''"
    assert client.receives == 0


def test_a_small_body_of_which_a_part_has_come() -> None:
    client = post(reading(lambda stream: stream.read()), b"abc", b"def", headers=[(b"content-length", b"6")])
    assert client.content == b"b'abcdef'"


def test_a_body_that_nobody_reads_stays_outside() -> None:
    client = post(answering([b"no"]), b"x", b"y", headers=CHUNKED)
    assert (client.content, client.receives) == (b"no", 0)


def test_a_client_that_expects_100_is_asked_by_the_first_read() -> None:
    headers = [(b"content-length", b"3"), (b"expect", b"100-continue")]
    assert post(answering([b"no"]), b"abc", headers=headers).receives == 0
    assert post(reading(lambda stream: stream.read()), b"abc", headers=headers).content == b"b'abc'"


def test_reading_ahead_stops_when_the_app_does_not_read() -> None:
    async def scenario() -> None:
        piece = bytes(65536)
        gate = threading.Event()
        sizes = []

        def app(environ: dict[str, Any], start_response: Any) -> Any:
            stream = environ["wsgi.input"]
            sizes.append(len(stream.read(1)))
            assert gate.wait(DEADLINE_S)
            while data := stream.read(50000):
                sizes.append(len(data))
            start_response("200 OK", PLAIN)
            return [b"done"]

        client = Client("POST", *CHUNKED)
        for number in range(100):
            client.body(piece, more=number < 99)
        task = asyncio.create_task(client.ask(WSGIAdapter(app)))
        before = -1
        async with asyncio.timeout(DEADLINE_S):
            while client.receives != before or not client.receives:
                before = client.receives
                await asyncio.sleep(0.1)
        assert client.receives <= 6
        gate.set()
        await task
        assert sum(sizes) == 100 * len(piece)

    run(scenario)


def test_a_request_and_its_answer_stream_at_the_same_time() -> None:
    async def scenario() -> None:
        def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
            start_response("200 OK", PLAIN)
            for line in environ["wsgi.input"]:
                yield line.upper()

        client = Client("POST", *CHUNKED)
        task = asyncio.create_task(client.ask(WSGIAdapter(app)))
        client.body(b"one\n", more=True)
        await client.until(lambda: client.chunks == [b"ONE\n"])
        client.body(b"two\n", more=True)
        await client.until(lambda: client.chunks == [b"ONE\n", b"TWO\n"])
        client.body(b"", more=False)
        await task
        assert client.content == b"ONE\nTWO\n"

    run(scenario)


def test_the_client_leaves_before_the_body_is_there(late_errors: list[BaseException | None]) -> None:
    async def scenario() -> None:
        raised: list[BaseException] = []

        def app(environ: dict[str, Any], start_response: Any) -> Any:
            try:
                environ["wsgi.input"].read()
            except OSError as error:
                raised.append(error)
                raise RuntimeError("wrapped as frameworks do") from error

        client = Client("POST", *CHUNKED)
        client.body(b"abc", more=True)
        adapter = WSGIAdapter(app)
        task = asyncio.create_task(client.ask(adapter))
        await client.until(lambda: client.receives == 2)
        client.leave()
        await task  # without an error: nobody is there to be answered, and nothing is wrong
        await asyncio.wait_for(adapter.drained(), DEADLINE_S)
        assert [type(error).__name__ for error in raised] == ["DisconnectedError"]
        assert client.sent == []

    run(scenario)
    assert late_errors == []


def test_the_client_leaves_before_a_small_body_is_there() -> None:
    called: list[int] = []

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        called.append(1)

    async def scenario() -> None:
        client = Client("POST", (b"content-length", b"3"))
        client.leave()
        await client.ask(WSGIAdapter(app))
        assert client.sent == []

    run(scenario)
    assert called == []


def test_a_read_after_the_request_is_over_does_not_hang(late_errors: list[BaseException | None]) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        class Late(Result):
            def close(self) -> None:
                super().close()
                environ["wsgi.input"].read()

        start_response("200 OK", [("Content-Length", "1")])
        return Late([b"x"])

    async def scenario() -> None:
        client = Client("POST", *CHUNKED)
        client.body(b"abc", more=True)
        adapter = WSGIAdapter(app)
        await client.ask(adapter)
        await asyncio.wait_for(adapter.drained(), DEADLINE_S)
        assert client.content == b"x"

    run(scenario)
    assert late_errors == []


def test_an_error_of_receive_is_the_error_of_the_read() -> None:
    class Broken(Client):
        async def receive(self) -> Event:
            raise ZeroDivisionError("receive")

    async def scenario() -> None:
        client = Broken("POST", *CHUNKED)
        with pytest.raises(ZeroDivisionError, match="receive"):
            await client.ask(WSGIAdapter(reading(lambda stream: stream.read())))

    run(scenario)


def test_an_error_of_send_ends_the_app() -> None:
    class Broken(Client):
        async def send(self, event: Event) -> None:
            raise OSError("gone")

    async def scenario() -> None:
        result = Result(iter(lambda: b"x", b""))
        adapter = WSGIAdapter(answering(result))
        with pytest.raises(OSError, match="gone"):
            await Broken().ask(adapter)
        await asyncio.wait_for(adapter.drained(), DEADLINE_S)
        assert result.closes == 1

    run(scenario)


# --- threads ---


def test_one_thread_serves_one_request_at_a_time_and_says_so() -> None:
    async def scenario() -> None:
        running = threading.Lock()
        multithread: list[bool] = []

        def app(environ: dict[str, Any], start_response: Any) -> Any:
            assert running.acquire(blocking=False)
            multithread.append(environ["wsgi.multithread"])
            start_response("200 OK", PLAIN)
            time.sleep(0)  # gives the GIL away
            running.release()
            return [b"x"]

        adapter = WSGIAdapter(app, threads=1)
        clients = [Client() for _ in range(50)]
        await asyncio.gather(*(client.ask(adapter) for client in clients))
        assert {client.status for client in clients} == {200}
        assert multithread == [False] * 50

    run(scenario)


def test_requests_run_at_once_up_to_the_limit_and_one_warning_is_given() -> None:
    async def scenario() -> None:
        warned = asyncio.Event()
        warnings: list[str] = []
        gate = threading.Event()
        together = threading.Barrier(65, timeout=DEADLINE_S)
        first = iter(range(64))

        def app(environ: dict[str, Any], start_response: Any) -> Any:
            if next(first, None) is not None:
                together.wait()  # goes on when all 64 are here, and the test
                assert gate.wait(DEADLINE_S)
            start_response("200 OK", PLAIN)
            return [b"%r" % environ["wsgi.multithread"]]

        def warn(text: str) -> None:
            warnings.append(text)
            warned.set()

        adapter = WSGIAdapter(app, warn=warn, warn_after_s=0.01)
        clients = [Client() for _ in range(70)]
        tasks = [asyncio.create_task(client.ask(adapter)) for client in clients]
        await asyncio.to_thread(together.wait)
        await asyncio.wait_for(warned.wait(), DEADLINE_S)
        tasks += [asyncio.create_task(client.ask(adapter)) for client in (Client(), Client())]
        await asyncio.sleep(0.05)
        assert adapter.busy() == 72
        gate.set()
        await asyncio.gather(*tasks)
        assert {client.content for client in clients} == {b"True"}
        assert len(warnings) == 1
        assert "all 64 WSGI threads are busy" in warnings[0]

    run(scenario)


def test_a_burst_that_is_soon_over_is_no_reason_to_warn() -> None:
    async def scenario() -> None:
        warnings: list[str] = []
        adapter = WSGIAdapter(answering([b"x"]), threads=1, warn=warnings.append, warn_after_s=DEADLINE_S)
        await asyncio.gather(*(Client().ask(adapter) for _ in range(20)))
        adapter.stop()
        assert warnings == []

    run(scenario)


def test_each_request_has_an_empty_context() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    seen: list[str | None] = []

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        seen.append(variable.get(None))
        variable.set("left behind")
        start_response("200 OK", PLAIN)
        return [b"x"]

    async def scenario() -> None:
        variable.set("of the task")
        adapter = WSGIAdapter(app, threads=1)
        for _ in range(3):
            await Client().ask(adapter)
        assert variable.get() == "of the task"

    run(scenario)
    assert seen == [None, None, None]


def test_stop_fails_the_requests_that_wait() -> None:
    async def scenario() -> None:
        begun, gate = asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        def app(environ: dict[str, Any], start_response: Any) -> Any:
            loop.call_soon_threadsafe(begun.set)
            assert gate.wait(DEADLINE_S)
            start_response("200 OK", PLAIN)
            return [b"x"]

        adapter = WSGIAdapter(app, threads=1)
        running, waiting = Client(), Client()
        first = asyncio.create_task(running.ask(adapter))
        await asyncio.wait_for(begun.wait(), DEADLINE_S)
        second = asyncio.create_task(waiting.ask(adapter))
        await asyncio.sleep(0)
        adapter.stop()
        with pytest.raises(RuntimeError, match="stopping"):
            await second
        with pytest.raises(RuntimeError, match="stopping"):
            await Client().ask(adapter)
        gate.set()
        await first
        assert running.content == b"x"
        await asyncio.wait_for(adapter.drained(), DEADLINE_S)

    run(scenario)


def test_a_loop_that_is_closed_lets_its_threads_go() -> None:
    result = Result(iter(lambda: b"x", b""))
    begun, gate = threading.Event(), threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", PLAIN)
        begun.set()
        assert gate.wait(DEADLINE_S)
        return result

    adapter = WSGIAdapter(app)

    async def abandon() -> None:
        task = asyncio.create_task(Client().ask(adapter))
        await asyncio.to_thread(begun.wait, DEADLINE_S)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(abandon())
    gate.set()
    assert result.closed.wait(DEADLINE_S)

    async def again() -> None:  # another loop
        client = Client()
        await client.ask(WSGIAdapter(answering([b"x"])))
        assert client.content == b"x"

    asyncio.run(again())


# --- other scope types ---


def websocket(extensions: dict[str, Any]) -> list[Event]:
    sent: list[Event] = []

    async def scenario() -> None:
        client = Client(type="websocket", extensions=extensions)
        await client.ask(WSGIAdapter(never))
        sent.extend(client.sent)

    run(scenario)
    return sent


def test_a_websocket_is_closed() -> None:
    assert websocket({}) == [{"type": "websocket.close", "code": 1000}]


def test_a_websocket_is_answered_404_where_the_engine_can() -> None:
    start, body = websocket({"websocket.http.response": {}})
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 404)
    assert dict(start["headers"])[b"content-length"] == b"%d" % len(body["body"])


def test_lifespan_is_for_others() -> None:
    async def scenario() -> None:
        with pytest.raises(ValueError, match="lifespan"):
            await Client(type="lifespan").ask(WSGIAdapter(never))

    run(scenario)


def test_input_is_readable_as_a_buffered_stream() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", PLAIN)
        text = io.TextIOWrapper(environ["wsgi.input"], "utf-8")
        return [text.read().encode()]

    assert post(app, "ü".encode()[:1], "ü".encode()[1:], headers=CHUNKED).content == "ü".encode()
