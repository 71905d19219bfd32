"""The host check: its decision as tables and by hypothesis, its middleware over ASGI and over a real server."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from devserver.errors import UsageError
from devserver.server.asgi import ASGIApp, Event, Receive, Scope, Send
from devserver.server.web.hosts import HostCheck, HostCheckMiddleware, Verdict, host_of, machine_names

ALLOWED, REFUSED, MALFORMED = Verdict.ALLOWED, Verdict.REFUSED, Verdict.MALFORMED

LOOPBACK = HostCheck(["127.0.0.1"])


# --- the decision ---


@pytest.mark.parametrize(
    "header",
    [
        "localhost",
        "LocalHost",
        "localhost.",
        "localhost:8000",
        "localhost:",
        "shop.localhost",
        "a.b.localhost:1",
        "127.0.0.1",
        "127.0.0.1:8000",
        "127.0.0.1.",
        "192.168.1.20:8000",
        "0.0.0.0",
        "[::1]",
        "[::1]:8000",
        "[::FFFF:127.0.0.1]:80",
        "[2001:db8::7]",
        "[fe80::1%25eth0]:8000",
        "[fe80::1%eth0]",
    ],
)
def test_local_names_and_addresses_are_allowed(header: str) -> None:
    assert LOOPBACK.verdict(header) is ALLOWED


@pytest.mark.parametrize(
    "header",
    [
        "evil.example",
        "localhost.evil.example",
        "evil-localhost",
        "notlocalhost:8000",
        "127.0.0.1.evil.example",
        "127.0.0.1.nip.io",
        "1.2.3",
        "2130706433",  # a browser writes 127.0.0.1 for it; what still says this is a name
        "0x7f.1",
        "256.0.0.1",
        "my_app",
        "xn--bcher-kva.example",
    ],
)
def test_other_names_are_not_allowed(header: str) -> None:
    assert LOOPBACK.verdict(header) is REFUSED


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        " ",
        ".",
        "..",
        ":8000",
        ".localhost",
        "a..b",
        "localhost..",
        "localhost:80:80",
        "localhost:abc",
        "localhost:-1",
        "localhost:٨٠",
        "localhost:65536",
        "localhost:999999",
        "localhost :80",
        "localhost\n",
        "localhost\r\nX: y",
        "localhost\0",
        "localhost,evil.example",
        "localhost, localhost",
        "user@localhost",
        "http://localhost",
        "localhost/path",
        "localhost?",
        "localhost#",
        "localhost\\",
        "loc%61lhost",
        "lоcalhost",  # a Cyrillic o
        "::1",
        "[::1",
        "::1]",
        "[]",
        "[::1]x",
        "[::1]:80]",
        "[[::1]]",
        "[127.0.0.1]",
        "[localhost]",
        "[::1%]",
        "[::1%<b>]",
        "[v1.fe80::a]",
        "[1:2:3]",
        "<script>alert(1)</script>",
        "*",
        "a" * 64,
        ".".join(["a" * 60] * 5),
        "a" * 100_000,
        "[" * 100_000,
    ],
)
@pytest.mark.parametrize("check", [LOOPBACK, HostCheck(["0.0.0.0"], ["*"])], ids=["loopback", "any"])
def test_what_is_no_host_is_malformed_even_if_any_is_allowed(check: HostCheck, header: str | None) -> None:
    assert check.verdict(header) is MALFORMED


@pytest.mark.parametrize(
    ("allowed", "header", "verdict"),
    [
        ("dev.example", "dev.example:8000", ALLOWED),
        ("Dev.Example.", "dev.EXAMPLE", ALLOWED),
        ("dev.example:9000", "dev.example:8000", ALLOWED),
        ("dev.example", "www.dev.example", REFUSED),
        ("dev.example", "dev.example.evil", REFUSED),
        (".dev.example", "dev.example", ALLOWED),
        (".dev.example", "a.b.dev.example.", ALLOWED),
        (".dev.example", "evildev.example", REFUSED),
        ("*.dev.example", "a.dev.example", ALLOWED),
        ("*.dev.example", "dev.example", REFUSED),
        ("*.dev.example", "evildev.example", REFUSED),
        ("*", "anything.at.all", ALLOWED),
        ("bücher.example", "xn--bcher-kva.example", ALLOWED),
        ("my_app", "my_app:80", ALLOWED),
        ("[2001:db8::1]", "[2001:db8::1]", ALLOWED),
    ],
)
def test_allowed_hosts(allowed: str, header: str, verdict: Verdict) -> None:
    assert HostCheck(["127.0.0.1"], [allowed]).verdict(header) is verdict


@pytest.mark.parametrize(
    ("allowed", "hint"),
    [
        ("https://abc.tunnel.example/path", "abc.tunnel.example"),
        ("http://user:pw@abc.example:80", "abc.example"),
        ("a b", "example.test"),
        ("", "example.test"),
        (".", "example.test"),
        ("*.", "example.test"),
        ("*example", "example.test"),
        ("a/b", "example.test"),
        ("ü" * 80, "example.test"),
    ],
)
def test_an_allowed_host_that_is_none_is_a_usage_error(allowed: str, hint: str) -> None:
    with pytest.raises(UsageError, match="--allowed-host") as raised:
        HostCheck(["127.0.0.1"], [allowed])
    assert hint in (raised.value.hint or "")


@pytest.mark.parametrize("bound", ["0.0.0.0", "::", "[::]", "", "192.168.1.20"])
@pytest.mark.parametrize("header", ["Workbench", "workbench.local:8000", "workbench.corp.example"])
def test_the_machines_names_count_beyond_loopback(bound: str, header: str) -> None:
    assert HostCheck([bound], machine=["workbench.corp.example"]).verdict(header) is ALLOWED


@pytest.mark.parametrize("bound", [["127.0.0.1"], ["::1"], ["localhost", "127.0.0.1", "::1"]])
@pytest.mark.parametrize("header", ["workbench", "workbench.local"])
def test_the_machines_names_do_not_count_on_loopback(bound: list[str], header: str) -> None:
    assert HostCheck(bound, machine=["workbench"]).verdict(header) is REFUSED


def test_others_in_the_machines_domain_are_refused() -> None:
    check = HostCheck(["0.0.0.0"], machine=["workbench.corp.example"])
    assert check.verdict("other.corp.example") is REFUSED
    assert check.verdict("other.local") is REFUSED


def test_the_bound_name_is_allowed() -> None:
    assert HostCheck(["Dev.Test", "127.0.0.5"]).verdict("dev.test:8000") is ALLOWED


def test_a_machine_name_that_is_none_is_passed_over() -> None:
    assert HostCheck(["0.0.0.0"], machine=["my machine", ""]).verdict("localhost") is ALLOWED


def test_machine_names_are_asked_of_the_system() -> None:
    assert machine_names() == (socket.gethostname(),)


@given(st.one_of(st.text(), st.text("[]:.%-_aA1*@/\\ \0é"), st.binary().map(lambda raw: raw.decode("latin-1"))))
@example("[::1%" + "25" * 200 + "]")
def test_any_text_gets_a_verdict(header: str) -> None:
    check = HostCheck(["0.0.0.0"], ["*"])
    verdict = check.verdict(header)
    assert verdict in (ALLOWED, MALFORMED)
    if verdict is ALLOWED:  # what reaches the app has nothing in it that a page or a log would stumble over
        assert set(header.lower()) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-_:[]%~")


_LABELS = st.lists(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True), min_size=1, max_size=4)


@given(_LABELS, st.integers(0, 65535), st.booleans())
def test_a_name_is_allowed_only_if_it_is_local(labels: list[str], port: int, dot: bool) -> None:
    name = ".".join(labels)
    expected = host_of(name)
    is_local = labels[-1] == "localhost" or (len(labels) == 4 and all(_is_octet(label) for label in labels))
    assert expected == name
    assert LOOPBACK.verdict(f"{name.upper()}{'.' if dot else ''}:{port}") is (ALLOWED if is_local else REFUSED)


def _is_octet(label: str) -> bool:
    return label.isdigit() and str(int(label)) == label and int(label) < 256


# --- the middleware ---


class Recorder:
    """An app that notes that it was called."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"ok"})
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": 1000})


