"""A real uvicorn around an ASGI app, and raw bytes to and from it: for requests that no client library would send."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest
import uvicorn

from devserver.server.asgi import ASGIApp

DEADLINE_S = 20.0

Exchange = Callable[[bytes], bytes]


@contextmanager
def _serving(app: ASGIApp) -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))  # connections wait in its backlog until uvicorn accepts
    config = uvicorn.Config(app, http="httptools", ws="websockets-sansio", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="uvicorn")
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = server.force_exit = True
        thread.join(DEADLINE_S)
        listener.close()
        assert not thread.is_alive(), "uvicorn did not end"


@pytest.fixture
def uvicorn_port() -> Iterator[Callable[[ASGIApp], int]]:
    """Serve an app; gives the port."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(_serving(app))


@pytest.fixture
def uvicorn_exchange(uvicorn_port: Callable[[ASGIApp], int]) -> Callable[[ASGIApp], Exchange]:
    """Serve an app; gives a function that sends bytes over a connection of its own and returns all until it closes."""

    def serve(app: ASGIApp) -> Exchange:
        port = uvicorn_port(app)

        def exchange(request: bytes) -> bytes:
            received = bytearray()
            with closing(socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)) as client:
                client.sendall(request)
                while chunk := client.recv(65536):
                    received += chunk
            return bytes(received)

        return exchange

    return serve
