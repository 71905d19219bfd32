"""Frameworks and habits as people meet them: projects from scratch, their mistakes, and what apps do while they are imported.

The examples of the docs have their own tests (test_examples.py).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from http.cookies import SimpleCookie
from pathlib import Path
from textwrap import dedent
from urllib.parse import urlencode

import pytest
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.e2e.harness import DEADLINE_S, Answer, DevServer, Serve, write

pytestmark = pytest.mark.e2e

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def replace(server: DevServer, name: str, old: str, new: str) -> None:
    """Save a file of the project with `old` replaced, which must be in it once."""
    text = (server.project / name).read_text()
    assert text.count(old) == 1
    server.edit(name, text.replace(old, new))


def page(server: DevServer, text: str, path: str = "/") -> Answer:
    """Wait for an error page that contains `text`."""
    answer = server.wait_for_text(text, path)
    assert answer.status == 500
    return answer


# --- Django ---


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `startproject` and `startapp` make, with tables and a superuser."""
    folder = tmp_path_factory.mktemp("started")
    python = [sys.executable, "-m", "django"]
    for command in (
        [*python, "startproject", "mysite", "."],
        [sys.executable, "manage.py", "startapp", "polls"],
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        [
            sys.executable,
            "manage.py",
            "createsuperuser",
            "--noinput",
            "--username",
            "ada",
            "--email",
            "ada@example.org",
        ],
    ):
        env = {**os.environ, "DJANGO_SUPERUSER_PASSWORD": "analytical", "PYTHONPATH": ""}
        subprocess.run(command, cwd=folder, check=True, timeout=60, env=env, capture_output=True)
    return folder


@pytest.fixture
def django(started: Path, project: Path, serve: Serve) -> DevServer:
    shutil.copytree(started, project, dirs_exist_ok=True)
    return serve({})


VIEWS = """
    from django.shortcuts import render

    def index(request):
        return render(request, "polls/index.html", {"word": "one"})
"""
POLLS = {
    "polls/views.py": VIEWS,
    "polls/urls.py": "from django.urls import path\nfrom . import views\nurlpatterns = [path('', views.index)]\n",
    "polls/templates/polls/index.html": "{% load static %}{% static 'polls/style.css' %} says {{ word }}, politely",
    "polls/static/polls/style.css": "a { color: red }",
}


POLLS_IN_USE = (
    ("mysite/settings.py", "INSTALLED_APPS = [", "INSTALLED_APPS = [\n    'polls',"),
    ("mysite/urls.py", "from django.urls import path", "from django.urls import include, path"),
    ("mysite/urls.py", "urlpatterns = [", "urlpatterns = [\n    path('polls/', include('polls.urls')),"),
)


@pytest.fixture
def polls(started: Path, project: Path, serve: Serve) -> DevServer:
    """The project after the first steps of Django's tutorial."""
    shutil.copytree(started, project, dirs_exist_ok=True)
    write(project, POLLS)
    for name, old, new in POLLS_IN_USE:
        path = project / name
        path.write_text(path.read_text().replace(old, new))
    return serve({})


def test_a_new_django_project(django: DevServer) -> None:
    assert re.search(r"  manage.py  Django \S+  \(found manage.py, settings mysite.settings\)", django.log)
    assert "The install worked successfully" in django.get().text
    missing = django.get("/nothing/", Accept="text/html")
    assert missing.status == 404
    assert "Page not found" in missing.text or "The install worked" in missing.text
    login = django.get("/admin/login/")
    for style in re.findall(r'<link rel="stylesheet" href="([^"]+)"', login.text):
        assert django.get(style).status == 200
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', login.text)
    assert token
    fields = {"csrfmiddlewaretoken": token[1], "username": "ada", "password": "analytical", "next": "/admin/"}
    cookie = login.headers["set-cookie"].partition(";")[0]
    answer = django.request(
        "POST", "/admin/login/", body=urlencode(fields).encode(), headers={**FORM, "Cookie": cookie}
    )
    assert (answer.status, answer.headers["location"]) == (302, "/admin/")
    refused = django.request("POST", "/admin/login/", body=urlencode(fields).encode(), headers=FORM)
    assert refused.status == 403
    django.wait_for_log(r"Forbidden \(CSRF cookie not set.\): /admin/login/\n  hint: The browser sent no CSRF cookie")
    del fields["csrfmiddlewaretoken"]
    django.request("POST", "/admin/login/", body=urlencode(fields).encode(), headers={**FORM, "Cookie": cookie})
    django.wait_for_log(r"hint: Put {% csrf_token %} into the <form")
    session = SimpleCookie(answer.headers["set-cookie"])["sessionid"].value
    assert "Site administration" in django.get("/admin/", Cookie=f"sessionid={session}").text
    assert "changed" not in django.log, "the database that the app writes restarts nothing"


