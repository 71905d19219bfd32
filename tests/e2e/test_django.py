"""What a project and its apps expect of Django's own server, one by one: they are to notice no difference."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from textwrap import dedent

import pytest

from tests.e2e.harness import DevServer, Serve, write
from tests.e2e.test_reload_frameworks import DJANGO

pytestmark = [pytest.mark.e2e, pytest.mark.either_kind]

Start = Callable[..., DevServer]


@pytest.fixture
def start(serve: Serve, kind: str) -> Start:
    def start(files: dict[str, str], *arguments: str, **more: object) -> DevServer:
        server: DevServer = serve({**DJANGO, **files}, f"site_one.{kind}:application", *arguments, **more)
        return server

    return start


# --- apps that watch files, or want to hear of changes: django-browser-reload, Tailwind's helpers ---

WATCHING = {
    "blog/__init__.py": "",
    "blog/apps.py": """
        from pathlib import Path
        from django.apps import AppConfig
        from django.dispatch import receiver
        from django.utils.autoreload import autoreload_started, file_changed

        PROJECT = Path(__file__).parent.parent

        @receiver(autoreload_started)
        def watch(sender, **arguments):
            sender.watch_dir(PROJECT / "content", "**/*.md")
            sender.watch_dir(PROJECT / "other [1]", "*.txt")
            sender.extra_files.add(PROJECT / "rules.toml")

        @receiver(file_changed)
        def changed(sender, file_path, **arguments):
            print("changed:", file_path.relative_to(PROJECT), flush=True)
            return file_path.suffix == ".md"

        class BlogConfig(AppConfig):
            name = "blog"
    """,
    "content/deep/post.md": "one",
    "content/picture.png": "one",
    "other [1]/note.txt": "one",
    "rules.toml": "one",
}


def other_than(pid: str, server: DevServer) -> str:
    """The pid of the process that answers now, if it is another one."""
    now = server.get("/pid").text
    return now if now != pid else ""


def test_apps_watch_files_of_their_own(start: Start) -> None:
    server = start(WATCHING)
    pid = server.get("/pid").text
    server.edit("content/deep/post.md", "two")
    server.wait_for_log("changed: content/deep/post.md")
    server.edit("content/picture.png", "two")  # nobody asked for it
    write(server.project, {"content/new/other.md": "new"})
    server.wait_for_log("changed: content/new/other.md")
    assert server.get("/pid").text == pid, "a receiver has dealt with it"
    assert "picture.png" not in server.log
    for name in ("other [1]/note.txt", "rules.toml"):
        server.edit(name, "two")
        server.wait_for_log(re.escape(f"changed: {name}"))
        pid = server.wait_for(partial(other_than, pid, server), "a load: nobody had another answer")


READING = """
    from pathlib import Path
    from django.apps import AppConfig
    from django.dispatch import receiver
    from django.utils.autoreload import autoreload_started, file_changed
    from blog import views

    PROJECT = Path(__file__).parent.parent

    @receiver(autoreload_started)
    def watch(sender, **arguments):
        sender.watch_dir(PROJECT / "content", "a/**/*.md")
        sender.watch_dir(PROJECT / "flat", "*")

    @receiver(file_changed)
    def changed(sender, file_path, **arguments):
        if file_path.suffix == ".md":
            views.TEXTS[file_path.name] = file_path.read_text()
            print("read:", views.TEXTS[file_path.name], flush=True)
            return True

    class BlogConfig(AppConfig):
        name = "blog"
"""
TEXTS = """
    from pathlib import Path
    from django.http import HttpResponse

    TEXTS = {}

    def index(request):
        name = request.GET["name"]
        if name not in TEXTS:
            TEXTS[name] = next(Path("content").rglob(name)).read_text()
        return HttpResponse(TEXTS[name])
    hello = index
