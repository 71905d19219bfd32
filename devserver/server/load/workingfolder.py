"""The working folder, across a freeze: who continues later is in the folder of that name, not in one that was replaced meanwhile.

`note` runs in the server before a freeze, `reenter` in each process that continues from it. A process holds its working folder by
identity; a fresh start would enter whatever has the name now (`git checkout` removes folders and makes them anew).
"""

from __future__ import annotations

import os
from typing import NamedTuple

_chdir, _getcwd, _stat = os.chdir, os.getcwd, os.stat  # before the recorder or the user's libraries replace them


class WorkingFolder(NamedTuple):
    """A folder by its path and by what it was."""

    path: str
    identity: tuple[int, int]  # device, inode

    @classmethod
    def note(cls) -> WorkingFolder | None:
        """The one of this process; None if somebody has removed it."""
        try:
            return cls(_getcwd(), _identity("."))
        except OSError:
            return None

    def reenter(self) -> None:
        """Enter what has the path now, if it is another folder. What cannot be entered is left to the app to fail at."""
        try:
            if _identity(self.path) != self.identity:
                _chdir(self.path)
        except OSError:
            pass


def _identity(path: str) -> tuple[int, int]:
    status = _stat(path)
    return status.st_dev, status.st_ino
