"""Error capture: what the app raises becomes a Report, a page and lines in the terminal. Runs in the server, on its loop.

Before an answer has started the client gets the page; after that the connection is cut, so that it sees a truncated answer and
not one that looks whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from devserver.report import Occasion, Report
from devserver.server.asgi import ASGIApp, Event, Receive, Scope, Send

MakeReport = Callable[[BaseException, Occasion, Scope], Report]
AnswerReport = Callable[[Report, Scope, Send], Awaitable[None]]

_DISCONNECTS = frozenset({"ClientDisconnected", "ClientDisconnect", "WebSocketDisconnect"})
"""What uvicorn and Starlette raise in an app whose client has left. By name: none of their modules is imported for it."""
_CUT = b"The server was restarted before this request had its answer; --grace gives requests more time.\n"


class AnswerCutError(Exception):
    """Tells the engine to close the connection; what happened has been reported."""


class NoAnswerError(RuntimeError):
    """The app returned without an answer."""


class ErrorCapture:
    """Middleware around the app."""

    def __init__(
        self, app: ASGIApp, *, make_report: MakeReport, show: Callable[[Report], None], answer: AnswerReport
    ) -> None:
        """`show` prints a report in the terminal, `answer` sends it to the client."""
        self._app = app
        self._make_report = make_report
        self._show = show
        self._answer = answer

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
        except BaseException as error:  # SystemExit and KeyboardInterrupt in a view must not end the server
            if _is_cancelled(error):
                if not started:
                    await _answer_cut(scope, send)
                raise
            if gone and type(error).__name__ in _DISCONNECTS:
                return
            report = self._make_report(error, Occasion.REQUEST, scope)
            self._show(report)
            if started:
                raise AnswerCutError from error
            await self._answer(report, scope, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        accepted = closed = False

        async def watched_receive() -> Event:
            nonlocal closed
            event = await receive()
            closed = closed or event["type"] == "websocket.disconnect"
            return event

        async def watched_send(event: Event) -> None:
            nonlocal accepted, closed
            accepted = accepted or event["type"] == "websocket.accept"
            closed = closed or event["type"] == "websocket.close"
            await send(event)

        try:
            await self._app(scope, watched_receive, watched_send)
        except BaseException as error:
            if _is_cancelled(error):
                raise
            if type(error).__name__ in _DISCONNECTS:
                return
            self._show(self._make_report(error, Occasion.WEBSOCKET, scope))
            if closed:
                return
            if accepted:
                await send({"type": "websocket.close", "code": 1011, "reason": "error in the application"})
            else:
                raise AnswerCutError from error  # the handshake is answered with 500


def _is_cancelled(error: BaseException) -> bool:
    """Whether the engine ended the request: the grace is over. Else the app waited for a task of its own that was cancelled."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


async def _answer_cut(scope: Scope, send: Send) -> None:
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(_CUT)),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else _CUT})
