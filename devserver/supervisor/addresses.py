"""The addresses of this machine that others can reach, for the lines that say where the server is.

Runs in the supervisor. Asks only the kernel: no name is resolved, no packet sent, no command run. Never raises.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
from collections.abc import Iterator

_SIOCGIFADDR = 0x8915  # netdevice(7), Linux
_IFREQ = struct.Struct("16sHH4s16x")  # name, family, port, IPv4 address

# Connecting a datagram socket sends nothing; it makes the kernel choose the address that it would send from. Two
# documentation networks each (RFC 5737, RFC 3849 and 9637), as a laboratory may use one of them.
_ELSEWHERE = {
    socket.AF_INET: ("198.51.100.1", "203.0.113.1"),
    socket.AF_INET6: ("2001:db8::1", "3fff::1"),
}


def network_addresses(family: socket.AddressFamily) -> list[str]:
    """Addresses of the family (AF_INET or AF_INET6), that of the default route first.

    Left out: loopback, link-local (a browser cannot name their interface), and bridges that only containers use.
    """
    found = [*_towards_others(family), *(_interfaces_v4() if family == socket.AF_INET else _interfaces_v6())]
    return [address for address in dict.fromkeys(found) if _is_reachable(address)]


def _is_reachable(address: str) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return not (parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified or parsed.is_multicast)


def _towards_others(family: socket.AddressFamily) -> Iterator[str]:
    for target in _ELSEWHERE[family]:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as sock:
                sock.connect((target, 9))
                yield str(sock.getsockname()[0])
        except OSError:  # no such route, no such family
            continue


def _interfaces_v4() -> Iterator[str]:
    try:
        import fcntl

        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    except (ImportError, OSError):
        return
    with sock:
        for name in _interface_names():
            try:
                request = _IFREQ.pack(os.fsencode(name), socket.AF_INET, 0, b"")
                answer = fcntl.ioctl(sock.fileno(), _SIOCGIFADDR, request)
                yield socket.inet_ntop(socket.AF_INET, _IFREQ.unpack(answer)[3])
            except (OSError, struct.error):  # an interface without an address; another system's layout
                continue


def _interfaces_v6() -> Iterator[str]:
    """From /proc/net/if_inet6 (proc_net(5)): address, index, prefix length, scope, flags, name."""
    try:
        with open("/proc/net/if_inet6") as file:
            lines = file.read().splitlines()
    except OSError:
        return
    names = set(_interface_names())
    for line in lines:
        address, _, _, _, _, name = line.split()
        if name in names:
            yield socket.inet_ntop(socket.AF_INET6, bytes.fromhex(address))


def _interface_names() -> list[str]:
    try:
        names = [name for _, name in socket.if_nameindex()]
    except OSError:
        return []
    return [name for name in names if not os.path.isdir(f"/sys/class/net/{name}/bridge")]
