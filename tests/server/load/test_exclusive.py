"""What a second server could not hold, by real sockets, locks and children."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.server.load.probing import probe

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux's /proc")

ASK = "\nfrom devserver.server.load.exclusive import exclusive_resources\nresult = [name, *exclusive_resources()]\n"


@pytest.mark.parametrize(("family", "host"), [("AF_INET", "127.0.0.1"), ("AF_INET6", "::1")])
def test_a_port(family: str, host: str, tmp_path: Path) -> None:
    found = probe(
        tmp_path,
        f"import socket; sock = socket.create_server(('{host}', 0), family=socket.{family}); name = sock.getsockname()[1]"
        + ASK,
    )
    assert isinstance(found.result, list)
    assert found.result[1:] == [f"port {found.result[0]}"]


@pytest.mark.parametrize(("address", "shown"), [("'app.sock'", "app.sock"), (r"'\0app-' + str(os.getpid())", "@app-")])
def test_a_socket_with_a_name(address: str, shown: str, tmp_path: Path) -> None:
    found = probe(
        tmp_path,
        f"import os, socket; sock = socket.socket(socket.AF_UNIX); name = {address}; sock.bind(name); sock.listen()"
        + ASK,
    )
    assert isinstance(found.result, list)
    assert [text.startswith(f"socket {shown}") for text in found.result[1:]] == [True]


def test_what_is_open_but_does_not_listen(tmp_path: Path) -> None:
    found = probe(
        tmp_path,
        "import socket; name = ''; pair = socket.socketpair(); sock = socket.socket(); file = open(__file__)" + ASK,
    )
    assert found.result == [""]


def test_a_socket_keeps_its_mode(tmp_path: Path) -> None:
    found = probe(
        tmp_path,
        """
        import os, socket
        from devserver.server.load.exclusive import exclusive_resources
        server = socket.create_server(("127.0.0.1", 0))
        socket.setdefaulttimeout(5)
        held = exclusive_resources()
        result = [len(held), os.get_blocking(server.fileno())]
        """,
    )
    assert found.result == [1, True]


@pytest.mark.parametrize("call", ["lockf", "flock"])
def test_a_file_lock(call: str, tmp_path: Path) -> None:
    found = probe(
        tmp_path,
        f"import fcntl; name = ''; file = open('app.lock', 'w'); fcntl.{call}(file, fcntl.LOCK_EX)" + ASK,
    )
    assert found.result == ["", "a lock on app.lock"]


def test_a_child_process(tmp_path: Path) -> None:
    found = probe(
        tmp_path,
        """
        import os
        name = os.fork()
        if not name: os._exit(0)
        os.waitid(os.P_PID, name, os.WEXITED | os.WNOWAIT)
        """.replace("        ", "")
        + ASK,
    )
    assert isinstance(found.result, list)
    assert found.result[1:] == [f"child process {found.result[0]}"]
