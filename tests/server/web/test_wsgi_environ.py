"""The environ of a WSGI request: pure, by tables and properties."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devserver.server.web.wsgi_environ import BLOCK_SIZE, Environ, FileWrapper, base_environ, request_environ


def environ_of(*headers: tuple[bytes, bytes], multithread: bool = True, **scope: Any) -> Environ:
    whole = {
        "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": "/", "raw_path": b"/",
        "query_string": b"", "root_path": "", "headers": list(headers), "client": ("127.0.0.1", 5123),
        "server": ("127.0.0.1", 8000),
    }  # fmt: skip
    return request_environ(base_environ(multithread=multithread), whole | scope)


def test_the_plain_values() -> None:
    environ = environ_of((b"host", b"localhost:8000"), query_string=b"a=1&b=%20", path="/x", raw_path=b"/x")
    environ.pop("SERVER_SOFTWARE")
    assert {key: value for key, value in environ.items() if "." not in key} == {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/x",
        "QUERY_STRING": "a=1&b=%20",
        "REQUEST_URI": "/x?a=1&b=%20",
        "RAW_URI": "/x?a=1&b=%20",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "5123",
        "HTTP_HOST": "localhost:8000",
    }
    assert environ["wsgi.version"] == (1, 0)
    assert environ["wsgi.url_scheme"] == "http"
    assert environ["wsgi.input_terminated"] is True
    assert (environ["wsgi.multiprocess"], environ["wsgi.run_once"]) == (False, False)


@pytest.mark.parametrize("multithread", [True, False])
def test_multithread_says_what_it_was_told(multithread: bool) -> None:
    assert environ_of(multithread=multithread)["wsgi.multithread"] is multithread


def test_the_base_is_shared_and_never_changed() -> None:
    base = base_environ(multithread=True)
    before = dict(base)
    scope = {
        "http_version": "1.1", "method": "GET", "path": "/", "query_string": b"", "headers": [(b"x-a", b"1")],
    }  # fmt: skip
    request_environ(base, scope)["wsgi.extra"] = 1
    assert base == before


@pytest.mark.parametrize(
    ("raw_path", "root_path", "script_name", "path_info"),
    [
        (b"/", "", "", "/"),
        (b"/a%20b", "", "", "/a b"),
        (b"/a+b", "", "", "/a+b"),
        (b"/%C3%BC", "", "", "/\xc3\xbc"),  # UTF-8 bytes as latin-1, as PEP 3333 wants them
        (b"/%FC", "", "", "/\xfc"),  # not UTF-8: as it was sent
        (b"/a%2Fb", "", "", "/a/b"),
        (b"/a%252Fb", "", "", "/a%2Fb"),  # decoded once
        (b"/%zz%", "", "", "/%zz%"),
        (b"//a//b", "", "", "//a//b"),
        (b"/app/x", "/app", "/app", "/x"),
        (b"/app", "/app", "/app", ""),
        (b"/app/", "/app/", "/app", "/"),
        (b"/apple", "/app", "/app", "/apple"),  # not below the root: left whole
        (b"/%C3%BC/x", "/ü", "/\xc3\xbc", "/x"),
        (b"/x", "/", "", "/x"),  # PEP 3333: SCRIPT_NAME is never "/"
    ],
)
def test_paths(raw_path: bytes, root_path: str, script_name: str, path_info: str) -> None:
    environ = environ_of(raw_path=raw_path, root_path=root_path)
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (script_name, path_info)
    assert environ["REQUEST_URI"] == raw_path.decode("latin-1")


@given(st.binary(max_size=40))
def test_any_bytes_of_a_path_arrive(tail: bytes) -> None:
    raw_path = b"/" + quote_from_bytes(tail, safe="").encode()
    environ = environ_of(raw_path=raw_path)
    assert environ["PATH_INFO"].encode("latin-1") == b"/" + tail
    assert environ["REQUEST_URI"].encode("latin-1") == raw_path


def test_without_a_raw_path_the_decoded_one_is_not_decoded_again() -> None:
    environ = environ_of(path="/ü%41", raw_path=None)
    assert environ["PATH_INFO"] == "/\xc3\xbc%41"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([(b"x-a", b"1"), (b"x-a", b"2")], {"HTTP_X_A": "1,2"}),
        ([(b"cookie", b"a=1"), (b"cookie", b"b=2")], {"HTTP_COOKIE": "a=1; b=2"}),
        ([(b"x_user", b"root"), (b"x-user", b"me")], {"HTTP_X_USER": "me"}),
        ([(b"x_user", b"root")], {}),
        ([(b"content_length", b"9"), (b"content_type", b"a/b")], {}),
        ([(b"proxy", b"http://evil.example")], {}),
        ([(b"content-type", b"text/plain"), (b"content-length", b"4")], {"CONTENT_TYPE": "text/plain", "CONTENT_LENGTH": "4"}),
        ([(b"content-type", b"a/b"), (b"content-type", b"c/d")], {"CONTENT_TYPE": "a/b"}),
        ([(b"content-length", b"4"), (b"transfer-encoding", b"chunked")], {"HTTP_TRANSFER_ENCODING": "chunked"}),
        ([(b"x-name", b"J\xfcrgen")], {"HTTP_X_NAME": "J\xfcrgen"}),
    ],
)  # fmt: skip
def test_headers(headers: list[tuple[bytes, bytes]], expected: dict[str, str]) -> None:
    environ = environ_of(*headers)
    found = {key: value for key, value in environ.items() if key.startswith(("HTTP_", "CONTENT_"))}
    assert found == expected


def test_more_names_of_headers_than_are_remembered() -> None:
    headers = [(b"x-h%d" % number, b"%d" % number) for number in range(3000)]
    for _ in range(2):
        environ = environ_of(*headers)
        assert [environ[f"HTTP_X_H{number}"] for number in range(3000)] == [str(number) for number in range(3000)]


def test_a_unix_socket() -> None:
    environ = environ_of(server=("/run/app.sock", None), client=None)
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"], environ["REMOTE_ADDR"]) == ("localhost", "80", "")
    assert "REMOTE_PORT" not in environ


def test_errors_go_to_the_stderr_of_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = environ_of()["wsgi.errors"]
    replaced = io.StringIO()
    monkeypatch.setattr(sys, "stderr", replaced)
    errors.write("one\n")
    errors.writelines(["two\n", "three\n"])
    errors.flush()
    assert replaced.getvalue() == "one\ntwo\nthree\n"
    assert errors.isatty() is False


class Recorder(io.BytesIO):
    """A file without a descriptor that remembers the sizes asked for."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.sizes: list[int | None] = []

    def read(self, size: int | None = -1, /) -> bytes:
        self.sizes.append(size)
        return super().read(size)


def test_file_wrapper_reads_a_regular_file_in_large_blocks(tmp_path: Path) -> None:
    path = tmp_path / "data"
    data = os.urandom(3 * BLOCK_SIZE + 1)
    path.write_bytes(data)
    with path.open("rb") as file:
        blocks = list(FileWrapper(file, 4096))
    assert b"".join(blocks) == data
    assert [len(block) for block in blocks] == [BLOCK_SIZE] * 3 + [1]


def test_file_wrapper_keeps_the_suggested_size_where_reading_could_block() -> None:
    file = Recorder(b"abcdef")
    assert list(FileWrapper(file, 4)) == [b"abcd", b"ef"]
    assert file.sizes == [4, 4, 4]


def test_file_wrapper_closes_what_can_be_closed() -> None:
    file = Recorder(b"")
    wrapper = FileWrapper(file)
    wrapper.close()
    assert file.closed

    class Reader:
        def __init__(self, blocks: Iterator[bytes]) -> None:
            self._blocks = blocks

        def read(self, size: int, /) -> bytes:
            return next(self._blocks, b"")[:size]

    bare = FileWrapper(Reader(iter([b"a", b"b"])))
    assert not hasattr(bare, "close")
    assert list(bare) == [b"a", b"b"]
