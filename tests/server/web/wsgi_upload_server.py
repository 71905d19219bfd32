"""A program: uvicorn around a WSGI app that counts the bytes of an upload or sends as many. Prints its port.

A process of its own, so that its peak of memory is that of the server and not of the test.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import uvicorn

from devserver.server.web.wsgi import WSGIAdapter


def peak_memory_kib() -> int:
    """VmHWM of this process."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")))


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/download":
        size = int(environ["QUERY_STRING"])
        start_response("200 OK", [("Content-Length", str(size))])
        return (bytes(1 << 20) for _ in range(size >> 20))
    size = 0
    if environ["PATH_INFO"] == "/lines":
        for line in environ["wsgi.input"]:
            size += len(line)
    else:
        while block := environ["wsgi.input"].read(100_000):
            size += len(block)
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Peak-KiB", str(peak_memory_kib()))])
    return [b"%d" % size]


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(WSGIAdapter(app), http="httptools", lifespan="off", log_config=None)
    uvicorn.Server(config).run(sockets=[listener])
