"""What Pyramid knows of the user's code: what the configurator has noted, and the order of the routes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from devserver.integrations.registries.telling import named, readable, told_apps, told_by_name

_ADDRESS = re.compile(r" at 0x[0-9a-f]+", re.IGNORECASE)
_DERIVED = frozenset({"derived_callable", "derived_subscriber", "object", "phash"})
"""What Pyramid has made of the rest, `phash` of addresses."""


def registries(framework: str, apps: Iterable[object]) -> Iterator[tuple[str, object]]:
    return told_apps(framework, apps, _registries)


def _registries(title: str, app: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Of the attributes of one router: what the configurator has noted, and the routes in the order in which they are tried."""
    introspector = app["registry"].introspector
    yield from readable(
        (f"{title} routes in order", lambda: _told_routes(app["registry"])),
        *(
            (f"{title} {category}", lambda category=category: _told_category(introspector, category))
            for category in introspector.categories()
        ),
    )


def _told_routes(registry: Any) -> object:
    from pyramid.interfaces import IRoutesMapper

    mapper = registry.queryUtility(IRoutesMapper)
    return {} if mapper is None else {route.name: route.pattern for route in mapper.get_routes(include_static=True)}


def _told_category(introspector: Any, category: str) -> object:
    """In the order of configuration, which `scan` takes from the names of modules."""
    return named(
        (
            _ADDRESS.sub("", str(one["introspectable"].title)),
            told_by_name({name: value for name, value in one["introspectable"].items() if name not in _DERIVED}),
        )
        for one in introspector.get_category(category)
    )
