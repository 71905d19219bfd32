"""Which answers get the client, and that all else passes unchanged."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from devserver.server.asgi import Event, Receive, Scope, Send
from devserver.server.web.client import Edition, client_source, client_tag
from devserver.server.web.livereload import LiveReload, shows_document

Headers = Sequence[tuple[bytes, bytes]]
NAVIGATION: Headers = [
    (b"sec-fetch-dest", b"document"),
    (b"accept-encoding", b"gzip, br"),
    (b"host", b"localhost:8000"),
]
HTML = (b"content-type", b"text/html; charset=utf-8")
EDITION = Edition(5, 2)
TAG = client_tag(EDITION).encode()


class Asked:
    """A request to an app that answers so; `scope` is what the app saw."""

    def __init__(
        self,
        *pieces: bytes,
        headers: Headers = (HTML,),
        status: int = 200,
        asks: Headers = NAVIGATION,
        method: str = "GET",
        path: str = "/a",
    ) -> None:
        self.sent: list[Event] = []
        self.notices: list[str] = []
        self.asked_before: list[str] = []
        self.told: list[str] = []
        self.found_missing: list[str] = []
        self.scope: Scope = {}

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            self.scope = scope
            await send({"type": "http.response.start", "status": status, "headers": list(headers)})
            for piece in pieces[:-1]:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": pieces[-1] if pieces else b""})

        live = LiveReload(app, tag=partial(client_tag, EDITION), files=self, notice=self.notices.append)
        scope = {"type": "http", "method": method, "path": path, "scheme": "http", "headers": list(asks)}
        asyncio.run(live(scope, self._receive, self._send))

    async def _receive(self) -> Event:
        raise AssertionError

    async def _send(self, event: Event) -> None:
        self.sent.append(event)

    def about_to_send(self, url: str) -> bool:
        assert not self.scope, "before the app reads it"
        self.asked_before.append(url)
        return url.startswith("/static/")

    def answered(self, url: str) -> None:
        self.told.append(url)

    def missed(self, url: str) -> None:
        self.found_missing.append(url)

    @property
    def body(self) -> bytes:
        return b"".join(event.get("body", b"") for event in self.sent)

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])


def test_a_page_gets_the_client_and_its_length_is_right() -> None:
    page = b"<!doctype html><p>x"
    asked = Asked(page, headers=[HTML, (b"Content-Length", b"%d" % len(page))])
    assert asked.body == b"<!doctype html>" + TAG + b"<p>x"
    assert asked.headers[b"Content-Length"] == b"%d" % len(asked.body)


def test_pieces_pass_as_they_come() -> None:
    asked = Asked(b"", b"<html>", b"<p>", b"y")
    assert [event.get("body") for event in asked.sent[1:]] == [b"<html>", TAG + b"<p>", b"y"]


def test_head_says_the_length_of_get() -> None:
    asked = Asked(b"", headers=[HTML, (b"content-length", b"19")], method="HEAD")
    assert asked.headers[b"content-length"] == b"%d" % (19 + len(TAG))
    assert asked.body == b""


def test_a_navigation_is_asked_for_uncompressed() -> None:
    assert b"accept-encoding" not in dict(Asked(b"x").scope["headers"])
    other = Asked(b"x", asks=[(b"sec-fetch-dest", b"empty"), (b"accept-encoding", b"gzip")])
    assert dict(other.scope["headers"])[b"accept-encoding"] == b"gzip"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(b"content-type", b"text/plain")], 200),
        ([(b"content-type", b"application/xhtml+xml")], 200),
        ([], 200),
        ([HTML, (b"content-encoding", b"gzip")], 200),
        ([HTML, (b"content-disposition", b"attachment; filename=a.html")], 200),
        ([HTML, (b"x-devserver-livereload", b"off")], 200),
        ([HTML, (b"content-range", b"bytes 0-1/9")], 206),
        ([HTML], 304),
        ([HTML], 204),
        ([HTML, (b"content-length", b"0")], 200),
    ],
)
def test_what_stays_as_it_is(headers: Headers, status: int) -> None:
    body = gzip.compress(b"x") if (b"content-encoding", b"gzip") in headers else b"<p>x"
    if (b"content-length", b"0") in headers:
        body = b""
    asked = Asked(body, headers=headers, status=status)
    assert asked.sent == [
        {"type": "http.response.start", "status": status, "headers": list(headers)},
        {"type": "http.response.body", "body": body},
    ]


@pytest.mark.parametrize("status", [200, 201, 400, 404, 500, 503])
def test_pages_about_errors_get_it_too(status: int) -> None:
    assert TAG in Asked(b"<p>x", status=status).body


@pytest.mark.parametrize(
    ("asks", "expected"),
    [
        ([(b"sec-fetch-dest", b"document")], True),
        ([(b"sec-fetch-dest", b"iframe")], True),
        ([(b"sec-fetch-dest", b"empty"), (b"accept", b"text/html")], False),  # fetch, htmx
        ([(b"sec-fetch-dest", b"script")], False),
        ([(b"sec-fetch-dest", b"empty"), (b"sec-fetch-mode", b"navigate")], True),  # by a service worker
        ([(b"sec-fetch-dest", b"empty"), (b"sec-fetch-mode", b"cors")], False),
        # plain http in a local network: browsers say less
        ([(b"accept", b"text/html,application/xhtml+xml,*/*;q=0.8"), (b"upgrade-insecure-requests", b"1")], True),
        ([(b"accept", b"text/html")], False),
        ([(b"accept", b"*/*")], False),  # curl
        ([], False),
    ],
)
def test_what_becomes_a_document(asks: Headers, expected: bool) -> None:
    assert shows_document({"headers": asks}) is expected
    assert (b"<script" in Asked(b"<p>x", asks=asks).body) is expected


def test_the_answer_to_a_form_asks_before_it_loads_again() -> None:
    assert b" data-ask" in Asked(b"<p>x", method="POST").body
    assert b" data-ask" not in Asked(b"<p>x").body


# --- policies ---


def with_policy(policy: str) -> Asked:
    return Asked(b"<p>x", headers=[HTML, (b"Content-Security-Policy", policy.encode())])


def test_the_nonce_of_a_page_is_used() -> None:
    assert b' nonce="abc-_9=="' in with_policy("script-src 'nonce-abc-_9=='; connect-src 'self'").body


def test_what_is_no_nonce_is_not_repeated() -> None:
    assert b'"><img' not in with_policy("script-src 'nonce-\"><img>'").body


def test_a_policy_that_forbids_it_is_told_and_stays() -> None:
    asked = with_policy("default-src 'none'")
    assert asked.body == b"<p>x"
    assert asked.headers[b"Content-Security-Policy"] == b"default-src 'none'"
    (notice,) = asked.notices
    assert "default-src" in notice


def test_a_policy_that_is_only_reported_forbids_nothing() -> None:
    headers = [HTML, (b"content-security-policy-report-only", b"default-src 'none'")]
    assert TAG in Asked(b"<p>x", headers=headers).body


# --- encodings ---


@pytest.mark.parametrize("charset", ["utf-16", "utf-16-le"])
def test_wide_encodings(charset: str) -> None:
    page = "<!doctype html><p>ü".encode(charset)
    headers = [(b"content-type", f"text/html; charset={charset}".encode()), (b"content-length", b"%d" % len(page))]
    asked = Asked(page[:5], page[5:], headers=headers)
    assert asked.body.decode("utf-16-le").lstrip("\ufeff") == "<!doctype html><p>ü" + TAG.decode()
    assert asked.headers[b"content-length"] == b"%d" % len(asked.body)


@pytest.mark.parametrize("charset", ["iso-8859-1", "shift_jis", "koi8-r"])
def test_other_encodings(charset: str) -> None:
    page = "<title>x</title><p>".encode(charset) + b"\xe9"
    asked = Asked(page, headers=[(b"content-type", f"text/html; charset={charset}".encode())])
    assert asked.body == page.replace(b"<p>", TAG + b"<p>")


# --- what is not answered to its end ---


def test_an_app_that_fails_after_its_headers_is_cut_behind_them() -> None:
    sent: list[Event] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [HTML]})
        raise LookupError

    async def send(event: Event) -> None:
        sent.append(event)

    live = LiveReload(app, tag=partial(client_tag, EDITION), files=Asked(b""), notice=lambda text: None)
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "scheme": "http", "headers": NAVIGATION}
    with pytest.raises(LookupError):
        asyncio.run(live(scope, None, send))  # type: ignore[arg-type]
    assert [event["type"] for event in sent] == ["http.response.start"]


STYLE = [(b"sec-fetch-dest", b"style")]


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/other/a.css", 200, True),
        ("/other/a.css", 304, True),
        ("/other/a.css", 404, False),
        ("/static/a.css", 200, False),  # known by file
        ("/api/items", 200, False),  # no file has such a name
    ],
)
def test_what_pages_load_is_known_by_its_address(path: str, status: int, told: bool) -> None:
    asked = Asked(b"h1 {}", path=path, status=status, asks=STYLE)
    assert asked.asked_before == ([path] if "." in path else [])
    assert asked.told == ([path] if told else [])
    assert asked.found_missing == ([path] if status == 404 else [])


def test_a_page_that_is_missing_is_known_too() -> None:
    assert Asked(b"<p>x", status=404).found_missing == ["/a"]
    assert Asked(b"<p>x", status=403).found_missing == []


def test_browsers_ask_for_a_static_file_each_time() -> None:
    """What it may be kept for elsewhere would leave the old one in a page that is loaded again."""

    def cache_control(path: str, *headers: tuple[bytes, bytes]) -> bytes | None:
        return Asked(b"h1 {}", path=path, headers=headers, asks=STYLE).headers.get(b"cache-control")

    assert cache_control("/static/a.css") == b"no-cache"
    assert cache_control("/static/a.css", (b"Cache-Control", b"max-age=9")) == b"no-cache"
    assert cache_control("/static/a.css", (b"cache-control", b"no-store")) == b"no-store"
    expires = (b"Expires", b"Tue, 01 Jan 2999 00:00:00 GMT")
    assert dict(Asked(b"h1 {}", path="/static/a.css", headers=[expires], asks=STYLE).headers) == {
        b"cache-control": b"no-cache"
    }
    assert cache_control("/other/a.css") is None, "what is no file is the app's own business"


def test_a_page_with_the_client_is_another_one_than_the_apps() -> None:
    """An answer of 304 would show a page of an older server, and what scripts fetch must not be the page with the client."""
    conditions = [(b"if-none-match", b'"x"'), (b"if-modified-since", b"yesterday")]
    asked = Asked(
        b"<p>x", headers=[HTML, (b"ETag", b'"x"'), (b"Last-Modified", b"today")], asks=[*NAVIGATION, *conditions]
    )
    assert not dict(asked.scope["headers"]).keys() & dict(conditions).keys()
    assert asked.headers == {HTML[0]: HTML[1]}
    fetched = Asked(b"<p>x", headers=[HTML, (b"ETag", b'"x"')], asks=[(b"sec-fetch-dest", b"empty"), *conditions])
    assert dict(fetched.scope["headers"]).keys() >= dict(conditions).keys()
    assert fetched.headers[b"ETag"] == b'"x"'
    opted_out = Asked(b"<p>x", headers=[HTML, (b"ETag", b'"x"'), (b"x-devserver-livereload", b"off")])
    assert opted_out.headers[b"ETag"] == b'"x"'


# --- the client ---


def test_the_client_is_small() -> None:
    assert len(gzip.compress(client_source().encode(), mtime=0)) < 3 * 1024


def test_the_client_is_whole() -> None:
    """What is left out of its source is no more than comments and spaces."""
    assert client_source().startswith("(()=>{")
    assert client_source().rstrip().endswith("})();")
    assert "</script" not in client_source()
    assert "{{" not in client_source(), "a tag of the templates of our own pages"
