"""The HTTP engine: uvicorn's protocols behind serve, adopt and drain. Only it and `connections` know uvicorn.

Runs in the server, on its event loop. `uvicorn.Server` is not used: its shutdown resets connections and polls. Rules that hold:

- The listening sockets' flags belong to all processes that hold them: nobody here dups them or changes their blocking mode.
- Draining begins in one step: accepting stops and every connection on which no request has begun is handed over, with the bytes
  that were read of a request whose head is not complete. What was begun is finished.
- A connection is handed over only when everything that was written to it has reached the kernel.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import time
from collections.abc import Callable, Sequence
from email.utils import formatdate
from typing import Any

import uvloop
from uvicorn.config import Config
from uvicorn.server import ServerState

from devserver.server.asgi import ASGIApp
from devserver.server.deferred import ours_first
from devserver.server.web.capture import AnswerCutError
from devserver.server.web.connections import Connection, DetachedLogger

KEEP_ALIVE_S = 75
"""How long an idle connection is kept. Longer than browsers and test clients keep theirs, so that they close first: a server that
closes first races with the next request."""
STALE_TURN_S = 0.002
"""When the loop was busy for longer than this, or did not run, orders of the supervisor are looked at before the next request.
Shorter than any server takes from its predecessor's order to drain to its own first answer: it is forked in between."""
CANCEL_S = 0.25
"""What a task gets to end after it was cancelled."""
_ACCEPTS_PER_TURN = 64
_ACCEPT_PAUSE_S = 0.5
_FLUSH_RETRY_S = 0.002
_DRAIN_STEP_S = 0.01

HandOver = Callable[[int, bytes], None]
Socket = socket.socket  # as it is now: an app may replace what the module has (gevent, eventlet)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """The loop that the engine runs on: uvloop (measured, see docs/benchmarks.md)."""
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def choose_event_loop() -> asyncio.AbstractEventLoop:
    """The loop that the app's import left as the current one (`asyncio.get_event_loop()`), else a new one.

    What the import put on its loop, tasks and patches, would be on none that runs otherwise.
    """
    # `get_event_loop` itself would make one, and `get_event_loop_policy` warns from Python 3.14 on.
    policy = getattr(asyncio.events, "_event_loop_policy", None)
    loop = getattr(getattr(policy, "_local", None), "_loop", None)
    if isinstance(loop, asyncio.AbstractEventLoop) and not loop.is_closed():
        return loop
    return new_event_loop()


