"""Event streams: long answers that must not hold up a restart. Runs in the server, on its loop.

A `text/event-stream` never ends by itself. At a restart it is ended properly: the client sees the end of the answer, and an
EventSource connects again, to the new server; the app sees a disconnect.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from devserver.server.asgi import ASGIApp, Event, Receive, Scope, Send

END_S = 0.25
"""How long the end of a stream may take to reach a client that does not read."""


@dataclass(slots=True, eq=False)
class _Stream:
    send: Send
    task: asyncio.Task[object] | None  # that of the request; the app may send from others
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class EventStreams:
    """Middleware that knows the open event streams."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._open: set[_Stream] = set()
        self._tasks: set[asyncio.Task[object]] = set()

    def replace_app(self, app: ASGIApp) -> None:
        """From now on this one answers; what was begun goes on."""
        self._app = app

    async def end_all(self) -> None:
        """End every open stream. Takes no longer than `END_S`."""
        if not self._open:
            return
        ends = []
        for stream in self._open:
            stream.ended.set()
            if stream.task is not None:
                self._tasks.add(stream.task)
            ends.append(asyncio.ensure_future(_end(stream.send)))
        _done, late = await asyncio.wait(ends, timeout=END_S)
        for end in late:
            end.cancel()

    @property
    def ended_some(self) -> bool:
        """Whether `end_all` found open streams."""
        return bool(self._tasks)

    def was_stream(self, task: asyncio.Task[object]) -> bool:
        """Whether `task` ran an event stream that was ended: nobody has to wait for it."""
        return task in self._tasks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        task = asyncio.current_task()
        stream: _Stream | None = None

        async def watched_send(event: Event) -> None:
            nonlocal stream
            if stream is not None:
                if stream.ended.is_set():
                    return
                if not event.get("more_body", False):
                    self._open.discard(stream)
                await send(event)
                return
            if event["type"] == "http.response.start" and _is_event_stream(event):
                stream = _Stream(send, task)
                self._open.add(stream)
            await send(event)

        async def watched_receive() -> Event:
            if stream is None:
                return await receive()
            ended = asyncio.ensure_future(stream.ended.wait())
            received = asyncio.ensure_future(receive())
            try:
                await asyncio.wait((ended, received), return_when=asyncio.FIRST_COMPLETED)
                return {"type": "http.disconnect"} if ended.done() else received.result()
            finally:
                ended.cancel()
                received.cancel()

        try:
            await self._app(scope, watched_receive, watched_send)
        finally:
            if stream is not None:
                self._open.discard(stream)


async def _end(send: Send) -> None:
    with suppress(Exception):  # the client was faster
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _is_event_stream(event: Event) -> bool:
    return any(
        name.lower() == b"content-type" and value.lower().startswith(b"text/event-stream")
        for name, value in event.get("headers", ())
    )
