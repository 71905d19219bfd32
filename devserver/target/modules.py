"""Where modules lie, found by names of files alone: importing a parent package would run the user's code.

Runs in the supervisor. The order within a folder is that of importlib's FileFinder: a package before a module before a
folder without `__init__.py`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.machinery import BYTECODE_SUFFIXES, EXTENSION_SUFFIXES, SOURCE_SUFFIXES
from pathlib import Path

from devserver.record import Record

_SUFFIXES = (*EXTENSION_SUFFIXES, *SOURCE_SUFFIXES, *BYTECODE_SUFFIXES)  # importlib's order


class Module(Record):
    name: str  # dotted
    path: Path | None  # the file that is executed; None for a folder without __init__.py
    folders: tuple[Path, ...] = ()  # where its submodules are; empty when it is no package

    @property
    def is_source(self) -> bool:
        return self.path is not None and self.path.suffix == ".py"


class Search(Record):
    """How far the search for a dotted name came."""

    module: Module | None  # found whole
    parent: Module | None  # the deepest one that was found, when the whole was not; None: not even the first part
    missing: str  # the part that was not found, "" if all were
    names: tuple[str, ...]  # what there is in its place


def find_module(name: str, folders: Sequence[Path]) -> Search:
    """Look for the dotted `name` below `folders`."""
    parent: Module | None = None
    done = ""
    for part in name.split("."):
        done = f"{done}.{part}" if done else part
        found = next(filter(None, (_find_part(done, part, folder) for folder in folders)), None)
        if found is None:
            names = sorted({name for folder in folders for name in module_names(folder)})
            return Search(None, parent, part, tuple(names))
        parent, folders = found, found.folders
    return Search(parent, None, "", ())


def find_installed(name: str) -> Search | None:
    """Look for `name` outside the project, by the interpreter's finders: its first part only, which imports nothing.

    None: there is none. A search without a module: there may be one, which only importing its parents can tell.
    """
    from importlib.util import find_spec

    top, _, rest = name.partition(".")
    try:
        spec = find_spec(top)
    except (ImportError, ValueError, AttributeError):  # a finder's own error, or a loaded module without a spec
        return None
    if spec is None:
        return None
    folders = tuple(Path(folder) for folder in spec.submodule_search_locations or ())
    if spec.origin is None and folders:  # folders without __init__.py: what is in them is all there is
        found = find_module(rest, folders) if rest else None
        return found if found is not None and found.module is not None else None
    if not rest:
        path = Path(spec.origin) if spec.origin and spec.has_location else None
        return Search(Module(top, path, folders), None, "", ())
    return find_module(rest, folders)


def module_names(folder: Path) -> list[str]:
    """The modules and packages that can be imported from `folder`."""
    names = set()
    for entry in _entries(folder):
        if entry.is_dir():
            if entry.name.isidentifier() and entry.name != "__pycache__":
                names.add(entry.name)
        elif suffix := next((suffix for suffix in _SUFFIXES if entry.name.endswith(suffix)), None):
            name = entry.name.removesuffix(suffix)
            if "." not in name and name not in ("__init__", "__main__"):
                names.add(name)
    return sorted(names)


def dotted_name(path: Path) -> tuple[Path, str]:
    """The folder for `sys.path` and the module name under which the file `path` is imported.

    Climbs out of packages: the folder is the first one upwards without `__init__.py`.
    """
    parts = [] if path.stem == "__init__" else [path.stem]
    folder = path.parent
    while (folder / "__init__.py").is_file() and folder.name.isidentifier() and folder.parent != folder:
        parts.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(parts)


def extends_its_path(module: Module) -> bool:
    """May the package find submodules in other places, by what its `__init__.py` does when it runs?"""
    if not module.is_source or module.path is None:
        return True
    try:
        source = module.path.read_bytes()
    except OSError:
        return True
    return b"__path__" in source or b"sys.modules" in source or b"sys.meta_path" in source


def _find_part(name: str, part: str, folder: Path) -> Module | None:
    inner = folder / part
    is_folder = inner.is_dir()
    if is_folder:
        for suffix in _SUFFIXES:
            if (inner / f"__init__{suffix}").is_file():
                return Module(name, inner / f"__init__{suffix}", (inner,))
    for suffix in _SUFFIXES:
        if (folder / f"{part}{suffix}").is_file():
            return Module(name, folder / f"{part}{suffix}")
    return Module(name, None, (inner,)) if is_folder else None


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError:
        return []
