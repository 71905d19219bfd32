"""What frameworks keep: templates, settings, URLs, catalogs; an edit is never answered with what was there before."""

from __future__ import annotations

import os
import struct

import pytest

from tests.e2e.django_project import entry_points
from tests.e2e.harness import Serve, write
from tests.e2e.reloading import MARK, Reloading

SETTINGS = """
    from pathlib import Path
    BASE_DIR = Path(__file__).parent.parent
    SECRET_KEY = "x"
    DEBUG = True
    ALLOWED_HOSTS = ["*"]
    ROOT_URLCONF = "site_one.urls"
    INSTALLED_APPS = ["blog"]
    USE_I18N = True
    LANGUAGE_CODE = "de"
    LOCALE_PATHS = [BASE_DIR / "locale"]
    TEMPLATES = [{
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        LOADERS
    }]
"""
CACHED = """"OPTIONS": {"loaders": [("django.template.loaders.cached.Loader", [
        "django.template.loaders.filesystem.Loader", "django.template.loaders.app_directories.Loader"])]},"""
DJANGO = {
    MARK: "",
    **entry_points("site_one"),
    "site_one/settings.py": SETTINGS.replace("LOADERS", '"APP_DIRS": True,'),
    "site_one/urls.py": """
        import os
        from django.http import HttpResponse
        from django.urls import path
        from blog import views
        urlpatterns = [
            path("", views.index), path("hello", views.hello), path("pid", lambda request: HttpResponse(str(os.getpid()))),
        ]
    """,
    "blog/__init__.py": "",
    "blog/views.py": """
        from django.http import HttpResponse
        from django.shortcuts import render
        from django.utils.translation import gettext

        def index(request):
            return render(request, "blog/index.html", {"value": "value"})

        def hello(request):
            return HttpResponse(gettext("Hello"))
    """,
    "blog/templates/blog/base.html": "base one {% block body %}{% endblock %}",
    "blog/templates/blog/index.html": "{% extends 'blog/base.html' %}{% block body %}index one{% endblock %}",
    "templates/other.html": "",
}


@pytest.fixture
def django(serve: Serve, kind: str) -> Reloading:
    return serve_django(serve, kind, DJANGO)


def serve_django(serve: Serve, kind: str, files: dict[str, str]) -> Reloading:
    target = f"site_one.{kind}:application"
    return Reloading(serve(files, target, "--static", "/marks=marks", "--no-access-log"))


@pytest.mark.parametrize("loaders", ["default", "cached"])
def test_django_templates_without_a_restart(serve: Serve, kind: str, loaders: str) -> None:
    files = dict(DJANGO)
    if loaders == "cached":
        files["site_one/settings.py"] = SETTINGS.replace("LOADERS", CACHED)
    django = serve_django(serve, kind, files)
    server = django.server
    assert server.get().text == "base one index one"
    pid = server.server_pid()
    server.edit("blog/templates/blog/index.html", DJANGO["blog/templates/blog/index.html"].replace("one", "two"))
    server.wait_for_text("base one index two")
    server.edit("blog/templates/blog/base.html", DJANGO["blog/templates/blog/base.html"].replace("one", "two"))
    server.wait_for_text("base two index two")
    server.edit("templates/blog/index.html", "from the project")  # shadows the app's
    server.wait_for_text("from the project")
    (django.project / "templates/blog/index.html").unlink()
    server.wait_for_text("base two index two")
    past = django.project / "blog/templates/blog/index.html"
    past.write_text("from the past")
    os.utime(past, (1_000_000_000, 1_000_000_000))
    server.wait_for_text("from the past")
    assert server.server_pid() == pid
    assert django.loads() == 0
    assert all(line.endswith(": refreshed") for line in django.lines())


def test_django_sources(django: Reloading) -> None:
    server = django.server
    assert server.get().text == "base one index one"
    settings = DJANGO["site_one/settings.py"]
    django.restarts(lambda: server.edit("site_one/settings.py", settings + "    X = 1\n"), "base one")
    urls = DJANGO["site_one/urls.py"]
    django.restarts(lambda: server.edit("site_one/urls.py", urls.replace('"hello"', '"hallo"')), "Hello", "/hallo")
    server.edit("site_one/settings.py", settings.replace('["blog"]', '["blog", "shop"]'))
    server.wait_for_log("No module named 'shop'")
    app = {
        "shop/__init__.py": "",
        "shop/apps.py": "from django.apps import AppConfig\nclass ShopConfig(AppConfig):\n    name = 'shop'\n",
        "shop/templates/shop/index.html": "shop one",
    }
    django.restarts(lambda: write(django.project, app), "base one")
    server.edit("shop/templates/shop/index.html", "shop two")
    views = DJANGO["blog/views.py"].replace("blog/index.html", "shop/index.html")
    django.restarts(lambda: server.edit("blog/views.py", views), "shop two")
    server.edit("shop/templates/shop/index.html", "shop three")
    server.wait_for_text("shop three")