def test_the_first_steps_of_a_django_app(django: DevServer) -> None:
    """In the order of Django's tutorial."""
    for name, text in POLLS.items():
        django.edit(name, text)
    for name, old, new in POLLS_IN_USE:
        replace(django, name, old, new)
    django.wait_for_text("says one", "/polls/")
    assert "/static/polls/style.css says one" in django.get("/polls/").text
    before = django.below()
    replace(django, "polls/templates/polls/index.html", "politely", "loudly")
    django.wait_for_text("loudly", "/polls/")
    replace(django, "polls/static/polls/style.css", "red", "blue")
    django.wait_for_text("blue", "/static/polls/style.css")
    assert django.below() == before  # neither costs a process
    replace(django, "polls/views.py", '"one"', '"two"')
    django.wait_for_text("says two", "/polls/")


@pytest.mark.parametrize(
    ("name", "right", "wrong", "shown"),
    [
        ("mysite/settings.py", "DEBUG = True", "DEBUG = Tru", "NameError: name 'Tru' is not defined"),
        ("mysite/settings.py", "    'polls',", "    'pols',", "check the spelling in INSTALLED_APPS"),
        ("mysite/urls.py", "admin.site.urls", "admin.site.url", "'AdminSite' object has no attribute 'url'"),
        ("mysite/urls.py", "'polls.urls'", "'polls.urlz'", "but there is polls.urls"),
        ("polls/urls.py", "views.index", "views.indx", "module 'polls.views' has no attribute 'indx'"),
        ("polls/models.py", "import models", "import modles", "cannot import name 'modles'"),
        ("polls/views.py", "def index(request):", "def index(request)", "expected ':'"),
    ],
)
def test_mistakes_in_a_django_project(polls: DevServer, name: str, right: str, wrong: str, shown: str) -> None:
    polls.wait_for_text("says one", "/polls/")
    replace(polls, name, right, wrong)
    page(polls, shown, "/polls/")
    polls.wait_for_log(re.escape(shown).replace(r"\ ", r"\s+"))
    replace(polls, name, wrong, right)
    polls.wait_for_text("says one", "/polls/")
    polls.wait_for_log("error fixed")


def test_a_missing_table_is_explained(polls: DevServer) -> None:
    polls.edit(
        "polls/models.py", "from django.db import models\nclass Poll(models.Model):\n    word = models.TextField()\n"
    )
    polls.edit("polls/views.py", VIEWS.replace('"one"', "Poll.objects.count()") + "\n    from .models import Poll\n")
    answer = polls.wait_for_text("no such table: polls_poll", "/polls/", Accept="text/html")
    assert answer.status == 500
    for command in ("makemigrations", "migrate"):
        subprocess.run(
            [sys.executable, "manage.py", command, "--verbosity", "0"], cwd=polls.project, check=True, timeout=60
        )
    polls.wait_for_text("says 0", "/polls/")


def test_debug_off_is_told_once(django: DevServer) -> None:
    replace(django, "mysite/settings.py", "DEBUG = True", "DEBUG = False")
    django.wait_for_log("DEBUG is False and ALLOWED_HOSTS is empty: Django answers every request with 400")
    assert django.get("/static/admin/css/base.css").status == 400
    replace(django, "mysite/settings.py", "ALLOWED_HOSTS = []", "ALLOWED_HOSTS = ['*']")
    django.wait_for(lambda: django.get("/admin/login/").status == 200, "the login page")
    assert django.get("/static/admin/css/base.css").status == 404
    assert django.log.count("static files are not served") == 1


