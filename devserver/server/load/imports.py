"""The path hook through which the user's modules are found and loaded.

Runs in the server, installed by `reads.Recorder`. `sys.meta_path` stays as the user knows it; a hook in front of the
standard one in `sys.path_hooks` answers for the folders that are the user's and for no other. Rules that hold: what an
import finds is what the standard machinery would find; every search of a name is told, found or not; every source is
read, and told before it runs, with the signature of the very bytes that run; bytecode stands in only by the rule of
`bytecode.py`.

`spec_from_file_location` comes past all path hooks (editable installs use it). It takes its loaders from a list that
is private to importlib; there the loader is exchanged for the user's sources. Where a Python has no such list,
`interception.py` still sees the source opened.
"""

from __future__ import annotations

import _frozen_importlib_external as bootstrap
import os
import stat
import sys
from collections.abc import Callable, Sequence
from functools import partial, wraps
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    PathFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)
from importlib.util import cache_from_source
from io import FileIO
from types import CodeType, ModuleType
from typing import Protocol

from devserver.record import Record
from devserver.server.deferred import is_ours_first
from devserver.server.load.bytecode import dump_bytecode, load_bytecode
from devserver.server.load.ownership import is_watched_folder
from devserver.signatures import ABSENT, sign_content, sign_file, sign_status

_LOADERS, _FIND = "_get_supported_file_loaders", "find_spec"
_FindSpec = Callable[[str, Sequence[str] | None, ModuleType | None], ModuleSpec | None]


class ImportLog(Protocol):
    """Who is told. Nothing of this may raise."""

    def about_to_search(self, path: str, /) -> None:
        """An import is about to search this name in this folder: `path` is folder/name. The process may be frozen here, and
        what is found be looked up again by others."""

    def record_source(self, path: str, signature: str, module: str = "") -> None:
        """The code in this file is about to run, as that module if its name is known."""

    def record_module(self, path: str, signature: str) -> None:
        """An import searched this name in this folder: `path` is folder/name, `signature` says what it found."""

    def record_absent(self, path: str) -> None:
        """An import would have searched this folder, had it been there."""

    def watch_folder(self, folder: str) -> None:
        """Imports search this folder of the user's."""


class PathHook:
    """The entry in `sys.path_hooks`."""

    def __init__(self, log: ImportLog) -> None:
        self._log = log
        self._standard_loaders: Callable[[], Sequence[tuple[object, list[str]]]] | None = None
        self._standard_search: Callable[[str], object] | None = None
        self._standard_find: object = None
        # Hooks are functions as a rule, and some who look through the list (beartype) read their names.
        self.__name__ = self.__qualname__ = "path_hook_for_WatchedFinder"

    def install(self) -> None:
        """From here on imports from the user's folders come this way, also from those searched before."""
        sys.path_hooks.insert(0, self)
        self._standard_search = PathFinder._path_hooks  # type: ignore[attr-defined]
        PathFinder._path_hooks = staticmethod(self._search_hooks)  # type: ignore[attr-defined]
        self._standard_find = vars(PathFinder)[_FIND]
        setattr(PathFinder, _FIND, staticmethod(_not_for_ours(PathFinder.find_spec)))
        self._forget_finders()
        for path in sys.path:  # imports of ours may be the first to ask, and nobody is told of those
            if is_watched_folder(path):
                self._is_there(path)
        standard = getattr(bootstrap, _LOADERS, None)
        if standard is not None:
            self._standard_loaders = standard
            setattr(bootstrap, _LOADERS, self._loaders)

    def remove(self) -> None:
        if self in sys.path_hooks:
            sys.path_hooks.remove(self)
        if self._standard_search is not None:
            PathFinder._path_hooks = staticmethod(self._standard_search)  # type: ignore[attr-defined]
            self._standard_search = None
            setattr(PathFinder, _FIND, self._standard_find)
        self._forget_finders()
        if self._standard_loaders is not None:
            setattr(bootstrap, _LOADERS, self._standard_loaders)
            self._standard_loaders = None

    def __call__(self, path: str) -> FileFinder:
        """The finder for a folder of the user's. Raises ImportError for all else: the next hook is asked then."""
        if not is_watched_folder(path):
            raise ImportError("not a folder of the user's", path=path)
        if not self._is_there(path):
            raise ImportError("only directories are supported", path=path)
        self._log.watch_folder(os.path.abspath(path))
        return WatchedFinder(path, self._log, self._registered_loaders(path))

    def _is_there(self, path: str) -> bool:
        folder = os.path.abspath(path)
        found = sign_file(folder)
        if found == ABSENT and not path.endswith(".zip"):
            self._log.record_absent(folder)
        return found == "d"

    def _registered_loaders(self, path: str) -> list[tuple[str, Callable[..., object]]] | None:
        """The suffixes and loaders of the hook that would be asked for this folder without ours; None if that is the standard one.
        Who changes code at import (beartype) registers one."""
        for hook in sys.path_hooks:
            if hook is not self:
                try:
                    finder = hook(path)
                except ImportError:
                    continue
                return _own_loaders(finder)
        return None

    def _search_hooks(self, path: str) -> object:
        """The finder for `path`, as the hooks say it in their order; where one that was registered before ours gives a standard
        finder with loaders of its own, one that tells takes its place."""
        assert self._standard_search is not None
        finder = self._standard_search(path)
        if type(finder) is not FileFinder or not is_watched_folder(path):
            return finder
        self._log.watch_folder(os.path.abspath(path))
        return WatchedFinder(path, self._log, _own_loaders(finder))

    def source_loader(self, name: str, path: str) -> SourceFileLoader:
        """The loader for a source that no finder of ours has found."""
        if not is_watched_folder(os.path.dirname(path)):
            return SourceFileLoader(name, path)
        return WatchedLoader.logging(self._log, name, path)

    def _loaders(self) -> list[tuple[object, list[str]]]:
        assert self._standard_loaders is not None
        return [
            (self.source_loader if loader is SourceFileLoader else loader, suffixes)
            for loader, suffixes in self._standard_loaders()
        ]

    @staticmethod
    def _forget_finders() -> None:
        for path in list(sys.path_importer_cache):
            if is_watched_folder(path):
                sys.path_importer_cache.pop(path, None)


