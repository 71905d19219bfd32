"""Installed software: which folders hold it, and whether somebody is still at work there.

Runs in the supervisor, whose interpreter is the root's as well. Rule that holds: pip writes for seconds, and what it has half
written is nothing to load: a change counts when the folder, and all that is new in it, has been left alone for a moment.
"""

from __future__ import annotations

import os
import site
import stat
import sys
import time
from collections.abc import Iterable, Iterator

from devserver.readset import Read, ReadKind
from devserver.signatures import installed_in, sign_installed

QUIET_S = 0.5
"""So long nobody has written: whoever installed is done."""
PATIENCE_S = 30.0
"""Then a change counts although somebody still writes."""
_FOLDER_NAMES = ("site-packages", "dist-packages")
_MAX_LOOKED_AT = 20_000


def installed_folders() -> tuple[str, ...]:
    """The folders of installed software that the interpreter searches, real paths; some may not exist yet."""
    folders = [folder for folder in sys.path if os.path.basename(folder) in _FOLDER_NAMES]
    folders += site.getsitepackages()
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    return tuple(dict.fromkeys(map(os.path.realpath, folders)))


def read_installed(folders: Iterable[str]) -> list[Read]:
    """What is there now, as reads of the root."""
    return [Read(ReadKind.INSTALLED, folder, sign_installed(folder), position=0) for folder in folders]


def quiet_in_s(folder: str, before: str, after: str) -> float:
    """How long it takes until what came between these signatures has been left alone long enough; 0: it has."""
    new = {entry.partition("\0")[0] for entry in installed_in(after) - installed_in(before)}
    last = max(_changed_ns(folder, new), default=0)
    age_s = (time.time_ns() - last) / 1e9
    return max(0.0, QUIET_S - age_s) if age_s >= 0 else QUIET_S


def _changed_ns(folder: str, names: Iterable[str]) -> Iterator[int]:
    """When the folder, and what is below these names in it, changed last; not all of it if that is very much."""
    try:
        yield os.stat(folder).st_ctime_ns
    except OSError:  # gone
        return
    pending, left = [f"{folder}/{name}" for name in names], _MAX_LOOKED_AT
    while pending and left > 0:
        path = pending.pop()
        left -= 1
        try:
            status = os.lstat(path)
            yield status.st_ctime_ns
            if stat.S_ISDIR(status.st_mode):
                pending += [f"{path}/{name}" for name in os.listdir(path)]
        except OSError:  # gone since it was listed
            continue
