"""When each module began to run and what it imported, also what was loaded already: the raw material of the `ImportGraph`.

Runs in the server while it loads. No hook of Python's tells of an import that finds its module loaded, or of a library's that
begins, so `builtins.__import__` and the functions behind `importlib.import_module` and behind each load are replaced until the load
ends. Rules that hold: the edge is from the module being executed (the nearest frame of a module's own code), not from the one whose
function imports; what is imported is what the original imports; no frame of ours is ever in a traceback: apps count them to tell a
missing module from a failing one (django-oscar does); while the load runs only the place of an import is noted: what stands there
is read from the bytecode afterwards.

Not seen: what a call of `__import__` asks for, unless it is loaded then and there.
"""

from __future__ import annotations

import _frozen_importlib as bootstrap
import builtins
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from opcode import opmap
from types import CodeType, FrameType, ModuleType
from typing import Any, NamedTuple, cast

from devserver.importgraph import ImportGraph, Run
from devserver.server.deferred import is_ours_first

_IMPORT_NAME, _EXTENDED_ARG = opmap["IMPORT_NAME"], opmap["EXTENDED_ARG"]
_LOAD_SMALL_INT = opmap.get("LOAD_SMALL_INT")  # since Python 3.14
_MODULE_CODE = "<module>"
_clock = time.perf_counter  # the user's libraries may replace it


def _only_one() -> str:
    return ""


class _Statement(NamedTuple):
    """An import statement that ran: whose, and where it stands."""

    importer: str  # the file of the module that was being executed
    code: CodeType
    offset: int


class _Call(NamedTuple):
    """`import_module`."""

    importer: str
    name: str


class _Began(NamedTuple):
    phase: str
    seconds: float
    by_name: bool  # it was imported, not loaded from a path


