"""One line for each answer, whatever became of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from devserver.server.asgi import ASGIApp, Event, Receive, Scope, Send
from devserver.server.web.requestlog import RequestLog

DEADLINE_S = 20.0
Line = tuple[str, str, int, int]


def log_of(app: ASGIApp, scope: dict[str, Any], *, fails: bool = False) -> list[Line]:
    """The lines that a call of `app` leads to."""
    lines: list[Line] = []

    def write(method: str, path: str, status: int, size: int, seconds: float) -> None:
        assert 0 <= seconds < DEADLINE_S
        lines.append((method, path, status, size))

    async def receive() -> Event:
        raise AssertionError

    async def send(event: Event) -> None:
        sent.append(event)

    async def main() -> None:
        await asyncio.wait_for(RequestLog(app, write)(scope, receive, send), DEADLINE_S)

    sent: list[Event] = []
    if fails:
        with pytest.raises(ValueError, match="mine"):
            asyncio.run(main())
    else:
        asyncio.run(main())
    return lines


def sending(*events: Event, error: Exception | None = None) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for event in events:
            await send(event)
        if error is not None:
            raise error

    return app


def http(method: str = "GET", raw_path: bytes = b"/", query: bytes = b"") -> dict[str, Any]:
    return {"type": "http", "method": method, "path": "/", "raw_path": raw_path, "query_string": query}


WEBSOCKET = {"type": "websocket", "path": "/ws", "raw_path": b"/ws", "query_string": b"a=b"}


def start(status: int) -> Event:
    return {"type": "http.response.start", "status": status, "headers": []}


def body(content: bytes, *, more: bool = False) -> Event:
    return {"type": "http.response.body", "body": content, "more_body": more}


@pytest.mark.parametrize(
    ("scope", "events", "line"),
    [
        (http(), [start(200), body(b"abc")], ("GET", "/", 200, 3)),
        (http(), [start(200), {"type": "http.response.body"}], ("GET", "/", 200, 0)),
        (http(), [start(200), body(b"abc", more=True), body(b"de", more=True), body(b"")], ("GET", "/", 200, 5)),
        (http("HEAD"), [start(200), body(b"abc")], ("HEAD", "/", 200, 0)),
        (http("DELETE"), [start(204), body(b"")], ("DELETE", "/", 204, 0)),
        (http(raw_path=b"/a%20b", query=b"x=%1b"), [start(404), body(b"")], ("GET", "/a%20b?x=%1b", 404, 0)),
        (http() | {"raw_path": None, "path": "/ü"}, [start(200), body(b"")], ("GET", "/\xc3\xbc", 200, 0)),
        (WEBSOCKET, [{"type": "websocket.accept"}, {"type": "websocket.close"}], ("WS", "/ws?a=b", 101, 0)),
        (WEBSOCKET, [{"type": "websocket.close"}], ("WS", "/ws?a=b", 403, 0)),
        (WEBSOCKET, [{"type": "websocket.http.response.start", "status": 404}], ("WS", "/ws?a=b", 404, 0)),
        (WEBSOCKET, [], ("WS", "/ws?a=b", 500, 0)),
    ],
)
def test_lines(scope: dict[str, Any], events: list[Event], line: Line) -> None:
    assert log_of(sending(*events), scope) == [line]


@pytest.mark.parametrize(
    ("scope", "events", "line"),
    [
        (http(), [], ("GET", "/", 0, 0)),
        (http(), [start(200), body(b"abc", more=True)], ("GET", "/", 200, 3)),
        (WEBSOCKET, [], ("WS", "/ws?a=b", 500, 0)),
    ],
)
def test_answers_that_were_cut_have_a_line_too(scope: dict[str, Any], events: list[Event], line: Line) -> None:
    assert log_of(sending(*events, error=ValueError("mine")), scope, fails=True) == [line]


def test_a_client_that_left_before_an_answer() -> None:
    assert log_of(sending(), http()) == [("GET", "/", 0, 0)]


@pytest.mark.parametrize(("status", "lines"), [(200, 0), (403, 1), (404, 1)])
def test_what_pages_do_by_themselves_is_no_news(status: int, lines: int) -> None:
    """The client in pages asks after each save; who is refused is told of."""
    scope = {**http(raw_path=b"/__devserver__/client.js"), "path": "/__devserver__/client.js"}
    assert len(log_of(sending(start(status), {"type": "http.response.body", "body": b""}), scope)) == lines


def test_an_event_stream_that_went_elsewhere_is_no_news() -> None:
    scope = {**http(raw_path=b"/__devserver__/events"), "path": "/__devserver__/events"}
    assert log_of(sending(), scope) == []


def test_the_line_comes_when_the_answer_is_complete() -> None:
    """Not when background tasks that follow it have ended."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(200))
        order.append("started")
        await send(body(b"x"))
        order.append("background")

    async def main() -> None:
        log = RequestLog(app, lambda *line: order.append("logged"))
        await log(http(), None, send)  # type: ignore[arg-type]

    async def send(event: Event) -> None:
        order.append(event["type"].rpartition(".")[2])

    order: list[str] = []
    asyncio.run(main())
    assert order == ["start", "started", "body", "logged", "background"]


def test_other_scopes_have_no_line() -> None:
    assert log_of(sending(), {"type": "lifespan"}) == []
