"""What the benchmarks start ends with all that it started, and is measured as a whole."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.benchmarks.process import (
    ServerFailedError,
    cpu_seconds,
    find_free_port,
    proportional_set_size_mb,
    running,
)

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the benchmarks read /proc")

# Serves, and has a child in a session of its own that ignores SIGTERM: the hardest one to get rid of.
SERVER = """
import http.server, signal, subprocess, sys
child = subprocess.Popen(
    [sys.executable, "-c", "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"],
    start_new_session=True, stdout=subprocess.PIPE,
)
child.stdout.read(1)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(child.pid).encode())
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def test_a_server_is_measured_and_ended_with_its_whole_tree(tmp_path: Path) -> None:
    folder = tmp_path / "app"
    folder.mkdir()
    port = find_free_port()
    command = [sys.executable, "-u", "-c", SERVER, str(port)]
    with running(command, port=port, folder=folder, environ=os.environ) as server:
        child = int(server.wait_until_up(30).body)
        tree = server.tree()
        assert tree == [server.process.pid, child]
        assert cpu_seconds(tree) > 0
        assert proportional_set_size_mb(tree) > proportional_set_size_mb(tree[:1]) > 1
    assert server.process.returncode is not None
    assert _is_gone(child)


def test_a_server_that_ends_is_told_with_its_log(tmp_path: Path) -> None:
    folder = tmp_path / "app"
    folder.mkdir()
    command = [sys.executable, "-c", "raise SystemExit('no such app')"]
    with (
        running(command, port=find_free_port(), folder=folder, environ=os.environ) as server,
        pytest.raises(ServerFailedError, match=r"code 1.*\n.*no such app"),
    ):
        server.wait_until_up(30)


def _is_gone(pid: int) -> bool:
    # A killed orphan may wait for init to reap it: then it is a zombie, which runs no more.
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"
