"""Who listens on a port, found in /proc; with real sockets and real processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devserver.supervisor import holder
from devserver.supervisor.holder import Holder, Kind, find_holder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")

LISTEN = """
import socket, sys
sock = socket.create_server((sys.argv[1], 0), family=socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
print(sock.getsockname()[1], flush=True)
sys.stdin.read()
"""

Start = Callable[..., tuple[subprocess.Popen[str], int]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str, source: str = LISTEN, name: str = "server.py") -> tuple[subprocess.Popen[str], int]:
        path = tmp_path / name
        path.write_text(source)
        process = subprocess.Popen(
            [sys.executable, str(path), *(arguments or ("127.0.0.1",))],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        assert process.stdout is not None
        return process, int(process.stdout.readline())

    yield start
    for process in processes:
        process.kill()
        process.communicate(timeout=30)


def test_another_process(start: Start, tmp_path: Path) -> None:
    process, port = start()
    found = find_holder(port)
    assert found is not None
    assert (found.pid, found.kind, found.suspended) == (process.pid, Kind.OTHER, False)
    assert found.folder == str(tmp_path)
    assert str(found) == f"python (pid {process.pid})"


def test_ipv6(start: Start) -> None:
    process, port = start("::1")
    found = find_holder(port)
    assert found is not None
    assert found.pid == process.pid


@pytest.mark.parametrize(
    ("arguments", "name", "kind"),
    [
        (("127.0.0.1", "runserver"), "manage.py", Kind.DEVELOPMENT_SERVER),
        (("127.0.0.1",), "uvicorn", Kind.DEVELOPMENT_SERVER),
        (("127.0.0.1", "run"), "devserver", Kind.DEVSERVER),
        (("127.0.0.1",), "app.py", Kind.OTHER),
    ],
)
def test_kinds(start: Start, arguments: tuple[str, ...], name: str, kind: Kind) -> None:
    process, port = start(*arguments, name=name)
    found = find_holder(port)
    assert found is not None
    assert found.kind is kind
    assert str(found) == f"{'devserver' if kind is Kind.DEVSERVER else 'python'} (pid {process.pid})"


def test_suspended(start: Start) -> None:
    process, port = start()
    os.kill(process.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    found = find_holder(port)
    assert found is not None
    assert found.suspended


FORKED = """
import os, socket, sys
sock = socket.create_server((sys.argv[1], 0))
gone, here = os.pipe()
if os.fork() == 0:
    os.close(here)
    os.read(gone, 1)  # until the parent is gone
    os._exit(0)
os.close(gone)
print(sock.getsockname()[1], flush=True)
sys.stdin.read()
"""


def test_of_processes_that_share_a_socket_the_uppermost_counts(start: Start) -> None:
    process, port = start("127.0.0.1", source=FORKED)
    found = find_holder(port)
    assert found is not None
    assert found.pid == process.pid


def test_only_what_is_in_the_way(start: Start) -> None:
    process, port = start("127.0.0.1")
    assert find_holder(port, ["127.0.0.2"]) is None
    for addresses in (["127.0.0.1"], ["0.0.0.0"], ["127.0.0.2", "127.0.0.1"], ["::"]):
        found = find_holder(port, addresses)
        assert found is not None
        assert found.pid == process.pid


def test_a_port_that_nobody_listens_on() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # bound, not listening
        assert find_holder(sock.getsockname()[1]) is None


def test_where_descriptors_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holder, "_processes_with", lambda links: iter(()))
    with socket.create_server(("127.0.0.1", 0)) as sock:
        found = find_holder(sock.getsockname()[1])
    assert found == Holder()
    assert str(found) == "another process"
    assert str(Holder(user="postgres")) == "a process of postgres"


def test_where_there_is_no_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holder, "_listening", lambda port: iter(()))
    assert find_holder(80) is None


def test_processes_that_end_while_they_are_looked_at() -> None:
    gone = 2**22 + 1  # above the largest pid there can be
    assert holder._status(gone) == ("?", 0)
    assert holder._arguments(gone) == []
    assert holder._program(gone, ["/usr/bin/python3.11"]) == "python"
    assert holder._program(gone, []) == ""


@pytest.mark.parametrize(
    ("words", "address"),
    [
        ("0100007F", "127.0.0.1"),
        ("00000000", "0.0.0.0"),
        ("00000000000000000000000001000000", "::1"),
        ("B80D0120000000000000000001000000", "2001:db8::1"),
    ],
)
@pytest.mark.skipif(sys.byteorder == "big", reason="written as a little-endian kernel prints it")
def test_addresses_as_the_kernel_prints_them(words: str, address: str) -> None:
    assert holder._address(words) == address


def test_users() -> None:
    assert holder._user_name(os.getuid()) == ""
    assert holder._user_name(2**31 - 7) == f"user {2**31 - 7}"
