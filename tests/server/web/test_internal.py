"""The server's own addresses: for its own pages, and for nobody else's."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from typing import Any

import pytest

from devserver.messages import PinJudged
from devserver.server.asgi import LEAVE, Event, Receive, Scope, Send
from devserver.server.web.client import client_source
from devserver.server.web.error_api import ErrorAPI, Keys
from devserver.server.web.internal import MAX_SAID, InternalPages
from devserver.server.web.kept import KeptErrors


def nothing_kept() -> ErrorAPI:
    async def judge(pin: str) -> PinJudged:
        raise AssertionError

    return ErrorAPI(KeptErrors(), Keys("", ""), show_pin=lambda: None, judge=judge, edit=None)


class Answer:
    """What a request to the internal pages got; `status` 0 if it went to the app."""

    def __init__(
        self,
        path: str,
        *headers: tuple[bytes, bytes],
        method: str = "GET",
        kind: str = "http",
        body: bytes = b"",
        leave: Callable[[], int] | None = None,
    ) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        scope: dict[str, Any] = {
            "type": kind,
            "method": method,
            "path": path,
            "scheme": "http",
            "client": ("127.0.0.1", 50_000),
            "headers": [(b"host", b"localhost:8000"), *headers],
        }
        if leave is not None:
            scope["extensions"] = {LEAVE: leave}
        self.streams: list[int] = []
        self.said: list[tuple[bytes, str]] = []
        self._left: list[Event] = [
            {"type": "http.request", "body": body},
            {"type": "http.disconnect"},
        ]
        pages = InternalPages(
            self._app,
            errors=nothing_kept(),
            stream_opened=self.streams.append,
            browser_said=lambda *said: self.said.append(said),
        )
        asyncio.run(pages(scope, self._receive, self._send))

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.status = 0

    async def _receive(self) -> Event:
        return self._left.pop(0)

    async def _send(self, event: Event) -> None:
        if event["type"] == "http.response.start":
            self.status = event["status"]
            self.headers = dict(event["headers"])
        else:
            self.body += event["body"]


CLIENT = "/__devserver__/client.js"
STYLE = "/__devserver__/assets/page.css"
EVENTS = "/__devserver__/events"


def test_the_client_is_kept_by_browsers() -> None:
    answer = Answer(CLIENT)
    assert answer.status == 200
    assert answer.body.decode() == client_source()
    assert answer.headers[b"content-type"] == b"text/javascript; charset=utf-8"
    assert answer.headers[b"content-length"] == b"%d" % len(answer.body)
    assert b"immutable" in answer.headers[b"cache-control"]
    assert answer.headers[b"cross-origin-resource-policy"] == b"same-origin"


# --- event streams ---


def test_a_stream_goes_to_who_holds_streams() -> None:
    answer = Answer(EVENTS, leave=lambda: 7)
    assert answer.streams == [7]
    assert answer.status == 0, "nothing was answered here"


@pytest.mark.parametrize(
    "header", [(b"origin", b"http://evil.example"), (b"origin", b"null"), (b"sec-fetch-site", b"same-site")]
)
def test_no_stream_for_foreign_pages(header: tuple[bytes, bytes]) -> None:
    answer = Answer(EVENTS, header, leave=lambda: 7)
    assert answer.status == 403
    assert not answer.streams


def test_a_stream_without_descriptors() -> None:
    def leave() -> int:
        raise OSError(errno.EMFILE, "too many")

    answer = Answer(EVENTS, leave=leave)
    assert answer.status == 503
    assert not answer.streams


@pytest.mark.parametrize(("method", "status"), [("HEAD", 404), ("POST", 405)])
def test_only_get_opens_a_stream(method: str, status: int) -> None:
    answer = Answer(EVENTS, method=method, leave=lambda: 7)
    assert answer.status == status
    assert not answer.streams


# --- what pages say ---


def test_what_a_page_says_is_passed_on() -> None:
    answer = Answer("/__devserver__/browser", method="POST", body=b"{}")
    assert answer.status == 204
    assert answer.said == [(b"{}", "127.0.0.1")]


def test_too_much_is_not_heard() -> None:
    answer = Answer("/__devserver__/browser", method="POST", body=b"x" * (MAX_SAID + 1))
    assert answer.status == 413
    assert not answer.said


def test_foreign_pages_say_nothing() -> None:
    answer = Answer("/__devserver__/browser", (b"origin", b"http://evil.example"), method="POST", body=b"{}")
    assert answer.status == 403
    assert not answer.said


# --- who may ask ---


@pytest.mark.parametrize("path", [STYLE, "/__devserver__/nothing"])
def test_answers_are_for_nobody_else(path: str) -> None:
    headers = Answer(path).headers
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"cross-origin-resource-policy"] == b"same-origin"
    assert not any(name.startswith(b"access-control") for name in headers)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], 200),
        ([(b"origin", b"http://localhost:8000")], 200),
        ([(b"origin", b"http://localhost:8000"), (b"sec-fetch-site", b"same-origin")], 200),
        ([(b"sec-fetch-site", b"none")], 200),  # a person typed it
        ([(b"origin", b"null")], 403),
        ([(b"origin", b"")], 403),
        ([(b"origin", b"http://localhost")], 403),
        ([(b"origin", b"http://localhost:8001")], 403),
        ([(b"origin", b"https://localhost:8000")], 403),
        ([(b"origin", b"http://localhost:8000.evil.example")], 403),
        ([(b"origin", b"http://evil.example")], 403),
        ([(b"sec-fetch-site", b"cross-site")], 403),
        ([(b"sec-fetch-site", b"same-site")], 403),  # another port of this machine
        ([(b"sec-fetch-site", b"same-origin"), (b"origin", b"http://evil.example")], 403),
        ([(b"sec-fetch-site", b"cross-site"), (b"origin", b"http://localhost:8000")], 403),
        ([(b"origin", b"http://evil.example"), (b"origin", b"http://localhost:8000")], 403),
        ([(b"sec-fetch-site", b"cross-site"), (b"sec-fetch-site", b"none")], 403),
    ],
)
@pytest.mark.parametrize("path", [CLIENT, STYLE, "/__devserver__/nothing"])
def test_who_may_ask(path: str, headers: list[tuple[bytes, bytes]], status: int) -> None:
    answer = Answer(path, *headers)
    assert answer.status == (404 if status == 200 and path.endswith("nothing") else status)
    assert (b"EventSource" in answer.body) is (status == 200 and path == CLIENT)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_changed(method: str) -> None:
    answer = Answer(CLIENT, method=method)
    assert answer.status == 405
    assert answer.headers[b"allow"] == b"GET, HEAD"


def test_head() -> None:
    answer = Answer(CLIENT, method="HEAD")
    assert answer.status == 200
    assert answer.body == b""
    assert int(answer.headers[b"content-length"]) > 0


def test_assets() -> None:
    answer = Answer(STYLE)
    assert answer.status == 200
    assert answer.headers[b"content-type"].startswith(b"text/css")
    assert answer.body


@pytest.mark.parametrize(
    "path",
    [
        "/__devserver__/",
        "/__devserver__/assets/",
        "/__devserver__/assets/error.html",
        "/__devserver__/assets/../internal.py",
        "/__devserver__/assets/page.css/",
        "/__devserver__/client.js/",
        "/__devserver__//client.js",
    ],
)
def test_there_is_nothing_else(path: str) -> None:
    assert Answer(path).status == 404


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/", "http"), ("/__devserver__", "http"), ("/x/__devserver__/client.js", "http"), (CLIENT, "websocket")],
)
def test_the_rest_is_the_apps(path: str, kind: str) -> None:
    answer = Answer(path, kind=kind)
    assert answer.status == 0
    assert answer.body == b""
