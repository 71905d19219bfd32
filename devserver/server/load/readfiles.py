"""Files open for reading, across a freeze: each process reads on from where the load had come.

`note` runs in the server before a freeze, `reopen` right after it in each process that goes on, the first one too. A fork
shares the offset of an open file: what one server reads the next would miss, and a server that drains while its successor
loads would take turns with it. So each opens the same file once more, at the noted offset, under the same number. Rules
that hold: the user's file objects notice nothing; the very file is opened, not its path, so one that was unlinked is still
read. Two descriptors of one open file (`os.dup`) have an offset each afterwards.
"""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from devserver.record import Record
from devserver.server.load.barriers import Baseline
from devserver.server.load.descriptors import Descriptor, file_state, own_entry, put_in_place

_lseek, _open = os.lseek, os.open  # before the recorder or the user's libraries replace them


class _Read(NamedTuple):
    descriptor: Descriptor
    flags: int
    offset: int


class ReadFiles(Record):
    """The regular files and folders that the user's code has open for reading."""

    _files: tuple[_Read, ...]

    @classmethod
    def note(cls, baseline: Baseline) -> ReadFiles:
        """As they are now."""
        found = []
        for descriptor in baseline.new_descriptors():
            try:
                if descriptor.kind in {stat.S_IFREG, stat.S_IFDIR} and (state := file_state(descriptor.fd)).reads:
                    found.append(_Read(descriptor, state.flags, state.offset))
            except OSError:  # closed meanwhile
                continue
        return cls(tuple(found))

    def reopen(self) -> None:
        """Give this process offsets of its own. What may not be opened again (a barrier before) stays shared."""
        for read in self._files:
            try:
                if Descriptor.of(read.descriptor.fd) == read.descriptor:
                    fd = _open(own_entry(read.descriptor.fd), read.flags | os.O_CLOEXEC)
                    _lseek(fd, read.offset, os.SEEK_SET)
                    put_in_place(fd, read.descriptor.fd)
            except OSError:
                continue
