"""Looks through what is wrapped around an app: middlewares, decorators, routers.

Runs in the server process. Rules that hold: no attribute of a stranger is asked for in a way that could run its code (lazy
objects, proxies, `__getattr__`), and the walk ends, whatever the graph of objects looks like.
"""

from __future__ import annotations

import functools
import itertools
import types
from collections.abc import Callable, Iterable, Iterator
from typing import cast

MAX_LEVELS = 8
MAX_OBJECTS = 2_000  # that are looked into
MAX_VALUES = 20_000  # that are looked at
MAX_ITEMS = 100  # of one container
MAX_NESTING = 2  # of containers

_NAMING_LEVELS = 1
_LEAVES = (str, bytes, bytearray, int, float, complex, type(None), type, types.ModuleType)


def find_layers(app: object, matches: Callable[[object], bool]) -> Iterator[object]:
    """What matches of `app` and all that it wraps, nearest first. What a match holds is not looked at.

    An app that is a plain function wraps what it names of its module (`def app(environ, start_response): return application(…)`),
    and so does what it is decorated with.
    """
    for level in levels(app, is_closed=matches, by_name=True):
        yield from filter(matches, level)


def levels(
    app: object, *, is_closed: Callable[[object], bool] = lambda holder: False, by_name: bool = False
) -> Iterator[list[object]]:
    """`[app]`, then what it holds on to directly, then what that holds, and so on. No object comes twice.

    Containers are looked through: their items count as held by who holds the container. Closed objects are not looked into.
    `by_name`: functions hold the globals that they use.
    """
    names_globals = by_name and issubclass(type(app), types.FunctionType)
    seen = {id(app): app}  # kept alive, or its id could be another's
    values_left = MAX_VALUES
    level = [app]
    for depth in range(MAX_LEVELS):
        yield level
        holders = [one for one in level if not is_closed(one)]
        found = itertools.chain.from_iterable(map(_held, holders))
        if names_globals and depth <= _NAMING_LEVELS:
            found = itertools.chain(found, itertools.chain.from_iterable(map(_named, holders)))
        level = []
        for held in itertools.islice(_looked_through(found), values_left):
            values_left -= 1
            if id(held) not in seen and not issubclass(type(held), _LEAVES) and len(seen) < MAX_OBJECTS:
                seen[id(held)] = held
                level.append(held)
        if not level:
            return


def _looked_through(values: Iterable[object], nesting: int = MAX_NESTING) -> Iterator[object]:
    for value in values:
        items = _items(value)
        if items is None:
            yield value
        elif nesting:
            try:
                first = list(itertools.islice(items, MAX_ITEMS))
            except RuntimeError:  # another thread changed it meanwhile
                continue
            yield from _looked_through(first, nesting - 1)


def _items(value: object) -> Iterable[object] | None:
    """What a container holds, None if it is none. By the base type's methods: a subclass may compute what it shows."""
    kind = type(value)
    if issubclass(kind, dict):
        return dict.values(cast("dict[object, object]", value))
    if issubclass(kind, list):
        return list.__iter__(cast("list[object]", value))
    if issubclass(kind, tuple):
        return tuple.__iter__(cast("tuple[object, ...]", value))
    if kind in (set, frozenset):
        return cast("Iterable[object]", value)
    return None


def _held(holder: object) -> Iterator[object]:
    # issubclass(type(…)), for isinstance asks a lazy object for its __class__, which makes it run.
    kind = type(holder)
    if issubclass(kind, functools.partial):
        partial = cast("functools.partial[object]", holder)
        yield from (partial.func, *partial.args, *partial.keywords.values())
    elif issubclass(kind, types.MethodType):
        method = cast("types.MethodType", holder)
        yield from (method.__self__, method.__func__)
    elif issubclass(kind, types.FunctionType):
        yield from _closed_over(cast("types.FunctionType", holder))
    else:
        yield from _attributes(holder)


def _closed_over(function: types.FunctionType) -> Iterator[object]:
    yield from tuple(function.__dict__.values())  # __wrapped__ among them
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not filled yet
            continue


def _named(holder: object) -> Iterator[object]:
    """The globals that a function uses."""
    if issubclass(type(holder), types.FunctionType):
        function = cast("types.FunctionType", holder)
        for name in function.__code__.co_names:
            if name in function.__globals__:
                yield function.__globals__[name]


def _attributes(holder: object) -> Iterator[object]:
    """Instance dictionary and slots, and the `__wrapped__` of proxies written in C (wrapt)."""
    is_dict_known = False
    for base in type(holder).__mro__:
        for name, descriptor in tuple(base.__dict__.items()):
            is_slot = isinstance(descriptor, types.MemberDescriptorType)
            is_getset = isinstance(descriptor, types.GetSetDescriptorType)
            if name == "__dict__" and not is_dict_known:
                is_dict_known = True
                if is_getset:
                    attributes = descriptor.__get__(holder)
                    yield from tuple(attributes.values()) if isinstance(attributes, dict) else ()
            elif is_slot or (is_getset and name == "__wrapped__"):
                try:
                    yield descriptor.__get__(holder)
                except (AttributeError, ValueError):  # nothing in it yet
                    continue
