"""The environment of the benchmarks: a virtual environment with the project and its peers, and what it runs on."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = Path(__file__).resolve().parent / "env"
PEERS: Final = (
    "django",
    "django-browser-reload",
    "flask",
    "granian[reload]",
    "gunicorn",
    "uvicorn[standard]",
    "waitress",
    "werkzeug",
)
SHOWN: Final = (
    "devserver",
    "django",
    "django-browser-reload",
    "flask",
    "granian",
    "gunicorn",
    "httptools",
    "uvicorn",
    "uvloop",
    "waitress",
    "watchfiles",
    "werkzeug",
)


def prepare() -> None:
    """Make the environment if it is not there, and install the working tree as a user gets it: not editable."""
    stamp = FOLDER / "installed.json"
    wanted = json.dumps([platform.python_version(), PEERS, (ROOT / "pyproject.toml").read_text()])
    if not stamp.is_file() or stamp.read_text() != wanted:
        venv.create(FOLDER, clear=True, with_pip=True)
        pip("install", str(ROOT), *PEERS)
        stamp.write_text(wanted)
    if not (FOLDER / "bin" / "vite").exists():
        _install_vite()
    pip("install", "--force-reinstall", "--no-deps", str(ROOT))


def _install_vite() -> None:
    """A peer of the browser benchmark, where npm is at hand."""
    npm = shutil.which("npm")
    if npm is None:
        print("bench: no npm, so Vite is left out", file=sys.stderr)
        return
    command = [npm, "install", "--global", "--prefix", str(FOLDER), "--no-fund", "--no-audit", "--silent", "vite"]
    if subprocess.run(command, check=False, timeout=600, env={**os.environ, "NO_UPDATE_NOTIFIER": "1"}).returncode:
        print("bench: npm could not install Vite, so it is left out", file=sys.stderr)


def pip(*arguments: str) -> None:
    command = [str(FOLDER / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True, timeout=600)


def environ() -> dict[str, str]:
    """What the servers see: the environment's own programs first, and nothing that changes how Python runs."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "DEVSERVER_", "VIRTUAL_ENV"))
    }
    kept["PATH"] = f"{FOLDER / 'bin'}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return kept


def versions() -> tuple[tuple[str, str], ...]:
    command = [str(FOLDER / "bin" / "python"), "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"]
    listed = subprocess.run(command, check=True, capture_output=True, timeout=120).stdout
    installed = {package["name"].lower(): package["version"] for package in json.loads(listed)}
    return tuple((name, installed[name]) for name in SHOWN if name in installed)


def machine() -> tuple[tuple[str, str], ...]:
    processor = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return (
        ("processor", f"{processor}, {len(os.sched_getaffinity(0))} cores"),
        ("memory", f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB"),
        ("kernel", f"{platform.system()} {platform.release()}"),
        ("Python", f"{platform.python_implementation()} {sys.version.split()[0]}"),
    )
