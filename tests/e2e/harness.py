"""The harness of the end-to-end tests: real projects in temporary folders, served by the real command.

Every wait has a deadline and, when it fails, prints the log of the server. After each test nothing may be left: no process, no
port.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from devserver import processes

DEADLINE_S = 20.0
T = TypeVar("T")
URL = re.compile(r"http://(\[[0-9a-f:]+\]|[0-9.]+):(\d+)/")


@dataclasses.dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class DevServer:
    """`devserver run` on a project, as a process."""

    def __init__(
        self,
        project: Path,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        wait: bool = True,
        python: str = sys.executable,
        command: Sequence[str] = (),
    ) -> None:
        """`command`: another one that becomes `devserver run`, whole."""
        self.project = project
        self.arguments = arguments
        self._log = bytearray()
        self._log_lock = threading.Lock()
        self.process = subprocess.Popen(
            command
            or [python, "-m", "devserver", "run", *arguments, *([] if "--port" in arguments else ["--port", "0"])],
            cwd=project,
            env={**os.environ, "PYTHONPATH": "", "VIRTUAL_ENV": "", **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.host, self.port = "127.0.0.1", 0
        if wait:
            self.wait_for_address()

    def _read(self) -> None:
        assert self.process.stdout is not None
        while data := os.read(self.process.stdout.fileno(), 65536):
            with self._log_lock:
                self._log += data

    # --- waiting ---

    @property
    def log(self) -> str:
        with self._log_lock:
            return self._log.decode(errors="replace")

    def wait_for(self, what: Callable[[], T | None], message: str, deadline_s: float = DEADLINE_S) -> T:
        """Call `what` until it gives something true; the longer it takes, the less often."""
        began = time.monotonic()
        while True:
            if value := what():
                return value
            waited_s = time.monotonic() - began
            if waited_s > deadline_s:
                pytest.fail(f"waited {deadline_s:g} s for {message}\n--- log of {self.arguments} ---\n{self.log}")
            time.sleep(min(0.05, max(0.01, waited_s / 20)))

    def wait_for_log(self, pattern: str, *, count: int = 1, deadline_s: float = DEADLINE_S) -> re.Match[str]:
        """Wait until the log matches `pattern`, `count` times; the last match."""

        def found() -> re.Match[str] | None:
            matches = list(re.finditer(pattern, self.log))
            return matches[count - 1] if len(matches) >= count else None

        return self.wait_for(found, f"{count} × {pattern!r} in the log", deadline_s)

    def wait_for_address(self) -> None:
        """Wait until the first server is ready; take host and port from what is printed."""

        def announced() -> re.Match[str] | None:
            if self.process.poll() is not None:
                pytest.fail(f"devserver ended with {self.process.returncode}\n{self.log}")
            return URL.search(self.log)

        match = self.wait_for(announced, "the address")
        self.host, self.port = match[1].strip("[]"), int(match[2])

    def wait_for_text(self, text: str, path: str = "/", **headers: str) -> Answer:
        """Ask until the answer contains `text`."""

        def answered() -> Answer | None:
            answer = self.get(path, **headers)
            return answer if text in answer.body.decode(errors="replace") else None

        return self.wait_for(answered, f"{text!r} at {path}")

    # --- asking ---

    def get(self, path: str = "/", **headers: str) -> Answer:
        """One request on a connection of its own. Header names are written with underscores."""
        return self.request("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def request(
        self,
        method: str,
        path: str = "/",
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = DEADLINE_S,
    ) -> Answer:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout_s)
        try:
            connection.request(method, path, body=body, headers=dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        except OSError as error:
            pytest.fail(f"{method} {path}: {error!r}\n--- log ---\n{self.log}")
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        """A bare TCP connection."""
        return socket.create_connection((self.host, self.port), timeout=DEADLINE_S)

    # --- editing ---

    def edit(self, name: str, text: str) -> None:
        """Write a file of the project in place, as most editors do."""
        write(self.project, {name: text})

    # --- ending ---

    def below(self) -> list[int]:
        """The pids of everything below the command."""
        return processes.descendants(self.process.pid)

    def streams(self) -> int:
        """How many event streams of browsers the command holds: connections at its port."""
        inodes = set()
        for link in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                inodes.add(os.readlink(link).removeprefix("socket:[").removesuffix("]"))
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        established = "01"
        return sum(
            line[1].endswith(f":{self.port:04X}") and line[3] == established and line[9] in inodes for line in lines
        )

    def server_pid(self) -> int:
        """The pid of the process that answers, by the app's own word at /pid."""
        return int(self.get("/pid").text)

    def stop(self, signum: int = signal.SIGINT, deadline_s: float = DEADLINE_S) -> int:
        """End the command by a signal; its exit code."""
        below = self.below()
        if self.process.poll() is None:
            self.process.send_signal(signum)
        try:
            code = self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f"devserver did not end within {deadline_s:g} s\n{self.log}")
        self._reader.join(deadline_s)
        self.wait_until_gone(below)
        return code

    def wait_until_gone(self, pids: list[int], deadline_s: float = 5.0) -> None:
        """Wait until none of these processes is left."""
        self.wait_for(lambda: not any(alive(pid) for pid in pids), f"the end of {pids}", deadline_s)

    def kill(self) -> None:
        """End everything at once, however it stands."""
        for pid in [self.process.pid, *self.below()]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


def alive(pid: int) -> bool:
    """Whether a process is there and not just a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def write(project: Path, files: Mapping[str, str]) -> None:
    """Files of a project; texts are dedented."""
    for name, text in files.items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # In place, as most editors do; the moment in which it is empty is as short as theirs.
        data = textwrap.dedent(text).encode()
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            os.write(fd, data)
        finally:
            os.close(fd)


WSGI_APP = """
    import os

    def application(environ, start_response):
        path = environ["PATH_INFO"]
        body = str(os.getpid()) if path == "/pid" else TEXT
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [body.encode()]

    TEXT = "one"
"""
ASGI_APP = """
    import os

    async def application(scope, receive, send):
        assert scope["type"] == "http"
        body = str(os.getpid()) if scope["path"] == "/pid" else TEXT
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": body.encode()})

    TEXT = "one"
"""
APPS = {"wsgi": WSGI_APP, "asgi": ASGI_APP}

Serve = Callable[..., DevServer]
"""Start a server on a project made of files; see the fixture `serve`."""