ASGI_SETTINGS = """
ASGI_APPLICATION = "mysite.asgi.application"
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
"""
CONSUMER = """
    from channels.generic.websocket import WebsocketConsumer

    class Echo(WebsocketConsumer):
        def receive(self, text_data=None, bytes_data=None):
            self.send(text_data=f"one {text_data}")
"""
ASGI = """
    import os
    from channels.routing import ProtocolTypeRouter, URLRouter
    from channels.security.websocket import AllowedHostsOriginValidator
    from django.core.asgi import get_asgi_application
    from django.urls import path

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
    django_app = get_asgi_application()

    from polls.consumers import Echo

    websockets = AllowedHostsOriginValidator(URLRouter([path("echo/", Echo.as_asgi())]))
    application = ProtocolTypeRouter({"http": django_app, "websocket": websockets})
"""
NAMING_URLS = """
    import sys
    from django.contrib import admin
    from django.http import HttpResponse
    from django.urls import path

    def name(request):
        return HttpResponse(f"{type(request).__name__} {sys.argv[1:]}")

    urlpatterns = [path("admin/", admin.site.urls), path("", name)]
"""


@pytest.fixture
def channels(started: Path, project: Path) -> Path:
    """The project with daphne in INSTALLED_APPS and a consumer."""
    shutil.copytree(started, project, dirs_exist_ok=True)
    settings = project / "mysite" / "settings.py"
    installed = settings.read_text().replace("INSTALLED_APPS = [", "INSTALLED_APPS = [\n    'daphne',\n    'channels',")
    settings.write_text(installed + ASGI_SETTINGS)
    (project / "polls" / "consumers.py").write_text(dedent(CONSUMER))
    (project / "mysite" / "asgi.py").write_text(dedent(ASGI))
    (project / "mysite" / "urls.py").write_text(dedent(NAMING_URLS))
    return project


def test_daphne_among_the_apps_means_asgi(channels: Path, serve: Serve) -> None:
    server = serve({})
    assert server.get().text == "ASGIRequest ['runserver']"
    assert server.get("/static/admin/css/base.css").status == 200
    url, origin = f"ws://127.0.0.1:{server.port}/echo/", Origin(f"http://127.0.0.1:{server.port}")
    with connect(url, origin=origin, open_timeout=DEADLINE_S) as socket:
        socket.send("x")
        assert socket.recv(DEADLINE_S) == "one x"
        replace(server, "polls/consumers.py", 'f"one', 'f"two')
        server.wait_for_log(r"consumers.py changed: (?:restarted|resumed)")
    assert socket.close_code == 1012
    with connect(url, origin=origin, open_timeout=DEADLINE_S) as socket:
        socket.send("x")
        assert socket.recv(DEADLINE_S) == "two x"


def test_the_interface_can_be_chosen(channels: Path, serve: Serve) -> None:
    assert serve({}, "--interface", "wsgi").get().text == "WSGIRequest ['runserver']"


# --- Flask ---

FLASKR = {
    "flaskr/__init__.py": """
        import os
        from flask import Flask

        def create_app(test_config=None):
            app = Flask(__name__, instance_relative_config=True)
            app.config.from_mapping(SECRET_KEY="dev", DATABASE=os.path.join(app.instance_path, "flaskr.sqlite"), WORD="one")
            app.config.from_pyfile("config.py", silent=True)
            os.makedirs(app.instance_path, exist_ok=True)

            from . import auth, db
            db.init_app(app)
            app.register_blueprint(auth.bp)
            return app
    """,
    "flaskr/db.py": """
        import sqlite3
        from flask import current_app, g

        def get_db():
            if "db" not in g:
                g.db = sqlite3.connect(current_app.config["DATABASE"])
                with current_app.open_resource("schema.sql") as file:
                    g.db.executescript(file.read().decode())
            return g.db

        def close_db(error=None):
            if (db := g.pop("db", None)) is not None:
                db.close()

        def init_app(app):
            app.teardown_appcontext(close_db)
    """,
    "flaskr/schema.sql": "CREATE TABLE IF NOT EXISTS user (name TEXT);\n",
    "flaskr/auth.py": """
        from flask import Blueprint, current_app, redirect, render_template, request, session, url_for
        from .db import get_db

        bp = Blueprint("auth", __name__, url_prefix="/auth")

        @bp.route("/register", methods=("GET", "POST"))
        def register():
            db = get_db()
            if request.method == "POST":
                db.execute("INSERT INTO user VALUES (?)", (request.form["name"],))
                db.commit()
                session["name"] = request.form["name"]
                return redirect(url_for("auth.register"))
            count = db.execute("SELECT count(*) FROM user").fetchone()[0]
            return render_template("auth/register.html", count=count, name=session.get("name"))

        @bp.route("/word")
        def word():
            return current_app.config["WORD"]

        @bp.route("/broken")
        def broken():
            return 1 / 0

        @bp.route("/nothing")
        def nothing():
            pass
    """,
    "flaskr/templates/base.html": "<main>{% block content %}{% endblock %}</main>",
    "flaskr/templates/auth/register.html": "{% extends 'base.html' %}{% block content %}{{ count }} {{ name }}{% endblock %}",
    "flaskr/static/style.css": "a { color: red }",
}


