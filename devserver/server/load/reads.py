"""The recorder: what this process reads and looks up, as `Read`s for the supervisor.

Runs in the server, told by `imports.py` and `interception.py`, in whatever thread the app reads in. Rules that hold: a
path is signed before the app reads it, so a save in between shows as a change and never as none; what is told costs
little when it was told before; nothing is recorded of installed software, nor of devserver's own reads; no lock is
taken, so a fork at any moment leaves nothing locked in the child.

Files that the app writes: while it loads they are named as pending and signed at the next freeze or when the load ends; one that
is still open for writing at the end (a log, a database) may change at any time and counts as written while serving.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import re
import stat
import sys
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from urllib.parse import unquote

from devserver.importgraph import ImportGraph
from devserver.readset import Read, ReadKind
from devserver.server.load.edges import EdgeRecorder
from devserver.server.load.imports import PathHook
from devserver.server.load.interception import Interception
from devserver.server.load.ownership import is_library_frame, is_own_code, is_users
from devserver.signatures import (
    ABSENT,
    FOLDER,
    PENDING,
    Signer,
    is_noise,
    sign_details,
    sign_link,
    sign_presence,
    sign_type,
)

_MAX_OWN_PRODUCTS = 10_000
_RECORDERS = frozenset({__file__, Interception.__init__.__code__.co_filename})
_FINDERS_OF_DISTRIBUTIONS = ("/importlib/metadata/", "/importlib_metadata/", "/pkg_resources/")
_QUIET = frozenset({ReadKind.LOOKUP, ReadKind.PRESENT})
_DETAILS = frozenset({"stat", "lstat", "getsize", "getmtime", "getctime", "getatime"})
"""The functions of `os.path` and `pathlib` that tell size or times."""
_CONFIGURATION = re.compile(r"/\.[^/]+\Z|\.(?:cfg|env|ini|json|toml|ya?ml)\Z")
_SQLITE_COMPANIONS = ("", "-wal", "-shm", "-journal")

# Bound before `interception` replaces them.
_listdir, _readlink, _fstat = os.listdir, os.readlink, os.fstat


class Recorder:
    """Records the reads of this process from `install` on.

    `roots`: folders of the user's in which everything counts, besides those that imports search; the working folder at
    `install` is one. `position`: index of this process in the chain. `on_read` is called in the thread that reads,
    when there is something to drain, once until it is drained. While loading, reads that never come alone (names
    looked up, presences) wait for the next other. `about_to_search` may be replaced by who freezes the load. `phase`: see
    `EdgeRecorder`.
    """

    def __init__(
        self,
        *,
        on_read: Callable[[], None] | None = None,
        roots: Iterable[str] = (),
        position: int = 1,
        signer: Signer | None = None,
        phase: Callable[[], str] | None = None,
    ) -> None:
        self.position = position
        self.source_count = 0  # modules of the user's that ran
        self.about_to_search: Callable[[str], None] = _go_on
        self._on_read = on_read
        self._signer = signer or Signer()
        self._folders: tuple[str, ...] = ()
        for root in roots:
            self.watch_folder(os.path.abspath(root))
        self._loading = True
        self._pending: deque[Read] = deque()
        # Holds one token while nobody was called for what is pending: taking it is atomic.
        self._calls: deque[None] = deque((None,), maxlen=1)
        self._calling = threading.local()
        self._seen: dict[tuple[ReadKind, str], str] = {}
        self._seen_by_user: set[tuple[ReadKind, str]] = set()  # those whose last record was the user's, while serving
        self._modules: dict[str, str] = {}  # the user's, by name; by source where nobody told the name
        self._early: dict[tuple[ReadKind, str], str] = {}
        self._early_in = 0  # the thread that reads early
        self._written: dict[str, None] = {}
        self._own_products: dict[str, None] = {}  # written while serving, read by nobody else
        self._hook = PathHook(self)
        self._interception = Interception(self)
        self._edges = EdgeRecorder(phase) if phase is not None else EdgeRecorder()

    # --- its life ---

    def install(self) -> None:
        """Begin to record. Before the first module of the user's is imported."""
        try:
            self.watch_folder(os.getcwd())
        except FileNotFoundError:  # the working folder was removed
            pass
        self._hook.install()
        self._interception.install()
        self._edges.install()

    def settle(self) -> None:
        """This process is about to be frozen: sign what the load has written so far, and have everything drained.

        A file that is still open for writing (a log) stays pending.
        """
        open_now = _open_for_writing() if self._written else set()
        for path in [path for path in self._written if os.path.realpath(path) not in open_now]:
            del self._written[path]
            self._sign_written(path)
        self._tell()

    def begin_serving(self) -> None:
        """The load has ended, well or not: sign what it wrote, give `stat` and its like back."""
        self._edges.remove()
        self._interception.end_probes()
        self._interception.intercept_databases()
        self._loading = False
        written, self._written = self._written, {}
        for path in written:
            self._sign_written(path)
        spellings = {os.path.realpath(path): path for path in written}
        for path in _open_for_writing():
            if path in spellings or is_users(path):
                self._record_written(spellings.get(path, path))
        self._tell()

    @contextmanager
    def early(self) -> Iterator[None]:
        """What this thread reads within is what a request would read. It is kept back until `confirm_early`."""
        self._early_in = threading.get_ident()
        try:
            yield
        finally:
            self._early_in = 0

    def confirm_early(self) -> tuple[str, ...]:
        """Record what was read early as read by a request. The paths whose files are others by now: those are not recorded, for who
        is told so reads them again."""
        early, self._early = self._early, {}
        changed = []
        for (kind, path), signature in early.items():
            if self._signer.sign(path, kind.aspect) != signature:
                changed.append(path)
            else:
                self._pending.append(Read(kind, path, signature, loading=False, position=self.position))
        if early:
            self._tell()
        return tuple(dict.fromkeys(changed))

    def stop(self) -> None:
        """Record no more; everything is as it was before `install`."""
        self._edges.remove()
        self._interception.remove()
        self._hook.remove()

    def drain_reads(self) -> tuple[Read, ...]:
        """The reads since the last call. From any thread."""
        self._calls.append(None)  # before draining: what comes now is called for again
        reads = []
        try:
            while True:
                reads.append(self._pending.popleft())
        except IndexError:
            return tuple(reads)

    def take_import_graph(self) -> ImportGraph:
        """Which of the user's modules imported which until the load ended. To be asked once; takes some milliseconds."""
        return self._edges.take_graph(self._modules)

    def modules(self) -> Collection[str]:
        """The names of the user's modules that ran, also those that failed."""
        return self._modules.keys()

    def sources(self) -> Collection[str]:
        """Theirs, in the order in which they first ran."""
        return self._modules.values()

    def watched_folders(self) -> tuple[str, ...]:
        """The user's folders seen so far: roots and what imports searched, without those inside others."""
        return tuple(folder.rstrip("/") or "/" for folder in self._folders)

    # --- told by others ---

    def sent_static(self, path: str | os.PathLike[str]) -> None:
        """The static handler sends this file."""
        absolute = os.path.abspath(path)
        self._record(ReadKind.STATIC, absolute, self._signer.sign(absolute))

    def missed(self, path: str) -> None:
        """A framework looked for this file, an absolute path, and it is not there."""
        if is_users(path):
            self.record_absent(path)

    # --- told by imports.py ---

    def record_source(self, path: str, signature: str, module: str = "") -> None:
        self._modules[module or path] = path
        if self._loading:
            self._edges.began(module or path)
        if (ReadKind.SOURCE, path) not in self._seen:
            self.source_count += 1
        self._record(ReadKind.SOURCE, path, signature)

    def record_module(self, path: str, signature: str) -> None:
        self._record(ReadKind.LOOKUP, path, signature)

    def record_absent(self, path: str) -> None:
        self._record(ReadKind.ABSENT, path, ABSENT)

    def watch_folder(self, folder: str) -> None:
        prefix = folder.rstrip("/") + "/"
        if not prefix.startswith(self._folders):
            self._folders = (*(known for known in self._folders if not known.startswith(prefix)), prefix)

    # --- told by interception.py ---

    def opened(self, path: object, *, reads: bool, writes: bool, dir_fd: object = None) -> None:
        absolute = _absolute(path, dir_fd)
        if absolute is None or not is_users(absolute):
            return
        if writes:
            self._record_written(absolute)
        if reads and absolute not in self._own_products and not is_own_code(asking := _asking_code()):
            self._record_opened(ReadKind.FILE, absolute, by_user=is_users(asking))

    def opened_code(self, path: object) -> None:
        """A loader that is not ours reads a source, or bytecode in its place."""
        absolute = _absolute(path, None)
        if absolute is None:
            return
        folder, is_cached, _name = absolute.rpartition("/__pycache__/")
        if not is_users(f"{folder}/" if is_cached else absolute):
            return
        if is_cached and absolute.endswith(".pyc"):
            absolute = importlib.util.source_from_cache(absolute)
            if self._signer.sign(absolute) == ABSENT:
                self._record_other_sources(absolute)
        self._record_opened(ReadKind.SOURCE, absolute)

    def _record_other_sources(self, path: str) -> None:
        """Bytecode was read that was not made of a file with this name: of `lang.dsl`, then, or whatever else it may be."""
        folder, _, name = path.rpartition("/")
        stem = name.removesuffix("py")
        for found in _listdir(folder):
            if found.startswith(stem) and not is_noise(f"{folder}/{found}"):
                self._record_opened(ReadKind.SOURCE, f"{folder}/{found}")

    def listed(self, path: object) -> None:
        absolute = _absolute(path, None)
        if absolute is not None and is_users(f"{absolute}/") and not is_own_code(asking := _asking_code()):
            kind = ReadKind.DISTRIBUTIONS if _seeks_distributions() else ReadKind.LISTING
            self._record(kind, absolute, self._signer.sign(absolute, kind.aspect), by_user=is_users(asking))

    def written(self, path: object, dir_fd: object = None) -> None:
        absolute = _absolute(path, dir_fd)
        if absolute is not None and is_users(absolute):
            self._record_written(absolute)

    def connected(self, database: object) -> None:
        path = os.fsdecode(database) if isinstance(database, str | bytes | os.PathLike) else ""
        if path.startswith("file:"):
            path = unquote(path.removeprefix("file:").partition("?")[0])
            path = path.removeprefix("//localhost") if path.startswith("//localhost/") else path.removeprefix("//")
        if path and path != ":memory:":
            for companion in _SQLITE_COMPANIONS:
                self.written(path + companion)

    def asked(self, path: object, status: os.stat_result | None) -> None:
        if not self._loading:
            return  # by a reference taken while it loaded
        absolute = _absolute(path, None)
        if absolute is None or not is_users(absolute):
            return
        is_sought = self._is_inside(absolute) or (status is None and self._is_above(absolute))
        if not is_sought and not is_users(_asking_code()):
            return  # a library looks for its files outside the project
        # A link's own status says nothing of what it leads to.
        of_target = status is not None and not stat.S_ISLNK(status.st_mode)
        if status is not None and not of_target:
            self._record(ReadKind.LINK, absolute, sign_link(absolute))
        signature = sign_type(status) if status is not None and of_target else sign_presence(absolute)
        if signature != ABSENT:
            self._record(ReadKind.PRESENT, absolute, signature)
            if status is not None and stat.S_ISREG(status.st_mode) and _wants_details():
                self._record(ReadKind.DETAILS, absolute, sign_details(status))
        elif status is None:
            self._record(ReadKind.ABSENT, absolute, ABSENT)

    def entered(self, path: object) -> None:
        absolute = _absolute(path, None)
        if absolute is not None and is_users(f"{absolute}/"):
            self._record(ReadKind.PRESENT, absolute, sign_presence(absolute))

    # --- recording ---

    def _record_opened(self, kind: ReadKind, path: str, *, by_user: bool = False) -> None:
        signature = self._signer.sign(path)
        if signature == FOLDER:  # it cannot be read as a file: whoever tried may want to try again
            self._record(ReadKind.PRESENT, path, sign_presence(path))
        elif signature == ABSENT:
            self._record(ReadKind.ABSENT, path, ABSENT, by_user=by_user)
        elif kind is ReadKind.SOURCE:
            self.record_source(path, signature)
        else:
            self._record(kind, path, signature, by_user=by_user)

    def _record_written(self, path: str) -> None:
        """It matters only where its change would count otherwise: in the project, or if it was read."""
        if path in self._written:
            return
        if self._is_inside(path) or any((kind, path) in self._seen for kind in ReadKind):
            self._written[path] = None
            self._pending.append(Read(ReadKind.WRITTEN, path, PENDING, self._loading, self.position))
            self._tell()
        if not self._loading:
            if len(self._own_products) >= _MAX_OWN_PRODUCTS:
                self._own_products.clear()  # names of temporary files, most of them
            self._own_products[path] = None

    def _sign_written(self, path: str) -> None:
        self._pending.append(Read(ReadKind.WRITTEN, path, self._signer.sign(path), position=self.position))

    def _record(self, kind: ReadKind, path: str, signature: str, *, by_user: bool = False) -> None:
        if self._early_in == threading.get_ident():
            self._early[kind, path] = signature
            return
        by_user = by_user and not self._loading
        if self._seen.get((kind, path)) == signature and (not by_user or (kind, path) in self._seen_by_user):
            return
        self._seen[kind, path] = signature
        if by_user:
            self._seen_by_user.add((kind, path))
        else:
            self._seen_by_user.discard((kind, path))
        self._pending.append(Read(kind, path, signature, self._loading, self.position, by_user))
        if not self._loading or kind not in _QUIET:
            self._tell()

    def _tell(self) -> None:
        # Not from within a call: what it sets free may close files (`__del__`), and it may hold a lock.
        if self._on_read is None or getattr(self._calling, "now", False):
            return
        try:
            self._calls.pop()
        except IndexError:
            return
        self._calling.now = True
        try:
            self._on_read()
        except Exception:
            pass  # the supervisor is gone, and soon this process: nothing to tell the app's own code
        finally:
            self._calling.now = False

    def _is_inside(self, path: str) -> bool:
        return f"{path}/".startswith(self._folders)

    def _is_above(self, path: str) -> bool:
        """Is it a name of configuration right in a folder that the project lies in? `.env` is looked for there, upwards."""
        return _CONFIGURATION.search(path) is not None and any(
            folder.startswith(path.rpartition("/")[0] + "/") for folder in self._folders
        )


