"""Static files over ASGI: `--static`, folder targets, and what a framework's integration mounts.

Runs in the server process. Whatever touches the disk runs in a few threads of its own (the app may have filled the
loop's), and no thread waits for a client: a small file costs one trip to a thread, a big one a trip per chunk, which is
taken only after the client's connection took the chunk before.

Rules that hold: the mount that matches answers, with a 404 of its own where it has no file, as runserver does; the app
is not asked. What may be served is decided in `static_paths` alone. Never more than Content-Length is sent, and when a
file can't fill it, the connection is cut. Every answer says `no-cache`, so that a saved file is seen at the next
request and an unchanged one costs a 304.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

from devserver.record import Record
from devserver.server.asgi import Receive, Scope, Send
from devserver.server.integration import StaticMount
from devserver.server.web.conditions import (
    NotModified,
    Parts,
    PreconditionFailed,
    RangeNotSatisfiable,
    Whole,
    evaluate,
    last_modified_header,
)
from devserver.server.web.content_types import content_encoding, content_type
from devserver.server.web.listing import list_folder, render_listing, render_missing
from devserver.server.web.livereload import shows_document
from devserver.server.web.static_files import CHUNK, BigFile, SmallFile, TruncatedFileError, open_file
from devserver.server.web.static_paths import (
    FileFound,
    FolderFound,
    NotServed,
    SlashMissing,
    as_not_served,
    decoded_path,
    locate,
)

_THREADS = 8
_BEGINNING = 1024
"""So much of a page is looked at for what it says of its encoding, as browsers do (HTML, prescan)."""

_Header = tuple[bytes, bytes]
_Piece = bytes | tuple[int, int]  # bytes as they are, or the bytes [start, stop) of the file


class _File(Record):
    path: Path  # as the mount names it
    content: SmallFile | BigFile


class _Page(Record):
    body: bytes


_Answer = _File | _Page | SlashMissing | NotServed


class StaticFiles:
    """The ASGI app that serves the files of `mounts`, over HTTP.

    A longer URL goes before a shorter one, and of two mounts with one URL the earlier; where one has no such file the
    next is asked. `on_sent` is told each file that an answer is about (a HEAD and a 304 too: the browser shows it), as
    the mount names it, with the path of the URL. It is called in a thread and may block; and before the file is read,
    so that a signature it takes is never newer than what is sent.
    """

    def __init__(self, mounts: Sequence[StaticMount], *, on_sent: Callable[[Path, str], None] | None = None) -> None:
        self._mounts = sorted(mounts, key=lambda mount: -len(mount.url))
        self._prefixes = tuple(mount.url for mount in self._mounts)
        self._without_slash = frozenset(mount.url[:-1] for mount in self._mounts if mount.index)
        self._on_sent = on_sent
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="devserver-static")  # none is started yet

    def match(self, path: str) -> bool:
        """Is `path`, a scope's, ours to answer?"""
        return path.startswith(self._prefixes) or path in self._without_slash

    def close(self) -> None:
        """Let the threads end. Does not wait for one that hangs on a disk."""
        self._threads.shutdown(wait=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})  # before accept: the server answers 403
            return
        if scope["type"] != "http":
            raise NotImplementedError(f"static files have no {scope['type']}")  # ASGI: the server then goes without
        if scope["method"] not in ("GET", "HEAD"):
            allow = (b"allow", b"GET, HEAD")
            await _send_text(scope, send, 405, "Static files answer to GET and HEAD.", allow)
            return
        path = decoded_path(scope)
        match await self._looked_up(path):
            case _File(named, content):
                try:
                    await self._send_file(scope, receive, send, named, content)
                finally:
                    if isinstance(content, BigFile):
                        content.close()
            case _Page(body):
                await _send(scope, send, 200, [(b"content-type", b"text/html; charset=utf-8")], body)
            case SlashMissing():
                await _send_text(scope, send, 307, "Folders end with a slash.", (b"location", _with_slash(path, scope)))
            case NotServed(404, reason) if shows_document(scope):
                page = render_missing(path, reason)
                await _send(scope, send, 404, [(b"content-type", b"text/html; charset=utf-8")], page)
            case NotServed(status, reason):
                await _send_text(scope, send, status, reason)

    async def _looked_up(self, path: str) -> _Answer:
        future = self._threads.submit(self._look_up, path)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            future.add_done_callback(_close_unwanted)  # the thread goes on and may open a file for nobody
            raise

    def _look_up(self, path: str) -> _Answer:
        """All that has to be asked of the disk before the first byte can be sent. Runs in a thread."""
        mounts = [mount for mount in self._mounts if path.startswith(mount.url) or _is_bare(mount, path)]
        found = locate(mounts, path)
        try:
            if isinstance(found, FileFound):
                if self._on_sent is not None:
                    self._on_sent(found.path, path)
                content = open_file(found.real)
                return NotServed(404, "It is not a regular file.") if content is None else _File(found.path, content)
            if isinstance(found, FolderFound):
                if self._on_sent is not None:  # the list stands for the page that is missing
                    self._on_sent(Path(found.real, "index.html"), path)
                return _Page(render_listing(path, list_folder(found), has_parent=path not in self._prefixes))
        except OSError as error:  # it went, or was closed to us, since it was located
            reason = as_not_served(error)
            if reason is None:
                raise
            return reason
        return found

    async def _send_file(
        self, scope: Scope, receive: Receive, send: Send, named: Path, content: SmallFile | BigFile
    ) -> None:
        validators, length = content.validators, content.length
        kind = content_type(named.name, content.data[:_BEGINNING] if isinstance(content, SmallFile) else b"").encode()
        headers = [(b"etag", f'"{validators.etag}"'.encode()), (b"accept-ranges", b"bytes")]
        if encoding := content_encoding(named.name):
            headers.append((b"content-encoding", encoding.encode()))
        if (date := last_modified_header(validators)) is not None:
            headers.append((b"last-modified", date.encode()))
        outcome = evaluate(scope["method"], _joined_headers(scope), validators, length)
        status, pieces = 200, list[_Piece]()
        match outcome:
            case PreconditionFailed():
                await _send_text(scope, send, 412, "The file is not in the state that was asked for.")
                return
            case RangeNotSatisfiable():
                content_range = (b"content-range", b"bytes */%d" % length)
                await _send_text(scope, send, 416, f"The file has {length} bytes.", content_range)
                return
            case NotModified():
                status = 304
            case Whole():
                headers.append((b"content-type", kind))
                pieces = [(0, length)]
            case Parts(((start, stop),)):
                status = 206
                headers += [(b"content-type", kind), (b"content-range", _content_range(start, stop, length))]
                pieces = [(start, stop)]
            case Parts(ranges):
                status = 206
                boundary = secrets.token_hex(16).encode()  # unguessable, so no file can be made to hold it
                headers.append((b"content-type", b"multipart/byteranges; boundary=" + boundary))
                pieces = _multipart(ranges, length, kind, boundary)
        if isinstance(content, SmallFile):
            body = b"".join(piece if isinstance(piece, bytes) else content.data[slice(*piece)] for piece in pieces)
            await _send(scope, send, status, headers, body)
            return
        total = sum(len(piece) if isinstance(piece, bytes) else piece[1] - piece[0] for piece in pieces)
        if status == 304 or scope["method"] == "HEAD":
            await _send(scope, send, status, headers, b"", length=total)
            return
        await send({"type": "http.response.start", "status": status, "headers": _complete(headers, status, total)})
        await self._stream(receive, send, named, content, pieces)

    async def _stream(self, receive: Receive, send: Send, named: Path, content: BigFile, pieces: list[_Piece]) -> None:
        gone = asyncio.ensure_future(_disconnected(receive))  # nothing else tells: `send` to nobody just returns
        try:
            for piece in pieces:
                if isinstance(piece, bytes):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                    continue
                start, stop = piece
                while start < stop:
                    data = await asyncio.wrap_future(content.read(self._threads, start, min(CHUNK, stop - start)))
                    if gone.done():
                        return
                    if not data:
                        raise TruncatedFileError(
                            f"{named} became shorter than {content.length} bytes while it was sent"
                        )
                    start += len(data)
                    await send({"type": "http.response.body", "body": data, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            if not gone.cancel() and not gone.cancelled():
                gone.exception()  # seen: a receive that raises means that nobody is there


# --- pieces of an answer ---


def _multipart(ranges: Sequence[tuple[int, int]], length: int, kind: bytes, boundary: bytes) -> list[_Piece]:
    """RFC 9110 §14.6."""
    pieces: list[_Piece] = []
    for start, stop in ranges:
        part = b"\r\n--%b\r\nContent-Type: %b\r\nContent-Range: %b\r\n\r\n"
        pieces += [part % (boundary, kind, _content_range(start, stop, length)), (start, stop)]
    return [*pieces, b"\r\n--%b--\r\n" % boundary]


def _content_range(start: int, stop: int, length: int) -> bytes:
    return b"bytes %d-%d/%d" % (start, stop - 1, length)


def _with_slash(path: str, scope: Scope) -> bytes:
    """Encoded anew, from a path that `locate` found clean: it has one slash at its start, so it names no other host."""
    query: bytes = scope.get("query_string", b"")
    location = quote(os.fsencode(path), safe="/") + "/"
    return (location + ("?" + quote(query, safe="%/?:@!$&'()*+,;=[]~") if query else "")).encode()


def _joined_headers(scope: Scope) -> dict[str, str]:
    joined: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        joined[name] = f"{joined[name]}, {value}" if name in joined else value  # RFC 9110 §5.3
    return joined


async def _send_text(scope: Scope, send: Send, status: int, reason: str, *headers: _Header) -> None:
    body = f"{status} {HTTPStatus(status).phrase}: {reason}\n".encode()
    await _send(scope, send, status, [(b"content-type", b"text/plain; charset=utf-8"), *headers], body)


async def _send(
    scope: Scope, send: Send, status: int, headers: list[_Header], body: bytes, *, length: int | None = None
) -> None:
    total = len(body) if length is None else length
    await send({"type": "http.response.start", "status": status, "headers": _complete(headers, status, total)})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _complete(headers: list[_Header], status: int, length: int) -> list[_Header]:
    # A 304 speaks of another answer's content, so its own length of 0 would be wrong (RFC 9110 §8.6).
    size = [] if status == 304 else [(b"content-length", b"%d" % length)]
    return [*headers, *size, (b"cache-control", b"no-cache"), (b"x-content-type-options", b"nosniff")]


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _is_bare(mount: StaticMount, path: str) -> bool:
    return mount.index and path == mount.url[:-1]


def _close_unwanted(future: Future[_Answer]) -> None:
    if future.cancelled() or future.exception() is not None:
        return
    answer = future.result()
    if isinstance(answer, _File) and isinstance(answer.content, BigFile):
        answer.content.close()
