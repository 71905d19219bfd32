"""Django: which app the settings name, what of a first request is built at load, static files through the finders.

Runs in the server process. Rules that hold: Django is imported only once a target needs it or the load has; what
`runserver` would do with settings, static files and templates is what happens here; logging is the project's own affair, but
for the console's copy of an error that is reported.
"""

from __future__ import annotations

import dataclasses
import gc
import importlib
import logging
import os
import posixpath
import sys
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from devserver.errors import TargetError
from devserver.integrations.consoles import leave_out_reported
from devserver.integrations.releases import release_of, titled
from devserver.options import InterfaceChoice, Options
from devserver.server.integration import Integrated, Integration, StaticMount
from devserver.server.load.loading import load_module
from devserver.server.swallowed import swallowed
from devserver.server.wrapping import find_layers
from devserver.target import Target, TargetKind

_BUILT_IN = {
    "WSGI_APPLICATION": ("django.core.wsgi", "get_wsgi_application"),
    "ASGI_APPLICATION": ("django.core.asgi", "get_asgi_application"),
}


_LATE_MODULES = {
    "django.db.models": ("django.db.models.sql.compiler",),
    "django.contrib.sessions": ("django.contrib.sessions.serializers",),
    "django.contrib.messages": tuple(
        f"django.contrib.messages.storage.{name}" for name in ("fallback", "cookie", "session")
    ),
    "django.contrib.staticfiles": ("django.contrib.staticfiles.storage",),
}