def _go_on(path: str) -> None:
    """An import is about to search folder/name."""


def _absolute(path: object, dir_fd: object) -> str | None:
    """The path with which the system will be asked; None for descriptors and what is no path."""
    if isinstance(path, int) or not isinstance(path, str | bytes | os.PathLike):
        return None
    text = os.fsdecode(path)
    if isinstance(dir_fd, int) and dir_fd >= 0 and not text.startswith("/"):
        try:
            text = os.path.join(_readlink(f"/proc/self/fd/{dir_fd}"), text)
        except OSError:  # no /proc on this system
            return None
    folded = os.path.abspath(text)
    if ".." in text.split("/") and (real := os.path.realpath(text)) != os.path.realpath(folded):
        return real  # `..` behind a link leads up from where the link leads
    return folded


def _wants_details() -> bool:
    """Does the user's own code ask for size or times? Most who stat want to know whether something is there."""
    asking, questions = _asker()
    return asking != "" and questions <= _DETAILS and is_users(asking)


def _asking_code() -> str:
    """The file name of the code that asks; empty if there is none."""
    return _asker()[0]


def _asker() -> tuple[str, set[str]]:
    """Who asks: the file name of the nearest frame that is neither the recorder's nor the standard library's, and the functions of
    the library through which it does."""
    questions: set[str] = set()
    for code in _asking_codes():
        if not is_library_frame(code.co_filename):
            return code.co_filename, questions
        questions.add(code.co_name)
    return "", questions


