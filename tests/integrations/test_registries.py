"""What frameworks know of the user's code, for real: two processes tell the same, unless order or content differs."""

from __future__ import annotations

import contextlib
import datetime
import enum
import functools
import json
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from devserver.integrations.registries.telling import guarded, readable, told

Write = Callable[[str, str], Path]
Run = Callable[..., Any]

LOOK = """\
import time, types
from devserver.server.load.digest import Digester

PLAIN = (str, bytes, int, float, complex, bool, type(None), type(...))

def leaves(value):
    if type(value) is dict:
        for key, inner in value.items():
            yield from (key, *leaves(inner))
    elif type(value) in (list, tuple):
        for inner in value:
            yield from leaves(inner)
    else:
        yield value

def registries(integrations, app):
    found = [pair for one in integrations for pair in one.registries(app)]
    assert len({label for label, _ in found}) == len(found), "a label comes twice"
    for label, value in found:
        assert not str(value).startswith("cannot be read"), (label, value)
        for leaf in leaves(value) if label != "settings" else ():
            assert type(leaf) in PLAIN or issubclass(type(leaf), (type, types.FunctionType)), (label, leaf)
            assert type(leaf) is not str or " 0x" not in leaf, (label, leaf)
    return found

def digests(integrations, app):
    digester = Digester({}, registries(integrations, app))
    found = digester.digest()
    assert digester.is_complete and not digester.partial, digester.partial
    return found

def differing(one, other):
    return sorted(label for label in one.keys() | other.keys() if one.get(label) != other.get(label))
"""

COMPARE = (
    LOOK
    + """
load("main:app")
import main
first = digests(chosen, main.make())
assert not (odd := differing(first, digests(chosen, main.make()))), odd
tell([first, {variant: differing(first, digests(chosen, main.make(variant))) for variant in main.VARIANTS}])
"""
)


def compared(write: Write, run: Run, source: str) -> dict[str, list[str]]:
    """The labels that differ, for each variant of the app that `source` can make. Two processes tell the same."""
    write("main.py", textwrap.dedent(source))
    first, differing = run(COMPARE)
    again, _ = run(COMPARE)
    assert first == again
    assert isinstance(differing, dict)
    return differing


# --- plain data ---


class Color(enum.Enum):
    RED = 1


class Hostile:
    """Nobody may ask it for anything."""

    __slots__ = ("__weakref__", "size")

    def __init__(self) -> None:
        object.__setattr__(self, "size", 3)

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(name)

    __bool__ = __len__ = __iter__ = __eq__ = __hash__ = __repr__ = __getattribute__  # type: ignore[assignment]


class Computing:
    def __init__(self, inner: object = None) -> None:
        self.size = 1
        self.inner = inner

    @functools.cached_property
    def total(self) -> int:
        return 2

    def method(self) -> None: ...


def function() -> None: ...


@contextlib.contextmanager
def managed() -> Iterator[None]:
    yield


