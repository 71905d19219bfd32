"""What Litestar knows of the user's code: routes with all that stands around them, hooks, listeners."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MethodType
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
    told_each,
    users_functions_in,
)

_HOOKS = (
    "on_startup",
    "on_shutdown",
    "after_exception",
    "before_send",
    "before_request",
    "after_request",
    "after_response",
)


def registries(framework: str, apps: Iterable[object]) -> Iterator[tuple[str, object]]:
    return told_apps(framework, apps, _registries)


def _registries(title: str, app: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Of the attributes of one app."""
    yield from readable(
        (f"{title} routes", lambda: _told_routes(app["routes"])),
        (f"{title} of all routes", lambda: _told_layer(app)),
        (f"{title} hooks", lambda: {name: told(app.get(name)) for name in _HOOKS}),
        (f"{title} lifespan", lambda: told_each(app["_lifespan_managers"])),
        (f"{title} plugins", lambda: sorted(map(label_of, attributes(app["plugins"])["_plugins"]))),
        (f"{title} listeners", lambda: _told_listeners(attributes(app["event_emitter"])["listeners"])),
    )


def _told_routes(routes: Iterable[object]) -> object:
    """The user's in their order, which documentation shows. Plugins are a set, and so are the handlers of one path: theirs come in
    any order."""
    users: list[tuple[str, object]] = []
    others: list[tuple[str, object]] = []
    for route in routes:
        variables = attributes(route)
        handlers = variables.get("route_handlers") or (variables["route_handler"],)
        for pair in sorted_by_name(_told_handler(variables["path"], attributes(one)) for one in handlers).items():
            is_users = next(users_functions_in(pair[1]), None) is not None  # or something around it is
            (users if is_users else others).append((pair[0], pair[1]))
    return named([*users, *sorted_by_name(others).items()])


def _told_handler(path: str, handler: Mapping[str, Any]) -> tuple[str, object]:
    methods = sorted(map(label_of, handler.get("http_methods") or ()))
    function: Any = handler.get("_fn")
    if issubclass(type(function), MethodType):  # of a controller, which is one of the layers
        function = function.__func__
    owner = handler.get("owner")
    layers = [_told_layer(handler), *map(_told_layer, _owners(owner))]
    # The names of Litestar's own are random.
    name = handler.get("name") if next(users_functions_in(told(function)), None) is not None else None
    return " ".join((*methods, path)), (told(function), name, label_of(owner), layers)


def _owners(owner: object) -> Iterator[Mapping[str, Any]]:
    """Controllers and routers around a handler, without the app."""
    while owner is not None:
        variables = attributes(owner)
        owner = variables.get("owner")
        if owner is not None:
            yield variables


def _told_layer(layer: Mapping[str, Any]) -> object:
    """What an app, a router, a controller or a handler may say of the requests that go through it."""
    return {
        "middlewares": told_each(layer.get("middleware") or ()),
        "guards": told_each(layer.get("guards") or ()),
        "dependencies": sorted_by_name(map(_told_provider, (layer.get("dependencies") or {}).items())),
        "error handlers": told_by_name(layer.get("exception_handlers") or {}),
        "options": told_by_name(layer.get("opt") or {}),
    }


def _told_provider(item: tuple[str, object]) -> tuple[str, object]:
    name, provider = item
    variables = attributes(provider)
    return name, (told(variables.get("dependency", provider)), variables.get("use_cache"))


def _told_listeners(listeners: Mapping[str, Iterable[object]]) -> object:
    return {
        event: sorted_by_name((label_of(attributes(one).get("fn")), told(attributes(one).get("fn"))) for one in each)
        for event, each in sorted(listeners.items())
    }
