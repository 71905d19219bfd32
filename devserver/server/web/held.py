"""Answers of 500 and above, held back until the app has ended: only then it is known whether it failed. Runs on the loop.

Rules that hold: the client sees either all of the answer or nothing; whoever sends after the answer was let go waits for what is
on its way; an answer that is large, or an app that takes its time after it began, is not held up.
"""

from __future__ import annotations

import asyncio

from devserver.server.asgi import Event, Send
from devserver.server.web.kept import FrameworkAnswer

MAX_HELD = 2_000_000  # bytes of the body
HELD_S = 1.0
"""A framework that failed ends right after its answer; a stream or a background task goes on, and nobody shall wait for it."""

_PLAIN_EVENTS = frozenset({"http.response.body", "http.response.trailers"})
"""What says all by itself. A file that another event names may be closed or gone later."""


class HeldAnswer:
    """One answer, from its first event on. Held until `let_go`, which time and size may call as well."""

    def __init__(self, send: Send, start: Event) -> None:
        self._send = send
        self._events: list[Event] = [dict(start)]  # copies: the app may use its own again
        self._size = 0
        self._way_out: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(HELD_S, self._start)

    @property
    def is_held(self) -> bool:
        """Whether nothing of it was sent yet."""
        return self._way_out is None

    async def send(self, event: Event) -> None:
        """What the app sends after the start."""
        if self._way_out is None:
            self._size += len(event.get("body", b""))
            if event["type"] in _PLAIN_EVENTS and self._size <= MAX_HELD:
                self._events.append(dict(event))
                return
        await self.let_go()
        await self._send(event)

    async def let_go(self) -> None:
        """Send it as it is. Returns when all that was held is sent."""
        await asyncio.shield(self._start())

    def stay(self) -> None:
        """The app has ended: it is no longer a question of time."""
        self._timer.cancel()

    def as_framework_answer(self) -> FrameworkAnswer:
        start, *rest = self._events
        return FrameworkAnswer(
            status=start["status"],
            headers=tuple((name, value) for name, value in start.get("headers", ())),
            body=b"".join(event.get("body", b"") for event in rest),
        )

    def _start(self) -> asyncio.Task[None]:
        if self._way_out is None:
            self._timer.cancel()
            self._way_out = asyncio.get_running_loop().create_task(self._send_all())
        return self._way_out

    async def _send_all(self) -> None:
        for event in self._events:
            await self._send(event)


def is_last(event: Event) -> bool:
    """Whether an answer is complete with this event (ASGI 3.0 and its extensions). Trailers that were promised do not count."""
    kind = event["type"]
    if kind in ("http.response.body", "http.response.zerocopysend"):
        return not event.get("more_body", False)
    if kind == "http.response.trailers":
        return not event.get("more_trailers", False)
    return bool(kind == "http.response.pathsend")
