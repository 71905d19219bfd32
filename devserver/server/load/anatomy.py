"""What an object consists of, told without asking it: what the `Digester` walks along.

Runs in the server once it has loaded. Rules that hold: it runs no code of the user's and changes nothing. So a stranger is never
compared, hashed, counted, iterated or asked for an attribute; what is in it is read by the descriptors that Python itself has made
for its type. Types are found by their address, for a dict would ask the metaclass for a hash.

Not told: addresses, what C code hides, and what is incidental (`incidental.py`).
"""

from __future__ import annotations

import _thread
import contextvars
import gc
import io
import re
import socket
import sys
import threading
import types
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Container, Iterable, Iterator
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from hashlib import blake2b
from itertools import chain
from typing import Any, AnyStr, NamedTuple, cast

from devserver.server.load import incidental
from devserver.server.load.genuine import (
    bases_of,
    exact_text,
    home_of,
    is_a,
    is_found_by_name,
    module_of,
    mro_of,
    name_of,
    namespace_of,
    qualname_of,
    variables_of,
)
from devserver.server.load.ownership import is_users

LONG = 4096
"""Texts above this are told by a hash."""
_HUGE = 16 * 1024 * 1024
_END = 1024 * 1024
_FEW = 32
_ANNOTATIONS = "__annotate__" if hasattr(types.FunctionType, "__annotate__") else "__annotations__"  # since Python 3.14

Told = tuple[str, Iterable[object]]
"""A line, and the objects that it consists of, in their order."""


class Kind(NamedTuple):
    """How the objects of a type are told."""

    take_apart: Callable[[Any], Told]
    reference: Callable[[Any], str | None] | None = None
    """A line that says enough; None: this one is taken apart."""
    has_identity: bool = True
    """Does it count whether two are one? Of tuples the compiler decides that, of patterns and types with arguments a cache."""
    is_unordered: bool = False


# --- values that one line tells ---


def tell_text(text: str) -> str:
    return repr(text) if len(text) < LONG else f"text {len(text)} {_hash(_ends(text).encode('utf-8', 'surrogatepass'))}"


def tell_bytes(content: bytes) -> str:
    return repr(content) if len(content) < LONG else f"bytes {len(content)} {_hash(_ends(content))}"


def _ends(content: AnyStr) -> AnyStr:
    return content if len(content) <= _HUGE else content[:_END] + content[-_END:]


def _hash(content: bytes) -> str:
    return blake2b(content, digest_size=16).hexdigest()


PLAIN: dict[int, Callable[[Any], str]] = {
    id(str): tell_text,
    id(bytes): tell_bytes,
    id(int): hex,  # without the limit that decimal digits have
}
"""By the address of the type."""
for _kind in (bool, float, complex, type(None), type(...), type(NotImplemented), date, timedelta, Decimal):
    PLAIN[id(_kind)] = repr


def _is_plain(elements: Iterable[object]) -> bool:
    return all(id(type(element)) in PLAIN for element in elements)


def _tell_small(elements: tuple[object, ...] | frozenset[object]) -> str | None:
    if len(elements) > _FEW or not _is_plain(elements):
        return None
    lines = [PLAIN[id(type(element))](element) for element in elements]
    return f"({', '.join(lines)})" if type(elements) is tuple else f"{{{', '.join(sorted(lines))}}}"


SMALL: dict[int, Callable[[Any], str | None]] = {id(tuple): _tell_small, id(frozenset): _tell_small}
"""None: this one is taken apart."""


# --- types that are told in a way of their own ---


def _tell_module(module: types.ModuleType) -> str | None:
    variables = variables_of(module)
    name, file = exact_text(variables.get("__name__")), variables.get("__file__")
    if sys.modules.get(name) is module:
        return f"module {name!r}"
    # Loaded from its path, or imported a second time: those who have it know it alone.
    return None if isinstance(file, str) and is_users(file) else f"a module {name!r}"


def _lone_module(module: types.ModuleType) -> Told:
    variables = variables_of(module)
    names = sorted(name for name in tuple(variables) if type(name) is str and name not in incidental.OF_A_MODULE)
    return "a module", chain.from_iterable((name, variables.get(name)) for name in names)