CYCLE: list[object] = [1]
CYCLE.append(CYCLE)
MADE = type("Made", (Computing,), {"size": 2, "_private": 3, "__module__": "json"})


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ("text", "text"),
        (function, function),
        (Computing, Computing),
        (len, "function builtins.len"),
        (json.dumps, "function json.dumps"),
        (functools.partial(print, 1, end=""), ("partial", "function builtins.print", [1], {"end": ""})),
        (Computing(Computing()), (Computing, {"size": 1, "inner": Computing})),
        (Hostile(), (Hostile, {"size": 3})),
        (Color.RED, (Color, "RED")),
        ({3, 1, 2}, ("builtins.set", [1, 2, 3])),
        ({function, Computing}, ("builtins.set", [Computing, function])),
        (CYCLE, [1, "again"]),
        ({1: "a", "1": "b"}, {"1": "a", "1 (2)": "b"}),
        (Path("/a"), (f"{type(Path()).__module__}.PosixPath", "/a")),
        (datetime.timedelta(1), "datetime.timedelta(days=1)"),
        (re.compile("a", re.IGNORECASE), ("pattern", "a", 34)),
        (list[Color], ("types.GenericAlias", list, [Color])),
        (MADE, ("class json.Made", [Computing], {"size": 2})),
        (functools.lru_cache(function), ("function", function)),
        (json, "module json"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_things_are_told(value: object, plain: object) -> None:
    assert told(value) == plain or (plain == ("function", function) and told(value)[1] is function)  # type: ignore[index]


def test_a_method_is_told_with_what_it_is_bound_to() -> None:
    assert told(Computing().method) == ("method", Computing.method, (Computing, {"size": 1, "inner": None}))


def test_what_was_computed_is_left_out() -> None:
    computing = Computing()
    before = told(computing)
    assert (computing.total, told(computing)) == (2, before)


def test_a_wrapper_of_a_librarys_is_told_with_what_is_wrapped() -> None:
    found: Any = told(managed)
    name, cells, _defaults, _attributes = found
    assert name == "function contextlib.contextmanager.<locals>.helper"
    assert cells == {"func": vars(managed)["__wrapped__"]}


def test_what_is_large_or_deep_is_cut() -> None:
    deep: list[object] = []
    for _ in range(10_000):
        deep = [deep]
    assert str(told(deep)).count("[") < 200
    assert len(str(told([[number] for number in range(100_000)]))) < 20_000


def test_one_that_cannot_be_read_takes_nothing_with_it() -> None:
    assert dict(readable(("one", lambda: 1 / 0), ("two", lambda: 2))) == {
        "one": "cannot be read: ZeroDivisionError",
        "two": 2,
    }

    def broken() -> Iterator[tuple[str, object]]:
        yield "one", 1
        raise KeyError

    assert dict(guarded("apps", broken())) == {"one": 1, "apps": "cannot be read: KeyError"}


# --- Flask and Quart ---

FLASK = """\
from flask import Blueprint, Flask, got_request_exception
from flask.views import View

VARIANTS = (
    "", "another route", "other order", "other order of alike", "other methods", "other hook", "other order of hooks",
    "error handler", "blueprint", "filter", "command", "receiver", "middleware", "configuration", "extension",
)

def index(name=""): ...
def other(name=""): ...
def third(name=""): ...
def before(): ...
def before_too(): ...
def handle(error): ...
def told(*arguments, **keywords): ...

class Listed(View):
    def __init__(self, size): ...
    def dispatch_request(self): ...

class Middleware:
    def __init__(self, app, size):
        self.app, self.size = app, size

def make(variant=""):
    app = Flask("main")
    app.config["SIZE"] = 2 if variant == "configuration" else 1
    routes = [("/", index), ("/other", other)]
    for path, view in reversed(routes) if variant == "other order" else routes:
        app.add_url_rule(path, view_func=view, methods=["POST"] if variant == "other methods" else None)
    alike = ["/<a>/x", "/<b>/x", "/<c>/x"]
    for path in reversed(alike) if variant == "other order of alike" else alike:
        app.add_url_rule(path, endpoint="third", view_func=third)
    app.add_url_rule("/listed", view_func=Listed.as_view("listed", size=[1, 2]))
    if variant == "another route":
        app.add_url_rule("/more", endpoint="index")
    hooks = [before, before_too]
    for hook in reversed(hooks) if variant == "other order of hooks" else hooks:
        app.before_request(hook)
    if variant == "other hook":
        app.after_request(lambda answer: answer)
    app.before_request_funcs["asked for"]
    app.register_error_handler(404, told if variant == "error handler" else handle)
    blueprint = Blueprint("blog", "main", url_prefix="/news" if variant == "blueprint" else "/blog")
    blueprint.get("/")(index)
    app.register_blueprint(blueprint)
    app.jinja_env.filters["doubled"] = other if variant == "filter" else index
    app.cli.command("other" if variant == "command" else "work")(lambda: None)
    if variant == "receiver":
        got_request_exception.connect(told, app, weak=False)
    else:
        got_request_exception.disconnect(told)
    app.wsgi_app = Middleware(app.wsgi_app, 2 if variant == "middleware" else 1)
    app.extensions["cache" if variant == "extension" else "login"] = object()
    return app

app = make()
"""


def test_flask(write: Write, run: Run) -> None:
    assert compared(write, run, FLASK) == {
        "": [],
        "another route": ["Flask routes"],
        "other order": ["Flask routes", "Flask views"],
        "other order of alike": ["Flask routes"],
        "other methods": ["Flask routes"],
        "other hook": ["Flask functions around requests"],
        "other order of hooks": ["Flask functions around requests"],
        "error handler": ["Flask error handlers"],
        "blueprint": ["Flask blueprints", "Flask routes"],
        "filter": ["Flask templates"],
        "command": ["Flask commands"],
        "receiver": ["Flask signal receivers"],
        "middleware": ["Flask WSGI middlewares"],
        "configuration": ["Flask configuration", "Flask templates"],  # they can name it
        "extension": ["Flask extensions"],
    }


def test_flask_is_as_it_was(write: Write, run: Run) -> None:
    """Its setup goes on, and what is lazy stays so."""
    write("main.py", "from flask import Flask\napp = Flask('main')\n@app.get('/')\ndef index(): return 'index'")
    told = run(
        LOOK
        + """
load("main")
before = dict(vars(app)), app.url_map._remap
registries(chosen, app)
assert (dict(vars(app)), app.url_map._remap) == before
app.add_url_rule("/late", view_func=lambda: "late", endpoint="late")
app.before_request(lambda: None)
tell(["jinja_env" in vars(app), get("/late")])
"""
    )
    assert told == [False, [200, "late"]]


def test_two_apps_of_flask_are_told_apart(write: Write, run: Run) -> None:
    write(
        "main.py",
        "from flask import Flask\nfrom werkzeug.middleware.dispatcher import DispatcherMiddleware\n"
        "app = DispatcherMiddleware(Flask('one'), {'/two': Flask('two')})",
    )
    told = run(LOOK + "load('main'); tell([label for label, _ in registries(chosen, app) if 'routes' in label])")
    assert told == ["Flask routes", "Flask (app 2) routes"]


def test_quart(write: Write, run: Run) -> None:
    differing = compared(
        write,
        run,
        """\
        from quart import Quart
        VARIANTS = ("", "other order", "before serving")
        async def index(): ...
        async def other(): ...
        def make(variant=""):
            app = Quart("main")
            routes = [("/", index), ("/other", other)]
            for path, view in reversed(routes) if variant == "other order" else routes:
                app.add_url_rule(path, view_func=view)
            if variant == "before serving":
                app.before_serving(index)
            return app
        app = make()
        """,
    )
    assert differing == {
        "": [],
        "other order": ["Quart routes", "Quart views"],
        "before serving": ["Quart functions around requests"],
    }


# --- Starlette and FastAPI ---

STARLETTE = """\
from contextlib import asynccontextmanager
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute
from starlette.staticfiles import StaticFiles

VARIANTS = (
    "", "other order", "other endpoint", "other order of middlewares", "other options", "error handler", "lifespan", "mounted",
    "host", "folder", "middleware of what is mounted", "state",
)

async def index(request): ...
async def other(request): ...
async def handle(request, error): ...

@asynccontextmanager
async def lifespan(app):
    yield

def make(variant=""):
    routes = [Route("/", index), Route("/other", index if variant == "other endpoint" else other, methods=["POST", "PUT"])]
    middlewares = [Middleware(GZipMiddleware, minimum_size=2 if variant == "other options" else 1), Middleware(CORSMiddleware)]
    inner = [Route("/", index), Route("/two", other)]
    if variant == "mounted":
        inner.reverse()
    inner_middlewares = [Middleware(GZipMiddleware)] if variant == "middleware of what is mounted" else []
    app = Starlette(
        routes=[
            *(reversed(routes) if variant == "other order" else routes),
            WebSocketRoute("/ws", other),
            Mount("/inner", app=Starlette(routes=inner, middleware=inner_middlewares)),
            Mount("/router", routes=[Route("/one", index), Mount("/deeper", app=Router([Route("/two", other)]))]),
            Mount("/static", app=StaticFiles(directory="." if variant == "folder" else "..")),
            Host("api.example.org", app=Router([Route("/", other if variant == "host" else index)])),
        ],
        middleware=middlewares[::-1] if variant == "other order of middlewares" else middlewares,
        exception_handlers={404: index if variant == "error handler" else handle, ValueError: handle},
        lifespan=lifespan if variant == "lifespan" else None,
    )
    app.state.size = 2 if variant == "state" else 1
    return app

app = make()
"""


def test_starlette(write: Write, run: Run) -> None:
    assert compared(write, run, STARLETTE) == {
        "": [],
        "other order": ["Starlette routes"],
        "other endpoint": ["Starlette routes"],
        "other order of middlewares": ["Starlette middlewares"],
        "other options": ["Starlette middlewares"],
        "error handler": ["Starlette error handlers"],
        "lifespan": ["Starlette start and end"],
        "mounted": ["Starlette at /inner/ routes", "Starlette routes"],
        "host": ["Starlette routes"],
        "folder": ["Starlette routes"],
        "middleware of what is mounted": ["Starlette at /inner/ middlewares"],
        "state": ["Starlette state"],
    }


FASTAPI = """\
from fastapi import APIRouter, Depends, FastAPI
from pydantic import BaseModel

VARIANTS = (
    "", "other order", "other order of routers", "other prefix", "dependency", "dependency of a router", "model", "override",
    "startup",
)

class Item(BaseModel):
    name: str

class Other(BaseModel):
    name: str

def one(): ...
def two(): ...
async def index(item: Item = None, found=Depends(one)): ...
async def other(): ...

def make(variant=""):
    app = FastAPI()
    routes = [("/", index), ("/other", other)]
    for path, endpoint in reversed(routes) if variant == "other order" else routes:
        app.post(
            path,
            response_model=list[Other if variant == "model" else Item],
            dependencies=[Depends(two if variant == "dependency" else one)],
        )(endpoint)
    routers = []
    for name in ("posts", "users"):
        router = APIRouter(prefix="/" + name)
        router.get("/{number}")(other)
        inner = APIRouter()
        inner.get("/deeper")(index)
        router.include_router(inner, prefix="/in")
        routers.append(router)
    for router in routers[::-1] if variant == "other order of routers" else routers:
        depends = [Depends(two if variant == "dependency of a router" else one)]
        app.include_router(router, prefix="/v2" if variant == "other prefix" else "/v1", dependencies=depends)
    if variant == "override":
        app.dependency_overrides[one] = two
    if variant == "startup":
        app.router.on_startup.append(one)
    return app

app = make()
"""


def test_fastapi(write: Write, run: Run) -> None:
    assert compared(write, run, FASTAPI) == {
        "": [],
        "other order": ["FastAPI routes"],
        "other order of routers": ["FastAPI routes"],
        "other prefix": ["FastAPI routes"],
        "dependency": ["FastAPI routes"],
        "dependency of a router": ["FastAPI routes"],
        "model": ["FastAPI routes"],
        "override": ["FastAPI overridden dependencies"],
        "startup": ["FastAPI start and end"],
    }


def test_the_lifespans_of_many_routers_of_fastapi_are_told(write: Write, run: Run) -> None:
    """FastAPI wraps one around another."""
    differing = compared(
        write,
        run,
        """\
        from contextlib import asynccontextmanager
        from fastapi import APIRouter, FastAPI
        VARIANTS = ("", "other")
        @asynccontextmanager
        async def one(app):
            yield
        @asynccontextmanager
        async def other(app):
            yield
        def make(variant=""):
            app = FastAPI(lifespan=other if variant else one)
            for number in range(15):
                app.include_router(APIRouter(), prefix=f"/{number}")
            return app
        app = make()
        """,
    )
    assert differing == {"": [], "other": ["FastAPI start and end"]}


# --- Django ---

SETTINGS = """\
import os
from pathlib import Path

variant = os.environ.get("VARIANT", "")
BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "x"
DEBUG = True
INSTALLED_APPS = [
    "django.contrib.ADMIN", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
    "django.contrib.messages", *(["shop", "blog"] if variant == "order of apps" else ["blog", "shop"]),
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware", "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware", "django.contrib.messages.middleware.MessageMiddleware",
]
if variant == "order of middlewares":
    MIDDLEWARE[:2] = reversed(MIDDLEWARE[:2])
ROOT_URLCONF = "mysite.urls"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {"context_processors": [
    "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages",
]}}, {"BACKEND": "django.template.backends.jinja2.Jinja2"}]
WSGI_APPLICATION = "mysite.wsgi.application"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TITLE = "as written"
"""

URLS = """\
import os
from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.urls import include, path, re_path
from django.utils.translation import gettext_lazy
from django.views.generic import RedirectView, TemplateView

VARIANT = os.environ.get("VARIANT", "")

def index(request, **arguments): ...
def other(request, **arguments): ...

class Post(TemplateView):
    template_name = "post.html"

posts = [
    path("<int:number>/", Post.as_view(extra_context={"size": 2 if VARIANT == "arguments of a class" else 1}), name="post"),
    re_path(r"^(?P<name>[a-z]+)/$", login_required(other if VARIANT == "decorated" else index), name="named"),
]
urlpatterns = [
    path("", index, name="start" if VARIANT == "name of a route" else "index"),
    path("admin/", admin.site.urls),
    path("posts/", include((posts, "posts"), namespace="news" if VARIANT == "namespace" else "posts"), {"size": 1}),
    path("old/", RedirectView.as_view(url="/new/" if VARIANT == "redirect" else "/")),
    path("arguments/", other, {"size": 2 if VARIANT == "arguments" else 1}),
    *i18n_patterns(path(gettext_lazy("about/"), index)),
]
if VARIANT == "order of routes":
    urlpatterns[0], urlpatterns[1] = urlpatterns[1], urlpatterns[0]
if VARIANT == "another route":
    urlpatterns.append(path("more/", index))
"""

MODELS = """\
import os
from django.db import models
from django.db.models.signals import m2m_changed, post_save
from django.dispatch import Signal

VARIANT = os.environ.get("VARIANT", "")
published = Signal()

class Tag(models.Model):
    name = models.CharField(max_length=20)

def author():
    class Author(models.Model):
        name = models.CharField(max_length=20)
        popular = models.Manager()
        __qualname__ = "Author"
        class Meta:
            permissions = [("praise", "May praise")] if VARIANT == "permission" else []
    return Author

def post():
    class Post(models.Model):
        author = models.ForeignKey("blog.Author", models.CASCADE)
        tags = models.ManyToManyField(Tag)
        __qualname__ = "Post"
        if VARIANT == "field":
            title = models.CharField(max_length=20)
    return Post

if VARIANT == "order of models":
    Post = post()
    Author = author()
else:
    Author = author()
    Post = post()

def saved(**arguments): ...
def saved_too(**arguments): ...

class Listener:
    def heard(self, **arguments): ...
    def heard_too(self, **arguments): ...

listener = Listener()
receivers = [saved, saved_too]
for receiver in receivers[::-1] if VARIANT == "order of receivers" else receivers:
    post_save.connect(receiver, sender=Post)
post_save.connect(lambda **arguments: None, sender=Tag)  # nobody holds it
m2m_changed.connect(saved, sender=Post.tags.through)
published.connect(listener.heard_too if VARIANT == "method" else listener.heard, sender=listener)
published.connect(saved, dispatch_uid="blog.saved")
if VARIANT == "receiver":
    post_save.connect(saved, sender=Author)
published.connect(saved, sender=Tag if VARIANT == "sender" else Author)
if VARIANT == "lookup":
    @models.CharField.register_lookup
    class Shorter(models.Lookup):
        lookup_name = "shorter"
"""

ADMIN = """\
import os
from django.contrib import admin
from blog.models import Author, Post, Tag

VARIANT = os.environ.get("VARIANT", "")

class PostAdmin(admin.ModelAdmin):
    actions = ["publish"]
    def publish(self, request, posts): ...

class AuthorAdmin(admin.ModelAdmin): ...

def mark(admin, request, things): ...

registered = [(Post, PostAdmin), (Author, PostAdmin if VARIANT == "class of admin" else AuthorAdmin)]
for model, its_admin in registered[::-1] if VARIANT == "order of admin" else registered:
    admin.site.register(model, its_admin)
if VARIANT == "registered":
    admin.site.register(Tag, list_display=["name"])
if VARIANT == "action":
    admin.site.add_action(mark)
"""

APPS = """\
import os
from django.apps import AppConfig
from django.core.checks import register

VARIANT = os.environ.get("VARIANT", "")

class ShopConfig(AppConfig):
    name = "shop"

    def ready(self):
        from django.conf import settings
        if VARIANT == "setting":
            settings.TITLE = "as an app has it"
        if VARIANT == "check":
            register(check, "shop")

def check(app_configs, **arguments):
    return []
"""

TAGS = """\
import os
from django import template

VARIANT = os.environ.get("VARIANT", "")
register = template.Library()

@register.simple_tag(takes_context=VARIANT != "tag")
def price(context): ...

@register.filter(name="rounded" if VARIANT == "filter" else "round")
def rounded(value): ...
"""

WSGI = """\
import os
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
"""

IN_CHILDREN = (
    LOOK
    + """
# What takes long and needs no settings is imported once.
import django.core.handlers.wsgi, django.contrib.admin, django.db.backends.sqlite3.base, django.template, jinja2

def of_variant(variant):
    '''In a process of its own.'''
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.environ["VARIANT"] = variant
        try:
            load()
            os.write(writer, json.dumps(digests(chosen, app)).encode())
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        found = json.loads(pipe.read())
    os.waitpid(child, 0)
    return found
"""
)


@pytest.fixture
def project(write: Write) -> Callable[..., None]:
    def project(admin: str = "admin", urls: str = URLS) -> None:
        for name, text in {
            "manage.py": "",
            "mysite/__init__.py": "",
            "mysite/settings.py": SETTINGS.replace("ADMIN", admin),
            "mysite/urls.py": urls,
            "mysite/wsgi.py": WSGI,
            "blog/__init__.py": "",
            "blog/models.py": MODELS,
            "blog/admin.py": ADMIN,
            "shop/__init__.py": "",
            "shop/apps.py": APPS,
            "shop/templatetags/__init__.py": "",
            "shop/templatetags/prices.py": TAGS,
        }.items():
            write(name, text)

    return project


def test_django(project: Callable[..., None], run: Run) -> None:
    expected = {
        "": [],
        "order of routes": ["URL patterns"],
        "another route": ["URL patterns"],
        "name of a route": ["URL patterns"],
        "namespace": ["URL patterns"],
        "arguments": ["URL patterns"],
        "arguments of a class": ["URL patterns"],
        "decorated": ["URL patterns"],
        "redirect": ["URL patterns"],
        "order of models": ["models"],
        "permission": ["models"],
        "field": ["models"],
        "lookup": ["model lookups"],
        "receiver": ["signal receivers"],
        "order of receivers": ["signal receivers"],
        "sender": ["signal receivers"],
        "method": ["signal receivers"],
        "registered": ["URL patterns", "admin site"],
        "order of admin": ["URL patterns", "admin site"],
        "class of admin": ["URL patterns", "admin site"],
        "action": ["admin site"],
        "tag": ["template tags and filters"],
        "filter": ["template tags and filters"],
        "check": ["system checks"],
        "setting": ["settings"],
        "order of middlewares": ["settings"],
        "order of apps": ["installed apps", "settings"],
    }
    project()
    differing = f"{{variant: differing(first, of_variant(variant)) for variant in {list(expected)}}}"
    first, found = run(IN_CHILDREN + f"first = of_variant('')\ntell([first, {differing}])")
    assert found == expected
    assert run(IN_CHILDREN + "tell(of_variant(''))") == first


def test_django_is_as_it_was(project: Callable[..., None], run: Run) -> None:
    """A site of the admin that nobody has asked for does not come into being, and no list is kept that was not."""
    project("admin.apps.SimpleAdminConfig", urls="urlpatterns = []")
    told = run(
        LOOK
        + """
load()
from django.apps import apps
from django.contrib.admin import sites
from django.utils.functional import empty
model = apps.get_model("blog.Post")
before = apps.get_models.cache_info(), set(vars(model._meta)), set(vars(model))
found = dict(registries(chosen, app))
tell([
    sites.site._wrapped is empty, found["admin site"],
    (apps.get_models.cache_info(), set(vars(model._meta)), set(vars(model))) == before,
])
"""
    )
    assert told == [True, {}, True]


def test_what_cannot_be_read_of_django_takes_nothing_with_it(project: Callable[..., None], run: Run) -> None:
    project()
    told = run(
        "load()\nimport django.core.checks.registry as checks\ndel checks.registry\n"
        "found = dict(pair for one in chosen for pair in one.registries(app))\n"
        "tell([found['system checks'], len(found['URL patterns']) > 5])"
    )
    assert told == ["cannot be read: ImportError", True]


def test_asking_django_costs_little(project: Callable[..., None], run: Run) -> None:
    project()
    seconds = run(
        LOOK
        + """
load()
took = []
for _ in range(5):
    began = time.process_time()
    [*(pair for one in chosen for pair in one.registries(app))]
    took.append(time.process_time() - began)
print(took)
tell(min(took))
"""
    )
    assert seconds < 0.05


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("(1, id(None)), saved", [True, "any sender", None, []]),  # Django 4.2
        ("('uid', id(None)), weakref.ref(saved), False", [True, "any sender", "uid", [False]]),  # from 5.0 on
        (
            "(1, id(Sender)), weakref.ref(saved), weakref.ref(Sender), True",
            [True, "Sender", None, [True]],
        ),  # from 6.0 on
        ("((1, 2), (3, 4)), weakref.ref(saved), True", [True, "a method", None, [True]]),
    ],
)
def test_receivers_are_told_in_all_releases_of_django(write: Write, run: Run, entry: str, told: list[object]) -> None:
    write(
        "main.py",
        f"""\
import weakref
from django.dispatch import Signal
def saved(**arguments): ...
class Sender: ...
signal = Signal()
signal.receivers = [({entry}), ((1, id(None)), weakref.ref(lambda: None), True)]  # nobody holds the second
def app(environ, start_response): ...
""",
    )
    found = run(
        LOOK
        + """
load("main")
import main
from django.dispatch import Signal
from devserver.integrations.registries.telling import told_signals
[(receiver, sender, uid, more)] = told_signals(Signal)["main.signal"]
tell([receiver is main.saved, "Sender" if sender is main.Sender else sender, uid, more])
"""
    )
    assert found == told


