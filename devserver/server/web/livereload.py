"""Live reload: puts the client into the pages that a browser navigates to, as they stream. Runs in the server, on its loop.

Rules that hold: only what is shown as a document gets it (`text/html`, not what scripts fetch); nothing is held back but the
headers, until the first piece of the body; `Content-Length` stays right; a policy of the page is never weakened: where it forbids
the client, the page goes out as it is and the terminal is told once. A navigation is asked for uncompressed; what comes compressed
all the same passes as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from devserver.server.asgi import ASGIApp, Event, Receive, Scope, Send
from devserver.server.web import csp
from devserver.server.web.client import OPT_OUT_HEADER, client_tag
from devserver.server.web.injection import Appender, Injector, wide_encoding
from devserver.server.web.sent_files import SentFiles

_DOCUMENTS = frozenset({b"document", b"iframe", b"frame"})
_CHARSET = re.compile(rb"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE | re.ASCII)
_REPEATABLE = frozenset({"GET", "HEAD"})


class LiveReload:
    """Middleware. `run` is the number of this server, `notice` prints a line once in a run of devserver."""

    def __init__(
        self, app: ASGIApp, *, run: int, sent: SentFiles, notice: Callable[[str], None], is_quiet: bool = False
    ) -> None:
        """`is_quiet`: pages tell of no errors."""
        self._app = app
        self._run = run
        self._sent = sent
        self._notice = notice
        self._is_quiet = is_quiet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if not shows_document(scope):
            is_file = "." in scope["path"].rpartition("/")[2]  # by its name; what has none is not looked for later
            await self._app(scope, receive, self._noting(scope, send) if is_file else send)
            return
        headers = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        answer = _Answer(scope, send, self._tag, self._notice)
        try:
            await self._app({**scope, "headers": headers}, receive, answer.send)
        except BaseException:
            await answer.begin(b"")  # what was to be cut is cut behind its headers
            raise

    def _tag(self, scope: Scope, nonce: str) -> str:
        return client_tag(self._run, nonce, is_repeatable=scope["method"] in _REPEATABLE, is_quiet=self._is_quiet)

    def _noting(self, scope: Scope, send: Send) -> Send:
        """What is sent by the app may be changed on the disk later: by its address the browser will know it."""

        async def noting(event: Event) -> None:
            if event["type"] == "http.response.start" and event["status"] in (200, 206, 304):
                self._sent.answered(scope["path"])
            await send(event)

        return noting


class _Answer:
    """One answer to a navigation."""

    def __init__(
        self, scope: Scope, send: Send, tag: Callable[[Scope, str], str], notice: Callable[[str], None]
    ) -> None:
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
            inserted = self._tag(self._scope, permission.nonce).encode(encoding or "ascii")
            if not is_head:
                self._inserter = Appender(inserted) if encoding else Injector(inserted)
            if length.isdigit():
                longer = b"%d" % (int(length) + len(inserted))
                headers = [(name, longer if name.lower() == b"content-length" else value) for name, value in headers]
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
            f"no live reload: the Content-Security-Policy of {self._scope['path']} forbids it ({permission.forbidden});"
            " 'self' there allows it, --no-livereload turns it off"
        )
        return None


def shows_document(scope: Scope) -> bool:
    """Whether the answer becomes a document in a browser: somebody navigated to it (Fetch metadata).

    On plain-http addresses other than loopback browsers leave the metadata out. There it shows by a header that they send when
    they navigate, and that scripts do not (Upgrade Insecure Requests §3.2.1).
    """
    headers = scope["headers"]
    if destination := _value(headers, b"sec-fetch-dest"):
        return destination in _DOCUMENTS
    return _value(headers, b"upgrade-insecure-requests") == b"1"


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
