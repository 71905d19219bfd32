"""The request log: one line when an answer is complete. Runs in the server, on its loop.

The line is written after the answer went to the connection, so no request waits for it.
"""

from __future__ import annotations

import time

from devserver.server.asgi import ASGIApp, Event, Receive, Scope, Send
from devserver.server.integration import LogRequest
from devserver.server.web.access import PREFIX


class RequestLog:
    """Outermost middleware: sees every answer, those of the other middlewares too."""

    def __init__(self, app: ASGIApp, write: LogRequest) -> None:
        self._app = app
        self._write = write

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            await self._http(scope, receive, send)
        elif kind == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        status = size = 0
        complete = False
        is_ours = scope["path"].startswith(PREFIX)

        async def counted_send(event: Event) -> None:
            nonlocal status, size, complete
            await send(event)
            if event["type"] == "http.response.start":
                status = event["status"]
            elif event["type"] == "http.response.body":
                if scope["method"] != "HEAD":  # the engine sends no content then, whatever the app says
                    size += len(event.get("body", b""))
                if not event.get("more_body", False):
                    complete = True
                    if is_ours and status < 400:  # what pages do by themselves, after each save
                        return
                    self._write(scope["method"], _path(scope), status, size, time.perf_counter() - began)

        try:
            await self._app(scope, receive, counted_send)
        finally:
            if not complete and not is_ours:  # the client left, or the answer was cut
                self._write(scope["method"], _path(scope), status, size, time.perf_counter() - began)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        told = False

        def tell(status: int) -> None:
            nonlocal told
            if not told:
                told = True
                self._write("WS", _path(scope), status, 0, time.perf_counter() - began)

        async def watched_send(event: Event) -> None:
            await send(event)
            if event["type"] == "websocket.accept":
                tell(101)
            elif event["type"] == "websocket.close":
                tell(403)  # before it was accepted: that is how servers answer then
            elif event["type"] == "websocket.http.response.start":
                tell(event["status"])

        try:
            await self._app(scope, receive, watched_send)
        finally:
            tell(500)


def _path(scope: Scope) -> str:
    path: bytes = scope.get("raw_path") or scope["path"].encode("utf-8", "surrogateescape")
    query: bytes = scope["query_string"]
    return (path + b"?" + query if query else path).decode("latin-1")