class _Advising(logging.Filter):
    """Django refuses a form without raising: what to do about it stands below the line in which it says so."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple) and record.args:
            from devserver.hints.django import csrf  # only who meets one needs it

            advice = csrf(str(record.args[0]))
            record.msg = f"{record.msg}\n  hint: {advice.text.replace('%', '%%')}"
        return True


_ADVISING = _Advising()


class DjangoIntegration(Integration):
    name = "Django"

    def prepare(self) -> None:
        os.environ["RUN_MAIN"] = "true"  # as under runserver's reloader: apps start their schedulers if they see it

    def resolve(self, target: Target, options: Options) -> Target | None:
        """What the settings name: ASGI_APPLICATION where daphne or channels is installed, else WSGI_APPLICATION."""
        if target.kind is not TargetKind.DJANGO:
            return None
        _find_settings(target)
        from django.conf import settings

        setting = _setting_for(options.interface, settings.INSTALLED_APPS, getattr(settings, "ASGI_APPLICATION", None))
        dotted = getattr(settings, setting, None)
        if not dotted:
            module, attribute = _BUILT_IN[setting]
            return dataclasses.replace(
                target,
                kind=TargetKind.MODULE,
                path="",
                module=module,
                attribute=attribute,
                call=True,
                call_arguments="",
            )
        module, _, attribute = str(dotted).rpartition(".")
        if not module:
            raise TargetError(
                f"{setting} in {os.environ['DJANGO_SETTINGS_MODULE']} is {dotted!r}, which names no module",
                hint='write it as  "mysite.wsgi.application"',
            )
        return dataclasses.replace(target, kind=TargetKind.MODULE, path="", module=module, attribute=attribute)

    def applies(self, app: object, modules: Container[str]) -> bool:
        return "django.conf" in modules and any(True for _ in find_layers(app, _is_djangos))

    def loaded(self, app: object) -> Integrated:
        """Builds the template engines and imports the URLconf, so that what is wrong with them shows now."""
        from django.conf import settings
        from django.core.signals import got_request_exception
        from django.urls import get_resolver

        got_request_exception.connect(_got_request_exception, dispatch_uid=__name__)
        logging.getLogger("django.security.csrf").addFilter(_ADVISING)
        # The URLconf comes last: it imports the views, which change most, and what was built before need not be built again.
        template_roots = tuple(dict.fromkeys((*_template_folders(), *_catalog_folders())))
        _import_late_modules(sys.modules)
        mount, static_roots, notices = _static_files()
        if getattr(settings, "ROOT_URLCONF", None):
            resolver = get_resolver()
            resolver.url_patterns  # noqa: B018 (imports it)
            resolver.reverse_dict  # noqa: B018 (populates it)
        version = release_of("django")
        channels = release_of("channels")
        return Integrated(
            name=titled("Django", version),
            static=(mount,) if mount else (),
            static_roots=static_roots,
            template_roots=template_roots,
            notices=notices,
            versions=(("Django", version), *([("Channels", channels)] if channels else [])),
        )

    def before_freeze(self) -> None:
        """Two processes must not share a database connection. One in use stays open, and is a barrier."""
        if "django.db" in sys.modules:
            from django.db import connections

            if "settings" not in vars(connections):  # nobody has asked for one, and asking would load the settings
                return
            for connection in connections.all(initialized_only=True):
                raw = connection.connection
                if raw is not None and not connection.in_atomic_block and not _has_cursors(raw):
                    connection.close()

    def files_changed(self, paths: Sequence[Path]) -> None:
        if "django.template" not in sys.modules:
            return
        from django.template import autoreload
        from django.utils.translation.reloader import translation_file_changed

        for path in paths:
            translation_file_changed(sender=None, file_path=path)  # looks at catalogs (.mo) alone
        if any(path.suffix != ".mo" for path in paths):
            autoreload.reset_loaders()


def _find_settings(target: Target) -> None:
    """Makes the settings module known and runs it. Raises TargetError if it, or Django, is not there."""
    try:
        import django  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "django":
            raise
        raise TargetError(
            f"{target.label} needs Django, and {sys.executable} has none",
            hint="activate the project's virtual environment, or install it:  python -m pip install django",
        ) from None
    if target.module:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", target.module)
    settings_module = os.environ.get("DJANGO_SETTINGS_MODULE")
    if not settings_module:
        raise TargetError(
            f"{target.label} does not tell which settings to use",
            hint="set DJANGO_SETTINGS_MODULE, or name the app:  mysite.wsgi:application",
        )
    load_module(settings_module, folder=target.app_dir)


def _setting_for(choice: InterfaceChoice, installed: Sequence[str], asgi_application: object) -> str:
    if choice is InterfaceChoice.AUTO:
        packages = {app.partition(".")[0] for app in installed}
        is_asgi = bool(asgi_application) and not packages.isdisjoint({"daphne", "channels"})
    else:
        is_asgi = choice is InterfaceChoice.ASGI
    return "ASGI_APPLICATION" if is_asgi else "WSGI_APPLICATION"


def _has_cursors(raw_connection: object) -> bool:
    """Are results still being read, or about to be asked for, by whoever imports something meanwhile?

    Drivers do not list their cursors; the garbage collector finds them (10 ms among 300 000 objects). One of SQLite's does not say
    that it was closed, so any that lives counts.
    """
    return any(
        hasattr(type(holder), "fetchone") and not getattr(holder, "closed", False)
        for holder in gc.get_referrers(raw_connection)
    )


def _is_djangos(layer: object) -> bool:
    return any(cls.__module__.partition(".")[0] in ("django", "channels") for cls in type(layer).__mro__)


# --- errors ---


def _got_request_exception(request: object = None, **_arguments: object) -> None:
    """Django answers 500: with a page of its own, or, DEBUG being off, with what the project has for it."""
    from django.conf import settings

    error = sys.exception()
    if error is not None and swallowed(error, replace=bool(settings.DEBUG), session=_loaded_session(request)):
        leave_out_reported(logging.getLogger("django.request"))


def _loaded_session(request: object) -> Mapping[str, object] | None:
    """What the request has loaded of its session: to load it now would ask the database, which may be what has failed."""
    session = vars(request).get("session") if hasattr(request, "__dict__") else None
    cache = vars(session).get("_session_cache") if hasattr(session, "__dict__") else None
    return dict(cache) if isinstance(cache, dict) else None


# --- templates ---


def _template_folders() -> Iterator[Path]:
    """Builds every template engine; the folders in which they look, Django's own aside."""
    from django.template import engines
    from django.utils.autoreload import is_django_path

    for backend in engines.all():
        engine = getattr(backend, "engine", None)
        getattr(engine, "template_context_processors", None)  # imports them
        loaders = getattr(engine, "template_loaders", ())
        inner = [one for loader in loaders for one in getattr(loader, "loaders", (loader,))]
        folders = [
            *backend.template_dirs,
            *(folder for one in inner if hasattr(one, "get_dirs") for folder in one.get_dirs()),
        ]
        for folder in folders:
            path = Path(folder).absolute()
            if not is_django_path(path):
                yield path