def _not_for_ours(standard: _FindSpec) -> _FindSpec:
    """What an import of ours does not find where ours is, it does not look for among the user's files: it might find one. And what
    it learns about their folders in a frozen process would stay with all who continue, and nobody would be told."""

    @wraps(standard)
    def find_spec(
        fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return None if path is None and is_ours_first() else standard(fullname, path, target)

    return find_spec


def _own_loaders(finder: object) -> list[tuple[str, Callable[..., object]]] | None:
    """The suffixes and loaders of a standard finder that has others than Python gives it; None for all else."""
    if type(finder) is not FileFinder:
        return None
    loaders: list[tuple[str, Callable[..., object]]] = finder._loaders  # type: ignore[attr-defined]
    return None if any(loader is SourceFileLoader for _suffix, loader in loaders) else loaders


class WatchedFinder(FileFinder):
    """The standard finder, which tells what was searched."""

    def __init__(
        self, path: str, log: ImportLog, loaders: list[tuple[str, Callable[..., object]]] | None = None
    ) -> None:
        """`loaders`: by suffix; without it those of the standard finder, that for sources replaced by ours."""
        # Asked for anew in each finder: a project may have registered suffixes of its own.
        super().__init__(
            path,
            (ExtensionFileLoader, list(EXTENSION_SUFFIXES)),
            (partial(WatchedLoader.logging, log), list(SOURCE_SUFFIXES)),  # type: ignore[arg-type]  # it is only called
            (SourcelessFileLoader, list(BYTECODE_SUFFIXES)),
        )
        if loaders is not None:
            self._loaders = loaders
        self._log = log
        self._folder = os.path.abspath(self.path)

    def find_spec(self, fullname: str, target: ModuleType | None = None) -> ModuleSpec | None:
        name = fullname.rpartition(".")[2]
        self._log.about_to_search(f"{self._folder}/{name}")
        spec = super().find_spec(fullname, target)
        self._log.record_module(f"{self._folder}/{name}", self._signature(spec, name))
        if spec is not None and spec.origin is not None and not isinstance(spec.loader, WatchedLoader):
            path = os.path.abspath(spec.origin)  # an extension module, or bytecode without a source
            self._log.record_source(path, sign_file(path))
        return spec

    def _signature(self, spec: ModuleSpec | None, name: str) -> str:
        """As `sign_module` would say it, from what was found."""
        if spec is None:
            return ABSENT
        if spec.origin is None:
            return f"m:{name}/"
        return "m:" + spec.origin[len(self.path) :].lstrip("/")


def forget_listings() -> None:
    """Have the folders of the user's listed again by the next search: time has passed since they were."""
    for finder in list(sys.path_importer_cache.values()):
        if isinstance(finder, WatchedFinder):
            finder.invalidate_caches()


class _Source(Record):
    path: str
    data: bytes
    status: os.stat_result  # taken before `data` was read


class WatchedLoader(SourceFileLoader):
    """The standard loader, which always reads the source, and tells."""

    log: ImportLog | None = None

    @classmethod
    def logging(cls, log: ImportLog, name: str, path: str) -> WatchedLoader:
        loader = cls(name, path)
        loader.log = log
        return loader

    def get_code(self, fullname: str) -> CodeType:
        """The code of the source as it is now. Raises OSError and what compiling raises."""
        source = self._read(self.get_filename(fullname), fullname)
        code = self._cached_code(source)
        if code is None:
            code = self.source_to_code(source.data, source.path)
            self._cache_code(code, source)
        return code

    # Python cuts the frames of importlib out of the traceback of a failed import, up to the first frame of another
    # file. With this file among them a SyntaxError would show five frames of machinery.
    get_code.__code__ = get_code.__code__.replace(co_filename=bootstrap.cache_from_source.__code__.co_filename)

    def _read(self, path: str, name: str) -> _Source:
        # FileIO: a read through `open` would be recorded once more.
        absolute = os.path.abspath(path)
        try:
            with FileIO(path, "r") as file:
                status = os.fstat(file.fileno())
                data = file.read()
        except OSError:
            if self.log is not None:
                self.log.record_source(absolute, sign_file(absolute))
            raise
        if self.log is not None:
            self.log.record_source(absolute, sign_status(status) or sign_content(data), name)
        return _Source(path, data, status)

    def _cached_code(self, source: _Source) -> CodeType | None:
        try:
            path = cache_from_source(source.path)
            with FileIO(path, "r") as file:
                written_ns = os.fstat(file.fileno()).st_mtime_ns
                data = file.read()
        except (OSError, NotImplementedError):
            return None
        return load_bytecode(data, written_ns, source.data, source.status, source.path)

    def _cache_code(self, code: CodeType, source: _Source) -> None:
        if sys.dont_write_bytecode:
            return
        try:
            path = cache_from_source(source.path)
        except NotImplementedError:
            return
        mode = stat.S_IMODE(source.status.st_mode) | stat.S_IWUSR  # as importlib: who may read the source may read this
        self.set_data(path, dump_bytecode(code, source.data), _mode=mode)
