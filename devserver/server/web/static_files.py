"""One regular file, opened and read for an answer.

Runs in the server process, in the threads of `static.py`: everything here blocks on the file system.
Rules that hold: what is opened is a regular file, checked once more on the descriptor, so that a file that is swapped
for a FIFO in between blocks nobody; a small file is read at once and its tag is a hash of what was read; of a big one
only pieces are ever in memory.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field

from devserver.record import Record
from devserver.server.web.conditions import Validators

SMALL = 256 * 1024
"""Up to this many bytes a file is read whole, in the same trip to a thread that found it."""
CHUNK = 256 * 1024
"""Bytes that are read at a time from bigger ones."""

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW


class TruncatedFileError(Exception):
    """A file became shorter while it was sent. The promised length can't be kept: the connection has to be cut."""


class SmallFile(Record):
    """A file that was read."""

    data: bytes
    validators: Validators

    @property
    def length(self) -> int:
        return len(self.data)


@dataclass(slots=True)
class BigFile:
    """A file that is open. Whoever has it closes it."""

    fd: int
    length: int
    validators: Validators
    _reading: Future[bytes] | None = field(default=None, init=False)

    def read(self, threads: Executor, offset: int, count: int) -> Future[bytes]:
        """Read `count` bytes from `offset` in a thread; fewer at the end of the file. One read at a time."""
        self._reading = threads.submit(read_at, self.fd, offset, count)
        return self._reading

    def close(self) -> None:
        """Close, when the read that may be on its way is done: its descriptor could be another file's by then."""
        if self._reading is None:
            os.close(self.fd)
        else:
            self._reading.add_done_callback(lambda _: os.close(self.fd))


def open_file(real: str) -> SmallFile | BigFile | None:
    """Open the file at `real`, a path without symlinks; None if it is not a regular file. Raises OSError."""
    fd = os.open(real, _FLAGS)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            os.close(fd)
            return None
        last_modified = int(found.st_mtime)
        # RFC 9110 §8.8.2.1: never a date to come. A date before the epoch has no place in the header.
        validators = Validators(_tag(found), last_modified if 0 <= last_modified <= time.time() else None)
        if found.st_size > SMALL:
            return BigFile(fd, found.st_size, validators)
        data = read_at(fd, 0, found.st_size)
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    # Two saves of one size within a tick of the file system's clock differ in nothing but the content.
    tag = hashlib.blake2b(data, digest_size=16).hexdigest()
    return SmallFile(data, Validators(tag, validators.last_modified))


def read_at(fd: int, offset: int, count: int) -> bytes:
    """Up to `count` bytes from `offset`; fewer only at the end of the file."""
    data = os.pread(fd, count, offset)
    while 0 < len(data) < count:
        more = os.pread(fd, count - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data


def _tag(found: os.stat_result) -> str:
    """ctime and inode tell versions apart that `cp -p` and `rsync -t` give one size and one mtime."""
    return f"{found.st_size:x}-{found.st_mtime_ns:x}-{found.st_ctime_ns:x}-{found.st_ino:x}"
