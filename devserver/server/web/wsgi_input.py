"""`wsgi.input` for bodies that are not there yet: read in the thread of the request, filled by the event loop.

Runs in the server process; half on the loop, half in the request's thread, as each method says. Rules that hold:
- Nothing is received before the app reads: an `Expect: 100-continue` is answered by the first read (PEP 3333 "HTTP 1.1
  Expect/Continue"), and a body that nobody reads stays outside.
- At most `READ_AHEAD` bytes and one event wait for the app; then the engine stops reading the socket.
- A thread that waits here is woken when the client leaves or the request is over.
"""

from __future__ import annotations

import asyncio
import contextvars
import io
import threading
from collections import deque
from collections.abc import Callable

from devserver.server.asgi import Receive

READ_AHEAD = 262144  # bytes


class DisconnectedError(ConnectionResetError):
    """The client left before its request was read or answered. Frameworks know it as an OSError of the input."""


class BodyStream(io.RawIOBase):
    """The rest of a request's body. Wrap it in an `io.BufferedReader`."""

    def __init__(
        self,
        receive: Receive,
        post: Callable[[Callable[[], None]], None],
        on_disconnect: Callable[[], None],
        first: bytes,
    ) -> None:
        """`post` has a function called on the loop; `on_disconnect` is called there when the client has left; `first` is
        what of the body was received before. Created on the loop, in the task of the request."""
        self._receive = receive
        self._post = post
        self._on_disconnect = on_disconnect
        self._context = contextvars.copy_context()  # `receive` runs in the context of the request's task
        self._task: asyncio.Task[None] | None = None
        self._resumed: asyncio.Future[None] | None = None
        self._watched = False

        self._changed = threading.Condition()  # guards everything below
        self._chunks = deque([first] if first else [])
        self._buffered = len(first)
        self._offset = 0  # of what was read in the first chunk
        self._ended = False
        self._paused = False
        self._error: BaseException | None = None

    # --- in the thread ---

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Bytes written to `buffer`, 0 at the end of the body. Blocks. Raises DisconnectedError."""
        with self._changed:
            if not self._wait():
                return 0
            chunk = self._chunks[0]
            size = min(len(buffer), len(chunk) - self._offset)
            buffer[:size] = memoryview(chunk)[self._offset : self._offset + size]
            self._offset += size
            if self._offset == len(chunk):
                self._chunks.popleft()
                self._offset = 0
            self._account(size)
        return size

    def readall(self) -> bytes:
        """The rest of the body. Blocks. Raises DisconnectedError."""
        parts = []
        with self._changed:
            while self._wait():
                chunk = self._chunks.popleft()
                parts.append(chunk[self._offset :] if self._offset else chunk)
                self._account(len(chunk) - self._offset)
                self._offset = 0
        return b"".join(parts)

    def _wait(self) -> bool:
        """Under the lock: wait for bytes; False at the end of the body."""
        while not self._chunks:
            if self._ended:
                return False
            if self._error is not None:
                raise self._error
            if self._task is None:
                self._post(self._pull)
            self._changed.wait()
        return True

    def _account(self, size: int) -> None:
        self._buffered -= size
        if self._paused and self._buffered <= READ_AHEAD // 2:
            self._paused = False
            self._post(self._pull)

    # --- on the loop ---

    def watch(self) -> None:
        """From now on go on receiving after the end of the body, to learn when the client leaves.

        It cannot be learned while more than `READ_AHEAD` of an unread body is there: ASGI has no way to ask for the one
        without the other.
        """
        self._watched = True
        self._pull()

    def cancel(self) -> None:
        """The request is over: receive nothing more; a read of what has not come raises DisconnectedError."""
        if self._task is not None:
            self._task.cancel()
        self._fail(DisconnectedError("the request is over"))

    def _pull(self) -> None:
        if self._error is not None:
            return
        if self._task is None or (self._task.done() and self._watched):
            self._task = asyncio.get_running_loop().create_task(self._pump(), context=self._context)
        elif self._resumed is not None and not self._resumed.done():
            self._resumed.set_result(None)

    async def _pump(self) -> None:
        try:
            while self._watched or not self._ended:
                event = await self._receive()
                if event["type"] == "http.disconnect":
                    self._fail(DisconnectedError("the client left before it had sent the whole body"))
                    self._on_disconnect()
                    return
                if not self._ended and self._add(event.get("body", b""), more=event.get("more_body", False)):
                    self._resumed = asyncio.get_running_loop().create_future()
                    await self._resumed
        except Exception as error:  # of `receive`: the app's read raises it
            self._fail(error)

    def _add(self, chunk: bytes, *, more: bool) -> bool:
        """True if enough is buffered."""
        with self._changed:
            if chunk:
                self._chunks.append(chunk)
                self._buffered += len(chunk)
            self._ended = not more
            self._paused = more and self._buffered >= READ_AHEAD
            self._changed.notify()
            return self._paused

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            if self._error is None:
                self._error = error
            self._changed.notify()
