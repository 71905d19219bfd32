"""Connections that a load opens or uses: no two processes ever share one, and those of Django cut no chain. Channels, too."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import django
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.e2e.chained import needs_checkpoints
from tests.e2e.harness import DEADLINE_S, DevServer, Serve
from tests.e2e.resuming import FILES, WEIGHT, Resume, Resuming, begin, parse

pytestmark = [pytest.mark.e2e, needs_checkpoints]


# --- PostgreSQL ---


@dataclass(frozen=True, slots=True)
class Cluster:
    """A PostgreSQL server of this test run's own. Listens on a Unix socket in `folder` alone."""

    folder: str

    @property
    def conninfo(self) -> str:
        return f"host={self.folder} user=postgres dbname=postgres"


def command(name: str) -> str:
    """Debian keeps these commands off the PATH, a folder for each release."""
    found = shutil.which(name) or next(map(str, sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None)
    if found is None:
        pytest.fail(f"{name} is missing: make debian-test installs the Debian package postgresql")
    return found


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    folder = tempfile.mkdtemp(prefix="pg", dir="/tmp")  # paths of Unix sockets must be short
    # PostgreSQL refuses to run as root.
    user = "nobody" if os.getuid() == 0 else None
    if user is not None:
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)

    def run(*arguments: str) -> None:
        done = subprocess.run(
            arguments,
            cwd="/",
            user=user,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    data, options = f"{folder}/data", f"-k {folder} -c listen_addresses= -c fsync=off"
    run(command("initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8")
    run(command("pg_ctl"), "-D", data, "-o", options, "-l", f"{folder}/log", "-w", "start")
    yield Cluster(folder)
    run(command("pg_ctl"), "-D", data, "-m", "immediate", "-w", "stop")
    shutil.rmtree(folder)


CONNECTION = """
    import psycopg, threading
    connection = psycopg.connect("CONNINFO", autocommit=True)
    until = threading.Event()
    def backend():
        return connection.execute("select pg_backend_pid()").fetchone()[0]
    def slow():
        with open("GATE") as gate:
            gate.read()
        return backend()
"""


def test_a_connection_made_at_import_is_never_shared(serve: Serve, cluster: Cluster, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    resuming = Resuming(serve(FILES, "app:application", "--no-access-log"))
    begin(resuming)
    resuming.put(CONNECTION.replace("CONNINFO", cluster.conninfo).replace("GATE", str(gate)))
    seen = [resuming.ask("backend")]
    for _ in range(2):
        with ThreadPoolExecutor(1) as executor:
            answer = executor.submit(resuming.ask, "slow")
            with gate.open("w"):  # the request is in the old server, which waits for the end of the file
                resumed = resuming.resume()
                seen.append(resuming.ask("backend"))
            # Both connections are in use at once, each by its own process.
            assert answer.result(DEADLINE_S) == seen[-2]
        assert (resumed.ran, resumed.modules) == (3, 5)
        assert re.fullmatch(r"an open socket( \(.*\))?", resumed.reason), resumed
    assert len(set(seen)) == 3


# --- Django ---

DJANGO = {
    "before.py": WEIGHT,
    "site_one/__init__.py": "",
    "site_one/settings.py": """
        SECRET_KEY = "x"
        DEBUG = True
        ROOT_URLCONF = "site_one.urls"
        INSTALLED_APPS = [MORE"blog"]
        DATABASES = {"default": DATABASE}
        ASGI_APPLICATION = "site_one.asgi.application"
    """,
    "site_one/wsgi.py": """
        import os
        from django.core.wsgi import get_wsgi_application
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_one.settings")
        application = get_wsgi_application()
    """,
    "site_one/urls.py": """
        import before
        from django.urls import path
        from blog import views
        urlpatterns = [path("", views.index)]
    """,
    "blog/__init__.py": "",
    "blog/apps.py": """
        from django.apps import AppConfig
        class BlogConfig(AppConfig):
            name = "blog"
            def ready(self):
                import time
                from django.db import connection
                with connection.cursor() as cursor:
                    cursor.execute("select 1")
                    self.at_load = id(connection.connection)
    """,
    "blog/views.py": """
        from django.db import connection
        from django.http import HttpResponse

        def index(request):
            with connection.cursor() as cursor:
                cursor.execute("QUERY")
                return HttpResponse(f"WORD {cursor.fetchone()[0]}")
    """,
}


IN_USE = """
    from django.apps import AppConfig
    class BlogConfig(AppConfig):
        name = "blog"
        def ready(self):
            from django.db import connection, transaction
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute("create temporary table kept (word text)")
                    cursor.execute("insert into kept values ('zero'), ('one'), ('two')")
                import blog.first  # frozen before, if it could be
                with connection.cursor() as cursor:
                    cursor.execute("select word from kept order by word")
                    import blog.second
                    self.words = [word for word, in cursor]
"""


def database_of(vendor: str, request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, object]:
    """Django's settings of a database of that kind."""
    engine = f"django.db.backends.{vendor.partition(',')[0]}"
    database: dict[str, object] = {"ENGINE": engine, "NAME": str(tmp_path / "base.sqlite"), "CONN_MAX_AGE": None}
    if vendor.startswith("postgresql"):
        cluster: Cluster = request.getfixturevalue("cluster")
        database |= {"NAME": "postgres", "USER": "postgres", "HOST": cluster.folder}
    if vendor.endswith("pool"):
        database |= {"CONN_MAX_AGE": 0, "OPTIONS": {"pool": True}}
    return database


def with_settings(files: Mapping[str, str], database: Mapping[str, object], more_apps: str = "") -> dict[str, str]:
    settings = files["site_one/settings.py"].replace("DATABASE}", f"{database!r}}}").replace("MORE", more_apps)
    return {**files, "site_one/settings.py": settings}


@pytest.mark.parametrize("vendor", ["postgresql", "postgresql, a pool", "sqlite3"])
def test_djangos_own_connection_cuts_no_chain(
    serve: Serve, request: pytest.FixtureRequest, tmp_path: Path, vendor: str
) -> None:
    if "pool" in vendor and django.VERSION < (5, 1):
        pytest.skip("Django has pools from 5.1 on")
    files = with_settings(DJANGO, database_of(vendor, request, tmp_path))
    views = files["blog/views.py"].replace("QUERY", "select pg_backend_pid()" if "postgresql" in vendor else "select 7")
    files["blog/views.py"] = views.replace("WORD", "one")
    server = serve(files, "site_one.wsgi:application", "--no-access-log")
    backends = [server.get().text.split()[1]]
    for number, word in enumerate(("two", "three"), 1):
        server.edit("blog/views.py", views.replace("WORD", word))
        resumed = wait_for_resume(server, "blog/views.py", number)
        backends.append(server.wait_for_text(word).text.split()[1])
    assert (resumed.ran, resumed.reason) == (1, ""), server.log
    assert len(set(backends)) == (3 if "postgresql" in vendor else 1)


@pytest.mark.parametrize("vendor", ["postgresql", "sqlite3"])
def test_a_connection_of_djangos_that_is_in_use_is_not_closed(
    serve: Serve, request: pytest.FixtureRequest, tmp_path: Path, vendor: str
) -> None:
    files = with_settings(DJANGO, database_of(vendor, request, tmp_path))
    files |= {"blog/apps.py": IN_USE, "blog/first.py": WEIGHT, "blog/second.py": WEIGHT}
    views = """
        from django.apps import apps
        from django.http import HttpResponse
        def index(request):
            return HttpResponse("WORD " + "-".join(apps.get_app_config("blog").words))
    """
    files["blog/views.py"] = views.replace("WORD", "one")
    server = serve(files, "site_one.wsgi:application", "--no-access-log")
    assert server.get().text == "one one-two-zero"
    for number in (1, 2):
        for name in ("first", "second"):
            server.edit(f"blog/{name}.py", f"{dedent(WEIGHT)}# {number}\n")
            wait_for_resume(server, f"blog/{name}.py", number)
            assert server.get().text.endswith(" one-two-zero"), server.log
        server.edit("blog/views.py", views.replace("WORD", f"save {number}"))
        resumed = wait_for_resume(server, "blog/views.py", number)
        assert server.get().text == f"save {number} one-two-zero"
    assert (resumed.ran, resumed.reason) == (1, ""), server.log


def wait_for_resume(server: DevServer, name: str, count: int) -> Resume:
    """The change line of this file's save number `count`, in its parts."""
    match = server.wait_for_log(rf"{re.escape(name)} changed: (.*)\n", count=count)
    return parse(name, match[1], server.log)


# --- Channels ---

CHANNELS = {
    **DJANGO,
    "blog/apps.py": "",
    "blog/views.py": DJANGO["blog/views.py"].replace("QUERY", "select 7").replace("WORD", "one"),
    "site_one/asgi.py": """
        import os
        from channels.routing import ProtocolTypeRouter, URLRouter
        from django.core.asgi import get_asgi_application
        from django.urls import path
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_one.settings")
        django_app = get_asgi_application()
        import before
        from blog.consumers import Echo
        application = ProtocolTypeRouter({
            "http": django_app, "websocket": URLRouter([path("echo/", Echo.as_asgi())]),
        })
    """,
    "blog/consumers.py": """
        from channels.generic.websocket import WebsocketConsumer

        class Echo(WebsocketConsumer):
            def receive(self, text_data=None, bytes_data=None):
                self.send(text_data=f"WORD {text_data}")
    """,
    "manage.py": """
        import os
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_one.settings")
    """,
}


def test_a_channels_project_with_daphne_is_resumed(
    serve: Serve, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    files = with_settings(CHANNELS, database_of("sqlite3", request, tmp_path), "'daphne', 'channels', ")
    consumers = files["blog/consumers.py"]
    files["blog/consumers.py"] = consumers.replace("WORD", "one")
    server = serve(files, "--no-access-log")
    assert server.get().text == "one 7"
    url = f"ws://{server.host}:{server.port}/echo/"
    for number, (old, new) in enumerate((("one", "two"), ("two", "three")), 1):
        with connect(url, open_timeout=DEADLINE_S) as socket:
            socket.send("x")
            assert socket.recv(DEADLINE_S) == f"{old} x"
            server.edit("blog/consumers.py", consumers.replace("WORD", new))
            resumed = wait_for_resume(server, "blog/consumers.py", number)
            with suppress(ConnectionClosed):
                socket.recv(DEADLINE_S)
        assert socket.close_code == 1012
    # The URLconf and the views are loaded after the consumers.
    assert (resumed.ran, resumed.reason) == (3, ""), server.log
    with connect(url, open_timeout=DEADLINE_S) as socket:
        socket.send("x")
        assert socket.recv(DEADLINE_S) == "three x"
