"""What the app raises becomes a page and a report, and never the end of the server."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from devserver.report import Occasion, Report, RequestFacts
from devserver.server.asgi import ASGIApp, Event, Receive, Scope, Send
from devserver.server.swallowed import swallowed
from devserver.server.web import held, reports
from devserver.server.web.capture import AnswerCutError, Brought, ErrorCapture
from devserver.server.web.client import Edition
from devserver.server.web.kept import FrameworkAnswer, KeptErrors
from devserver.server.web.tools import NO_TOOLS
from devserver.server.web.wsgi import WSGIAdapter

DEADLINE_S = 20.0
START: Event = {"type": "http.response.start", "status": 200, "headers": []}
END: Event = {"type": "http.response.body", "body": b"", "more_body": False}
Act = Callable[[Receive, Send], Any]


class Asked:
    """One request to a captured app."""

    def __init__(self, app: ASGIApp, *incoming: Event, framework_errors: bool = False) -> None:
        self.sent: list[Event] = []
        self.shown: list[Report] = []
        self.occasions: list[Occasion] = []
        self.incoming = list(incoming)
        self.kept = KeptErrors()
        self.brought = Brought()
        self.capture = ErrorCapture(
            app,
            make_report=self.report,
            show=self.shown.append,
            answer=self.answer,
            kept=self.kept,
            framework_errors=framework_errors,
        )

    def report(self, error: BaseException, occasion: Occasion, scope: Scope, brought: Brought) -> Report:
        self.brought = brought
        request = RequestFacts(scope.get("method", "WEBSOCKET"), "http://x/", "1.1", "", ())
        return Report(occasion, f"{type(error).__name__}: {error}", request=request, id=str(error))

    async def answer(self, report: Report, scope: Scope, send: Send) -> None:
        await reports.answer(report, scope, send, edition=Edition(1), tools=NO_TOOLS)

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


# --- answers of 500 and above ---

START_500: Event = {"type": "http.response.start", "status": 500, "headers": [(b"content-type", b"text/x-framework")]}
BODY: Event = {"type": "http.response.body", "body": b"sorry", "more_body": False}
PART: Event = {"type": "http.response.body", "body": b"sor", "more_body": True}
HTML, JSON, ANY = b"text/html", b"application/json", b"*/*"
THEIRS = [START_500, BODY]


def swallowing(error: Exception, *events: Event, replace: bool = True) -> ASGIApp:
    """An app whose framework keeps the error to itself."""

    async def called(scope: Scope, receive: Receive, send: Send) -> None:
        assert swallowed(error, replace=replace)
        for event in events:
            await send(event)

    return called


@dataclass(frozen=True)
class Case:
    app: ASGIApp
    is_page: bool
    accept: bytes = HTML
    framework_errors: bool = False
    shown: tuple[str, ...] = ("ValueError: x",)


def answering(*events: Event) -> ASGIApp:
    async def called(scope: Scope, receive: Receive, send: Send) -> None:
        for event in events:
            await send(event)

    return called


ERROR = ValueError("x")
CASES = {
    "a deliberate 500": Case(answering(*THEIRS), False, shown=()),
    "raised behind it": Case(raising(ERROR, *THEIRS), True),
    "raised behind it, an API client": Case(raising(ERROR, *THEIRS), False, accept=JSON),
    "raised behind it, a command line": Case(raising(ERROR, *THEIRS), False, accept=ANY),
    "raised behind it, its page first": Case(raising(ERROR, *THEIRS), False, framework_errors=True),
    "swallowed": Case(swallowing(ERROR, *THEIRS), True),
    "swallowed, an API client": Case(swallowing(ERROR, *THEIRS), False, accept=JSON),
    "swallowed, its page first": Case(swallowing(ERROR, *THEIRS), False, framework_errors=True),
    "swallowed, the user's answer": Case(swallowing(ERROR, *THEIRS, replace=False), False),
}


@pytest.mark.parametrize("name", list(CASES))
def test_an_answer_of_500(name: str) -> None:
    case = CASES[name]
    asked = Asked(case.app, framework_errors=case.framework_errors).http(accept=case.accept)
    if case.is_page:
        assert [event["type"] for event in asked.sent] == ["http.response.start", "http.response.body"]
        assert asked.sent[0]["status"] == 500
        assert b"ValueError" in asked.sent[1]["body"]
    else:
        assert asked.sent == THEIRS
    assert tuple(asked.titles) == case.shown
    kept = asked.kept.find("x")
    answer = FrameworkAnswer(500, ((b"content-type", b"text/x-framework"),), b"sorry")
    assert (None if kept is None else kept.framework_answer) == (answer if case.is_page else None)


def test_nothing_is_kept_of_a_report_without_an_id() -> None:
    asked = Asked(raising(ValueError(""), *THEIRS)).http()
    assert asked.titles == ["ValueError: "]
    assert len(asked.kept) == 0


def test_a_head_request_gets_the_head_of_the_page() -> None:
    start, body = Asked(raising(ERROR, START_500, {**BODY, "body": b""})).http(method="HEAD").sent
    assert (b"content-type", b"text/html; charset=utf-8") in start["headers"]
    assert body["body"] == b""


@pytest.mark.parametrize("accept", [HTML, JSON])
def test_half_an_answer_that_was_held_back_is_replaced_for_everybody(accept: bytes) -> None:
    asked = Asked(raising(ERROR, START_500, PART), framework_errors=True).http(accept=accept)
    assert b"ValueError" in asked.sent[1]["body"]
    assert len(asked.kept) == 0


def test_an_error_of_an_answer_below_500_is_told() -> None:
    asked = Asked(swallowing(ERROR, START, END)).http()
    assert asked.sent == [START, END]
    assert asked.titles == ["ValueError: x"]


def test_an_error_behind_a_complete_answer_is_one_in_the_background() -> None:
    asked = Asked(raising(ERROR, START, END)).http()
    assert asked.sent == [START, END]
    assert [(report.occasion, report.detail) for report in asked.shown] == [
        (Occasion.BACKGROUND, "after GET http://x/ was answered")
    ]


def test_an_event_that_the_engine_refuses_is_no_answer() -> None:
    class Strict(Asked):
        async def send(self, event: Event) -> None:
            if not self.sent and event["type"] != "http.response.start":
                raise RuntimeError("expected the start")
            await super().send(event)

    asked = Strict(answering(BODY)).http()
    assert b"expected the start" in asked.sent[1]["body"]


def test_an_error_that_led_to_another_is_told_with_it() -> None:
    async def fails_again(receive: Receive, send: Send) -> None:
        try:
            raise ERROR
        except ValueError as error:
            swallowed(error)
            raise KeyError("y") from error

    assert Asked(app(fails_again)).http().titles == ["KeyError: 'y'"]


def test_two_errors_are_both_told() -> None:
    async def fails_twice(receive: Receive, send: Send) -> None:
        swallowed(ERROR)
        raise KeyError("y")

    assert Asked(app(fails_twice)).http().titles == ["ValueError: x", "KeyError: 'y'"]


def test_an_error_is_swallowed_in_a_thread_or_another_task() -> None:
    async def in_thread(receive: Receive, send: Send) -> None:
        await asyncio.to_thread(swallowed, ERROR)
        for event in THEIRS:
            await asyncio.create_task(send(event))  # type: ignore[arg-type]  # it is a coroutine

    assert b"ValueError" in Asked(app(in_thread)).http().sent[1]["body"]


def test_an_error_is_swallowed_by_a_wsgi_app() -> None:
    """Its thread has an empty context but for the slot."""

    def fails(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        swallowed(ERROR)
        start_response("500 Internal Server Error", [])
        return [b"sorry"]

    scope = {
        "type": "http", "method": "GET", "path": "/", "raw_path": b"/", "root_path": "", "query_string": b"", "scheme": "http",
        "http_version": "1.1", "headers": [(b"accept", b"text/html")], "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1),
    }  # fmt: skip
    asked = Asked(WSGIAdapter(fails)).ask(scope)
    assert b"ValueError" in asked.sent[1]["body"]
    assert asked.titles == ["ValueError: x"]


def test_behind_the_end_of_a_request_nothing_is_swallowed() -> None:
    kept: list[bool] = []

    async def main() -> None:
        async def later() -> None:
            await over.wait()
            kept.append(swallowed(ERROR))

        async def begins(receive: Receive, send: Send) -> None:
            tasks.append(asyncio.create_task(later()))
            await send(START)
            await send(END)

        over, tasks = asyncio.Event(), list[asyncio.Task[None]]()
        asked = Asked(app(begins))
        await asked.capture({"type": "http", "method": "GET", "headers": []}, asked.receive, asked.send)
        over.set()
        await tasks[0]
        assert asked.shown == []

    asyncio.run(asyncio.wait_for(main(), DEADLINE_S))
    assert kept == [False]


@pytest.mark.parametrize(
    "last",
    [
        {"type": "http.response.body", "body": b"x" * held.MAX_HELD, "more_body": False},
        {"type": "http.response.pathsend", "path": "/tmp/file"},
        {"type": "http.response.zerocopysend", "file": 3},
    ],
    ids=["a large body", "a path", "a file"],
)
def test_what_cannot_be_held_goes_out(last: Event) -> None:
    asked = Asked(raising(ERROR, START_500, PART, last)).http()
    assert asked.sent == [START_500, PART, last]
    assert [report.occasion for report in asked.shown] == [Occasion.BACKGROUND]


def test_trailers_belong_to_the_answer() -> None:
    events = [{**START_500, "trailers": True}, BODY, {"type": "http.response.trailers", "headers": []}]
    assert Asked(answering(*events)).http().sent == events
    assert [event["type"] for event in Asked(raising(ERROR, *events)).http().sent] == [
        "http.response.start",
        "http.response.body",
    ]


def test_an_answer_whose_app_goes_on_is_not_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "HELD_S", 0.0)

    async def main() -> None:
        async def goes_on(receive: Receive, send: Send) -> None:
            await send(START_500)
            await send(PART)
            while PART not in asked.sent:
                await asyncio.sleep(0)
            await send(BODY)

        asked = Asked(app(goes_on))
        await asked.capture({"type": "http", "method": "GET", "headers": []}, asked.receive, asked.send)
        assert asked.sent == [START_500, PART, BODY]

    asyncio.run(asyncio.wait_for(main(), DEADLINE_S))


def test_a_complete_answer_goes_at_once_to_who_wants_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "HELD_S", 10 * DEADLINE_S)

    async def main() -> None:
        async def goes_on(receive: Receive, send: Send) -> None:
            await send(START_500)
            await send(BODY)
            assert asked.sent == THEIRS, "before the app has ended"

        asked = Asked(app(goes_on))
        scope = {"type": "http", "method": "GET", "headers": [(b"accept", JSON)]}
        await asked.capture(scope, asked.receive, asked.send)

    asyncio.run(asyncio.wait_for(main(), DEADLINE_S))


def test_an_app_that_waits_for_its_client_to_leave_is_not_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Quart does from 0.23 on. The engine cannot tell that the answer is complete while it is held."""
    monkeypatch.setattr(held, "HELD_S", 10 * DEADLINE_S)

    async def main() -> None:
        async def waits(receive: Receive, send: Send) -> None:
            async def until_left() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(until_left())
                await asyncio.sleep(0)
                await send(START_500)
                await send(BODY)

        async def never_left() -> Event:
            if body:
                return body.pop()
            await asyncio.Event().wait()
            raise AssertionError

        body: list[Event] = [{"type": "http.request", "body": b"", "more_body": False}]
        asked = Asked(app(waits))
        await asked.capture({"type": "http", "method": "GET", "headers": []}, never_left, asked.send)
        assert asked.sent == THEIRS

    asyncio.run(asyncio.wait_for(main(), DEADLINE_S))