def _tell_descriptor(descriptor: Any) -> str:
    return f"descriptor {name_of(descriptor.__objclass__)!r} {descriptor.__name__!r}"


def _tell_builtin(function: types.BuiltinFunctionType) -> str | None:
    owner: object = function.__self__
    if type(owner) is types.ModuleType:
        return f"builtin {_tell_module(owner)} {function.__name__!r}"
    return f"builtin {function.__name__!r}" if owner is None else None


def _code(code: types.CodeType) -> Told:
    """Without file and lines: what is generated has a number there that depends on what was generated before."""
    return "code", (
        *(code.co_qualname, code.co_code, code.co_exceptiontable, code.co_flags),
        *(code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount),
        *(code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars),
        *code.co_consts,
    )


def _cell(cell: types.CellType) -> Told:
    try:
        return "cell", (cell.cell_contents,)
    except ValueError:
        return "empty cell", ()


def _method_of_c(method: Any) -> Told:
    return f"method {method.__name__!r}", (method.__self__,)


def _type_alone(instance: object) -> Told:
    return "type alone", (type(instance),)


_EXACT: dict[int, Kind] = {
    id(tuple): Kind(lambda elements: ("tuple", elements), has_identity=False),
    id(list): Kind(lambda elements: ("list", elements)),
    id(dict): Kind(lambda mapping: ("dict", chain.from_iterable(mapping.items()))),
    id(set): Kind(lambda elements: ("set", elements), is_unordered=True),
    id(frozenset): Kind(lambda elements: ("frozenset", elements), has_identity=False, is_unordered=True),
    id(types.CodeType): Kind(_code),
    id(types.CellType): Kind(_cell),
    id(types.BuiltinFunctionType): Kind(_method_of_c, reference=_tell_builtin, has_identity=False),
    id(types.MethodWrapperType): Kind(_method_of_c, has_identity=False),
    id(types.WrapperDescriptorType): Kind(_type_alone, reference=_tell_descriptor),
    id(types.MethodDescriptorType): Kind(_type_alone, reference=_tell_descriptor),
    id(types.ClassMethodDescriptorType): Kind(_type_alone, reference=_tell_descriptor),
    id(types.GetSetDescriptorType): Kind(_type_alone, reference=_tell_descriptor),
    id(types.MemberDescriptorType): Kind(_type_alone, reference=_tell_descriptor),
}

_TYPE_ALONE = (
    *(_thread.LockType, _thread.RLock, _thread._local, threading.Thread),
    *(io.IOBase.__base__, socket.socket.__base__, memoryview),
    *(types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType, types.FrameType, types.TracebackType),
    *(contextvars.Context, contextvars.Token),
)
_WITHOUT_IDENTITY = (
    *(types.MethodType, types.GenericAlias, types.UnionType, re.Pattern, weakref.ref),
    *(datetime, time, timezone),
)
_MODULES_WITHOUT_IDENTITY = ("typing", "zoneinfo")
_BEHAVIOUR = frozenset(
    id(kind)
    for kind in (types.FunctionType, types.BuiltinFunctionType, types.MethodType, property, staticmethod, classmethod)
)


# --- what a type written in C holds beside `__dict__` and slots; who derives from it cannot change how that is read ---


def pairs_of(mapping: dict[object, object]) -> Iterator[object]:
    """Keys and values by turns, in the order that the user sees.

    After `move_to_end` that is another one than the dict's. Python asks the keys for their hashes then: those of strangers are told
    as they were inserted.
    """
    if not is_a(mapping, OrderedDict) or not _is_plain(dict.keys(mapping)):
        return chain.from_iterable(dict.items(mapping))
    keys = OrderedDict.__iter__(cast("OrderedDict[object, object]", mapping))
    return chain.from_iterable((key, dict.__getitem__(mapping, key)) for key in keys)


_maxlen: Callable[[object], object] = cast("Any", deque).__dict__["maxlen"].__get__
_arguments: Callable[[object], object] = cast("Any", BaseException).__dict__["args"].__get__

