"""Types, names and namespaces as Python itself has them, whatever a class says of itself.

Runs in the server once it has loaded. Rules that hold: no code of the user's runs and nothing is changed. A class may answer for
`__class__`, `__dict__` or `__getattribute__`, and its metaclass for the class: so both are read by descriptors of `type`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FunctionType, MappingProxyType, ModuleType
from typing import Any, cast

mro_of: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__
bases_of: Callable[[type], tuple[type, ...]] = type.__dict__["__bases__"].__get__
namespace_of: Callable[[type], MappingProxyType[str, object]] = type.__dict__["__dict__"].__get__
_qualname: Callable[[type], object] = type.__dict__["__qualname__"].__get__
_module: Callable[[type], object] = type.__dict__["__module__"].__get__
_flags: Callable[[type], int] = type.__dict__["__flags__"].__get__
_variables: Callable[[object], dict[str, object]] = cast("Any", ModuleType).__dict__["__dict__"].__get__
_IS_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE


def is_a(instance: object, base: type) -> bool:
    """Like `isinstance`, but nobody is asked."""
    return any(found is base for found in mro_of(type(instance)))


def exact_text(text: object) -> str:
    """`text` as a str that is nothing else; of what is none, its type."""
    if type(text) is str:
        return text
    if is_a(text, str):
        return str.__str__(text)
    return f"<{name_of(type(text))}>"


def name_of(cls: type) -> str:
    return f"{module_of(cls)}.{qualname_of(cls)}"


def qualname_of(cls: type) -> str:
    return exact_text(_qualname(cls))


def module_of(cls: type) -> str:
    try:
        return exact_text(_module(cls))
    except AttributeError:  # deleted
        return "?"


def variables_of(module: object) -> dict[str, object]:
    """The globals of a module; what stands in `sys.modules` for one has none."""
    return _variables(module) if is_a(module, ModuleType) else {}


def home_of(value: object) -> str | None:
    """The module in which a class or a function was made."""
    if is_a(value, type):
        return module_of(cast("type", value))
    if type(value) is FunctionType:
        return exact_text(dict.get(value.__globals__, "__name__"))
    return None


def is_found_by_name(cls: type) -> bool:
    """Does the name of a class lead to it? Not to one that a library has made to measure, nor to one in a function."""
    if not _flags(cls) & _IS_HEAP_TYPE:
        return True  # written in C, and often named after where it is not
    found: object = None
    namespace: Any = variables_of(sys.modules.get(module_of(cls)))
    for name in qualname_of(cls).split("."):
        found = namespace.get(name)
        if not is_a(found, type):
            return False
        namespace = namespace_of(cast("type", found))
    return found is cls
