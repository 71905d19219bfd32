"""Is the interpreter in use the one that the user means? Pure but for looking at files. Runs in the supervisor."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping


def check_environment(prefix: str, environ: Mapping[str, str], folders: Iterable[str]) -> str | None:
    """One line if another virtual environment is active, or lies beside the project, than the one in use; else None.

    `prefix` is `sys.prefix`; `folders` are where a project may keep its environment: the app folder, that of
    pyproject.toml, the current one.
    """
    active = environ.get("VIRTUAL_ENV")
    if active:
        if _same(active, prefix) or not _is_environment(active):
            return None
        return f"the active virtual environment {active} is not in use, but {prefix}; {_remedy(active)}"
    candidates = dict.fromkeys(os.path.join(folder, name) for folder in folders for name in (".venv", "venv"))
    beside = [path for path in candidates if _is_environment(path)]
    if not beside or any(_same(path, prefix) for path in beside):
        return None
    return f"the virtual environment {beside[0]} is not in use, but {prefix}; {_remedy(beside[0])}"


def _remedy(path: str) -> str:
    if os.path.exists(os.path.join(path, "bin", "devserver")):
        return f"run  {os.path.join(path, 'bin', 'devserver')}"
    return f"run  {os.path.join(path, 'bin', 'python')} -m pip install devserver  and that environment's devserver"


def _is_environment(path: str) -> bool:
    return os.path.isfile(os.path.join(path, "pyvenv.cfg"))


def _same(path: str, other: str) -> bool:
    return os.path.realpath(path) == os.path.realpath(other)