_CONTENTS: dict[type, Callable[[Any], Iterable[object]]] = {
    str: lambda text: (str.__str__(text),),
    bytes: lambda content: (bytes.__getitem__(content, slice(None)),),
    bytearray: lambda content: (bytes(bytearray.copy(content)),),
    int: lambda number: (int.__int__(number),),
    float: lambda number: (float.__float__(number),),
    complex: lambda number: (complex.__complex__(number),),
    Decimal: lambda number: (Decimal.__repr__(number),),
    list: list.__iter__,
    tuple: tuple.__iter__,
    deque: lambda elements: chain((_maxlen(elements),), deque.__iter__(elements)),
    dict: pairs_of,
    set: lambda elements: (frozenset(elements),),  # of a set Python takes the hashes that are in there
    frozenset: lambda elements: (frozenset(elements),),
    weakref.ref: lambda reference: (weakref.ref.__call__(reference),),
    BaseException: lambda error: (_arguments(error),),
    datetime: lambda moment: datetime.__reduce_ex__(moment, 4)[1],
    time: lambda moment: time.__reduce_ex__(moment, 4)[1],
    date: lambda day: date.__reduce__(day)[1],
    timedelta: lambda duration: timedelta.__reduce__(duration)[1],
    timezone: cast("Any", timezone).__getinitargs__,
}


def _reader_of_contents(cls: type) -> Callable[[Any], Iterable[object]] | None:
    if name_of(cls) in incidental.WITHOUT_VALUE:
        return None
    return next((read for base in mro_of(cls) for known, read in _CONTENTS.items() if base is known), None)


# --- all others ---


class _Declared(NamedTuple):
    """What one class says of its instances."""

    variables: Callable[[Any], Any] | None
    slots: tuple[tuple[str, Callable[[Any], object]], ...]
    computed: frozenset[str]
    retold: incidental.Retold

    @classmethod
    def by(cls, declaring: type) -> _Declared:
        variables = None
        slots: list[tuple[str, Callable[[Any], object]]] = []
        computed: set[str] = set()
        for name, entry in tuple(namespace_of(declaring).items()):
            kind = type(entry)
            if type(cast("object", name)) is not str:
                continue
            if kind is types.GetSetDescriptorType or kind is types.MemberDescriptorType:
                read: Callable[[Any], object] = cast("Any", entry).__get__
                if name == "__dict__":
                    variables = read
                elif kind is types.MemberDescriptorType and not name.endswith("offset__"):  # those are addresses
                    slots.append((name, read))
            elif incidental.is_computed(qualname_of(kind)):
                computed.add(name)
        return cls(variables, tuple(slots), frozenset(computed), incidental.RETOLD.get(name_of(declaring), {}))


