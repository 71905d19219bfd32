"""What the server itself answers under `/__devserver__/`. Runs in the server.

Endpoints for the server's own pages, and for the client in those of the app. Rules that hold (the design's security chapter):
the Host was checked before; a request that a foreign page caused gets 403 (`access.py`); no CORS; answers are not to be read or
sniffed elsewhere, and none but the client's source is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources

from devserver.server.asgi import LEAVE, ASGIApp, Receive, Scope, Send
from devserver.server.web.access import EVENTS, PREFIX, is_own
from devserver.server.web.client import CLIENT, client_source
from devserver.server.web.error_api import MAX_BODY, ErrorAPI, Reply

_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_ASSETS: Mapping[str, bytes] = {"page.css": b"text/css; charset=utf-8"}
_SCRIPT = b"text/javascript; charset=utf-8"
_KEPT_BY_BROWSERS = (b"cache-control", b"max-age=31536000, immutable")  # its address changes with it
MAX_SAID = 16_384


class InternalPages:
    """Middleware: answers its own prefix, passes on the rest."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        errors: ErrorAPI,
        stream_opened: Callable[[int], None],
        browser_said: Callable[[bytes, str], None],
    ) -> None:
        """`stream_opened` takes over the descriptor of a browser's connection; `browser_said` is told what a page at this address
        of a client says of errors."""
        self._app = app
        self._errors = errors
        self._stream_opened = stream_opened
        self._browser_said = browser_said

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        reply = await self._answer(scope, receive)
        if reply is None:
            return
        own = {name for name, _ in reply.headers}
        headers = [header for header in _HEADERS if header[0] not in own]
        headers += [*reply.headers, (b"content-length", str(len(reply.body)).encode())]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else reply.body})

    async def _answer(self, scope: Scope, receive: Receive) -> Reply | None:
        """None if somebody else answers."""
        if not is_own(scope):
            return _text(403, b"This address is for pages of this server only.\n")
        name = scope["path"][len(PREFIX) :]
        if scope["path"] == EVENTS and scope["method"] == "GET" and (leave := scope.get("extensions", {}).get(LEAVE)):
            return await self._hand_over(leave, receive)
        if scope["method"] in ("GET", "HEAD"):
            return await self._told(name, scope) or _text(404, b"devserver has no such page.\n")
        reply = None
        if scope["method"] == "POST":
            body = await _body(receive, MAX_SAID if name == "browser" else MAX_BODY)
            if body is None:
                return _text(413, b"Too much.\n")
            if name == "browser":
                self._browser_said(body, str((scope.get("client") or ("",))[0]))
                return Reply(204, (), b"")
            reply = await self._errors.act(name, scope, body)
        return reply or _text(405, b"GET only.\n", (b"allow", b"GET, HEAD"))

    async def _hand_over(self, leave: Callable[[], int], receive: Receive) -> Reply | None:
        try:
            self._stream_opened(leave())
        except OSError:
            return _text(503, b"No more files may be opened.\n")
        while (await receive())["type"] != "http.disconnect":
            pass  # the engine lets go of it in its next turn
        return None

    async def _told(self, name: str, scope: Scope) -> Reply | None:
        if name == CLIENT:
            return Reply(200, ((b"content-type", _SCRIPT), _KEPT_BY_BROWSERS), client_source().encode())
        folder, _, asset = name.partition("/")
        if folder == "assets" and asset in _ASSETS:
            return Reply(200, ((b"content-type", _ASSETS[asset]),), _asset(asset))
        return await self._errors.told(name, scope)


async def _body(receive: Receive, limit: int) -> bytes | None:
    """The whole body of a request; None if it is too large, or its client has left."""
    body = b""
    more = True
    while more:
        event = await receive()
        body += bytes(event.get("body", b""))
        if event["type"] != "http.request" or len(body) > limit:
            return None
        more = event.get("more_body", False)
    return body


def _text(status: int, text: bytes, *headers: tuple[bytes, bytes]) -> Reply:
    return Reply(status, ((b"content-type", b"text/plain; charset=utf-8"), *headers), text)


@cache
def _asset(name: str) -> bytes:
    return resources.files("devserver.server.web").joinpath("assets", name).read_bytes()