"""


def test_what_a_view_or_the_receiver_itself_has_read_is_dealt_with_each_time(start: Start) -> None:
    files = {"blog/apps.py": READING, "blog/views.py": TEXTS, "content/a/x.md": "one", "content/a/b/c/y.md": "one"}
    server = start({**files, "flat/deep/other.txt": "one", "flat/note.txt": "one"})
    pid = server.get("/pid").text
    for name in ("content/a/x.md", "content/a/b/c/y.md"):
        path = f"/?name={name.rpartition('/')[2]}"
        assert server.get(path).text == "one"
        for text in ("two", "three", "four"):
            server.edit(name, f"{text} of {name}")
            server.wait_for_text(f"{text} of {name}", path)
    server.edit("flat/deep/other.txt", "two")  # a star means what lies right in the folder
    server.edit("content/a/x.md", "last")
    server.wait_for_log("read: last")
    assert server.get("/pid").text == pid
    server.edit("flat/note.txt", "two")
    server.wait_for(partial(other_than, pid, server), "a load: nobody has dealt with it")


def test_apps_hear_of_templates(start: Start) -> None:
    server = start(WATCHING)
    pid = server.get("/pid").text
    assert server.get("/").text == "base one index one"
    server.edit("blog/templates/blog/base.html", "base two {% block body %}{% endblock %}")
    server.wait_for_log("changed: blog/templates/blog/base.html")
    assert server.get("/").text == "base two index one"
    assert server.get("/pid").text == pid


def test_a_receiver_that_raises_is_told_and_harms_nobody(start: Start) -> None:
    raising = WATCHING["blog/apps.py"].replace(
        'print("changed', 'raise ValueError("of the receiver")\n            print("changed'
    )
    server = start({**WATCHING, "blog/apps.py": raising})
    pid = server.get("/pid").text
    server.edit("content/deep/post.md", "two")
    server.wait_for_log("ValueError: of the receiver")
    server.wait_for(partial(other_than, pid, server), "a load")


# --- lines about requests ---

LOGGING = """
    LOGGING = {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"no_assets": {"()": "site_one.settings.NoAssets"}},
        "formatters": {"mine": {"format": "mine {server_time} {status_code} {levelname} {message}", "style": "{"}},
        "handlers": {"mine": {"class": "logging.StreamHandler", "formatter": "mine", "filters": ["no_assets"]}},
        "loggers": {"django.server": {"handlers": ["mine"], "level": "INFO", "propagate": False}},
    }

    class NoAssets:
        def filter(self, record):
            return not record.args[0].startswith("GET /assets/")
