"""The functions of `os`, `io` and `sqlite3` through which files are reached, with the recorder told of each call.

Runs in the server, installed by `reads.Recorder`. Not an audit hook: one, even an empty one, makes `id()` five times
as dear and halves the speed of `copy.deepcopy`, for as long as the process lives. Rules that hold: what the app asked
is done by the original, with the arguments as they came; the recorder is told first (a call that fails counts too) and
what it raises goes nowhere; importlib's own reads and listings go by other references and are not seen, except that
loaders read by `_io.open_code`.

While the target loads, `stat`, `lstat` and `access` are replaced as well: `exists()` and its like ask through them.
"""

from __future__ import annotations

import _io
import builtins
import functools
import io
import os
import re
import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Protocol

_lstat = os.lstat  # before it is replaced
_DATABASE_MODULES = ("_sqlite3", "sqlite3.dbapi2", "sqlite3")
_DATABASE_CODE = re.compile(r"/sqlite3/(?:__pycache__/)?dbapi2\.[^/]*$")
# References that the standard library takes when it is imported. Not tokenize's: sources are read by it to be shown.
_CAPTURED_OPENS = (("bz2", "_builtin_open"), ("tarfile", "bltn_open"))


class FileLog(Protocol):
    """Who is told. Paths are as the app gave them: str, bytes, os.PathLike, a descriptor, or no path at all."""

    def opened(self, path: object, *, reads: bool, writes: bool, dir_fd: object = None) -> None: ...

    def opened_code(self, path: object) -> None: ...

    def listed(self, path: object) -> None: ...

    def entered(self, path: object) -> None:
        """It is about to become the working folder."""

    def written(self, path: object, dir_fd: object = None) -> None: ...

    def connected(self, database: object) -> None:
        """SQLite was asked for this database: a path or a URI."""

    def asked(self, path: object, status: os.stat_result | None) -> None:
        """`status`: what a stat said of it, None if there is nothing or nothing that could be seen."""


class Interception:
    """Puts the replacements in place and takes them away. One at a time in a process."""

    def __init__(self, log: FileLog) -> None:
        self._log = log
        self._calls: list[_Replaced] = []
        self._probes: list[_Replaced] = []

    def install(self) -> None:
        log = self._log
        open_ = _Intercepted(io, "open", functools.partial(_tell_open, log))
        open_code = _Intercepted(io, "open_code", self._tell_code)
        scandir = _Intercepted(os, "scandir", functools.partial(_tell_listing, log))
        for module in (builtins, io, _io):
            self._replace(module, "open", open_)
        for module in (io, _io):
            self._replace(module, "open_code", open_code)
        self._replace(os, "scandir", scandir)
        for name, tell in _TELLERS.items():
            self._replace(os, name, _Intercepted(os, name, functools.partial(tell, log)))
        for module_name, name in _CAPTURED_OPENS:
            if (captor := sys.modules.get(module_name)) is not None:
                self._replace(captor, name, open_)
        globber = getattr(sys.modules.get("glob"), "_StringGlobber", None)
        if globber is not None and "scandir" in vars(globber):  # Path.glob since Python 3.13
            self._replace(globber, "scandir", staticmethod(scandir))
        self.intercept_databases()
        for name in ("stat", "lstat", "access"):
            self._probes.append(_Replaced.put(os, name, _Probe(os, name, log.asked)))

    def intercept_databases(self) -> None:
        """See the connections of sqlite3, if it was imported already: what SQLite does to files nobody else sees."""
        for name in _DATABASE_MODULES:
            if (module := sys.modules.get(name)) is not None:
                self._intercept_connect(module)

    def _tell_code(self, path: object) -> None:
        self._log.opened_code(path)
        if isinstance(path, str) and _DATABASE_CODE.search(path):
            # sqlite3 is about to be imported, and to take its functions from here.
            self._intercept_connect(import_module("_sqlite3"))

    def _intercept_connect(self, module: ModuleType) -> None:
        connect = vars(module).get("connect")
        if connect is not None and not isinstance(connect, _Intercepted):
            tell = functools.partial(_tell_connect, self._log)
            self._replace(module, "connect", _Intercepted(module, "connect", tell))

    def end_probes(self) -> None:
        """The load is over: give `stat`, `lstat` and `access` back."""
        _give_back(self._probes)

    def remove(self) -> None:
        self.end_probes()
        _give_back(self._calls)
        for name in _DATABASE_MODULES:  # copies that an import took
            module = sys.modules.get(name)
            if module is not None and isinstance(connect := vars(module).get("connect"), _Intercepted):
                setattr(module, "connect", connect.original)  # noqa: B010 (modules have no such attribute to mypy)

    def _replace(self, owner: object, name: str, replacement: object) -> None:
        self._calls.append(_Replaced.put(owner, name, replacement))


