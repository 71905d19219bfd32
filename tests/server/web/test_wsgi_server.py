"""The adapter behind a real uvicorn: what clients see on the wire, and what uploads cost."""

from __future__ import annotations

import asyncio
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest

from devserver.server.asgi import ASGIApp
from devserver.server.web.wsgi import WSGIAdapter

DEADLINE_S = 20
MIB = 1 << 20
Exchange = Callable[[bytes], bytes]
Serve = Callable[[ASGIApp], Exchange]


def echo(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    body = environ["wsgi.input"].read(10_000_000)
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield repr((environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["QUERY_STRING"], len(body))).encode()


def request(method: str, path: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def dechunked(answer: bytes) -> bytes:
    """The content of a chunked answer, which has to be whole."""
    rest = answer.partition(b"\r\n\r\n")[2]
    content = b""
    while True:
        size, _, rest = rest.partition(b"\r\n")
        if int(size, 16) == 0:
            assert rest == b"\r\n"
            return content
        content += rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]


@pytest.mark.parametrize(
    ("raw", "content"),
    [
        (request("GET", "/a%20b/%C3%BC?q=%20"), ("GET", "/a b/\xc3\xbc", "q=%20", 0)),
        (request("POST", "/", "Content-Length: 3", body=b"abc"), ("POST", "/", "", 3)),
        (request("POST", "/", "Content-Length: 300000", body=b"x" * 300000), ("POST", "/", "", 300000)),
        (request("POST", "/", "Transfer-Encoding: chunked", body=b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), ("POST", "/", "", 5)),
    ],
)  # fmt: skip
def test_requests(uvicorn_exchange: Serve, raw: bytes, content: tuple[str, str, str, int]) -> None:
    exchange = uvicorn_exchange(WSGIAdapter(validator(echo)))
    answer = exchange(raw)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert dechunked(answer) == repr(content).encode()


@pytest.mark.parametrize(
    ("status", "method", "headers", "head"),
    [
        ("204 No Content", "GET", [], rb"HTTP/1.1 204 "),
        ("304 Not Modified", "GET", [("Content-Length", "10")], rb"HTTP/1.1 304 "),
        ("200 OK", "HEAD", [("Content-Length", "10")], rb"(?s)HTTP/1.1 200 .*content-length: 10\r\n"),
    ],
)
def test_answers_without_content(
    uvicorn_exchange: Serve, status: str, method: str, headers: list[tuple[str, str]], head: bytes
) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response(status, headers)
        return [b"0123456789"]

    answer = uvicorn_exchange(WSGIAdapter(app))(request(method, "/"))
    assert re.match(head, answer)
    assert answer.endswith(b"\r\n\r\n")
    assert answer.count(b"\r\n\r\n") == 1
    assert b"transfer-encoding" not in answer


@pytest.mark.parametrize("length", [None, "100"])
def test_an_error_in_the_middle_truncates_the_answer(uvicorn_exchange: Serve, length: str | None) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", length)] if length else [("Content-Type", "text/plain")])
        yield b"first"
        raise ValueError("middle")

    answer = uvicorn_exchange(WSGIAdapter(app))(request("GET", "/"))
    assert b"first" in answer
    assert not answer.endswith(b"0\r\n\r\n")
    assert len(answer.partition(b"\r\n\r\n")[2]) < 100


def test_connections_are_kept(uvicorn_port: Callable[[ASGIApp], int]) -> None:
    port = uvicorn_port(WSGIAdapter(validator(echo)))
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)) as client:
        client.connect()
        first = client.sock
        for number in range(20):
            client.request("POST", f"/{number}", body=b"x" * number * 10000)
            assert client.getresponse().read() == repr(("POST", f"/{number}", "", number * 10000)).encode()
        assert client.sock is first


def test_a_client_that_expects_100_gets_it_at_the_first_read(uvicorn_port: Callable[[ASGIApp], int]) -> None:
    asked = threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        assert asked.wait(DEADLINE_S)
        body = environ["wsgi.input"].read(3)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [body]

    port = uvicorn_port(WSGIAdapter(app))
    with closing(socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)) as client:
        client.sendall(request("POST", "/", "Content-Length: 3", "Expect: 100-continue"))
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(DEADLINE_S)
        asked.set()
        received = b""
        while b"\r\n\r\n" not in received:
            received += client.recv(100)
        assert received == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"abc")
        while not received.endswith(b"abc"):
            chunk = client.recv(1000)
            assert chunk
            received += chunk


@pytest.mark.parametrize("phase", ["streaming", "blocked", "uploading"])
def test_a_client_that_leaves_ends_its_request(uvicorn_port: Callable[[ASGIApp], int], phase: str) -> None:
    closed = threading.Event()
    begun = threading.Event()

    class Endless:
        def __iter__(self) -> Iterator[bytes]:
            while True:
                yield b"x" * (65536 if phase == "blocked" else 1)
                begun.set()

        def close(self) -> None:
            closed.set()

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        if phase == "uploading":
            begun.set()
            try:
                environ["wsgi.input"].read(10)
            except OSError:
                closed.set()
                raise
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Endless()

    adapter = WSGIAdapter(app)
    port = uvicorn_port(adapter)
    with closing(socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)) as client:
        length = ["Content-Length: 100000"] if phase == "uploading" else []
        client.sendall(request("POST" if length else "GET", "/", *length))
        assert begun.wait(DEADLINE_S)
        if phase == "streaming":
            assert client.recv(10)
    assert closed.wait(DEADLINE_S)
    asyncio.run(asyncio.wait_for(adapter.drained(), DEADLINE_S))


@pytest.fixture
def upload_port() -> Iterator[int]:
    program = Path(__file__).with_name("wsgi_upload_server.py")
    process = subprocess.Popen(
        [sys.executable, program], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.getcwd()}
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(DEADLINE_S)
        process.stdout.close()


def peak_kib(client: http.client.HTTPConnection) -> int:
    """The server's peak of memory up to now."""
    client.request("POST", "/", body=b"x")
    response = client.getresponse()
    assert response.read() == b"1"
    return int(response.headers["X-Peak-KiB"])


needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of memory from /proc")


@needs_proc
@pytest.mark.parametrize("chunked", [False, True], ids=["content-length", "chunked"])
@pytest.mark.parametrize("path", ["/blocks", "/lines"])
def test_an_upload_streams_in_flat_memory(upload_port: int, chunked: bool, path: str) -> None:
    size = 128 * MIB
    block = (b"x" * 99 + b"\n") * (MIB // 100) + b"y" * (MIB % 100)
    with closing(http.client.HTTPConnection("127.0.0.1", upload_port, timeout=60)) as client:
        before = peak_kib(client)
        headers = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(size)}
        blocks = (block for _ in range(size // MIB))
        client.request("POST", path, body=blocks, headers=headers, encode_chunked=chunked)
        assert client.getresponse().read() == str(size).encode()
        assert peak_kib(client) - before < 16 * 1024


@needs_proc
def test_a_download_streams_in_flat_memory(upload_port: int) -> None:
    size = 128 * MIB
    with closing(http.client.HTTPConnection("127.0.0.1", upload_port, timeout=60)) as client:
        before = peak_kib(client)
        client.request("GET", f"/download?{size}")
        response = client.getresponse()
        received = 0
        while block := response.read(MIB):
            received += len(block)
        assert received == size
        assert peak_kib(client) - before < 16 * 1024
