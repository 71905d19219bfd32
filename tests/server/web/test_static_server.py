"""Static files through a real server: requests that no client library sends, and connections that break."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from devserver.server.asgi import ASGIApp
from devserver.server.integration import StaticMount
from devserver.server.web.static import StaticFiles
from devserver.server.web.static_files import CHUNK

DEADLINE_S = 20.0
BIG = 64 * 1024 * 1024

Serve = Callable[[ASGIApp], int]


@pytest.fixture
def app(tmp_path: Path) -> Iterator[StaticFiles]:
    site = tmp_path / "site"
    site.mkdir()
    (tmp_path / "secret.txt").write_text("top secret")
    (site / "a.txt").write_text("0123456789")
    (site / os.fsdecode(b"\xff.txt")).write_text("undecodable")
    with (site / "big.bin").open("wb") as file:
        file.truncate(BIG)
    app = StaticFiles([StaticMount("/", (site,), index=True)])
    yield app
    app.close()


_TARGETS = [
    (b"/a.txt", {200}),
    (b"/%61.txt", {200}),
    (b"/a.txt?v=1", {200}),
    (b"/%ff.txt", {200}),
    (b"http://localhost/a.txt", {200}),
    (b"/", {200}),
    (b"/../secret.txt", {404}),
    (b"/..%2fsecret.txt", {404}),
    (b"/%2e%2e/secret.txt", {404}),
    (b"/%252e%252e/secret.txt", {404}),
    (b"/./../secret.txt", {404}),
    (b"//secret.txt", {404}),
    (b"//host/share", {404}),
    (b"///etc/passwd", {404}),
    (b"/..\\secret.txt", {400}),
    (b"\\\\host\\share", {400}),
    (b"/%5c%5chost%5cshare", {400}),
    (b"/a.txt%00", {400}),
    (b"/a.txt\0", {400}),
    (b"/a.txt/", {404}),
    (b"/%zz", {404}),
    (b"/\xff\xfe", {400, 404}),
    (b"..", {400, 404}),
    (b"*", {400, 404}),
]


def test_targets_as_they_come_over_the_wire(
    uvicorn_exchange: Callable[[ASGIApp], Callable[[bytes], bytes]], app: StaticFiles
) -> None:
    exchange = uvicorn_exchange(app)
    for target, expected in _TARGETS:
        answer = exchange(b"GET %b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % target)
        assert int(answer.split(b" ", 2)[1]) in expected, (target, answer[:200])
        assert b"top secret" not in answer


def test_ranges_and_methods(uvicorn_exchange: Callable[[ASGIApp], Callable[[bytes], bytes]], app: StaticFiles) -> None:
    exchange = uvicorn_exchange(app)

    def ask(method: bytes, *lines: bytes) -> tuple[bytes, bytes]:
        head = b"\r\n".join([method + b" /a.txt HTTP/1.1", b"Host: localhost", b"Connection: close", *lines])
        head, _, body = exchange(head + b"\r\n\r\n").partition(b"\r\n\r\n")
        return head, body

    head, body = ask(b"GET", b"Range: bytes=2-4")
    assert (head.split(b" ", 2)[1], body) == (b"206", b"234")
    head, body = ask(b"GET", b"Range: bytes=0-0,-1")
    assert head.split(b" ", 2)[1] == b"206"
    assert body.count(b"Content-Range: ") == 2
    head, body = ask(b"GET", b"Range: bytes=10-")
    assert head.split(b" ", 2)[1] == b"416"
    head, body = ask(b"HEAD")
    assert (b"content-length: 10" in head, body) == (True, b"")
    etag = re.search(rb'etag: ("[^"]+")', head)
    assert etag
    head, body = ask(b"GET", b"If-None-Match: " + etag[1])
    assert (head.split(b" ", 2)[1], body) == (b"304", b"")
    head, body = ask(b"POST", b"Content-Length: 3", b"", b"abc")
    assert (head.split(b" ", 2)[1], b"allow: GET, HEAD" in head) == (b"405", True)


@contextmanager
def _begun_download(port: int) -> Iterator[tuple[socket.socket, int]]:
    """A client that asked for the big file and has read its head and the first bytes; with how many these were."""
    with closing(socket.socket()) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)  # so that the system can't swallow the file
        client.settimeout(DEADLINE_S)
        client.connect(("127.0.0.1", port))
        client.sendall(b"GET /big.bin HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        received = b""
        while not received.partition(b"\r\n\r\n")[2]:
            chunk = client.recv(4096)
            assert chunk, received
            received += chunk
        assert received.startswith(b"HTTP/1.1 200 ")
        yield client, len(received.partition(b"\r\n\r\n")[2])


def _rest(client: socket.socket) -> int:
    size, buffer = 0, bytearray(1 << 20)
    while count := client.recv_into(buffer):
        size += count
    return size


def test_a_file_that_shrinks_cuts_the_connection(uvicorn_port: Serve, app: StaticFiles, tmp_path: Path) -> None:
    with _begun_download(uvicorn_port(app)) as (client, begun):
        os.truncate(tmp_path / "site" / "big.bin", 0)
        assert begun + _rest(client) < BIG


def test_a_file_that_grows_keeps_its_promise(uvicorn_port: Serve, app: StaticFiles, tmp_path: Path) -> None:
    with _begun_download(uvicorn_port(app)) as (client, begun):
        with (tmp_path / "site" / "big.bin").open("ab") as file:
            file.write(b"more")
        assert begun + _rest(client) == BIG


def test_a_client_that_does_not_read_takes_no_memory(uvicorn_port: Serve, app: StaticFiles) -> None:
    port = uvicorn_port(app)
    tracemalloc.start()
    try:
        with _begun_download(port):
            with _begun_download(port) as (client, begun):  # while the first stands still, for the time that one takes
                assert begun + _rest(client) == BIG
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 24 * CHUNK


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_a_client_that_leaves_ends_the_reading(uvicorn_port: Serve, app: StaticFiles, tmp_path: Path) -> None:
    big = tmp_path / "site" / "big.bin"
    os.truncate(big, 1 << 37)  # minutes of reading
    with _begun_download(uvicorn_port(app)):
        assert str(big) in _open_files()
    deadline, pause = time.monotonic() + DEADLINE_S, threading.Event()
    while str(big) in _open_files():
        assert time.monotonic() < deadline, "the file is still read for a client that left"
        pause.wait(0.01)


def _open_files() -> list[str]:
    found = []
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        except OSError:  # closed since
            continue
    return found