def test_the_end_of_the_app_waits_for_what_is_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "HELD_S", 0.0)

    async def main() -> None:
        async def slow_send(event: Event) -> None:
            on_its_way.set()
            await asyncio.sleep(0)
            asked.sent.append(event)

        async def ends_meanwhile(receive: Receive, send: Send) -> None:
            await send(START_500)
            await send(BODY)
            await on_its_way.wait()

        on_its_way = asyncio.Event()
        asked = Asked(app(ends_meanwhile))
        await asked.capture({"type": "http", "method": "GET", "headers": []}, asked.receive, slow_send)
        assert asked.sent == THEIRS

    asyncio.run(asyncio.wait_for(main(), DEADLINE_S))


async def _cancelled(asked: Asked, began: asyncio.Event) -> None:
    """A request that is cancelled once it has begun."""
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    task = asyncio.ensure_future(asked.capture(scope, asked.receive, asked.send))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_request_that_is_cancelled_while_its_answer_is_held_says_why() -> None:
    async def main() -> None:
        async def hangs(receive: Receive, send: Send) -> None:
            await send(START_500)
            began.set()
            await asyncio.Event().wait()

        began = asyncio.Event()
        asked = Asked(app(hangs))
        await _cancelled(asked, began)
        assert [event.get("status") for event in asked.sent] == [503, None]

    asyncio.run(asyncio.wait_for(main(), DEADLINE_S))


