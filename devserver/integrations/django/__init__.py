"""Django: what `runserver` would do with a project's settings, static files and templates happens here too.

Runs in the server process. Rules that hold: Django is imported only once a target needs it or the load has; logging is the
project's own affair, but for the console's copy of an error that is reported.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Collection, Container, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from devserver.integrations.django import early, errors, sheets, templates
from devserver.integrations.django.requestlog import request_log
from devserver.integrations.django.staticfiles import static_files
from devserver.integrations.django.targets import named_app
from devserver.integrations.registries import registries_of
from devserver.integrations.releases import release_of, titled
from devserver.options import Options
from devserver.server.integration import Checked, Integrated, Integration
from devserver.server.wrapping import find_layers
from devserver.target import Target, TargetKind

if TYPE_CHECKING:
    from devserver.integrations.django.signals import Reloader

_LATE_MODULES = {
    "django.db.models": ("django.db.models.sql.compiler",),
    "django.contrib.sessions": ("django.contrib.sessions.serializers",),
    "django.contrib.messages": tuple(
        f"django.contrib.messages.storage.{name}" for name in ("fallback", "cookie", "session")
    ),
    "django.contrib.staticfiles": ("django.contrib.staticfiles.storage",),
}


class DjangoIntegration(Integration):
    name = "Django"
    _reloader: Reloader | None = None  # of the app that is loaded

    def prepare(self) -> None:
        os.environ["RUN_MAIN"] = "true"  # as under runserver's reloader: apps start their schedulers if they see it

    def resolve(self, target: Target, options: Options) -> Target | None:
        return named_app(target, options) if target.kind is TargetKind.DJANGO else None

    def applies(self, app: object, modules: Container[str]) -> bool:
        return "django.conf" in modules and any(True for _ in find_layers(app, _is_djangos))

    def loaded(self, app: object, options: Options) -> Integrated:
        """Builds the template engines and imports the URLconf, so that what is wrong with them shows now."""
        from django.conf import settings
        from django.urls import get_resolver

        errors.listen()
        sheets.listen()
        # The URLconf comes last: it imports the views, which change most, and what was built before need not be built again.
        template_roots = tuple(dict.fromkeys((*templates.template_folders(), *templates.catalog_folders())))
        _import_late_modules(sys.modules)
        mount, static_roots, notices = static_files(options.static_files)
        if getattr(settings, "ROOT_URLCONF", None):
            resolver = get_resolver()
            resolver.url_patterns  # noqa: B018 (imports it)
            resolver.reverse_dict  # noqa: B018 (populates it)
        if not settings.DEBUG and not settings.ALLOWED_HOSTS:
            notices = (*notices, "DEBUG is False and ALLOWED_HOSTS is empty: Django answers every request with 400")
        from devserver.integrations.django import signals

        self._reloader = signals.started()
        version = release_of("django")
        channels = release_of("channels")
        return Integrated(
            name=titled("Django", version),
            static=(mount,) if mount else (),
            static_roots=static_roots,
            template_roots=template_roots,
            watched=tuple(self._reloader.globs((*template_roots, *static_roots))),
            notices=notices,
            log_request=request_log(),
            sheets=sheets.settings_sheet,
            versions=(("Django", version), *([("Channels", channels)] if channels else [])),
        )

    def check(self) -> Checked:
        from devserver.integrations.django.checks import check_project

        return check_project()

    def phase(self) -> str:
        """As `django.setup` goes: settings, app configurations, models, what `ready()` imports; then all that serves."""
        apps = vars(module).get("apps") if (module := sys.modules.get("django.apps.registry")) is not None else None
        if apps is None:
            return "settings"
        return "serving" if apps.ready else "ready" if apps.models_ready else "models" if apps.apps_ready else "apps"

    def registries(self, app: object) -> Iterable[tuple[str, object]]:
        return registries_of("django", self.name)

    def built_late(self) -> Iterable[str]:
        return early.built()

    def build_early(self, name: str) -> None:
        early.build(name)

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
                if connection.connection is None and connection.alias in getattr(connection, "_connection_pools", ()):
                    connection.close_pool()  # Django 5.1+: what lies in it is idle; another is made when it is needed

    def files_changed(self, paths: Sequence[Path]) -> None:
        templates.forget(paths)

    def react(self, paths: Sequence[Path]) -> Collection[Path]:
        return self._reloader.unanswered(paths) if self._reloader is not None else ()


def _import_late_modules(modules: Container[str]) -> None:
    """What Django imports in a first request, of the packages that are in use."""
    for package, names in _LATE_MODULES.items():
        if package in modules:
            for name in names:
                importlib.import_module(name)


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
