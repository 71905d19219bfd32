"""What the user's functions have cached (`functools.lru_cache`, `functools.cache`): for the digest.

Runs in the server once it has loaded. Rules that hold: no code of the user's runs and nothing is changed. Who asked first is not
told; of one question two loads should have kept one answer.
"""

from __future__ import annotations

import functools
import gc
from collections.abc import Iterator, Mapping
from itertools import islice
from types import ModuleType
from typing import Any, cast

from devserver.server.load.anatomy import PLAIN
from devserver.server.load.genuine import is_a, module_of, name_of, namespace_of, variables_of

_CACHE: type = type(functools.lru_cache(lambda: None))
_MOST = 1_000
_BEHIND = 6


def cached_results(modules: Mapping[str, ModuleType]) -> dict[str, object]:
    """By function and arguments, where these are plain values. `modules`: the user's, by name."""
    found: dict[str, object] = {}
    for module_name, module in sorted(modules.items()):
        for name, value in tuple(variables_of(module).items()):
            for title, function in _functions(f"{module_name}.{name}", value, module_name):
                for key, result in _entries(function):
                    if (told := _told(key)) is not None:
                        found.setdefault(f"{title} {told}", result)
    return found


def _functions(title: str, value: object, module_name: str) -> Iterator[tuple[str, object]]:
    if is_a(value, _CACHE):
        yield title, value
    elif is_a(value, type) and module_of(cast("type", value)) == module_name:
        for name, entry in tuple(namespace_of(cast("type", value)).items()):
            inner = cast("Any", entry).__func__ if type(entry) in (staticmethod, classmethod) else entry
            if is_a(inner, _CACHE):
                yield f"{title}.{name}", inner


def _entries(function: object) -> Iterator[tuple[object, object]]:
    """The garbage collector is told of them all: of a cache with bounds as key, result and type of the link by turns, behind the
    type of the function; then of the cache itself, a dict, and of five other things."""
    referents = gc.get_referents(function)
    if len(referents) <= _BEHIND or type(cache := referents[-_BEHIND]) is not dict:
        return
    if any(type(link).__name__ == "_lru_list_elem" for link in islice(cache.values(), 1)):
        links = referents[1:-_BEHIND]
        yield from islice(zip(links[::3], links[1::3], strict=False), _MOST)
    else:
        yield from tuple(islice(dict.items(cache), _MOST))


def _told(key: Any) -> str | None:
    """Arguments in a line; None if they are not all plain. One argument of an exact type stands for itself."""
    parts = [*list.__iter__(key)] if is_a(key, list) else [*key] if type(key) is tuple else [key]
    told = list(map(_told_argument, parts))
    return None if None in told else f"({', '.join(cast('list[str]', told))})"


def _told_argument(argument: object) -> str | None:
    if type(argument) is object:  # keywords follow
        return "*"
    if is_a(argument, type):
        return name_of(cast("type", argument))
    tell = PLAIN.get(id(type(argument)))
    return tell(argument) if tell is not None else None