def test_a_report_holds_up_no_other_request_and_is_shown_though_its_own_is_cancelled() -> None:
    async def main() -> None:
        class Slow(Asked):
            def report(self, error: BaseException, occasion: Occasion, scope: Scope, brought: Brought) -> Report:
                loop.call_soon_threadsafe(began.set)
                assert go_on.wait(DEADLINE_S)
                return super().report(error, occasion, scope, brought)

        loop, began, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
        slow = Slow(raising(ERROR))
        await _cancelled(slow, began)
        assert slow.sent[0]["status"] == 503
        go_on.set()
        while not slow.shown:
            await asyncio.sleep(0)

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


def test_an_error_that_a_framework_kept_from_a_websocket_is_told() -> None:
    asked = Asked(swallowing(ERROR, ACCEPT, CLOSE)).websocket()
    assert asked.sent == [ACCEPT, CLOSE]
    assert [(report.title, report.occasion) for report in asked.shown] == [("ValueError: x", Occasion.WEBSOCKET)]


def test_other_scopes_pass() -> None:
    asked = Asked(raising(ValueError("x")))
    with pytest.raises(ValueError, match="x"):
        asked.ask({"type": "lifespan"})
    assert asked.shown == []


@pytest.mark.parametrize(
    ("method", "content_type", "kept"),
    [
        ("POST", b"application/x-www-form-urlencoded", b"a=1&b=2"),
        ("PUT", b"Multipart/Form-Data; boundary=x", b"a=1&b=2"),
        ("POST", b"application/json", b"a=1&b=2"),
        ("POST", b"application/octet-stream", b""),
        ("POST", b"", b""),
        ("GET", b"application/x-www-form-urlencoded", b""),
    ],
)
def test_a_form_is_kept_for_the_report(method: str, content_type: bytes, kept: bytes) -> None:
    asked = Asked(
        raising(ERROR, receives=2),
        {"type": "http.request", "body": b"a=1", "more_body": True},
        {"type": "http.request", "body": b"&b=2", "more_body": False},
    )
    headers = [(b"accept", b"text/html"), (b"content-type", content_type)]
    asked.ask({"type": "http", "method": method, "path": "/", "headers": headers})
    assert asked.brought.body == kept