"""


def test_requests_are_logged_as_the_project_says(start: Start) -> None:
    settings = DJANGO["site_one/settings.py"] + LOGGING
    server = start({"site_one/settings.py": settings})
    server.get("/assets/a.css")
    server.get("/?a=1")
    server.get("/missing")
    day = r"mine \d\d/\w{3}/\d{4} \d\d:\d\d:\d\d"
    server.wait_for_log(rf'{day} 200 INFO "GET /\?a=1 HTTP/1.1" 200 18')
    server.wait_for_log(rf'{day} 404 WARNING "GET /missing HTTP/1.1" 404 \d+')
    assert "GET /assets/" not in server.log, "the filter of the project"
    assert "GET /?a=1  200" not in server.log, "once is enough"


@pytest.mark.parametrize("configures", ["LOGGING", "LOGGING_CONFIG"])
def test_errors_of_the_projects_logging_are_told(start: Start, configures: str) -> None:
    logging = LOGGING.replace('.startswith("GET /assets/")', "[0].no_such_attribute")
    if configures == "LOGGING_CONFIG":
        logging = logging.replace('"()": "site_one.settings.NoAssets"', '"()": NoAssets')
        before, _, after = logging.partition("    class NoAssets")
        logging = f"    class NoAssets{after}{before}    LOGGING_CONFIG = None\n"
        logging += "    from logging.config import dictConfig\n    dictConfig(LOGGING)\n"
    server = start({"site_one/settings.py": DJANGO["site_one/settings.py"] + logging})
    server.get("/")
    server.wait_for_log("AttributeError: 'str' object has no attribute 'no_such_attribute'")
    assert "GET /  200" not in server.log


# --- the sheet of an error ---


def test_an_error_shows_queries_and_settings(start: Start) -> None:
    settings = DJANGO["site_one/settings.py"].replace(
        '["blog"]',
        """["blog", "django.contrib.contenttypes", "django.contrib.sessions"]
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
    API_TOKEN = "hush-hush"
    SHOP_NAME = "Corner <shop>"
    """,
    )
    view = """
        from django.contrib.sessions.models import Session
        from django.db import connection
        from django.http import HttpResponse

        def index(request):
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 + %s", [41])
                cursor.execute("SELECT 1 WHERE 'session_key' = 'abcd" + "efgh'")
            return 1 / 0

        def hello(request):
            return HttpResponse("hello")
    """
    server = start({"site_one/settings.py": settings, "blog/views.py": view})
    page = server.get("/", accept="text/html").text
    assert "ZeroDivisionError" in page
    assert "Database: 2 queries" in page
    assert "SELECT 1 + 41" in page
    assert "Corner &lt;shop&gt;" in page
    assert "DJANGO_SETTINGS_MODULE" in page
    assert "hush-hush" not in page
    assert "abcdefgh" not in page
    again = server.get("/", accept="text/html").text
    assert "Database: 2 queries" in again, "those of this request, and no others"


# --- databases ---

DATABASE = """["blog", "django.contrib.contenttypes"]
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3", "ATOMIC_REQUESTS": True}}
    DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
    """
COUNTING = {
    "site_one/settings.py": DJANGO["site_one/settings.py"].replace('["blog"]', DATABASE),
    "blog/models.py": """
        from django.db import models

        class Note(models.Model):
            text = models.TextField()
    """,
    "blog/migrations/__init__.py": "",
    "blog/views.py": """
        from django.http import HttpResponse
        from blog.models import Note

        def index(request):
            return HttpResponse(f"{Note.objects.count()} notes")

        def hello(request):
            Note.objects.create(text="kept only if all goes well")
            return HttpResponse(1 / ("fine" in request.GET))
    """,
}


def manage(server: DevServer, *command: str) -> None:
    """As in another terminal."""
    environment = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "site_one.settings"}
    command = (sys.executable, "-m", "django", *command)
    subprocess.run(command, cwd=server.project, env=environment, check=True, timeout=60, capture_output=True)


def test_tables_are_made_while_it_serves(start: Start) -> None:
    server = start(COUNTING)
    assert "no such table" in server.get("/", accept="text/html").text
    manage(server, "makemigrations", "blog")
    manage(server, "migrate")
    assert server.wait_for_text("0 notes").status == 200
    assert server.get("/hello?fine").status == 200
    assert server.get("/hello").status == 500
    assert server.get("/").text == "1 notes", "a request that fails is rolled back"
    longer = COUNTING["blog/models.py"].replace(
        "TextField()", "TextField()\n            is_new = models.BooleanField(default=True)"
    )
    server.edit("blog/models.py", dedent(longer))
    server.wait_for_text("no such column", accept="text/html", path="/hello?fine")
    manage(server, "makemigrations", "blog")
    manage(server, "migrate")
    before = int(server.get("/").text.split()[0])
    server.wait_for(lambda: server.get("/hello?fine").status == 200, "the new column")
    assert server.get("/").text == f"{before + 1} notes"


def test_an_app_that_asks_and_starts_a_thread_when_it_is_ready(start: Start) -> None:
    """Schedulers are started like that. The queries need tables, and `ready` runs in each new process."""
    apps = """
        import threading
        from django.apps import AppConfig

        class BlogConfig(AppConfig):
            name = "blog"

            def ready(self):
                from django.db import connection
                print("tables:", len(connection.introspection.table_names()), flush=True)
                threading.Thread(target=threading.Event().wait, daemon=True, name="scheduler").start()
    """
    server = start({**COUNTING, "blog/apps.py": apps})
    manage(server, "migrate", "contenttypes")
    for number in range(1, 4):
        source = COUNTING["blog/views.py"].replace("notes", f"notes {number}")
        server.edit("blog/views.py", dedent(source))
        server.wait_for_log(r"blog/views.py changed: \w+", count=number)
    manage(server, "makemigrations", "blog")
    manage(server, "migrate")
    server.wait_for_text("0 notes 3")


def test_collectstatic_while_it_serves(start: Start) -> None:
    settings = DJANGO["site_one/settings.py"].replace(
        '["blog"]',
        '["django.contrib.staticfiles", "blog"]\n    STATIC_URL = "/static/"\n    STATIC_ROOT = BASE_DIR / "collected"',
    )
    server = start({"site_one/settings.py": settings, "blog/static/blog/site.css": "one"})
    pid = server.get("/pid").text
    assert server.get("/static/blog/site.css").text == "one"
    manage(server, "collectstatic", "--no-input")
    assert (server.project / "collected/blog/site.css").read_text() == "one"
    server.edit("blog/static/blog/site.css", "two")
    assert server.get("/static/blog/site.css").text == "two", "by the finders, not from STATIC_ROOT"
    assert server.get("/pid").text == pid


def test_an_app_is_started_while_it_serves(start: Start) -> None:
    server = start({})
    manage(server, "startapp", "shop")
    server.edit("site_one/settings.py", dedent(DJANGO["site_one/settings.py"].replace('["blog"]', '["blog", "shop"]')))
    server.edit(
        "shop/views.py",
        "from django.http import HttpResponse\n\ndef index(request):\n    return HttpResponse('a shop')\n",
    )
    urls = dedent(DJANGO["site_one/urls.py"])
    server.edit(
        "site_one/urls.py",
        urls.replace("from blog import views", "from blog import views\nfrom shop import views as shop").replace(
            'path("", ', 'path("shop", shop.index), path("", '
        ),
    )
    server.wait_for_text("a shop", "/shop")
    server.edit(
        "shop/views.py",
        "from django.http import HttpResponse\n\ndef index(request):\n    return HttpResponse('two shops')\n",
    )
    server.wait_for_text("two shops", "/shop")


def test_async_views_and_streams(start: Start) -> None:
    """Each kind of view by each interface."""
    view = """
        import asyncio, time
        from django.http import HttpResponse, StreamingHttpResponse

        async def index(request):
            await asyncio.sleep(0)
            if "stream" not in request.GET:
                return HttpResponse("async")
            async def pieces():
                for number in range(3):
                    await asyncio.sleep(0)
                    yield f"a{number} "
            return StreamingHttpResponse(pieces())

        def hello(request):
            if "stream" not in request.GET:
                return HttpResponse("sync")
            def pieces():
                for number in range(3):
                    time.sleep(0.001)
                    yield f"s{number} "
            return StreamingHttpResponse(pieces())
    """
    server = start({"blog/views.py": view})
    assert [server.get(path).text for path in ("/", "/hello", "/?stream", "/hello?stream")] == [
        "async",
        "sync",
        "a0 a1 a2 ",
        "s0 s1 s2 ",
    ]


def test_a_prefix_of_the_urls(start: Start) -> None:
    settings = DJANGO["site_one/settings.py"] + '    FORCE_SCRIPT_NAME = "/under"\n    USE_X_FORWARDED_HOST = True\n'
    view = """
        from django.http import HttpResponse
        from django.urls import reverse

        def index(request):
            return HttpResponse(request.build_absolute_uri(reverse(hello)))

        def hello(request):
            return HttpResponse("hello")
    """
    server = start({"site_one/settings.py": settings, "blog/views.py": view})
    assert server.get("/", x_forwarded_host="shop.test").text == "http://shop.test/under/hello"


# --- templates by other ways than usual ---

JINJA2 = """
        "BACKEND": "django.template.backends.jinja2.Jinja2",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
