"""Error capture: what the app raises becomes a Report, a page and lines in the terminal. Runs in the server, on its loop.

Before an answer has started the client gets the page; after that the connection is cut, so that it sees a truncated answer and
not one that looks whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from devserver.report import Occasion, Report
from devserver.server.web import pages, tracebacks
from devserver.server.asgi import ASGIApp, Event, Receive, Scope, Send

MakeReport = Callable[[BaseException, Occasion, Scope], Report]


class AnswerCutError(Exception):
    """Tells the engine to close the connection; what happened has been reported."""


class NoAnswerError(RuntimeError):
    """The app returned without an answer."""


class ErrorCapture:
    """Middleware around the app."""

    def __init__(self, app: ASGIApp, *, make_report: MakeReport, show: Callable[[Report], None], run: str) -> None:
        """`show` prints a report in the terminal; `run` is the id by which a page knows that a new server is there."""
        self._app = app
        self._make_report = make_report
        self._show = show
        self._run = run

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = gone = False

        async def watched_send(event: Event) -> None:
            nonlocal started
            if event["type"] == "http.response.start":
                started = True
            await send(event)

        async def watched_receive() -> Event:
            nonlocal gone
            event = await receive()
            if event["type"] == "http.disconnect":
                gone = True
            return event

        try:
            await self._app(scope, watched_receive, watched_send)
            if started or gone:
                return
            raise NoAnswerError("the application returned without sending a response")
        except asyncio.CancelledError:
            raise  # the grace is over
        except BaseException as error:  # SystemExit and KeyboardInterrupt in a view must not end the server
            report = self._make_report(error, Occasion.REQUEST, scope)
            self._show(report)
            if started:
                raise AnswerCutError from error
            await self._answer(report, scope, send)

    async def _answer(self, report: Report, scope: Scope, send: Send) -> None:
        page = pages.render(report, tracebacks.header(scope, b"accept"), run=self._run)
        body = b"" if scope["method"] == "HEAD" else page.body
        await send({"type": "http.response.start", "status": page.status, "headers": list(page.headers)})
        await send({"type": "http.response.body", "body": body})

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        accepted = closed = False

        async def watched_send(event: Event) -> None:
            nonlocal accepted, closed
            accepted = accepted or event["type"] == "websocket.accept"
            closed = closed or event["type"] == "websocket.close"
            await send(event)

        try:
            await self._app(scope, receive, watched_send)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            if isinstance(error, OSError) and type(error).__name__ == "ClientDisconnected":
                return  # the client left while the app was sending (ASGI: send raises a subclass of OSError)
            self._show(self._make_report(error, Occasion.WEBSOCKET, scope))
            if closed:
                return
            if accepted:
                await send({"type": "websocket.close", "code": 1011, "reason": "error in the application"})
            else:
                raise AnswerCutError from error  # the handshake is answered with 500
