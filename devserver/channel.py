"""One end of the Unix socket between the supervisor and a process: messages and descriptors, in order, without ever blocking.

Runs in every process. Rules that hold: the socket is non-blocking; what it does not take at once is kept and sent by `flush`; a
message's descriptors arrive with its first byte, so the reader has them before the line is complete. Sending is thread-safe, and
safe in signal handlers. A process that is out of descriptors gets fewer than were sent: the system drops the rest.
"""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from select import POLLIN, POLLOUT, poll

from devserver.messages import MAX_FDS_PER_MESSAGE, Framing, Message, ProtocolError, encode, fds_of

_RECEIVE_BYTES = 1 << 16


@dataclass(slots=True)
class _Outgoing:
    data: bytes
    fds: Sequence[int]
    close_fds: bool


class Channel:
    """A connected Unix stream socket. Owns it, and the descriptors it was given to send with `close_fds`."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._framing = Framing()
        self._received_fds: deque[list[int]] = deque()  # what came with one message each
        self._outgoing: deque[_Outgoing] = deque()
        self._lock = threading.Lock()
        self._flushing = threading.local()
        self.closed = False  # the peer is gone, or close() was called

    def fileno(self) -> int:
        return self._sock.fileno()

    @property
    def wants_write(self) -> bool:
        """Whether something is left to be sent when the socket becomes writable."""
        return bool(self._outgoing) and not self.closed

    def send(self, message: Message, fds: Sequence[int] = (), *, close_fds: bool = False) -> None:
        """Send, or keep for `flush`. With `close_fds` the descriptors are closed here once they are on their way.

        A peer that is gone is no error: whoever waits for an answer learns it from the end of file.
        """
        if len(fds) != fds_of(message) or len(fds) > MAX_FDS_PER_MESSAGE:
            raise ValueError(f"{type(message).__name__} with {len(fds)} descriptors")
        self._outgoing.append(_Outgoing(encode(message), fds, close_fds))
        self.flush()

    def flush(self) -> bool:
        """Send what is left, as far as it goes now. True when nothing is left."""
        done = True
        while done and self._outgoing:
            if getattr(self._flushing, "now", False):
                return False  # a signal handler sends in the middle of this very loop, which will see to it
            self._flushing.now = True  # before the lock is taken: there is no moment in between
            try:
                with self._lock:
                    done = self._send_outgoing()
            finally:
                self._flushing.now = False
        return done

    def _send_outgoing(self) -> bool:
        while self._outgoing and not self.closed:
            first = self._outgoing[0]
            try:
                if first.fds:
                    sent = socket.send_fds(self._sock, [first.data], list(first.fds))
                else:
                    sent = self._sock.send(first.data)
            except (BlockingIOError, InterruptedError):
                return False
            except OSError as error:
                if error.errno == errno.ETOOMANYREFS:  # too many descriptors in flight: the peer has to read first
                    return False
                self.closed = True
                break
            if first.close_fds:
                _close_all(first.fds)
            first.fds = ()
            first.data = first.data[sent:]
            if not first.data:
                self._outgoing.popleft()
        if self.closed:
            self._discard_outgoing()
        return True

    def receive(self) -> list[tuple[Message, list[int]]]:
        """The messages that are there now, each with its descriptors (the caller owns them). Sets `closed` at end of file, and
        after something that is no message.

        There are fewer descriptors than the message says, the last ones missing, if this process cannot open more.
        """
        messages: list[Message] = []
        while True:
            try:
                data, fds, flags, _address = socket.recv_fds(
                    self._sock, _RECEIVE_BYTES, MAX_FDS_PER_MESSAGE, getattr(socket, "MSG_CMSG_CLOEXEC", 0)
                )
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                self.closed = True
                break
            for fd in fds:
                os.set_inheritable(fd, False)
            with_fds = bool(fds) or bool(flags & socket.MSG_CTRUNC)
            if with_fds:
                self._received_fds.append(fds)
            if not data:
                self.closed = True
                break
            try:
                messages += self._framing.feed(data)
            except ProtocolError:  # somebody has written into a descriptor that is not his own
                self.closed = True
                break
            if len(data) < _RECEIVE_BYTES and not with_fds:
                break
        return [(message, self._received_fds.popleft() if fds_of(message) else []) for message in messages]

    def readable(self, timeout_s: float | None = 0) -> bool:
        """Wait until there is something to receive (or the end of file). None waits for ever."""
        return self._wait(POLLIN, timeout_s)

    def flush_within(self, timeout_s: float) -> bool:
        """Block until everything is sent, the peer is gone, or the time is over."""
        deadline = time.monotonic() + timeout_s
        while not self.flush():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._wait(POLLOUT, min(left, 0.05))
        return True

    def close(self) -> None:
        """Close the socket and what it had not delivered."""
        with self._lock:
            self.closed = True
            self._discard_outgoing()
            for fds in self._received_fds:
                _close_all(fds)
            self._received_fds.clear()
            self._sock.close()

    def disown(self) -> None:
        """For a forked child that is no party to the conversation: close its copy. Takes no lock, another thread's may be held."""
        self.closed = True
        self._sock.close()

    def _wait(self, event: int, timeout_s: float | None) -> bool:
        waiting = poll()  # by a name bound at import: an app may have replaced what the module has (gevent, eventlet)
        waiting.register(self._sock, event)
        return bool(waiting.poll(None if timeout_s is None else timeout_s * 1000))

    def _discard_outgoing(self) -> None:
        for item in self._outgoing:
            if item.close_fds:
                _close_all(item.fds)
        self._outgoing.clear()


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """The two ends of a new connection; neither is inherited by a child that execs."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)


def _close_all(fds: Sequence[int]) -> None:
    for fd in fds:
        try:
            os.close(fd)
        except OSError:
            pass
