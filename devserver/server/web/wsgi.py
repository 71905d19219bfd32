"""A WSGI app as an ASGI app: the event loop answers the client, a thread runs the app (PEP 3333, ASGI 3.0).

Runs in the server process. Rules that hold:
- A small request crosses the border between loop and thread twice: the loop hands it to a thread, and the thread hands
  the whole answer back. What streams crosses once per chunk, or less if the loop is slower than the app.
- Each chunk is on its way when the app yields it; few wait for the client at a time.
- An error of the app comes out of `__call__` as it was raised, `SystemExit` included: before the answer has begun there can
  be an error page, afterwards the engine cuts the connection. An error after the answer is complete (in `close()`, or
  behind the last `yield`) goes to `threading.excepthook`: nobody waits for it any more.
- `__call__` ends when the answer is sent or the client has left; the thread may go on for a while. `busy` counts
  threads, `drained` waits for them.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from contextlib import suppress

from devserver.server.asgi import Receive, Scope, Send
from devserver.server.web.threads import LoopCalls, RequestThreads
from devserver.server.web.wsgi_environ import base_environ, request_environ
from devserver.server.web.wsgi_exchange import Exchange, WSGIApp


class WSGIAdapter:
    """The ASGI app that runs `app`. One event loop at a time may use it."""

    def __init__(
        self,
        app: WSGIApp,
        *,
        threads: int = 64,
        multithread: bool | None = None,
        on_request_ended: Callable[[], None] | None = None,
        warn: Callable[[str], None] | None = None,
        warn_after_s: float = 1.0,
    ) -> None:
        """`threads`: how many requests may run at once. `multithread`: what `wsgi.multithread` says, by default the truth.
        `on_request_ended` is called at the end of each request in its thread and context. `warn` is called on the loop,
        once, when a request has waited `warn_after_s` seconds because all threads are busy."""
        self.app = app
        self.on_request_ended = on_request_ended
        self.warn = warn or (lambda text: None)
        self._base = base_environ(multithread=threads > 1 if multithread is None else multithread)
        self._threads = RequestThreads(threads, name="devserver-wsgi")
        self._calls: LoopCalls | None = None
        self._warn_after_s = warn_after_s
        self._warning: asyncio.TimerHandle | None = None
        self._warned = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind != "http":
            if kind != "websocket":
                raise ValueError(f"a WSGI app has no answer to the scope type {kind!r}")
            await _refuse_websocket(scope, send)
            return
        calls = self._calls
        loop = asyncio.get_running_loop()
        if calls is None or calls.loop is not loop:
            calls = self._calls = LoopCalls(loop)

        environ = request_environ(self._base, scope)
        exchange = Exchange(self.app, environ, calls, receive, on_ended=self.on_request_ended, warn=self.warn)
        if "CONTENT_LENGTH" in environ or "HTTP_TRANSFER_ENCODING" in environ:
            if not await exchange.open_body():
                return
        else:
            environ["wsgi.input"] = io.BytesIO()
        if self._threads.submit(exchange) > self._threads.limit and not self._warned and self._warning is None:
            self._warning = loop.call_later(self._warn_after_s, self._warn_if_waiting, exchange)
        await exchange.answer(send)

    def busy(self) -> int:
        """Requests that are in a thread or wait for one."""
        return self._threads.outstanding

    async def drained(self) -> None:
        """Return when no request is in a thread any more. Has no deadline of its own."""
        loop = asyncio.get_running_loop()
        quiet = asyncio.Event()

        def tell() -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(quiet.set)

        self._threads.when_quiet(tell)
        await quiet.wait()

    def stop(self) -> None:
        """Take no more requests, fail those that wait for a thread, end the threads. Does not wait. To be called on the loop."""
        if self._warning is not None:
            self._warning.cancel()
        self._threads.stop()

    def _warn_if_waiting(self, exchange: Exchange) -> None:
        self._warning = None
        if not exchange.began and not self._warned:
            self._warned = True
            count = self._threads.limit
            busy = "the only WSGI thread is busy" if count == 1 else f"all {count} WSGI threads are busy"
            self.warn(f"{busy}: requests wait until one of them ends (--threads {count})")


async def _refuse_websocket(scope: Scope, send: Send) -> None:
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1000})
        return
    text = b"This app is a WSGI app: it has no WebSockets.\n"
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(text))]
    await send({"type": "websocket.http.response.start", "status": 404, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": text})