def _drive(app: ASGIApp, **scope: Any) -> list[Event]:
    sent: list[Event] = []

    async def receive() -> Event:
        return {"type": "websocket.connect"}

    async def send(event: Event) -> None:
        sent.append(event)

    call = app({"type": "http", "http_version": "1.1", "headers": []} | scope, receive, send)
    with pytest.raises(StopIteration):  # nothing in it waits, so one step without a loop is all of it
        call.__await__().send(None)
    return sent


def test_an_allowed_request_reaches_the_app_untouched() -> None:
    recorder = Recorder()
    app = HostCheckMiddleware(recorder, LOOPBACK)
    headers = [(b"accept", b"*/*"), (b"host", b"localhost:8000")]
    for _ in range(2):  # the second comes out of the cache
        assert _drive(app, headers=headers)[0]["status"] == 200
    assert [scope["headers"] for scope in recorder.scopes] == [headers, headers]


def test_a_refusal_names_the_flag_and_the_value() -> None:
    recorder = Recorder()
    start, body = _drive(HostCheckMiddleware(recorder, LOOPBACK), headers=[(b"host", b"Dev.Example.:8000")])
    assert start["status"] == 403
    assert b"--allowed-host dev.example\n" in body["body"]
    assert (b"x-content-type-options", b"nosniff") in start["headers"]
    assert not recorder.scopes


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ([], b"no Host header"),
        ([(b"host", b"")], b"malformed"),
        ([(b"host", b"\xff\xfe")], b"malformed"),
        ([(b"host", b"localhost"), (b"host", b"localhost")], b"more than one"),
        ([(b"host", b"localhost"), (b"host", b"evil.example")], b"more than one"),
        ([(b"host", b"evil.example"), (b"host", b"localhost")], b"more than one"),
    ],
)
def test_a_malformed_host_is_400(headers: list[tuple[bytes, bytes]], reason: bytes) -> None:
    recorder = Recorder()
    app = HostCheckMiddleware(recorder, HostCheck(["127.0.0.1"], ["*"]))
    _drive(app, headers=[(b"host", b"localhost")])  # an allowed host in the cache changes nothing
    start, body = _drive(app, headers=headers)
    assert start["status"] == 400
    assert reason in body["body"]
    assert len(recorder.scopes) == 1