def test_a_missing_django_template_appears(django: Reloading) -> None:
    server = django.server
    server.edit("blog/views.py", DJANGO["blog/views.py"].replace("blog/index.html", "blog/late.html"))
    server.wait_for_text("TemplateDoesNotExist")
    server.edit("blog/templates/blog/late.html", "late")
    server.wait_for_text("late")
    assert server.get().status == 200


def test_a_django_catalog(django: Reloading) -> None:
    server = django.server
    assert server.get("/hello").text == "Hello"
    catalog = django.project / "locale/de/LC_MESSAGES/django.mo"
    catalog.parent.mkdir(parents=True)
    catalog.write_bytes(_catalog({"Hello": "Servus"}))
    server.wait_for_text("Servus", "/hello")
    catalog.write_bytes(_catalog({"Hello": "Moin"}))
    server.wait_for_text("Moin", "/hello")


def _catalog(messages: dict[str, str]) -> bytes:
    """A compiled catalog (the GNU gettext manual, "The Format of GNU MO Files")."""
    texts = {"": "Content-Type: text/plain; charset=UTF-8\n", **messages}
    keys = sorted(texts)
    at = 28 + 16 * len(keys)
    tables, data = [b"", b""], b""
    for column, strings in enumerate((keys, [texts[key] for key in keys])):
        for string in strings:
            tables[column] += struct.pack("<II", len(string.encode()), at + len(data))
            data += string.encode() + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, len(keys), 28, 28 + 8 * len(keys), 0, at)
    return head + tables[0] + tables[1] + data


# --- Flask and Jinja2 ---

FLASK = """
    import os
    from flask import Flask, render_template
    app = Flask(__name__)

    @app.route("/pid")
    def pid():
        return str(os.getpid())

    @app.route("/")
    def index():
        return render_template("index.html")
"""
STARLETTE = """
    import os
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route
    from starlette.templating import Jinja2Templates
    templates = Jinja2Templates(directory="templates")

    async def index(request):
        return templates.TemplateResponse(request, "index.html")

    async def pid(request):
        return PlainTextResponse(str(os.getpid()))

    app = Starlette(routes=[Route("/", index), Route("/pid", pid)])
"""
FASTAPI = """
    import os
    from fastapi import FastAPI, Request
    from fastapi.templating import Jinja2Templates
    from jinja2 import Environment, FileSystemLoader
    app = FastAPI()
    templates = Jinja2Templates(env=Environment(loader=FileSystemLoader("templates"), auto_reload=False))

    @app.get("/")
    def index(request: Request):
        return templates.TemplateResponse(request, "index.html")

    @app.get("/pid")
    def pid():
        return os.getpid()
"""
JINJA2 = {
    "flask": FLASK,
    "flask, reload off": FLASK.replace(
        "app = Flask(__name__)", "app = Flask(__name__); app.config['TEMPLATES_AUTO_RELOAD'] = False"
    ),
    "flask, debug off": FLASK.replace("app = Flask(__name__)", "app = Flask(__name__); app.debug = False"),
    "starlette": STARLETTE,
    "fastapi": FASTAPI,
}


@pytest.mark.parametrize("framework", JINJA2)
def test_jinja2_templates_without_a_restart(serve: Serve, framework: str) -> None:
    files = {
        MARK: "",
        "app.py": JINJA2[framework],
        "templates/base.html": "base one {% block body %}{% endblock %}",
        "templates/index.html": "{% extends 'base.html' %}{% block body %}index one{% include 'part.html' %}{% endblock %}",
        "templates/part.html": ", part one",
    }
    reloading = Reloading(serve(files, "app:app", "--static", "/marks=marks", "--no-access-log"))
    server = reloading.server
    assert server.get().text == "base one index one, part one"
    pid = server.server_pid()
    for name, text in (
        ("index", "base one index two, part one"),
        ("base", "base two index two, part one"),
        ("part", "base two index two, part two"),
    ):
        server.edit(f"templates/{name}.html", files[f"templates/{name}.html"].replace("one", "two"))
        server.wait_for_text(text)
    part = reloading.project / "templates/part.html"
    part.write_text(", part six")
    os.utime(part, (1_000_000_000, 1_000_000_000))
    server.wait_for_text("part six")
    assert server.server_pid() == pid
    assert reloading.loads() == 0
    reloading.settle()
    reloading.stays(part.touch)


def test_a_broken_template_heals(serve: Serve) -> None:
    files = {MARK: "", "app.py": FLASK, "templates/index.html": "one"}
    reloading = Reloading(serve(files, "app:app", "--static", "/marks=marks", "--no-access-log"))
    server = reloading.server
    server.wait_for_text("one")
    server.edit("templates/index.html", "{% if %}")
    server.wait_for_text("TemplateSyntaxError")
    server.edit("templates/index.html", "two")
    server.wait_for(lambda: server.get().text == "two", "the page")
