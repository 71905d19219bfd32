"""One WSGI request and its answer: the app's side in a thread, the client's on the event loop.

Runs in the server process. Rules that hold:
- The thread appends what is to be sent and wakes the loop; the loop sends it in that order. Nothing else is shared but flags
  that are only ever set, and the count of bytes in flight under its lock.
- A small answer (a list, or a first chunk that fulfils Content-Length) is one wake-up: head, body and end together.
- The client is watched only while an answer streams, so small requests do not pay for it.
- The result's `close()` is called exactly once, after the end of the answer is on its way, or as soon as the app can be stopped.
"""

from __future__ import annotations

import asyncio
import io
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Protocol

from devserver.server import swallowed
from devserver.server.asgi import Event, Receive, Send
from devserver.server.web.threads import LoopCalls, report_in_thread
from devserver.server.web.wsgi_environ import Environ
from devserver.server.web.wsgi_headers import WSGIError, parse_headers, parse_status
from devserver.server.web.wsgi_input import BodyStream, DisconnectedError

SMALL_BODY = 65536  # bytes: a request body up to this size is waited for before a thread is taken
WHOLE_ANSWER = 65536  # bytes: a list of chunks up to this size is sent as one
IN_FLIGHT = 262144  # bytes of an answer between thread and client
CHUNK_COST = 1024  # bytes that a chunk counts beyond its own: many tiny ones need memory too

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


Write = Callable[[bytes], object]


class StartResponse(Protocol):
    def __call__(self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None, /) -> Write: ...


WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]

# RFC 9110 §15.3.5, §15.4.5. The engine would take a Content-Length of theirs for a promise, so they get none.
_WITHOUT_CONTENT = (204, 304)