"""
OWN_LOADER = """
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {"loaders": [("django.template.loaders.cached.Loader", [("site_one.loaders.Loader", [BASE_DIR / "pages"])])]},
"""


@pytest.mark.parametrize(("backend", "name"), [(JINJA2, "blog/jinja2/page.html"), (OWN_LOADER, "pages/page.html")])
def test_templates_of_other_backends_and_loaders(start: Start, backend: str, name: str) -> None:
    settings = DJANGO["site_one/settings.py"].partition("    TEMPLATES")[0] + f"    TEMPLATES = [{{{backend}    }}]\n"
    loader = """
        from django.template.loaders.filesystem import Loader as Base

        class Loader(Base):
            def get_contents(self, origin):
                return super().get_contents(origin).upper()
    """
    view = """
        from django.shortcuts import render

        def index(request):
            return render(request, "page.html")
        hello = index
    """
    files = {"site_one/settings.py": settings, "site_one/loaders.py": loader, "blog/views.py": view, name: "page one"}
    server = start(files)
    pid = server.get("/pid").text
    assert server.get("/").text.lower() == "page one"
    server.edit(name, "page two")
    server.wait_for(lambda: server.get("/").text.lower() == "page two", "the edited template")
    assert server.get("/pid").text == pid


# --- how an app is started, and what has a server of its own ---


def test_apps_see_that_they_run_under_a_reloader(start: Start) -> None:
    apps = """
        import os, sys
        from django.apps import AppConfig

        class BlogConfig(AppConfig):
            name = "blog"

            def ready(self):
                print("ready:", os.environ.get("RUN_MAIN"), flush=True)
    """
    server = start({"blog/apps.py": apps}, env={"DJANGO_RUNSERVER_HIDE_WARNING": "true"})
    server.wait_for_log("ready: true")
    server.wait_for_log("loaded")
    assert "not for production" not in server.log


@pytest.mark.parametrize(
    "installed", ['"django.contrib.staticfiles"', '"devserver.django", "django.contrib.staticfiles"']
)
def test_the_test_runner_has_servers_of_its_own(project: Path, installed: str) -> None:
    settings = DJANGO["site_one/settings.py"].replace(
        '["blog"]',
        f"""[{installed}, "blog"]
    STATIC_URL = "/static/"
    DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}}}""",
    )
    tests = """
        from urllib.request import urlopen
        from django.contrib.staticfiles.testing import StaticLiveServerTestCase

        class LiveTests(StaticLiveServerTestCase):
            def test_page_and_file(self):
                for path, text in (("/", b"base one index one"), ("/static/blog/site.css", b"a {}")):
                    with urlopen(self.live_server_url + path) as answer:
                        self.assertEqual(answer.read(), text)
    """
    write(
        project,
        {**DJANGO, "site_one/settings.py": settings, "blog/tests.py": tests, "blog/static/blog/site.css": "a {}"},
    )
    environment = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "site_one.settings"}
    done = subprocess.run(
        [sys.executable, "-m", "django", "test"],
        cwd=project,
        env=environment,
        timeout=60,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Ran 1 test" in done.stderr
