"""The open descriptors of this process: which there are, and which of them two processes could not share.

Runs in the server while it loads. Linux: through /proc. Rules that hold: a descriptor is only looked at, never duplicated, moved or
set; what is opened here is closed here; a descriptor that is gone meanwhile is no error. The functions of `os` are bound at import:
later they are the recorder's, or replaced by the user's libraries.
"""

from __future__ import annotations

import os
import re
import stat
from typing import NamedTuple

from devserver.server.load.ownership import is_users
from devserver.server.load.sockets import is_listening, local_address, peer_address
from devserver.source import display_path

_access, _close, _fstat, _listdir, _open, _pread, _read, _readlink = (
    os.access, os.close, os.fstat, os.listdir, os.open, os.pread, os.read, os.readlink,
)  # fmt: skip
_CHUNK = 1 << 16
_O_PATH: int = getattr(os, "O_PATH", 0)
_CHARACTER_DEVICES = frozenset(os.makedev(1, minor) for minor in (3, 5, 7, 8, 9))
"""null, zero, full, random, urandom: who reads one does not notice who else does."""
_DATABASE_HEADER = b"SQLite format 3\0"
_DELETED = " (deleted)"


class Descriptor(NamedTuple):
    """One open descriptor. Equal if the number leads to the same object."""

    fd: int
    kind: int  # stat.S_IFMT; 0 for epoll and its like, which have one inode in common
    device: int
    inode: int

    @classmethod
    def of(cls, fd: int) -> Descriptor:
        """Raises OSError if it is not open."""
        status = _fstat(fd)
        return cls(fd, stat.S_IFMT(status.st_mode), status.st_dev, status.st_ino)

    @property
    def is_file(self) -> bool:
        return self.kind == stat.S_IFREG

    @property
    def path(self) -> str:
        """Where it leads, as the kernel calls it; empty if it is gone."""
        try:
            return _readlink(f"/proc/self/fd/{self.fd}")
        except OSError:
            return ""


class FileState(NamedTuple):
    """The state of an open file that a fork shares."""

    offset: int
    flags: int  # as for os.open, without those of creation
    is_locked: bool

    @property
    def reads(self) -> bool:
        return self.flags & os.O_ACCMODE != os.O_WRONLY and not self.flags & _O_PATH

    @property
    def writes(self) -> bool:
        return self.flags & os.O_ACCMODE != os.O_RDONLY and not self.flags & _O_PATH

    @property
    def appends(self) -> bool:
        return self.writes and bool(self.flags & os.O_APPEND)


def open_descriptors() -> list[Descriptor]:
    """All of this process. Raises OSError if the system does not tell."""
    found = []
    for name in _listdir("/proc/self/fd"):
        try:
            found.append(Descriptor.of(int(name)))
        except OSError:  # the descriptor of the listing itself
            continue
    return found


def file_state(fd: int) -> FileState:
    """Raises OSError if it is gone."""
    fields = re.findall(rb"(?m)^(pos|flags|lock):\s*(\S+)", read_all(f"/proc/self/fdinfo/{fd}"))
    values = dict(fields)
    return FileState(int(values[b"pos"]), int(values[b"flags"], 8) & ~os.O_CLOEXEC, b"lock" in values)


def read_all(path: str) -> bytes:
    """The content of a file of /proc. Raises OSError."""
    fd = _open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        chunks = []
        while chunk := _read(fd, _CHUNK):
            chunks.append(chunk)
        return b"".join(chunks)
    finally:
        _close(fd)


def own_entry(fd: int) -> str:
    """The path by which this process can open the file of `fd` once more, also one that was unlinked."""
    return f"/proc/self/fd/{fd}"


def put_in_place(fd: int, taken: int) -> None:
    """Let the number `taken` lead to what `fd` leads to, kept open over exec or not as before. `fd` is closed."""
    try:
        os.dup2(fd, taken, inheritable=os.get_inheritable(taken))
    finally:
        _close(fd)


def describe_unshareable(descriptor: Descriptor) -> str | None:
    """Why two processes could not both go on with it, in words; None if they could.

    They share what the kernel keeps for an open file: the queue of a socket or pipe, the offset. Files open for reading have their
    offset restored by `readfiles.py`, and those that append have none that counts; any other file that is open for writing is
    unshareable, and so is one that holds a lock, and any database, because SQLite must not be used on both sides of a fork. Only
    what a library reads of its own (PROJ its tables of coordinate systems) is a file as others: nobody writes it.
    """
    try:
        return _describe(descriptor)
    except (OSError, KeyError, ValueError):
        return "an open descriptor" if descriptor in open_descriptors() else None


def _describe(descriptor: Descriptor) -> str | None:
    fd, kind = descriptor.fd, descriptor.kind
    if kind == stat.S_IFSOCK:
        if is_listening(fd):
            return _clause("a listening socket", local_address(fd))
        return _clause("an open socket", peer_address(fd) or local_address(fd))
    if kind == stat.S_IFIFO:
        return _clause("an open pipe", _shown_path(descriptor, unless="pipe:"))
    if kind in {stat.S_IFREG, stat.S_IFDIR}:
        return _describe_file(descriptor)
    if kind in {stat.S_IFCHR, stat.S_IFBLK}:
        if kind == stat.S_IFCHR and _fstat(fd).st_rdev in _CHARACTER_DEVICES:
            return None
        return None if file_state(fd).flags & _O_PATH else _clause("an open device", descriptor.path)
    if kind == stat.S_IFLNK:  # only ever O_PATH
        return None
    return f"an open {_kernel_object(descriptor.path)}"


def _describe_file(descriptor: Descriptor) -> str | None:
    state = file_state(descriptor.fd)
    if state.is_locked:
        return _clause("a file lock", _shown_path(descriptor))
    if descriptor.is_file and _is_database(descriptor, state):
        return _clause("an open database", _shown_path(descriptor))
    if state.writes and not state.appends:
        return _describe_written(descriptor)
    if state.reads and not _access(own_entry(descriptor.fd), _access_mode(state), effective_ids=True):
        return _clause("an open file that may not be opened again", _shown_path(descriptor))
    return None


def _is_database(descriptor: Descriptor, state: FileState) -> bool:
    if not state.reads or not (state.writes or is_users(descriptor.path)):
        return False
    return _pread(descriptor.fd, len(_DATABASE_HEADER), 0) == _DATABASE_HEADER


def _describe_written(descriptor: Descriptor) -> str:
    path = descriptor.path
    name = path.rpartition("/")[2].removesuffix(_DELETED)
    if path.startswith(("anon_inode:", "pidfd:")):
        return f"an open {_kernel_object(path)}"
    if path.startswith("/memfd:"):
        return _clause("an open memory file", name.removeprefix("memfd:"))
    if path.startswith("/dev/shm/"):
        return _clause("shared memory", name)
    return _clause("a file open for writing", _shown_path(descriptor))


def _access_mode(state: FileState) -> int:
    return os.R_OK | os.W_OK if state.writes else os.R_OK


def _shown_path(descriptor: Descriptor, unless: str = "\0") -> str:
    path = descriptor.path
    return "" if path.startswith(unless) else display_path(path.removesuffix(_DELETED))


def _kernel_object(path: str) -> str:
    name = path.partition(":")[2].strip("[]") if path.startswith("anon_inode:") else path.partition(":")[0]
    return {"eventpoll": "epoll"}.get(name, name) or "descriptor"


def _clause(what: str, name: str) -> str:
    return f"{what} ({name})" if name else what
