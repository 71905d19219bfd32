"""What Falcon knows of the user's code: routes, sinks, middlewares, error handlers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from devserver.integrations.registries.telling import (
    attributes,
    is_users_function,
    label_of,
    named,
    readable,
    told,
    told_apps,
    told_by_name,
    told_each,
)


def registries(framework: str, apps: Iterable[object]) -> Iterator[tuple[str, object]]:
    return told_apps(framework, apps, _registries)


def _registries(title: str, app: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Of the attributes of one app."""
    yield from readable(
        (f"{title} routes", lambda: named(_told_nodes(attributes(app["_router"])["_roots"], ""))),
        (f"{title} sinks and static routes", lambda: [told_each(one[:2]) for one in app["_sink_and_static_routes"]]),
        (f"{title} middlewares", lambda: named((label_of(one), told(one)) for one in app["_unprepared_middleware"])),
        (f"{title} error handlers", lambda: told_by_name(app["_error_handlers"])),
    )


def _told_nodes(nodes: Iterable[Any], prefix: str) -> Iterator[tuple[str, object]]:
    """Segments of paths, in the order in which they were added. The responders for methods that a resource lacks are Falcon's."""
    for node in nodes:
        path = f"{prefix}/{node.raw_segment}"
        responders = {method: one for method, one in (node.method_map or {}).items() if is_users_function(one)}
        yield path, (told(node.resource), told_by_name(responders), told(node.uri_template))
        yield from _told_nodes(node.children, path)