class _Intercepted:
    """A function that tells of its call, then makes it. No function of Python's, as the original is none: one that is
    kept as an attribute of a class must not become a method."""

    def __init__(self, owner: object, name: str, tell: Callable[..., None]) -> None:
        self.original: Callable[..., object] = vars(owner)[name]
        self._tell = tell
        self._place = (getattr(owner, "__name__", ""), name)
        functools.update_wrapper(self, self.original)
        for capable in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks, os.supports_effective_ids):
            if self.original in capable:
                capable.add(self)  # shutil and others ask whether this very function can do it

    def __call__(self, /, *args: object, **kwargs: object) -> object:
        try:
            self._tell(*args, **kwargs)
        except Exception:
            pass  # wrong arguments: the original has better words for it
        return self.original(*args, **kwargs)

    def __repr__(self) -> str:
        return repr(self.original)

    def __deepcopy__(self, memo: object) -> _Intercepted:
        return self

    def __reduce__(self) -> tuple[Callable[[str, str], object], tuple[str, str]]:
        return _find, self._place


class _Probe(_Intercepted):
    """As above; tells what came of it."""

    def __call__(self, /, *args: object, **kwargs: object) -> object:
        try:
            found = self.original(*args, **kwargs)
        except (FileNotFoundError, NotADirectoryError):
            self._tell_found(args, kwargs, None)
            raise
        self._tell_found(args, kwargs, found)
        return found

    def _tell_found(self, args: tuple[object, ...], kwargs: dict[str, object], found: object) -> None:
        try:
            if kwargs.get("dir_fd") is None:
                self._tell(args[0] if args else kwargs["path"], found if isinstance(found, os.stat_result) else None)
        except Exception:
            pass


class _Replaced:
    """One attribute that holds a replacement."""

    def __init__(self, owner: object, name: str, original: object, replacement: object) -> None:
        self.owner = owner
        self.name = name
        self.original = original
        self.replacement = replacement

    @classmethod
    def put(cls, owner: object, name: str, replacement: object) -> _Replaced:
        replaced = cls(owner, name, vars(owner)[name], replacement)
        setattr(owner, name, replacement)
        return replaced


def _give_back(replaced: list[_Replaced]) -> None:
    while replaced:
        entry = replaced.pop()
        if vars(entry.owner).get(entry.name) is entry.replacement:  # else somebody has replaced it in turn
            setattr(entry.owner, entry.name, entry.original)


def _find(module: str, name: str) -> object:
    return getattr(import_module(module), name)


# --- what to tell: the parameters of the originals, as far as they matter ---


def _tell_open(log: FileLog, /, file: object, mode: str = "r", *_: object, opener: object = None, **__: object) -> None:
    if isinstance(file, int) or opener is not None:  # an opener opens through os.open
        return
    truncates = "w" in mode or "x" in mode
    log.opened(file, reads=not truncates and ("r" in mode or "+" in mode), writes="r" not in mode or "+" in mode)


def _tell_os_open(log: FileLog, /, path: object, flags: int, *_: object, dir_fd: object = None, **__: object) -> None:
    if flags & getattr(os, "O_DIRECTORY", 0) or flags & getattr(os, "O_PATH", 0):
        return
    access = flags & os.O_ACCMODE
    log.opened(
        path,
        reads=access != os.O_WRONLY and not flags & (os.O_TRUNC | os.O_EXCL),
        writes=access != os.O_RDONLY or bool(flags & (os.O_CREAT | os.O_TRUNC)),
        dir_fd=dir_fd,
    )


def _tell_listing(log: FileLog, /, path: object = ".") -> None:
    log.listed("." if path is None else path)


def _tell_written(log: FileLog, /, path: object, *_: object, dir_fd: object = None, **__: object) -> None:
    log.written(path, dir_fd)


def _tell_made(log: FileLog, /, path: object, *_: object, dir_fd: object = None, **__: object) -> None:
    if dir_fd is not None or not _is_there(path):  # `exist_ok`: nothing is made
        log.written(path, dir_fd)


def _tell_removed(log: FileLog, /, path: object, *_: object, dir_fd: object = None, **__: object) -> None:
    if dir_fd is not None or _is_there(path):  # `missing_ok`: nothing is removed
        log.written(path, dir_fd)


def _is_there(path: object) -> bool:
    try:
        _lstat(path)  # type: ignore[arg-type]  # what is no path raises TypeError
    except (OSError, ValueError):
        return False
    return True


def _tell_entered(log: FileLog, /, path: object) -> None:
    log.entered(path)


def _tell_link(
    log: FileLog,
    /,
    src: object,
    dst: object,
    *_: object,
    dir_fd: object = None,
    dst_dir_fd: object = None,
    **__: object,
) -> None:
    log.written(dst, dir_fd if dst_dir_fd is None else dst_dir_fd)


def _tell_rename(
    log: FileLog, /, src: object, dst: object, *, src_dir_fd: object = None, dst_dir_fd: object = None
) -> None:
    log.written(src, src_dir_fd)
    log.written(dst, dst_dir_fd)


def _tell_connect(log: FileLog, /, database: object, *_: object, **__: object) -> None:
    log.connected(database)


_TELLERS: dict[str, Callable[..., None]] = {
    "open": _tell_os_open,
    "listdir": _tell_listing,
    "chdir": _tell_entered,
    "mkdir": _tell_made,
    "rmdir": _tell_removed,
    "remove": _tell_removed,
    "unlink": _tell_removed,
    "truncate": _tell_written,
    "link": _tell_link,
    "symlink": _tell_link,
    "rename": _tell_rename,
    "replace": _tell_rename,
}
