"""Static files as an ASGI app, driven without a server."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from pathlib import Path

import pytest
from werkzeug.http import http_date

from devserver.server.asgi import Event
from devserver.server.integration import StaticMount
from devserver.server.web import static, static_files
from devserver.server.web.content_types import content_type
from devserver.server.web.static import StaticFiles
from devserver.server.web.static_files import CHUNK, SMALL, TruncatedFileError, open_file
from devserver.server.web.static_mounts import folder_mount

DEADLINE_S = 20.0


@dataclass(slots=True)
class Answer:
    """What an app sent, checked against the rules of ASGI and RFC 9110 that hold for every answer."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_complete: bool = False

    def take(self, event: Event) -> None:
        assert not self.is_complete
        if event["type"] == "http.response.start":
            assert not self.status
            self.status = event["status"]
            names = [name for name, _ in event["headers"]]
            assert len(set(names)) == len(names)
            assert all(name == name.lower() for name in names)
            self.headers = {name.decode(): value.decode() for name, value in event["headers"]}
        else:
            assert event["type"] == "http.response.body"
            self.body += event.get("body", b"")
            self.is_complete = not event.get("more_body", False)


async def request(
    app: StaticFiles, target: str, *, method: str = "GET", headers: dict[str, str] | None = None
) -> Answer:
    """One request; `target` is as on the wire."""
    raw_path, _, query = target.encode().partition(b"?")
    scope = {
        "type": "http",
        "method": method,
        "path": raw_path.decode(),
        "raw_path": raw_path,
        "query_string": query,
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items()],
    }
    answer = Answer()
    requested = asyncio.Event()

    async def receive() -> Event:
        if not requested.is_set():
            requested.set()
            return {"type": "http.request", "body": b"", "more_body": False}
        await asyncio.Event().wait()  # the client stays
        raise AssertionError

    async def send(event: Event) -> None:
        answer.take(event)

    await app(scope, receive, send)
    assert answer.is_complete
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"
    if answer.status == 304:
        assert "content-length" not in answer.headers
    elif method == "GET":
        assert int(answer.headers["content-length"]) == len(answer.body)
    if method == "HEAD" or answer.status == 304:
        assert answer.body == b""
    return answer


