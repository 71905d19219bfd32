"""A WebSocket connection of the engine: uvicorn's protocol class, closed so that its client sees why.

Runs in the server, on its loop. Imported with the first WebSocket, or behind the first load (`deferred.py`).
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from devserver.server.asgi import ASGIApp, Receive, Scope, Send
from devserver.server.web.connections import SILENT, Owner

CLOSE_S = 0.5
"""How long a WebSocket client gets to answer our close frame."""


class WebSocket(WebSocketsSansIOProtocol):
    """One WebSocket connection."""

    def __init__(self, engine: Owner, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.engine = engine
        self.logger = SILENT
        # It took a logger of the user's hierarchy and would tell of each frame to a root logger at DEBUG.
        self.conn.logger, self.conn.debug = SILENT, False
        self._answer: ASGIApp = self.app
        self.app = self._app_then_close
        self._restarting = False
        self._closed = asyncio.Event()
        self._cut: asyncio.TimerHandle | None = None

    def shutdown(self) -> None:
        """Close with 1012 (service restart) and go when the client has answered, or after `CLOSE_S`.

        Not at once: closing a socket in which something is unread resets it, and the client would not see the close frame.
        """
        if self.close_sent or not self.handshake_complete or self.transport.is_closing():
            super().shutdown()
            return
        self._restarting = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": 1012, "reason": "service restart"})
        self.conn.send_close(1012)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self._cut = self.loop.call_later(CLOSE_S, self.transport.abort)

    async def _app_then_close(self, scope: Scope, receive: Receive, send: Send) -> None:
        """uvicorn closes the transport when the app ends: let it end when the client has answered."""
        try:
            await self._answer(scope, receive, send)
        finally:
            if self._restarting:
                await self._closed.wait()

    async def send(self, message: Any) -> None:
        if self._restarting:
            raise ClientDisconnected
        await super().send(message)

    def send_receive_event_to_app(self) -> None:
        if self._restarting:
            self.frames = []  # read on, to the answer
        else:
            super().send_receive_event_to_app()

    def handle_close(self, event: Any) -> None:
        super().handle_close(event)
        if self._restarting:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._cut is not None:
            self._cut.cancel()
        self._closed.set()
        super().connection_lost(exc)
        self.engine.changed()