def _seeks_distributions() -> bool:
    """Is a folder listed by `importlib.metadata` or its like, which look through sys.path for what describes distributions?"""
    return any(name in code.co_filename for code in _asking_codes() for name in _FINDERS_OF_DISTRIBUTIONS)


def _asking_codes() -> Iterator[CodeType]:
    """What runs, from the innermost outwards and without the recorder's, up to the first outside of the standard library."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if code.co_filename not in _RECORDERS:
            yield code
            if not is_library_frame(code.co_filename):
                return
        frame = frame.f_back


def _open_for_writing() -> set[str]:
    """The paths of the regular files that this process holds open for writing. Nobody else reads one that has no name."""
    found = set()
    for name in _listdir("/dev/fd"):
        try:
            fd = int(name)
            if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
                continue
            status = _fstat(fd)
            if stat.S_ISREG(status.st_mode) and status.st_nlink:
                found.add(_path_of(fd))
        except (OSError, ValueError):
            continue  # the descriptor of the listing itself, closed by now
    return found


def _path_of(fd: int) -> str:
    get_path: int | None = getattr(fcntl, "F_GETPATH", None)  # macOS, which has no /proc
    if get_path is not None:
        return os.fsdecode(fcntl.fcntl(fd, get_path, bytes(1024)).partition(b"\0")[0])
    return _readlink(f"/proc/self/fd/{fd}")
