"""What a process has read and looked up so far, and which changes matter to it.

The data that both sides compare: the server records (`server/load/reads.py`), the supervisor keeps one `ReadSet` per
process of the chain, turns paths into `Change`s here and decides in `supervisor/plan.py`. Rules that hold: the
signature that was *read* counts, so a save between the read and its report is noticed; a path is compared in the
aspect in which it was read; only `observe`, `verify`, `verify_all` and `folders` touch the disk.
"""

from __future__ import annotations

import os
import posixpath
import stat
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum

from devserver.record import Record
from devserver.signatures import (
    ABSENT,
    MODULE_SUFFIXES,
    Aspect,
    Signer,
    is_noise,
    module_file,
    names_of,
    sign_content,
    sign_file,
    sign_listing,
)

__all__ = [
    "Aspect",
    "Change",
    "ChangeKind",
    "Read",
    "ReadKind",
    "ReadSet",
    "Signer",
    "is_noise",
    "observe",
    "sign_content",
    "sign_file",
    "sign_listing",
    "verify_all",
]


class ReadKind(StrEnum):
    """How a path came to matter."""

    SOURCE = "source"  # the source of a module that was executed
    FILE = "file"  # opened for reading
    ABSENT = "absent"  # asked for and not there (stat, open)
    PRESENT = "present"  # asked for and there (stat); its content was not read
    DETAILS = "details"  # the user's own code asked for size or times
    LINK = "link"  # a symbolic link, asked for itself: where it leads
    LOOKUP = (
        "lookup"  # a name that an import searched in a folder, found or not: the path is folder/name, without suffix
    )
    LISTING = "listing"  # a folder whose names were listed
    DISTRIBUTIONS = "distributions"  # a folder whose distributions were looked for
    STATIC = "static"  # sent by the static handler: never resumes, refreshes browsers
    WRITTEN = "written"  # opened for writing by the app
    INSTALLED = "installed"  # a folder of installed software, which belongs to the root

    @property
    def aspect(self) -> Aspect:
        return _ASPECTS.get(self, Aspect.CONTENT)


INSTALLED_PACKAGES = "installed packages"
"""What people call a change of installed software."""

_ASPECTS = {
    ReadKind.PRESENT: Aspect.PRESENCE,
    ReadKind.DETAILS: Aspect.DETAILS,
    ReadKind.LINK: Aspect.LINK,
    ReadKind.INSTALLED: Aspect.INSTALLED,
    ReadKind.LOOKUP: Aspect.MODULE,
    ReadKind.LISTING: Aspect.NAMES,
    ReadKind.DISTRIBUTIONS: Aspect.DISTRIBUTIONS,
}


class Read(Record):
    """One path that was read, with its signature then."""

    kind: ReadKind
    path: str  # absolute, as the process named it; undecodable bytes as surrogates (PEP 383)
    signature: str
    loading: bool = True  # False: read while serving
    position: int = 0  # index in the chain of the process that was running when it was read (0: the root)
    by_user: bool = False  # read while serving, by the user's own code: who knows what it has made of it


class ChangeKind(StrEnum):
    ADDED = "added"
    MODIFIED = "modified"
    DELETED = "deleted"


class Change(Record):
    """One path and what became of it."""

    path: str  # as it was read
    kind: ChangeKind
    signature: str  # the state now, in this aspect
    aspect: Aspect = Aspect.CONTENT
    cause: str = (
        ""  # the file that people know it by, where that is another: the one added to a folder, or behind a link
    )

    @property
    def shown(self) -> str:
        """The path to show to people."""
        return self.cause or self.path


