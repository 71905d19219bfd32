"""What the server itself answers under `/__devserver__/`. Runs in the server.

Read-only endpoints for the server's own pages. Rules that hold (the design's security chapter): the Host was checked before; a
request that a foreign page caused gets 403 (`Origin` has to be ours when it is sent, `null` is foreign; `Sec-Fetch-Site` has to be
same-origin or none); no CORS; answers are not to be read, sniffed or stored elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources

from devserver.server.asgi import ASGIApp, Receive, Scope, Send

PREFIX = "/__devserver__/"
_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_ASSETS: Mapping[str, bytes] = {"page.js": b"text/javascript; charset=utf-8", "page.css": b"text/css; charset=utf-8"}


class InternalPages:
    """Middleware: answers its own prefix, passes on the rest."""

    def __init__(self, app: ASGIApp, *, run: str) -> None:
        self._app = app
        self._run = run

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        status, content_type, body = self._answer(scope)
        headers = [*_HEADERS, (b"content-type", content_type), (b"content-length", str(len(body)).encode())]
        if status == 405:
            headers.append((b"allow", b"GET, HEAD"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    def _answer(self, scope: Scope) -> tuple[int, bytes, bytes]:
        text = b"text/plain; charset=utf-8"
        if not _is_own(scope):
            return 403, text, b"This address is for pages of this server only.\n"
        if scope["method"] not in ("GET", "HEAD"):
            return 405, text, b"GET only.\n"
        name = scope["path"][len(PREFIX) :]
        if name == "state":
            return 200, b"application/json", json.dumps({"run": self._run}).encode()
        folder, _, asset = name.partition("/")
        if folder == "assets" and asset in _ASSETS:
            return 200, _ASSETS[asset], _asset(asset)
        return 404, text, b"devserver has no such page.\n"


def _is_own(scope: Scope) -> bool:
    """Whether the request was made by a page of this server, or by a person (RFC 6454, Fetch metadata)."""
    headers = scope["headers"]
    hosts = [value for name, value in headers if name == b"host"]
    own = [scope["scheme"].encode() + b"://" + host for host in hosts]
    # Every one of them: which of two a page's browser has sent, and which something in between, nobody knows.
    return all(value in own for name, value in headers if name == b"origin") and all(
        value in (b"same-origin", b"none") for name, value in headers if name == b"sec-fetch-site"
    )


@cache
def _asset(name: str) -> bytes:
    return resources.files("devserver.server.web").joinpath("assets", name).read_bytes()
