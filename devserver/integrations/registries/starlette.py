"""What Starlette and FastAPI know of the user's code: routes, middlewares, error handlers, what runs at start and end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from devserver.integrations.registries.telling import (
    attributes,
    guarded,
    label_of,
    labelled,
    named,
    readable,
    told,
    told_by_name,
    told_each,
    told_kind,
    told_layers,
)

_MAX_NESTING = 20  # of routers


def registries(framework: str, apps: Iterable[object]) -> Iterator[tuple[str, object]]:
    return guarded(f"{framework} apps", _of_apps(apps))


def _framework(app: object) -> str:
    return "FastAPI" if any(cls.__module__ == "fastapi.applications" for cls in type(app).__mro__) else "Starlette"


def _of_apps(apps: Iterable[object]) -> Iterator[tuple[str, object]]:
    for title, one in labelled("", apps):
        for its_title, each in named(_with_mounted(one, title)).items():
            yield from _registries(f"{_framework(each)}{its_title}", attributes(each))


def _registries(title: str, app: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Of the attributes of one app."""
    yield from readable(
        (f"{title} routes", lambda: named(_told_routes(app["router"], "", ()))),
        (f"{title} middlewares", lambda: named(map(_told_middleware, app["user_middleware"]))),
        (f"{title} error handlers", lambda: told_by_name(app["exception_handlers"])),
        (f"{title} start and end", lambda: _told_lifespan(attributes(app["router"]))),
        (f"{title} state", lambda: told_by_name(attributes(app["state"]).get("_state", {}))),
        (f"{title} overridden dependencies", lambda: told_by_name(app.get("dependency_overrides", {}))),
    )


def _with_mounted(app: object, title: str, depth: int = 0) -> Iterator[tuple[str, object]]:
    """`app` and those that are mounted in it, with names."""
    yield title, app
    if depth < _MAX_NESTING:
        for path, inner in _mounted(_router(app), "", 0):
            if _router(inner) is not inner:
                yield from _with_mounted(inner, f"{title} at {path}", depth + 1)


def _mounted(router: object, prefix: str, depth: int) -> Iterator[tuple[str, object]]:
    for route in _routes(router):
        variables = attributes(route)
        if "include_context" in variables and depth < _MAX_NESTING:
            context = attributes(variables["include_context"])
            yield from _mounted(variables["original_router"], f"{prefix}{context['prefix']}", depth + 1)
        elif _is_mount(variables):
            inner = variables.get("_base_app", variables["app"])
            path = f"{prefix}{_path(variables)}"
            yield path, inner
            if _router(inner) is inner and depth < _MAX_NESTING:
                yield from _mounted(inner, path, depth + 1)


def _told_routes(router: object, prefix: str, around: tuple[object, ...]) -> Iterator[tuple[str, object]]:
    """Flat, in the order in which they are tried. `around`: what routers say of all their routes; FastAPI derives routes from
    that when it is first asked, and is not asked here."""
    if len(around) > _MAX_NESTING:
        return
    for route in _routes(router):
        variables = attributes(route)
        if "include_context" in variables:
            context = attributes(variables["include_context"])
            said = {name: told(context.get(name)) for name in _OF_A_ROUTER if name in context}
            inner = (*around, (said, told_each(context["dependencies"])))
            yield from _told_routes(variables["original_router"], f"{prefix}{context['prefix']}", inner)
        elif _is_mount(variables):
            path = f"{prefix}{_path(variables)}"
            kind = told_kind(route)
            yield (
                path,
                {"kind": kind, "name": variables.get("name"), "app": told_layers(variables["app"]), "around": around},
            )
            yield from _told_routes(_router(variables.get("_base_app", variables["app"])), path, (*around, path))
        elif "path" in variables:
            methods = sorted(variables.get("methods") or ())
            yield " ".join((*methods, f"{prefix}{variables['path']}")), _told_route(route, variables, around)
        else:
            yield label_of(route), (told(route), around)
            yield from _told_routes(route, prefix, (*around, told_each(variables.get("dependencies", ()))))


def _told_route(route: object, variables: Mapping[str, Any], around: tuple[object, ...]) -> object:
    return {
        "kind": told_kind(route),
        "endpoint": told(variables.get("endpoint")),
        "app": told_layers(variables.get("app")),
        "dependencies": told_each(variables.get("dependencies") or ()),
        "response": [told(variables.get(name)) for name in ("response_model", "response_class", "responses")],
        "more": {name: told(variables.get(name)) for name in _OF_A_ROUTE if name in variables},
        "around": around,
    }


_OF_A_ROUTER = (
    "tags",
    "default_response_class",
    "responses",
    "deprecated",
    "include_in_schema",
    "generate_unique_id_function",
    "strict_content_type",
    "max_body_size",
)
_OF_A_ROUTE = ("name", "include_in_schema", "status_code", "tags", "deprecated", "operation_id", "summary", "unique_id")


def _routes(router: object) -> list[object]:
    variables: dict[str, Any] = attributes(router)
    return [*(variables.get("routes") or ()), *(variables.get("_low_priority_routes") or ())]


def _router(app: object) -> object:
    """Of an app; a router stands for itself."""
    return attributes(app).get("router", app)


def _is_mount(route: Mapping[str, object]) -> bool:
    return "app" in route and "endpoint" not in route


def _path(mount: Mapping[str, object]) -> str:
    return f"{mount['path']}/" if "path" in mount else f"//{mount.get('host')}"


def _told_middleware(middleware: object) -> tuple[str, object]:
    variables = attributes(middleware)
    factory = variables.get("cls")
    options = variables.get("kwargs", variables.get("options"))  # its name until Starlette 0.35
    return label_of(factory), (told(factory), told(variables.get("args")), told(options))


def _told_lifespan(router: Mapping[str, Any]) -> object:
    return {
        "lifespan": told(router.get("lifespan_context")),
        "on startup": told_each(router.get("on_startup") or ()),
        "on shutdown": told_each(router.get("on_shutdown") or ()),
    }