# --- others ---


def test_litestar(write: Write, run: Run) -> None:
    differing = compared(
        write,
        run,
        """\
        from litestar import Controller, Litestar, Router, get
        from litestar.di import Provide
        from litestar.events import listener
        VARIANTS = ("", "order", "middlewares", "dependency", "layer", "hook", "listener")
        async def one(): ...
        async def two(): ...
        async def three(): ...
        async def four(): ...
        def wrapping(app): return app
        def around(app): return app
        async def heard(event): ...
        def make(variant=""):
            @get("/")
            async def index(found: str) -> str: return ""
            @get("/other", sync_to_thread=False)
            def other() -> str: return ""
            class Posts(Controller):
                path = "/posts"
                dependencies = {"number": Provide(four if variant == "layer" else three)}
                @get("/")
                async def posts(self) -> str: return ""
            handlers = [index, other]
            return Litestar(
                [*(handlers[::-1] if variant == "order" else handlers), Router("/blog", route_handlers=[Posts])],
                middleware=[around, wrapping] if variant == "middlewares" else [wrapping, around],
                dependencies={"found": Provide(two if variant == "dependency" else one)},
                on_startup=[one] if variant == "hook" else [],
                listeners=[listener("changed")(heard)] if variant == "listener" else [],
            )
        app = make()
        """,
    )
    assert differing == {
        "": [],
        "order": ["Litestar routes"],
        "middlewares": ["Litestar of all routes"],
        "dependency": ["Litestar of all routes"],
        "layer": ["Litestar routes"],
        "hook": ["Litestar hooks"],
        "listener": ["Litestar listeners"],
    }


