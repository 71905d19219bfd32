"""The examples of the docs, served as the docs say: each part of them works, and a save shows."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.e2e.harness import DEADLINE_S, DevServer, Serve

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
FORM = "application/x-www-form-urlencoded"

pytestmark = pytest.mark.e2e


def copy(example: str, project: Path) -> None:
    ignored = shutil.ignore_patterns("*.sqlite3", "__pycache__")
    shutil.copytree(EXAMPLES / example, project, dirs_exist_ok=True, ignore=ignored)


def replace(server: DevServer, name: str, old: str, new: str) -> None:
    """Save a file of the project with `old` replaced, which must be in it once."""
    text = (server.project / name).read_text()
    assert text.count(old) == 1
    server.edit(name, text.replace(old, new))


@contextmanager
def websocket(server: DevServer, path: str) -> Iterator[ClientConnection]:
    """A connection as a page of the server would open it."""
    url, origin = f"ws://{server.host}:{server.port}{path}", Origin(f"http://{server.host}:{server.port}")
    with connect(url, origin=origin, open_timeout=DEADLINE_S, close_timeout=DEADLINE_S) as connection:
        yield connection


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Django project with the tables in its database."""
    folder = tmp_path_factory.mktemp("migrated")
    copy("django_project", folder)
    command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(command, cwd=folder, check=True, timeout=60)
    return folder


@pytest.fixture
def django(migrated: Path, project: Path, serve: Serve) -> DevServer:
    shutil.copytree(migrated, project, dirs_exist_ok=True)
    return serve({})


def test_django_migrations_are_complete(project: Path) -> None:
    copy("django_project", project)
    command = [sys.executable, "manage.py", "makemigrations", "--check", "--dry-run"]
    result = subprocess.run(command, cwd=project, check=False, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout


def test_django_serves_the_admin_with_its_stylesheets(django: DevServer) -> None:
    page = django.get("/admin/login/").text
    styles = re.findall(r'<link rel="stylesheet" href="([^"]+)"', page)
    assert any(style.startswith("/static/admin/css/") for style in styles)
    for style in [*styles, "/static/notes/notes.css"]:
        answer = django.get(style)
        assert (answer.status, answer.headers["content-type"].partition(";")[0]) == (200, "text/css")


def test_django_stores_a_note(django: DevServer) -> None:
    form = django.get("/")
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form.text)
    assert token
    headers = {"Content-Type": FORM, "Cookie": form.headers["set-cookie"].partition(";")[0]}
    body = urlencode({"csrfmiddlewaretoken": token[1], "text": "buy <milk>"}).encode()
    before = django.below()
    assert django.request("POST", body=body, headers=headers).status == 302
    assert "buy &lt;milk&gt;" in django.get("/").text
    assert django.below() == before, "the database that the app writes restarts nothing"


def test_django_shows_edits_of_a_view_a_template_and_a_stylesheet(django: DevServer) -> None:
    replace(django, "notes/views.py", 'HEADING = "Notes"', 'HEADING = "Thoughts"')
    django.wait_for_text("<h1>Thoughts</h1>")
    replace(django, "notes/templates/notes/index.html", "A new note", "A new thought")
    django.wait_for_text("A new thought")
    replace(django, "notes/static/notes/notes.css", "40rem", "50rem")
    django.wait_for_text("50rem", "/static/notes/notes.css")


def test_flask_keeps_entries_and_shows_edits(project: Path, serve: Serve) -> None:
    copy("flask_app", project)
    server = serve({})
    assert server.request("POST", body=b"entry=Ada", headers={"Content-Type": FORM}).status == 302
    assert "<li>Ada</li>" in server.get("/").text
    assert server.get("/static/style.css").headers["content-type"].startswith("text/css")
    replace(server, "templates/index.html", "<h1>Guest book</h1>", "<h1>Visitors</h1>")
    server.wait_for_text("<h1>Visitors</h1>")
    replace(server, "app.py", "entries: list[str] = []", 'entries = ["the first"]')
    server.wait_for_text("<li>the first</li>")


def test_fastapi_has_lifespan_background_tasks_and_a_websocket(project: Path, serve: Serve) -> None:
    copy("fastapi_app", project)
    server = serve({})
    assert json.loads(server.get("/").text) == {"message": "Hello"}
    assert server.get("/docs").status == 200
    assert server.request("POST", "/greetings/Ada").status == 202
    server.wait_for(lambda: json.loads(server.get("/greetings").text) == ["Ada"], "the background task")
    with websocket(server, "/echo") as socket:
        socket.send("hello")
        assert socket.recv(DEADLINE_S) == "hello"
    replace(server, "main.py", '"Hello"', '"Good day"')
    server.wait_for_text("Good day")


def test_channels_chat_reaches_everybody(project: Path, serve: Serve) -> None:
    copy("channels_chat", project)
    server = serve({})
    assert "<h1>Chat</h1>" in server.get("/").text
    with websocket(server, "/chat/") as one, websocket(server, "/chat/") as other:
        one.send(json.dumps({"text": "hello"}))
        for listener in (one, other):
            assert json.loads(listener.recv(DEADLINE_S)) == {"text": "hello"}


@pytest.mark.parametrize(
    ("target", "text"), [("plain_wsgi.py", "Hello from WSGI\n"), ("plain_asgi.py", "Hello from ASGI\n")]
)
def test_plain_apps_answer(target: str, text: str, project: Path, serve: Serve) -> None:
    shutil.copy(EXAMPLES / target, project)
    assert serve({}, target).get("/").text == text


def test_a_folder_of_html_has_its_pages(project: Path, serve: Serve) -> None:
    copy("site", project / "site")
    server = serve({}, "site")
    assert "<h1>A folder of HTML</h1>" in server.get("/").text
    assert "<h1>About</h1>" in server.get("/about/").text
    assert server.get("/style.css").headers["content-type"].startswith("text/css")