class ReadSet:
    """The reads of one process. Grows by `add`; used from one thread."""

    def __init__(self, reads: Iterable[Read] = ()) -> None:
        self._reads: dict[str, list[Read]] = {}
        self._places = _Places()
        self.add(reads)

    def add(self, reads: Iterable[Read]) -> None:
        """A delta: reads that the process has reported since the last one."""
        for read in reads:
            known = self._reads.get(read.path)
            if known is None:
                self._reads[read.path] = [read]
                self._places.add(read.path)
            else:
                if read in known:
                    known.remove(read)
                known.append(read)

    def reads_of(self, path: str) -> Sequence[Read]:
        """All different reads of exactly this path, in the order in which they were last reported."""
        return self._reads.get(path, ())

    def __contains__(self, path: object) -> bool:
        return path in self._reads

    def __iter__(self) -> Iterator[Read]:
        for reads in self._reads.values():
            yield from reads

    def __len__(self) -> int:
        return len(self._reads)

    def paths(self) -> Iterable[str]:
        return self._reads.keys()

    def related(self, path: str) -> set[str]:
        """The paths of the read-set that an event for `path` may concern: itself by any of its names, the folders it
        is in, the name by which it is imported, and all that lies below it."""
        if self._places.leads_elsewhere(path):
            self._places = _Places(self._reads)
        related: set[str] = set()
        for place in self._places.spellings(path):
            asked = {place.removesuffix(suffix) for suffix in MODULE_SUFFIXES if place.endswith(suffix)}
            above = place
            while above != "/":  # with a file come the folders that it is in: listed, asked for, imported as packages
                asked.add(above)
                above = posixpath.dirname(above) or "/"
            for key in asked:
                related |= self._places.at(key)
            related |= self._places.below(place)
        return related

    def verify(self, path: str, signer: Signer | None = None) -> bool:
        """Does `path` differ now from what was read there, in any aspect?"""
        signer = signer or Signer()
        return any(signer.sign(path, read.kind.aspect) != read.signature for read in self.reads_of(path))

    def folders(self) -> set[str]:
        """The folders that have to be watched so that no change is missed: those around all places, the listed
        ones, and for what is absent the nearest that exists. One stat for each of them."""
        wanted = {folder for place in self._places for folder in (posixpath.dirname(place),) if folder}
        for path, reads in self._reads.items():
            if any(read.kind in (ReadKind.LISTING, ReadKind.LOOKUP, ReadKind.DISTRIBUTIONS) for read in reads):
                wanted.add(path)
        found: set[str] = set()
        for folder in wanted:
            while not os.path.isdir(folder) and folder not in ("", "/"):
                folder = posixpath.dirname(folder)
            found.add(folder)
        return found


def observe(
    paths: Iterable[str],
    readsets: Sequence[ReadSet],
    *,
    signer: Signer | None = None,
    included: Callable[[str], bool] | None = None,
) -> tuple[Change, ...]:
    """The changes behind events for `paths`: what was read there, or depends on it, and now differs.

    A file that nobody has read is a change only if `included` says so. Looks at the disk; blocks for it.
    """
    signer = signer or Signer()
    events: dict[str, str] = {}  # what is to be compared, and the event that led there
    unread: dict[str, Change] = {}
    touched = set(paths)
    for path in sorted(touched, key=lambda name: (len(name), name)):  # links can give one file many names
        nearby = {other for readset in readsets for other in readset.related(path)}
        for other in sorted(nearby):
            events.setdefault(other, other if other in touched else path)
        if included is not None and path not in nearby and included(path) and not os.path.isdir(path):
            signature = signer.sign(path)
            unread[path] = Change(path, ChangeKind.DELETED if signature == ABSENT else ChangeKind.MODIFIED, signature)
    changes = [change for path, event in events.items() for change in _compare(path, readsets, signer, event)]
    return (*changes, *unread.values())


def verify_all(readsets: Sequence[ReadSet], *, signer: Signer | None = None) -> tuple[Change, ...]:
    """All that differs now from what was read, for when events may have been lost. With a signer that has seen the
    paths before, a stat for each."""
    signer = signer or Signer()
    paths = dict.fromkeys(path for readset in readsets for path in readset.paths())
    return tuple(change for path in paths for change in _compare(path, readsets, signer, ""))


def _compare(path: str, readsets: Sequence[ReadSet], signer: Signer, event: str) -> Iterator[Change]:
    """The changes of one path of the read-sets, one for each aspect that differs. `event`: the path that led here."""
    was: dict[Aspect, set[str]] = {}
    for readset in readsets:
        for read in readset.reads_of(path):
            was.setdefault(read.kind.aspect, set()).add(read.signature)
    for aspect, before in was.items():
        now = signer.sign(path, aspect)
        if before != {now}:
            kind, cause = _describe(path, aspect, before, now)
            is_other_name = event and not f"{event}/".startswith(f"{path}/") and not path.startswith(f"{event}/")
            yield Change(path, kind, now, aspect, cause or (event if is_other_name else ""))


