"""The same project under `runserver` and under devserver: the same requests get the same answers.

Over WSGI, as `runserver` does it, and over ASGI. What may differ is said in `_explained`, and nowhere else.
"""

from __future__ import annotations

import http.client
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.e2e.django_project import entry_points
from tests.e2e.harness import Serve, write
from tests.waiting import DEADLINE_S, eventually

pytestmark = [pytest.mark.e2e]

PASSWORD = "correct horse"
FILES = {
    **entry_points("shop"),
    "shop/settings.py": """
        from pathlib import Path
        BASE_DIR = Path(__file__).parent.parent
        SECRET_KEY = "x" * 50
        DEBUG = True
        ALLOWED_HOSTS = ["*"]
        ROOT_URLCONF = "shop.urls"
        WSGI_APPLICATION = "shop.wsgi.application"
        INSTALLED_APPS = [
            "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
            "django.contrib.messages", "django.contrib.staticfiles", "goods",
        ]
        MIDDLEWARE = [
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.http.ConditionalGetMiddleware",
            "django.middleware.gzip.GZipMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "django.middleware.clickjacking.XFrameOptionsMiddleware",
        ]
        TEMPLATES = [{
            "BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
            "OPTIONS": {"context_processors": [
                "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]},
        }]
        DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
        DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
        PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
        STATIC_URL = "static/"
        STATICFILES_DIRS = [BASE_DIR / "assets", ("brand", BASE_DIR / "brand")]
        MEDIA_ROOT = BASE_DIR / "media"
        USE_TZ = True
    """,
    "shop/urls.py": """
        from django.contrib import admin
        from django.urls import path, re_path
        from goods import views
        urlpatterns = [
            path("admin/", admin.site.urls),
            path("", views.index),
            path("page/", views.page),
            path("async/", views.asynchronous),
            path("meta/", views.meta),
            path("echo/", views.echo),
            path("upload/", views.upload),
            path("stream/", views.stream),
            path("file/", views.file),
            path("cookies/", views.cookies),
            path("status/<int:status>/", views.status),
            path("away/", views.away),
            path("only-get/", views.only_get),
            path("form/", views.form),
            path("visits/", views.visits),
            path("fails/", views.fails),
            path("gone/", views.gone),
            path("denied/", views.denied),
            path("large/", views.large),
            re_path("^named/(?P<name>.*)$", views.named),
        ]
    """,
    "goods/__init__.py": "",
    "goods/admin.py": """
        from django.contrib import admin
        from goods.models import Article

        @admin.register(Article)
        class ArticleAdmin(admin.ModelAdmin):
            list_display = ["name", "price"]
            list_filter = ["is_new"]
            search_fields = ["name"]
    """,
    "goods/models.py": """
        from django.db import models

        class Article(models.Model):
            name = models.CharField(max_length=50)
            price = models.DecimalField(max_digits=8, decimal_places=2)
            is_new = models.BooleanField(default=True)
            picture = models.FileField(upload_to="pictures", blank=True)

            def __str__(self):
                return self.name
    """,
    "goods/migrations/__init__.py": "",
    "goods/templates/goods/page.html": """
        <!doctype html><title>{{ title }}</title><h1>{{ title }}</h1>
        <form method="post" action="/form/">{% csrf_token %}<input name="name"></form>
    """,
    "goods/views.py": """
        import hashlib
        from django.http import *
        from django.shortcuts import redirect, render
        from django.core.exceptions import PermissionDenied
        from django.views.decorators.csrf import csrf_exempt
        from django.views.decorators.http import require_GET

        def index(request):
            return HttpResponse(f"index {request.get_full_path()} {request.method}")

        def page(request):
            return render(request, "goods/page.html", {"title": "Straße"})

        async def asynchronous(request):
            return JsonResponse({"ü": [1, None], "async": True})

        @csrf_exempt
        def meta(request):
            wanted = ("HTTP_", "REQUEST_METHOD", "PATH_INFO", "SCRIPT_NAME", "QUERY_STRING", "CONTENT_", "REMOTE_ADDR")
            found = {name: value for name, value in request.META.items() if name.startswith(wanted)}
            found["scheme"], found["host"] = request.scheme, request.get_host().partition(":")[0]
            return JsonResponse(dict(sorted(found.items())))

        @csrf_exempt
        def echo(request):
            return HttpResponse(request.body, content_type=request.content_type or "application/octet-stream")

        @csrf_exempt
        def upload(request):
            files = {
                name: [file.name, file.size, file.content_type, hashlib.sha256(file.read()).hexdigest()]
                for name, file in request.FILES.items()
            }
            return JsonResponse({"files": files, "fields": dict(request.POST.lists())})

        def stream(request):
            return StreamingHttpResponse((f"piece {number}\\n" for number in range(5)), content_type="text/plain")

        def file(request):
            return FileResponse(open(__file__, "rb"), as_attachment=True, filename="Ünïcode name.py")

        def cookies(request):
            response = HttpResponse(", ".join(sorted(request.COOKIES)))
            response.set_cookie("one", "1", max_age=60, httponly=True, samesite="Lax")
            response.set_cookie("two", "a b;c", path="/cookies/")
            response["X-Mine"] = "mine"
            return response

        @csrf_exempt
        def status(request, status):
            return HttpResponse("" if status in (204, 304) else "x", status=status)

        def away(request):
            return redirect("/page/?next=%2F")

        @require_GET
        def only_get(request):
            return HttpResponse("got")

        def form(request):
            return HttpResponse(request.POST.get("name", "nothing"))

        def visits(request):
            request.session["visits"] = request.session.get("visits", 0) + 1
            return HttpResponse(str(request.session["visits"]))

        def fails(request):
            return {}["missing"]

        def gone(request):
            raise Http404("no such thing")

        def denied(request):
            raise PermissionDenied

        def large(request):
            return HttpResponse("0123456789" * 200_000)

        def named(request, name):
            return HttpResponse(repr(name))
    """,
    "assets/site.css": "h1 { color: red }\n",
    "assets/app.js": "console.log('ü');\n",
    "assets/module.mjs": "export default 1;\n",
    "assets/picture.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>",
    "assets/data.json": "{}",
    "assets/notes.txt": "notes",
    "assets/page.html": "<!doctype html><p>static",
    "assets/noextension": "plain",
    "assets/odd.xyz": "odd",
    "assets/some folder/ü.txt": "deep",
    "assets/empty.css": "",
    "assets/archive.tar.gz": "no archive",
    "assets/app.js.gz": "not really",
    "brand/logo.svg": "<svg/>",
}
_ADMIN_STATIC = ("css/base.css", "css/dark_mode.css", "js/core.js", "js/jquery.init.js", "img/icon-yes.svg")