def test_http_1_0_may_leave_the_host_out() -> None:
    app = HostCheckMiddleware(Recorder(), LOOPBACK)
    assert _drive(app, http_version="1.0")[0]["status"] == 200
    assert _drive(app, http_version="1.0", headers=[(b"host", b"evil.example")])[0]["status"] == 403
    assert _drive(app, http_version="1.1")[0]["status"] == 400


def test_forwarded_hosts_count_for_nothing() -> None:
    app = HostCheckMiddleware(Recorder(), LOOPBACK)
    forwarded = [(b"x-forwarded-host", b"localhost"), (b"forwarded", b"host=localhost")]
    assert _drive(app, headers=[(b"host", b"evil.example"), *forwarded])[0]["status"] == 403
    forwarded = [(b"x-forwarded-host", b"evil.example")]
    assert _drive(app, headers=[(b"host", b"localhost"), *forwarded])[0]["status"] == 200


def test_lifespan_is_passed_on() -> None:
    recorder = Recorder()
    _drive(HostCheckMiddleware(recorder, LOOPBACK), type="lifespan")
    assert recorder.scopes[0]["type"] == "lifespan"


def test_a_websocket_is_refused_before_it_is_accepted() -> None:
    recorder = Recorder()
    app = HostCheckMiddleware(recorder, LOOPBACK)
    headers = [(b"host", b"evil.example")]
    assert _drive(app, type="websocket", headers=headers) == [{"type": "websocket.close", "code": 1008}]
    start, body = _drive(app, type="websocket", headers=headers, extensions={"websocket.http.response": {}})
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 403)
    assert (body["type"], b"--allowed-host evil.example" in body["body"]) == ("websocket.http.response.body", True)
    assert not recorder.scopes
    assert _drive(app, type="websocket", headers=[(b"host", b"[::1]")])[0]["type"] == "websocket.accept"


def test_the_cache_does_not_grow_with_what_is_sent() -> None:
    app = HostCheckMiddleware(Recorder(), HostCheck(["127.0.0.1"], ["*"]))
    for number in range(1000):
        assert _drive(app, headers=[(b"host", b"name%d.example" % number)])[0]["status"] == 200
    assert 0 < len(app._allowed) <= 256


@given(st.lists(st.binary(max_size=30), max_size=3))
def test_any_bytes_get_an_answer(values: list[bytes]) -> None:
    start, *_ = _drive(HostCheckMiddleware(Recorder(), LOOPBACK), headers=[(b"host", value) for value in values])
    assert start["status"] in (200, 400, 403)


# --- over a real server ---

_HEADS = [
    (b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n", b"200"),
    (b"GET / HTTP/1.1\r\nhOsT:\tlocalhost \r\n", b"200"),
    (b"GET / HTTP/1.1\r\nHost: evil.example\r\n", b"403"),
    (b"GET / HTTP/1.1\r\n", b"400"),
    (b"GET / HTTP/1.0\r\n", b"200"),
    (b"GET / HTTP/1.1\r\nHost:\r\n", b"400"),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n", b"400"),
    (b"GET / HTTP/1.1\r\nHost: \xff\xfe\r\n", b"400"),
    (b"GET / HTTP/1.1\r\nHost: [::1\r\n", b"400"),
    (b"GET / HTTP/1.1\r\nHost: localhost:99999999999999999999\r\n", b"400"),
    (b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n", b"403"),
]


def test_over_http(uvicorn_exchange: Callable[[ASGIApp], Callable[[bytes], bytes]]) -> None:
    exchange = uvicorn_exchange(HostCheckMiddleware(Recorder(), LOOPBACK))
    answers = [exchange(head + b"Connection: close\r\n\r\n") for head, _ in _HEADS]
    assert [(head, answer.split(b" ", 2)[1]) for (head, _), answer in zip(_HEADS, answers, strict=True)] == _HEADS


@pytest.mark.parametrize(("host", "status"), [(b"localhost", b"101"), (b"evil.example", b"403")])
def test_over_websocket(uvicorn_port: Callable[[ASGIApp], int], host: bytes, status: bytes) -> None:
    port = uvicorn_port(HostCheckMiddleware(Recorder(), LOOPBACK))
    received = b""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as client:
        client.sendall(
            b"GET / HTTP/1.1\r\nHost: %b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" % host
        )
        awaited = b"\r\n\r\n" if status == b"101" else b"--allowed-host evil.example\n"
        while awaited not in received:
            chunk = client.recv(65536)
            assert chunk, received
            received += chunk
    assert received.split(b" ", 2)[1] == status
