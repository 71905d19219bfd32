"""Fixtures of the end-to-end tests: a project, and a command that serves it."""

from __future__ import annotations

import signal
import subprocess
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.e2e.harness import APPS, DevServer, Serve, write
from tests.e2e.resuming import Resuming, Shared

KINDS: tuple[str, ...] = ("wsgi", "asgi")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Who asks for `kind` runs for both interfaces; what is marked `either_kind`, for one.

    Which one: its name and Python's version say, so that all the versions together see both.
    """
    if "kind" not in metafunc.fixturenames:
        return
    kinds = KINDS
    if metafunc.definition.get_closest_marker("either_kind"):
        at = (zlib.crc32(metafunc.definition.name.encode()) + sys.version_info.minor) % len(KINDS)
        kinds = KINDS[at : at + 1]
    metafunc.parametrize("kind", kinds)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty folder for a project."""
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def serve(project: Path) -> Iterator[Serve]:
    """Start `devserver run` on a project made of the given files; everything is ended afterwards, and nothing may be left."""
    started: list[DevServer] = []

    def start(
        files: Mapping[str, str],
        *arguments: str,
        env: Mapping[str, str] | None = None,
        wait: bool = True,
        python: str = sys.executable,
        command: Sequence[str] = (),
    ) -> DevServer:
        write(project, files)
        server = DevServer(project, *arguments, env=env, wait=False, python=python, command=command)
        started.append(server)  # before anything may fail: it is ended then too
        if wait:
            server.wait_for_address()
        return server

    yield start
    for server in started:
        if server.process.poll() is None:
            below = server.below()
            server.process.send_signal(signal.SIGTERM)
            try:
                server.process.wait(5)
            except subprocess.TimeoutExpired:
                server.kill()
                pytest.fail(f"devserver did not end by SIGTERM\n{server.log}")
            server.wait_until_gone(below)
        assert server.process.stdout is not None
        server._reader.join(5)
        server.process.stdout.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """One server for all tests of a module, exchanged after a failure."""
    shared = Shared(tmp_path_factory.mktemp("shared"))
    yield shared
    shared.close()


@pytest.fixture
def resuming(shared: Shared) -> Resuming:
    """The module's server."""
    return shared.get()


@pytest.fixture
def app(kind: str) -> str:
    """The source of a small app of that kind: answers TEXT, and its pid at /pid."""
    return APPS[kind]
