"""What start_response is given: pure, by tables and properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devserver.server.web.wsgi_headers import WSGIError, parse_headers, parse_status


@pytest.mark.parametrize(
    ("status", "code"), [("200 OK", 200), ("404 Not Found", 404), ("299", 299), ("599 ", 599), ("200 Très bien", 200)]
)
def test_a_status(status: str, code: int) -> None:
    assert parse_status(status) == code
    assert parse_status(status) == code  # again, from memory


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (200, "must be a str, not int 200"),
        (None, "must be a str, not None"),
        (b"200 OK", "must be a str, not bytes"),
        ("OK", "three digits"),
        ("200OK", "three digits"),
        ("20 OK", "three digits"),
        ("2000 OK", "three digits"),
        ("٢٠٠ OK", "three digits"),
        ("200 OK\r\nX: 1", "three digits"),
        ("100 Continue", "from 200 to 599"),
        ("600 Odd", "from 200 to 599"),
    ],
)
def test_a_status_that_is_none(status: object, message: str) -> None:
    with pytest.raises(WSGIError, match=message):
        parse_status(status)


def test_headers_as_asgi_sends_them() -> None:
    given_headers = [
        ("Content-Type", "text/html"),
        ("X-Name", "Jürgen"),
        ("Set-Cookie", "a=1"),
        ("set-cookie", "b=2\t"),
    ]
    expected = [
        (b"content-type", b"text/html"),
        (b"x-name", b"J\xfcrgen"),
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2\t"),
    ]
    for _ in range(2):
        assert parse_headers(given_headers) == (expected, None)


def test_the_length_is_taken_out() -> None:
    assert parse_headers([("CONTENT-LENGTH", "12"), ("X", "")]) == ([(b"x", b"")], 12)


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"Content-Type": "text/html"}, "list of .name, value. tuples, not dict"),
        ((("A", "b"),), "not tuple"),
        (None, "not None"),
        ([["A", "b"]], "tuple of name and value"),
        ([("A", "b", "c")], "tuple of name and value"),
        ([("A", 5)], "must be a str, not int 5"),
        ([("Content-Length", 5)], "must be a str, not int 5"),
        ([("A", None)], "must be a str, not None"),
        ([("A", b"x")], "must be a str, not bytes"),
        ([(b"A", "x")], "name of a header must be a str"),
        ([("A b", "x")], "cannot be the name"),
        ([("A:", "x")], "cannot be the name"),
        ([("", "x")], "cannot be the name"),
        ([("Ä", "x")], "cannot be the name"),
        ([("A\n", "x")], "cannot be the name"),
        ([("A", "x\r\nSet-Cookie: y")], "line break"),
        ([("A", "x\x00")], "control character"),
        ([("A", "x\x7f")], "control character"),
        ([("A", "€")], "cannot carry"),
        ([("Content-Length", "five")], "number of bytes"),
        ([("Content-Length", "-1")], "number of bytes"),
        ([("Content-Length", "²")], "number of bytes"),
        ([("Content-Length", "1"), ("content-length", "1")], "twice"),
        ([("Connection", "close")], "belongs to the connection"),
        ([("Transfer-Encoding", "chunked")], "belongs to the connection"),
        ([("keep-alive", "timeout=5")], "belongs to the connection"),
        ([("Upgrade", "h2c")], "belongs to the connection"),
    ],
)
def test_headers_that_are_none(headers: object, message: str) -> None:
    with pytest.raises(WSGIError, match=message):
        parse_headers(headers)


@given(st.text(), st.text())
def test_what_is_accepted_cannot_break_the_head(name: str, value: str) -> None:
    try:
        headers, length = parse_headers([(name, value)])
    except WSGIError:
        return
    for raw_name, raw_value in headers:
        assert raw_name == name.lower().encode("ascii")
        assert raw_value == value.encode("latin-1")
        assert not set(raw_name + raw_value) & set(b"\r\n\x00")
    assert headers or length is not None


def test_the_hint_is_a_note_of_the_exception() -> None:
    with pytest.raises(WSGIError) as raised:
        parse_headers({"A": "b"})
    assert raised.value.hint == "write list(headers.items())"
    assert raised.value.__notes__ == ["hint: write list(headers.items())"]
