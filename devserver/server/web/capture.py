"""Error capture: what the app raises becomes a Report, a page and lines in the terminal. Runs in the server, on its loop.

Before an answer has started the client gets the page; after that the connection is cut, so that it sees a truncated answer and
not one that looks whole. Frameworks catch what the app raises and answer 500 themselves: such an answer is held back until the app
has ended. If an error came out of the app all the same, or an integration told of one (`swallowed.py`), browsers get the page in
its place; clients of an API get what the framework answered.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from devserver.record import replace
from devserver.report import Occasion, Report
from devserver.server.asgi import ASGIApp, Event, Receive, Scope, Send
from devserver.server.deferred import ours_first
from devserver.server.swallowed import Query, Slot, current, led_to
from devserver.server.web.aside import Job
from devserver.server.web.held import HeldAnswer, is_last
from devserver.server.web.kept import KeptError, KeptErrors
from devserver.server.web.threads import RequestThreads


class Brought(NamedTuple):
    """What is known of a request beside its scope."""

    body: bytes = b""  # from its beginning, of a form or of JSON
    session: Mapping[str, object] | None = None
    queries: tuple[Query, ...] = ()
    context: contextvars.Context | None = None  # in which the framework had the request at hand
    media_type: str = ""  # as what the client gets a report


NOTHING_BROUGHT = Brought()
MakeReport = Callable[[BaseException, Occasion, Scope, Brought], Report]
AnswerReport = Callable[[Report, Scope, Send], Awaitable[None]]

_DISCONNECTS = frozenset({"ClientDisconnected", "ClientDisconnect", "WebSocketDisconnect"})
"""What uvicorn and Starlette raise in an app whose client has left. By name: none of their modules is imported for it."""
_ANSWERED: Event = {"type": "http.disconnect"}
"""That an answer is complete is told to its app as if the client had left (ASGI 3.0)."""
_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})
_SHOWN_BODIES = (b"application/x-www-form-urlencoded", b"multipart/form-data", b"application/json")
MAX_BODY = 65_536
"""Of such a body, about so many bytes are kept until its request is answered."""
_CUT = "The server was restarted before this request had its answer; --grace gives requests more time."


class AnswerCutError(Exception):
    """Tells the engine to close the connection; what happened has been reported."""


class NoAnswerError(RuntimeError):
    """The app returned without an answer."""


class ErrorCapture:
    """Middleware around the app."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        make_report: MakeReport,
        show: Callable[[Report], None],
        answer: AnswerReport,
        kept: KeptErrors | None = None,
        framework_errors: bool = False,
    ) -> None:
        """`make_report` is called in a thread; `show` prints a report in the terminal, `answer` sends it to the client. What a
        page of ours replaces is put into `kept`; with `framework_errors` none is replaced."""
        self._app = app
        self._make_report = make_report
        self._show = show
        self._answer = answer
        self._kept = kept
        self._framework_errors = framework_errors
        # Few: reports are plain Python, and many at once would only take the interpreter from the loop.
        self._threads = RequestThreads(2, name="devserver-reports")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = _Request(scope, receive, send)
        current.set(request)
        raised: BaseException | None = None
        try:
            try:
                await self._app(scope, request.receive, request.send)
            except BaseException as error:  # SystemExit and KeyboardInterrupt in a view must not end the server
                if _is_cancelled(error):
                    raise
                raised = error
            if raised is not None or request.error is not None or request.held is not None or not request.has_started:
                await self._ended(request, raised, scope, send)
        except asyncio.CancelledError:
            if not request.is_begun:
                await _answer_cut(scope, send)
            raise
        finally:
            request.close()
            del raised  # its traceback holds this frame: a cycle

    async def _ended(self, request: _Request, raised: BaseException | None, scope: Scope, send: Send) -> None:
        """Report what the app has raised or swallowed, and send what has not been sent."""
        if request.gone and raised is not None and type(raised).__name__ in _DISCONNECTS:
            raised = None
        elif raised is None and not request.has_started and not request.gone:
            raised = NoAnswerError("the application returned without sending a response")
        held = await request.held_back()
        is_shown = not request.has_started if held is None else self._is_replaced(request, raised, scope)
        media_type = _media_type(scope) if is_shown else ""
        report: Report | None = None
        for error in _distinct(request.error, raised):
            is_late = held is None and request.is_complete and error is raised
            occasion = Occasion.BACKGROUND if is_late else Occasion.REQUEST
            context = request.context if error is request.error else None
            queries = tuple(request.queries or ())
            brought = Brought(bytes(request.body or b""), request.session, queries, context, media_type)
            made = await self._report(error, occasion, scope, brought)
            report = report or made
        if held is not None:
            if report is None or not is_shown:
                await held.let_go()
                return
            if request.is_complete:
                self._keep(report, held)
        elif raised is None or request.is_complete:
            return
        elif request.has_started:
            raise AnswerCutError from raised
        assert report is not None
        request.is_answered = True
        await self._answer(report, scope, send)

    def _is_replaced(self, request: _Request, raised: BaseException | None, scope: Scope) -> bool:
        """Whether the page comes instead of the answer that was held back."""
        if raised is not None and not request.is_complete:  # there is no other answer
            return True
        is_wanted = raised is not None or request.is_replaceable
        return is_wanted and not self._framework_errors and _media_type(scope) == "text/html"

    def _keep(self, report: Report, held: HeldAnswer) -> None:
        """What the page has replaced stays within reach of who looks at it."""
        if self._kept is None or not report.id:
            return
        found = self._kept.find(report.id)
        if found is None:
            found = KeptError(report)
            self._kept.keep(found)
        found.framework_answer = held.as_framework_answer()

    async def _report(
        self, error: BaseException, occasion: Occasion, scope: Scope, brought: Brought = NOTHING_BROUGHT
    ) -> Report:
        """Make the report in a thread, for that takes a while, and show it, whatever becomes of the request meanwhile."""
        # What is looked at may ask for its request: it is in the context.
        job = Job(lambda: _placed(self._make_report(error, occasion, scope, brought)), brought.context)
        job.done.add_done_callback(self._show_made)
        self._threads.submit(job)
        return await asyncio.shield(job.done)

    def _show_made(self, made: asyncio.Future[Report]) -> None:
        if not made.cancelled() and made.exception() is None:
            self._show(made.result())

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        accepted = closed = False
        slot = Slot()
        current.set(slot)

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

        raised: BaseException | None = None
        try:
            try:
                await self._app(scope, watched_receive, watched_send)
            except BaseException as error:
                if _is_cancelled(error):
                    raise
                if type(error).__name__ not in _DISCONNECTS:
                    raised = error
            for one in _distinct(slot.error, raised):
                await self._report(one, Occasion.WEBSOCKET, scope)
            if raised is None or closed:
                return
            if not accepted:
                raise AnswerCutError from raised  # the handshake is answered with 500
            await send({"type": "websocket.close", "code": 1011, "reason": "error in the application"})
        finally:
            slot.close()
            del raised


