"""What frameworks know of the user's code, told as plain data: what several integrations need for their `registries`.

Runs in the server once it has loaded; the process may serve afterwards. Rules that hold: nothing is changed, nothing lazy is
evaluated; the attributes of strangers are read where they lie, for their own ways there may be anybody's code. The user's functions
and classes are told as themselves, and who compares looks into them. Of what libraries make (wrappers, partial functions,
instances) it is told what it is made of, up to the next object that has a state of its own. No addresses, and nothing that is
computed when it is first asked for: that depends on who asked.
"""

from __future__ import annotations

import enum
import functools
import os
import pathlib
import re
import sys
import types
import typing
import weakref
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import Any, cast

from devserver.server.load.genuine import (
    bases_of,
    is_found_by_name,
    module_of,
    mro_of,
    name_of,
    namespace_of,
    qualname_of,
    variables_of,
)
from devserver.server.load.ownership import is_users

_MOST = 1_000  # objects that are told of one
_DEEPEST = 100
_CUT = "…"
_MOST_LAYERS = 30
_INNER = ("app", "wsgi_app", "asgi_app", "application", "_app", "_wsgi_app", "wrapped")
"""Attributes in which wrappers keep what they wrap."""

_PLAIN = frozenset(map(id, (str, bytes, int, float, complex, bool, type(None), type(...))))
_WITH_EXACT_REPR = frozenset(
    {
        "builtins.range",
        "datetime.date",
        "datetime.datetime",
        "datetime.time",
        "datetime.timedelta",
        "decimal.Decimal",
        "uuid.UUID",
    }
)
_METHODS = (staticmethod, classmethod)
_INCIDENTAL = re.compile("cache|memo|creation_|^_order$|^_hash$", re.IGNORECASE)
"""Names for what was computed on the way, or counts what was made before."""


def readable(*registries: tuple[str, Callable[[], object]]) -> Iterator[tuple[str, object]]:
    """Labels and what is read for them. One that cannot be read takes no other with it: libraries change what they have not
    promised."""
    for label, read in registries:
        try:
            found = read()
        except Exception as error:
            found = f"cannot be read: {type(error).__name__}"
        yield label, found


def guarded(title: str, registries: Iterable[tuple[str, object]]) -> Iterator[tuple[str, object]]:
    """`registries`, and what keeps them from being found at all."""
    try:
        yield from registries
    except Exception as error:
        yield title, f"cannot be read: {type(error).__name__}"


