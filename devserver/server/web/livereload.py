"""Live reload: puts the client into the pages that a browser navigates to, as they stream. Runs in the server, on its loop.

Rules that hold: only what is shown as a document gets it (`text/html`, not what scripts fetch); nothing is held back but the
headers, until the first piece of the body; `Content-Length` stays right; a policy of the page is never weakened: where it forbids
the client, the page goes out as it is and the terminal is told once. A navigation is asked for whole and uncompressed: no
`Accept-Encoding`, and no validators, for the page with the client is another one than the app's, and so the answer has none either.
What comes compressed all the same passes as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Protocol

from devserver.server.asgi import ASGIApp, Event, Receive, Scope, Send
from devserver.server.web import csp
from devserver.server.web.client import OPT_OUT_HEADER
from devserver.server.web.injection import Appender, Injector, wide_encoding

_DOCUMENTS = frozenset({b"document", b"iframe", b"frame"})
_CHARSET = re.compile(rb"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE | re.ASCII)
_ABOUT_COPIES = frozenset({b"accept-encoding", b"if-none-match", b"if-modified-since"})
_VALIDATORS = frozenset({b"etag", b"last-modified", b"content-md5", b"digest", b"content-digest", b"repr-digest"})
_FOUND = frozenset({200, 206, 304})
_REPEATABLE = frozenset({"GET", "HEAD"})


class MakeTag(Protocol):
    """The tag of the client, in ASCII."""

    def __call__(self, nonce: str, *, is_repeatable: bool) -> str: ...


class Files(Protocol):
    """Who keeps account of what is no document. Both are asked with the path of a URL."""

    def about_to_send(self, url: str) -> bool:
        """Whether this is a static file of the framework's. Told before the app is asked: what changes then is noticed."""

    def answered(self, url: str) -> None:
        """The app has answered it, and it is none of these."""

    def missed(self, url: str) -> None:
        """Nothing is there: an answer of 404."""