class Anatomy:
    """Of the objects of one process. `own_modules`: the names of those whose functions and classes are taken apart."""

    def __init__(self, own_modules: Container[str]) -> None:
        self.kinds: dict[int, Kind] = dict(_EXACT)
        """By the address of the type, as far as they have been met; `learn` adds to them."""
        self._own = own_modules
        self._met: list[type] = []  # else another type might get the address
        self._declared: dict[int, _Declared] = {}
        self._suspects: dict[str, bool] = {}

    def kind_of(self, instance: object) -> Kind:
        return self.kinds.get(id(type(instance))) or self.learn(type(instance))

    def learn(self, cls: type) -> Kind:
        self._met.append(cls)
        kind = self.kinds[id(cls)] = self._kind(cls)
        return kind

    def _kind(self, cls: type) -> Kind:
        for base in mro_of(cls):
            if base is type:
                return Kind(self._class, reference=self._tell_class)
            if base is types.FunctionType:
                return Kind(self._function, reference=self._tell_function)
            if base is types.ModuleType:
                return Kind(_lone_module, reference=_tell_module)
            if any(base is known for known in _TYPE_ALONE) or name_of(base) in incidental.TYPE_ALONE:
                return Kind(_type_alone)
        if module_of(cls).partition(".")[0] == incidental.OURS:
            return Kind(_type_alone)
        has_identity = not any(cls is known for known in _WITHOUT_IDENTITY)
        return Kind(
            self._instances_of(cls), has_identity=has_identity and module_of(cls) not in _MODULES_WITHOUT_IDENTITY
        )

    # --- classes and functions ---

    def _tell_class(self, cls: type) -> str | None:
        if module_of(cls) in self._own or not is_found_by_name(cls):
            return None
        return f"class {name_of(cls)!r}"

    def _class(self, cls: type) -> Told:
        bases = bases_of(cls)
        return f"class {name_of(cls)!r} {len(bases)}", (type(cls), *bases, *self._class_entries(cls))

    def _class_entries(self, cls: type) -> Iterator[object]:
        for name, value in tuple(namespace_of(cls).items()):
            if type(name) is str and (name in incidental.OF_A_CLASS or self._is_memo(name, value, in_class=True)):
                continue
            yield name
            yield value

    def _tell_function(self, function: types.FunctionType) -> str | None:
        """What decorators have made bears the names of what they wrap; its code and its globals tell the truth."""
        module, qualname = home_of(function), exact_text(function.__code__.co_qualname)
        if module in self._own or "<" in qualname:
            return None
        return f"function {module!r} {qualname!r}"

    def _function(self, function: types.FunctionType) -> Told:
        code, annotations = function.__code__, getattr(function, _ANNOTATIONS)
        return "function", (
            code,
            *(function.__qualname__, function.__name__, function.__module__, function.__doc__),
            *(function.__defaults__, function.__kwdefaults__),
            None if type(annotations) is dict and not annotations else annotations,
            *self._cells(code.co_freevars, function.__closure__ or ()),
            *self._entries(dict.items(cast("dict[object, object]", function.__dict__))),
        )

    def _cells(self, names: tuple[str, ...], cells: tuple[types.CellType, ...]) -> Iterator[object]:
        for name, cell in zip(names, cells, strict=True):
            try:
                is_memo = self._is_memo(name, cell.cell_contents, in_class=True)
            except ValueError:  # empty
                is_memo = False
            yield None if is_memo else cell

    # --- instances ---

    def _instances_of(self, cls: type) -> Callable[[Any], Told]:
        """`__dict__` and slots, also of most types that are written in C; of the others what the garbage collector sees."""
        declared = [self._declared_by(base) for base in mro_of(cls)]
        variables = next((found.variables for found in declared if found.variables), None)
        slots = [slot for found in declared for slot in found.slots]
        computed = frozenset().union(*(found.computed for found in declared))
        retold: incidental.Retold = {
            name: retell for found in reversed(declared) for name, retell in found.retold.items()
        }
        contents = _reader_of_contents(cls)
        if contents is None and variables is None and not slots:
            return lambda instance: ("opaque", (cls, *(part for part in gc.get_referents(instance) if part is not cls)))

        def take_apart(instance: object) -> Told:
            state: list[object] = [cls]
            if variables is not None and (found := variables(instance)) is not None:
                state += self._entries(dict.items(found), computed, retold)
            if slots:
                state += self._entries(_filled(slots, instance), computed, retold)
            if contents is None:
                return "instance", state
            return f"instance {len(state)}", chain(state, contents(instance))

        return take_apart

    def _entries(
        self,
        attributes: Iterable[tuple[object, object]],
        computed: Container[str] = (),
        retold: incidental.Retold = types.MappingProxyType({}),
    ) -> Iterator[object]:
        """Names and values, by turns, of those that count."""
        for name, value in tuple(attributes):
            if type(name) is str:
                if name in computed or (self._suspects.get(name, True) and self._is_memo(name, value, in_class=False)):
                    continue
                if name in retold:
                    if (retell := retold[name]) is not None:
                        yield name
                        yield retell(value)
                    continue
            yield name
            yield value

    def _is_memo(self, name: str, value: object, *, in_class: bool) -> bool:
        suspect = self._suspects.get(name)
        if suspect is None:
            suspect = self._suspects[name] = incidental.is_suspect(name)
        if not suspect:
            return False
        is_behaviour = id(type(value)) in _BEHAVIOUR or is_a(value, type)
        return incidental.is_memo(name, value, is_behaviour=is_behaviour, in_class=in_class)

    def _declared_by(self, cls: type) -> _Declared:
        declared = self._declared.get(id(cls))
        if declared is None:
            self._met.append(cls)
            declared = self._declared[id(cls)] = _Declared.by(cls)
        return declared


def _filled(slots: Iterable[tuple[str, Callable[[Any], object]]], instance: object) -> Iterator[tuple[str, object]]:
    for name, read in slots:
        try:
            yield name, read(instance)
        except AttributeError:  # not set, or deleted
            continue
