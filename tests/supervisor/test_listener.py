"""Listening sockets: bound on what was asked for, one port for all, and errors that say what to do."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from devserver.errors import ListenError
from devserver.supervisor import listener as module
from devserver.supervisor.holder import Holder, Kind
from devserver.supervisor.listener import Listener, bind, explain


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def opened(stack: ExitStack, host: str, port: int = 0) -> Listener:
    listener = bind(host, port)
    stack.callback(listener.close)
    return listener


def names(listener: Listener) -> list[str]:
    return [str(sock.getsockname()[0]) for sock in listener.sockets]


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("127.0.0.1", ["127.0.0.1"]),
        ("0.0.0.0", ["0.0.0.0"]),
        pytest.param("::1", ["::1"], marks=needs_ipv6),
        pytest.param("0:0:0:0:0:0:0:1", ["::1"], marks=needs_ipv6),
        pytest.param("localhost", ["127.0.0.1", "::1"], marks=needs_ipv6),
        pytest.param("LocalHost", ["127.0.0.1", "::1"], marks=needs_ipv6),
        pytest.param("::", ["0.0.0.0", "::"], marks=needs_ipv6),
    ],
)
def test_sockets(stack: ExitStack, host: str, addresses: list[str]) -> None:
    listener = opened(stack, host)
    assert names(listener) == addresses
    assert listener.port > 0
    assert {sock.getsockname()[1] for sock in listener.sockets} == {listener.port}
    for sock in listener.sockets:
        assert fcntl.fcntl(sock, fcntl.F_GETFL) & os.O_NONBLOCK
        assert not os.get_inheritable(sock.fileno())
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        if sock.family == socket.AF_INET6:
            assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
        with socket.socket(sock.family) as client:
            client.settimeout(10)
            client.connect(sock.getsockname()[:2])


def test_a_name_is_resolved(stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [answer, answer])
    listener = opened(stack, "shop.test")
    assert names(listener) == ["127.0.0.1"]
    assert listener.urls() == [f"http://shop.test:{listener.port}/"]


def test_of_the_addresses_of_a_name_those_of_this_machine_count(
    stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("203.0.113.77", 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
        (socket.AF_UNIX, socket.SOCK_STREAM, 0, "", ("x", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    assert names(opened(stack, "shop.test")) == ["127.0.0.1"]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers[:1])
    with pytest.raises(ListenError, match=r"shop\.test is not an address of this machine"):
        bind("shop.test", 0)


def test_without_ipv6_localhost_is_ipv4(stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    bind_one = module._bind_one

    def without_ipv6(family: socket.AddressFamily, address: tuple[str | int, ...], backlog: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return bind_one(family, address, backlog)

    monkeypatch.setattr(module, "_bind_one", without_ipv6)
    assert names(opened(stack, "localhost")) == ["127.0.0.1"]
    assert names(opened(stack, "::")) == ["0.0.0.0"]
    with pytest.raises(ListenError, match="no IPv6"):
        bind("::1", 0)


@needs_ipv6
def test_a_free_port_is_free_on_all(stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    # The first two ports that IPv4 offers are taken on IPv6.
    bind_one = module._bind_one
    refused: list[int] = []

    def taken_at_first(family: socket.AddressFamily, address: tuple[str | int, ...], backlog: int) -> socket.socket:
        if family == socket.AF_INET6 and len(refused) < 2:
            refused.append(int(address[1]))
            raise OSError(errno.EADDRINUSE, "Address already in use")
        return bind_one(family, address, backlog)

    monkeypatch.setattr(module, "_bind_one", taken_at_first)
    before = len(os.listdir("/dev/fd"))
    listener = opened(stack, "localhost")
    assert len(refused) == 2
    assert names(listener) == ["127.0.0.1", "::1"]
    assert len(os.listdir("/dev/fd")) == before + 2  # what failed is closed


def test_a_free_port_is_not_looked_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(*_: object) -> socket.socket:
        raise OSError(errno.EADDRINUSE, "Address already in use")

    monkeypatch.setattr(module, "_bind_one", taken)
    with pytest.raises(ListenError, match="port 0 is in use"):
        bind("localhost", 0)


@needs_ipv6
def test_localhost_needs_both(stack: ExitStack) -> None:
    taken = opened(stack, "::1")
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(ListenError, match=f"port {taken.port} is in use by .*pid {os.getpid()}"):
        bind("localhost", taken.port)
    assert len(os.listdir("/dev/fd")) == before


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_port_in_use_names_its_holder(stack: ExitStack, host: str) -> None:
    taken = opened(stack, "127.0.0.1")
    with pytest.raises(ListenError) as caught:
        bind(host, taken.port)
    assert caught.value.message.startswith(f"port {taken.port} is in use by ")
    assert caught.value.message.endswith(f" (pid {os.getpid()})")
    assert (caught.value.hint or "").endswith("or run  devserver run … --port 0  to take any free port")
    assert caught.value.exit_code == 1


def test_a_port_can_be_had_again_right_after(stack: ExitStack) -> None:
    first = bind("127.0.0.1", 0)
    with socket.create_connection(("127.0.0.1", first.port), timeout=10):
        first.sockets[0].setblocking(True)
        connection, _ = first.sockets[0].accept()
        connection.close()  # our side closes first: TIME_WAIT is ours
    first.close()
    assert opened(stack, "127.0.0.1", first.port).port == first.port


def test_close_closes_all() -> None:
    listener = bind("localhost", 0)
    listener.close()
    assert all(sock.fileno() == -1 for sock in listener.sockets)


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("203.0.113.77", "203.0.113.77 is not an address of this machine"),
        ("no-such-host.invalid", "host no-such-host.invalid cannot be resolved: "),
        ("a..b", "host a..b cannot be resolved: not a host name"),
        ("x" * 70, f"host {'x' * 70} cannot be resolved: not a host name"),
    ],
)
def test_hosts_that_are_none(host: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if host.endswith(".invalid"):  # a resolver may take its time to say what RFC 6761 promises

        def unknown(*_: object, **__: object) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ListenError) as caught:
        bind(host, 0)
    assert caught.value.message.startswith(message)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("number", "port", "message", "hint"),
    [
        (errno.EACCES, 80, "no permission to listen on port 80 of h", "choose one from 1024 on"),
        (errno.EACCES, 8000, "no permission to listen on port 8000 of h", None),
        (errno.EADDRINUSE, 80, "port 80 is in use", "stop it, or run"),
        (errno.EADDRNOTAVAIL, 80, "h is not an address of this machine", "0.0.0.0"),
        (errno.EAFNOSUPPORT, 80, "this system has no IPv6, which h needs", "--host 127.0.0.1"),
        (errno.ENOBUFS, 80, "cannot listen on port 80 of h: No buffer", None),
    ],
)
def test_explanations(number: int, port: int, message: str, hint: str | None) -> None:
    error = explain(OSError(number, os.strerror(number)), "h", port)
    assert error.message.startswith(message)
    if hint is None:
        assert error.hint is None
    else:
        assert hint in (error.hint or "")


@pytest.mark.parametrize(
    ("holder", "message", "hint"),
    [
        (None, "port 80 is in use", "stop it, or run  "),
        (Holder(), "port 80 is in use by another process", "stop it, or run  "),
        (Holder(user="www-data"), "port 80 is in use by a process of www-data", "stop it, or run  "),
        (Holder(4121, "nginx"), "port 80 is in use by nginx (pid 4121)", "stop it, or run  "),
        (
            Holder(4121, "devserver", folder="/home/me/shop", kind=Kind.DEVSERVER),
            "port 80 is in use by devserver (pid 4121)",
            "another devserver still runs, started in /home/me/shop: stop it with  kill 4121, or run  ",
        ),
        (
            Holder(4121, "python", kind=Kind.DEVELOPMENT_SERVER),
            "port 80 is in use by python (pid 4121)",
            "a development server still runs: stop it with  kill 4121, or run  ",
        ),
        (
            Holder(4121, "python", folder="/home/me/shop", suspended=True),
            "port 80 is in use by python (pid 4121)",
            "it is suspended (Ctrl-Z, started in /home/me/shop): end it with  kill -9 4121, or run  ",
        ),
    ],
)
def test_holders(holder: Holder | None, message: str, hint: str) -> None:
    error = explain(OSError(errno.EADDRINUSE, ""), "h", 80, holder)
    assert error.message == message
    assert (error.hint or "").startswith(hint)


# --- URLs ---


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:{port}/"),
        ("localhost", "http://localhost:{port}/"),
        pytest.param("::1", "http://[::1]:{port}/", marks=needs_ipv6),
        pytest.param("0:0::1", "http://[::1]:{port}/", marks=needs_ipv6),
    ],
)
def test_url(stack: ExitStack, host: str, url: str) -> None:
    listener = opened(stack, host)
    assert listener.urls() == [url.format(port=listener.port)]
    assert listener.network_urls() == []


@pytest.mark.parametrize(
    ("host", "here", "network"),
    [
        ("0.0.0.0", ["127.0.0.1"], ["192.168.1.5"]),
        pytest.param("::", ["127.0.0.1", "[::1]"], ["192.168.1.5", "[fd00::5]"], marks=needs_ipv6),
        pytest.param("0::0", ["127.0.0.1", "[::1]"], ["192.168.1.5", "[fd00::5]"], marks=needs_ipv6),
    ],
)
def test_urls_on_the_network(
    stack: ExitStack, monkeypatch: pytest.MonkeyPatch, host: str, here: list[str], network: list[str]
) -> None:
    known = {socket.AF_INET: ["192.168.1.5"], socket.AF_INET6: ["fd00::5"]}
    monkeypatch.setattr(module, "network_addresses", known.__getitem__)
    listener = opened(stack, host)
    assert listener.urls() == [f"http://{name}:{listener.port}/" for name in here]
    assert listener.network_urls() == [f"http://{name}:{listener.port}/" for name in network]


def test_zones_are_escaped() -> None:
    assert module._url("fe80::1%eth0", 8000) == "http://[fe80::1%25eth0]:8000/"