@pytest.mark.parametrize("kind", ["falcon.App", "falcon.asgi.App"])
def test_falcon(write: Write, run: Run, kind: str) -> None:
    differing = compared(
        write,
        run,
        """\
        import falcon, falcon.asgi
        VARIANTS = ("", "order", "resource", "state of a resource", "middlewares", "handler", "sink")
        class Items:
            def __init__(self, size): self.size = size
            async def on_get(self, request, response, number=None): ...
        class Others(Items): ...
        class One:
            async def process_request(self, request, response): ...
        class Two(One): ...
        async def handle(request, response, error, params, ws=None): ...
        async def handle_otherwise(request, response, error, params, ws=None): ...
        async def sink(request, response): ...
        def make(variant=""):
            app = KIND(middleware=[Two(), One()] if variant == "middlewares" else [One(), Two()])
            routes = [("/items/{number}", Items(2 if variant == "state of a resource" else 1)), ("/others", Others(1))]
            for path, resource in routes[::-1] if variant == "order" else routes:
                app.add_route(path, Items(1) if variant == "resource" else resource)
            app.add_error_handler(ValueError, handle_otherwise if variant == "handler" else handle)
            if variant == "sink":
                app.add_sink(sink, "/rest")
            return app
        app = make()
        """.replace("KIND", kind).replace("async def", "async def" if "asgi" in kind else "def"),
    )
    assert differing == {
        "": [],
        "order": ["Falcon routes"],
        "resource": ["Falcon routes"],
        "state of a resource": ["Falcon routes"],
        "middlewares": ["Falcon middlewares"],
        "handler": ["Falcon error handlers"],
        "sink": ["Falcon sinks and static routes"],
    }


