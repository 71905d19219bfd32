"""What `runserver` says of a project before it serves it: system checks, and migrations that are not applied."""

from __future__ import annotations

import importlib.util
import inspect
import linecache
import os
import re
import sys
from collections.abc import Iterable, Iterator

from devserver.server.integration import Checked, Issue


def check_project() -> Checked:
    """Run the system checks and look at the migrations. Closes the connections that were opened in this thread for it."""
    from django.core import checks
    from django.db import connections

    try:
        found = [message for message in checks.run_checks() if not message.is_silenced()]
        return Checked(
            failures=tuple(_issue(message) for message in found if message.is_serious()),
            warnings=tuple(
                _issue(message) for message in found if message.level >= checks.INFO and not message.is_serious()
            ),
            notices=tuple(_unapplied()),
        )
    finally:
        connections.close_all()


# --- system checks ---


def _issue(message: object) -> Issue:
    """One CheckMessage."""
    subject, hint, name = (getattr(message, attribute, None) for attribute in ("obj", "hint", "id"))
    text = str(getattr(message, "msg", message))
    label = _label(subject)
    return Issue(
        text=f"{label}: {text}" if label else text,
        name=str(name or ""),
        hint=str(hint or ""),
        place=_place(subject),
    )


def _label(subject: object) -> str:
    """As Django names it: a model by its label, all else by its text."""
    if subject is None:
        return ""
    meta = getattr(subject, "_meta", None)
    return str(getattr(meta, "label", None) or subject)


def _place(subject: object) -> tuple[str, int, str] | None:
    """Where a model, a field, an admin or any other class is written."""
    field = getattr(subject, "name", None) if hasattr(subject, "model") else None
    owner = getattr(subject, "model", subject)
    owner = owner if isinstance(owner, type) else type(owner)
    module = sys.modules.get(owner.__module__)
    path = getattr(module, "__file__", None)
    if not path or owner.__module__ == "builtins":
        return None
    lines = linecache.getlines(path)
    begins = next((at for at, line in enumerate(lines) if re.match(rf"\s*class {owner.__name__}\b", line)), None)
    if begins is None:
        return None
    if isinstance(field, str):
        written = inspect.getblock(lines[begins:])
        named = rf"\s*{re.escape(field)}\s*[:=]"
        begins += next((at for at, line in enumerate(written) if re.match(named, line)), 0)
    return os.path.abspath(path), begins + 1, owner.__qualname__


# --- migrations ---


def _unapplied() -> Iterator[str]:
    """A line about migrations that the database has not seen."""
    from django.apps import apps
    from django.core.exceptions import ImproperlyConfigured
    from django.db import DEFAULT_DB_ALIAS, Error, connections
    from django.db.migrations.executor import MigrationExecutor
    from django.db.migrations.recorder import MigrationRecorder

    try:
        connection = connections[DEFAULT_DB_ALIAS]
        applied = MigrationRecorder(connection).applied_migrations().keys()
        # To load all migrations takes a second in a large project; most of the time their names say enough.
        if set(_named(apps.get_app_configs())) <= set(applied):
            return
        executor = MigrationExecutor(connection)
        plan = [migration for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())]
    except ImproperlyConfigured:  # no database
        return
    except Error as error:
        yield f"the database does not answer: {' '.join(str(error).split())}"
        return
    if plan:
        labels = ", ".join(sorted({migration.app_label for migration in plan}))
        count = f"{len(plan)} migrations are" if len(plan) > 1 else "1 migration is"
        yield f"{count} not applied ({labels}): python manage.py migrate"


def _named(configs: Iterable[object]) -> Iterator[tuple[str, str]]:
    """App and name of each migration on the disk."""
    from django.db.migrations.loader import MigrationLoader

    for config in configs:
        label = getattr(config, "label", "")
        module, _ = MigrationLoader.migrations_module(label)
        if module is None:
            continue
        try:
            spec = importlib.util.find_spec(module)
        except ImportError:  # of the package around it
            continue
        for folder in (spec and spec.submodule_search_locations) or ():
            for name in os.listdir(folder) if os.path.isdir(folder) else ():
                stem, extension = os.path.splitext(name)
                if extension == ".py" and name[0] not in "_~":
                    yield label, stem
