"""Django, for real: what the settings name, what is built at load, static files, templates, catalogs, connections."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

Write = Callable[[str, str], Path]
Run = Callable[..., Any]

SETTINGS = """\
from pathlib import Path
BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "x"
DEBUG = True
ALLOWED_HOSTS = []
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.staticfiles", "blog"]
MIDDLEWARE = ["django.middleware.locale.LocaleMiddleware", "django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "mysite.urls"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [BASE_DIR / "templates"],
              "APP_DIRS": True, "OPTIONS": {}}]
WSGI_APPLICATION = "mysite.wsgi.application"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "assets", ("prefixed", BASE_DIR / "more")]
LOCALE_PATHS = [BASE_DIR / "locale"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
"""

URLS = """\
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import path
from django.utils.translation import gettext
from django.db import connection

def greet(request):
    return HttpResponse(gettext("hello"))

def query(request):
    with connection.cursor() as cursor:
        return HttpResponse(cursor.execute("select 41 + 1").fetchone()[0])

urlpatterns = [
    path("", lambda request: render(request, "index.html")), path("greet/", greet), path("query/", query),
]
"""

WSGI = """\
import os
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
"""

ASGI = WSGI.replace("wsgi", "asgi")

CHANNELS = (
    ASGI.replace("application = ", "inner = ")
    + """\
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
application = ProtocolTypeRouter({"http": inner, "websocket": AllowedHostsOriginValidator(URLRouter([]))})
"""
)


@pytest.fixture
def project(write: Write) -> Callable[..., None]:
    """A project as `startproject` makes it, with lines added to its settings."""

    def project(settings: str = "", urls: str = URLS, asgi: str = ASGI) -> None:
        for name, text in {
            "manage.py": "",
            "mysite/__init__.py": "",
            "mysite/settings.py": SETTINGS + settings,
            "mysite/urls.py": urls,
            "mysite/wsgi.py": WSGI,
            "mysite/asgi.py": asgi,
            "blog/__init__.py": "",
            "blog/templates/blog/post.html": "",
            "blog/static/blog/post.css": "post",
            "templates/index.html": "old",
            "assets/site.css": "site",
            "assets/folder/inner.css": "inner",
            "more/extra.css": "extra",
            "secret.css": "secret",
        }.items():
            write(name, text)

    return project


# --- which app ---


@pytest.mark.parametrize(
    ("settings", "options", "name", "interface"),
    [
        ("", "", "mysite.wsgi:application", "wsgi"),
        ("ASGI_APPLICATION = 'mysite.asgi.application'", "", "mysite.wsgi:application", "wsgi"),
        (
            "ASGI_APPLICATION = 'mysite.asgi.application'\nINSTALLED_APPS.insert(0, 'channels')",
            "",
            "mysite.asgi:application",
            "asgi",
        ),
        (
            "ASGI_APPLICATION = 'mysite.asgi.application'\nINSTALLED_APPS.insert(0, 'daphne')",
            "",
            "mysite.asgi:application",
            "asgi",
        ),
        (
            "ASGI_APPLICATION = 'mysite.asgi.application'\nINSTALLED_APPS.insert(0, 'daphne.apps.DaphneConfig')",
            "",
            "mysite.asgi:application",
            "asgi",
        ),
        ("INSTALLED_APPS.insert(0, 'channels')", "", "mysite.wsgi:application", "wsgi"),
        (
            "ASGI_APPLICATION = 'mysite.asgi.application'\nINSTALLED_APPS.insert(0, 'channels')",
            "interface=InterfaceChoice.WSGI",
            "mysite.wsgi:application",
            "wsgi",
        ),
        (
            "ASGI_APPLICATION = 'mysite.asgi.application'",
            "interface=InterfaceChoice.ASGI",
            "mysite.asgi:application",
            "asgi",
        ),
        ("", "interface=InterfaceChoice.ASGI", "django.core.asgi:get_asgi_application()", "asgi"),
        ("WSGI_APPLICATION = None", "", "django.core.wsgi:get_wsgi_application()", "wsgi"),
        ("del WSGI_APPLICATION", "", "django.core.wsgi:get_wsgi_application()", "wsgi"),
    ],
)
def test_the_settings_name_the_app(
    *, project: Callable[..., None], run: Run, settings: str, options: str, name: str, interface: str
) -> None:
    project(settings)
    told = run(f"load({options}); tell([loaded.name, loaded.interface, found.name])")
    assert told == [name, interface, f"Django {version('django')}"]


def test_the_environment_names_the_settings(project: Callable[..., None], write: Write, run: Run) -> None:
    project()
    write("mysite/other.py", SETTINGS + "WSGI_APPLICATION = 'other.application'")
    write("other.py", WSGI)
    assert run("load(); tell(loaded.name)", DJANGO_SETTINGS_MODULE="mysite.other") == "other:application"


def test_a_module_target_needs_no_settings_of_ours(project: Callable[..., None], run: Run) -> None:
    project()
    assert run("load('mysite.wsgi'); tell([loaded.name, get()])") == ["mysite.wsgi:application", [200, "old"]]


FAILED = "try: load()\nexcept TargetError as e: tell([e.message, e.hint])\nexcept Exception as e: tell(repr(e))"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            "WSGI_APPLICATION = 'mysite.wsgi.app'",
            ["mysite.wsgi has no attribute `app`", "it has `application`:  mysite.wsgi:application"],
        ),
        (
            "WSGI_APPLICATION = 'mysite.wgsi.application'",
            ["there is no module wgsi in the package mysite", "did you mean `mysite.wsgi`?"],
        ),
        (
            "WSGI_APPLICATION = 'application'",
            [
                "WSGI_APPLICATION in mysite.settings is 'application', which names no module",
                'write it as  "mysite.wsgi.application"',
            ],
        ),
        ("1 / 0", "ZeroDivisionError('division by zero')"),
        ("import nowhere", "ModuleNotFoundError(\"No module named 'nowhere'\")"),
        ("INSTALLED_APPS += ['nowhere']", "ModuleNotFoundError(\"No module named 'nowhere'\")"),
        ("ROOT_URLCONF = 'mysite.nowhere'", "ModuleNotFoundError(\"No module named 'mysite.nowhere'\")"),
        ("TEMPLATES[0]['BACKEND'] = 'nowhere.Templates'", "ModuleNotFoundError("),
        ("TEMPLATES[0]['OPTIONS'] = {'nonsense': 1}", "TypeError("),
    ],
)
def test_what_is_wrong_shows_at_load(
    *, project: Callable[..., None], run: Run, settings: str, told: list[str] | str
) -> None:
    project(settings)
    answer = run(FAILED)
    assert answer.startswith(told) if isinstance(told, str) else answer == told


@pytest.mark.parametrize(
    ("urls", "told"),
    [("1 / 0", "ZeroDivisionError"), ("urlpatterns = 3", "ImproperlyConfigured"), ("def f(:", "SyntaxError")],
)
def test_a_broken_urlconf_shows_at_load(*, project: Callable[..., None], run: Run, urls: str, told: str) -> None:
    project(urls=urls)
    assert run(FAILED).startswith(told)


def test_missing_settings(project: Callable[..., None], run: Run) -> None:
    project()
    assert run(FAILED, DJANGO_SETTINGS_MODULE="mysite.setings") == [
        "there is no module setings in the package mysite",
        "did you mean `mysite.settings`?",
    ]


def test_no_django(project: Callable[..., None], run: Run) -> None:
    project()
    message, hint = run(f"sys.modules['django'] = None\n{FAILED}")
    assert message.startswith("manage.py needs Django, and ")
    assert "pip install django" in hint


# --- what is built, and what is found ---


def test_what_a_first_request_needs_is_built(project: Callable[..., None], run: Run) -> None:
    project()
    assert run(
        "load(); from django.urls import get_resolver; from django.template import engines\n"
        "tell(['mysite.urls' in sys.modules, get_resolver()._populated, 'templates' in vars(engines)])"
    ) == [True, True, True]


def test_what_first_requests_have_built_can_be_built_before(project: Callable[..., None], run: Run) -> None:
    project()
    first = """\
load()
before = [*chosen[0].built_late()]
get(); get("/greet/")
tell([before, sorted(chosen[0].built_late())])
"""
    before, built = run(first)
    assert not [name for name in before if name.startswith("template")]
    assert {"template django index.html", "catalog en-us"} <= set(built)
    then = f"""\
load()
for name in {built!r}:
    chosen[0].build_early(name)
for name in ("template django nowhere.html", "template other index.html", "catalog nonsense-", "what?"):
    chosen[0].build_early(name)
tell(sorted(chosen[0].built_late()))
"""
    assert set(built) <= set(run(then))


def test_before_there_is_anything_to_build_with_nothing_is_built(run: Run) -> None:
    code = """\
from devserver.integrations.django import early
early.build("template django index.html")
early.build("catalog de")
tell([*early.built(), *(name for name in sys.modules if name.startswith("django."))])
"""
    assert run(code) == []


def test_it_looks_as_under_runservers_reloader(project: Callable[..., None], run: Run) -> None:
    project("import os; SEEN = os.environ.get('RUN_MAIN')")
    assert run("load(); from django.conf import settings; tell(settings.SEEN)") == "true"


def test_what_is_found(project: Callable[..., None], run: Run) -> None:
    project()
    told = run(
        "load(); tell([relative(found.template_roots), relative(found.static_roots), found.versions, found.notices])"
    )
    assert told[0] == ["templates", "blog/templates"]
    assert told[1] == ["assets", "more", "blog/static"]
    assert told[2:] == [[["Django", version("django")]], []]


@pytest.mark.parametrize(
    "loaders",
    [
        "['django.template.loaders.filesystem.Loader']",
        "[('django.template.loaders.cached.Loader', ['django.template.loaders.app_directories.Loader'])]",
    ],
)
def test_template_folders_of_other_loaders(project: Callable[..., None], run: Run, loaders: str) -> None:
    project(f"TEMPLATES[0] |= {{'APP_DIRS': False, 'OPTIONS': {{'loaders': {loaders}}}}}")
    told = run("load(); tell(relative(found.template_roots))")
    assert told == ["templates"] + ["blog/templates"] * ("app_directories" in loaders)


def test_channels(project: Callable[..., None], run: Run) -> None:
    project("ASGI_APPLICATION = 'mysite.asgi.application'\nINSTALLED_APPS.insert(0, 'daphne')", asgi=CHANNELS)
    told = run("load(); tell([loaded.interface, found.name, found.versions, [m.url for m in found.static]])")
    versions = [["Django", version("django")], ["Channels", version("channels")]]
    assert told == ["asgi", f"Django {version('django')}", versions, ["/static/"]]


def test_a_wrapped_app_is_known(project: Callable[..., None], write: Write, run: Run) -> None:
    project()
    write(
        "outer.py",
        "from mysite.wsgi import application\nclass Outer:\n def __init__(self, app): self.inner = [app]\n"
        " def __call__(self, environ, start_response): return self.inner[0](environ, start_response)\napp = Outer(application)\n",
    )
    assert run("load('outer'); tell(found.name)") == f"Django {version('django')}"


# --- static files ---

FIND = """\
load()
(mount,) = found.static
paths = {paths!r}
tell([mount.url, [None if (path := mount.find(p)) is None else os.path.relpath(path, HERE) for p in paths]])
"""


@pytest.mark.parametrize(
    ("static_url", "url"),
    [("static/", "/static/"), ("static", "/static/"), ("/assets/v1/", "/assets/v1/")],
)
def test_static_files_are_found_as_runserver_finds_them(
    *, project: Callable[..., None], run: Run, static_url: str, url: str
) -> None:
    project(f"STATIC_URL = {static_url!r}")
    wanted = {
        "site.css": "assets/site.css",
        "folder/inner.css": "assets/folder/inner.css",
        "folder//./inner.css": "assets/folder/inner.css",
        "/site.css": "assets/site.css",
        "blog/post.css": "blog/static/blog/post.css",
        "prefixed/extra.css": "more/extra.css",
        "extra.css": None,
        "folder": None,
        "folder/": None,
        "": None,
        "nowhere.css": None,
        "../secret.css": None,
        "prefixed/../../secret.css": None,
        "folder/../../secret.css": None,
        "a\0b": None,
        "x" * 5000: None,
    }
    assert run(FIND.format(paths=list(wanted))) == [url, list(wanted.values())]


UNSET = "You're using the staticfiles app without having set the required STATIC_URL setting."


@pytest.mark.parametrize(
    ("settings", "notices"),
    [
        ("STATIC_URL = 'https://cdn.example.org/static/'", []),
        ("INSTALLED_APPS.remove('django.contrib.staticfiles')", []),
        (
            "STATIC_URL = None",
            [f"static files are not served: {UNSET}"],
        ),
        (
            "MEDIA_URL = STATIC_URL",
            ["static files are not served: The MEDIA_URL and STATIC_URL settings must have different values"],
        ),
        (
            "DEBUG = False; ALLOWED_HOSTS = ['*']",
            ["DEBUG is False: static files are not served (--static-files always does)"],
        ),
        (
            "DEBUG = False",
            [
                "DEBUG is False: static files are not served (--static-files always does)",
                "DEBUG is False and ALLOWED_HOSTS is empty: Django answers every request with 400",
            ],
        ),
    ],
)
def test_static_files_that_are_not_served(
    *, project: Callable[..., None], run: Run, settings: str, notices: list[str]
) -> None:
    project(settings)
    assert run("load(); tell([found.static, found.static_roots, found.notices])") == [[], [], notices]


@pytest.mark.parametrize(
    ("settings", "choice", "served"),
    [
        ("", "NEVER", False),
        ("DEBUG = False", "ALWAYS", True),
        ("INSTALLED_APPS.insert(0, 'whitenoise.runserver_nostatic')", "ALWAYS", True),
        ("INSTALLED_APPS.remove('django.contrib.staticfiles')", "ALWAYS", False),
    ],
)
def test_static_files_as_they_are_asked_for(
    *, project: Callable[..., None], write: Write, run: Run, settings: str, choice: str, served: bool
) -> None:
    project(settings)
    write("whitenoise/__init__.py", "")
    write("whitenoise/runserver_nostatic/__init__.py", "")
    found = run(f"""
        from devserver.options import StaticChoice
        load(static_files=StaticChoice.{choice})
        tell([str(mount.find("site.css")) for mount in found.static])
    """)
    assert [Path(each).name for each in found] == ["site.css"] * served


# --- its own checks ---

CHECKING = """
from django.core import checks
from django.db import models

class Post(models.Model):
    title: str = models.CharField(max_length=1)
    one = models.BooleanField(null=True, max_length=7)

class Lost(models.Model):
    other = (
        models.ForeignKey("nobody.Nothing", models.CASCADE)
    )

@checks.register
def own(**arguments):
    return [checks.Info("be merry", id="x.I1"), checks.Warning("of yours", hint="do", id="x.W1"), checks.Critical("50 % lost")]
"""


def test_what_the_checks_find(project: Callable[..., None], write: Write, run: Run) -> None:
    project("SILENCED_SYSTEM_CHECKS = ['fields.E307']")
    models = write("blog/models.py", CHECKING)
    failures, warnings = run("""
        load()
        (django,) = [one for one in chosen if one.name == "Django"]
        checked = django.check()
        tell([[[one.name, one.text, one.hint, one.place] for one in each] for each in (checked.failures, checked.warnings)])
    """)
    place = [str(models), 10, "Lost"]
    text = "Field defines a relation with model 'nobody.Nothing', which is either not installed, or is abstract."
    assert ["fields.E300", f"blog.Lost.other: {text}", "", place] in failures
    assert ["", "50 % lost", "", None] in failures
    assert len(failures) == 2, failures
    assert warnings == [["x.I1", "be merry", "", None], ["x.W1", "of yours", "do", None]]


@pytest.mark.parametrize(
    ("settings", "applied", "told"),
    [
        ("", None, [r"\d+ migrations are not applied \(auth, contenttypes\): python manage.py migrate"]),
        ("", "", []),
        (
            "",
            "'contenttypes', '0001'",
            [r"\d+ migrations are not applied \(auth, contenttypes\): python manage.py migrate"],
        ),
        ("del DATABASES", None, []),
        ("MIGRATION_MODULES = {'auth': None, 'contenttypes': None}", None, []),
        (
            "DATABASES['default']['NAME'] = '/nowhere/db'",
            None,
            ["the database does not answer: unable to open database file"],
        ),
    ],
)
def test_migrations_that_are_not_applied(
    *, project: Callable[..., None], run: Run, settings: str, applied: str | None, told: list[str]
) -> None:
    project(settings)
    if applied is not None:
        run(f"""
            from django.core.management import call_command
            load()
            call_command("migrate", {applied and applied + ","} verbosity=0)
            tell(0)
        """)
    notices, are_loaded, is_open = run("""
        load()
        (django,) = [one for one in chosen if one.name == "Django"]
        notices = django.check().notices
        from django.db import connections
        tell([notices, "django.contrib.auth.migrations.0001_initial" in sys.modules,
              any(one.connection for one in connections.all(initialized_only=True))])
    """)
    assert [bool(re.fullmatch(pattern, notice)) for pattern, notice in zip(told, notices, strict=True)] == [True] * len(
        told
    )
    assert are_loaded == ("migrations are" in "".join(notices)), "else their names say enough"
    assert not is_open


def test_whitenoise_can_keep_static_files_for_itself(project: Callable[..., None], write: Write, run: Run) -> None:
    project("INSTALLED_APPS.append('whitenoise.runserver_nostatic')")
    write("whitenoise/__init__.py", "")
    write("whitenoise/runserver_nostatic/__init__.py", "")
    assert run("load(); tell(found.static)") == []


# --- what changes while it serves ---


JINJA2 = """
TEMPLATES[0] = {"BACKEND": "django.template.backends.jinja2.Jinja2", "DIRS": [BASE_DIR / "templates"],
                "OPTIONS": {"auto_reload": False}}
"""
CACHED = """
TEMPLATES[0] |= {"APP_DIRS": False, "OPTIONS": {"loaders": [
    ("django.template.loaders.cached.Loader", ["django.template.loaders.filesystem.Loader"])]}}
"""


@pytest.mark.parametrize("settings", ["", "DEBUG = False; ALLOWED_HOSTS = ['*']", JINJA2, CACHED])
def test_an_edited_template_is_not_stale(project: Callable[..., None], run: Run, settings: str) -> None:
    project(settings)
    assert run(
        "load(); texts = [get()[1]]; edit('templates/index.html', 'new'); texts.append(get()[1])\n"
        "changed('templates/index.html'); texts.append(get()[1]); tell(texts)"
    ) == ["old", "old", "new"]  # the one in the middle is why


def test_a_template_of_a_form_renderer_is_not_stale(project: Callable[..., None], write: Write, run: Run) -> None:
    project("FORM_RENDERER = 'django.forms.renderers.DjangoTemplates'")
    write("blog/templates/widget.html", "old")
    assert run(
        "load(); from django.forms.renderers import get_default_renderer\n"
        "render = lambda: get_default_renderer().render('widget.html', {}); texts = [render()]\n"
        "edit('blog/templates/widget.html', 'new'); changed('blog/templates/widget.html'); tell(texts + [render()])"
    ) == ["old", "new"]


def test_a_new_catalog_is_used(project: Callable[..., None], run: Run) -> None:
    project("LANGUAGE_CODE = 'de'")
    assert run(
        "import struct\n"
        "def compile(**words):\n"
        "    'The MO format (GNU gettext manual, 10.3), with a header that names the encoding.'\n"
        "    pairs = sorted({'': 'Content-Type: text/plain; charset=UTF-8\\n', **words}.items())\n"
        "    data, tables, start = b'', [[], []], 28 + 16 * len(pairs)\n"
        "    for side in (0, 1):\n"
        "        for pair in pairs:\n"
        "            text = pair[side].encode()\n"
        "            tables[side].append(struct.pack('<II', len(text), start + len(data))); data += text + b'\\0'\n"
        "    head = struct.pack('<7I', 0x950412de, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, 28 + 16 * len(pairs))\n"
        "    file = Path('locale/de/LC_MESSAGES/django.mo'); file.parent.mkdir(parents=True, exist_ok=True)\n"
        "    file.write_bytes(head + b''.join(tables[0] + tables[1]) + data); return file\n"
        "file = compile(hello='Hallo'); load(); texts = [get('/greet/')[1]]\n"
        "compile(hello='Moin'); texts.append(get('/greet/')[1]); changed(file); texts.append(get('/greet/')[1]); tell(texts)"
    ) == ["Hallo", "Hallo", "Moin"]  # the one in the middle is why


def test_a_change_before_any_template_was_loaded(write: Write, run: Run) -> None:
    write("plain.py", "def app(environ, start_response): ...\n")
    assert (
        run(
            "load('plain')\n"
            "for integration in INTEGRATIONS: integration.files_changed([Path('x.html')]); integration.before_freeze()\n"
            "tell('django' in sys.modules)"
        )
        is False
    )


# --- database connections ---


@pytest.mark.parametrize(("max_age", "is_open"), [(0, False), (None, True)])
def test_a_request_closes_its_connection(
    *, project: Callable[..., None], run: Run, max_age: int | None, is_open: bool
) -> None:
    """Django's own request_finished does, as long as close() is called in the request's thread."""
    project(f"DATABASES['default']['CONN_MAX_AGE'] = {max_age}")
    assert run(
        "import threading; load(); told = []\n"
        "def request():\n"
        "    from django.db import connection\n"
        "    told.append([get('/query/')[1], connection.connection is not None])\n"
        "    connection.close()\n"
        "thread = threading.Thread(target=request); thread.start(); thread.join(30); tell(told)"
    ) == [["42", is_open]]


THROUGH_THE_ADAPTER = """\
import asyncio, threading
from devserver.server.web.wsgi import WSGIAdapter
load()
from django.db import connection
told, texts = [], []
def ended(): told.append([threading.current_thread() is threading.main_thread(), connection.connection is not None])
adapter = WSGIAdapter(app, on_request_ended=ended)
async def request():
    async def receive(): return {"type": "http.request", "body": b"", "more_body": False}
    async def send(event): texts.append(event.get("body", b"").decode())
    await adapter({"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
                   "path": "/query/", "raw_path": b"/query/", "query_string": b"", "root_path": "",
                   "headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)},
                  receive, send)
async def main():
    await asyncio.wait_for(asyncio.gather(*(request() for _ in range(8))), 30)
    await asyncio.wait_for(adapter.drained(), 30)
    adapter.stop()
asyncio.run(main())
tell([[text for text in texts if text], told])
"""


@pytest.mark.parametrize(("max_age", "is_open"), [(0, False), (None, True)])
def test_connections_are_closed_in_the_servers_threads(
    *, project: Callable[..., None], run: Run, max_age: int | None, is_open: bool
) -> None:
    """At the end of each request, in its own thread: Django's connections belong to threads."""
    project(f"DATABASES['default']['CONN_MAX_AGE'] = {max_age}")
    assert run(THROUGH_THE_ADAPTER) == [["42"] * 8, [[False, is_open]] * 8]


def test_connections_are_closed_before_a_checkpoint(project: Callable[..., None], run: Run) -> None:
    project()
    assert run(
        "load(); from django.db import connection; connection.ensure_connection(); told = [connection.connection is not None]\n"
        "[integration.before_freeze() for integration in chosen]; tell(told + [connection.connection is not None])"
    ) == [True, False]


def test_the_projects_logging_is_left_alone(project: Callable[..., None], run: Run) -> None:
    project()
    assert run(
        "import logging, django\n"
        "load(); root = [type(h).__name__ for h in logging.getLogger().handlers]\n"
        "tell([root, [type(h).__name__ for h in logging.getLogger('django').handlers],"
        " [type(h).__name__ for h in logging.getLogger('django.server').handlers]])"
    ) == [[], ["StreamHandler", "AdminEmailHandler"], ["StreamHandler"]]


def test_a_first_request_imports_nothing_of_djangos(tmp_path: Path, run: Run) -> None:
    """With the settings of `startproject`: a page with a template, context processors, static files and a query."""
    example = Path(__file__).parents[2] / "docs" / "examples" / "django_project"
    shutil.copytree(example, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sqlite3"))
    migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(migrate, cwd=tmp_path, check=True, timeout=60)
    assert run(
        "load('mysite.wsgi:application'); before = set(sys.modules); status, _text = get('/')\n"
        "tell([status, sorted(name for name in set(sys.modules) - before if name.startswith('django'))])"
    ) == [200, []]
