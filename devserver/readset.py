"""What a process has read and looked up so far, and how a path is compared with what was read.

The data that both sides compare: the server records (`server/load/imports.py`), the
supervisor decides (`supervisor/plan.py`). Rules that hold: a signature is a short string that says what the reader found; equal strings mean nothing changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ReadKind(StrEnum):
    """How a path came to matter."""

    SOURCE = "source"  # the source of a module that was executed
    FILE = "file"  # opened for reading
    ABSENT = "absent"  # asked for and not there (stat, open, a name an import searched)
    LISTING = "listing"  # a folder whose names were listed
    STATIC = "static"  # sent by the static handler: never resumes, refreshes browsers
    WRITTEN = "written"  # opened for writing by the app


@dataclass(frozen=True, slots=True)
class Read:
    """One path that was read, with its signature then."""

    kind: ReadKind
    path: str  # absolute, as the process named it; undecodable bytes as surrogates (PEP 383)
    signature: str
    loading: bool = True  # False: read while serving
    position: int = 0  # index in the chain of the process that was running when it was read (0: the root)