def test_pyramid(write: Write, run: Run) -> None:
    differing = compared(
        write,
        run,
        """\
        from pyramid.config import Configurator
        from pyramid.events import NewRequest
        VARIANTS = ("", "order", "view", "subscriber")
        def index(request): ...
        def other(request): ...
        def make(variant=""):
            with Configurator() as config:
                routes = [("index", "/"), ("other", "/other/{number}")]
                for name, pattern in routes[::-1] if variant == "order" else routes:
                    config.add_route(name, pattern)
                    config.add_view(other if variant == "view" else index, route_name=name)
                if variant == "subscriber":
                    config.add_subscriber(other, NewRequest)
                return config.make_wsgi_app()
        app = make()
        """,
    )
    assert differing == {
        "": [],
        "order": ["Pyramid routes", "Pyramid routes in order", "Pyramid views"],
        "view": ["Pyramid views"],
        "subscriber": ["Pyramid subscribers"],
    }


SQLALCHEMY = """\
import os
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, event
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

VARIANT = os.environ.get("VARIANT", "")

class Base(DeclarativeBase): ...

class Author(Base):
    __tablename__ = "authors"
    id: Mapped[int] = mapped_column(primary_key=True)
    posts = relationship("Post", back_populates="author")
    if VARIANT == "column":
        name: Mapped[str]

class Post(Base):
    __tablename__ = "posts"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id = mapped_column(ForeignKey("authors.id"))
    author = relationship("Author", back_populates="posts")

rest = MetaData()
names = ["one", "two"]
for name in names[::-1] if VARIANT == "order" else names:
    Table(name, rest, Column("id", Integer, primary_key=True), Column("name", String(20), index=True))

def changed(mapper, connection, target): ...

if VARIANT == "listener":
    event.listen(Post, "after_update", changed)
if VARIANT == "class":
    class Comment(Base):
        __tablename__ = "comments"
        id: Mapped[int] = mapped_column(primary_key=True)
if VARIANT == "configured":
    Base.registry.configure()

def app(environ, start_response): ...
"""


