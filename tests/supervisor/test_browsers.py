"""The event streams: who hears what, and who is let go."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator

import pytest

from devserver.supervisor import browsers
from devserver.supervisor.browsers import HEARTBEAT_S, MAX_STREAMS, Browsers


class Browser:
    """The far end of a stream."""

    def __init__(self, to: Browsers, *, buffer: int = 0) -> None:
        self.sock, theirs = socket.socketpair()
        if buffer:
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        self.sock.setblocking(False)
        self.fd = theirs.detach()
        to.opened(self.fd)

    def heard(self) -> tuple[str, list[object]]:
        """The head, and what the events since the last call said."""
        try:
            data = self.sock.recv(1 << 20).decode()
        except BlockingIOError:
            return "", []
        head, separator, rest = data.rpartition("\r\n\r\n")
        events = [block.removeprefix("data: ") for block in rest.split("\n\n") if block.startswith("data: ")]
        return head + separator, [json.loads(event) for event in events]

    @property
    def is_let_go(self) -> bool:
        try:
            while self.sock.recv(1 << 20):
                pass
        except BlockingIOError:
            return False
        return True


@pytest.fixture
def timers() -> list[tuple[float, Callable[[], None]]]:
    return []


@pytest.fixture
def streams(timers: list[tuple[float, Callable[[], None]]]) -> Iterator[Browsers]:
    streams = Browsers(lambda seconds, act: timers.append((seconds, act)))
    yield streams
    streams.close()


Open = Callable[..., Browser]


@pytest.fixture
def connect(streams: Browsers) -> Iterator[Open]:
    opened: list[Browser] = []

    def connect(*, buffer: int = 0) -> Browser:
        opened.append(Browser(streams, buffer=buffer))
        return opened[-1]

    yield connect
    for browser in opened:
        browser.sock.close()


def test_a_stream_is_answered(connect: Open) -> None:
    head, events = connect().heard()
    assert head.startswith("HTTP/1.1 200 OK\r\n")
    for header in ("Content-Type: text/event-stream", "Cache-Control: no-store", "X-Content-Type-Options: nosniff"):
        assert f"{header}\r\n" in head
    assert "access-control" not in head.lower()
    assert events == []


def test_who_comes_late_hears_what_is_newest(streams: Browsers, connect: Open) -> None:
    streams.newest(7)
    assert connect().heard()[1] == [{"run": 7, "seen": 0}]


def test_all_are_told(streams: Browsers, connect: Open) -> None:
    listening = [connect() for _ in range(30)]
    for browser in listening:
        browser.heard()
    streams.newest(8)
    streams.refreshed(["/static/a.css"], 1, page=False)
    for browser in listening:
        assert browser.heard()[1] == [
            {"run": 8, "seen": 0},
            {"urls": ["/static/a.css"], "page": False, "seen": 1},
        ]
    assert connect().heard()[1] == [{"run": 8, "seen": 1}], "who finds that it has missed one loads again"


def test_who_leaves_is_let_go(streams: Browsers, connect: Open) -> None:
    browser, other = connect(), connect()
    attend = streams.descriptors()[browser.fd]
    browser.sock.close()
    attend()
    assert list(streams.descriptors()) == [other.fd]
    attend()  # a second time in the same turn


def test_who_says_something_stays(streams: Browsers, connect: Open) -> None:
    browser = connect()
    browser.sock.send(b"GET / HTTP/1.1\r\n\r\n")
    streams.descriptors()[browser.fd]()
    assert browser.fd in streams.descriptors()


def test_who_does_not_read_is_let_go_and_delays_nobody(streams: Browsers, connect: Open) -> None:
    asleep, awake = connect(buffer=4096), connect()
    awake.heard()
    for number in range(2000):
        streams.newest(number)
        awake.heard()
    assert list(streams.descriptors()) == [awake.fd]
    assert asleep.is_let_go


def test_hearts_beat_while_somebody_listens(
    streams: Browsers, connect: Open, timers: list[tuple[float, Callable[[], None]]]
) -> None:
    browser = connect()
    connect()
    assert [seconds for seconds, _ in timers] == [HEARTBEAT_S], "one for all"
    browser.heard()
    timers.pop()[1]()
    assert browser.heard()[1] == [None]
    assert len(timers) == 1
    streams.close()
    timers.pop()[1]()
    assert timers == []
    connect()
    assert len(timers) == 1


def test_there_are_bounds(connect: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browsers, "MAX_STREAMS", 3)
    assert MAX_STREAMS > 100
    listening = [connect() for _ in range(4)]
    assert [browser.is_let_go for browser in listening] == [False, False, False, True]


def test_the_end_of_the_command_ends_them(streams: Browsers, connect: Open) -> None:
    browser = connect()
    streams.close()
    assert browser.is_let_go
    assert not streams.descriptors()
