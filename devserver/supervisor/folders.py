"""Which folders are watched, under which names their files are known, and what an event in one of them means.

Runs in the watcher's thread of the supervisor; looks at folders, never at the contents of files. Rules
that hold: watched folders are real paths, each once (two watches on one folder in one inotify instance report under one
of the two names only); ignored folders are not entered; a folder that cannot be watched is kept in `unwatchable` with the
reason, and whoever reads files there polls them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from devserver.supervisor.ignore import MARKERS, IgnoreRules
from devserver.supervisor.links import Links
from devserver.supervisor.polling import Mounts
from devserver.supervisor.roots import Roots

# Change kinds of watchfiles.
ADDED, MODIFIED, DELETED = 1, 2, 3

# More would take minutes to list and all of a user's inotify watches: a link to a data store, not sources.
FOLDER_LIMIT = 20_000

Identity = tuple[int, int]  # device, inode
Lister = Callable[[str], AbstractContextManager[Iterator["os.DirEntry[str]"]]]


@dataclass(slots=True)
class Outcome:
    """What a set of events, or a look at the roots, came to."""

    paths: set[str] = field(default_factory=set)
    rescan: bool = False  # more may have changed than the paths say
    surveys: set[str] = field(default_factory=set)  # folders to walk: new, or come back


class FolderTree:
    """The roots and all that belongs to them: folders below, targets of links, folders of single files."""

    def __init__(
        self,
        rules: IgnoreRules,
        *,
        lister: Lister = os.scandir,
        mounts: Mounts | None = None,
        limit: int = FOLDER_LIMIT,
    ) -> None:
        self.folders: dict[str, Identity] = {}  # watched for all that happens in them
        self.narrow: set[str] = set()  # watched for the sake of `files` only, or listed
        self.listed: set[str] = set()  # wanted with what comes and goes in them, and nothing below
        self.files: set[str] = set()  # wanted by themselves, outside `folders`
        self.unwatchable: dict[str, str] = {}
        self.fresh: set[str] = set()  # to be watched, not handed out yet
        self.rules = rules
        self._lister = lister
        self._mounts = mounts or Mounts()
        self._limit = limit
        self.roots = Roots()
        self._pruned: set[str] = set()
        self._owners: dict[Identity, str] = {}
        self.links = Links()
        self._retired: set[str] = set()
        self._refusals: list[tuple[str, str]] = []

    # --- what is wanted ---

    def add_root(self, given: str) -> None:
        """Want a folder with all below it, or a single file. It may be missing: `check` finds it when it comes."""
        self.roots.add(given)

    def add_listed(self, folder: str) -> None:
        """Want what comes and goes in a folder, given by its real path. It may be missing: `check_narrow` finds it."""
        self.listed.add(folder)
        self._watch_narrowly(folder)

    def check(self, roots: Iterable[str]) -> Outcome:
        """Compare these of the roots with what stands there now."""
        outcome = Outcome()
        gone: set[str] = set()
        for given in roots:
            real = os.path.realpath(given)
            before = self.roots.locate(given, real)
            if before != real:
                self.links.add(given, real)
                outcome.rescan = outcome.rescan or before is not None
            identity = _folder_identity(real)
            known = self.folders.get(real)
            if identity is None:
                self._want_file(real)
            elif known != identity and real not in self.unwatchable and real not in self.links:
                self.files.discard(real)
                outcome.surveys.add(real)
            if known is not None and known != identity:
                gone.add(real)
        if gone:
            self._drop(gone)
            outcome.rescan = True
        return outcome

    def check_narrow(self) -> None:
        """Watch the folders of single files, and those that are listed, again that were missing."""
        for file in self.files:
            self._want_file(file)
        for folder in self.listed:
            self._watch_narrowly(folder)

    def _want_file(self, path: str) -> None:
        self.files.add(path)
        self._watch_narrowly(os.path.dirname(path))

    def _watch_narrowly(self, folder: str) -> None:
        if folder in self.folders or folder in self.narrow or folder in self.unwatchable:
            return
        if _is_utf8(folder) and self._mounts.silent_kind(folder) is None and os.path.isdir(folder):
            self.narrow.add(folder)
            self.fresh.add(folder)

    # --- what the watcher does with it ---

    @property
    def is_unsettled(self) -> bool:
        """Whether there are folders to take with `take_fresh` or `take_retired`."""
        return bool(self.fresh or self._retired)

    def take_fresh(self) -> set[str]:
        """The folders in `fresh`; they are the caller's to watch now."""
        fresh, self.fresh = self.fresh & (self.folders.keys() | self.narrow), set()
        return fresh

    def take_retired(self) -> set[str]:
        """The folders that are watched for nothing now."""
        retired, self._retired = self._retired - self.folders.keys() - self.narrow, set()
        return retired

    def take_refusals(self) -> list[tuple[str, str]]:
        """The folders that turned out to be unwatchable since the last call, with reasons for people."""
        refusals, self._refusals = self._refusals, []
        return refusals

    def refuse(self, folder: str, reason: str) -> None:
        """The folder cannot be watched; its subfolders may be."""
        if folder in self.folders or folder in self.narrow:
            self._retired.add(folder)
        if (identity := self.folders.pop(folder, None)) is not None:
            self._owners.pop(identity, None)
        self.narrow.discard(folder)
        if folder not in self.unwatchable:
            self.unwatchable[folder] = reason
            self._refusals.append((folder, reason))

    def refuse_all(self, reason: str) -> None:
        """Nothing can be watched any more."""
        for folder in (*self.folders, *self.narrow):
            self.refuse(folder, reason)

    def forget(self, folders: Iterable[str]) -> None:
        """These are gone, with all below them."""
        self._drop(set(folders))

    def survey(self, tops: Iterable[str]) -> set[str]:
        """Walk folders: all in them that is not ignored is returned, folders that are not known yet become `fresh`."""
        seen: set[str] = set()
        visited: set[str] = set()
        pending = [top for top in tops if not self._lies_in_pruned(top)]
        while pending:
            folder = pending.pop()
            if folder in visited:
                continue
            visited.add(folder)
            for entry in self._enter(folder):
                path = entry.path
                try:
                    linked = entry.is_symlink()
                    is_folder = entry.is_dir()
                except OSError:
                    linked, is_folder = False, False  # a link in a circle, or gone
                if is_folder and self.rules.ignores_folder(path):
                    continue
                if not is_folder and self.rules.ignores_file(path):
                    continue
                seen.add(path)
                if linked:
                    pending.extend(self._follow(path))
                elif is_folder:
                    pending.append(path)
        return seen

    def _enter(self, folder: str) -> list[os.DirEntry[str]]:
        """List a folder and register it. Empty if there is nothing to go on with."""
        kind = self._mounts.silent_kind(folder) if folder not in self.folders else None
        if kind is not None:
            self.refuse(folder, f"it is on a mount of kind {kind}, where changes may go unreported")
            return []
        if not _is_utf8(folder):
            self.refuse(folder, "its name is not UTF-8")
            return []
        try:
            status = os.stat(folder)
            with self._lister(folder) as entries:
                listing = list(entries)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            self.refuse(folder, f"it cannot be read ({error.strerror})")
            return []
        names = [entry.name for entry in listing]
        if folder not in self.roots.real and self.rules.ignores_contents(folder, names):
            self._prune(folder)
            return []
        self._pruned.discard(folder)
        if not all(map(_is_utf8, names)):
            self.refuse(folder, "it holds a name that is not UTF-8")
            return listing
        if folder in self.unwatchable or folder in self.folders:
            return listing
        if len(self.folders) >= self._limit:
            self.refuse(folder, f"more than {self._limit} folders are watched already")
            return []
        identity = (status.st_dev, status.st_ino)
        twin = self._owners.get(identity)
        if twin is not None and twin != folder and _folder_identity(twin) == identity:
            self.links.add(folder, twin)  # a bind mount: one folder at two places
            return []
        self.folders[folder] = identity
        self._owners[identity] = folder
        self.fresh.add(folder)
        return listing

    # --- links ---

    def names(self, path: str) -> set[str]:
        """A real path and all that it is called through links."""
        return self.links.names(path)

    def _follow(self, link: str) -> list[str]:
        """Register where a link leads; returns the folder to walk there, if any."""
        target = os.path.realpath(link)
        if not os.path.isdir(target):
            self.links.add(link, target)
            self._want_file(target)
            return []
        if self.rules.ignores_folder(target):
            return []
        self.links.add(link, target)
        # A link up to above a root would take in the whole disk.
        return [] if target in self.folders or self.roots.any_inside(target) else [target]

    def _relink(self) -> set[str]:
        """Look where all links lead now; a link may go through another one. Returns folders to walk."""
        surveys: set[str] = set()
        for link, target in self.links.items():
            if not os.path.islink(link):
                if not os.path.lexists(link):
                    self.links.discard(link)
            elif os.path.realpath(link) != target and link not in self.roots:
                surveys.update(self._follow(link))
        return surveys

    # --- events ---

    def digest(self, events: Iterable[tuple[int, str]]) -> Outcome:
        """What these events of watched folders mean. `paths` holds every name of what was touched."""
        outcome = Outcome()
        gone: set[str] = set()
        relink = False
        for kind, path in events:
            if path in self.folders or path in self.narrow:
                # Same identity is no proof that it was not removed: inodes are used again. A folder that came, and was
                # found by a walk before its event was read, is no other one.
                if kind == DELETED or _folder_identity(path) != self.folders.get(path, _folder_identity(path)):
                    gone.add(path)
                outcome.paths |= self.links.names(path)
                continue
            folder = path.rpartition("/")[0] or "/"
            if folder not in self.folders:
                if path in self.files or folder in self.listed:
                    outcome.paths |= self.links.names(path)
                continue
            counts, mode = self._judge(kind, path)
            if not counts:
                continue
            outcome.paths |= self.links.names(path)
            if mode is not None and stat.S_ISLNK(mode):
                relink = True
                outcome.surveys.update(self._follow(path))
                continue
            if kind != MODIFIED and path in self.links and path not in self.roots:
                relink = True
                self.links.discard(path)
            name = path.rpartition("/")[2]
            if mode is not None and stat.S_ISDIR(mode):
                self.unwatchable.pop(path, None)  # it may be another one, or readable by now
                outcome.surveys.add(path)
            if kind == ADDED and folder not in self.roots.real and self.rules.ignores_contents(folder, (name,)):
                self._prune(folder)
        if gone:
            self._drop(gone)
            outcome.rescan = True
            outcome.surveys.update(path for path in gone if os.path.isdir(path))
        if relink:
            outcome.rescan = True
            outcome.surveys |= self._relink()
        return outcome

    def _judge(self, kind: int, path: str) -> tuple[bool, int | None]:
        """Whether what was touched counts after the rules, and its mode where the kind of file matters."""
        looks_ignored = self.rules.ignores_folder(path)
        known = path in self.links or path in self.unwatchable
        mode = _mode(path) if kind == ADDED or known or looks_ignored else None
        if mode is None:
            return not (looks_ignored or self.rules.ignores_file(path)), None
        if stat.S_ISDIR(mode) or (stat.S_ISLNK(mode) and os.path.isdir(path)):
            return not looks_ignored, mode
        return not self.rules.ignores_file(path), mode

    def is_pruned(self, folder: str) -> bool:
        """Whether the folder is not entered because of what lies in it."""
        return folder in self._pruned or any(os.path.lexists(f"{folder}/{marker}") for marker in MARKERS)

    def _lies_in_pruned(self, folder: str) -> bool:
        """It was to be walked before somebody saw what the folder around it is."""
        while folder not in self.roots.real and folder not in ("", "/"):
            folder = folder.rpartition("/")[0]
            if folder in self._pruned:
                return True
        return False

    def _prune(self, folder: str) -> None:
        self._retired |= {known for known in self.folders if _is_inside(known, folder)}
        listed = self.narrow & self.listed  # wanted by name, whatever is around them
        self._drop({folder})
        self.narrow |= listed
        self._pruned.add(folder)

    def _drop(self, tops: set[str]) -> None:
        def is_below(path: str) -> bool:
            while path not in tops:
                if path in ("", "/"):
                    return False
                path = path.rpartition("/")[0]
            return True

        for folder in [folder for folder in self.folders if is_below(folder)]:
            identity = self.folders.pop(folder)
            if self._owners.get(identity) == folder:
                del self._owners[identity]
        self.narrow = {folder for folder in self.narrow if not is_below(folder)}
        self._pruned = {folder for folder in self._pruned if not is_below(folder)}
        self.unwatchable = {folder: why for folder, why in self.unwatchable.items() if not is_below(folder)}
        self.links.discard_all([link for link, _ in self.links.items() if is_below(link) and link not in self.roots])


def _is_inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _mode(path: str) -> int | None:
    try:
        return os.lstat(path).st_mode
    except (OSError, ValueError):
        return None


def _folder_identity(path: str) -> Identity | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISDIR(status.st_mode) else None