def test_sqlalchemy(write: Write, run: Run) -> None:
    write("main.py", SQLALCHEMY)
    code = LOOK + "load('main'); tell([found.name, digests(chosen, app)])"
    name, first = run(code)
    assert name == ""
    differing = {}
    for variant in ("", "order", "column", "listener", "class", "configured"):
        _name, other = run(code, VARIANT=variant)
        differing[variant] = [label for label in first if first[label] != other[label]]
    assert differing == {
        "": [],
        "order": ["SQLAlchemy tables"],
        "column": ["SQLAlchemy tables"],
        "listener": ["SQLAlchemy event listeners"],
        "class": ["SQLAlchemy mapped classes", "SQLAlchemy tables"],
        "configured": [],
    }


CELERY = """\
import os
from celery import Celery, shared_task
from celery.signals import task_prerun
from celery.schedules import crontab

VARIANT = os.environ.get("VARIANT", "")
tasks = Celery("project", broker="memory://")
tasks.conf.beat_schedule = {"nightly": {"task": "main.work", "schedule": crontab(hour=4 if VARIANT == "schedule" else 3)}}

def work(): ...
def more(): ...
def heard(**arguments): ...

tasks.task(work)
shared_task(more, name="other" if VARIANT == "shared" else "more")
if VARIANT == "task":
    tasks.task(more)
if VARIANT == "made":
    tasks.finalize()
if VARIANT == "receiver":
    task_prerun.connect(heard)

def app(environ, start_response): ...
"""


def test_celery(write: Write, run: Run) -> None:
    write("main.py", CELERY)
    code = LOOK + (
        "load('main'); import main; first = digests(chosen, app)\n"
        "tell([found.name, first, main.tasks.finalized, main.tasks.configured])"
    )
    name, first, is_finalized, is_configured = run(code)
    assert (name, is_finalized, is_configured) == ("", False, False)
    differing = {}
    for variant in ("", "task", "shared", "schedule", "receiver", "made"):
        other = run(code, VARIANT=variant)[1]
        differing[variant] = sorted(label for label in first if first[label] != other[label])
    assert differing == {
        "": [],
        "task": ["Celery tasks of all apps", "Celery tasks to be made"],
        "shared": ["Celery tasks of all apps"],
        "schedule": ["Celery schedule"],
        "receiver": ["Celery signal receivers"],
        "made": ["Celery tasks", "Celery tasks to be made"],
    }


def test_nothing_of_it_is_imported_before_somebody_asks(run: Run) -> None:
    code = "import sys, devserver.integrations; tell([name for name in sys.modules if '.registries.' in name])"
    assert run(code) == []
