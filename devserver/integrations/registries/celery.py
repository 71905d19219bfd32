"""What Celery knows of the user's code: tasks, schedules, who listens to its signals.

Rule that holds: no app of Celery's is finalized or configured that was not, for whoever needs
that first does it, and it runs the user's code.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from devserver.integrations.registries.telling import (
    attributes,
    label_of,
    named,
    readable,
    sorted_by_name,
    told,
    told_apps,
    told_by_name,
    told_signals,
)
from devserver.server.load.genuine import name_of


def registries(framework: str, apps: Iterable[object]) -> Iterator[tuple[str, object]]:
    yield from told_apps(framework, _apps(), _registries)
    yield from readable(
        (
            f"{framework} tasks of all apps",
            lambda: sorted_by_name(map(_told_shared, tuple(_state()._on_app_finalizers))),
        ),
        (f"{framework} signal receivers", _told_receivers),
    )


def _state() -> Any:
    return sys.modules["celery._state"]


def _apps() -> list[object]:
    """They are known by their address alone: in the order of their names and tasks."""
    return sorted(_state()._apps, key=lambda app: (str(attributes(app).get("main")), sorted(attributes(app)["_tasks"])))


def _registries(title: str, app: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Of the attributes of one app."""
    yield from readable(
        (
            f"{title} tasks",
            lambda: sorted_by_name((name, _told_task(task)) for name, task in tuple(app["_tasks"].items())),
        ),
        (f"{title} tasks to be made", lambda: sorted_by_name(map(_told_promise, tuple(app["_pending"])))),
        (f"{title} schedule", lambda: _told_schedule(app)),
        (f"{title} configuration", lambda: (told(app.get("_config_source")), told_by_name(app["_preconf"]))),
    )


def _told_task(task: object) -> object:
    """A task is the only instance of its class, which Celery derives for a function."""
    cls = type(task)
    run = attributes(task).get("_orig_run") or next(
        (vars(base)["run"] for base in cls.__mro__ if "run" in vars(base)), None
    )
    options = {
        name: value for name, value in vars(cls).items() if name[0] != "_" and type(value) in (str, int, float, bool)
    }
    return told(run), [name_of(base) for base in cls.__bases__], options


def _told_promise(promise: object) -> tuple[str, object]:
    """A task that is made from its function when it is first asked for anything."""
    function = object.__getattribute__(promise, "_Proxy__args")[0]
    return label_of(function), (told(function), told(object.__getattribute__(promise, "_Proxy__kwargs")))


def _told_shared(finalizer: Any) -> tuple[str, object]:
    cells = dict(zip(finalizer.__code__.co_freevars, finalizer.__closure__ or (), strict=True))
    function = cells["fun"].cell_contents if "fun" in cells else finalizer
    return label_of(function), told(finalizer)


def _told_schedule(app: Mapping[str, Any]) -> object:
    """Entries in their order, and those that join them once the app is configured."""
    entries = app["_conf"]["beat_schedule"] if app.get("configured") else app["_preconf"].get("beat_schedule")
    pending = [told(one[0]) for one in tuple(app["_pending_periodic_tasks"])]
    return named([*((name, _told_entry(entry)) for name, entry in (entries or {}).items()), ("(pending)", pending)])


def _told_entry(entry: Mapping[str, object]) -> object:
    found = {name: told(value) for name, value in entry.items()}
    schedule = entry.get("schedule")
    if type(schedule).__module__ == "celery.schedules":  # else it is a number, or the user's own
        found["schedule"] = repr(schedule)
    return found


def _told_receivers() -> object:
    return told_signals(sys.modules["celery.utils.dispatch.signal"].Signal)
