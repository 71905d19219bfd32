"""Advice on errors of Django: each is raised by a project, in a process of its own, for its settings are global."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import devserver
from devserver.hints.django import csrf

DEADLINE_S = 60

PROJECT = """\
import asyncio, json, sys
from types import ModuleType
from devserver.report import Occasion
from devserver.server.web.tracebacks import report_from_exception
import django
from django.conf import settings

found = {}

def advice(label):
    def note(fails):
        try:
            fails()
        except BaseException as error:
            report = report_from_exception(error, Occasion.REQUEST, user_roots=["."])
            found[label] = [[one.text, one.command] for one in report.advice]
        else:
            raise AssertionError(f"{label}: nothing was raised")
    return note

advice("settings")(lambda: settings.DEBUG)
settings.configure(
    DEBUG=True, SECRET_KEY="x", ROOT_URLCONF="urls", USE_TZ=True,
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
)
from django.apps import apps
advice("models too early")(lambda: apps.get_models())
django.setup()

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import models
from django.http import HttpRequest, HttpResponse, QueryDict
from django.template import Context, Template
from django.test import Client
from django.test.utils import override_settings
from django.urls import include, path, reverse
from django.views import View

urls = sys.modules["urls"] = ModuleType("urls")
def index(request): return HttpResponse()
def nothing(request): pass
def no_request(): pass
async def coroutine(request): pass
urls.urlpatterns = [
    path("", index, name="index"),
    path("item/<int:pk>/", index, name="item"),
    path("nothing/", nothing),
    path("no-request/", no_request),
    path("class/", View),
    path("shop/", include(([path("", index, name="cart")], "shop"))),
]

# URLs and views
for label, name, arguments in [
    ("misspelt name", "indx", []), ("unknown name", "zzzz", []), ("empty name", "", []),
    ("no argument", "item", []), ("wrong argument", "item", ["x"]), ("empty argument", "item", [""]),
    ("misspelt namespace", "shpo:cart", []), ("unknown namespace", "polls:index", []),
]:
    advice(label)(lambda: reverse(name, args=arguments))
advice("url tag")(lambda: Template("{% url 'indx' %}").render(Context()))
settings.ALLOWED_HOSTS = ["*"]
advice("unexpected argument")(lambda: Client().get("/item/1/"))
advice("no response")(lambda: Client().get("/nothing/"))
advice("no request")(lambda: Client().get("/no-request/"))
advice("class")(lambda: Client().get("/class/"))
advice("view as text")(lambda: path("", "views.index"))
advice("view as class")(lambda: path("", View()))

# apps and settings
@advice("model outside")
def _():
    type("Poll", (models.Model,), {"__module__": "polls.models"})
advice("unknown app")(lambda: apps.get_app_config("polls"))
advice("unknown model")(lambda: apps.get_model("auth.Usr"))
@advice("unknown user model")
def _():
    with override_settings(AUTH_USER_MODEL="accounts.User"):
        get_user_model()
@advice("user model without app")
def _():
    with override_settings(AUTH_USER_MODEL="User"):
        get_user_model()
@advice("swapped")
def _():
    with override_settings(AUTH_USER_MODEL="auth.Group"):
        User.objects
advice("no user")(lambda: HttpRequest().user)
advice("no such attribute")(lambda: HttpRequest().usr)
from django.contrib import messages
advice("no messages")(lambda: messages.info(HttpRequest(), "saved"))
from django.db.utils import ConnectionHandler
advice("no engine")(lambda: ConnectionHandler({})["default"].cursor())
advice("unknown engine")(lambda: ConnectionHandler({"default": {"ENGINE": "django.db.backends.sqlite"}})["default"])
sys.modules["PIL"] = None
@advice("pillow")
def _():
    type("Photo", (models.Model,), {"__module__": "photos", "Meta": type("Meta", (), {"app_label": "auth"}),
                                    "file": models.ImageField()})
    call_command("check")
@advice("static manifest")
def _():
    from django.contrib.staticfiles.storage import ManifestStaticFilesStorage
    with override_settings(DEBUG=False):
        ManifestStaticFilesStorage("/nowhere", "/static/").url("site.css")

# templates
for label, source in [
    ("load static", "{% static 'a' %}"), ("load humanize", "{{ a|intcomma }}"), ("misspelt tag", "{% csrf_tokn %}"),
    ("unknown tag", "{% zzz %}"), ("unknown filter", "{{ a|zzz }}"), ("unclosed", "{% if a %}"),
    ("not open", "{% endif %}"), ("crossed", "{% if a %}{% endfor %}"), ("misspelt library", "{% load statc %}"),
    ("unknown library", "{% load zzz %}"), ("call", "{{ user.name() }}"), ("assignment", "{% if a = b %}{% endif %}"),
    ("two words", "{{ a b }}"),
]:
    advice(label)(lambda: Template(source))

# models
advice("no table")(lambda: User.objects.count())
call_command("migrate", verbosity=0)
advice("null")(lambda: User.objects.create(username=None))
User.objects.create(username="a")
advice("unique")(lambda: User.objects.create(username="a"))
User.objects.create(username="b")
advice("misspelt field")(lambda: User.objects.filter(usrname=1))
advice("unknown field")(lambda: User.objects.filter(zzz=1))
advice("lookup")(lambda: User.objects.filter(username__zzz=1))
advice("relation")(lambda: User.objects.select_related("username").first())
advice("unknown argument")(lambda: User(zzz=1))
advice("none")(lambda: User.objects.get(pk=99))
advice("many")(lambda: User.objects.get())
advice("number")(lambda: User.objects.get(pk="abc"))
advice("unsaved")(lambda: User(username="c").groups.all())
async def count(): return User.objects.count()
advice("sync only")(lambda: asyncio.run(count()))

