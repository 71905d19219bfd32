"""The listening sockets: bound once by the supervisor, for as long as it lives; and the URLs to show for them.

Runs in the supervisor. Rules that hold: O_NONBLOCK is set here, once, for it belongs to the open file description that all
servers share; nobody calls `dup()`, `settimeout()` or `setblocking()` on these sockets again; all sockets of a listener
have the same port; a failure leaves no socket open.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket

from devserver.errors import ListenError
from devserver.record import Record
from devserver.supervisor.addresses import network_addresses
from devserver.supervisor.holder import Holder, Kind, find_holder

BACKLOG = 2048
"""Connections that may wait while no server accepts; the kernel takes at most net.core.somaxconn."""

_TRIES = 20  # for one free port on several addresses

_SEVERAL = {"::": ["0.0.0.0", "::"], "localhost": ["127.0.0.1", "::1"]}

_HOSTS = "127.0.0.1 is for this machine only, 0.0.0.0 for all its addresses"

_Address = tuple[socket.AddressFamily, str, tuple[int, ...]]
"""Family, host and what follows the port: flow information and scope for IPv6."""


class Listener(Record):
    """Sockets that listen on the addresses of one host. Owns them."""

    host: str  # as the user wrote it, an address in its shortest form
    port: int  # the true one
    sockets: tuple[socket.socket, ...]

    def urls(self) -> list[str]:
        """Where a browser on this machine finds it, the best first."""
        if not self._is_open_to_all:
            return [_url(self.host, self.port)]
        loopback = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
        return [_url(loopback[sock.family], self.port) for sock in self.sockets]

    def network_urls(self) -> list[str]:
        """Where other machines find it, if it listens on all addresses; else none, for `urls` says it."""
        if not self._is_open_to_all:
            return []
        hosts = [address for sock in self.sockets for address in network_addresses(sock.family)]
        return [_url(host, self.port) for host in hosts]

    @property
    def _is_open_to_all(self) -> bool:
        return self.sockets[0].getsockname()[0] in ("0.0.0.0", "::")

    @property
    def is_loopback(self) -> bool:
        """Whether no other machine can reach it."""
        addresses = [str(sock.getsockname()[0]) for sock in self.sockets]
        return all(address.startswith("127.") or address == "::1" for address in addresses)

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()


def bind(host: str, port: int, *, backlog: int = BACKLOG) -> Listener:
    """Listen on `host` (a name, an address, or 0.0.0.0 or :: for all) and `port` (0: any that is free on all of them).

    `localhost` is 127.0.0.1 and ::1, whatever the system's resolver says; `::` is all of IPv4 and IPv6, on two sockets, so
    that peers of the one do not look like the other. Raises ListenError. May block where a name has to be resolved.
    """
    host = _canonical(host)
    addresses = _resolve(host, port)
    for tries_left in reversed(range(_TRIES)):
        try:
            sockets = _bind_all(addresses, port, backlog)
        except OSError as error:
            if port == 0 and error.errno == errno.EADDRINUSE and tries_left:
                continue  # the port that was free on the first address is taken on the next
            holder = find_holder(port, [address[1] for address in addresses]) if port else None
            raise explain(error, host, port, holder) from None
        return Listener(host, sockets[0].getsockname()[1], sockets)
    raise AssertionError("unreachable: the last try returns or raises")


def explain(error: OSError, host: str, port: int, holder: Holder | None = None) -> ListenError:
    """What a failed bind means and what to do about it."""
    free = "run  devserver run … --port 0  to take any free port"
    match error.errno:
        case errno.EADDRINUSE:
            by = f" by {holder}" if holder is not None else ""
            return ListenError(f"port {port} is in use{by}", hint=f"{_way_out(holder)}, or {free}")
        case errno.EACCES | errno.EPERM:
            hint = f"choose one from 1024 on, or {free}" if 0 < port < 1024 else None
            return ListenError(f"no permission to listen on port {port} of {host}", hint=hint)
        case errno.EADDRNOTAVAIL:
            return ListenError(f"{host} is not an address of this machine", hint=_HOSTS)
        case errno.EAFNOSUPPORT:
            return ListenError(f"this system has no IPv6, which {host} needs", hint="use --host 127.0.0.1")
    return ListenError(f"cannot listen on port {port} of {host}: {error.strerror or error}")


def _way_out(holder: Holder | None) -> str:
    if holder is None or holder.pid is None:
        return "stop it"
    where = f", started in {holder.folder}" if holder.folder else ""
    if holder.suspended:
        return f"it is suspended (Ctrl-Z{where}): end it with  kill -9 {holder.pid}"
    if holder.kind is Kind.DEVSERVER:
        return f"another devserver still runs{where}: stop it with  kill {holder.pid}"
    if holder.kind is Kind.DEVELOPMENT_SERVER:
        return f"a development server still runs{where}: stop it with  kill {holder.pid}"
    return "stop it"


def _resolve(host: str, port: int) -> list[_Address]:
    found: dict[_Address, None] = {}
    for name in _SEVERAL.get(host.lower(), [host]):
        try:
            answers = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except (socket.gaierror, UnicodeError) as error:
            reason = error.strerror if isinstance(error, socket.gaierror) else "not a host name"
            raise ListenError(f"host {host} cannot be resolved: {reason}", hint=_HOSTS) from None
        for family, _, _, _, address in answers:
            if family in (socket.AF_INET, socket.AF_INET6):
                found[family, str(address[0]), tuple(int(part) for part in address[2:])] = None
    return list(found)


def _bind_all(addresses: list[_Address], port: int, backlog: int) -> tuple[socket.socket, ...]:
    """A socket for each address that this machine has; all of one port. Raises OSError, and then none is open."""
    sockets: list[socket.socket] = []
    absent: OSError | None = None
    try:
        for family, host, rest in addresses:
            try:
                sock = _bind_one(family, (host, port, *rest), backlog)
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                absent = absent or error  # no IPv6 here, or a name with an address of another machine
                continue
            sockets.append(sock)
            port = sock.getsockname()[1]
        if not sockets:
            raise absent or OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return tuple(sockets)


def _bind_one(family: socket.AddressFamily, address: tuple[str | int, ...], backlog: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)  # not inheritable (PEP 446): servers get it by send_fds
    try:
        # Without it a port is refused for a minute after connections ended (TIME_WAIT); on Linux two can still not listen.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        sock.bind(address)
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return sock


def _canonical(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host


def _url(host: str, port: int) -> str:
    try:
        if ipaddress.ip_address(host).version == 6:
            host = f"[{host.replace('%', '%25')}]"  # RFC 6874 for the zone
    except ValueError:
        pass
    return f"http://{host}:{port}/"
