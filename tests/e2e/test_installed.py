"""Packages that are installed, upgraded and removed while the app runs, by pip, in an environment of the test's own."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.chained import Chained
from tests.e2e.harness import DevServer, Serve

APP = """
    import os, sys
    try:
        import thing
    except ImportError:
        TEXT = "nothing"
    else:
        TEXT = thing.NAME

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [(str(os.getpid()) if environ["PATH_INFO"] == "/pid" else TEXT).encode()]
"""


class Environment:
    """A virtual environment that has what the tests' own has as well."""

    def __init__(self, folder: Path, wheels: Path) -> None:
        venv.create(folder, with_pip=False, symlinks=True)
        self.python = str(folder / "bin" / "python")
        self._wheels = wheels
        (self.site_packages,) = folder.glob("lib/python*/site-packages")
        outer = sysconfig.get_path("purelib")
        (self.site_packages / "outer.pth").write_text(f"import site; site.addsitedir({outer!r})\n")

    def install(self, version: str, content: str | None = None) -> None:
        """What is there in that version already is installed anew."""
        wheel = make_wheel(self._wheels, version, content or f"NAME = 'thing {version}'\n")
        self._pip("install", "--no-index", "--no-deps", "--force-reinstall", str(wheel))

    def uninstall(self) -> None:
        self._pip("uninstall", "--yes", "thing")

    def _pip(self, command: str, *arguments: str) -> None:
        pip = [sys.executable, "-m", "pip", "--python", self.python, "--disable-pip-version-check", "--no-input"]
        done = subprocess.run([*pip, command, *arguments], check=False, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr


def make_wheel(folder: Path, version: str, source: str) -> Path:
    """The package `thing`, by the specification of the format."""
    path = folder / f"thing-{version}-py3-none-any.whl"
    info = f"thing-{version}.dist-info"
    files = {
        "thing/__init__.py": source,
        **{f"thing/part_{number}.py": f"NUMBER = {number}\n" for number in range(20)},
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: thing\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},{_digest(text)},{len(text.encode())}\n" for name, text in files.items())
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
        wheel.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    return path


def _digest(text: str) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


@pytest.fixture
def make_environment(project: Path, tmp_path: Path) -> Callable[[str], Environment]:
    """An environment in the folder of that name, relative to the project."""

    def make(folder: str) -> Environment:
        (tmp_path / "wheels").mkdir()
        return Environment(project / folder, tmp_path / "wheels")

    return make


def restarts(server: DevServer) -> int:
    return sum(line["names"] == "installed packages" for line in Chained(server).changes())


@pytest.mark.parametrize(
    ("folder", "arguments"),
    [("../environment", ()), (".venv", ()), (".venv", ("--poll",))],
    ids=["elsewhere", "in the project", "polled"],
)
def test_what_pip_does_is_seen(
    serve: Serve, make_environment: Callable[[str], Environment], folder: str, arguments: tuple[str, ...]
) -> None:
    environment = make_environment(folder)
    server = serve({"app.py": APP}, "app:application", "--no-access-log", *arguments, python=environment.python)
    server.wait_for_text("nothing")
    steps: list[tuple[Callable[[], None], str]] = [
        (lambda: environment.install("1.0"), "thing 1.0"),
        (lambda: environment.install("2.0"), "thing 2.0"),
        (lambda: environment.install("2.0", "NAME = 'another thing'\n"), "another thing"),
        (environment.uninstall, "nothing"),
    ]
    for number, (act, text) in enumerate(steps, 1):
        act()
        server.wait_for_text(text)
        server.wait_for(lambda number=number: restarts(server) == number, "one restart for each")  # type: ignore[misc]
    assert "installed packages changed: restarted" in server.log


def test_a_package_that_was_missing_heals_the_page(
    serve: Serve, make_environment: Callable[[str], Environment]
) -> None:
    environment = make_environment("../environment")
    source = APP.replace("try:", "if True:").replace("except ImportError:", "if False:").replace("else:", "if True:")
    server = serve({"app.py": source}, "app:application", python=environment.python)
    page = server.wait_for_text("thing")
    assert page.status == 500
    assert "-m pip install thing" in page.text
    assert "loaded again by itself" in " ".join(page.text.split())
    environment.install("1.0")
    assert server.wait_for_text("thing 1.0").status == 200
    server.wait_for_log(r"installed packages changed: error fixed, restarted")
