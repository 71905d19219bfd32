"""Which release of a library is loaded, told without importing anything. Runs in the server process.

`importlib.metadata` would know as well, but its import takes longer than all else that is done between load and first answer.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path


def release_of(module_name: str, distribution: str | None = None) -> str:
    """The version of the loaded module's distribution, "" if it can't be told.

    Looks at `__version__`, then for the `.dist-info` folder beside the package. `distribution` is its name where that is
    not the module's.
    """
    module = sys.modules.get(module_name)
    if module is None:
        return ""
    version = vars(module).get("__version__")  # not getattr: Flask computes it, and warns
    if isinstance(version, str):
        return version
    file = vars(module).get("__file__")
    if not isinstance(file, str):
        return ""
    wanted = re.compile(rf"{_normalized(distribution or module_name)}-(?P<version>[^-]+)\.dist-info")
    try:
        names = [entry.name for entry in Path(file).parent.parent.iterdir() if entry.name.endswith(".dist-info")]
    except OSError:
        return ""
    found = [match["version"] for name in names if (match := wanted.fullmatch(_normalized(name)))]
    return found[0] if len(found) == 1 else ""


def _normalized(name: str) -> str:
    """As in the names of `.dist-info` folders (binary distribution format), case and runs of separators aside."""
    stem, dash, rest = name.partition("-") if name.endswith(".dist-info") else (name, "", "")
    return re.sub(r"[-_.]+", "_", stem).lower() + dash + rest


def titled(name: str, version: str) -> str:
    """`Django 5.2`, or the name alone."""
    return f"{name} {version}" if version else name
