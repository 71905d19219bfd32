"""Signatures: short strings that say what a reader found at a path.

Equal strings mean that nothing changed. The server signs what it reads, the supervisor signs again and compares, so
both run this code. Rules that hold: nothing but regular files and folders is ever opened (a FIFO would block, a device
may act); content counts, not times, up to `MAX_HASHED` bytes; each form begins with a letter of its own, so signatures
of different forms never equal each other, but "nothing is there" is `ABSENT` in every form.
"""

from __future__ import annotations

import os
import posixpath
import re
import stat
import time
from collections.abc import Callable, Iterable
from enum import StrEnum
from hashlib import blake2b
from importlib.machinery import BYTECODE_SUFFIXES, EXTENSION_SUFFIXES, SOURCE_SUFFIXES

ABSENT = "-"
FOLDER = "d"
UNREADABLE = "!"
PENDING = "?"
"""A file that the load is still writing: signed when the load ends."""

MAX_HASHED = 1 << 20
"""Bytes: from this size on a file is signed by size, times and inode, because hashing it would be felt."""

_MAX_NAMES = 1 << 18
"""Characters: longer lists of names are hashed."""

_SETTLED_NS = 2_000_000_000
"""How old a change must be before equal times prove equal content. Clocks of file systems tick in up to 2 s (FAT)."""

MODULE_SUFFIXES = (*EXTENSION_SUFFIXES, *SOURCE_SUFFIXES, *BYTECODE_SUFFIXES)
"""In the order in which an import tries them."""

# Bound now: while a target loads, `server/load/interception.py` replaces the names in `os`, and signing is no read.
_open, _stat, _listdir, _readlink = os.open, os.stat, os.listdir, os.readlink

_NOISE = re.compile(
    r"__pycache__ | \.git | \.hg | \.svn | \.DS_Store | \.[a-z]+_cache | .*\.py[co]"
    r" | .*~ | \.\#.* | \#.*\# | .*\.sw[nopx] | 4913 | \.goutputstream-.* | .*___jb_(?:tmp|old|bak)___ | .*\.kate-swp"
    r" | \.nfs[0-9a-f]+",
    re.DOTALL | re.VERBOSE,
)
_COMPANION = re.compile(r"-(?:journal|wal|shm)\Z")


class Aspect(StrEnum):
    """What of a path a signature speaks of."""

    CONTENT = "content"  # what is in the file
    NAMES = "names"  # which names the folder holds
    MODULE = "module"  # which file an import of this name finds; the path has no suffix
    PRESENCE = "presence"  # whether it is there, and of what type
    DETAILS = "details"  # its size and when it was modified
    LINK = "link"  # where a symbolic link leads
    INSTALLED = "installed"  # which distributions and modules a folder of installed software holds
    DISTRIBUTIONS = "distributions"  # which of its names describe distributions, and when their records were written


def is_noise(path: str) -> bool:
    """Is it the name of something that comes and goes beside the files that matter (bytecode, swap files, journals)?

    What SQLite puts beside a database is told from others by the database, which is looked for.
    """
    if _NOISE.fullmatch(path.rpartition("/")[2]) is not None:
        return True
    database = _COMPANION.sub("", path)
    return database != path and _is_type(database, stat.S_ISREG)


def sign_file(path: str) -> str:
    """The signature of what is at `path`, links followed. Never raises for what is or is not there."""
    try:
        status = _stat(path)
    except (OSError, ValueError) as error:
        return _sign_failure(error)
    return _sign_stated(path, status)


def sign_content(data: bytes) -> str:
    """The signature of a regular file with this content, if it is smaller than `MAX_HASHED`."""
    return "h:" + blake2b(data, digest_size=16).hexdigest()


def sign_status(status: os.stat_result) -> str | None:
    """The signature that `status` alone decides: of large files and of what is no file. None: the content decides."""
    if stat.S_ISREG(status.st_mode):
        if status.st_size < MAX_HASHED:
            return None
        return f"s:{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}:{status.st_ino}"
    if stat.S_ISDIR(status.st_mode):
        return FOLDER
    return "x:" + stat.filemode(status.st_mode)[0]


def sign_listing(names: Iterable[str], ignored: Callable[[str], bool] = is_noise) -> str:
    """The signature of a folder that holds `names`, as a set."""
    joined = "/".join(sorted(name for name in names if not ignored(name)))
    if len(joined) > _MAX_NAMES:
        return "L:" + blake2b(os.fsencode(joined), digest_size=16).hexdigest()
    return "l:" + joined


def sign_folder(path: str, ignored: Callable[[str], bool] = is_noise) -> str:
    """The signature of the names in the folder at `path`. `ignored` is asked with absolute paths."""
    try:
        names = _listdir(path)
    except (OSError, ValueError) as error:
        return _sign_failure(error)
    return sign_listing(names, lambda name: ignored(f"{path}/{name}"))


def names_of(signature: str) -> frozenset[str] | None:
    """The names behind a folder's signature. None: they were too many to be kept. Nothing there holds no names."""
    form, _, joined = signature.partition(":")
    if form == "L":
        return None
    return frozenset(joined.split("/")) if form == "l" and joined else frozenset()


def sign_installed(path: str) -> str:
    """The signature of what is installed in the folder at `path` (site-packages).

    The names in it, and for each distribution when its record was written: a version may be installed anew. The folders
    that pip puts aside while it works (`~ame`) are noise.
    """
    try:
        names = _listdir(path)
    except (OSError, ValueError) as error:
        return _sign_failure(error)
    names = sorted(name for name in names if not name.startswith("~") and not is_noise(f"{path}/{name}"))
    return "i:" + "/".join(f"{name}\0{_written_ns(f'{path}/{name}')}" if _is_metadata(name) else name for name in names)


def sign_distributions(path: str) -> str:
    """The signature of the distributions that are described in the folder at `path`, whatever else it holds."""
    try:
        names = _listdir(path)
    except (OSError, ValueError) as error:
        return _sign_failure(error)
    found = sorted(name for name in names if _is_metadata(name) or name.endswith((".egg", ".egg-link")))
    return "i:" + "/".join(f"{name}\0{_written_ns(f'{path}/{name}')}" for name in found)


def installed_in(signature: str) -> frozenset[str]:
    """What a signature of installed software consists of: names, those of distributions with the time of their record."""
    form, _, joined = signature.partition(":")
    return frozenset(joined.split("/")) if form == "i" and joined else frozenset()


def sign_presence(path: str) -> str:
    """Whether there is something at `path`, and of what type; links followed."""
    try:
        return sign_type(_stat(path))
    except (OSError, ValueError) as error:
        return _sign_failure(error)


def sign_type(status: os.stat_result) -> str:
    """The signature of the presence of what has this status."""
    return "t:" + stat.filemode(status.st_mode)[0]


def sign_details(status: os.stat_result) -> str:
    """The signature of the size and time of modification of what has this status."""
    return f"z:{status.st_size}:{status.st_mtime_ns}"


def sign_link(path: str) -> str:
    """Where the symbolic link at `path` leads, as it is written there; for what is no link, its presence."""
    try:
        return f"k:{_readlink(path)}"
    except (OSError, ValueError):
        return sign_presence(path)


def sign_module(path: str) -> str:
    """Which file an import of this name finds: `path` is folder and name, without suffix.

    The order is that of `importlib.machinery.FileFinder`: a package, a module, a portion of a namespace package.
    """
    name = posixpath.basename(path)
    is_folder = _is_type(path, stat.S_ISDIR)
    if is_folder:
        for suffix in MODULE_SUFFIXES:
            if _is_type(f"{path}/__init__{suffix}", stat.S_ISREG):
                return f"m:{name}/__init__{suffix}"
    for suffix in MODULE_SUFFIXES:
        if _is_type(path + suffix, stat.S_ISREG):
            return f"m:{name}{suffix}"
    return f"m:{name}/" if is_folder else ABSENT