def test_of_a_large_form_the_beginning_is_kept() -> None:
    part: Event = {"type": "http.request", "body": b"x" * 40_000, "more_body": True}
    asked = Asked(raising(ERROR, receives=9), *[part] * 9)
    headers = [(b"content-type", b"multipart/form-data; boundary=x")]
    asked.ask({"type": "http", "method": "POST", "path": "/", "headers": headers})
    assert len(asked.brought.body) == 80_000


def test_the_frameworks_session_is_in_the_report() -> None:
    async def view(receive: Receive, send: Send) -> None:
        swallowed(ERROR, session={"cart": 1})
        await send(START_500)
        await send(END)

    assert Asked(app(view)).http().brought.session == {"cart": 1}


@pytest.mark.parametrize(("status", "titles"), [(400, []), (500, ["ValueError: x"])])
def test_an_error_that_was_dealt_with_is_none(status: int, titles: list[str]) -> None:
    async def view(receive: Receive, send: Send) -> None:
        swallowed(ERROR, replace=False, if_failed=True)
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send(END)

    asked = Asked(app(view)).http()
    assert asked.titles == titles
    assert asked.sent[0]["status"] == status


@pytest.mark.parametrize(
    ("events", "framework_errors", "accept", "media_type"),
    [
        ([], False, b"text/html", "text/html"),
        ([], False, b"application/json", "application/json"),
        ([], True, b"text/html", "text/html"),
        ([START_500, END], False, b"text/html", "text/html"),
        ([START_500, END], False, b"application/json", ""),
        ([START_500, END], True, b"text/html", ""),
        ([START, END], False, b"text/html", ""),
    ],
)
def test_variables_are_for_who_sees_them(
    events: list[Event], framework_errors: bool, accept: bytes, media_type: str
) -> None:
    asked = Asked(raising(ERROR, *events), framework_errors=framework_errors).http(accept=accept)
    assert asked.brought.media_type == media_type
