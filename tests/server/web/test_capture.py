"""What the app raises becomes a page and a report, and never the end of the server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from devserver.report import Occasion, Report
from devserver.server.asgi import ASGIApp, Event, Receive, Scope, Send
from devserver.server.web import reports
from devserver.server.web.capture import AnswerCutError, ErrorCapture
from devserver.server.web.tools import NO_TOOLS

DEADLINE_S = 20.0
START: Event = {"type": "http.response.start", "status": 200, "headers": []}
END: Event = {"type": "http.response.body", "body": b"", "more_body": False}
Act = Callable[[Receive, Send], Any]


class Asked:
    """One request to a captured app."""

    def __init__(self, app: ASGIApp, *incoming: Event) -> None:
        self.sent: list[Event] = []
        self.shown: list[Report] = []
        self.occasions: list[Occasion] = []
        self.incoming = list(incoming)
        self.capture = ErrorCapture(app, make_report=self.report, show=self.shown.append, answer=self.answer)

    def report(self, error: BaseException, occasion: Occasion, scope: Scope) -> Report:
        return Report(occasion, f"{type(error).__name__}: {error}")

    async def answer(self, report: Report, scope: Scope, send: Send) -> None:
        await reports.answer(report, scope, send, run="run", tools=NO_TOOLS)

    async def receive(self) -> Event:
        return self.incoming.pop(0)

    async def send(self, event: Event) -> None:
        self.sent.append(event)

    def http(self, method: str = "GET", accept: bytes = b"text/html") -> Asked:
        scope = {"type": "http", "method": method, "path": "/", "headers": [(b"accept", accept)]}
        return self.ask(scope)

    def websocket(self) -> Asked:
        return self.ask({"type": "websocket", "path": "/", "headers": []})

    def ask(self, scope: dict[str, Any]) -> Asked:
        asyncio.run(asyncio.wait_for(self.capture(scope, self.receive, self.send), DEADLINE_S))
        return self

    @property
    def titles(self) -> list[str]:
        return [report.title for report in self.shown]


def app(act: Callable[[Receive, Send], Any]) -> ASGIApp:
    async def called(scope: Scope, receive: Receive, send: Send) -> None:
        await act(receive, send)

    return called


def raising(error: BaseException, *events: Event, receives: int = 0) -> ASGIApp:
    """An app that receives, sends, and raises."""

    async def called(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(receives):
            await receive()
        for event in events:
            await send(event)
        raise error

    return called


def named(name: str, base: type[Exception] = Exception) -> Exception:
    error: Exception = type(name, (base,), {})("1001")
    return error


def test_what_works_passes() -> None:
    async def works(receive: Receive, send: Send) -> None:
        await send(START)
        await send(END)

    asked = Asked(app(works)).http()
    assert asked.sent == [START, END]
    assert asked.shown == []


@pytest.mark.parametrize(
    "error",
    [ValueError("x"), SystemExit("x"), KeyboardInterrupt("x"), BaseException("x"), asyncio.CancelledError("x")],
    ids=repr,
)
def test_an_error_before_the_answer_becomes_a_page(error: BaseException) -> None:
    """A cancellation too, if it was not us: the app waited for a task of its own that it had cancelled."""
    asked = Asked(raising(error)).http()
    start, body = asked.sent
    assert start["status"] == 500
    assert (b"content-type", b"text/html; charset=utf-8") in start["headers"]
    assert type(error).__name__.encode() in body["body"]
    assert asked.titles == [f"{type(error).__name__}: x"]
    assert asked.shown[0].occasion is Occasion.REQUEST


def test_the_page_is_what_the_client_wants() -> None:
    asked = Asked(raising(ValueError("x"))).http(accept=b"application/json")
    assert "ValueError" in json.dumps(json.loads(asked.sent[1]["body"]))
    asked = Asked(raising(ValueError("x"))).http(method="HEAD")
    assert asked.sent[0]["status"] == 500
    assert asked.sent[1]["body"] == b""


def test_an_error_in_the_answer_cuts_it() -> None:
    asked = Asked(raising(ValueError("x"), START))
    with pytest.raises(AnswerCutError):
        asked.http()
    assert asked.sent == [START]
    assert asked.titles == ["ValueError: x"]


def test_no_answer_is_an_error() -> None:
    async def nothing(receive: Receive, send: Send) -> None: ...

    asked = Asked(app(nothing)).http()
    assert asked.sent[0]["status"] == 500
    assert asked.titles == ["NoAnswerError: the application returned without sending a response"]


def test_no_answer_to_a_client_that_left_is_none() -> None:
    async def gives_up(receive: Receive, send: Send) -> None:
        await receive()

    asked = Asked(app(gives_up), {"type": "http.disconnect"}).http()
    assert asked.sent == []
    assert asked.shown == []


def test_a_client_that_leaves_is_no_error_of_the_app() -> None:
    """Starlette raises ClientDisconnect where the body was to be read."""
    asked = Asked(raising(named("ClientDisconnect"), receives=1), {"type": "http.disconnect"}).http()
    assert asked.sent == []
    assert asked.shown == []
    asked = Asked(raising(named("ClientDisconnect"))).http()  # nobody left
    assert asked.sent[0]["status"] == 500


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_request_that_is_cancelled_says_why(method: str) -> None:
    async def main() -> None:
        async def hangs(receive: Receive, send: Send) -> None:
            began.set()
            await asyncio.Event().wait()

        began = asyncio.Event()
        asked = Asked(app(hangs))
        scope = {"type": "http", "method": method, "path": "/", "headers": []}
        task = asyncio.ensure_future(asked.capture(scope, asked.receive, asked.send))
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asked.sent[0]["status"] == 503
        assert (b"--grace" in asked.sent[1]["body"]) is (method == "GET")
        assert asked.shown == []

    asyncio.run(asyncio.wait_for(main(), DEADLINE_S))


# --- WebSockets ---

ACCEPT: Event = {"type": "websocket.accept"}
CLOSE: Event = {"type": "websocket.close", "code": 1000}


def test_an_error_in_a_websocket_closes_it_with_1011() -> None:
    asked = Asked(raising(ValueError("x"), ACCEPT)).websocket()
    assert asked.sent[0] == ACCEPT
    assert asked.sent[1]["type"] == "websocket.close"
    assert asked.sent[1]["code"] == 1011
    assert asked.titles == ["ValueError: x"]
    assert asked.shown[0].occasion is Occasion.WEBSOCKET


def test_an_error_before_it_was_accepted_refuses_it() -> None:
    asked = Asked(raising(ValueError("x")))
    with pytest.raises(AnswerCutError):
        asked.websocket()
    assert asked.sent == []
    assert asked.titles == ["ValueError: x"]


def test_an_error_after_the_end_is_only_told() -> None:
    asked = Asked(raising(ValueError("x"), ACCEPT, CLOSE)).websocket()
    assert asked.sent == [ACCEPT, CLOSE]
    assert asked.titles == ["ValueError: x"]
    left = {"type": "websocket.disconnect", "code": 1001}
    asked = Asked(raising(ValueError("x"), ACCEPT, receives=1), left).websocket()
    assert asked.sent == [ACCEPT]
    assert asked.titles == ["ValueError: x"]


@pytest.mark.parametrize("error", [named("WebSocketDisconnect"), named("ClientDisconnected", OSError)], ids=repr)
def test_a_websocket_client_that_leaves_is_no_error_of_the_app(error: Exception) -> None:
    asked = Asked(raising(error, ACCEPT)).websocket()
    assert asked.sent == [ACCEPT]
    assert asked.shown == []


def test_other_scopes_pass() -> None:
    asked = Asked(raising(ValueError("x")))
    with pytest.raises(ValueError, match="x"):
        asked.ask({"type": "lifespan"})
    assert asked.shown == []