def test_flasks_tutorial(serve: Serve) -> None:
    server = serve(FLASKR)
    assert re.search(r"  flaskr:create_app\(\)  Flask \S+  \(create_app in flaskr/__init__.py\)", server.log)
    assert server.get("/auth/register").text == "<main>0 None</main>"
    signed = server.request("POST", "/auth/register", body=b"name=Ada", headers=FORM)
    assert signed.status == 302
    cookie = signed.headers["set-cookie"].partition(";")[0]
    assert server.get("/auth/register", Cookie=cookie).text == "<main>1 Ada</main>"
    assert server.get("/static/style.css").text == "a { color: red }"
    assert "changed" not in server.log, "the database that the app writes restarts nothing"
    before = server.below()
    replace(server, "flaskr/templates/base.html", "main>{%", "main>Users: {%")
    server.wait_for_text("Users: 1", "/auth/register")
    assert server.below() == before
    server.edit("instance/config.py", "WORD = 'two'\n")  # looked for at the start, and not there
    server.wait_for_text("two", "/auth/word")
    assert server.get("/auth/register", Cookie=cookie).text == "<main>Users: 1 Ada</main>"  # the session holds


def test_mistakes_in_flask(serve: Serve) -> None:
    server = serve(FLASKR)
    broken = page(server, "ZeroDivisionError", "/auth/broken")
    assert "flaskr/auth.py" in broken.text
    assert "return a response on every path" in page(server, "TypeError", "/auth/nothing").text
    replace(server, "flaskr/auth.py", "return 1 / 0", "return 'mended'")
    server.wait_for_text("mended", "/auth/broken")
    replace(server, "flaskr/templates/auth/register.html", "{% endblock %}", "{% endblok %}")
    template = page(server, "Encountered unknown tag 'endblok'", "/auth/register")
    assert "flaskr/templates/auth/register.html:1" in template.text
    replace(server, "flaskr/templates/auth/register.html", "{% endblok %}", "{% endblock %}")
    server.wait_for_text("<main>", "/auth/register")
    replace(server, "flaskr/__init__.py", "return app\n", "\n")
    page(server, "returned None", "/auth/word")


@pytest.mark.parametrize("ending", ["app.run(debug=True)", "if __name__ == '__main__':\n    app.run(debug=True)"])
def test_app_run_at_the_end_of_a_module_does_nothing(serve: Serve, ending: str) -> None:
    source = (
        f"from flask import Flask\napp = Flask(__name__)\n@app.get('/')\ndef index():\n    return 'one'\n{ending}\n"
    )
    server = serve({"app.py": source})
    assert server.get().text == "one"
    server.edit("app.py", source.replace("'one'", "'two'"))
    server.wait_for_text("two")


# --- FastAPI ---

FASTAPI = """
    from contextlib import asynccontextmanager
    from fastapi import BackgroundTasks, FastAPI

    @asynccontextmanager
    async def lifespan(app):
        START
        yield
        print("shut down")

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def index():
        return "one"

    @app.get("/task")
    async def task(tasks: BackgroundTasks):
        tasks.add_task(lambda: 1 / 0)
        return "begun"
"""


def test_a_lifespan_that_fails_shows_its_own_error(serve: Serve) -> None:
    broken = FASTAPI.replace("START", "raise RuntimeError('no database')")
    server = serve({"main.py": broken})
    answer = page(server, "RuntimeError: no database")
    assert answer.text.startswith("RuntimeError: no database")  # and not an error of ours that wraps it
    assert "main.py:7 in lifespan" in answer.text
    server.edit("main.py", FASTAPI.replace("START", "print('started')"))
    server.wait_for_text('"one"')
    server.edit("main.py", FASTAPI.replace("START", "print('started')").replace('"one"', '"two"'))
    server.wait_for_text('"two"')
    server.wait_for_log("shut down")
    assert server.stop() == 0
    assert server.log.count("\nshut down\n") == 2


