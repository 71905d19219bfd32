"""What the servers serve: each project is written into a folder of its own, so that an edit reaches one server alone."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.benchmarks import environment

DJANGO_EXAMPLE: Final = environment.ROOT / "docs" / "examples" / "django_project"
HEADING: Final = re.compile(r'^HEADING = "[^"]*"', re.MULTILINE)

PLAIN_WSGI: Final = """\
HEADING = "Hello"


def application(environ, start_response):
    body = HEADING.encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""
COPYING_WSGI: Final = """\
import copy

HEADING = "Hello"
TREE = {f"key {number}": [{"name": str(number), "tags": ["a", "b"]}] * 3 for number in range(20)}


def application(environ, start_response):
    copy.deepcopy(TREE)
    body = HEADING.encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""
PLAIN_ASGI: Final = """\
HEADING = "Hello"


async def application(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    body = HEADING.encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""
FLASK: Final = """\
from flask import Flask

HEADING = "Hello"
app = Flask(__name__)


@app.get("/")
def index():
    return HEADING
"""
# runserver serves what WSGI_APPLICATION names, and so the same plain app as the others.
RUNSERVER_SETTINGS: Final = """\
SECRET_KEY = "benchmark"
DEBUG = True
USE_TZ = True
WSGI_APPLICATION = "app.application"
"""
RUN_SIMPLE: Final = """\
import sys

from werkzeug.serving import run_simple

from app import application

if __name__ == "__main__":
    run_simple("127.0.0.1", int(sys.argv[1]), application, threaded=True, use_reloader=True, use_debugger=True)
"""


@dataclass(frozen=True, slots=True)
class Project:
    """`write` fills an empty folder; `source` is the file, relative to it, whose HEADING is part of the answer to GET /."""

    name: str
    source: str
    write: Callable[[Path], None]

    def edit(self, folder: Path, heading: str) -> None:
        """Save the source with another heading, in place and with one write, as most editors do."""
        path = folder / self.source
        text, count = HEADING.subn(f'HEADING = "{heading}"', path.read_text())
        if count != 1:
            raise ValueError(f"{path} must have one line HEADING, has {count}")
        path.write_text(text)


def _write_django(folder: Path) -> None:
    shutil.copytree(
        DJANGO_EXAMPLE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sqlite3", "__pycache__")
    )
    python = str(environment.FOLDER / "bin" / "python")
    command = [python, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(command, cwd=folder, env=environment.environ(), check=True, timeout=120)


def _write_wsgi(folder: Path) -> None:
    (folder / "app.py").write_text(PLAIN_WSGI)
    (folder / "runserver_settings.py").write_text(RUNSERVER_SETTINGS)
    (folder / "serve_werkzeug.py").write_text(RUN_SIMPLE)


DJANGO: Final = Project("Small Django project", "notes/views.py", _write_django)
WSGI: Final = Project("Plain WSGI app", "app.py", _write_wsgi)
COPYING: Final = Project("WSGI app heavy in copy.deepcopy", "app.py", lambda folder: _write_one(folder, COPYING_WSGI))
ASGI: Final = Project("Plain ASGI app", "app.py", lambda folder: _write_one(folder, PLAIN_ASGI))
FLASK_APP: Final = Project("Small Flask app", "app.py", lambda folder: _write_one(folder, FLASK))


def _write_one(folder: Path, text: str) -> None:
    (folder / "app.py").write_text(text)
