"""The channel over a real socket pair: order, descriptors, a peer that does not read, the end."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from devserver.channel import Channel, socket_pair
from devserver.messages import (
    MAX_FDS_PER_MESSAGE,
    AdoptConnections,
    Drain,
    Message,
    Noticed,
    Serve,
    ServingBegan,
)

DEADLINE_S = 20.0


@pytest.fixture
def pair() -> Iterator[tuple[Channel, Channel]]:
    """The two ends of a connection."""
    one, other = (Channel(sock) for sock in socket_pair())
    yield one, other
    one.close()
    other.close()


def receive(channel: Channel, count: int, sender: Channel | None = None) -> list[tuple[Message, list[int]]]:
    """Wait for `count` messages; meanwhile `sender` gets rid of what it has left."""
    received: list[tuple[Message, list[int]]] = []
    deadline = time.monotonic() + DEADLINE_S
    while len(received) < count:
        assert time.monotonic() < deadline, f"{len(received)} of {count}"
        assert not channel.closed
        if sender is not None:
            sender.flush()
        if channel.readable(0.01):
            received += channel.receive()
    return received


def open_fds() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def test_messages_arrive_in_order(pair: tuple[Channel, Channel]) -> None:
    one, other = pair
    sent = [Noticed(f"{number}\udcff\n") for number in range(100)]
    for message in sent:
        one.send(message)
    assert receive(other, 100) == [(message, []) for message in sent]
    assert not one.wants_write


class Interrupted:
    """A socket during whose first send a signal is handled."""

    def __init__(self, sock: socket.socket, handle: Callable[[], None]) -> None:
        self._sock = sock
        self._handle: Callable[[], None] | None = handle

    def __getattr__(self, name: str) -> object:
        return getattr(self._sock, name)

    def send(self, data: bytes) -> int:
        sent = self._sock.send(data)
        if self._handle is not None:
            handle, self._handle = self._handle, None
            handle()
        return sent


def test_a_signal_handler_sends_in_the_middle_of_a_send(
    pair: tuple[Channel, Channel], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = pair
    interrupted = Interrupted(one._sock, lambda: one.send(Noticed("from the handler")))
    monkeypatch.setattr(one, "_sock", interrupted)
    one.send(Noticed("interrupted"))
    assert receive(other, 2) == [(Noticed("interrupted"), []), (Noticed("from the handler"), [])]


def test_both_ways(pair: tuple[Channel, Channel]) -> None:
    one, other = pair
    one.send(Drain(1.5))
    other.send(ServingBegan())
    assert receive(other, 1) == [(Drain(1.5), [])]
    assert receive(one, 1) == [(ServingBegan(), [])]


def test_nothing_there_is_no_error(pair: tuple[Channel, Channel]) -> None:
    one, _other = pair
    assert one.receive() == []
    assert not one.closed
    assert not one.readable(0)


def test_what_the_socket_does_not_take_is_kept(pair: tuple[Channel, Channel]) -> None:
    one, other = pair
    sent = [Noticed(f"{number}" * 50_000) for number in range(40)]
    for message in sent:
        one.send(message)  # returns, though nobody reads
    assert one.wants_write
    assert not one.flush()
    assert not one.flush_within(0.01)
    assert [message for message, _fds in receive(other, 40, one)] == sent
    assert one.flush_within(0)
    assert not other.readable(0)


def test_flush_within_waits_for_the_reader(pair: tuple[Channel, Channel]) -> None:
    one, other = pair
    message = Noticed("x" * 5_000_000)
    one.send(message)
    received: list[tuple[Message, list[int]]] = []
    reader = threading.Thread(target=lambda: received.extend(receive(other, 1)))
    reader.start()
    assert one.flush_within(DEADLINE_S)
    reader.join(DEADLINE_S)
    assert received == [(message, [])]


def test_descriptors_go_to_their_messages(pair: tuple[Channel, Channel]) -> None:
    """Also when lines are long and several wait: each message gets exactly its own."""
    one, other = pair
    before = open_fds()
    pipes = [os.pipe() for _ in range(6)]
    long = Noticed("x" * 400_000)
    one.send(long)
    one.send(Serve(2), [pipes[0][0], pipes[1][0]])
    one.send(ServingBegan())
    one.send(AdoptConnections(1, ("y" * 300_000,)), [pipes[2][0]])
    one.send(AdoptConnections(3, ("", "a", "b")), [pipes[number][0] for number in (3, 4, 5)])
    one.send(long)
    received = receive(other, 6, one)
    assert [type(message).__name__ for message, _fds in received] == [
        "Noticed", "Serve", "ServingBegan", "AdoptConnections", "AdoptConnections", "Noticed",
    ]  # fmt: skip
    arrived = [fd for _message, fds in received for fd in fds]
    assert [len(fds) for _message, fds in received] == [0, 2, 0, 1, 3, 0]
    for number, ((read, write), fd) in enumerate(zip(pipes, arrived, strict=True)):
        assert not os.get_inheritable(fd)
        os.write(write, b"%d" % number)
        assert os.read(fd, 10) == b"%d" % number
        for each in (read, write, fd):
            os.close(each)
    assert open_fds() == before


def test_as_many_descriptors_as_a_message_may_carry(pair: tuple[Channel, Channel]) -> None:
    one, other = pair
    count = MAX_FDS_PER_MESSAGE
    with open(os.devnull, "rb") as file:
        for _ in range(3):
            one.send(
                AdoptConnections(count, ("",) * count), [os.dup(file.fileno()) for _ in range(count)], close_fds=True
            )
        for _message, fds in receive(other, 3, one):
            assert len(fds) == count
            for fd in fds:
                os.close(fd)


@pytest.mark.parametrize(
    ("message", "fds"),
    [
        (Serve(1), []),
        (ServingBegan(), [0]),
        (Serve(2), [0]),
        (Serve(MAX_FDS_PER_MESSAGE + 1), [0] * (MAX_FDS_PER_MESSAGE + 1)),
    ],
)
def test_the_number_of_descriptors_has_to_be_right(
    pair: tuple[Channel, Channel], message: Message, fds: list[int]
) -> None:
    with pytest.raises(ValueError, match="descriptors"):
        pair[0].send(message, fds)


def test_descriptors_are_closed_when_they_are_on_their_way(pair: tuple[Channel, Channel]) -> None:
    one, other = pair
    read, write = os.pipe()
    one.send(Serve(1), [read], close_fds=True)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(read)
    [(_message, [fd])] = receive(other, 1)
    os.close(fd)
    os.close(write)


@pytest.mark.parametrize("who", ["sender closes", "peer closes"])
def test_descriptors_that_never_left_are_closed(who: str) -> None:
    before = open_fds()
    one, other = (Channel(sock) for sock in socket_pair())
    one.send(Noticed("x" * 3_000_000))  # the socket is full
    read, write = os.pipe()
    one.send(Serve(1), [read], close_fds=True)
    os.fstat(read)
    if who == "peer closes":
        other.close()
        assert one.flush()
        assert one.closed
    else:
        one.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(read)
    os.close(write)
    one.close()
    other.close()
    assert open_fds() == before


def test_descriptors_that_nobody_took_are_closed() -> None:
    before = open_fds()
    one, other = (Channel(sock) for sock in socket_pair())
    with open(os.devnull, "rb") as file:
        message = AdoptConnections(1, ("x" * 1_000_000,))
        one.send(message, [file.fileno()])  # the line is not complete when the sender goes
        other.receive()
        one.close()
        while not other.closed:
            other.receive()
        other.close()
    assert open_fds() == before


def test_a_process_without_descriptors_gets_fewer() -> None:
    """The system drops what it cannot open; the messages behind keep theirs."""
    script = """