def _import_late_modules(modules: Container[str]) -> None:
    """What Django imports in a first request, of the packages that are in use."""
    for package, names in _LATE_MODULES.items():
        if package in modules:
            for name in names:
                importlib.import_module(name)


# --- catalogs ---


def _catalog_folders() -> Iterator[Path]:
    """Where catalogs of the project's and its apps' may lie. Looks for all that are there: the first request of a language
    asks for its own once, and nobody would see one that is compiled later."""
    from django.apps import apps
    from django.conf import settings
    from django.utils.autoreload import is_django_path

    if not settings.USE_I18N:
        return
    for folder in (*settings.LOCALE_PATHS, *(Path(app.path) / "locale" for app in apps.get_app_configs())):
        path = Path(folder).absolute()
        if not is_django_path(path):
            for _ in path.glob("*/LC_MESSAGES/*.mo"):
                pass
            if path.is_dir():
                yield path


# --- static files ---


def _static_files() -> tuple[StaticMount | None, tuple[Path, ...], tuple[str, ...]]:
    """What runserver would serve at STATIC_URL: mount, folders, notices."""
    from django.apps import apps
    from django.conf import settings

    if not apps.is_installed("django.contrib.staticfiles"):
        return None, (), ()
    if apps.is_installed("whitenoise.runserver_nostatic"):
        return None, (), ()
    if not settings.DEBUG:
        return None, (), _debug_notices(settings.ALLOWED_HOSTS, settings.MIDDLEWARE)
    from django.contrib.staticfiles.utils import check_settings
    from django.core.exceptions import ImproperlyConfigured

    try:
        check_settings()
    except ImproperlyConfigured as error:
        return None, (), (f"static files are not served: {error}",)
    url = urlsplit(settings.STATIC_URL)
    if url.netloc:  # another server's
        return None, (), ()
    roots = tuple(_finders_folders())
    return StaticMount(url.path.rstrip("/") + "/", roots=roots, find=_finder()), roots, ()


def _debug_notices(allowed_hosts: Sequence[str], middleware: Sequence[str]) -> tuple[str, ...]:
    notices = []
    if not any(one.startswith("whitenoise.") for one in middleware):
        notices.append("DEBUG is False: static files are not served")
    if not allowed_hosts:
        notices.append("DEBUG is False and ALLOWED_HOSTS is empty: Django answers every request with 400")
    return tuple(notices)


def _finders_folders() -> Iterator[Path]:
    from django.contrib.staticfiles.finders import get_finders

    for finder in get_finders():
        for storage in getattr(finder, "storages", {}).values():
            yield Path(storage.location)


def _finder() -> Callable[[str], Path | None]:
    from django.contrib.staticfiles.finders import find
    from django.core.exceptions import SuspiciousFileOperation

    def find_static(path: str) -> Path | None:
        """`django.contrib.staticfiles.views.serve`, up to the file."""
        try:
            found = find(posixpath.normpath(path).lstrip("/"))
            return Path(found) if found and Path(found).is_file() else None
        except (SuspiciousFileOperation, ValueError):  # outside of the folders; a NUL
            return None

    return find_static
