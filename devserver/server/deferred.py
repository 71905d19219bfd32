"""What the first server may do without: start-up is a race, and these modules are a third of what there is to import.

Runs in the root, which imports them a second after it was asked for the first load, so that later servers find them; likewise in a
checkpoint that the first server left behind, once somebody has continued from it; and in a server that needs one earlier.
Rule that holds: an import of ours never finds a file of the user's, whatever its name: by then the app's folder stands in
front of `sys.path`.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

MODULES = (
    "devserver.server.web.tracebacks",
    "devserver.server.web.request_facts",
    "devserver.server.web.pages",
    "devserver.terminal_report",
    "devserver.server.watchdog",
    "devserver.server.web.static",
    "devserver.server.web.websocket",
    "pdb",
    "pygments.lexers.python",
    "pygments.token",
)

_PATIENCE_S = 2.0
_one_at_a_time = threading.RLock()


def _forked() -> None:
    global _one_at_a_time
    _one_at_a_time = threading.RLock()  # who had it is not in this process


os.register_at_fork(after_in_child=_forked)

_PATH = tuple(sys.path)  # before the user's folders come into it
_importing: set[int] = set()  # the threads that are within `ours_first`
_found: set[str] = set()

PACKAGES = ("uvicorn",)
"""Their `__init__` brings a command line and reloaders along, of which a server needs nothing."""


def preload() -> None:
    """Import all of them."""
    with ours_first():
        for name in MODULES:
            importlib.import_module(name)
    for name in PACKAGES:
        hasattr(sys.modules.get(name), "__version__")  # asking for a name runs what was put off


def put_off(name: str, within: Callable[[], AbstractContextManager[None]] = nullcontext) -> None:
    """Let the import of this module run nothing until somebody asks the module for a name.

    Submodules of a package can be imported all the same. Whoever uses the module later notices nothing: it is one module object,
    run when it is first needed, in the block `within`. A submodule is found if its package is there: imported, or put off before.
    Does nothing where there is no such module, or it is imported already.
    """
    parent = sys.modules.get(name.rpartition(".")[0])
    spec = importlib.util.find_spec(name) if parent is not None or "." not in name else None
    if name in sys.modules or spec is None or spec.loader is None:
        return
    module, loader, lock = importlib.util.module_from_spec(spec), spec.loader, threading.RLock()
    names, is_running = vars(module), False

    def run_then_get(attribute: str) -> object:
        nonlocal is_running
        with lock:
            if names.get("__getattr__") is run_then_get and not is_running:
                is_running = True
                try:
                    with within():
                        loader.exec_module(module)
                finally:
                    is_running = False
                if names.get("__getattr__") is run_then_get:  # else it has one of its own
                    del names["__getattr__"]
        if names.get("__getattr__") is run_then_get:  # asked by what it imports, before it has the name
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}")
        return getattr(module, attribute)

    names["__getattr__"] = run_then_get  # PEP 562: asked for the names that are not there
    sys.modules[name] = module
    if parent is not None:
        vars(parent)[name.rpartition(".")[2]] = module  # as an import would


@contextmanager
def ours_first() -> Iterator[None]:
    """Within this block, imports of this thread look where the root looked. Others' imports are not touched.

    One thread at a time: where two import packages with circles in them, each from another end, Python gives one of them a module
    that is half made rather than a deadlock.
    """
    lock = _one_at_a_time
    is_alone = lock.acquire(timeout=_PATIENCE_S)  # whoever has it may wait for an import that this thread is in
    thread = threading.get_ident()
    finder, is_inner = _OursFirst(thread), thread in _importing
    sys.meta_path.insert(0, finder)
    _importing.add(thread)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        if not is_inner:
            _importing.discard(thread)
        if is_alone:
            lock.release()


def is_ours_first() -> bool:
    """Does this thread import something of ours?"""
    return threading.get_ident() in _importing


def found_by_ours() -> frozenset[str]:
    """The packages that imports of ours have brought in; the user's code had none of them before."""
    return frozenset(_found)


class _OursFirst:
    """A meta path finder for the top-level imports of one thread."""

    def __init__(self, thread: int) -> None:
        self._thread = thread

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if path is not None or threading.get_ident() != self._thread:
            return None
        found = PathFinder.find_spec(name, list(_PATH), target)
        if found is not None:
            _found.add(name)
        return found
