"""The environ of a WSGI request (PEP 3333 "environ Variables"), made from an ASGI HTTP scope.

Runs in the server process, on the event loop. Pure, except that `wsgi.errors` writes to whatever `sys.stderr` is at that moment.
Rules that hold:
- The text in an environ is bytes decoded as latin-1; paths are taken from the raw bytes of the request line, so what
  is not UTF-8 arrives as it was sent.
- A header whose name has an underscore is dropped: it could pass for one with a hyphen (`X_User` for `X-User`).
- `Proxy` is dropped: CGI's name for it is the variable that HTTP clients take their proxy from (httpoxy).
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

from devserver import __version__
from devserver.server.asgi import Scope

Environ = dict[str, Any]

BLOCK_SIZE = 65536  # bytes read at once from a file that is sent

_KNOWN_KEYS_LIMIT = 1024
_known_keys: dict[bytes, str] = {}  # header name → key of the environ, "" for a header that is dropped


def base_environ(*, multithread: bool) -> Environ:
    """What is the same in the environ of every request."""
    return {
        "SERVER_SOFTWARE": f"devserver/{__version__}",
        "wsgi.version": (1, 0),
        "wsgi.errors": _ERRORS,
        "wsgi.multithread": multithread,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
        "wsgi.input_terminated": True,
    }


def request_environ(base: Environ, scope: Scope) -> Environ:
    """The environ for `scope` (ASGI 3.0 "HTTP Connection Scope") but for `wsgi.input`; `base` is left as it is."""
    environ = base.copy()
    root_path: str = scope.get("root_path") or ""
    raw_path: bytes | None = scope.get("raw_path")
    path = scope["path"].encode() if raw_path is None else raw_path
    query = scope["query_string"].decode("latin-1")
    target = path.decode("latin-1")
    if raw_path is not None and b"%" in path:
        path = unquote_to_bytes(path)
    if root_path:
        root = root_path.encode().rstrip(b"/")
        if path.startswith(root) and path[len(root) : len(root) + 1] in (b"", b"/"):
            path = path[len(root) :]
        environ["SCRIPT_NAME"] = root.decode("latin-1")
    else:
        environ["SCRIPT_NAME"] = ""
    environ["PATH_INFO"] = path.decode("latin-1")
    environ["REQUEST_METHOD"] = scope["method"]
    environ["QUERY_STRING"] = query
    environ["REQUEST_URI"] = environ["RAW_URI"] = f"{target}?{query}" if query else target
    environ["SERVER_PROTOCOL"] = f"HTTP/{scope['http_version']}"
    environ["wsgi.url_scheme"] = scope.get("scheme") or "http"

    server, client = scope.get("server"), scope.get("client")
    # On a Unix socket the server is a path without a port, and the client has no address.
    if server and server[1] is not None:
        environ["SERVER_NAME"], environ["SERVER_PORT"] = server[0], str(server[1])
    else:
        environ["SERVER_NAME"], environ["SERVER_PORT"] = "localhost", "80"
    if client:
        environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = client[0], str(client[1])
    else:
        environ["REMOTE_ADDR"] = ""

    _add_headers(environ, scope["headers"])
    return environ


def _add_headers(environ: Environ, headers: Iterable[tuple[bytes, bytes]]) -> None:
    for name, raw_value in headers:
        key = _known_keys.get(name)
        if key is None:
            key = _environ_key(name)
            if len(_known_keys) < _KNOWN_KEYS_LIMIT:  # names come from the client: never without a bound
                _known_keys[name] = key
        if not key:
            continue
        value = raw_value.decode("latin-1")
        if key not in environ:
            environ[key] = value
        elif key == "HTTP_COOKIE":
            environ[key] = f"{environ[key]}; {value}"  # RFC 9113 §8.2.3: a comma would be part of the cookie
        elif key.startswith("HTTP_"):
            environ[key] = f"{environ[key]},{value}"  # RFC 9110 §5.3
        # Content-Type and Content-Length have one value (RFC 9110 §8.3, §8.6): the first holds.
    if "HTTP_TRANSFER_ENCODING" in environ:
        environ.pop("CONTENT_LENGTH", None)  # RFC 9112 §6.3: it is overridden


def _environ_key(name: bytes) -> str:
    if b"_" in name:
        return ""
    key = name.decode("latin-1").upper().replace("-", "_")
    if key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        return key
    return "" if key == "PROXY" else f"HTTP_{key}"


class _Errors:
    """`wsgi.errors`: looks `sys.stderr` up at each use, so that who replaces it (a test, a debugger) is heard."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def writelines(self, lines: Iterable[str]) -> None:
        sys.stderr.writelines(lines)

    def flush(self) -> None:
        sys.stderr.flush()

    def __getattr__(self, name: str) -> object:
        return getattr(sys.stderr, name)


_ERRORS = _Errors()


class ReadableFile(Protocol):
    def read(self, size: int, /) -> bytes: ...


class FileWrapper:
    """`wsgi.file_wrapper`: a file as an iterable of blocks (PEP 3333 "Optional Platform-Specific File Handling")."""

    def __init__(self, filelike: ReadableFile, block_size: int = 8192) -> None:
        self.filelike = filelike
        # The size is a suggestion. A regular file never makes the client wait for a larger block; a pipe would.
        self.block_size = max(block_size, BLOCK_SIZE) if _is_regular(filelike) else block_size
        if hasattr(filelike, "close"):  # PEP 3333: there is a close() if the file has one
            self.close = filelike.close

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        block = self.filelike.read(self.block_size)
        if block:
            return block
        raise StopIteration


def _is_regular(filelike: object) -> bool:
    try:
        descriptor = filelike.fileno()  # type: ignore[attr-defined]
        return stat.S_ISREG(os.fstat(descriptor).st_mode)
    except (AttributeError, OSError, TypeError, ValueError):  # no descriptor (BytesIO), or closed
        return False
