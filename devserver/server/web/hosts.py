"""Which Host headers are answered: the guard against DNS rebinding, for HTTP and WebSocket.

A page of a stranger can make its own name point at 127.0.0.1 and then reads what this server answers, unless the name
is refused (CVE-2025-24010). IP literals cannot be rebound. The decision, `HostCheck`, is pure; `HostCheckMiddleware`
applies it before anything else looks at a request. Runs in the server process.

Rules that hold: only the Host header counts (X-Forwarded-Host can be sent by anybody); no header, however malformed,
raises (CVE-2026-14631); a host that reaches the app is a name or an address and nothing else.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from enum import StrEnum

from devserver.errors import UsageError
from devserver.server.asgi import ASGIApp, Receive, Scope, Send

_LABEL = r"[a-z0-9_-]{1,63}"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
# RFC 3986 §3.2.2 and §3.2.3. The zone of an address (RFC 6874) may come with its percent sign encoded or not.
_AUTHORITY = re.compile(
    r"(?:\[(?P<v6>[0-9a-f:.]+)(?:%(?P<zone>[a-z0-9._~-]+))?\]|(?P<name>[a-z0-9_.-]+))(?::(?P<port>[0-9]{0,5}))?",
    re.ASCII,
)
_MAX_NAME = 253  # octets, RFC 1035 §2.3.4 in text form
_MAX_CACHED = 256  # headers; a browser sends one, several names and ports make a handful


class Verdict(StrEnum):
    """What is to become of a request."""

    ALLOWED = "allowed"
    REFUSED = "refused"  # 403: a host that nobody allowed
    MALFORMED = "malformed"  # 400: no host at all


class HostCheck:
    """Decides about Host headers.

    `bound` holds what `--host` said and the addresses that the listening sockets have; `allowed` the values of
    `--allowed-host`; `machine` the names of this machine, which count only when one of the bound addresses can be
    reached from elsewhere. An allowed host is an exact name, `.example.com` (the domain and all below),
    `*.example.com` (all below) or `*` (any). Ports are ignored, as are case and a dot at the end. Raises UsageError for
    an allowed host that is none.
    """

    def __init__(self, bound: Iterable[str], allowed: Iterable[str] = (), machine: Iterable[str] = ()) -> None:
        bound = tuple(bound)
        exact = {"localhost"}
        suffixes = {".localhost"}  # RFC 6761 §6.3: never asked of a name server
        for host in bound:
            if name := host_of(host):
                exact.add(name)
        if any(_reachable_from_elsewhere(host) for host in bound):
            for host in machine:
                if name := host_of(host):
                    short = name.partition(".")[0]
                    exact |= {name, short, f"{short}.local"}
        self._any = False
        for pattern in allowed:
            if pattern.strip() == "*":
                self._any = True
            elif pattern.startswith((".", "*.")):
                name = _allowed_name(pattern.removeprefix("*").removeprefix("."), pattern)
                suffixes.add(f".{name}")
                if pattern.startswith("."):
                    exact.add(name)
            else:
                exact.add(_allowed_name(pattern, pattern))
        self._exact = frozenset(exact)
        self._suffixes = tuple(sorted(suffixes))

    def verdict(self, host_header: str | None) -> Verdict:
        """The verdict on the value of a Host header; None, a header that is missing, is malformed (RFC 9112 §3.2)."""
        name = None if host_header is None else host_of(host_header)
        if name is None:
            return Verdict.MALFORMED
        if self._any or name in self._exact or name.endswith(self._suffixes) or _is_address(name):
            return Verdict.ALLOWED
        return Verdict.REFUSED


def host_of(authority: str) -> str | None:
    """The host in `host[:port]`, in small letters, without brackets, port, zone and final dot. None if malformed.

    Stricter than RFC 3986's reg-name: letters, digits, hyphen, underscore and dots, which is all that a browser sends.
    """
    match = _AUTHORITY.fullmatch(authority.lower()) if len(authority) <= _MAX_NAME + len(".:65535") else None
    if match is None or int(match["port"] or 0) > 65535:
        return None
    if v6 := match["v6"]:
        return v6 if ":" in v6 and _is_address(v6) else None
    name = match["name"].removesuffix(".")
    return name if len(name) <= _MAX_NAME and _NAME.fullmatch(name) else None


def machine_names() -> tuple[str, ...]:
    """What this machine calls itself. Asks no name server."""
    return (socket.gethostname(),)


class HostCheckMiddleware:
    """Answers 403 or 400 for what `check` does not allow, and passes on the rest."""

    def __init__(self, app: ASGIApp, check: HostCheck) -> None:
        self._app = app
        self._check = check
        self._allowed: set[bytes] = set()  # refused ones are not kept: whoever sends them has no claim on speed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        host: bytes | None = None
        count = 0
        for name, value in scope["headers"]:
            if name == b"host":
                host = value
                count += 1
        if count == 1 and host in self._allowed:
            await self._app(scope, receive, send)
            return
        if count == 0 and scope.get("http_version") == "1.0" and scope["type"] == "http":
            # RFC 9112 §3.2 asks for the header since HTTP/1.1 only. No browser leaves it out, so nobody is rebound.
            await self._app(scope, receive, send)
            return
        # RFC 9112 §5.1: white space around a value is no part of it; httptools leaves it at the end.
        text = host.strip(b" \t").decode("latin-1") if host is not None and count == 1 else None
        match self._check.verdict(text):
            case Verdict.ALLOWED:
                if len(self._allowed) >= _MAX_CACHED:
                    self._allowed.clear()
                assert host is not None
                self._allowed.add(host)
                await self._app(scope, receive, send)
            case Verdict.REFUSED:
                await _answer(scope, send, 403, _refusal(text or ""))
            case Verdict.MALFORMED:
                reason = "it has no Host header" if count == 0 else "its Host header is malformed"
                if count > 1:
                    reason = "it has more than one Host header"
                await _answer(scope, send, 400, f"devserver does not answer this request: {reason}.\n")


def _refusal(host_header: str) -> str:
    name = host_of(host_header)  # of a safe alphabet: what was refused and not malformed has passed the grammar
    return (
        f"devserver does not answer for the host {name}.\n"
        f"  hint: if this name is yours, start it with  devserver run … --allowed-host {name}\n"
    )


async def _answer(scope: Scope, send: Send, status: int, text: str) -> None:
    body = text.encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"connection", b"close"),  # a request that is not for us may be followed by more of its kind
    ]
    prefix = "http"
    if scope["type"] == "websocket":
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": 1008})  # before accept: the server answers 403
            return
        prefix = "websocket.http"
    await send({"type": f"{prefix}.response.start", "status": status, "headers": headers})
    await send({"type": f"{prefix}.response.body", "body": body})


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _reachable_from_elsewhere(bound: str) -> bool:
    """Only addresses can say; "" listens on all."""
    try:
        return not bound or not ipaddress.ip_address(bound.strip("[]")).is_loopback
    except ValueError:
        return False


def _allowed_name(text: str, pattern: str) -> str:
    """The name in an allowed host, as a browser would send it (RFC 3490 for letters beyond ASCII)."""
    try:
        name = host_of(text if text.isascii() else text.encode("idna").decode("ascii"))
    except UnicodeError:
        name = None
    if name is None:
        found = re.match(r"\w+://(?:[^/@]*@)?([^/?#]+)", text)
        suggestion = host_of(found[1]) if found else None
        raise UsageError(
            f"--allowed-host {pattern!r} is not a host name",
            hint=f"pass {suggestion or 'a name like example.test, .example.test for all below it, or * for any'}",
        )
    return name
