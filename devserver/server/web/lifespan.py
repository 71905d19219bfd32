"""ASGI lifespan: startup before the first request, shutdown after the last (ASGI lifespan protocol 2.0). Runs in the server.

An app that raises on the lifespan scope before it answered is one without lifespan. One that says that its startup failed, or
raises after it began to receive, has failed to load.
"""

from __future__ import annotations

import asyncio
from typing import Any

from devserver.server.asgi import ASGIApp, Event

_LET_OUT_S = 0.2
"""How long an app that said that it failed may take to raise what it failed by."""


class LifespanFailedError(Exception):
    """The app said `lifespan.startup.failed` or `lifespan.shutdown.failed`. The message is the app's own."""


class Lifespan:
    """The lifespan of one app. `state` is filled by the app and copied into every scope."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.state: dict[str, Any] = {}
        self._orders: asyncio.Queue[Event] = asyncio.Queue()
        self._answers: asyncio.Queue[Event] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._error: BaseException | None = None
        self._received = False
        self._supported = False

    async def startup(self) -> None:
        """Run the startup. Raises what the app raised, or LifespanFailedError. An app without lifespan is no error."""
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        self._task = asyncio.get_running_loop().create_task(self._run(scope), name="devserver-lifespan")
        self._orders.put_nowait({"type": "lifespan.startup"})
        answer = await self._answer()
        if answer is not None:
            self._supported = True
            if answer["type"] == "lifespan.startup.failed":
                raise await self._failure(answer, "the app said that its startup failed")
            return
        error = self._error
        # An app that raises although it has no lifespan (Channels' ProtocolTypeRouter, a plain `assert scope["type"] == "http"`)
        # does so at once. One that took the order and then raised means it.
        if error is not None and self._received:
            raise error

    async def shutdown(self) -> None:
        """Run the shutdown. Raises what the app raised, or LifespanFailedError."""
        if not self._supported or self._task is None or self._task.done():
            return
        self._orders.put_nowait({"type": "lifespan.shutdown"})
        answer = await self._answer()
        if answer is not None and answer["type"] == "lifespan.shutdown.failed":
            raise await self._failure(answer, "the app said that its shutdown failed")
        if answer is None and self._error is not None:
            raise self._error

    async def _run(self, scope: dict[str, Any]) -> None:
        async def receive() -> Event:
            self._received = True
            return await self._orders.get()

        async def send(event: Event) -> None:
            self._answers.put_nowait(event)

        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # SystemExit too: out of a task it would end the loop
            self._error = error

    async def _answer(self) -> Event | None:
        """What the app answered; None if it ended without an answer."""
        assert self._task is not None
        answer = asyncio.ensure_future(self._answers.get())
        await asyncio.wait((answer, self._task), return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        if not self._answers.empty():
            answer.cancel()
            return self._answers.get_nowait()
        answer.cancel()
        return None

    async def _failure(self, answer: Event, otherwise: str) -> BaseException:
        """What went wrong: the exception itself where the app lets it out after its answer, as Starlette does."""
        assert self._task is not None
        await asyncio.wait((self._task,), timeout=_LET_OUT_S)
        return self._error or LifespanFailedError(answer.get("message") or otherwise)