class Engine:
    """Serves one ASGI app on listening sockets that others own too."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        state: dict[str, Any],
        on_first_request: Callable[[], None] = lambda: None,
        look_at_orders: Callable[[], None] = lambda: None,
        notice: Callable[[str], None] = lambda text: None,
        on_error: Callable[[BaseException], None] = lambda error: None,
    ) -> None:
        """`state` is the lifespan state each scope gets a copy of. `look_at_orders` reads the supervisor's messages now; it may
        call `begin_drain`. `notice` prints one line; `on_error` is told what came out of `app`."""
        self.loop = asyncio.get_running_loop()
        self.logger = _engine_logger(notice, on_error)
        self.notice = notice
        self.config = Config(
            app,
            interface="asgi3",
            http=Connection,
            lifespan="off",
            # Its defaults close the handlers that the user configured. `access_log=False` would take those of uvicorn.access
            # away; each connection leaves it alone instead.
            log_config=None,
            proxy_headers=False,  # the app sees what the client sent
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            ws_ping_timeout=None,  # at a debugger prompt nobody answers pings, and the socket should be there afterwards
        )
        # What `Config.load` would find out is known; it would import uvicorn's command line between a save and the first answer.
        self.config.loaded_app = app
        self.config.ws_protocol_class = self._websocket  # type: ignore[assignment]  # called like a class
        self.config.loaded = True
        if (library := logging.getLogger("uvicorn.error")).level == logging.NOTSET:
            library.setLevel(
                logging.INFO
            )  # websockets tells of each new connection there, if the root logger is at DEBUG
        self.app_state = state
        self.server_state = ServerState()
        self.draining = False
        self.last_turn = time.monotonic()
        self._first_request: Callable[[], None] | None = on_first_request
        self._look_at_orders = look_at_orders
        self._listeners: list[socket.socket] = []
        self._accepts: set[asyncio.Task[Any]] = set()
        self._hand_over: HandOver | None = None
        self._changed = asyncio.Event()
        self._date_s = 0
        self._told_of_tls = False

    def _websocket(self, **arguments: Any) -> asyncio.Protocol:
        with ours_first():
            from devserver.server.web.websocket import WebSocket
        return WebSocket(self, **arguments)

    # --- accepting ---

    def serve(self, fds: Sequence[int]) -> None:
        """Begin to accept on these listening sockets, which are non-blocking already. Takes the descriptors over."""
        for fd in fds:
            listener = Socket(fileno=fd)
            # The flag is set already; this is for Python's own timeout, which socket.setdefaulttimeout() has set if the app
            # called it: accept() would wait for so long.
            listener.setblocking(False)
            self._listeners.append(listener)
            self.loop.add_reader(listener.fileno(), self._accept, listener)

    def stop_accepting(self) -> None:
        """Accept no more. Connections wait in the backlog for whoever accepts next."""
        for listener in self._listeners:
            self.loop.remove_reader(listener.fileno())
            listener.close()
        self._listeners.clear()

    def adopt(self, fd: int, data: bytes) -> None:
        """Go on with a connection of the server before; `data` was read from it already. Takes the descriptor over."""
        self._connect(Socket(fileno=fd), data)

    def _accept(self, listener: socket.socket) -> None:
        self.turn()
        for _ in range(_ACCEPTS_PER_TURN):
            if self.draining or listener.fileno() < 0:
                return
            try:
                connection, _address = listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    self._pause_accepting(listener, error)
                return
            self._connect(connection, b"")

    def _pause_accepting(self, listener: socket.socket, error: OSError) -> None:
        # The listener stays readable: without a pause the loop would spin on it.
        self.notice(f"cannot accept a connection now: {error.strerror}")
        self.loop.remove_reader(listener.fileno())

        def again() -> None:
            if listener in self._listeners:
                self.loop.add_reader(listener.fileno(), self._accept, listener)

        self.loop.call_later(_ACCEPT_PAUSE_S, again)

    def _connect(self, sock: socket.socket, data: bytes) -> None:
        sock.setblocking(False)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            pass  # the peer is gone already; the transport will notice
        task = self.loop.create_task(self._connected(sock, data))
        self._accepts.add(task)
        task.add_done_callback(self._accept_ended)

    async def _connected(self, sock: socket.socket, data: bytes) -> None:
        try:
            await self.loop.connect_accepted_socket(lambda: Connection(self, data), sock)
        except OSError:
            sock.close()

    def _accept_ended(self, task: asyncio.Task[Any]) -> None:
        self._accepts.discard(task)
        self.changed()

    # --- what connections tell ---

    def turn(self) -> None:
        """Called before something new is begun. After the loop stood still, orders come first: old code must not answer what
        was asked after the new server was ready."""
        now = time.monotonic()
        if now - self.last_turn > STALE_TURN_S:
            self._look_at_orders()
        self.last_turn = now
        second = int(time.time())
        if second != self._date_s:
            self._date_s = second
            self.server_state.default_headers = [(b"date", formatdate(second, usegmt=True).encode())]

    @property
    def is_busy(self) -> bool:
        """Is anything being answered?"""
        return bool(self.server_state.tasks)

    def request_began(self) -> None:
        if self._first_request is not None:
            first, self._first_request = self._first_request, None
            first()

    def tls_began(self) -> None:
        """A client spoke TLS. A browser tries several times; it is told once."""
        if not self._told_of_tls:
            self._told_of_tls = True
            self.notice("the browser asked for https; this server speaks http only: use an address with http://")

    def changed(self) -> None:
        """A connection or an accept ended."""
        if self.draining:
            self._changed.set()

    # --- draining ---

    def begin_drain(self, hand_over: HandOver) -> None:
        """The first step, done at once: accept no more, hand over what is idle, close WebSockets with 1012 (service restart)."""
        if self.draining:
            return
        self.draining = True
        self._hand_over = hand_over
        self.stop_accepting()
        for protocol in list(self.server_state.connections):
            if isinstance(protocol, Connection):
                self.release(protocol)
            else:
                protocol.shutdown()

    async def finish_drain(
        self, deadline: float, clock: Callable[[], float], *, ignore: Callable[[asyncio.Task[Any]], bool]
    ) -> None:
        """Wait until everything that was begun has ended, or until `deadline` by `clock`; what is left then is cut.

        The clock stands still while a person is at a debugger prompt.
        `ignore` says which tasks are not waited for (event streams: they were told to end).
        """
        while self._busy(ignore) and (left := deadline - clock()) > 0:
            self._changed.clear()
            changed = self.loop.create_task(self._changed.wait())
            # A task that goes on after its answer (background tasks) ends without a word of its connection.
            waited = {changed, *(task for task in self.server_state.tasks if not ignore(task))}
            await asyncio.wait(waited, timeout=max(left, _DRAIN_STEP_S), return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()
        tasks = set(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CANCEL_S)
        for protocol in list(self.server_state.connections):
            protocol.transport.abort()

    def _busy(self, ignore: Callable[[asyncio.Task[Any]], bool]) -> bool:
        if self._accepts or any(not ignore(task) for task in self.server_state.tasks):
            return True
        return any(not (isinstance(c, Connection) and c.in_request) for c in self.server_state.connections)

    def release(self, protocol: Connection) -> None:
        """Hand a connection over if nothing has begun on it and all that was written to it is out."""
        if self._hand_over is None or not protocol.idle or protocol.transport.is_closing():
            return
        if protocol.transport.get_write_buffer_size():
            # The end of the last answer must be on the wire before the next server writes.
            self.loop.call_later(_FLUSH_RETRY_S, self.release, protocol)
            return
        data, protocol.unread = protocol.unread or b"", None
        try:
            fd = protocol.leave()
        except OSError:  # out of descriptors
            protocol.transport.close()
            return
        self._hand_over(fd, data)


class _NoticeHandler(logging.Handler):
    def __init__(self, notice: Callable[[str], None], on_error: Callable[[BaseException], None]) -> None:
        super().__init__(logging.WARNING)
        self._notice = notice
        self._on_error = on_error

    def emit(self, record: logging.LogRecord) -> None:
        if not record.exc_info:
            self._notice(record.getMessage())
        elif (error := record.exc_info[1]) and not isinstance(error, AnswerCutError | asyncio.CancelledError):
            self._on_error(error)


def _engine_logger(notice: Callable[[str], None], on_error: Callable[[BaseException], None]) -> logging.Logger:
    logger = DetachedLogger("devserver.engine", logging.WARNING)
    logger.addHandler(_NoticeHandler(notice, on_error))
    return logger
