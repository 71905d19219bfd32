"""Who may have pages that act: who sits at this machine, by the socket and by the name."""

from __future__ import annotations

import pytest

from devserver.server.web.access import TOKEN_HEADER, has_secret, is_local


def scope(client: object, host: bytes = b"localhost:8000", *headers: tuple[bytes, bytes]) -> dict[str, object]:
    return {"client": client, "headers": [(b"host", host), *headers]}


@pytest.mark.parametrize(
    ("client", "host", "headers", "local"),
    [
        (("127.0.0.1", 5), b"localhost:8000", (), True),
        (("127.8.9.1", 5), b"127.0.0.1:8000", (), True),
        (("::1", 5), b"[::1]:8000", (), True),
        (("::ffff:127.0.0.1", 5), b"shop.localhost", (), True),
        (("127.0.0.1", 5), b"LOCALHOST.", (), True),
        (("192.168.1.5", 5), b"localhost", (), False),  # said by anybody
        (("127.0.0.1", 5), b"192.168.1.5:8000", (), False),
        (("127.0.0.1", 5), b"evil.example", (), False),  # DNS rebinding
        (("127.0.0.1", 5), b"localhost.evil.example", (), False),
        (("127.0.0.1", 5), b"127.0.0.1.evil.example", (), False),
        (("127.0.0.1", 5), b"evil-localhost", (), False),
        (("127.0.0.1", 5), b"", (), False),
        (("127.0.0.1", 5), b"\xff", (), False),
        (("127.0.0.1", 5), b"localhost", ((b"host", b"localhost"),), False),
        (("127.0.0.1", 5), b"localhost", ((b"x-forwarded-for", b"127.0.0.1"),), False),  # a tunnel's end
        (("127.0.0.1", 5), b"localhost", ((b"forwarded", b"for=1.2.3.4"),), False),
        (("127.0.0.1", 5), b"localhost", ((b"via", b"1.1 tunnel"),), False),
        (("127.0.0.1", 5), b"localhost", ((b"x-forwarded-proto", b"https"),), False),
        (("127.0.0.1", 5), b"localhost", ((b"cf-ray", b"1"),), False),
        (("localhost", 5), b"localhost", (), False),
        (("", 0), b"localhost", (), False),
        (None, b"localhost", (), False),
    ],
)
def test_is_local(client: object, host: bytes, headers: tuple[tuple[bytes, bytes], ...], local: bool) -> None:
    assert is_local(scope(client, host, *headers)) is local


@pytest.mark.parametrize(
    ("sent", "secret", "has"),
    [
        ([b"abc"], "abc", True),
        ([b"abd"], "abc", False),
        ([b""], "", False),
        ([], "", False),
        ([], "abc", False),
        ([b"abc", b"abc"], "abc", False),
        ([b"\xff"], "abc", False),
    ],
)
def test_secrets(sent: list[bytes], secret: str, has: bool) -> None:
    assert has_secret({"headers": [(TOKEN_HEADER, value) for value in sent]}, TOKEN_HEADER, secret) is has


def test_no_browser_speaks_the_http_of_proxies() -> None:
    assert not is_local({**scope(("127.0.0.1", 5)), "http_version": "1.0"})
    assert is_local({**scope(("127.0.0.1", 5)), "http_version": "1.1"})
