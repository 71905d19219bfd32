"""What the server itself answers under `/__devserver__/`. Runs in the server.

Endpoints for the server's own pages. Rules that hold (the design's security chapter): the Host was checked before; a
request that a foreign page caused gets 403 (`access.py`); no CORS; answers are not to be read, sniffed or stored elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources

from devserver.server.asgi import ASGIApp, Receive, Scope, Send
from devserver.server.web.access import PREFIX, is_own
from devserver.server.web.error_api import MAX_BODY, ErrorAPI, Reply

_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_ASSETS: Mapping[str, bytes] = {"page.js": b"text/javascript; charset=utf-8", "page.css": b"text/css; charset=utf-8"}


class InternalPages:
    """Middleware: answers its own prefix, passes on the rest."""

    def __init__(self, app: ASGIApp, *, run: str, errors: ErrorAPI) -> None:
        self._app = app
        self._run = run
        self._errors = errors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        reply = await self._answer(scope, receive)
        headers = [*_HEADERS, *reply.headers, (b"content-length", str(len(reply.body)).encode())]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else reply.body})

    async def _answer(self, scope: Scope, receive: Receive) -> Reply:
        if not is_own(scope):
            return _text(403, b"This address is for pages of this server only.\n")
        name = scope["path"][len(PREFIX) :]
        if scope["method"] in ("GET", "HEAD"):
            return await self._told(name, scope) or _text(404, b"devserver has no such page.\n")
        reply = None
        if scope["method"] == "POST":
            body = await _body(receive)
            if body is None:
                return _text(413, b"Too much.\n")
            reply = await self._errors.act(name, scope, body)
        return reply or _text(405, b"GET only.\n", (b"allow", b"GET, HEAD"))

    async def _told(self, name: str, scope: Scope) -> Reply | None:
        if name == "state":
            return Reply(200, ((b"content-type", b"application/json"),), json.dumps({"run": self._run}).encode())
        folder, _, asset = name.partition("/")
        if folder == "assets" and asset in _ASSETS:
            return Reply(200, ((b"content-type", _ASSETS[asset]),), _asset(asset))
        return await self._errors.told(name, scope)


async def _body(receive: Receive) -> bytes | None:
    """The whole body of a request; None if it is too large, or its client has left."""
    body = b""
    more = True
    while more:
        event = await receive()
        body += bytes(event.get("body", b""))
        if event["type"] != "http.request" or len(body) > MAX_BODY:
            return None
        more = event.get("more_body", False)
    return body


def _text(status: int, text: bytes, *headers: tuple[bytes, bytes]) -> Reply:
    return Reply(status, ((b"content-type", b"text/plain; charset=utf-8"), *headers), text)


@cache
def _asset(name: str) -> bytes:
    return resources.files("devserver.server.web").joinpath("assets", name).read_bytes()