class Exchange:
    """Submit it to `RequestThreads` and await `answer`."""

    __slots__ = (
        "_app", "_body", "_calls", "_complete", "_declared", "_environ", "_error", "_gone", "_headers", "_in_flight", "_is_head",
        "_left", "_on_ended", "_over", "_pending", "_receive", "_room", "_slot", "_started", "_status", "_waiter", "_warn",
        "_watcher", "_watching", "began",
    )  # fmt: skip

    def __init__(
        self,
        app: WSGIApp,
        environ: Environ,
        calls: LoopCalls,
        receive: Receive,
        *,
        on_ended: Callable[[], None] | None,
        warn: Callable[[str], None],
    ) -> None:
        self._app = app
        self._environ = environ
        self._calls = calls
        self._receive = receive
        self._on_ended = on_ended
        self._warn = warn
        self._slot = swallowed.current.get()
        # between thread and loop
        self.began = False  # a thread has come for it
        self._pending: deque[Event | None] = deque()  # what is to be sent; None: `_error` is to be raised
        self._error: BaseException | None = None
        self._gone = False  # the client has left, or nobody sends any more
        self._room: threading.Condition | None = None  # made with the first chunk that streams; guards `_in_flight`
        self._in_flight = 0
        self._body: BodyStream | None = None
        # of the loop
        self._waiter: asyncio.Future[None] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._watching = False
        self._over = False
        # of the thread
        self._is_head = environ["REQUEST_METHOD"] == "HEAD"
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._declared: int | None = None  # Content-Length
        self._left: int | None = None  # what of it is still to come
        self._started = False  # the head is on its way
        self._complete = False  # the end is on its way

    # --- on the loop ---

    async def open_body(self) -> bool:
        """Set `wsgi.input` for a request that has a body. False if the client left and nobody waits for an answer."""
        environ = self._environ
        first = b""
        # Received before the app asks for it: not if the client waits to be asked, and not without a limit.
        if "HTTP_EXPECT" not in environ and int(environ.get("CONTENT_LENGTH") or SMALL_BODY + 1) <= SMALL_BODY:
            event = await self._receive()
            if event["type"] == "http.disconnect":
                return False
            first = event.get("body", b"")
            if not event.get("more_body", False):
                environ["wsgi.input"] = io.BytesIO(first)
                return True
        self._body = BodyStream(self._receive, self._calls.post, self._disconnect, first)
        environ["wsgi.input"] = io.BufferedReader(self._body, SMALL_BODY)
        return True

    async def answer(self, send: Send) -> None:
        """Send what the thread says, until the end of the answer or until the client has left. Raises what the app raised."""
        pending = self._pending
        try:
            while not self._gone:
                if not pending:
                    self._waiter = self._calls.loop.create_future()
                    await self._waiter
                    self._waiter = None
                    continue
                event = pending.popleft()
                if event is None:
                    self._raise()
                    return
                await send(event)
                more = event.get("more_body")
                if more is False:
                    return
                if more:
                    self._make_room(len(event["body"]) + CHUNK_COST)
                    if not pending and not self._watching:
                        self._watch()
        finally:
            self._end()

    def drop(self) -> None:
        """No thread will ever come for it: `answer` raises."""
        self._error = RuntimeError("the server is stopping: the request was not begun")
        self._pending.append(None)
        self._wake()

    def _raise(self) -> None:
        error, self._error = self._error, None
        if error is None or _is_disconnect(error):
            return
        try:
            raise error
        finally:
            del error  # its traceback holds this frame: a cycle

    def _wake(self) -> None:
        if self._over:
            self._report_late()
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _report_late(self) -> None:
        error, self._error = self._error, None
        if error is not None and not _is_disconnect(error):
            report_in_thread(error)

    def _make_room(self, size: int) -> None:
        if self._room is not None:
            with self._room:
                self._in_flight -= size
                self._room.notify()

    def _watch(self) -> None:
        self._watching = True
        if self._body is not None:
            self._body.watch()
        else:
            self._watcher = self._calls.loop.create_task(self._await_disconnect())

    async def _await_disconnect(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass  # the end of the request's body
        self._disconnect()

    def _disconnect(self) -> None:
        self._gone = True
        self._wake()

    def _end(self) -> None:
        self._over = self._gone = True
        self._report_late()
        if self._room is not None:
            with self._room:
                self._room.notify()
        if self._watcher is not None:
            self._watcher.cancel()
        if self._body is not None:
            self._body.cancel()

    # --- in the thread ---

    def run(self) -> None:
        """Run the app."""
        self.began = True
        swallowed.current.set(self._slot)
        try:
            self._run_app()
        except BaseException as error:
            self._fail(error)
        finally:
            if self._on_ended is not None:
                self._on_ended()

    def _run_app(self) -> None:
        environ, self._environ = self._environ, {}  # the input knows the exchange: a cycle
        result = self._app(environ, self.start_response)
        try:
            if type(result) is list or type(result) is tuple:
                self._answer_list(result)
            else:
                self._answer_chunks(result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None, /) -> Write:
        """PEP 3333 "The start_response() Callable"."""
        if exc_info:
            try:
                if self._started and exc_info[1] is not None:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # its traceback may hold this frame: a cycle
        elif self._status:
            raise WSGIError(
                "start_response() was called twice",
                hint="to replace an answer by an error page, pass sys.exc_info() as the third argument",
            )
        code = parse_status(status)
        self._headers, self._declared = parse_headers(headers)
        self._status = code
        return self._write

    def _write(self, data: bytes, /) -> None:
        if not isinstance(data, bytes):
            raise _not_bytes(data, "write() was given")
        if self._gone:
            raise DisconnectedError("the client left before it had the whole answer")
        if data:
            self._put(data)

    def _answer_list(self, chunks: list[bytes] | tuple[bytes, ...]) -> None:
        total = 0
        for chunk in chunks:
            if not isinstance(chunk, bytes):
                raise _not_bytes(chunk, f"{_name_of(self._app)} returned a {type(chunks).__name__} with")
            total += len(chunk)
        if not self._status:
            raise self._not_started()
        if not self._started:
            # An empty list in answer to HEAD says nothing of the length that GET would have.
            if self._declared is None and (total or not self._is_head):
                self._declared = total
            if total <= WHOLE_ANSWER or len(chunks) == 1:
                self._put_last(b"".join(chunks))
                return
        for chunk in chunks:
            if self._gone:
                return
            if chunk:
                self._put(chunk)
        if not self._complete:
            self._put_last(b"")

    def _answer_chunks(self, result: object) -> None:
        iterator = self._iterator(result)
        for chunk in iterator:
            if not isinstance(chunk, bytes):
                raise _not_bytes(chunk, f"{_name_of(self._app)} yielded")
            if self._gone:
                return
            if not chunk:
                continue  # PEP 3333: the head waits for the first chunk that is not empty
            if not self._status:
                raise self._not_started()
            self._put(chunk)
            if self._complete:
                # The code behind the last yield runs, but an app that never ends does not hold the thread. Without
                # content nothing was sent of what was yielded, and the next step may take long.
                if self._left == 0 and next(iterator, b""):
                    self._warn(f"{_name_of(self._app)} yielded more than its Content-Length: the rest was not sent")
                return
        if not self._status:
            raise self._not_started()
        if not self._complete:
            self._put_last(b"")

    def _iterator(self, result: object) -> Iterator[object]:
        if isinstance(result, str | bytes) or not (hasattr(result, "__iter__") or hasattr(result, "__getitem__")):
            hint = 'return an iterable of bytes, for instance [b"Hello"]'
            if result is None:
                hint += "; is a return missing?"
            elif isinstance(result, str):
                hint = "return a list with bytes in it: [text.encode()]"
            elif isinstance(result, bytes):
                hint = "return it in a list: [body]"
            elif asyncio.iscoroutine(result):
                hint = "a WSGI app is a def, not an async def; if this is an ASGI app, say --interface asgi"
            kind = "None" if result is None else f"a {type(result).__name__}"
            raise WSGIError(f"{_name_of(self._app)} returned {kind} instead of an iterable of bytes", hint=hint)
        return iter(result)  # type: ignore[call-overload,no-any-return]

    def _not_started(self) -> WSGIError:
        return WSGIError(
            f"{_name_of(self._app)} returned before it called start_response()",
            hint='call start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")]) first',
        )

    def _put(self, chunk: bytes) -> None:
        """Send a chunk that is not empty, and the head before it; waits while too much is in flight."""
        if not self._started:
            self._left = self._declared
            if self._is_head or self._status in _WITHOUT_CONTENT:
                self._put_last(b"")
                return
        left = self._left
        if left is not None:
            if len(chunk) > left:
                raise WSGIError(
                    f"the body is longer than the Content-Length of {self._declared} bytes",
                    hint="Content-Length counts bytes, not characters: len(text.encode())",
                )
            if len(chunk) == left:
                self._put_last(chunk)
                return
            self._left = left - len(chunk)
        size = len(chunk) + CHUNK_COST
        if self._room is None:
            self._room = threading.Condition()
        with self._room:
            while self._in_flight >= IN_FLIGHT and not self._gone:
                self._room.wait()
            self._in_flight += size
        if not self._started:
            self._started = True
            self._pending.append(self._head())
        self._pending.append({"type": "http.response.body", "body": chunk, "more_body": True})
        self._post()

    def _put_last(self, body: bytes) -> None:
        """Send the end of the answer, and the head if it is not sent yet, with one wake-up of the loop."""
        if not self._started:
            self._left = self._declared
        if self._is_head or self._status in _WITHOUT_CONTENT:
            self._left, body = None, b""
        elif self._left is not None and len(body) != self._left:
            raise WSGIError(
                f"the body has {self._declared - self._left + len(body)} bytes, its Content-Length says {self._declared}",  # type: ignore[operator]
                hint="Content-Length counts bytes, not characters: len(text.encode())",
            )
        elif not self._started and self._declared is None:
            self._declared = len(body)  # nothing was yielded
        if self._left is not None:
            self._left = 0
        if not self._started:
            self._started = True
            self._pending.append(self._head())
        self._complete = True
        self._pending.append({"type": "http.response.body", "body": body, "more_body": False})
        self._post()

    def _head(self) -> Event:
        if self._declared is not None and self._status not in _WITHOUT_CONTENT:
            self._headers.append((b"content-length", b"%d" % self._declared))
        return {"type": "http.response.start", "status": self._status, "headers": self._headers}

    def _fail(self, error: BaseException) -> None:
        if not self._complete:
            self._error = error
            self._pending.append(None)
            self._post()
        elif not _is_disconnect(error):
            report_in_thread(error)

    def _post(self) -> None:
        try:
            self._calls.post(self._wake)
        except RuntimeError:  # the loop is closed: the process is about to end
            self._gone = True


def _is_disconnect(error: BaseException | None) -> bool:
    """Did it come of the client's leaving? Then it is nobody's mistake, and nobody is there to be told."""
    for _ in range(32):  # a chain can be a ring
        if error is None or isinstance(error, DisconnectedError):
            break
        error = error.__cause__ or error.__context__
    return isinstance(error, DisconnectedError)


def _not_bytes(value: object, where: str) -> WSGIError:
    hint = "encode it: text.encode()" if isinstance(value, str) else "the body of an answer is made of bytes"
    return WSGIError(f"{where} {type(value).__name__} instead of bytes: {repr(value)[:80]}", hint=hint)


def _name_of(app: object) -> str:
    name = getattr(app, "__qualname__", None) or type(app).__qualname__
    code = getattr(app, "__code__", None)
    return name if code is None else f"{name}() ({code.co_filename}, line {code.co_firstlineno})"
