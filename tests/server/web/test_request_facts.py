"""What is shown of a request, and what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devserver.server.swallowed import MAX_QUERIES, Query
from devserver.server.web.reprs import HIDDEN
from devserver.server.web.request_facts import MAX_FIELDS, MAX_QUERY, header, queries_sheet, request_facts

SCOPE: dict[str, object] = {
    "type": "http",
    "method": "POST",
    "scheme": "http",
    "http_version": "1.1",
    "path": "/é/",
    "raw_path": b"/%C3%A9/",
    "query_string": b"page=2&token=abc&password=&api%5Fkey=x",
    "client": ("127.0.0.1", 51234),
    "headers": [
        (b"host", b"localhost:8000"),
        (b"cookie", b"sessionid=abc"),
        (b"authorization", b"Basic abc"),
        (b"x-api-key", b"abc"),
        (b"referer", b"http://localhost:8000/reset?token=abc"),
        (b"accept", b"text/html"),
        (b"accept", b"*/*;q=0.1"),
        (b"x-odd", b"\xff<b>"),
    ],
}


def test_request_facts() -> None:
    facts = request_facts(SCOPE)
    assert facts.method == "POST"
    assert facts.url == f"http://localhost:8000/%C3%A9/?page=2&token={HIDDEN}&password=&api%5Fkey={HIDDEN}"
    assert facts.client == "127.0.0.1:51234"
    headers = dict(facts.headers)
    assert headers["cookie"] == headers["authorization"] == headers["x-api-key"] == HIDDEN
    assert headers["referer"] == f"http://localhost:8000/reset?token={HIDDEN}"
    assert headers["x-odd"] == "ÿ<b>"
    assert "abc" not in repr(facts)


def test_request_facts_of_next_to_nothing() -> None:
    facts = request_facts({"type": "websocket", "path": "/é"})
    assert (facts.method, facts.url, facts.client, facts.headers) == ("WEBSOCKET", "http:///%C3%A9", "", ())


def test_queries() -> None:
    assert queries_sheet(()) == ()
    (sheet,) = queries_sheet(
        (
            Query("SELECT 1", 0.0004),
            Query("UPDATE a SET password = 'plain'", 0.0123),
            Query("INSERT INTO u VALUES ('pbkdf2_sha256$1$a$b', 'x')", 1.0),
        )
    )
    assert sheet.title == "Database: 3 queries, 1013 ms"
    assert sheet.rows == (
        ("< 1 ms", "SELECT 1"),
        ("12 ms", f"UPDATE a SET password = {HIDDEN}"),
        ("1000 ms", f"INSERT INTO u VALUES ('{HIDDEN}', 'x')"),
    )
    many = queries_sheet([Query("SELECT " + "x" * 9000, 0.0)] * MAX_QUERIES)
    assert many[0].title == f"Database: the last {MAX_QUERIES} queries, < 1 ms"
    assert len(many[0].rows[0][1]) == MAX_QUERY
    assert queries_sheet([Query("SELECT 1", 0.002)])[0].title == "Database: 1 query, 2 ms"


def test_header() -> None:
    assert header(SCOPE, b"accept") == "text/html, */*;q=0.1"
    assert header(SCOPE, b"none") == header({}, b"accept") == ""


def test_fields_by_name() -> None:
    facts = request_facts(SCOPE)
    assert facts.query == (("page", "2"), ("token", HIDDEN), ("password", ""), ("api_key", HIDDEN))
    scope = {
        "headers": [(b"cookie", b"theme=dark; sessionid=abc; csrftoken=abc")],
        "session": {"cart": [1], "token": "a"},
    }
    facts = request_facts(scope)
    assert facts.cookies == (("theme", "dark"), ("sessionid", HIDDEN), ("csrftoken", HIDDEN))
    assert facts.session == (("cart", "[1]"), ("token", HIDDEN))


MULTIPART = (
    b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\nShoes\r\n'
    b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a.png"\r\n\r\n12345\r\n--x--\r\n'
)


@pytest.mark.parametrize(
    ("content_type", "body", "form"),
    [
        (
            b"application/x-www-form-urlencoded",
            b"title=Caf%C3%A9+1&password=x",
            (("title", "Café 1"), ("password", HIDDEN)),
        ),
        (b"application/x-www-form-urlencoded; charset=utf-8", b"a=", (("a", ""),)),
        (b"multipart/form-data; boundary=x", MULTIPART, (("title", "Shoes"), ("photo", "file a.png, 5 bytes"))),
        (b"multipart/form-data; boundary=x", MULTIPART[:90], ()),
        (b"multipart/form-data", MULTIPART, ()),
        (b"application/json", b'{"a": 1}', ()),
        (b"", b"a=1", ()),
    ],
)
def test_forms(content_type: bytes, body: bytes, form: tuple[tuple[str, str], ...]) -> None:
    assert request_facts({"headers": [(b"content-type", content_type)]}, body).form == form


@pytest.mark.parametrize(
    ("content_type", "body", "shown"),
    [
        (
            b"application/json",
            b'{"a": [1, {"password": "x", "token": ""}], "pin": 3}',
            '{"a": [1, {"password": "‹hidden›", "token": ""}], "pin": "‹hidden›"}',
        ),
        (b"application/ld+json; charset=utf-8", '["é"]'.encode(), '["é"]'),
        (b"application/json", b'{"a": ', ""),
        (b"application/json", b"[" * 100_000, ""),
        (b"application/json", b'"' + b"x" * 20_000 + b'"', ""),
        (b"text/plain", b"{}", ""),
    ],
)
def test_json(content_type: bytes, body: bytes, shown: str) -> None:
    assert request_facts({"headers": [(b"content-type", content_type)]}, body).body == shown


def test_sizes_are_bounded() -> None:
    facts = request_facts({"query_string": b"&".join(b"a%d=%b" % (n, b"x" * 5_000) for n in range(500))})
    assert len(facts.query) == MAX_FIELDS
    assert len(repr(facts)) < 300_000


class Raising(dict[str, object]):
    def items(self) -> object:  # type: ignore[override]
        raise RuntimeError("the session is not loaded")


@pytest.mark.parametrize("session", [Raising(), object(), None, [("a", 1)]])
def test_a_session_that_is_none(session: object) -> None:
    assert request_facts({"session": session}).session == ()


@given(
    query=st.binary(max_size=60),
    cookie=st.binary(max_size=60),
    kind=st.binary(max_size=60),
    body=st.binary(max_size=60),
)
def test_nothing_that_a_client_sends_is_too_much(query: bytes, cookie: bytes, kind: bytes, body: bytes) -> None:
    headers = [(b"cookie", cookie), (b"content-type", kind), (b"referer", query)]
    facts = request_facts({"query_string": query, "headers": headers}, body)
    assert facts.method == "WEBSOCKET"
