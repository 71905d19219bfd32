"""The state of the process as JSON: what a random project's app answers. Part of each such project.

Plain data only, and no address: functions and classes are told by names and code. What is met a second time is told by
the number of the first, so that it shows which names share a value.
"""

import json
import os
import random
import sys
import types
import zlib
from collections.abc import Iterable

_ROOT = os.path.dirname(os.path.abspath(__file__)) + os.sep
_DUNDERS = ("__file__", "__package__", "__doc__", "__path__")
UNORDERED = "LEDGER_UNORDERED" in os.environ
_CLASS_NOISE = frozenset({"__dict__", "__weakref__"})


def take(live: Iterable[str]) -> bytes:
    """The fingerprint of this process now. `live`: files whose content belongs to the answer."""
    describe = _Describer()
    modules = {
        name: describe.module(module)
        for name, module in sorted(sys.modules.items(), key=lambda item: item[0])
        if _is_projects(module)
    }
    ledger = sys.modules["ledger"]
    state = {
        "order": list(ledger.order) if isinstance(ledger.order, list) else sorted(ledger.order),
        "modules": modules,
        "live": {name: _content(name) for name in live},
        "random": zlib.crc32(repr(random.getstate()).encode()) if ledger.seeded else None,
        "path": [entry for entry in sys.path if f"{entry}/".startswith(_ROOT)],
        "settings": {name: value for name, value in os.environ.items() if name.startswith("SETTING_")},
    }
    return json.dumps(state).encode()


def _is_projects(module: types.ModuleType) -> bool:
    places = [vars(module).get("__file__")]
    try:
        places += vars(module).get("__path__") or ()
    except KeyError:  # a namespace package whose parent is gone from sys.modules looks for it
        pass
    return any(isinstance(place, str) and place.startswith(_ROOT) for place in places)


def _content(name: str) -> str | None:
    try:
        with open(os.path.join(_ROOT, name)) as file:
            return file.read()
    except OSError:
        return None


class _Describer:
    def __init__(self) -> None:
        self._seen: dict[int, int] = {}

    def module(self, module: types.ModuleType) -> object:
        names = vars(module)
        if UNORDERED:
            names = dict(sorted(names.items()))
        # Packages get the names of what is in them as it is imported: last, and sorted.
        within = {name for name in names if f"{module.__name__}.{name}" in sys.modules}
        names = {**{name: names[name] for name in names if name not in within}, **{n: names[n] for n in sorted(within)}}
        described = {name: self.value(value) for name, value in list(names.items()) if not name.startswith("__")}
        described |= {
            name: list(names[name]) if name == "__path__" else names[name] for name in _DUNDERS if name in names
        }
        return described

    def value(self, value: object) -> object:
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, bytes):
            return ["bytes", value.hex()]
        if isinstance(value, types.ModuleType):
            return ["module", value.__name__, id(sys.modules.get(value.__name__)) == id(value)]
        if isinstance(value, types.BuiltinFunctionType | types.MethodType) or not _is_projects_own(value):
            return ["other", type(value).__qualname__]
        if isinstance(value, tuple | frozenset):  # whether equal constants are one object is up to the compiler
            return self._parts(value)
        if id(value) in self._seen:
            return ["same", self._seen[id(value)]]
        number = self._seen[id(value)] = len(self._seen)
        return [number, *self._parts(value)]

    def _parts(self, value: object) -> list[object]:
        if isinstance(value, set) and UNORDERED:  # in which they lie depends on who came first
            return ["set", *sorted(map(repr, value))]
        if isinstance(value, list | tuple | set | frozenset):
            return [type(value).__name__, *map(self.value, value)]
        if isinstance(value, dict):
            return ["dict", *([self.value(key), self.value(item)] for key, item in value.items())]
        if isinstance(value, types.FunctionType):
            return ["function", value.__module__, value.__qualname__, _code(value.__code__)]
        if isinstance(value, type):
            names = [(name, item) for name, item in vars(value).items() if name not in _CLASS_NOISE]
            bases = [base.__qualname__ for base in value.__bases__]
            return ["class", value.__module__, value.__qualname__, bases, *([n, self.value(item)] for n, item in names)]
        return ["other", type(value).__qualname__]


def _is_projects_own(value: object) -> bool:
    """Classes of libraries are not told: what is in them depends on what else was imported."""
    module = getattr(value, "__module__", None)
    if not isinstance(value, type | types.FunctionType):
        return True
    return isinstance(module, str) and (module not in sys.modules or _is_projects(sys.modules[module]))


def _code(code: types.CodeType) -> list[object]:
    constants = [_code(const) if isinstance(const, types.CodeType) else repr(const) for const in code.co_consts]
    return [code.co_filename, code.co_firstlineno, zlib.crc32(code.co_code), list(code.co_names), constants]