import os, resource, socket, sys
from devserver.channel import Channel
from devserver.messages import AdoptConnections, Noticed, Serve
one, other = (Channel(sock) for sock in socket.socketpair())
fds = [os.dup(0) for _ in range(5)]
one.send(AdoptConnections(5, ("",) * 5), fds, close_fds=True)
one.send(Serve(1), [0])
one.send(Noticed("x"))
free = max(int(name) for name in os.listdir("/proc/self/fd")) + 1
hold = []
while True:
    try:
        hold.append(os.dup(0))
    except OSError:
        break
    if len(hold) > 100000:
        sys.exit("no limit")
for _ in range(2):
    os.close(hold.pop())
received = other.receive()
print([type(message).__name__ for message, _fds in received], [len(fds) for _message, fds in received])
"""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, soft)),
    )
    assert done.stderr == ""
    assert done.stdout == "['AdoptConnections', 'Serve', 'Noticed'] [2, 0, 0]\n"


def test_the_end_of_file_comes_after_the_last_message(pair: tuple[Channel, Channel]) -> None:
    one, other = pair
    one.send(Noticed("last words"))
    one.close()
    assert other.readable(DEADLINE_S)
    assert other.receive() == [(Noticed("last words"), [])]
    assert other.receive() == []
    assert other.closed


def test_sending_to_a_peer_that_is_gone_is_no_error(pair: tuple[Channel, Channel]) -> None:
    one, other = pair
    other.close()
    for _ in range(3):
        one.send(ServingBegan())
    assert one.closed
    assert not one.wants_write
    assert one.flush_within(0)


def test_nonsense_ends_the_conversation() -> None:
    raw, sock = socket_pair()
    with closing(raw), closing(Channel(sock)) as channel:
        raw.send(b"nonsense\n")
        assert channel.receive() == []
        assert channel.closed


def test_many_threads_send_whole_lines(pair: tuple[Channel, Channel]) -> None:
    one, other = pair

    def send(name: int) -> None:
        for number in range(200):
            one.send(Noticed(f"{name} {number} " + "x" * 2000))

    threads = [threading.Thread(target=send, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    received = receive(other, 800, one)
    for thread in threads:
        thread.join(DEADLINE_S)
    numbers: dict[str, list[int]] = {}
    for message, _fds in received:
        assert isinstance(message, Noticed)
        name, number, _rest = message.text.split()
        numbers.setdefault(name, []).append(int(number))
    assert all(each == list(range(200)) for each in numbers.values())
    assert len(numbers) == 4


def test_disowning_leaves_the_connection_to_the_others() -> None:
    """As a forked child does: its copy goes, without a lock, the conversation goes on."""
    one, other = socket_pair()
    with closing(Channel(one)) as owner, closing(Channel(other)) as peer:
        child = Channel(socket.socket(fileno=os.dup(owner.fileno())))
        with child._lock:  # as if another thread had held it while the process forked
            child.disown()
        assert child.closed
        owner.send(Noticed("still here"))
        assert receive(peer, 1) == [(Noticed("still here"), [])]
