"""What each module imports while it is executed, also what was loaded already: the raw material of the `ImportGraph`.

Runs in the server while it loads. No hook of Python's tells of an import that finds its module loaded, so `builtins.__import__`,
the function behind `importlib.import_module`, and the execution of modules by importlib's loaders are replaced until the load ends.
Rules that hold: the edge is from the module being executed, not from the one whose function imports; what is imported is what the
original would import; nothing is resolved while the load runs. The replacements bear importlib's file name: Python cuts them out of
the traceback of a failed import with the rest of its machinery (but the outermost, where the app itself catches what an import
statement of it raised), and `warnings` skips them when it counts levels.
"""

from __future__ import annotations

import _frozen_importlib as bootstrap
import _frozen_importlib_external as external
import builtins
import os
import threading
from collections.abc import Callable, Collection, Iterator
from types import FunctionType, ModuleType
from typing import Any, TypeVar, cast

from devserver.importgraph import ImportGraph

F = TypeVar("F", bound=Callable[..., Any])
_Import = tuple[object, tuple[object, ...], int, object]
"""Name, fromlist, level, and the package from which a relative name counts."""

_LOADERS: Any = external._LoaderBasics  # the base of those for source and bytecode


class EdgeRecorder:
    """Records from `install` to `remove`; one at a time in a process. Imports of other threads count as the main one's."""

    def __init__(self) -> None:
        self._executed: dict[str, tuple[str, set[_Import]]] = {}  # by module: its source, its imports
        self._stack: list[set[_Import]] = [set()]  # the imports of what is being executed; first, those of nobody
        self._replaced: list[tuple[object, str, object, object]] = []

    def install(self) -> None:
        """From here on. Never raises, and changes nothing that an app can see but frames of importlib."""
        self._replace(builtins, "__import__", _making_imports(self._stack, builtins.__import__))
        self._replace(bootstrap, "_gcd_import", _making_named_imports(self._stack, bootstrap._gcd_import))  # type: ignore[attr-defined]
        self._replace(_LOADERS, "exec_module", _executing(self._executed, self._stack, _LOADERS.exec_module))

    def remove(self) -> None:
        """Everything is as it was, unless somebody has replaced it in turn."""
        while self._replaced:
            owner, name, original, replacement = self._replaced.pop()
            if vars(owner).get(name) is replacement:
                setattr(owner, name, original)

    def graph(self, users: Collection[str]) -> ImportGraph:
        """What was seen so far. `users`: the sources that are the user's."""
        own = {name: os.path.abspath(source) for name, (source, _imports) in self._executed.items()}
        own = {name: source for name, source in own.items() if source in users}
        imports = {name: set(self._resolved(name)) for name in own}
        # Most of a library imports nothing of the user's: only what leads back is resolved.
        leading = set(own)
        while found := self._libraries_that_name(leading) - leading:
            leading |= found
            imports |= {name: set(self._resolved(name)) for name in found}
        return ImportGraph.build(own, imports)

    def _libraries_that_name(self, modules: set[str]) -> set[str]:
        packages = {name.rpartition(".")[0] for name in modules}

        def is_named(item: _Import) -> bool:
            base = _absolute(*item)
            if base in modules:
                return True
            return base in packages and any(f"{base}.{attribute}" in modules for attribute in item[1])

        return {name for name, (_source, imports) in self._executed.items() if any(map(is_named, tuple(imports)))}

    def _resolved(self, importer: str) -> Iterator[str]:
        for item in tuple(self._executed[importer][1]):
            base = _absolute(*item)
            yield base
            for end, character in enumerate(base):
                if character == ".":  # the packages above ran before it
                    yield base[:end]
            for attribute in self._submodules(base) if "*" in item[1] else item[1]:
                yield f"{base}.{attribute}"  # if it is a module

    def _submodules(self, package: str) -> tuple[str, ...]:
        """What a star may have imported, by the package's `__all__`."""
        return tuple(name.rpartition(".")[2] for name in self._executed if name.rpartition(".")[0] == package)

    def _replace(self, owner: object, name: str, replacement: object) -> None:
        self._replaced.append((owner, name, vars(owner)[name], replacement))
        setattr(owner, name, replacement)


def _absolute(name: object, _fromlist: tuple[object, ...], level: int, package: object) -> str:
    if not isinstance(name, str) or not isinstance(package, str):
        return ""  # the original has refused it
    if level <= 0:
        return name
    parts = package.rsplit(".", level - 1)
    base = parts[0] if len(parts) >= level else ""
    return f"{base}.{name}" if name else base


def _making_imports(stack: list[set[_Import]], original: Callable[..., ModuleType]) -> Callable[..., ModuleType]:
    def import_(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> ModuleType:  # noqa: A002
        try:
            package = (globals["__package__"] or globals["__name__"]) if level else ""
            stack[-1].add((name, fromlist if type(fromlist) is tuple else tuple(fromlist or ()), level, package))
        except Exception:  # no dict, not a name: the original has better words for it, where it matters
            pass
        return original(name, globals, locals, fromlist, level)

    # A frame of importlib alone is cut out only under this name.
    import_.__code__ = import_.__code__.replace(co_name="_call_with_frames_removed")
    return _as_importlib(import_, bootstrap.__import__)


def _making_named_imports(stack: list[set[_Import]], original: Callable[..., ModuleType]) -> Callable[..., ModuleType]:
    def _gcd_import(name: str, package: Any = None, level: int = 0) -> ModuleType:
        try:
            stack[-1].add((name, (), level, package or ""))
        except Exception:
            pass
        return original(name, package, level)

    return _as_importlib(_gcd_import, original)


def _executing(
    executed: dict[str, tuple[str, set[_Import]]], stack: list[set[_Import]], original: Callable[..., None]
) -> Callable[..., None]:
    get_ident, main = threading.get_ident, threading.main_thread().ident

    def exec_module(self: Any, module: ModuleType) -> None:
        if get_ident() != main:
            return original(self, module)
        imports: set[_Import] = set()
        executed[module.__name__] = (getattr(self, "path", ""), imports)
        stack.append(imports)
        try:
            return original(self, module)
        finally:
            stack.pop()

    return _as_importlib(exec_module, original)


def _as_importlib(function: F, original: Callable[..., object]) -> F:
    """`function`, with the file and the name of `original`."""
    replacement, replaced = cast("FunctionType", function), cast("FunctionType", original)
    replacement.__code__ = replacement.__code__.replace(co_filename=replaced.__code__.co_filename)
    replacement.__name__ = replacement.__qualname__ = replaced.__name__
    return function