class _Request(Slot):
    """One request on its way through the app."""

    __slots__ = (
        "_is_read",
        "_receive",
        "_scope",
        "_send",
        "_told_all",
        "body",
        "gone",
        "has_started",
        "held",
        "is_answered",
        "last",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__()
        self.body = bytearray() if _brings_body(scope) else None
        self._scope = scope
        self._receive = receive
        self._is_read = False  # to the end of its body
        self._told_all: asyncio.Event | None = None  # the app has sent all of an answer that is held
        self._send = send
        self.gone = False  # the client
        self.has_started = False  # the app, its answer
        self.last: Event | None = None  # that it has sent
        self.held: HeldAnswer | None = None
        self.is_answered = False  # by a page

    @property
    def is_begun(self) -> bool:
        """Whether the client has got something."""
        return self.is_answered or (self.has_started and (self.held is None or not self.held.is_held))

    @property
    def is_complete(self) -> bool:
        """Whether the app has sent all of its answer."""
        return self.has_started and self.last is not None and is_last(self.last)

    async def receive(self) -> Event:
        event = await (self._disconnect() if self._is_read else self._receive())
        if event is _ANSWERED:
            return dict(event)
        if event["type"] == "http.disconnect":
            self.gone = True
        elif self.body is not None and len(self.body) < MAX_BODY:
            self.body += event.get("body", b"")
        self._is_read = not event.get("more_body", False)
        return event

    async def _disconnect(self) -> Event:
        """What comes after the request: its client leaves, or it is answered, which the engine does not know while that is held."""
        self._told_all = self._told_all or asyncio.Event()
        received = asyncio.ensure_future(self._receive())
        told_all = asyncio.ensure_future(self._told_all.wait())
        try:
            await asyncio.wait((received, told_all), return_when=asyncio.FIRST_COMPLETED)
            return received.result() if received.done() else _ANSWERED
        finally:
            received.cancel()
            told_all.cancel()

    async def send(self, event: Event) -> None:
        if self.held is not None:
            await self.held.send(event)
            if self.held.is_held and is_last(event):
                await self._all_is_told()
        elif event["type"] == "http.response.start":
            self.has_started = True
            if event["status"] >= 500:
                self.held = HeldAnswer(self._send, event)
            else:
                if self.if_failed:
                    self.error = None
                await self._send(event)
        else:
            await self._send(event)
        self.last = event

    async def _all_is_told(self) -> None:
        """The answer is complete, and held. Nothing comes in its place for who does not want a page."""
        assert self.held is not None
        if _media_type(self._scope) != "text/html":
            await self.held.let_go()
        self._told_all = self._told_all or asyncio.Event()
        self._told_all.set()

    async def held_back(self) -> HeldAnswer | None:
        """What the app has sent and the client has not got; from now on it waits until it is let go."""
        if self.held is None:
            return None
        if not self.held.is_held:
            await self.held.let_go()  # to its end
            return None
        self.held.stay()
        return self.held

    def close(self) -> None:
        super().close()
        if self.held is not None:
            self.held.stay()
            self.held = None  # a task of the app's may keep this context for long


def _distinct(swallowed: BaseException | None, raised: BaseException | None) -> list[BaseException]:
    """What is to be reported: an error that led to another is part of that one's report."""
    if swallowed is not None and raised is not None and led_to(swallowed, raised):
        swallowed = None
    return [error for error in (swallowed, raised) if error is not None]


def _placed(report: Report) -> Report:
    """What happened in the background of a request was caused by it all the same."""
    if report.occasion is not Occasion.BACKGROUND or report.request is None:
        return report
    return replace(report, detail=f"after {report.request.method} {report.request.url} was answered")


def _brings_body(scope: Scope) -> bool:
    """Whether a body comes that an error page shows."""
    if scope["method"] in _WITHOUT_BODY:
        return False
    return any(name == b"content-type" and value.lower().startswith(_SHOWN_BODIES) for name, value in scope["headers"])


def _media_type(scope: Scope) -> str:
    """As what the client gets a report."""
    with ours_first():
        from devserver.server.web import pages, request_facts

        return pages.negotiate(request_facts.header(scope, b"accept")).value


def _is_cancelled(error: BaseException) -> bool:
    """Whether the engine ended the request: the grace is over. Else the app waited for a task of its own that was cancelled."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


async def _answer_cut(scope: Scope, send: Send) -> None:
    is_page = _media_type(scope) == "text/html"  # which loads itself again
    body = (f"<!doctype html><title>Restarted</title><p>{_CUT}" if is_page else f"{_CUT}\n").encode()
    headers = [
        (b"content-type", b"text/html; charset=utf-8" if is_page else b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