# what was sent
class request:
    POST = GET = FILES = QueryDict()
advice("post")(lambda: request.POST["name"])
advice("get")(lambda: request.GET["name"])
advice("files")(lambda: request.FILES["name"])
print(json.dumps(found))
"""

Found = dict[str, list[list[str]]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """The advice on each mistake of the project, by its label."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "project.py").write_text(PROJECT)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "project.py"],
        cwd=folder,
        env={"PYTHONPATH": str(Path(devserver.__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: Found = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("label", "part"),
    [
        ("settings", "before Django knew them"),
        ("models too early", "AppConfig.ready()"),
        ("misspelt name", "but one is named index"),
        ("unknown name", 'add `name="zzzz"`'),
        ("empty name", "in quotes"),
        ("no argument", "No arguments are given, and the URL item does not fit that: pass pk"),
        ("wrong argument", "does not fit that: pass pk"),
        ("empty argument", "was the object saved?"),
        ("misspelt namespace", "but some are as shop"),
        ("unknown namespace", 'app_name = "polls"'),
        ("url tag", "but one is named index"),
        ("unexpected argument", "add pk to its parameters"),
        ("no response", "The view nothing ends without `return`"),
        ("no request", "`def no_request(request):`"),
        ("class", "write .as_view() behind the class"),
        ("view as text", "without quotes"),
        ("view as class", "View.as_view()"),
        ("model outside", 'Add "polls" to INSTALLED_APPS'),
        ("unknown app", 'Add "polls" to INSTALLED_APPS'),
        ("unknown model", "Check the spelling of Usr"),
        ("unknown user model", 'Add "accounts" to INSTALLED_APPS'),
        ("user model without app", '"accounts.User"'),
        ("swapped", "get_user_model()"),
        ("no user", "AuthenticationMiddleware"),
        ("no messages", "MessageMiddleware"),
        ("no engine", "ENGINE"),
        ("pillow", "pillow is not installed"),
        ("static manifest", "site.css is not among"),
        ("load static", "Put {% load static %}"),
        ("load humanize", "Put {% load humanize %}"),
        ("misspelt tag", "perhaps csrf_token is meant"),
        ("unknown tag", "Check the spelling of zzz"),
        ("unknown filter", "spelling of the filter zzz"),
        ("unclosed", "by {% endif %}"),
        ("not open", "closes a if that is not open"),
        ("crossed", "still to be closed by 'elif', 'else' or 'endif'"),
        ("misspelt library", "but there is static"),
        ("unknown library", "zzz.py in the folder templatetags"),
        ("call", "without parentheses"),
        ("assignment", "Compare by =="),
        ("two words", "Correct what stands at 'b'"),
        ("no table", "make and apply the migrations"),
        ("null", "Give username a value"),
        ("unique", "a row with this auth_user.username already"),
        ("misspelt field", "but it has username"),
        ("unknown field", "no field zzz"),
        ("lookup", "has no lookup zzz"),
        ("relation", "check username"),
        ("unknown argument", "User has no field zzz"),
        ("none", "get_object_or_404(User, …)"),
        ("many", "More than one User fits"),
        ("number", "id takes a number"),
        ("unsaved", "Save the object first"),
        ("sync only", "aget(…)"),
        ("post", 'field name="name"'),
        ("get", "The URL has no ?name=…"),
        ("files", 'enctype="multipart/form-data"'),
    ],
)
def test_django(found: Found, label: str, part: str) -> None:
    ((text, _),) = found[label]
    assert part in text


def test_commands(found: Found) -> None:
    assert found["no table"][0][1].endswith(" manage.py migrate")
    assert found["pillow"][0][1].endswith(" -m pip install pillow")
    assert found["static manifest"][0][1].endswith(" manage.py collectstatic")


def test_engine_and_the_module_that_it_names(found: Found) -> None:
    (engine, _), (module, _) = found["unknown engine"]
    assert "spelling of the ENGINE django.db.backends.sqlite" in engine
    assert "there is django.db.backends.sqlite3" in module


def test_other_attributes_of_a_request(found: Found) -> None:
    assert not any("MIDDLEWARE" in text for text, _ in found["no such attribute"])


@pytest.mark.parametrize(
    ("reason", "part"),
    [
        ("CSRF token missing.", "{% csrf_token %}"),
        ("CSRF cookie not set.", "CSRF_COOKIE_SECURE = False"),
        ("CSRF token from POST incorrect.", "Load the page of the form anew"),
        ("CSRF token from the 'X-Csrftoken' HTTP header has incorrect length.", "Load the page of the form anew"),
        (
            "Origin checking failed - https://a.test does not match any trusted origins.",
            'CSRF_TRUSTED_ORIGINS = ["https://a.test"]',
        ),
        (
            "Referer checking failed - https://a.test:8443/form?x=1 does not match any trusted origins.",
            'CSRF_TRUSTED_ORIGINS = ["https://a.test:8443"]',
        ),
        ("Referer checking failed - no Referer.", "no-referrer"),
    ],
)
def test_csrf(reason: str, part: str) -> None:
    assert part in csrf(reason).text