class Site:
    """A folder with files and the app that serves it at /s/."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sent: list[tuple[Path, str]] = []
        self.app = StaticFiles(
            [StaticMount("/s/", (root,), index=True)], on_sent=lambda path, url: self.sent.append((path, url))
        )

    def write(self, name: str, data: bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def get(self, target: str, *, method: str = "GET", **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return asyncio.run(request(self.app, target, method=method, headers=named))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.app.close()


@pytest.fixture(params=["small", "big"])
def data(request: pytest.FixtureRequest) -> bytes:
    """Contents that take each of the two roads."""
    return os.urandom(1000 if request.param == "small" else SMALL + 3 * CHUNK + 17)


# --- matching ---


def test_match() -> None:
    app = StaticFiles([StaticMount("/static/"), StaticMount("/docs/", index=True)])
    assert [
        path
        for path in ("/static/x", "/static/", "/docs/", "/docs", "/static", "/", "/statics/x", "*")
        if app.match(path)
    ] == [
        "/static/x",
        "/static/",
        "/docs/",
        "/docs",
    ]
    assert StaticFiles([folder_mount(Path("/nowhere"))]).match("/anything")
    assert not StaticFiles([]).match("/")


def test_longer_mounts_go_first(tmp_path: Path) -> None:
    for name in ("outer", "inner"):
        (tmp_path / name / "a").mkdir(parents=True)
        (tmp_path / name / "x.txt").write_text(name)
        (tmp_path / "outer" / "a" / "x.txt").write_text("outer a")
        (tmp_path / "outer" / "a" / "y.txt").write_text("outer a y")
    app = StaticFiles([StaticMount("/", (tmp_path / "outer",)), StaticMount("/a/", (tmp_path / "inner",))])
    assert asyncio.run(request(app, "/a/x.txt")).body == b"inner"
    assert asyncio.run(request(app, "/a/y.txt")).body == b"outer a y"
    assert asyncio.run(request(app, "/x.txt")).body == b"outer"
    app.close()


# --- whole files ---


def test_get_and_head(site: Site, data: bytes) -> None:
    path = site.write("app.js", data)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    answer = site.get("/s/app.js")
    assert (answer.status, answer.body) == (200, data)
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["last-modified"] == "Tue, 14 Nov 2023 22:13:20 GMT"
    assert answer.headers["accept-ranges"] == "bytes"
    head = site.get("/s/app.js", method="HEAD")
    assert (head.status, head.headers) == (200, answer.headers)


@pytest.mark.parametrize("size", [0, 1, SMALL - 1, SMALL, SMALL + 1, SMALL + CHUNK, SMALL + CHUNK + 1])
def test_every_size_arrives_whole(site: Site, size: int) -> None:
    data = os.urandom(size)
    site.write("x.bin", data)
    assert site.get("/s/x.bin").body == data


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"])
def test_other_methods(site: Site, method: str) -> None:
    answer = site.get("/s/missing.js", method=method)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.mjs", "text/javascript; charset=utf-8"),
        ("A.CSS", "text/css; charset=utf-8"),
        ("a.html", "text/html; charset=utf-8"),
        ("a.txt", "text/plain; charset=utf-8"),
        ("a.wasm", "application/wasm"),
        ("a.woff2", "font/woff2"),
        ("a.svg", "image/svg+xml"),
        ("a.webp", "image/webp"),
        ("a.avif", "image/avif"),
        ("a.json", "application/json"),
        ("a.min.js.map", "application/json"),
        ("a.webmanifest", "application/manifest+json"),
        ("a.tar.gz", "application/gzip"),
        ("a.js.gz", "text/javascript; charset=utf-8"),
        ("a.wasm.br", "application/wasm"),
        ("a.data.gz", "application/octet-stream"),
        ("a.svgz", "image/svg+xml"),
        ("gz", "application/octet-stream"),
        ("LICENSE", "application/octet-stream"),
        ("js", "application/octet-stream"),
        ("a.unknown", "application/octet-stream"),
        ("a.", "application/octet-stream"),
    ],
)
def test_types_are_those_of_no_machine(monkeypatch: pytest.MonkeyPatch, name: str, expected: str) -> None:
    monkeypatch.setattr("mimetypes.guess_type", lambda *_: ("text/broken", None))
    assert content_type(name) == expected


@pytest.mark.parametrize(
    ("name", "encoding"),
    [("a.js.gz", "gzip"), ("A.CSS.GZ", "gzip"), ("a.wasm.br", "br"), ("a.svgz", "gzip")]
    + [(name, None) for name in ("a.tar.gz", "a.gz", "gz", "a.csv.gz", "a.js")],
)
def test_parts_of_pages_that_lie_there_compressed(site: Site, name: str, encoding: str | None) -> None:
    site.write(name, b"x")
    assert site.get(f"/s/{name}").headers.get("content-encoding") == encoding


@pytest.mark.parametrize(
    ("name", "beginning", "says_utf8"),
    [
        ("a.html", b"<!doctype html><meta charset=windows-1251>", False),
        ("a.html", b'<meta http-equiv=Content-Type content="text/html; charset=ISO-8859-1">', False),
        ("a.html", b"<META CHARSET='utf-8'>", True),
        ("a.html", b"<meta charset=utf8>", True),
        ("a.html", b"<p>charset=latin1", True),
        ("a.css", b'@charset "iso-8859-15";', False),
        ("a.css", b'@charset "UTF-8";', True),
        ("a.txt", b"\xff\xfea\0", False),
    ],
)
def test_what_says_its_encoding_is_believed(site: Site, name: str, beginning: bytes, says_utf8: bool) -> None:
    site.write(name, beginning)
    assert ("utf-8" in site.get(f"/s/{name}").headers["content-type"]) == says_utf8


@pytest.mark.parametrize("name", [b"caf\xc3\xa9.css", b"\xff\xfe.css", b"a b%20;?#&.css", b"new\nline.css"])
def test_any_name_can_be_asked_for(site: Site, name: bytes) -> None:
    site.write(os.fsdecode(name), b"found")
    encoded = "".join(f"%{byte:02x}" for byte in name)
    assert site.get(f"/s/{encoded}").body == b"found"


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/s/%2e%2e/secret.txt", 404),
        ("/s/..%2fsecret.txt", 404),
        ("/s/%252e%252e/secret.txt", 404),
        ("/s/%252e%252e%252fsecret.txt", 404),
        ("/s/%2fetc%2fpasswd", 404),
        ("/s//etc/passwd", 404),
        ("/s/%5c%5chost%5cshare", 400),
        ("/s/..%5csecret.txt", 400),
        ("/s/%00", 400),
        ("/s/a.txt%00.png", 400),
        ("/s/%2500", 404),
        ("/s/%ff%c0%ae%c0%ae/secret.txt", 404),  # an overlong dot is no dot
        ("/s/%", 404),
        ("/s/%2", 404),
        ("/s/" + "%2e%2e%2f" * 1000, 404),
        ("/s/.env", 404),
        ("/s/settings.py", 404),
        ("/s/db.sqlite3", 404),
        ("/s/server%2ekey", 404),
    ],
)
def test_what_is_not_served(tmp_path: Path, target: str, status: int) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    site = Site(tmp_path / "site")
    for name in ("a.txt", ".env", "settings.py", "db.sqlite3", "server.key"):
        site.write(name, b"secret")
    answer = site.get(target)
    assert answer.status == status
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert b"secret" not in answer.body
    assert not site.sent
    site.app.close()


# --- conditions ---


def test_revalidation(site: Site, data: bytes) -> None:
    site.write("a.css", data)
    first = site.get("/s/a.css")
    again = site.get("/s/a.css", if_none_match=first.headers["etag"])
    assert again.status == 304
    assert {"etag", "last-modified"} <= set(again.headers)
    assert "content-type" not in again.headers
    assert site.get("/s/a.css", if_modified_since=first.headers["last-modified"]).status == 304
    assert site.get("/s/a.css", if_none_match='"x"', if_modified_since=first.headers["last-modified"]).status == 200
    assert site.get("/s/a.css", if_match='"x"').status == 412


def test_a_change_that_leaves_size_and_mtime_is_seen(site: Site) -> None:
    path = site.write("a.css", b"red")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    etag = site.get("/s/a.css").headers["etag"]
    path.write_bytes(b"tan")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    answer = site.get("/s/a.css", if_none_match=etag)
    assert (answer.status, answer.body) == (200, b"tan")


@pytest.mark.parametrize("mtime", [-5.0, 2**33, 2**40])
def test_a_date_that_cannot_be_is_not_sent(site: Site, mtime: float) -> None:
    path = site.write("a.css", b"x")
    try:
        os.utime(path, (mtime, mtime))
    except (OSError, OverflowError):
        pytest.skip("the file system has no such date")
    answer = site.get("/s/a.css", if_modified_since=http_date(time.time()))
    assert answer.status == 200
    assert "last-modified" not in answer.headers


# --- ranges ---


def test_one_range(site: Site, data: bytes) -> None:
    site.write("film.mp4", data)
    end = len(data)
    for header, start, stop in (
        ("bytes=0-0", 0, 1),
        (f"bytes=100-{end + 5}", 100, end),
        ("bytes=-10", end - 10, end),
        ("bytes=7-", 7, end),
    ):
        answer = site.get("/s/film.mp4", range=header)
        assert (answer.status, answer.body) == (206, data[start:stop])
        assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{end}"
        assert answer.headers["content-type"] == "video/mp4"
    head = site.get("/s/film.mp4", method="HEAD", range="bytes=0-0")
    assert (head.status, head.headers["content-length"]) == (200, str(end))


def test_several_ranges(site: Site, data: bytes) -> None:
    site.write("film.mp4", data)
    answer = site.get("/s/film.mp4", range="bytes=0-4,10-19,-5")
    assert answer.status == 206
    assert "content-range" not in answer.headers  # §15.3.7.2: only in the parts
    mail = message_from_bytes(f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode() + answer.body)
    assert mail.get_content_type() == "multipart/byteranges"
    parts = list(mail.walk())[1:]
    assert [part["Content-Range"] for part in parts] == [
        f"bytes {start}-{stop}/{len(data)}" for start, stop in ((0, 4), (10, 19), (len(data) - 5, len(data) - 1))
    ]
    assert {part["Content-Type"] for part in parts} == {"video/mp4"}
    boundary = b"--" + answer.headers["content-type"].partition("boundary=")[2].encode()
    contents = [piece.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for piece in answer.body.split(boundary)[1:-1]]
    assert contents == [data[:5], data[10:20], data[-5:]]


def test_a_range_beyond_the_end(site: Site, data: bytes) -> None:
    site.write("film.mp4", data)
    answer = site.get("/s/film.mp4", range=f"bytes={len(data)}-")
    assert (answer.status, answer.headers["content-range"]) == (416, f"bytes */{len(data)}")


def test_ranges_of_an_older_state_get_the_whole_new_one(site: Site, data: bytes) -> None:
    site.write("film.mp4", data)
    etag = site.get("/s/film.mp4").headers["etag"]
    assert site.get("/s/film.mp4", range="bytes=0-0", if_range=etag).status == 206
    site.write("film.mp4", data[::-1])
    answer = site.get("/s/film.mp4", range="bytes=0-0", if_range=etag)
    assert (answer.status, answer.body) == (200, data[::-1])


def test_many_ranges_get_the_whole(site: Site) -> None:
    site.write("film.mp4", b"x" * 100)
    answer = site.get("/s/film.mp4", range="bytes=" + ",".join(f"{n}-{n}" for n in range(0, 90, 10)))
    assert (answer.status, len(answer.body)) == (200, 100)


def test_a_range_sent_twice_is_no_range(site: Site) -> None:
    site.write("a.bin", b"0123456789")
    scope_headers = [(b"range", b"bytes=0-1"), (b"range", b"bytes=2-3")]
    assert static._joined_headers({"headers": scope_headers}) == {"range": "bytes=0-1, bytes=2-3"}
    assert site.get("/s/a.bin", range="bytes=0-1, bytes=2-3").status == 200


# --- folders ---


def test_index_pages_and_redirects(site: Site) -> None:
    site.write("docs/index.html", b"<h1>docs</h1>")
    assert site.get("/s/docs/").body == b"<h1>docs</h1>"
    for target, location in (
        ("/s/docs", "/s/docs/"),
        ("/s/docs?a=1&b=%20c", "/s/docs/?a=1&b=%20c"),
        ("/s?x", "/s/?x"),
        ("/s/%64ocs", "/s/docs/"),
    ):
        answer = site.get(target)
        assert (answer.status, answer.headers["location"]) == (307, location)
    assert site.get("/s/docs", method="HEAD").status == 307


def test_a_redirect_names_no_other_host_and_no_other_header(site: Site) -> None:
    site.write("evil.example/x", b"")
    site.write("a\r\nSet-Cookie: b/x", b"")
    assert site.get("/s//evil.example").status == 404
    root = StaticFiles([folder_mount(site.root)])
    assert asyncio.run(request(root, "//evil.example")).status == 404
    assert asyncio.run(request(root, "/%2fevil.example")).status == 404
    assert asyncio.run(request(root, "/%5cevil.example")).status == 400
    answer = site.get("/s/a%0d%0aSet-Cookie:%20b?\r\n\x7fé")
    assert answer.headers["location"] == "/s/a%0D%0ASet-Cookie%3A%20b/?%0D%0A%7F%C3%A9"
    root.close()


def test_a_folder_without_an_index_is_listed(site: Site) -> None:
    for name in ("b.txt", "A.txt", "sub/x.txt", ".env", "app.py", "db.sqlite3", "a & <b>.txt", "javascript:x"):
        site.write(name, b"x" * 1234)
    site.write(os.fsdecode(b"\xff\xe2\x80\xae.txt"), b"")
    (site.root / "outside").symlink_to("/etc")
    (site.root / "dangling").symlink_to("nowhere")
    os.mkfifo(site.root / "fifo")
    answer = site.get("/s/")
    page = answer.body.decode()
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    links = [part.partition('"')[0] for part in page.split('<a href="')[1:]]
    assert links == ["sub/", "a%20%26%20%3Cb%3E.txt", "A.txt", "b.txt", "javascript%3Ax", "%FF%E2%80%AE.txt"]
    assert "a &amp; &lt;b&gt;.txt" in page
    assert "1.2 kB" in page
    for link in links:
        assert site.get(f"/s/{link}").status == 200
    below = site.get("/s/sub/").body.decode()
    assert '<a href="../">' in below
    assert "<title>/s/sub/</title>" in below
    assert "<script" not in page
    assert "prefers-color-scheme: dark" in page


def test_a_listing_escapes_the_folders_name(site: Site) -> None:
    site.write("<script>alert(1)</script>$style/x.txt", b"")
    page = site.get("/s/%3Cscript%3Ealert(1)%3C/script%3E$style/").body.decode()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "$style" in page


def test_an_empty_folder_says_so(site: Site) -> None:
    assert "Nothing to serve" in site.get("/s/").body.decode()
    assert site.get("/s/", method="HEAD").status == 200


# --- the disk and the loop ---


def test_the_loop_goes_on_while_the_disk_is_slow(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("x")
    asked, may_answer = threading.Event(), threading.Event()

    def find(rest: str) -> Path:
        asked.set()
        assert may_answer.wait(DEADLINE_S)
        return tmp_path / rest

    app = StaticFiles([StaticMount("/s/", find=find)])

    async def run() -> Answer:
        pending = asyncio.ensure_future(request(app, "/s/x.txt"))
        await asyncio.to_thread(asked.wait, DEADLINE_S)
        assert not pending.done()
        may_answer.set()  # from the loop: it would not get here if the finder held it
        return await asyncio.wait_for(pending, DEADLINE_S)

    assert asyncio.run(run()).body == b"x"
    app.close()


def test_every_answer_about_a_file_is_told(site: Site) -> None:
    path = site.write("a.css", b"x")
    site.write("docs/index.html", b"x")
    etag = site.get("/s/a.css").headers["etag"]
    assert site.get("/s/a.css", if_none_match=etag).status == 304
    site.get("/s/a.css", method="HEAD")
    site.get("/s/docs/")
    assert site.sent == [(path, "/s/a.css")] * 3 + [(site.root / "docs" / "index.html", "/s/docs/")]
    site.get("/s/missing.css")
    site.get("/s/a.css", method="POST")
    site.get("/s/docs")
    assert len(site.sent) == 4
    site.write("listed/a.txt", b"x")
    site.get("/s/listed/")
    assert site.sent[4:] == [(site.root / "listed" / "index.html", "/s/listed/")], "the page that the list stands for"


def test_who_navigates_to_nothing_gets_a_page(site: Site) -> None:
    answer = site.get("/s/no/%3Cb%3E", sec_fetch_dest="document")
    assert (answer.status, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert b"404: /s/no/&lt;b&gt;" in answer.body
    assert b"There is no such file." in answer.body
    assert site.get("/s/no").headers["content-type"] == "text/plain; charset=utf-8"


def test_errors_of_the_machine_are_not_taken_for_the_files(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.write("a.css", b"x")
    monkeypatch.setattr(static, "open_file", _raising(OSError(24, "Too many open files")))
    with pytest.raises(OSError, match="Too many"):
        site.get("/s/a.css")
    monkeypatch.setattr(static, "open_file", _raising(PermissionError(13, "no")))
    assert site.get("/s/a.css").status == 403
    monkeypatch.setattr(static, "open_file", _raising(FileNotFoundError(2, "gone")))
    assert site.get("/s/a.css").status == 404


def _raising(error: Exception) -> Callable[[str], None]:
    def raise_it(real: str) -> None:
        raise error

    return raise_it


def test_what_became_a_fifo_or_a_symlink_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert open_file(str(tmp_path / "fifo")) is None  # and it did not wait for a writer
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    with pytest.raises(OSError, match="link"):
        open_file(str(tmp_path / "link"))


def _stream(app: StaticFiles, on_chunk: Callable[[int], None]) -> Answer:
    """GET /s/big.bin; `on_chunk` is called with the number of each chunk before the next may be read."""
    answer = Answer()
    chunks = 0

    async def receive() -> Event:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(event: Event) -> None:
        nonlocal chunks
        answer.take(event)
        if event["type"] == "http.response.body":
            on_chunk(chunks)
            chunks += 1

    scope = {"type": "http", "method": "GET", "path": "/s/big.bin", "query_string": b"", "headers": []}

    async def run() -> None:
        await app(scope, receive, send)

    try:
        asyncio.run(run())
    finally:
        app.close()
    return answer


def test_a_file_that_shrinks_cuts_the_answer(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    path = site.write("big.bin", bytes(SMALL + 4 * CHUNK))
    before = _descriptors()
    with pytest.raises(TruncatedFileError, match="became shorter"):
        _stream(site.app, lambda number: os.truncate(path, CHUNK + 5))
    assert _descriptors() == before


def test_a_file_that_grows_is_sent_as_it_was(site: Site) -> None:
    path = site.write("big.bin", b"a" * (SMALL + 4 * CHUNK))

    def grow(number: int) -> None:
        with path.open("ab") as file:
            file.write(b"b" * CHUNK)

    assert _stream(site.app, grow).body == b"a" * (SMALL + 4 * CHUNK)


def test_nothing_is_read_for_a_client_that_left(site: Site) -> None:
    site.write("big.bin", bytes(SMALL + 50 * CHUNK))
    before = _descriptors()
    sent = 0

    async def run() -> None:
        left = asyncio.Event()

        async def receive() -> Event:
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(event: Event) -> None:
            nonlocal sent
            sent += len(event.get("body", b""))
            if sent:
                left.set()

        scope = {"type": "http", "method": "GET", "path": "/s/big.bin", "headers": []}
        await site.app(scope, receive, send)

    asyncio.run(run())
    assert CHUNK <= sent <= 3 * CHUNK
    assert _descriptors() == before


def test_nothing_is_read_ahead_of_a_slow_client(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.write("big.bin", bytes(SMALL + 5 * CHUNK))
    reads = 0

    def count(fd: int, offset: int, size: int) -> bytes:
        nonlocal reads
        reads += 1
        return os.pread(fd, size, offset)

    monkeypatch.setattr(static_files, "read_at", count)

    def check(number: int) -> None:
        assert reads <= number + 1

    _stream(site.app, check)
    assert reads == 6


@pytest.mark.parametrize("stage", ["open", "read"])
def test_a_cancelled_request_leaves_no_descriptor(site: Site, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    site.write("big.bin", bytes(SMALL + 5 * CHUNK))
    before = _descriptors()
    reached, go_on = threading.Event(), threading.Event()

    def slow_open(real: str) -> static_files.SmallFile | static_files.BigFile | None:
        opened = open_file(real)
        reached.set()
        assert go_on.wait(DEADLINE_S)
        return opened

    def slow_read(fd: int, offset: int, size: int) -> bytes:
        reached.set()
        assert go_on.wait(DEADLINE_S)
        return os.pread(fd, size, offset)  # would fail, or read another file, had it been closed

    if stage == "open":
        monkeypatch.setattr(static, "open_file", slow_open)
    else:
        monkeypatch.setattr(static_files, "read_at", slow_read)

    async def run() -> None:
        pending = asyncio.ensure_future(request(site.app, "/s/big.bin"))
        await asyncio.to_thread(reached.wait, DEADLINE_S)
        pending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pending

    asyncio.run(run())
    assert _descriptors() == before + 1  # the thread still has it
    go_on.set()
    site.app._threads.shutdown(wait=True)
    assert _descriptors() == before


def test_a_large_file_takes_no_memory(site: Site) -> None:
    size = 1 << 28
    with (site.root / "big.bin").open("wb") as file:
        file.truncate(size)
    received = 0

    async def receive() -> Event:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(event: Event) -> None:
        nonlocal received
        received += len(event.get("body", b""))

    async def run() -> None:
        scope = {"type": "http", "method": "GET", "path": "/s/big.bin", "headers": []}
        await site.app(scope, receive, send)

    tracemalloc.start()
    try:
        asyncio.run(run())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert received == size
    assert peak < 8 * CHUNK


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd" if os.path.exists("/proc/self/fd") else "/dev/fd"))


# --- other scopes ---


def test_a_websocket_is_refused(site: Site) -> None:
    sent: list[Event] = []

    async def receive() -> Event:
        return {"type": "websocket.connect"}

    async def send(event: Event) -> None:
        sent.append(event)

    async def run() -> None:
        await site.app({"type": "websocket", "path": "/s/a.css", "headers": []}, receive, send)

    asyncio.run(run())
    assert sent == [{"type": "websocket.close", "code": 1000}]


def test_there_is_no_lifespan(site: Site) -> None:
    async def receive() -> Event:
        raise AssertionError

    async def send(event: Event) -> None:
        raise AssertionError

    async def run() -> None:
        await site.app({"type": "lifespan"}, receive, send)

    with pytest.raises(NotImplementedError):
        asyncio.run(run())