class EdgeRecorder:
    """Records from `install` to `remove`; one at a time in a process. Imports of other threads are recorded too.

    `phase` names the part of the load that runs: it is asked whenever a module begins, and must not raise.
    """

    def __init__(self, phase: Callable[[], str] = _only_one) -> None:
        self._phase = phase
        self._began: dict[str, _Began] = {}  # each module's first run
        # By the identity of the code, which is kept here: to compare code takes long.
        self._statements: dict[tuple[str, int, int], _Statement] = {}
        self._calls: dict[_Call, None] = {}
        self._replaced: list[tuple[object, str, object, object]] = []
        self._ended = False

    def install(self) -> None:
        """From here on. Never raises, and changes nothing that an app can see."""
        self._replace(builtins, "__import__", self._note_statement)
        self._replace(bootstrap, "_gcd_import", self._note_call)
        if hasattr(bootstrap, "_load_unlocked"):
            self._replace(bootstrap, "_load_unlocked", self._note_load)

    def began(self, name: str, *, by_name: bool = False) -> None:
        """A module is about to run. What is told twice counts once."""
        if name not in self._began:
            self._began[name] = _Began(self._phase(), _clock(), by_name)

    def remove(self) -> None:
        """Everything is as it was, unless somebody has replaced it in turn. Who kept a copy has one that notes nothing."""
        self._ended = True
        while self._replaced:
            owner, name, original, replacement = self._replaced.pop()
            if vars(owner).get(name) is replacement:
                setattr(owner, name, original)

    def take_graph(self, users: Mapping[str, str]) -> ImportGraph:
        """What was seen so far, which is forgotten. `users`: the user's modules with their sources, in the order in which they ran,
        also those that failed."""
        sources = _sources(sys.modules)
        for name in users:  # all have begun, unless Python has no such function
            self.began(name)
        modules_of: dict[str, list[str]] = {}
        for name, path in ({name: path for name, (path, _package) in sources.items()} | dict(users)).items():
            modules_of.setdefault(path, []).append(name)
        imports: dict[str, set[str]] = {}
        for importer, imported in self._imports(dict(sources.values())):
            for name in modules_of.get(importer, ()):
                if name != imported:
                    imports.setdefault(name, set()).add(imported)
        graph = ImportGraph.build(self._runs(users), imports)
        self._statements.clear()
        self._calls.clear()
        self._began.clear()
        return graph

    def _runs(self, users: Mapping[str, str]) -> dict[str, Run]:
        ends = [*(began.seconds for began in self._began.values()), _clock()][1:]
        return {
            name: Run(
                users.get(name, ""),
                began.phase if began.by_name and name in sys.modules else None,
                round((end - began.seconds) * 1000, 2),
            )
            for (name, began), end in zip(self._began.items(), ends, strict=True)
        }

    def _imports(self, packages: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Files and the names that were imported while they ran, with names that are no modules among them."""
        for statement in tuple(self._statements.values()):
            importer = _absolute(statement.importer)
            for name in _names(statement, packages.get(_absolute(statement.code.co_filename), "")):
                yield importer, name
        for call in tuple(self._calls):
            for name in _with_parents(call.name):
                yield _absolute(call.importer), name

    def _replace(self, owner: object, name: str, note: Callable[[FrameType], None]) -> None:
        original = vars(owner)[name]
        replacement = _noting(original, note)
        self._replaced.append((owner, name, original, replacement))
        setattr(owner, name, replacement)

    def _note_statement(self, frame: FrameType) -> None:
        if self._ended:
            return
        importer, code, offset = _executed_by(frame), frame.f_code, frame.f_lasti
        if importer is not None and (key := (importer, id(code), offset)) not in self._statements:
            self._statements[key] = _Statement(importer, code, offset)

    def _note_load(self, frame: FrameType) -> None:
        if not self._ended and not is_ours_first():
            self.began(frame.f_locals["spec"].name, by_name=True)

    def _note_call(self, frame: FrameType) -> None:
        if self._ended:
            return
        importer = _executed_by(frame)
        name, package = frame.f_locals["name"], frame.f_locals.get("package")  # those of `import_module`
        if importer is not None:
            self._calls[_Call(importer, importlib.util.resolve_name(name, package))] = None


def _absolute(path: str) -> str:
    try:
        return os.path.abspath(path)
    except OSError:  # a relative one, and the working folder was removed
        return path


def _executed_by(frame: FrameType | None) -> str | None:
    """The file of the module that is being executed."""
    while frame is not None:
        if frame.f_code.co_name == _MODULE_CODE:
            return frame.f_code.co_filename
        frame = frame.f_back
    return None


def _noting(original: object, note: Callable[[FrameType], None]) -> object:
    """Who calls it calls `original`; the frame that does so is noted first.

    Python looks `__call__` up in the class, and what is found there is asked for the function to call: that moment is ours, and
    over before the call.
    """
    get_frame = sys._getframe

    class Bound:
        def __get__(self, instance: object, owner: type) -> object:
            try:
                note(get_frame(1))
            except Exception:
                pass  # an odd caller: the original has its own words for it
            return original

    class Noting:
        __call__ = Bound()
        __doc__ = original.__doc__
        __module__ = getattr(original, "__module__", "")

        __class__ = property(lambda self: type(original))

        def __reduce__(self) -> str:
            return cast("str", getattr(original, "__qualname__", ""))

        def __deepcopy__(self, memo: object) -> object:
            return self

        def __repr__(self) -> str:
            return repr(original)

        def __getattr__(self, name: str) -> object:
            return getattr(original, name)

    # Who steps through an import with a debugger sees importlib there; most debuggers step over it.
    getter = cast("Any", Bound.__get__)
    getter.__code__ = getter.__code__.replace(co_filename=bootstrap.__import__.__code__.co_filename)
    return Noting()


# --- what stands where an import was noted ---


def _names(statement: _Statement, package: str) -> Iterator[str]:
    code = statement.code.co_code
    operation, argument, before = _instruction(code, statement.offset)
    if operation != _IMPORT_NAME:
        return  # called by hand, or by C code
    name = statement.code.co_names[argument]
    _operation, argument, before = _instruction(code, before)
    fromlist = statement.code.co_consts[argument] or ()
    operation, argument, _before = _instruction(code, before)
    level = argument if operation == _LOAD_SMALL_INT else statement.code.co_consts[argument]
    try:
        base = importlib.util.resolve_name("." * level + name, package)
    except ImportError:
        return
    yield from _with_parents(base)
    if "*" in fromlist:  # what `__all__` says: as much of it as is loaded
        fromlist = [known.removeprefix(f"{base}.") for known in tuple(sys.modules) if known.startswith(f"{base}.")]
    for attribute in fromlist:
        yield f"{base}.{attribute}"


def _instruction(code: bytes, offset: int) -> tuple[int, int, int]:
    """Operation and argument of the instruction there, and where the one before it stands."""
    argument, shift, before = code[offset + 1], 8, offset - 2
    while before >= 0 and code[before] == _EXTENDED_ARG:
        argument |= code[before + 1] << shift
        shift, before = shift + 8, before - 2
    return code[offset], argument, before


def _with_parents(name: str) -> Iterator[str]:
    """The packages above run before it."""
    while name:
        yield name
        name = name.rpartition(".")[0]


def _sources(modules: Mapping[str, ModuleType]) -> dict[str, tuple[str, str]]:
    """Of each module its source and its package. Some modules load when they are asked for anything: these are not asked."""
    found = {}
    for name, module in tuple(modules.items()):
        if issubclass(type(module), ModuleType):  # not isinstance: cffi's libraries say that they are modules
            variables = object.__getattribute__(module, "__dict__")
            source, package = variables.get("__file__"), variables.get("__package__")
            if isinstance(source, str):
                found[name] = (_absolute(source), package if isinstance(package, str) else "")
    return found