def named(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    """By name, in this order. Where a name comes again it is numbered."""
    found: dict[str, object] = {}
    counts: dict[str, int] = {}
    for name, value in pairs:
        counts[name] = count = counts.get(name, 0) + 1
        found[name if count == 1 else f"{name} ({count})"] = value
    return found


def sorted_by_name(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    """By name, where the order does not count. Of one name by what is told: functions that were made in a loop bear the same."""
    return named(sorted(pairs, key=lambda pair: (pair[0], _outline(pair[1]))))


def told(value: object) -> object:
    """`value` as plain data, whose leaves are plain values, functions and classes."""
    return _Telling().tell(value)


def labelled(title: str, apps: Iterable[object]) -> Iterator[tuple[str, object]]:
    """`title` for the first of `apps`; those that follow are numbered."""
    for number, app in enumerate(apps, 1):
        yield title if number == 1 else f"{title} (app {number})", app


def told_apps(
    framework: str, apps: Iterable[object], tell: Callable[[str, Mapping[str, Any]], Iterator[tuple[str, object]]]
) -> Iterator[tuple[str, object]]:
    """What `tell` says of each, given its title and attributes."""
    found = (pair for title, app in labelled(framework, apps) for pair in tell(title, attributes(app)))
    return guarded(f"{framework} apps", found)


def told_kind(instance: object) -> object:
    """The class of `instance`."""
    return told(type(instance))


def told_each(values: Iterable[object]) -> list[object]:
    return [told(value) for value in values]


def told_by_name(mapping: Mapping[Any, object]) -> dict[str, object]:
    """Of a dict whose order does not count."""
    return sorted_by_name((label_of(key), told(value)) for key, value in tuple(mapping.items()))


def told_layers(app: object) -> list[object]:
    """A chain of wrappers around an app, the outermost first. Each is told without what it wraps."""
    found: list[object] = []
    while app is not None and len(found) < _MOST_LAYERS:
        if issubclass(type(app), types.MethodType):
            found.append(told(cast("types.MethodType", app).__func__))
            break
        found.append(told(app))
        variables = {} if issubclass(type(app), types.FunctionType) else attributes(app)
        app = next((variables[name] for name in _INNER if variables.get(name) is not None), None)
    return found


def _outline(told_value: object) -> str:
    """Of what `told` gave, as a text. Functions that come from the same lines are told apart by the names of what they enclose."""
    kind = type(told_value)
    if kind is dict:
        return f"{{{', '.join(f'{key}: {_outline(part)}' for key, part in cast('dict[str, object]', told_value).items())}}}"
    if kind is list or kind is tuple:
        return f"[{', '.join(map(_outline, cast('list[object]', told_value)))}]"
    if kind is types.FunctionType:
        cells = cast("types.FunctionType", told_value).__closure__ or ()
        filled = (cell for cell in cells if cell != types.CellType())  # with an empty one nothing of theirs is compared
        return f"{label_of(told_value)} {[label_of(cell.cell_contents) for cell in filled]}"
    return label_of(told_value)


# --- names ---


def label_of(value: object) -> str:
    """How a person would call it."""
    kind = type(value)
    if issubclass(kind, str):
        return str.__str__(cast("str", value))
    if id(kind) in _PLAIN:
        return repr(value)
    if issubclass(kind, type):
        return name_of(cast("type", value))
    if issubclass(kind, types.FunctionType):
        function = cast("types.FunctionType", value)
        return f"{function.__module__}.{function.__qualname__}"
    if issubclass(kind, types.MethodType):
        return label_of(cast("types.MethodType", value).__func__)
    if issubclass(kind, functools.partial):
        return label_of(cast("functools.partial[object]", value).func)
    return name_of(kind)


# --- whose it is ---


def is_users_function(value: object) -> bool:
    """Was the code of this function, or of this method, written by the user? Not of a library's wrapper around it."""
    kind = type(value)
    if issubclass(kind, types.MethodType):
        return is_users_function(cast("types.MethodType", value).__func__)
    return issubclass(kind, types.FunctionType) and is_users_module(cast("types.FunctionType", value).__globals__)


def is_users_class(cls: type) -> bool:
    return is_users_module(variables_of(sys.modules.get(module_of(cls))))


def is_users_module(variables: Mapping[str, object]) -> bool:
    file = variables.get("__file__")
    return isinstance(file, str) and is_users(file)


def users_functions_in(told_value: object) -> Iterator[object]:
    """In what `told` gave."""
    kind = type(told_value)
    if kind is dict:
        told_value, kind = list(cast("dict[str, object]", told_value).values()), list
    if kind is list or kind is tuple:
        for part in cast("list[object]", told_value):
            yield from users_functions_in(part)
    elif is_users_function(told_value):
        yield told_value


# --- what lies where ---


def attributes(instance: object) -> dict[str, Any]:
    """What an instance has in its `__dict__` and slots, read past all that its class makes of attributes."""
    found: dict[str, Any] = {}
    is_dict_known = False
    for base in mro_of(type(instance)):
        for name, descriptor in tuple(namespace_of(base).items()):
            if name == "__dict__" and not is_dict_known and type(descriptor) is types.GetSetDescriptorType:
                is_dict_known = True
                variables = descriptor.__get__(instance)
                found |= dict.copy(variables) if issubclass(type(variables), dict) else {}
            elif type(descriptor) is types.MemberDescriptorType:
                try:
                    found.setdefault(name, descriptor.__get__(instance))
                except AttributeError:  # not set
                    continue
    return found


def loaded_modules() -> Iterator[tuple[str, dict[str, object]]]:
    """Names and globals of all but the standard library's, by name: the order of imports is told elsewhere."""
    for name in sorted(name for name in tuple(sys.modules) if type(name) is str):
        module = sys.modules.get(name)
        if issubclass(type(module), types.ModuleType) and name.partition(".")[0] not in sys.stdlib_module_names:
            yield name, variables_of(module)


def instances_in_modules(kind: type) -> dict[str, object]:
    """The instances of `kind` among the globals of all modules, sorted by name. One with many names has the one that says most."""
    kinds = frozenset(map(id, _with_subclasses(kind)))
    home = module_of(kind).partition(".")[0]
    found: dict[int, tuple[tuple[bool, bool, int, str], object]] = {}
    for module_name, variables in loaded_modules():
        for variable, value in tuple(variables.items()):
            if id(type(value)) in kinds:
                is_home = module_name.partition(".")[0] == home
                rank = (not is_home, "signals" not in module_name, len(module_name), f"{module_name}.{variable}")
                if id(value) not in found or rank < found[id(value)][0]:
                    found[id(value)] = rank, value
    return sorted_by_name((rank[-1], value) for rank, value in found.values())


def _with_subclasses(cls: type) -> Iterator[type]:
    yield cls
    subclasses: list[type] = type.__subclasses__(cls)
    for subclass in subclasses:
        yield from _with_subclasses(subclass)


# --- signals as Django has them, and Celery ---


def told_signals(kind: type, known: Iterable[type] = (), left_out: Container[str] = ()) -> dict[str, object]:
    """The receivers of each signal in their order, and to whom they listen. `known`: classes that are likely senders."""
    receivers = {
        name: list(attributes(signal)["receivers"])
        for name, signal in instances_in_modules(kind).items()
        if name not in left_out
    }
    addresses = {_sender_address(entry) for entries in receivers.values() for entry in entries}
    senders = _objects_at({address for address in addresses if type(address) is int}, known)
    living = {name: [entry for entry in entries if _is_alive(entry)] for name, entries in receivers.items()}
    return {name: [_told_receiver(entry, senders) for entry in entries] for name, entries in living.items() if entries}


def _is_alive(entry: tuple[Any, ...]) -> bool:
    """Else it goes when the signal is next sent."""
    return all(referent(one) is not None for one in entry[1:])


def _told_receiver(entry: tuple[Any, ...], senders: Mapping[int, object]) -> object:
    """Of (key, receiver) and what releases have added: a reference to the sender, `is_async`."""
    identifier = entry[0][0]  # a `dispatch_uid`, or addresses
    address = _sender_address(entry)
    sender = senders.get(address, "a sender") if type(address) is int else "a method"
    more = [one for one in entry[2:] if id(type(one)) in _PLAIN]
    return told(referent(entry[1])), sender, identifier if type(identifier) is str else None, tuple(more)


def _sender_address(entry: tuple[Any, ...]) -> object:
    return entry[0][1]


def referent(reference: object) -> object:
    if issubclass(type(reference), weakref.ref):
        return cast("weakref.ref[object]", reference)()
    return reference


def _objects_at(addresses: set[int], known: Iterable[type]) -> dict[int, object]:
    """Classes as themselves, other objects by the name of the global that holds them."""
    found: dict[int, object] = {id(None): "any sender"}
    found |= {id(cls): told(cls) for cls in known if id(cls) in addresses}
    if addresses - found.keys():
        seen: set[int] = set()
        below: list[type] = [object]
        while below:
            cls = below.pop()
            if id(cls) not in seen:
                seen.add(id(cls))
                below += type.__subclasses__(cls)
                if id(cls) in addresses:
                    found[id(cls)] = told(cls)
    if addresses - found.keys():
        for module_name, variables in loaded_modules():
            for variable, value in tuple(variables.items()):
                if id(value) in addresses and id(value) not in found:
                    found[id(value)] = f"{module_name}.{variable}"
    return found


# --- things told ---


class _Telling:
    """Of one value. What it holds on to is looked into as long as it is few and near."""

    def __init__(self) -> None:
        self._left = _MOST
        self._around: list[int] = []  # addresses of what is being told

    def tell(self, value: object, *, is_closed: bool = False) -> object:
        """`is_closed`: instances are told by their class alone."""
        kind = type(value)
        if id(kind) in _PLAIN:
            return value
        self._left -= 1
        if self._left < 0 or len(self._around) > _DEEPEST:
            return _CUT
        if id(value) in self._around:
            return "again"
        self._around.append(id(value))
        try:
            return self._tell(value, kind, is_closed=is_closed)
        finally:
            self._around.pop()

    def _tell(self, value: Any, kind: type, *, is_closed: bool) -> object:
        if issubclass(kind, type):
            return self._class(value)
        if issubclass(kind, types.FunctionType):
            return self._function(value)
        if issubclass(kind, types.MethodType):
            return "method", self.tell(value.__func__), self.tell(value.__self__, is_closed=is_closed)
        if issubclass(kind, _METHODS):
            return name_of(kind), self.tell(value.__func__)
        if issubclass(kind, functools.partial):
            return (
                "partial",
                self.tell(value.func),
                self._list(value.args, is_closed),
                self._dict(value.keywords, is_closed),
            )
        if issubclass(kind, types.BuiltinFunctionType):
            owner = value.__self__
            if owner is None or issubclass(type(owner), types.ModuleType):
                return f"function {value.__module__}.{value.__qualname__}"
            return f"method {value.__qualname__}", self.tell(owner, is_closed=is_closed)
        if issubclass(kind, types.ModuleType):
            return f"module {variables_of(value).get('__name__')}"
        if issubclass(kind, enum.Enum):
            return self._class(kind), attributes(value).get("_name_")
        return self._contents(value, kind, is_closed=is_closed)

    def _contents(self, value: Any, kind: type, *, is_closed: bool) -> object:
        if issubclass(kind, str):
            return str.__str__(value)
        if name_of(kind) in _WITH_EXACT_REPR:
            return repr(value)
        if kind is re.Pattern:
            return "pattern", value.pattern, value.flags
        if issubclass(kind, pathlib.PurePath):
            return name_of(kind), os.fspath(value)
        if issubclass(kind, dict):
            return self._dict(value, is_closed)
        if issubclass(kind, list):
            return self._list(list.__iter__(value), is_closed)
        if issubclass(kind, tuple):
            return tuple(self._list(tuple.__iter__(value), is_closed))
        if kind is set or kind is frozenset:
            return name_of(kind), sorted((self.tell(member, is_closed=is_closed) for member in value), key=_sort_key)
        if qualname_of(kind) == "cython_function_or_method":
            return f"function {value.__module__}.{value.__qualname__}"
        if name_of(kind).startswith(("typing.", "types.GenericAlias", "types.UnionType")):
            origin, arguments = typing.get_origin(value), typing.get_args(value)
            return (
                (name_of(kind), self.tell(origin), self._list(arguments, is_closed))
                if origin is not None
                else str(value)
            )
        if any(name_of(base) == "django.utils.functional.Promise" for base in mro_of(kind)):
            # A text that is translated when it is shown; its proxy class is made for each function that translates.
            return "lazy text", *(self._list(one, True) for one in attributes(value).values() if type(one) is tuple)
        return self._class(kind) if is_closed else self._instance(value, kind)

    def _class(self, cls: type) -> object:
        if is_found_by_name(cls) or ("<" in qualname_of(cls) and is_users_class(cls)):
            return cls
        # Made to measure by a library, which may keep anything there; some of them give it the module of the user's.
        bases = [self.tell(base) for base in bases_of(cls)]
        return f"class {name_of(cls)}", bases, self._entries(namespace_of(cls), (), private=False)

    def _function(self, function: types.FunctionType) -> object:
        if is_users_function(function):
            return function
        name = f"function {function.__globals__.get('__name__')}.{function.__code__.co_qualname}"
        if "<" not in name:
            return name
        cells: dict[str, object] = {}
        for variable, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                if not _INCIDENTAL.search(variable):
                    cells[variable] = self.tell(cell.cell_contents)
            except ValueError:  # empty
                continue
        defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
        return name, cells, self._list(defaults, True), self._entries(function.__dict__, (), private=False)

    def _instance(self, value: object, kind: type) -> object:
        variables = attributes(value)
        if "__wrapped__" in variables:
            return self._class(kind), self.tell(variables["__wrapped__"])
        computed = [
            name
            for name in variables
            if (descriptor := _found_in_class(kind, name)) is not None
            and not issubclass(type(descriptor), types.FunctionType)
            and _found_in_class(type(descriptor), "__get__") is not None
            and _found_in_class(type(descriptor), "__set__") is None  # keeps what it computes under its own name
        ]
        return self._class(kind), self._entries(variables, computed, private=is_users_class(kind))

    def _entries(self, variables: Mapping[str, object], left_out: Iterable[str], *, private: bool) -> object:
        """Attributes of an instance. What a library keeps for itself, or fills later, is its own affair."""
        found: dict[str, object] = {}
        for name, value in tuple(variables.items()):
            if (
                type(name) is not str
                or name in left_out
                or _INCIDENTAL.search(name)
                or (not private and name.startswith("_"))
            ):
                continue
            if private or _is_told_of_libraries(value):
                found[name] = self.tell(value, is_closed=True)
        return found

    def _list(self, values: Iterable[object], is_closed: bool) -> list[object]:
        found: list[object] = []
        for value in values:
            if self._left < 0:
                found.append(_CUT)
                break
            found.append(self.tell(value, is_closed=is_closed))
        return found

    def _dict(self, mapping: dict[object, object], is_closed: bool) -> dict[str, object]:
        pairs: list[tuple[str, object]] = []
        for key, value in tuple(dict.items(mapping)):
            if self._left < 0:
                pairs.append((_CUT, len(mapping)))
                break
            pairs.append((label_of(key), self.tell(value, is_closed=is_closed)))
        return named(pairs)


def _is_told_of_libraries(value: object) -> bool:
    """Behaviour and options. Not None nor what is empty: what is there later may be what is left out."""
    kind = type(value)
    if issubclass(kind, dict):
        mapping = cast("dict[object, object]", value)
        return 0 < dict.__len__(mapping) <= _MOST and _are_plain((*dict.keys(mapping), *dict.values(mapping)))
    if kind is list or kind is tuple:
        members = cast("list[object]", value)
        return 0 < len(members) <= _MOST and _are_plain(members)
    behaviour = (type, types.FunctionType, types.MethodType, functools.partial, *_METHODS)
    return value is not None and (id(kind) in _PLAIN or issubclass(kind, behaviour))


def _are_plain(values: Iterable[object]) -> bool:
    return all(id(type(value)) in _PLAIN for value in values)


def _found_in_class(cls: type, name: str) -> object:
    return next((namespace_of(base)[name] for base in mro_of(cls) if name in namespace_of(base)), None)


def _sort_key(value: object) -> str:
    if issubclass(type(value), (list, tuple)):
        return f"({', '.join(map(_sort_key, cast('list[object]', value)))})"
    if issubclass(type(value), dict):
        return _sort_key([part for pair in cast("dict[object, object]", value).items() for part in pair])
    return label_of(value)