def test_an_error_in_a_background_task_is_in_the_terminal(serve: Serve) -> None:
    server = serve({"main.py": FASTAPI.replace("START", "pass")})
    assert server.get("/task").text == '"begun"'
    server.wait_for_log(r"ZeroDivisionError: division by zero\n  after GET http://127.0.0.1:\d+/task was answered\n")
    assert server.get().text == '"one"'


def test_a_server_started_at_import_is_explained(serve: Serve) -> None:
    source = dedent(FASTAPI).replace("START", "pass")
    server = serve({"main.py": source + "import uvicorn\nuvicorn.run(app, port=0)\n"}, "main:app")
    answer = server.wait_for_text("starts a server of its own (uvicorn)")
    assert answer.status == 503
    assert '`if __name__ == "__main__":`' in answer.text
    server.edit("main.py", source + "if __name__ == '__main__':\n    import uvicorn\n    uvicorn.run(app, port=0)\n")
    server.wait_for_text('"one"')


# --- the others ---

HELLO = {
    "Starlette": """
        from starlette.applications import Starlette
        from starlette.responses import PlainTextResponse
        from starlette.routing import Route
        async def index(request): return PlainTextResponse("one")
        app = Starlette(routes=[Route("/", index)])
    """,
    "Quart": """
        from quart import Quart
        app = Quart(__name__)
        @app.get("/")
        async def index(): return "one"
    """,
    "Litestar": """
        from litestar import Litestar, MediaType, get
        @get("/", media_type=MediaType.TEXT)
        async def index() -> str: return "one"
        app = Litestar([index])
    """,
    "Falcon": """
        import falcon
        class Index:
            def on_get(self, request, response): response.text = "one"
        app = falcon.App()
        app.add_route("/", Index())
    """,
    "Falcon, async": """
        import falcon.asgi
        class Index:
            async def on_get(self, request, response): response.text = "one"
        app = falcon.asgi.App()
        app.add_route("/", Index())
    """,
    "Pyramid": """
        from pyramid.config import Configurator
        from pyramid.response import Response
        def index(request): return Response("one")
        with Configurator() as config:
            config.add_route("index", "/")
            config.add_view(index, route_name="index")
            app = config.make_wsgi_app()
    """,
}


@pytest.mark.parametrize("framework", list(HELLO))
def test_hello_world(serve: Serve, framework: str) -> None:
    server = serve({"app.py": HELLO[framework]})
    assert re.search(rf"  app:app  {framework.partition(',')[0]} \d", server.log)
    assert server.get().text == "one"
    server.edit("app.py", HELLO[framework].replace('"one"', '"two"'))
    server.wait_for_text("two")
    assert server.stop() == 0


# --- what apps do while they are imported ---

APP = """
from flask import Flask
app = Flask(__name__)

@app.get("/")
def index():
    return "one"
"""
ASGI_APP = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    body = await VIEWS[scope["path"]]()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body.encode()})

async def index():
    return "one"

VIEWS = {"/": index}
"""


def restarts(server: DevServer) -> None:
    """A save brings new code, and the end is a good one."""
    replace(server, "app.py", '"one"', '"two"')
    server.wait_for_text("two")
    assert server.stop() == 0


@pytest.mark.parametrize(
    "habit",
    [
        "import asyncio\nasyncio.run(asyncio.sleep(0))",
        "import os\nos.chdir('/')",
        "import signal\nfor number in (signal.SIGINT, signal.SIGTERM):\n    signal.signal(number, lambda *args: None)",
        "import signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)",
        "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--debug')\nparser.parse_args()",
        "import logging\nlogging.basicConfig(level=logging.DEBUG)",
        "import sys\nsys.setrecursionlimit(200)",
        "import sys\nsys.stdout = sys.stderr = open('output.txt', 'a')",
        "import socket\nsocket.setdefaulttimeout(1)",
        "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))",
        "import os\nos.environ.clear()",
        "import builtins\nbuiltins.print = None",
        "import time\ntime.time = lambda: 0.0",
    ],
    ids=lambda habit: str(habit).splitlines()[-1][:40],
)
@pytest.mark.parametrize("source", [APP, ASGI_APP], ids=["wsgi", "asgi"])
def test_habits(serve: Serve, habit: str, source: str) -> None:
    server = serve({"app.py": f"{source}\n{habit}\n"})
    assert server.get().text == "one"
    restarts(server)


def test_paths_that_the_app_adds(serve: Serve) -> None:
    paths = "import os, sys\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))\nsys.path.append('vendor')\n"
    files = {"lib/inner.py": "TEXT = 'lib'", "vendor/outer.py": "TEXT = 'vendor'"}
    source = paths + "import inner, outer\n" + APP.replace('"one"', "inner.TEXT + ' ' + outer.TEXT")
    server = serve({"app.py": source, **files})
    assert server.get().text == "lib vendor"
    server.edit("lib/inner.py", "TEXT = 'library'")
    server.wait_for_text("library vendor")
    server.edit("vendor/outer.py", "TEXT = 'other'")
    server.wait_for_text("library other")


def test_the_module_is_imported_once_and_not_as_a_script(serve: Serve) -> None:
    source = "import atexit\nprint('imported as', __name__)\natexit.register(print, 'left')\n" + APP
    server = serve({"app.py": source + "if __name__ == '__main__':\n    print('run as a script')\n"})
    assert server.log.count("imported as app\n") == 1
    restarts(server)
    assert server.log.count("imported as app\n") == 2
    assert server.log.count("left\n") == 2  # by the old server and the new one
    assert "run as a script" not in server.log


def test_what_the_import_left_on_its_event_loop_runs(serve: Serve) -> None:
    """Objects that were made with `get_event_loop()` belong to the loop that serves."""
    source = """