class LiveReload:
    """Middleware. `tag` makes the tag; `notice` prints a line once in a run of devserver."""

    def __init__(self, app: ASGIApp, *, tag: MakeTag, files: Files, notice: Callable[[str], None]) -> None:
        self._app = app
        self._tag = tag
        self._files = files
        self._notice = notice

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif shows_document(scope):
            await self._page(scope, receive, send)
        elif "." in scope["path"].rpartition("/")[2]:  # a file, by its name
            await self._file(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name, value) for name, value in scope["headers"] if name not in _ABOUT_COPIES]
        answer = _Answer(scope, send, self._tag, self._notice)

        async def noting_send(event: Event) -> None:
            if event["type"] == "http.response.start" and event["status"] == HTTPStatus.NOT_FOUND:
                self._files.missed(scope["path"])
            await answer.send(event)

        try:
            await self._app({**scope, "headers": headers}, receive, noting_send)
        except BaseException:
            await answer.begin(b"")  # what was to be cut is cut behind its headers
            raise

    async def _file(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What is sent by the app may be changed on the disk later: by its address the browser will know it. However long the app
        lets it be kept, a browser is to ask each time: else a page that is loaded again shows the old one for hours."""
        is_static = self._files.about_to_send(scope["path"])

        async def noting_send(event: Event) -> None:
            if event["type"] == "http.response.start" and event["status"] in _FOUND:
                if is_static:
                    event = {**event, "headers": _asked_for_each_time(event.get("headers", ()))}
                else:
                    self._files.answered(scope["path"])
            elif event["type"] == "http.response.start" and event["status"] == HTTPStatus.NOT_FOUND:
                self._files.missed(scope["path"])
            await send(event)

        await self._app(scope, receive, noting_send)


class _Answer:
    """One answer to a navigation."""

    def __init__(self, scope: Scope, send: Send, tag: MakeTag, notice: Callable[[str], None]) -> None:
        self._scope = scope
        self._send = send
        self._tag = tag
        self._notice = notice
        self._start: Event | None = None  # held back until the body begins
        self._inserter: Injector | Appender | None = None

    async def send(self, event: Event) -> None:
        if event["type"] == "http.response.start" and _is_page(event):
            self._start = event
            return
        if event["type"] != "http.response.body":
            await self._send(event)
            return
        body, is_last = event.get("body", b""), not event.get("more_body", False)
        if self._start is not None:
            if not body and not is_last:
                return
            await self.begin(body)
        if self._inserter is not None:
            event = {**event, "body": self._inserter.feed(bytes(body), is_last=is_last)}
        await self._send(event)

    async def begin(self, body: bytes) -> None:
        """Send the headers, if they wait. `body` is how it begins."""
        start, self._start = self._start, None
        if start is None:
            return
        headers: list[tuple[bytes, bytes]] = list(start.get("headers", ()))
        length = _value(headers, b"content-length")
        is_head = self._scope["method"] == "HEAD"
        if (body or is_head) and (not length.isdigit() or int(length)) and (permission := self._permission(headers)):
            encoding = wide_encoding(_charset(headers), bytes(body[:4]))
            tag = self._tag(permission.nonce, is_repeatable=self._scope["method"] in _REPEATABLE)
            inserted = tag.encode(encoding or "ascii")
            if not is_head:
                self._inserter = Appender(inserted) if encoding else Injector(inserted)
            longer = b"%d" % (int(length) + len(inserted)) if length.isdigit() else length
            headers = [
                (name, longer if name.lower() == b"content-length" else value)
                for name, value in headers
                if name.lower() not in _VALIDATORS
            ]
            start = {**start, "headers": headers}
        await self._send(start)

    def _permission(self, headers: list[tuple[bytes, bytes]]) -> csp.Permission | None:
        policies = [value.decode("latin-1") for name, value in headers if name.lower() == b"content-security-policy"]
        if not policies:
            return csp.Permission()
        host = _value(self._scope["headers"], b"host").decode("latin-1")
        permission = csp.permission(policies, f"{self._scope['scheme']}://{host}")
        if not permission.forbidden:
            return permission
        self._notice(
            f"no live reload in pages whose Content-Security-Policy forbids it ({permission.forbidden}): 'self' there allows it"
        )
        return None


def shows_document(scope: Scope) -> bool:
    """Whether the answer becomes a document in a browser: somebody navigated to it (Fetch metadata).

    On plain-http addresses other than loopback browsers leave the metadata out. There it shows by a header that they send when
    they navigate, and that scripts do not (Upgrade Insecure Requests §3.2.1). A service worker that passes a navigation on
    asks with its mode and without a destination; a script of a page cannot ask in that mode.
    """
    headers = scope["headers"]
    if destination := _value(headers, b"sec-fetch-dest"):
        is_passed_on = destination == b"empty" and _value(headers, b"sec-fetch-mode") == b"navigate"
        return destination in _DOCUMENTS or is_passed_on
    return _value(headers, b"upgrade-insecure-requests") == b"1"


def _asked_for_each_time(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """`headers` that let nobody use a copy without a word to the server. `no-store` does so already."""
    said = [
        (name, value) for name, value in headers if name.lower() == b"cache-control" and b"no-store" in value.lower()
    ]
    others = [(name, value) for name, value in headers if name.lower() not in (b"cache-control", b"expires")]
    return [*others, *(said or [(b"cache-control", b"no-cache")])]


def _is_page(start: Event) -> bool:
    """Whether an answer is a document that a browser shows as HTML, whole and readable for us."""
    headers: list[tuple[bytes, bytes]] = list(start.get("headers", ()))
    if start["status"] in (204, 205, 206, 304) or start["status"] < 200:
        return False
    if _value(headers, b"content-type").partition(b";")[0].strip().lower() != b"text/html":
        return False
    if _value(headers, b"content-encoding").lower() not in (b"", b"identity"):
        return False
    if _value(headers, b"content-disposition").lower().startswith(b"attachment"):
        return False
    return _value(headers, OPT_OUT_HEADER.encode()).lower() != b"off"


def _charset(headers: list[tuple[bytes, bytes]]) -> str:
    found = _CHARSET.search(_value(headers, b"content-type"))
    return found[1].decode() if found else ""


def _value(headers: list[tuple[bytes, bytes]], wanted: bytes) -> bytes:
    return next((value for name, value in headers if name.lower() == wanted), b"")
