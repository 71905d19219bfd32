"""The event streams of browsers: who listens, and what all of them are told.

Runs in the supervisor, which outlives every server: a server judges the request and hands its connection over, so no restart ends a
stream and nobody has to connect anew. Rules that hold: nothing here waits for a browser, one that does not read is let go; what
is said is for everybody who may open a page (numbers, and addresses of files that were sent).
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial

MAX_STREAMS = 256
HEARTBEAT_S = 15.0
"""A browser that hears nothing for much longer takes its stream for lost."""
RETRY_MS = 1000
_HEAD = (
    "HTTP/1.1 200 OK\r\n"
    "Content-Type: text/event-stream\r\n"
    "Cache-Control: no-store\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n"
    "Connection: close\r\n"
    "\r\n"
    f"retry: {RETRY_MS}\n\n"
).encode()
_FLAGS = socket.MSG_DONTWAIT | getattr(socket, "MSG_NOSIGNAL", 0)


class Browsers:
    """Owns the connections of the streams."""

    def __init__(self, call_later: Callable[[float, Callable[[], None]], None]) -> None:
        self._call_later = call_later
        # By descriptor. The function of each stays the same: the selector is not told anew in each turn.
        self._listening: dict[int, tuple[socket.socket, Callable[[], None]]] = {}
        self._gone: list[socket.socket] = []  # let go, and perhaps still in the selector
        self._run = 0
        self.refreshes = 0
        """How many were decided."""
        self._told_refreshes = 0
        self._beats = False

    def opened(self, fd: int) -> None:
        """A browser listens from now on. Takes the descriptor over."""
        try:
            listener = socket.socket(fileno=fd)
        except OSError:  # macOS: its browser has left already
            os.close(fd)
            return
        if len(self._listening) >= MAX_STREAMS:
            listener.close()
            return
        self._listening[fd] = (listener, partial(self._attend, listener))
        self._send(listener, _HEAD + (_event(self._state()) if self._run else b""))
        if not self._beats:
            self._beats = True
            self._call_later(HEARTBEAT_S, self._beat)

    def newest(self, run: int) -> None:
        """A server with this number answers: what older ones have made is old."""
        self._run = run
        self._tell_all(_event(self._state()))

    def refreshed(self, urls: Sequence[str], number: int, *, page: bool) -> None:
        """Files changed that browsers know by these paths; with `page`, such as pages are made from. This is refresh `number`."""
        self._told_refreshes = number
        self._tell_all(_event({"urls": list(urls), "page": page, "seen": number}))

    def descriptors(self) -> Mapping[int, Callable[[], None]]:
        """What belongs in the selector, and what to do when it is readable: then a browser leaves."""
        return {fd: attend for fd, (_listener, attend) in self._listening.items()}

    def _attend(self, listener: socket.socket) -> None:
        if listener.fileno() not in self._listening:  # let go in this very turn
            return
        try:
            if listener.recv(4096, _FLAGS):
                return
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            pass
        self._let_go(listener)

    def settle(self) -> None:
        """The selector has heard who is gone: their descriptors may be closed.

        Not before: a child that the app has forked may hold the connection too, and epoll would tell of its end for ever.
        """
        for listener in self._gone:
            listener.close()
        self._gone.clear()

    def close(self) -> None:
        """End all streams. Browsers look for the next run by themselves."""
        for listener, _attend in list(self._listening.values()):
            self._let_go(listener)
        self.settle()

    def _state(self) -> Mapping[str, int]:
        """What a page compares: who finds that it has missed a refresh loads again."""
        return {"run": self._run, "seen": self._told_refreshes}

    def _beat(self) -> None:
        self._beats = bool(self._listening)
        if self._beats:
            self._tell_all(_event(None))
            self._call_later(HEARTBEAT_S, self._beat)

    def _tell_all(self, data: bytes) -> None:
        for listener, _attend in list(self._listening.values()):
            self._send(listener, data)

    def _send(self, listener: socket.socket, data: bytes) -> None:
        try:
            if listener.send(data, _FLAGS) == len(data):
                return
        except OSError:
            pass
        self._let_go(listener)  # half an event would spoil those after it

    def _let_go(self, listener: socket.socket) -> None:
        del self._listening[listener.fileno()]
        self._gone.append(listener)
        with suppress(OSError):  # whoever else holds the connection: its browser shall see the end
            listener.shutdown(socket.SHUT_RDWR)


def _event(said: object) -> bytes:
    return f"data: {json.dumps(said, separators=(',', ':'))}\n\n".encode()