import asyncio, warnings
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # from Python 3.12 on
    loop = asyncio.get_event_loop()
ticks = []
async def tick():
    while True:
        ticks.append(1)
        await asyncio.sleep(0.001)
task = loop.create_task(tick())
async def same():
    return f"{asyncio.get_running_loop() is loop} {bool(ticks)}"
"""
    server = serve({"app.py": source + ASGI_APP.replace('{"/": index}', '{"/": index, "/same": same}')})
    server.wait_for_text("True True", "/same")
    restarts(server)


def test_a_task_without_a_loop_is_explained(serve: Serve) -> None:
    source = "import asyncio\nasync def work(): ...\ncoroutine = work()\nasyncio.get_running_loop()\n"
    server = serve({"app.py": source + ASGI_APP})
    assert "No event loop runs yet" in page(server, "RuntimeError: no running event loop").text


def test_input_without_a_terminal_is_explained(serve: Serve) -> None:
    server = serve({"app.py": f"name = input('your name? ')\n{APP}"})
    assert "input() has nobody to ask" in page(server, "EOFError").text


POOLS = {
    "a pool from the start": """
        import multiprocessing
        pool = multiprocessing.get_context("fork").Pool(2)
        def squares():
            return pool.map(square, [1, 2, 3])
    """,
    "a pool of forks": """
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor
        def squares():
            with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
                return list(pool.map(square, [1, 2, 3]))
    """,
    "fresh interpreters": """
        import multiprocessing
        def squares():
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                return pool.map(square, [1, 2, 3])
    """,
    "a fork server": """
        import multiprocessing
        def squares():
            with multiprocessing.get_context("forkserver").Pool(1) as pool:
                return pool.map(square, [1, 2, 3])
    """,
}


@pytest.mark.parametrize("pool", list(POOLS))
def test_processes_of_the_app(serve: Serve, pool: str) -> None:
    work = "def square(number):\n    return number * number\n" + dedent(POOLS[pool])
    server = serve({"app.py": work + APP + "@app.get('/squares')\ndef view():\n    return squares()\n"})
    assert json.loads(server.get("/squares").text) == [1, 4, 9]
    restarts(server)


def test_logging_of_the_app_is_left_alone(serve: Serve) -> None:
    setup = "import logging\nlogging.basicConfig(level=logging.INFO, format='%(name)s says %(message)s')\n"
    server = serve({"app.py": setup + APP.replace("return", "app.logger.info('hello')\n    return")})
    server.get()
    server.wait_for_log("app says hello")
    assert not re.search("(asyncio|uvicorn|watchfiles|devserver).* says ", server.log)


def test_an_interrupt_handler_of_the_app_is_not_asked(serve: Serve) -> None:
    """Ctrl-C is for the command, which ends the server in order."""
    source = "import signal\nsignal.signal(signal.SIGINT, lambda *args: print('my own handler'))\n" + APP
    server = serve({"app.py": source})
    assert server.stop(signal.SIGINT) == 0
    assert "my own handler" not in server.log


@pytest.fixture(autouse=True)
def _no_settings_of_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DJANGO_SETTINGS_MODULE", "FLASK_DEBUG", "FLASK_APP"):
        monkeypatch.delenv(name, raising=False)
