"""The memory mappings of this process: what it shares with others, and where some libraries lie.

Runs in the server while it loads. Linux: through /proc. The list of a thousand mappings costs the kernel most of a millisecond to
write; /proc/self/statm costs three microseconds. Its size without its private writable part is what shared memory, mapped files and
libraries take up: while that is as it was, none has come. So the list is read only after a library or a mapping came, not because
the heap grew.
"""

from __future__ import annotations

import os
import re
import struct
from typing import NamedTuple

from devserver.server.load.descriptors import read_all
from devserver.source import display_path

_close, _open, _pread = os.close, os.open, os.pread  # before the recorder or the user's libraries replace them
_SHARED_WRITABLE = re.compile(rb"(?m)^\S+ .w.s .*$")
_FORKING = (b"openblas", b"numexpr/interpreter")
"""Libraries that start their threads again in a forked process, by a part of their path."""
_FIRST = re.compile(rb"([0-9a-f]+)-\S+ \S+ 0+ \S+ \S+ +(/.*)")
"""The first mapping of a file: where it begins."""
_ELF64 = b"\x7fELF\x02\x01"
_LOADED = 1


class Shared(NamedTuple):
    """A writable mapping whose pages a fork shares."""

    addresses: str
    path: str

    @property
    def words(self) -> str:
        path = self.path.removesuffix(" (deleted)")
        if path.startswith("/dev/shm/sem."):
            return "a lock shared by processes"
        if path.startswith("/dev/shm/"):
            return f"shared memory ({path.removeprefix('/dev/shm/')})"
        if path in {"", "/dev/zero"}:
            return "shared memory"
        return f"a shared mapping ({display_path(path)})"


class Mappings:
    """What /proc/self/maps says, read when it may have changed."""

    __slots__ = ("_forking", "_shared", "_size")

    def __init__(self) -> None:
        self._size = -1
        self._shared: tuple[Shared, ...] = ()
        self._forking: tuple[range, ...] = ()

    def shared(self) -> tuple[Shared, ...]:
        """The shared writable ones. Raises OSError if the system does not tell."""
        self._look()
        return self._shared

    def forking_libraries(self) -> tuple[range, ...]:
        """The addresses, data included, of each library whose threads come back after a fork.

        Raises OSError if the system does not tell.
        """
        self._look()
        return self._forking

    def _look(self) -> None:
        fields = read_all("/proc/self/statm").split()
        size = int(fields[0]) - int(fields[5])
        if size == self._size:
            return
        text = read_all("/proc/self/maps")
        is_shared = b"w-s " in text or b"wxs " in text
        self._shared = tuple(_parse(line) for line in _SHARED_WRITABLE.findall(text)) if is_shared else ()
        sought = [name for name in _FORKING if name in text]
        named = [line for line in text.split(b"\n") if any(name in line for name in sought)] if sought else ()
        first = [match for line in named if (match := _FIRST.fullmatch(line))]
        self._forking = tuple(_extent(int(match[1], 16), os.fsdecode(match[2])) for match in first)
        self._size = size


def _parse(line: bytes) -> Shared:
    addresses, _flags, _offset, _device, _inode, *path = line.split(None, 5)
    return Shared(addresses.decode(), path[0].decode(errors="replace") if path else "")


def _extent(base: int, path: str) -> range:
    """What the library loaded at this address spans, by its own program headers: what lies next to it is not its.

    Empty if the file cannot be read or is none that we know.
    """
    try:
        fd = _open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return range(0)
    try:
        header = _pread(fd, 64, 0)
        if len(header) < 64 or not header.startswith(_ELF64):
            return range(0)
        (offset,) = struct.unpack_from("<Q", header, 32)
        size, count = struct.unpack_from("<HH", header, 54)
        table = _pread(fd, size * count, offset)
    except OSError:
        return range(0)
    finally:
        _close(fd)
    ends = []
    for place in range(0, len(table) - 55, size):
        kind, _flags, _offset, address, _physical, _in_file, in_memory = struct.unpack_from("<IIQQQQQ", table, place)
        if kind == _LOADED:
            ends.append(address + in_memory)
    return range(base, base + max(ends, default=0))
