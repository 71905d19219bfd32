"""What stands around the app, by the real command: host check, internal pages, request log, static files."""

from __future__ import annotations

import gc
import http.client
import re
from contextlib import closing
from textwrap import dedent

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.e2e.harness import DEADLINE_S, Answer, DevServer, Serve

MIB = 1 << 20


def raw(server: DevServer, request: bytes) -> bytes:
    """All that comes back for these bytes, on a connection of its own."""
    with server.connect() as client:
        client.sendall(request)
        answer = b""
        while data := client.recv(65536):
            answer += data
    return answer


def as_host(server: DevServer, host: str, path: str = "/", **headers: str) -> Answer:
    return server.get(path, Host=host, **headers)


# --- host check ---


def test_hosts(serve: Serve, app: str) -> None:
    server = serve({"app.py": app}, "app:application", "--allowed-host", "my.test", "--allowed-host", ".dev.test")
    port = server.port
    for host in (
        f"127.0.0.1:{port}",
        f"localhost:{port}",
        "shop.localhost",
        "[::1]",
        "my.test",
        "a.dev.test",
        "10.1.2.3",
    ):
        assert as_host(server, host).text == "one", host
    for host in (
        "evil.example",
        f"evil.example:{port}",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "other.test",
    ):
        answer = as_host(server, host)
        assert answer.status == 403, host
        assert f"--allowed-host {host.partition(':')[0]}" in answer.text
        assert "one" not in answer.text
    server.wait_for_log(r"GET /  403", count=5)
    for host in ("", "a b", "a/b", "user@localhost", "localhost:99999", "[::1"):
        assert as_host(server, host).status == 400, host
    twice = raw(server, b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
    assert twice.startswith(b"HTTP/1.1 400")
    without = raw(server, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert without.startswith(b"HTTP/1.1 400")
    absolute = raw(server, b"GET http://localhost/ HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
    assert absolute.startswith(b"HTTP/1.1 403")


def test_a_websocket_of_a_foreign_host_is_refused(serve: Serve) -> None:
    source = """
        async def application(scope, receive, send):
            assert scope["type"] == "websocket"
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close"})
    """
    server = serve({"app.py": source}, "app:application")
    sock = server.connect()
    with pytest.raises(InvalidStatus) as raised, connect("ws://evil.example/ws", sock=sock, proxy=None):
        pass
    sock.close()
    assert raised.value.response.status_code == 403
    server.wait_for_log(r"WS /ws  403")


# --- internal pages ---


def test_the_state_is_for_our_own_pages(serve: Serve, app: str) -> None:
    server = serve({"app.py": app}, "app:application")
    own = f"http://{server.host}:{server.port}"
    cases: list[tuple[dict[str, str], int]] = [
        ({}, 200),
        ({"Origin": own, "Sec_Fetch_Site": "same-origin"}, 200),
        ({"Sec_Fetch_Site": "none"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": own, "Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, 403),
    ]
    for headers, status in cases:
        answer = server.get("/__devserver__/client.js", **headers)
        assert answer.status == status, headers
        assert ("EventSource" in answer.text) is (status == 200), headers


# --- request log ---

TALKER = {
    "wsgi": """
    def application(environ, start_response):
        print("app saw " + environ["PATH_INFO"])
        status = "204 No Content" if environ["PATH_INFO"] == "/204" else "200 OK"
        start_response(status, [])
        return [] if status.startswith("204") else [b"x" * 1234]
    """,
    "asgi": """
    async def application(scope, receive, send):
        assert scope["type"] == "http"
        print("app saw " + scope["path"])
        status = 204 if scope["path"] == "/204" else 200
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"" if status == 204 else b"x" * 1234})
    """,
}


def test_the_request_log(serve: Serve, kind: str) -> None:
    server = serve({"app.py": TALKER[kind]}, "app:application")
    requests = [("GET", "/a?b=c"), ("HEAD", "/head"), ("GET", "/204"), ("GET", "/%1b[31m%0d%0aforged"), ("POST", "/p")]
    for method, path in requests:
        server.request(method, path)
    server.wait_for_log(r"POST /p")
    time, amount = r"\d\d:\d\d:\d\d  ", r"  [\d.]+ m?s"
    for pattern in (
        rf"{time}GET /a\?b=c  200  1\.2 kB{amount}\n",
        rf"{time}HEAD /head  200  0 B{amount}\n",
        rf"{time}GET /204  204  0 B{amount}\n",
        rf"{time}GET /%1b\[31m%0d%0aforged  200  1\.2 kB{amount}\n",
        rf"{time}POST /p  200  1\.2 kB{amount}\n",
    ):
        assert re.search(pattern, server.log), (pattern, server.log)
    # In order with what the app prints: its line comes right before that of its request.
    lines = [line for line in server.log.splitlines() if "app saw" in line or re.match(r"\d\d:\d\d:\d\d  ", line)]
    assert ["app saw" in line for line in lines] == [True, False] * 5


def test_control_characters_cannot_write_to_the_terminal(serve: Serve, app: str) -> None:
    server = serve({"app.py": app}, "app:application")
    for request in (
        b"GET /\x1b[31m HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /\xc2\x9b31m HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /a\x7f HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ):
        raw(server, request)
    server.get("/end")
    server.wait_for_log("GET /end")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", server.log)


def test_no_access_log(serve: Serve, app: str) -> None:
    server = serve({"app.py": app}, "app:application", "--no-access-log")
    server.wait_for_text("one")
    server.edit("app.py", app.replace("one", "1 / 0 #").replace('"1 / 0 #"', "1 / 0"))
    server.wait_for_log("ZeroDivisionError")
    assert "GET /" not in server.log


# --- static files ---


def test_static_mounts(serve: Serve, app: str) -> None:
    files = {"app.py": app, "media/a.txt": "file", "media/sub/b.js": "1", "media/.env": "SECRET=1", "media/app.py": "x"}
    server = serve(files, "app:application", "--static", "/m=media")
    answer = server.get("/m/a.txt")
    assert (answer.status, answer.text) == (200, "file")
    assert server.get("/m/a.txt", If_None_Match=answer.headers["etag"]).status == 304
    assert server.get("/m/a.txt", Range="bytes=1-2").text == "il"
    assert server.get("/m/sub/b.js").headers["content-type"].startswith("text/javascript")
    assert server.request("HEAD", "/m/a.txt").headers["content-length"] == "4"
    for path in ("/m/.env", "/m/app.py", "/m/../app.py", "/m/%2e%2e/app.py", "/m/nothing", "/m/%00"):
        answer = server.get(path)
        assert answer.status in (400, 404), path
        assert "SECRET" not in answer.text
    assert server.get("/").text == "one"
    server.wait_for_log(r"GET /m/a\.txt  304")


def test_a_folder(serve: Serve) -> None:
    files = {"site/index.html": "<h1>home</h1>", "site/style.css": "a{}", "site/sub/index.html": "sub"}
    server = serve(files, "site")
    assert "<h1>home</h1>" in server.get("/").text
    assert server.get("/sub/").text == "sub"
    assert server.get("/style.css").headers["content-type"].startswith("text/css")
    assert server.get("/nothing").status == 404
    assert server.request("POST", "/").status in (404, 405)


DJANGO = {
    "manage.py": "import os; os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'mysite.settings')\n",
    "mysite/__init__.py": "",
    "mysite/settings.py": """
        from pathlib import Path
        SECRET_KEY = "x"
        DEBUG = True
        ROOT_URLCONF = "mysite.urls"
        INSTALLED_APPS = ["django.contrib.staticfiles"]
        STATIC_URL = "static/"
        STATICFILES_DIRS = [Path(__file__).parent.parent / "assets"]
        WSGI_APPLICATION = "mysite.wsgi.application"
    """,
    "mysite/urls.py": """
        from django.http import HttpResponse
        from django.urls import path
        urlpatterns = [path("", lambda request: HttpResponse("django"))]
    """,
    "mysite/wsgi.py": """
        import os
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
        from django.core.wsgi import get_wsgi_application
        application = get_wsgi_application()
    """,
    "mysite/asgi.py": """
        import os
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
        from django.core.asgi import get_asgi_application
        application = get_asgi_application()
    """,
    "assets/site.css": "body{}",
}


def test_static_files_of_django(serve: Serve, kind: str) -> None:
    server = serve(DJANGO, f"mysite.{kind}:application")
    assert server.get("/").text == "django"
    answer = server.get("/static/site.css")
    assert (answer.status, answer.text) == (200, "body{}")
    assert answer.headers["content-type"].startswith("text/css")
    assert server.get("/static/nothing.css").status == 404
    settings = DJANGO["mysite/settings.py"].replace("DEBUG = True", "DEBUG = False; ALLOWED_HOSTS = ['*']")
    server.edit("mysite/settings.py", settings)
    server.wait_for(lambda: server.get("/static/site.css").status == 404, "no static files without DEBUG")


def test_static_files_of_flask(serve: Serve) -> None:
    source = """
        from flask import Flask
        app = Flask(__name__)
        @app.get("/")
        def index():
            return "flask"
    """
    server = serve({"app.py": source, "static/a.css": "b{}"}, "app:app")
    assert server.get("/").text == "flask"
    answer = server.get("/static/a.css")
    assert (answer.status, answer.text) == (200, "b{}")
    assert server.get("/static/a.css", If_None_Match=answer.headers["etag"]).status == 304


def test_an_error_of_a_static_finder_is_told(serve: Serve) -> None:
    """Finders are user code too: what they raise has a page and lines in the terminal."""
    files = DJANGO | {
        "mysite/settings.py": dedent(DJANGO["mysite/settings.py"])
        + "STATICFILES_FINDERS = ['mysite.finders.Finder']\n",
        "mysite/finders.py": """
            from django.contrib.staticfiles.finders import BaseFinder
            class Finder(BaseFinder):
                def check(self, **kwargs):
                    return []
                def list(self, ignore_patterns):
                    return []
                def find(self, path, *args, **kwargs):
                    raise LookupError("my finder")
        """,
    }
    server = serve(files, "mysite.wsgi:application")
    assert server.get("/").text == "django"
    answer = server.get("/static/site.css")
    assert answer.status == 500
    assert "LookupError: my finder" in answer.text
    server.wait_for_log("LookupError: my finder")
    server.wait_for_log(r"GET /static/site\.css  500")


@pytest.mark.either_kind
def test_a_large_file_needs_no_memory(serve: Serve, app: str) -> None:
    peak = "next(line for line in open('/proc/self/status') if 'VmHWM' in line).split()[1]"
    source = app.replace("str(os.getpid())", peak)
    server = serve({"app.py": source, "media/x.txt": ""}, "app:application", "--static", "/m=media")
    size = 1 << 29
    with open(server.project / "media/big.bin", "wb") as file:
        file.truncate(size)
    before = server.server_pid()  # kB: at /pid the app tells its peak
    with closing(http.client.HTTPConnection(server.host, server.port, timeout=DEADLINE_S)) as connection:
        connection.request("GET", "/m/big.bin")
        response = connection.getresponse()
        received = 0
        buffer = bytearray(4 * MIB)
        while count := response.readinto(buffer):
            received += count
    assert received == size
    assert server.server_pid() - before < 64 * 1024


# --- the garbage collector ---


def test_the_collector_comes_as_often_as_without_us(serve: Serve) -> None:
    view = """
        import gc

        def application(environ, start_response):
            start_response("200 OK", [])
            return [repr((gc.isenabled(), *gc.get_threshold())).encode()]
    """
    server = serve({"app.py": view}, "app:application")
    assert server.get("/").text == repr((gc.isenabled(), *gc.get_threshold()))
    server.edit("app.py", dedent(view) + "gc.set_threshold(5000, 20)\n")
    server.wait_for_text("(True, 5000, 20, 10)")


def test_what_was_garbage_in_the_load_is_nowhere_to_be_met(serve: Serve) -> None:
    """`@dataclass(slots=True)` makes each class twice, and the first stands among the subclasses until it is collected."""
    child = """
        from dataclasses import dataclass
        from base import Base

        @dataclass(slots=True)
        class Child(Base):
            number: int
    """
    view = """
        import time, base, {names}
        time.sleep(0.1)
        import last

        def application(environ, start_response):
            start_response("200 OK", [])
            return [f"{{len(base.Base.__subclasses__())}} classes, TEXT".encode()]
    """
    names = [f"child{number}" for number in range(5)]
    files = {f"{name}.py": child for name in names} | {"base.py": "class Base: pass", "last.py": ""}
    source = dedent(view).format(names=", ".join(names))
    server = serve(files | {"app.py": source}, "app:application")
    server.edit("last.py", "1")
    server.edit("app.py", source.replace("TEXT", "two"))
    server.wait_for_text("5 classes, two")
