"""Who may ask what of the server's own addresses. Pure; runs in the server.

Three circles (the design's security chapter). Everybody who passed the host check gets the app. A page of this server, or a person,
may read what the server tells of itself. Who sits at this machine, and has the token that only our own pages hold, may also have
code run and editors opened: by the peer's address *and* the Host, because a rebound name or a tunnel has only one of the two.
"""

from __future__ import annotations

import hmac
import ipaddress

from devserver.server.asgi import Scope
from devserver.server.web.hosts import host_of

PREFIX = "/__devserver__/"
"""Of the server's own addresses."""
EVENTS = f"{PREFIX}events"
TOKEN_HEADER = b"x-devserver-token"
GRANT_HEADER = b"x-devserver-grant"
_FORWARDED = frozenset({b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"true-client-ip"})
_FORWARDED_PREFIXES = (b"x-forwarded-", b"x-original-", b"cf-")
"""What a proxy or a tunnel adds: whoever asks may sit anywhere then."""


def is_own(scope: Scope) -> bool:
    """Whether the request was made by a page of this server, or by a person (RFC 6454, Fetch metadata)."""
    headers = scope["headers"]
    hosts = [value for name, value in headers if name == b"host"]
    own = [scope["scheme"].encode() + b"://" + host for host in hosts]
    # Every one of them: which of two a page's browser has sent, and which something in between, nobody knows.
    return all(value in own for name, value in headers if name == b"origin") and all(
        value in (b"same-origin", b"none") for name, value in headers if name == b"sec-fetch-site"
    )


def is_local(scope: Scope) -> bool:
    """Whether the client sits at this machine, as far as the socket and the headers can tell."""
    client = scope.get("client")
    if not client or not _is_loopback(str(client[0])):
        return False
    hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    if len(hosts) != 1 or scope.get("http_version") == "1.0":  # which no browser speaks, but nginx's default
        return False
    if any(name in _FORWARDED or name.startswith(_FORWARDED_PREFIXES) for name, _ in scope["headers"]):
        return False
    host = host_of(hosts[0])
    return host is not None and (host == "localhost" or host.endswith(".localhost") or _is_loopback(host))


def has_secret(scope: Scope, header: bytes, secret: str) -> bool:
    """Whether the request brings this secret, once, in this header. False without a secret. Compares in constant time."""
    sent = [value for name, value in scope["headers"] if name == header]
    return bool(secret) and len(sent) == 1 and hmac.compare_digest(sent[0], secret.encode())


def _is_loopback(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback
