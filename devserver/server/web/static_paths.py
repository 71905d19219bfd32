"""From a requested path to a file on disk, or to the reason why there is none. The only judge of what may be served.

Runs in the server process, in the threads of `static.py`: everything here may block on the file system.

Rules that hold. The path is decoded once, from the raw bytes (CVE-2024-23334: `..`; a name that is still encoded after
that is a name with percent signs). What has a NUL or a backslash is refused as malformed (CVE-2024-49766: UNC forms).
Names are judged before the file system is asked, and again after symlinks are resolved. A file lies inside the real
root, compared by whole components (CVE-2023-29159: `/static-private` begins with `/static`). Only regular files are
opened.

Two kinds of mounts. In one with `roots`, nothing is served whose name begins with a dot (but `.well-known`), no Python
source or bytecode, key or database: the root may be the project. One with `find` has a framework's answer for what is
static, which may well be a `.py` file for PyScript or a symlink to elsewhere; there only malformed paths, dotfiles and
what is not a regular file are refused.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote_to_bytes

from werkzeug.security import safe_join

from devserver.record import Record
from devserver.server.asgi import Scope
from devserver.server.integration import StaticMount

_CODE = {".py", ".pyc", ".pyi", ".pyo", ".pyw", ".pyx"}
_SECRETS = {".env", ".jks", ".kdbx", ".key", ".keystore", ".p12", ".p8", ".pem", ".pfx", ".pkcs12", ".ppk"}
_DATABASES = {".db", ".db3", ".mdb", ".rdb", ".sqlite", ".sqlite2", ".sqlite3"}
_PRIVATE_SUFFIXES = frozenset(_CODE | _SECRETS | _DATABASES)
_PRIVATE_NAMES = frozenset(["id_dsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk", "id_rsa"])
# What editors and databases put beside a file: it holds the same content under another name.
_SIDECAR = re.compile(r"(~|\.bak|\.old|\.orig|\.rej|\.save|\.sw[a-p]|\.tmp|-journal|-shm|-wal)+\Z")

_ABSENT = frozenset(
    [errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL, errno.EILSEQ, errno.ENXIO]
)
_FORBIDDEN = frozenset([errno.EACCES, errno.EPERM])


class FileFound(Record):
    """A regular file that may be served."""

    path: Path  # absolute, as the mount names it
    real: str  # the same with all symlinks resolved: to be opened


class FolderFound(Record):
    """A folder without an index.html."""

    real: str
    real_root: str


class SlashMissing(Record):
    """A folder, asked for without the slash at its end: links in its page would miss it."""


class NotServed(Record):
    """Nothing to serve: 404, 400 for a malformed path, 403 for what the system does not let us read."""

    status: int
    reason: str


Located = FileFound | FolderFound | SlashMissing | NotServed

_NOT_FOUND = NotServed(404, "There is no such file.")
_NOT_REGULAR = NotServed(404, "It is neither a file nor a folder.")
_OUTSIDE = NotServed(404, "It leads outside of the folder that is served.")
_MALFORMED = NotServed(400, "The path has a NUL or a backslash in it.")
_DOTFILE = NotServed(404, "Names that begin with a dot are not served.")
_PRIVATE = NotServed(404, "Python files, keys and databases are not served.")


def decoded_path(scope: Scope) -> str:
    """The requested path, decoded once; bytes that are not UTF-8 as surrogates, as the file system has them (PEP 383).

    From `raw_path`: in `path` the server has replaced undecodable bytes. Servers may leave `raw_path` out (ASGI).
    """
    raw = scope.get("raw_path")
    if raw is not None:
        return os.fsdecode(unquote_to_bytes(raw))
    try:
        return os.fsdecode(scope["path"].encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:  # no server decodes bytes to such a text
        return os.fsdecode(scope["path"].encode("utf-8", "replace"))


def locate(mounts: Sequence[StaticMount], path: str) -> Located:
    """What `path` means in the first of `mounts` (most specific first) that has something to say.

    Blocks. Raises OSError for what is no matter of the path (too many open files, a broken disk).
    """
    outcome: Located = _NOT_FOUND
    for mount in mounts:
        if path == mount.url[:-1]:
            return SlashMissing()
        located = _locate_in(mount, path[len(mount.url) :])
        if not isinstance(located, NotServed):
            return located
        if outcome is _NOT_FOUND:
            outcome = located  # a reason says more than an absence
    return outcome


def as_not_served(error: OSError) -> NotServed | None:
    """What `error` says about the path; None if it is about something else."""
    if error.errno in _ABSENT:
        return _NOT_FOUND
    if error.errno in _FORBIDDEN:
        return NotServed(403, "The permissions of the file do not let devserver read it.")
    return None


def refused_name(parts: Sequence[str]) -> NotServed | None:
    """Why no file of a mount with roots may have these components. Pure."""
    if any(part.startswith(".") and part != ".well-known" for part in parts):
        return _DOTFILE
    name = _SIDECAR.sub("", parts[-1].lower()) if parts else ""
    if name in _PRIVATE_NAMES or os.path.splitext(name)[1] in _PRIVATE_SUFFIXES:
        return _PRIVATE
    return None


def resolved_inside(path: str, real_root: str) -> str | NotServed:
    """`path` with all symlinks resolved, when it lies inside `real_root` under a name that may be served. Blocks."""
    real = os.path.realpath(path, strict=True)
    if real == real_root:
        return real
    inside = real_root if real_root.endswith("/") else f"{real_root}/"
    if not real.startswith(inside):
        return _OUTSIDE
    return refused_name(real[len(inside) :].split("/")) or real


def _locate_in(mount: StaticMount, rest: str) -> Located:
    if "\0" in rest or "\\" in rest:
        return _MALFORMED
    try:
        os.fsencode(rest)
    except UnicodeEncodeError:  # no file can have this name; the file system's functions and finders would raise
        return _NOT_FOUND
    is_folder = rest == "" or rest.endswith("/")
    relative = rest.removesuffix("/")
    parts = relative.split("/") if relative else []
    if "" in parts or (is_folder and not mount.index) or rest == "/":
        return _NOT_FOUND
    if mount.find is not None:
        if any(part.startswith(".") and part != ".well-known" for part in parts):
            return _DOTFILE
        return _find(mount.find(relative)) if relative else _NOT_FOUND
    if refusal := refused_name(parts):
        return refusal
    outcome: Located = _NOT_FOUND
    for root in mount.roots:
        try:
            located = _locate_under(root, relative, is_folder=is_folder, index=mount.index)
        except OSError as error:
            reason = as_not_served(error)
            if reason is None:
                raise
            located = reason
        if not isinstance(located, NotServed):
            return located
        if outcome is _NOT_FOUND:
            outcome = located
    return outcome


def _locate_under(root: Path, relative: str, *, is_folder: bool, index: bool) -> Located:
    joined = safe_join(str(root), relative)
    if joined is None:
        return _NOT_FOUND
    real_root = os.path.realpath(root, strict=True)
    real = resolved_inside(joined, real_root)
    if isinstance(real, NotServed):
        return real
    mode = os.stat(real).st_mode
    if stat.S_ISREG(mode):
        return _NOT_FOUND if is_folder else FileFound(_absolute(joined), real)
    if not stat.S_ISDIR(mode):
        return _NOT_REGULAR
    if not index:
        return _NOT_FOUND
    if not is_folder:
        return SlashMissing()
    page = os.path.join(joined, "index.html")
    try:
        real_page = resolved_inside(page, real_root)
        if isinstance(real_page, str) and stat.S_ISREG(os.stat(real_page).st_mode):
            return FileFound(_absolute(page), real_page)
    except OSError as error:
        if as_not_served(error) is not _NOT_FOUND:
            raise
    return FolderFound(real, real_root)


def _find(found: Path | None) -> Located:
    if found is None:
        return _NOT_FOUND
    try:
        real = os.path.realpath(found, strict=True)
        mode = os.stat(real).st_mode
    except OSError as error:
        reason = as_not_served(error)
        if reason is None:
            raise
        return reason
    if stat.S_ISREG(mode):
        return FileFound(_absolute(str(found)), real)
    return _NOT_FOUND if stat.S_ISDIR(mode) else _NOT_REGULAR


def _absolute(path: str) -> Path:
    return Path(os.path.abspath(path))