def _describe(path: str, aspect: Aspect, before: set[str], now: str) -> tuple[ChangeKind, str]:
    """What happened and, where that is not `path`, to what."""
    if aspect is Aspect.INSTALLED:
        return ChangeKind.MODIFIED, INSTALLED_PACKAGES
    if aspect is Aspect.NAMES:
        names = names_of(now)
        for signature in sorted(before - {now}):
            known = names_of(signature)
            if names is not None and known is not None and names != known:
                added, gone = sorted(names - known), sorted(known - names)
                kind = ChangeKind.MODIFIED if added and gone else ChangeKind.ADDED if added else ChangeKind.DELETED
                return kind, f"{path}/{(added or gone)[0]}"
    cause = ""
    if aspect is Aspect.MODULE:
        found = (module_file(path, signature) for signature in (now, *sorted(before)))
        cause = next((file for file in found if file), "")
    if now == ABSENT:
        return ChangeKind.DELETED, cause
    return (ChangeKind.ADDED if before == {ABSENT} else ChangeKind.MODIFIED), cause


class _Places:
    """Where on the disk the paths of a read-set are: under their own names, behind links, and where each link lies on
    the way."""

    def __init__(self, paths: Iterable[str] = ()) -> None:
        self._at: dict[str, set[str]] = {}
        self._sorted: list[str] | None = None
        self._folders: dict[str, tuple[str, frozenset[str]]] = {"": ("", frozenset()), "/": ("/", frozenset())}
        self._links: set[str] = set()
        for path in paths:
            self.add(path)

    def __iter__(self) -> Iterator[str]:
        return iter(self._at)

    def add(self, path: str) -> None:
        real, links = self._resolve(path, depth=0)
        self._links |= links
        for place in {path, real, *links}:
            self._at.setdefault(place, set()).add(path)
        self._sorted = None

    def at(self, place: str) -> set[str]:
        return self._at.get(place, set())

    def below(self, folder: str) -> set[str]:
        """The paths at places below `folder`."""
        if self._sorted is None:
            self._sorted = sorted(self._at)
        prefix = folder.rstrip("/") + "/"
        found: set[str] = set()
        for index in range(bisect_left(self._sorted, prefix), len(self._sorted)):
            place = self._sorted[index]
            if not place.startswith(prefix):
                break
            found |= self._at[place]
        return found

    def spellings(self, path: str) -> set[str]:
        """`path` and where it lies, links on the way to it followed."""
        folder, _, name = path.rpartition("/")
        return {path, posixpath.join(self._resolve_folder(folder or "/")[0], name)}

    def leads_elsewhere(self, path: str) -> bool:
        """Is or was `path` a link? Then what is known of places behind it may no longer hold."""
        if not self._links.isdisjoint(self.spellings(path)):
            return True
        try:
            return stat.S_ISLNK(os.lstat(path).st_mode)
        except (OSError, ValueError):
            return False

    def _resolve(self, path: str, depth: int) -> tuple[str, frozenset[str]]:
        """The real path, and the links that were followed. As `os.path.realpath`, with each folder looked at once."""
        folder, _, name = path.rpartition("/")
        parent, links = self._resolve_folder(folder or "/", depth)
        place = posixpath.join(parent, name)
        try:
            target = os.readlink(place)
        except (OSError, ValueError):
            return place, links
        if depth > 40:  # links in a circle; the system gives up after as many
            return place, links | {place}
        real, more = self._resolve(posixpath.normpath(posixpath.join(parent, target)), depth + 1)
        return real, links | more | {place}

    def _resolve_folder(self, folder: str, depth: int = 0) -> tuple[str, frozenset[str]]:
        known = self._folders.get(folder)
        if known is None:
            known = self._folders[folder] = self._resolve(folder, depth)
        return known