@dataclass(frozen=True)
class Ask:
    """One request; `fields` and `files` make a form, with the token of the last one that was shown."""

    target: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    fields: Mapping[str, str] | None = None
    compares_body: bool = True


HTML = {"Accept": "text/html"}
FORM = {"Content-Type": "multipart/form-data; boundary=edge"}


def upload(size: int) -> bytes:
    """A form with a field and a file of so many bytes."""
    field = b'--edge\r\nContent-Disposition: form-data; name="title"\r\n\r\n\xc3\xbc\r\n'
    head = (
        b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a b.bin"\r\nContent-Type: image/png\r\n\r\n'
    )
    return field + head + bytes(range(250)) * (size // 250) + b"\r\n--edge--\r\n"


ARTICLE = {"name": "Tea", "price": "2.50", "is_new": "on", "_save": "Save"}
REQUESTS = [
    Ask("/"),
    Ask("/?q=%C3%BC&q=b+c"),
    Ask("/", "HEAD"),
    Ask("/", "OPTIONS"),
    Ask("/page/", headers=HTML),
    Ask("/page", headers=HTML),  # APPEND_SLASH
    Ask("/async/"),
    Ask("/async/", headers={"If-None-Match": '"x"'}),
    Ask("/meta/", headers={"X-Forwarded-For": "10.0.0.1", "X-Forwarded-Proto": "https", "X_Under": "dropped"}),
    Ask("/meta/?a=%2F&b=%E4", headers={"X-Twice": "one", "Accept-Language": "de", "Cookie": "a=b"}),
    Ask("/meta/", "POST", {"Content-Type": "text/plain"}, b"abc"),
    Ask("/echo/", "POST", {"Content-Type": "application/json"}, b'{"a": 1}'),
    Ask("/echo/", "PUT", {"Content-Type": "application/octet-stream"}, bytes(range(256)) * 2000),
    Ask("/echo/", "PATCH", {"Content-Type": "text/plain"}, b""),
    Ask("/echo/", "DELETE"),
    Ask("/upload/", "POST", FORM, upload(1_000)),
    Ask("/upload/", "POST", FORM, upload(3_000_000)),  # more than Django holds in memory
    Ask("/upload/", "POST", FORM, b"--edge\r\nno form at all"),
    Ask("/stream/"),
    Ask("/stream/", headers={"Accept-Encoding": "gzip"}, compares_body=False),
    Ask("/file/"),
    Ask("/file/", "HEAD"),
    Ask("/cookies/"),
    Ask("/cookies/"),
    *[Ask(f"/status/{status}/") for status in (200, 201, 204, 304, 402, 418, 503)],
    Ask("/status/204/", "POST", body=b"x"),
    Ask("/away/"),
    Ask("/only-get/"),
    Ask("/only-get/", "POST"),
    Ask("/form/", "POST", fields={"name": "ü & <b>"}),
    Ask("/form/", "POST", {"Content-Type": "application/x-www-form-urlencoded"}, b"name=a"),  # without a token
    *[Ask("/visits/")] * 3,
    Ask("/gone/", headers=HTML),
    Ask("/nowhere/", headers=HTML),
    Ask("/nowhere/", "HEAD"),
    Ask("/denied/", headers=HTML),
    Ask("/fails/", compares_body=False),  # the text names processes and times
    Ask("/large/"),
    Ask("/large/", headers={"Accept-Encoding": "gzip"}, compares_body=False),  # Django adds random bytes (BREACH)
    *[
        Ask(f"/named/{name}")
        for name in ("a%20b", "%C3%BC", "a%2Fb", "a//b", "%25", "a+b", "%E4", "..%2F..", "a;b=c", "~")
    ],
    *[Ask(f"/static/admin/{name}") for name in _ADMIN_STATIC],
    *[
        Ask(f"/static/{name}")
        for name in (
            *("site.css", "app.js", "module.mjs", "picture.svg", "data.json", "notes.txt", "page.html", "noextension"),
            *("app.js.gz", "odd.xyz", "some%20folder/%C3%BC.txt", "empty.css", "archive.tar.gz", "brand/logo.svg"),
        )
    ],
    Ask("/static/site.css", "HEAD"),
    Ask("/static/site.css", headers={"If-Modified-Since": "Tue, 01 Jan 2999 00:00:00 GMT"}),
    *[
        Ask(f"/static/{name}")
        for name in ("missing.css", "brand/", "", "../db.sqlite3", "%2e%2e/db.sqlite3", "site.css/")
    ],
    # the admin
    Ask("/admin/", headers=HTML),
    Ask("/admin/login/?next=/admin/", headers=HTML),
    Ask("/admin/login/?next=/admin/", "POST", HTML, fields={"username": "boss", "password": "wrong"}),
    Ask("/admin/login/?next=/admin/", "POST", HTML, fields={"username": "boss", "password": PASSWORD}),
    Ask("/admin/", headers=HTML),
    Ask("/admin/jsi18n/"),
    Ask("/admin/goods/article/", headers=HTML),
    Ask("/admin/goods/article/add/", headers=HTML),
    Ask("/admin/goods/article/add/", "POST", HTML, fields={**ARTICLE, "price": "dear"}),
    Ask("/admin/goods/article/add/", "POST", HTML, fields=ARTICLE),
    Ask("/admin/goods/article/", headers=HTML),
    Ask("/admin/goods/article/1/change/", headers=HTML),
    Ask("/admin/goods/article/1/change/", "POST", HTML, fields={**ARTICLE, "name": "Green tea"}),
    Ask("/admin/goods/article/?q=green", headers=HTML),
    Ask("/admin/goods/article/?is_new__exact=0", headers=HTML),
    Ask("/admin/goods/article/1/history/", headers=HTML),
    Ask("/admin/goods/article/1/delete/", headers=HTML),
    Ask("/admin/goods/article/1/delete/", "POST", HTML, fields={"post": "yes"}),
    Ask("/admin/goods/article/1/change/", headers=HTML),
    Ask("/admin/auth/user/1/change/", headers=HTML, compares_body=False),  # says when the user came
    Ask("/admin/password_change/", headers=HTML),
    Ask("/admin/logout/", "POST", HTML, fields={}),
    Ask("/admin/", headers=HTML),
]
_COMPARED = (
    *(
        "content-type",
        "content-length",
        "location",
        "vary",
        "cache-control",
        "expires",
        "etag",
        "last-modified",
        "allow",
    ),
    *("content-disposition", "content-encoding", "content-language", "x-frame-options", "x-content-type-options"),
    *("referrer-policy", "cross-origin-opener-policy", "x-mine"),
)


class Client:
    """Keeps cookies, and its connection as long as the server does."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
        self.cookies: dict[str, str] = {}
        self.token = ""

    def close(self) -> None:
        self._connection.close()

    def ask(self, ask: Ask) -> Answer:
        headers = {"Host": "localhost", **ask.headers}
        if self.cookies and "Cookie" not in headers:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        body = ask.body
        if ask.fields is not None:
            body = urlencode({"csrfmiddlewaretoken": self.token, **ask.fields}).encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self._connection.request(ask.method, ask.target, body, headers)
        response = self._connection.getresponse()
        content = response.read()
        set_cookies = [value for name, value in response.getheaders() if name.lower() == "set-cookie"]
        for cookie in set_cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        if found := re.search(rb'name="csrfmiddlewaretoken" value="(\w+)"', content):
            self.token = found[1].decode()
        headers = {name: response.headers[name] for name in _COMPARED if name in response.headers}
        shapes = sorted(re.sub(r"=[^;]*", "=…", cookie, count=1) for cookie in set_cookies)
        return Answer(response.status, headers, [re.sub("expires=[^;]*", "expires=…", one) for one in shapes], content)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    cookies: list[str]
    body: bytes


def _normal(ask: Ask, answer: Answer) -> Answer:
    """Without what is another one each time."""
    body = re.sub(rb'(csrfmiddlewaretoken" value=")\w+', rb"\1token", answer.body)
    body = re.sub(rb"\b\d{1,2}(:\d\d)? [ap]\.m\.|(midnight|noon)\b", b"TIME", body)
    headers = dict(answer.headers)
    if "expires" in headers:
        headers["expires"] = "now"
    if body != answer.body:  # a tag of what is another one each time
        headers.pop("etag", None)
    if not ask.compares_body:
        body = b""
        headers.pop("content-length", None)
        headers.pop("etag", None)
    return Answer(answer.status, headers, answer.cookies, body)


def _explained(ask: Ask, theirs: Answer, ours: Answer, kind: str) -> None:
    """What is not the same, and why. All of it stands in docs/django.md."""
    if theirs.status in (204, 304) or theirs.body == ours.body == b"":
        # A 204 and a 304 may not say a length (RFC 9110); an empty answer may or may not.
        for answer in (theirs, ours):
            answer.headers.pop("content-length", None)
    if ask.target.startswith("/meta/"):
        # Without a body `wsgiref` tells of one of type text/plain all the same.
        for answer in (theirs, ours):
            found = json.loads(answer.body)
            if not found.get("CONTENT_LENGTH"):
                found = {name: value for name, value in found.items() if not name.startswith("CONTENT_")}
            found.pop("HTTP_COOKIE", None)  # holds a token
            answer.body = json.dumps(found).encode()
            answer.headers.pop("content-length", None)
            answer.headers.pop("etag", None)
    if ask.target == "/echo/" and ask.method == "DELETE":  # the same
        theirs.headers["content-type"] = "application/octet-stream"
    if ask.target == "/named/%E4" and kind == "asgi":  # by ASGI a path is text
        ours.body, ours.headers = theirs.body, theirs.headers
    if ask.target.startswith("/static/"):
        for answer in (theirs, ours):
            # Ours say that browsers are to ask each time, have a tag to ask by, and are not to be guessed about.
            for name in ("cache-control", "etag", "x-content-type-options", "last-modified", "content-disposition"):
                answer.headers.pop(name, None)
            if "content-type" in answer.headers:  # that text is UTF-8
                answer.headers["content-type"] = answer.headers["content-type"].partition(";")[0]
            if answer.status in (
                404,
                500,
            ):  # a sentence of ours; a debug page of Django's, or an error of its handler's
                answer.body = b""
                answer.headers = {}
                answer.cookies = []
                answer.status = 404
            if answer.status == 304:
                answer.headers = {}
            if ask.method == "HEAD":
                answer.headers.pop("content-length", None)
        if ask.target == "/static/site.css/":  # no file has such a name
            assert (theirs.status, ours.status) == (200, 404)
            theirs.status, theirs.headers, theirs.body = 404, {}, b""
        if ask.target == "/static/archive.tar.gz":  # who downloads an archive gets the archive
            assert theirs.headers.pop("content-encoding") == "gzip"
            theirs.headers["content-type"] = "application/gzip"
        if ask.target == "/static/odd.xyz":  # the machine's own table of types: the same on every machine
            theirs.headers["content-type"] = "application/octet-stream"
        for name in ("x-frame-options", "referrer-policy", "cross-origin-opener-policy", "vary"):
            theirs.headers.pop(name, None)
    if ask.target == "/fails/":
        for answer in (theirs, ours):
            answer.headers = {"content-type": answer.headers["content-type"]}


@contextmanager
def runserver(project: Path) -> Iterator[int]:
    """Serve it; the port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    command = [sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"]
    with (project / "runserver.log").open("w+") as log:
        process = subprocess.Popen(command, cwd=project, stdout=log, stderr=log)
        try:

            def listens() -> bool:
                assert process.poll() is None, (project / "runserver.log").read_text()
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                except OSError:
                    return False
                return True

            assert eventually(listens), (project / "runserver.log").read_text()
            yield port
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(DEADLINE_S)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with a database and somebody who may use the admin."""
    folder = tmp_path_factory.mktemp("shop")
    write(folder, FILES)
    program = f"""
import django; django.setup()
from django.core.management import call_command
call_command("makemigrations", "goods", verbosity=0)
call_command("migrate", verbosity=0)
from django.contrib.auth.models import User
User.objects.create_superuser("boss", "boss@site.test", {PASSWORD!r})
"""
    environment = {"DJANGO_SETTINGS_MODULE": "shop.settings", "PATH": "/usr/bin:/bin", "PYTHONPATH": str(folder)}
    subprocess.run([sys.executable, "-c", program], cwd=folder, env=environment, check=True)
    return folder


def test_the_same_answers(serve: Serve, shop: Path, project: Path, tmp_path: Path, kind: str) -> None:
    assert len(REQUESTS) >= 60
    theirs_at = tmp_path / "theirs"
    for copy in (theirs_at, project):
        shutil.copytree(shop, copy, dirs_exist_ok=True, copy_function=shutil.copy2)
    server = serve({}, f"shop.{kind}:application", "--no-livereload")
    differences = []
    with runserver(theirs_at) as port, closing(Client(port)) as theirs, closing(Client(server.port)) as ours:
        for number, ask in enumerate(REQUESTS):
            one, other = (_normal(ask, client.ask(ask)) for client in (theirs, ours))
            _explained(ask, one, other, kind)
            if one != other:
                differences.append(
                    f"{number}: {ask.method} {ask.target}\n  runserver: {_shown(one, other)}\n  devserver: {_shown(other, one)}"
                )
    assert not differences, "\n".join(differences)


def _shown(one: Answer, other: Answer) -> str:
    parts = []
    if one.status != other.status:
        parts.append(str(one.status))
    names = {name for name in {*one.headers, *other.headers} if one.headers.get(name) != other.headers.get(name)}
    parts += [f"{name}: {one.headers.get(name)}" for name in sorted(names)]
    if one.cookies != other.cookies:
        parts.append(json.dumps(one.cookies))
    if one.body != other.body:
        at = next((at for at, pair in enumerate(zip(one.body, other.body, strict=False)) if pair[0] != pair[1]), 0)
        parts.append(f"…{one.body[max(at - 40, 0) : at + 120]!r} ({len(one.body)} bytes)")
    return "; ".join(parts)
