"""Files open for appending, across a freeze: each write goes where a fresh start's would.

`note` runs in the server before a freeze, `reopen` in the process that continues later. Meanwhile a log may have been rotated or
removed; a fresh start would open its path anew. Rules that hold: the user's file objects notice nothing, because the new file takes
the number of the old one; a descriptor that the user has closed or that leads elsewhere is left alone.
"""

from __future__ import annotations

import io
import logging
import os
import stat
from collections.abc import Collection
from typing import NamedTuple

from devserver.record import Record
from devserver.server.load.barriers import Baseline
from devserver.server.load.descriptors import Descriptor, file_state, put_in_place
from devserver.server.load.threads import instance_state

_open, _stat = os.open, os.stat  # before the recorder or the user's libraries replace them
_NEW_FILE_MODE = 0o666  # less the umask, as `open` makes files


class _Appended(NamedTuple):
    descriptor: Descriptor
    path: str
    flags: int


class AppendedFiles(Record):
    """The append-only regular files that the user's code has open."""

    _files: tuple[_Appended, ...]

    @classmethod
    def note(cls, baseline: Baseline) -> AppendedFiles:
        """As they are now. A file without a name (unlinked already) has no path to come back to, and is left out."""
        found = []
        for descriptor in baseline.new_descriptors():
            try:
                if not descriptor.is_file or not (state := file_state(descriptor.fd)).appends:
                    continue
                if _leads_to(path := descriptor.path, descriptor):
                    found.append(_Appended(descriptor, path, state.flags))
            except OSError:  # closed meanwhile
                continue
        return cls(tuple(found))

    def reopen(self) -> tuple[str, ...]:
        """Open anew what its path no longer leads to. The paths that could not be opened, which keep their old file."""
        failed = []
        for appended in self._files:
            if _leads_to(appended.path, appended.descriptor):
                continue
            try:
                _reopen(appended)
            except OSError:
                failed.append(appended.path)
        _go_to_ends({appended.descriptor.fd for appended in self._files})
        return tuple(failed)


def _reopen(appended: _Appended) -> None:
    if Descriptor.of(appended.descriptor.fd) != appended.descriptor:
        return
    try:
        if not stat.S_ISREG(_stat(appended.path).st_mode):
            raise IsADirectoryError(appended.path)  # or a pipe: to open it could take for ever
    except FileNotFoundError:
        pass
    fd = _open(appended.path, appended.flags | os.O_CREAT | os.O_CLOEXEC, _NEW_FILE_MODE)
    put_in_place(fd, appended.descriptor.fd)


def _go_to_ends(fds: Collection[int]) -> None:
    """Let the streams of logging's handlers know how long their files are: others wrote meanwhile.

    A file object remembers where it was. Since Python 3.13 RotatingFileHandler believes it.
    """
    for reference in list(vars(logging)["_handlerList"]):
        stream = instance_state(reference()).get("stream")
        if type(stream) is io.TextIOWrapper and type(stream.buffer) is io.BufferedWriter:
            try:
                if stream.fileno() in fds:
                    stream.seek(0, os.SEEK_END)
            except (OSError, ValueError):  # closed
                continue


def _leads_to(path: str, descriptor: Descriptor) -> bool:
    try:
        status = _stat(path)
    except OSError:
        return False
    return (status.st_dev, status.st_ino) == (descriptor.device, descriptor.inode)