def module_path(source: str) -> str:
    """folder/name of the module whose source this is."""
    folder, _, name = source.rpartition("/")
    if name.startswith("__init__."):
        return folder
    return f"{folder}/{name.partition('.')[0]}"


def module_file(path: str, signature: str) -> str:
    """The path behind a module's signature: what an import of `path` finds; "" for nothing."""
    if not signature.startswith("m:"):
        return ""
    return posixpath.join(posixpath.dirname(path), signature[2:]).rstrip("/")


class Signer:
    """Signs paths and remembers by their status what it has signed, so that asking again costs one stat.

    A signature is remembered only if the last change was at least 2 s old when it was taken: within one tick of the
    file system's clock two contents can have one status. Safe to use from several threads.
    """

    def __init__(self, ignored: Callable[[str], bool] = is_noise) -> None:
        self._ignored = ignored
        self._known: dict[tuple[Aspect, str], tuple[tuple[int, int, int, int], str]] = {}

    def sign(self, path: str, aspect: Aspect = Aspect.CONTENT) -> str:
        """The signature of `path` now."""
        if aspect is Aspect.MODULE:
            return sign_module(path)
        if aspect is Aspect.PRESENCE:
            return sign_presence(path)
        if aspect is Aspect.LINK:
            return sign_link(path)
        now_ns = time.time_ns()
        try:
            status = _stat(path)
        except (OSError, ValueError) as error:
            return _sign_failure(error)
        if aspect is Aspect.DETAILS:
            return sign_details(status)
        identity = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        known = self._known.get((aspect, path))
        if known is not None and known[0] == identity:
            return known[1]
        signature = self._sign_stated(path, aspect, status)
        if now_ns - max(status.st_mtime_ns, status.st_ctime_ns) >= _SETTLED_NS:
            self._known[aspect, path] = (identity, signature)
        return signature

    def _sign_stated(self, path: str, aspect: Aspect, status: os.stat_result) -> str:
        match aspect:
            case Aspect.NAMES:
                return sign_folder(path, self._ignored)
            case Aspect.INSTALLED:
                return sign_installed(path)
            case Aspect.DISTRIBUTIONS:
                return sign_distributions(path)
            case _:
                return _sign_stated(path, status)


def _sign_stated(path: str, status: os.stat_result) -> str:
    if (signature := sign_status(status)) is not None:
        return signature
    try:
        # It may have become a FIFO since the stat: never wait for a writer.
        fd = _open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        return _sign_failure(error)
    try:
        if (signature := sign_status(os.fstat(fd))) is not None:
            return signature
        parts = []
        size = 0
        while size <= MAX_HASHED and (part := os.read(fd, MAX_HASHED)):
            parts.append(part)
            size += len(part)
        if size >= MAX_HASHED:  # it grew while it was read
            return sign_status(os.fstat(fd)) or UNREADABLE
        return sign_content(parts[0] if len(parts) == 1 else b"".join(parts))
    except OSError:
        return UNREADABLE
    finally:
        os.close(fd)


def _sign_failure(error: Exception) -> str:
    # ValueError: a NUL in the name, which nothing can be called.
    return ABSENT if isinstance(error, FileNotFoundError | NotADirectoryError | ValueError) else UNREADABLE


def _is_metadata(name: str) -> bool:
    return name.endswith((".dist-info", ".egg-info"))


def _written_ns(metadata: str) -> int:
    for path in (f"{metadata}/RECORD", metadata):  # packages of a Linux distribution have no record
        try:
            return _stat(path).st_mtime_ns
        except OSError:
            continue
    return 0


def _is_type(path: str, is_type: Callable[[int], bool]) -> bool:
    try:
        return is_type(_stat(path).st_mode)
    except (OSError, ValueError):
        return False
