"""What the first server may do without: start-up is a race, and these modules are a third of what there is to import.

Runs in the root, which imports them behind the first load, so that later servers find them; likewise in a checkpoint that the
first server left behind, once somebody has continued from it; and in a server that needs one earlier. Rule that holds: an import of
ours never finds a file of the user's, whatever its name: by then the app's folder stands in front of `sys.path`.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

MODULES = (
    "devserver.server.web.tracebacks",
    "devserver.server.web.pages",
    "devserver.terminal_report",
    "devserver.server.web.static",
    "devserver.server.web.websocket",
    "pdb",
    "pygments.lexers.python",
    "pygments.token",
)

_PATH = tuple(sys.path)  # before the user's folders come into it


PACKAGES = ("uvicorn",)
"""Their `__init__` brings a command line and reloaders along, of which a server needs nothing."""


def preload() -> None:
    """Import all of them."""
    with ours_first():
        for name in MODULES:
            importlib.import_module(name)
    for name in PACKAGES:
        hasattr(sys.modules.get(name), "__version__")  # asking for a name runs what was put off


def put_off_init(package: str) -> None:
    """Let submodules of `package` be imported without its `__init__`, until somebody asks the package for a name.

    Whoever imports the package itself later notices nothing: it is one module object, run when it is first needed.
    """
    spec = importlib.util.find_spec(package)
    if package in sys.modules or spec is None or spec.loader is None:
        return
    module, loader, lock = importlib.util.module_from_spec(spec), spec.loader, threading.RLock()

    def run_then_get(name: str) -> object:
        with lock:
            if module.__dict__.get("__getattr__") is run_then_get:
                del module.__dict__["__getattr__"]
                with ours_first():
                    loader.exec_module(module)
        return getattr(module, name)

    module.__dict__["__getattr__"] = run_then_get  # PEP 562: asked for the names that are not there
    sys.modules[package] = module


@contextmanager
def ours_first() -> Iterator[None]:
    """Within this block, imports of this thread look where the root looked. Others' imports are not touched."""
    finder = _OursFirst(threading.get_ident())
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _OursFirst:
    """A meta path finder for the top-level imports of one thread."""

    def __init__(self, thread: int) -> None:
        self._thread = thread

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if path is not None or threading.get_ident() != self._thread:
            return None
        return PathFinder.find_spec(name, list(_PATH), target)
