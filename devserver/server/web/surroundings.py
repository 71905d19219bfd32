"""What stands around an error and decides which advice is right: modules beside the missing one, what is installed where.

Runs in the server process, only while an error is reported, and lists folders only if the error is about an import.
Rules that hold: nothing is imported; a folder that cannot be listed is empty.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from devserver.hints import Environment, Surroundings
from devserver.report import ErrorInfo, Report
from devserver.source import working_folder

_ENVIRONMENT_FOLDERS = (".venv", "venv", "env", ".env")


def survey(report: Report, user_roots: Sequence[str]) -> Surroundings:
    """What `hints.advise` wants to know for `report`."""
    bare = Surroundings(python=_interpreter(), user_roots=tuple(user_roots), folder=working_folder())
    about_imports = {"ImportError", "AttributeError"}
    if not any(about_imports.intersection(error.bases) for error in report.errors):
        return bare
    roots = tuple(dict.fromkeys(os.path.abspath(root) for root in user_roots))
    own_files = {name: path for root in reversed(roots) for name, path in _modules(root)}
    missing = next(filter(None, map(_missing, report.errors)), "")
    siblings = [f"{parent}.{name}" if parent else name for parent, name in _siblings(missing, own_files)]
    return Surroundings(
        siblings=tuple(sorted(siblings)),
        installed=frozenset(_installed(roots)),
        environments=tuple(_environments(roots)) if missing else (),
        python=bare.python,
        own_files=tuple(sorted(own_files.items())),
        user_roots=bare.user_roots,
        folder=bare.folder,
    )


def _missing(error: ErrorInfo) -> str:
    """The dotted name that an import did not find; "" for other errors."""
    if "ModuleNotFoundError" in error.bases:
        return error.fact("name")
    match = re.search(r"cannot import name '(\w+)' from '([\w.]+)'", error.message)
    return f"{match[2]}.{match[1]}" if match and "ImportError" in error.bases else ""


def _interpreter() -> str:
    """The interpreter in use, as short as a shell of this environment would take it."""
    environment = os.environ.get("VIRTUAL_ENV")
    active = environment and os.path.realpath(environment) == os.path.realpath(sys.prefix)
    return "python" if active or not sys.executable else sys.executable


def _modules(folder: str) -> Iterator[tuple[str, str]]:
    """(name, path) of the modules and packages in a folder; a package's path is that of its `__init__.py`."""
    try:
        entries = sorted(os.listdir(folder))
    except OSError:
        return
    for entry in entries:
        name, dot, suffix = entry.partition(".")
        path = os.path.join(folder, entry)
        if not name.isidentifier():
            continue
        if dot and (suffix == "py" or suffix.endswith(("so", "pyd"))):
            yield name, path
        elif not dot and os.path.isdir(path):
            initial = os.path.join(path, "__init__.py")
            yield name, initial if os.path.exists(initial) else path


def _siblings(missing: str, own_files: dict[str, str]) -> Iterator[tuple[str, str]]:
    parent, _, _ = missing.rpartition(".")
    if not parent:
        for name in own_files:
            yield "", name
        return
    package = sys.modules.get(parent)
    try:
        names = [name for name in vars(package) if not name.startswith("_")] if package else []
        paths = [str(folder) for folder in getattr(package, "__path__", ())]
    except Exception:  # what stands in sys.modules may be anything
        return
    for name in names:
        yield parent, name
    for folder in paths:
        for name, _ in _modules(folder):
            yield parent, name


def _installed(roots: Sequence[str]) -> Iterator[str]:
    for folder in sys.path:
        if folder and os.path.abspath(folder) not in roots and ("site-packages" in folder or "dist-packages" in folder):
            for name, _ in _modules(folder):
                yield name


def _environments(roots: Sequence[str]) -> Iterator[Environment]:
    """Virtual environments of the project that are not the one in use."""
    folders = [os.path.join(root, name) for root in roots for name in _ENVIRONMENT_FOLDERS]
    if active := os.environ.get("VIRTUAL_ENV"):
        folders.append(active)
    seen = {os.path.realpath(sys.prefix)}
    for folder in folders:
        if os.path.realpath(folder) in seen or not os.path.exists(os.path.join(folder, "pyvenv.cfg")):
            continue
        seen.add(os.path.realpath(folder))
        names = {
            name for packages in Path(folder).glob("lib*/python3*/site-packages") for name, _ in _modules(str(packages))
        }
        yield Environment(os.path.join(folder, "bin", "python"), frozenset(names))
