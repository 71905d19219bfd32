"""The server's own addresses: for its own pages, and for nobody else's."""

from __future__ import annotations

import asyncio
import json

import pytest

from devserver.messages import PinJudged
from devserver.server.asgi import Event, Receive, Scope, Send
from devserver.server.web.error_api import ErrorAPI, Keys
from devserver.server.web.internal import InternalPages
from devserver.server.web.kept import KeptErrors


def nothing_kept() -> ErrorAPI:
    async def judge(pin: str) -> PinJudged:
        raise AssertionError

    return ErrorAPI(KeptErrors(), Keys("", ""), show_pin=lambda: None, judge=judge, edit=None)


class Answer:
    """What a request to the internal pages got; `status` 0 if it went to the app."""

    def __init__(self, path: str, *headers: tuple[bytes, bytes], method: str = "GET", kind: str = "http") -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        scope = {
            "type": kind,
            "method": method,
            "path": path,
            "scheme": "http",
            "headers": [(b"host", b"localhost:8000"), *headers],
        }
        asyncio.run(InternalPages(self._app, run="run-1", errors=nothing_kept())(scope, self._receive, self._send))

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.status = 0

    async def _receive(self) -> Event:
        return {"type": "http.request"}

    async def _send(self, event: Event) -> None:
        if event["type"] == "http.response.start":
            self.status = event["status"]
            self.headers = dict(event["headers"])
        else:
            self.body += event["body"]


STATE = "/__devserver__/state"


def test_the_state() -> None:
    answer = Answer(STATE)
    assert answer.status == 200
    assert json.loads(answer.body) == {"run": "run-1"}
    assert answer.headers[b"content-type"] == b"application/json"
    assert answer.headers[b"content-length"] == b"%d" % len(answer.body)


@pytest.mark.parametrize("path", [STATE, "/__devserver__/nothing", "/__devserver__/assets/page.js"])
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
@pytest.mark.parametrize("path", [STATE, "/__devserver__/assets/page.css", "/__devserver__/nothing"])
def test_who_may_ask(path: str, headers: list[tuple[bytes, bytes]], status: int) -> None:
    answer = Answer(path, *headers)
    assert answer.status == (404 if status == 200 and path.endswith("nothing") else status)
    assert (b"run-1" in answer.body) is (status == 200 and path == STATE)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_changed(method: str) -> None:
    answer = Answer(STATE, method=method)
    assert answer.status == 405
    assert answer.headers[b"allow"] == b"GET, HEAD"


def test_head() -> None:
    answer = Answer(STATE, method="HEAD")
    assert answer.status == 200
    assert answer.body == b""
    assert int(answer.headers[b"content-length"]) > 0


@pytest.mark.parametrize(("name", "kind"), [("page.js", b"text/javascript"), ("page.css", b"text/css")])
def test_assets(name: str, kind: bytes) -> None:
    answer = Answer(f"/__devserver__/assets/{name}")
    assert answer.status == 200
    assert answer.headers[b"content-type"].startswith(kind)
    assert answer.body


@pytest.mark.parametrize(
    "path",
    [
        "/__devserver__/",
        "/__devserver__/assets/",
        "/__devserver__/assets/error.html",
        "/__devserver__/assets/../internal.py",
        "/__devserver__/assets/page.js/",
        "/__devserver__/state/",
        "/__devserver__//state",
    ],
)
def test_there_is_nothing_else(path: str) -> None:
    assert Answer(path).status == 404


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/", "http"), ("/__devserver__", "http"), ("/x/__devserver__/state", "http"), (STATE, "websocket")],
)
def test_the_rest_is_the_apps(path: str, kind: str) -> None:
    answer = Answer(path, kind=kind)
    assert answer.status == 0
    assert answer.body == b""
