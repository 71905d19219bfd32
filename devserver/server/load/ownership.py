"""Whose a path is: the user's, or installed software's.

Runs in the server. Decided once, by the path alone; no disk is touched after the import. Installed are the standard
library, site-packages and their like, devserver itself, and what the system ships; all else may be edited while the
app runs. Folders are not judged by `sys.prefix`: a project may live below it (`/usr/src/app` in images of Python, an
environment made in the project's own folder).
"""

from __future__ import annotations

import os
import sys

import devserver

_INSTALLED_NAMES = ("/site-packages/", "/dist-packages/", "/__pypackages__/", "/__pycache__/")

# What can't be read as a file that one edits, and what a package manager puts there.
_SYSTEM_FOLDERS = (
    "/proc",
    "/sys",
    "/dev",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/usr/bin",
    "/usr/sbin",
    "/usr/lib",
    "/usr/lib64",
)


def _installed_folders() -> tuple[str, ...]:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    folders = {*_SYSTEM_FOLDERS, "/usr/share", os.path.dirname(os.__file__), os.path.dirname(devserver.__file__)}
    for prefix in {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}:
        folders |= {f"{prefix}/{library}/{version}" for library in ("lib", "lib64")}
    if sys.pycache_prefix:
        folders.add(sys.pycache_prefix)
    folders |= {os.path.realpath(folder) for folder in folders}
    return tuple(sorted(folder.rstrip("/") + "/" for folder in folders))


_INSTALLED_FOLDERS = _installed_folders()
_STANDARD_LIBRARY = tuple({f"{os.path.realpath(os.path.dirname(os.__file__))}/", f"{os.path.dirname(os.__file__)}/"})
_OWN_PACKAGE = os.path.dirname(devserver.__file__) + "/"


def is_watched_folder(folder: str) -> bool:
    """Are the sources in this folder the user's? Relative paths count from the working folder."""
    folder = os.path.abspath(folder)
    return is_users(f"{folder}/") and is_users(f"{os.path.realpath(folder)}/")


def is_users(path: str) -> bool:
    """May this absolute path, as it is spelled, be one that the user edits? Folders end with a slash."""
    if path.startswith(_INSTALLED_FOLDERS):
        return False
    return not any(name in path for name in _INSTALLED_NAMES)


def is_own_code(filename: str) -> bool:
    """Is a frame with this file name devserver's own?"""
    return filename.startswith(_OWN_PACKAGE)


def is_library_frame(filename: str) -> bool:
    """Is a frame with this file name the standard library's? It acts for its callers."""
    return filename.startswith(("<frozen ", *_STANDARD_LIBRARY)) and not any(
        name in filename for name in _INSTALLED_NAMES
    )
