"""The connections of the engine: uvicorn's protocol classes, told when to begin, where to report and how to end.

Runs in the server, on its loop. Rules that hold: what was read of a request whose head is not complete is at hand until the head
is; nothing begins before the engine had its turn; a WebSocket is closed so that its client sees why.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Any, Protocol
from urllib.parse import quote_from_bytes

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from devserver.server.asgi import LEAVE
from devserver.server.web.access import EVENTS

_EVENTS = EVENTS.encode()
_TLS_HANDSHAKE = b"\x16\x03"
_ASCII = bytes(range(0x80)).decode()


class Owner(Protocol):
    """What a connection knows of the engine."""

    config: Config
    server_state: ServerState
    app_state: dict[str, Any]
    loop: asyncio.AbstractEventLoop
    logger: logging.Logger
    draining: bool

    def turn(self) -> None:
        """Something new is about to begin; may begin to drain and release the connection."""

    def request_began(self) -> None: ...

    def tls_began(self) -> None: ...

    def release(self, protocol: Connection) -> None:
        """Hand the connection over, if nothing has begun on it."""

    def changed(self) -> None:
        """A connection ended, or an answer while draining."""


class Connection(HttpToolsProtocol):
    """One HTTP connection."""

    def __init__(self, engine: Owner, data: bytes) -> None:
        """`data` was read by the server before this one."""
        super().__init__(engine.config, engine.server_state, engine.app_state, engine.loop)
        self.engine = engine
        self.logger = engine.logger
        self.access_log = False
        self.begun = False  # a request has begun and is not read to its end
        # What was read of a request whose head is not complete; None: it cannot be told apart.
        self.unread: bytes | None = b""
        self.handed_over = False
        self._adopted = data
        self._fresh = True
        self._in_request_line = False

    @property
    def in_request(self) -> bool:
        cycle: Any = self.cycle  # None before the first request, whatever uvicorn's annotation says
        return cycle is not None and not cycle.response_complete

    @property
    def idle(self) -> bool:
        """No request is being answered, and what was read of the next one (if anything) is at hand."""
        return not (self.in_request or self.pipeline or self.handed_over) and (not self.begun or bool(self.unread))

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Close the connection if nothing comes for long.
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)
        if self._adopted:  # now, before the loop reads what follows it
            data, self._adopted = self._adopted, b""
            self.data_received(data)
        elif self.engine.draining:  # accepted in the same turn in which draining began
            self.engine.release(self)

    def data_received(self, data: bytes) -> None:
        engine = self.engine
        if self._fresh:
            self._fresh = False
            if data.startswith(_TLS_HANDSHAKE):
                engine.tls_began()
                self.transport.close()
                return
        if not self.in_request:
            if not self.begun:
                self.unread = data
                self._in_request_line = True
            elif self.unread is not None:
                self.unread += data
            if engine.draining:
                engine.release(self)
            else:
                engine.turn()  # may begin to drain and hand this connection over
            if self.handed_over:
                return
        super().data_received(self._quoted(data) if self._in_request_line else data)
        if engine.draining:
            engine.release(self)  # an upload that was answered already is read to its end

    def _quoted(self, data: bytes) -> bytes:
        """Percent-encode what is not ASCII in a request line: browsers do that, people with curl do not (RFC 3986 §2.1)."""
        end = data.find(b"\n")
        if end >= 0:
            self._in_request_line = False
        line = data if end < 0 else data[:end]
        return data if line.isascii() else quote_from_bytes(line, safe=_ASCII).encode() + data[len(line) :]

    def on_message_begin(self) -> None:
        if self.in_request:
            self.unread = None  # pipelined: its bytes cannot be told from those of the request before
        self.begun = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self.unread = None
        self.engine.request_began()
        if self.url.startswith(_EVENTS):
            self.scope["extensions"] = {LEAVE: self.leave}  # type: ignore[dict-item]  # any value, by the specification
        super().on_headers_complete()

    def leave(self) -> int:
        """The socket, for another process to go on with; this connection ends here without a word.

        Nothing may be left to be written. Raises OSError if no more files may be opened.
        """
        fd = os.dup(self.transport.get_extra_info("socket").fileno())
        self.transport.pause_reading()
        self.handed_over = True
        self.transport.abort()
        return fd

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self.begun = False

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.engine.draining:
            self.engine.release(self)
            self.engine.changed()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.engine.changed()


class DetachedLogger(logging.Logger):
    """A logger outside of the hierarchy: the user's logging configuration neither sees it nor is changed by it."""


SILENT = DetachedLogger("devserver.engine", logging.CRITICAL + 1)
