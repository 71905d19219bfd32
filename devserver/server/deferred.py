"""What the first server may do without: start-up is a race, and these modules are a third of what there is to import.

Runs in the root, which imports them behind the first load, so that later servers find them; and in a first server that needs one
earlier. Rule that holds: an import of ours never finds a file of the user's, whatever its name: by then the app's folder
stands in front of `sys.path`.
"""

from __future__ import annotations

import importlib
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


def preload() -> None:
    """Import all of them."""
    for name in MODULES:
        importlib.import_module(name)


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
