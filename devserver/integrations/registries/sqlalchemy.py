"""What SQLAlchemy knows of the user's code: mapped classes, tables, who listens to its events.

Rule that holds: no mapper is configured that was not.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

from devserver.integrations.registries.telling import (
    attributes,
    instances_in_modules,
    label_of,
    named,
    readable,
    referent,
    sorted_by_name,
    told,
    told_kind,
    users_functions_in,
)
from devserver.server.load.genuine import name_of


def registries(framework: str, apps: Iterable[object]) -> Iterator[tuple[str, object]]:
    return readable(
        (f"{framework} mapped classes", _told_classes),
        (f"{framework} tables", _told_tables),
        (f"{framework} event listeners", _told_listeners),
    )


def _registries() -> list[Any]:
    """Of mapped classes. They are known by nothing but their address, so their order is that of what they map."""
    mapperlib = sys.modules.get("sqlalchemy.orm.mapper")
    found = list(getattr(mapperlib, "_mapper_registries", ()))
    return sorted(found, key=lambda registry: sorted(name_of(cls) for cls, _mapper in _mapped_by(registry)))


def _mapped_by(registry: Any) -> Iterator[tuple[type, dict[str, Any]]]:
    for manager in list(registry._managers):
        variables = attributes(manager)
        if "mapper" in variables:
            yield variables["class_"], attributes(variables["mapper"])


def _told_classes() -> object:
    """Without what is configured when the first of them is used."""
    return sorted_by_name(
        (
            name_of(cls),
            (
                cls,
                _name_of_table(mapper.get("local_table")),
                label_of(attributes(mapper.get("inherits")).get("class_")),
            ),
        )
        for registry in _registries()
        for cls, mapper in _mapped_by(registry)
    )


def _name_of_table(table: object) -> str:
    name = attributes(table).get("fullname")
    return label_of(table if name is None else name)


def _told_tables() -> object:
    """Of each `MetaData` in the order in which they were made; of `MetaData` that nobody names, those of mapped classes."""
    from sqlalchemy import MetaData

    holders = [*(registry.metadata for registry in _registries()), *instances_in_modules(MetaData).values()]
    each = sorted({id(one): one for one in holders}.values(), key=lambda one: sorted(one.tables))
    return named((label_of(name), _told_table(table)) for one in each for name, table in tuple(one.tables.items()))


def _told_table(table: Any) -> object:
    variables = attributes(table)
    return {
        "columns": [
            (label_of(column.name), told_kind(column.type), _told_column(column)) for column in variables["_columns"]
        ],
        "indexes": sorted(str(index.name) for index in variables["indexes"]),
        "constraints": sorted(f"{label_of(one)} {one.name}" for one in variables["constraints"]),
    }


def _told_column(column: Any) -> object:
    targets = sorted(str(attributes(key).get("_colspec")) for key in column.foreign_keys)
    return bool(column.primary_key), bool(column.nullable), targets


def _told_listeners() -> object:
    """The user's, in the order in which they began to listen."""
    registry: Any = sys.modules.get("sqlalchemy.event.registry")
    classes = {id(cls): cls for each in _registries() for cls, _mapper in _mapped_by(each)}
    found: list[tuple[str, object]] = []
    for (target, event, _function), listeners in tuple(registry._key_to_collection.items()):
        for listener in map(told, {id(one): one for one in map(referent, tuple(listeners.values()))}.values()):
            whose = next(users_functions_in(listener), None)
            if whose is not None:
                found.append((f"{event}: {label_of(whose)}", (listener, classes.get(target))))
    return named(found)
