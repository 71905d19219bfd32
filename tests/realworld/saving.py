"""A real project that is served, and a file of it that is saved again and again."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from tests.benchmarks.process import Running, cpu_seconds, running
from tests.realworld.projects import Project

DEADLINE_S: Final = 60.0
CALM_S: Final = 2
BUSY_S: Final = 0.4  # in a second; those who poll have something to do at any time
CALM_DEADLINE_S: Final = 90.0
_TELLS: Final = '\n__import__("builtins").saved'


@contextmanager
def serving(project: Project, command: list[str], port: int, environ: Mapping[str, str]) -> Iterator[Running]:
    """`command` in the project's folder, once it answers."""
    with running(command, port=port, folder=project.folder, environ={**project.variables(), **environ}) as started:
        wait_for(started, project.url, "")
        yield started


def devserver(project: Project, port: int, *options: str) -> list[str]:
    """How it is started."""
    return [str(project.python), "-m", "devserver", "run", project.target, "--port", str(port), *options]


@contextmanager
def edited(project: Project, *names: str) -> Iterator[list[Path]]:
    """The files, relative to the project's folder, which are as before afterwards."""
    with ExitStack() as stack:
        files = [(project.folder / name).resolve() for name in names]
        for file in files:
            stack.callback(file.write_bytes, file.read_bytes())
        yield files


def rest(server: Running) -> None:
    """Wait until it has hardly worked for a while."""
    deadline = time.monotonic() + CALM_DEADLINE_S
    calm = 0
    while calm < CALM_S and time.monotonic() < deadline:
        before = cpu_seconds(server.tree())
        time.sleep(1.0)
        calm = calm + 1 if abs(cpu_seconds(server.tree()) - before) < BUSY_S else 0


def ask(port: int, url: str) -> str | None:
    """What the answer says of saves; None if there was none."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as connection:
            connection.sendall(f"GET {url} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
            received = bytearray()
            while chunk := connection.recv(65536):
                received += chunk
    except OSError:
        return None
    for line in received.partition(b"\r\n\r\n")[0].split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"x-saved":
            return value.strip().decode()
    return None


def wait_for(server: Running, url: str, saved: str) -> float:
    """Ask until the answer shows this save; `time.perf_counter()` then."""
    deadline = time.monotonic() + DEADLINE_S
    while ask(server.port, url) != saved:
        if server.process.poll() is not None or time.monotonic() > deadline:
            raise server.fail(f"save {saved!r} is not seen")
        time.sleep(0.001)
    return time.perf_counter()


def save(server: Running, url: str, file: Path, mark: str) -> float:
    """Milliseconds until an answer tells of it."""
    file.write_text(f'{_original(file)}{_TELLS} = "{mark}"\n')
    saved = time.perf_counter()
    return (wait_for(server, url, mark) - saved) * 1000


def restored(file: Path) -> None:
    """Save it as it was."""
    file.write_text(_original(file))


def _original(file: Path) -> str:
    return file.read_text().partition(_TELLS)[0]
