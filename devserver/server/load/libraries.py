"""What the load has left in libraries and in the interpreter, as far as it can be told cheaply: for the digest.

Runs in the server once it has loaded. Rules that hold: no code of the user's runs and nothing is changed; of a library's module it
is told what its texts and switches are (what it found out when it was imported), and what it holds of the user's, also in its
classes and in its lists and mappings. Not told: numbers, which count all kinds of things, and the order in which mappings were
filled.
"""

from __future__ import annotations

import decimal
import locale
import logging
import os
import signal
import socket
import sys
import warnings
from collections.abc import Callable, Collection, Iterator
from itertools import islice
from types import FunctionType, MethodType, ModuleType
from typing import Any, cast

from devserver.messages import OF_LIBRARIES
from devserver.server.load import incidental
from devserver.server.load.genuine import home_of, is_a, module_of, name_of, namespace_of, variables_of

_OURS = frozenset({incidental.OURS, "__main__"})
_OF_A_MODULE = incidental.OF_A_MODULE | {"__doc__", "__file__", "__name__", "__package__", "__path__"}
_MOST_MEMBERS = 500
_DEEPEST = 3
_LONGEST = 500
_TEXTS = frozenset(map(id, (str, bytes, bool, type(None))))
_Told = dict[str, object]
_kept_by: Callable[[object], dict[str, Any]] = cast("Any", logging.Filterer).__dict__["__dict__"].__get__
"""The attributes of a logger or a handler; a class of the user's might compute them."""


def process_state(random_numbers: object = None) -> Iterator[tuple[str, object]]:
    """What belongs to the process, each with a name that a person understands. `random_numbers`: the state of the generator, if
    somebody has seeded it."""
    yield "environment", dict(os.environ)
    yield "sys.path", list(sys.path)
    yield "warnings filters", [repr(one) for one in warnings.filters]
    yield "signal handlers", {str(number): _handler(number) for number in signal.valid_signals()}
    yield "logging", {name: told for name, logger in sorted(_loggers()) if (told := _logger(logger)) != _AS_MADE}
    yield "random numbers", {"sequence": random_numbers}
    yield "locale", repr(_or_none(lambda: locale.setlocale(locale.LC_ALL)))
    yield "decimal context", repr(decimal.getcontext())
    yield "limits", [sys.getrecursionlimit(), socket.getdefaulttimeout()]


def library_state(users: Collection[str]) -> Iterator[tuple[str, object]]:
    """By package. `users`: the names of the user's modules."""
    packages: dict[str, _Told] = {}
    for name, module in sorted((name, module) for name, module in tuple(sys.modules.items()) if type(name) is str):
        package = name.partition(".")[0]
        if name not in users and package not in _OURS and is_a(module, ModuleType):
            _tell_module(name, module, users, packages.setdefault(package, {}))
    for package, told in packages.items():
        if told:
            yield f"{OF_LIBRARIES}{package}", dict(sorted(told.items()))


def _tell_module(name: str, module: ModuleType, users: Collection[str], told: _Told) -> None:
    for variable, value in tuple(dict.items(cast("dict[object, object]", variables_of(module)))):
        if type(variable) is not str or variable in _OF_A_MODULE or incidental.is_suspect(variable):
            continue
        if id(type(value)) in _TEXTS:
            if type(value) not in (str, bytes) or len(cast("str", value)) < _LONGEST:
                told[f"{name}.{variable}"] = value
        elif (found := _users_in(value, users)) is not None:
            told[f"{name}.{variable}"] = found
        elif is_a(value, type) and module_of(cast("type", value)) == name:
            for attribute, entry in tuple(namespace_of(cast("type", value)).items()):
                if attribute not in incidental.OF_A_CLASS and (found := _users_in(entry, users)) is not None:
                    told[f"{name}.{variable}.{attribute}"] = found


def _users_in(value: object, users: Collection[str], depth: int = 0) -> object:
    """What of the user's it is, or holds; None: nothing."""
    if (home := home_of(value)) is not None:
        if home not in users:
            return None
        if is_a(value, type):
            return f"class {name_of(cast('type', value))}"
        return f"function {home}.{cast('FunctionType', value).__code__.co_qualname}"
    if type(value) is MethodType:
        return _users_in(value.__func__, users, depth)
    if depth < _DEEPEST:
        if type(value) is dict and len(value) <= _MOST_MEMBERS:
            return sorted(_users_entries(value, users, depth + 1)) or None
        if type(value) in (list, tuple):
            members = [_users_in(one, users, depth + 1) for one in islice(cast("list[object]", value), _MOST_MEMBERS)]
            return [one for one in members if one is not None] or None
    return f"instance of {name_of(type(value))}" if module_of(type(value)) in users else None


def _users_entries(mapping: dict[object, object], users: Collection[str], depth: int) -> Iterator[tuple[str, str, str]]:
    for key, value in tuple(mapping.items()):
        known, held = _users_in(key, users, depth), _users_in(value, users, depth)
        if known is not None or held is not None:
            yield _label(key), repr(known), repr(held)  # plain data, as this module makes it


def _label(key: object) -> str:
    return repr(key)[:_LONGEST] if id(type(key)) in _TEXTS or type(key) is int else name_of(type(key))


def _handler(number: int) -> str:
    handler: object = signal.getsignal(number)
    if type(handler) is FunctionType:
        return f"{handler.__module__}.{handler.__qualname__}"
    return repr(handler) if handler is None or isinstance(handler, int) else name_of(type(handler))


def _loggers() -> Iterator[tuple[str, Any]]:
    yield "(root)", logging.root
    for name, logger in tuple(logging.root.manager.loggerDict.items()):
        if is_a(logger, logging.Logger):
            yield name, logger


_AS_MADE: object = (logging.NOTSET, True, False, [])
"""A logger that nobody has configured; libraries have many."""


def _logger(logger: object) -> object:
    held = _kept_by(logger)
    handlers = [(type(one), _kept_by(one)) for one in tuple(held.get("handlers", ())) if is_a(one, logging.Handler)]
    told = [(name_of(cls), own.get("level"), name_of(type(own.get("formatter")))) for cls, own in handlers]
    return held.get("level"), held.get("propagate"), held.get("disabled"), told


def _or_none(read: Callable[[], object]) -> object:
    try:
        return read()
    except Exception:
        return None
