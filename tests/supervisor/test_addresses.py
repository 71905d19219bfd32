"""Addresses that others can reach; asked of the kernel alone."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from devserver.supervisor import addresses
from devserver.supervisor.addresses import network_addresses

FAMILIES = [socket.AF_INET, socket.AF_INET6]


@pytest.mark.parametrize("family", FAMILIES)
def test_each_can_be_bound_and_is_no_loopback(family: socket.AddressFamily) -> None:
    found = network_addresses(family)
    assert len(found) == len(set(found))
    for address in found:
        assert not ipaddress.ip_address(address).is_loopback
        assert not ipaddress.ip_address(address).is_link_local
        with socket.socket(family) as sock:
            sock.bind((address, 0))


@pytest.mark.parametrize("family", FAMILIES)
def test_no_name_is_resolved(family: socket.AddressFamily, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a resolver may hang")

    for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "getfqdn"):
        monkeypatch.setattr(socket, name, refuse)
    network_addresses(family)


@pytest.mark.parametrize("family", FAMILIES)
def test_without_a_default_route_the_interfaces_tell(
    family: socket.AddressFamily, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_route = network_addresses(family)
    monkeypatch.setattr(addresses, "_towards_others", lambda family: iter(()))
    assert set(network_addresses(family)) <= set(with_route)


def test_loopback_is_found_and_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "_towards_others", lambda family: iter(("127.0.0.1", "203.0.113.7", "203.0.113.7")))
    monkeypatch.setattr(addresses, "_interface_names", lambda: ["lo", "no-such-interface", "a" * 40])
    assert list(addresses._interfaces_v4()) in (["127.0.0.1"], [])  # macOS has another layout
    assert network_addresses(socket.AF_INET) == ["203.0.113.7"]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.168.1.5", True),
        ("fd00::2", True),
        ("127.0.0.1", False),
        ("::1", False),
        ("169.254.1.1", False),
        ("fe80::1%eth0", False),
        ("0.0.0.0", False),
    ],
)
def test_reachable(address: str, expected: bool) -> None:
    assert addresses._is_reachable(address) is expected
