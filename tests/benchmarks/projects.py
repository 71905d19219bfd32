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


PAGE_HTML: Final = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><link rel="stylesheet" href="/notes.css"></head><body><h1>Notes</h1></body></html>
"""
COLOUR: Final = re.compile(r"body \{ outline-color: .*\n")


@dataclass(frozen=True, slots=True)
class Project:
    """`write` fills an empty folder; `source` is the file, relative to it, whose HEADING is part of the answer to GET /."""

    name: str
    source: str
    write: Callable[[Path], None]
    sheet: str = ""  # a style sheet of the page at /

    def edit(self, folder: Path, heading: str) -> None:
        """Save the source with another heading, in place and with one write, as most editors do."""
        path = folder / self.source
        text, count = HEADING.subn(f'HEADING = "{heading}"', path.read_text())
        if count != 1:
            raise ValueError(f"{path} must have one line HEADING, has {count}")
        path.write_text(text)

    def edit_sheet(self, folder: Path, number: int) -> None:
        """Save the style sheet with a colour of its own for this number, at its end."""
        path = folder / self.sheet
        text = COLOUR.sub("", path.read_text())
        path.write_text(f"{text}body {{ outline-color: rgb(1, 2, {number}) }}\n")


def _write_django(folder: Path) -> None:
    # As if just written: browsers keep old files for longer that a server sends without saying for how long, as runserver does.
    shutil.copytree(
        DJANGO_EXAMPLE,
        folder,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("*.sqlite3", "__pycache__"),
        copy_function=shutil.copy,
    )
    python = str(environment.FOLDER / "bin" / "python")
    command = [python, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(command, cwd=folder, env=environment.environ(), check=True, timeout=120)


def _write_wsgi(folder: Path) -> None:
    (folder / "app.py").write_text(PLAIN_WSGI)
    (folder / "runserver_settings.py").write_text(RUNSERVER_SETTINGS)
    (folder / "serve_werkzeug.py").write_text(RUN_SIMPLE)


def _write_browser_reload(folder: Path) -> None:
    _write_django(folder)
    for name, before, after in (
        ("settings.py", "INSTALLED_APPS = [", 'INSTALLED_APPS = [\n    "django_browser_reload",'),
        (
            "settings.py",
            "MIDDLEWARE = [",
            'MIDDLEWARE = [\n    "django_browser_reload.middleware.BrowserReloadMiddleware",',
        ),
        (
            "urls.py",
            "urlpatterns = [",
            'urlpatterns = [\n    path("__reload__/", include("django_browser_reload.urls")),',
        ),
    ):
        path = folder / "mysite" / name
        path.write_text(path.read_text().replace(before, after))


def _write_page(folder: Path) -> None:
    shutil.copy(DJANGO_EXAMPLE / SHEET, folder / "notes.css")
    (folder / "index.html").write_text(PAGE_HTML)


SHEET: Final = "notes/static/notes/notes.css"
DJANGO: Final = Project("Small Django project", "notes/views.py", _write_django, SHEET)
DJANGO_BROWSER_RELOAD: Final = Project("Small Django project", "notes/views.py", _write_browser_reload, SHEET)
PAGE: Final = Project("A page", "", _write_page, "notes.css")
WSGI: Final = Project("Plain WSGI app", "app.py", _write_wsgi)
COPYING: Final = Project("WSGI app heavy in copy.deepcopy", "app.py", lambda folder: _write_one(folder, COPYING_WSGI))
ASGI: Final = Project("Plain ASGI app", "app.py", lambda folder: _write_one(folder, PLAIN_ASGI))
FLASK_APP: Final = Project("Small Flask app", "app.py", lambda folder: _write_one(folder, FLASK))


def _write_one(folder: Path, text: str) -> None:
    (folder / "app.py").write_text(text)
