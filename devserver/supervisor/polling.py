"""Finding changes by looking: for folders whose changes the kernel does not report, and as a second line behind it.

Runs in the watcher's thread of the supervisor. Rules that hold: no error of the file system escapes, a path that can't be looked at
counts as absent; a path is named when it may have changed, the supervisor compares signatures.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from devserver.record import Record
from devserver.supervisor.ignore import IgnoreRules

# A file system stamps times in ticks, of up to 2 s on FAT: a second write within the tick of the first can leave every
# field as it was. A path seen so shortly after its write is therefore named once more when the tick is over.
TICK_NS = 2_000_000_000

# Kinds of mounts on which others write as well, or whose server tells this kernel nothing (proc(5), mountinfo field 9).
_SILENT_MOUNTS = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "coda", "ceph", "glusterfs", "lustre", "gpfs"),
        *("9p", "virtiofs", "vboxsf", "vmhgfs", "prl_fs", "drvfs", "fakeowner", "fuse"),
    }
)

Signature = tuple[int, ...] | tuple[int, int, int, frozenset[str]] | None


class _Listing(Record):
    identity: tuple[int, ...]
    names: frozenset[str]


class Poller:
    """Compares a set of paths with how they looked the last time. Nothing in it waits.

    `replaced`: folders in which an entry may give way to another of its name. `mounts` says where a folder's time can be
    believed: there its names are read again only when the time has moved.
    """

    def __init__(
        self,
        rules: IgnoreRules,
        *,
        mounts: Mounts,
        replaced: Collection[str] = (),
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._replaced = replaced
        self._mounts = mounts
        self._listings: dict[str, _Listing] = {}
        self._rules = rules
        self._clock_ns = clock_ns
        self._signatures: dict[str, Signature] = {}
        self._unseen: set[str] = set()
        self._unsettled: dict[str, int] = {}  # path → when the tick of its last write is over

    def __len__(self) -> int:
        return len(self._signatures) + len(self._unseen)

    def follow(self, paths: Iterable[str]) -> None:
        """These paths from now on, and no others. New ones are looked at first by the next `poll`."""
        wanted = set(paths)
        for path in self._signatures.keys() - wanted:
            del self._signatures[path]
            self._unsettled.pop(path, None)
            self._listings.pop(path, None)
        self._unseen = wanted - self._signatures.keys()

    def poll(self) -> tuple[set[str], set[str]]:
        """The paths that look otherwise than at the last poll, and those that were looked at for the first time."""
        now = self._clock_ns()
        changed: set[str] = set()
        for path, before in self._signatures.items():
            signature, written_ns = self._look(path)
            if signature != before:
                self._signatures[path] = signature
                changed.add(path)
                self._settle_later(path, written_ns, now)
            elif self._unsettled and self._unsettled.get(path, now) < now:
                del self._unsettled[path]
                changed.add(path)
        first, self._unseen = self._unseen, set()
        for path in first:
            self._signatures[path], written_ns = self._look(path)
            self._settle_later(path, written_ns, now)
        return changed, first

    def _settle_later(self, path: str, written_ns: int, now: int) -> None:
        # A time in the future (a clock of another machine) gets its second look after one tick of ours.
        if now - written_ns < TICK_NS:
            self._unsettled[path] = now + TICK_NS
        else:
            self._unsettled.pop(path, None)

    def _look(self, path: str) -> tuple[Signature, int]:
        try:
            status = os.stat(path)
            if not stat.S_ISDIR(status.st_mode):
                signature = (status.st_mtime_ns, status.st_size, status.st_ino, status.st_ctime_ns, status.st_dev)
                return signature, status.st_mtime_ns
            # The names decide, not the folder's times: swap files come and go, and some mounts never move them.
            time_ns = status.st_mtime_ns if path in self._replaced else 0
            return (status.st_ino, status.st_dev, time_ns, self._names(path, status)), time_ns
        except (OSError, ValueError):
            return None, 0

    def _names(self, folder: str, status: os.stat_result) -> frozenset[str]:
        """The names that count. Raises OSError."""
        identity = (status.st_ino, status.st_dev, status.st_mtime_ns, status.st_ctime_ns)
        known = self._listings.get(folder)
        if known is not None and known.identity == identity:
            return known.names
        # A name that comes within the tick of another leaves the time as it is.
        is_settled = self._clock_ns() - max(status.st_mtime_ns, status.st_ctime_ns) >= TICK_NS
        names = frozenset(filter(self._counts(folder), os.listdir(folder)))
        if is_settled and self._mounts.silent_kind(os.path.realpath(folder)) is None:
            self._listings[folder] = _Listing(identity, names)
        return names

    def _counts(self, folder: str) -> Callable[[str], bool]:
        def counts(name: str) -> bool:
            path = f"{folder.rstrip('/')}/{name}"
            return not (self._rules.ignores_file(path) or self._rules.ignores_folder(path))

        return counts


class Mounts(Record):
    """The mount points of this process and their kinds."""

    kinds: Mapping[str, str] = MappingProxyType({})

    @classmethod
    def parse(cls, mountinfo: str) -> Mounts:
        """From the text of /proc/self/mountinfo (proc(5)). A line that cannot be read is left out."""
        kinds: dict[str, str] = {}
        for line in mountinfo.splitlines():
            before, separator, after = line.partition(" - ")
            fields = before.split(" ")
            if separator and len(fields) > 4:
                point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[4])
                kinds[point] = after.split(" ")[0]  # the last mount on a point is the one that is seen
        return cls(kinds)

    @classmethod
    def of_this_process(cls) -> Mounts:
        """Empty where the system has no mountinfo (macOS)."""
        try:
            return cls.parse(Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape"))
        except OSError:
            return cls()

    def silent_kind(self, path: str) -> str | None:
        """The kind of the mount this absolute real path is on, if changes on it may go unreported."""
        at = path
        while at not in self.kinds:
            if at in ("/", ""):
                return None
            at = at.rpartition("/")[0] or "/"
        kind = self.kinds[at]
        return kind if kind in _SILENT_MOUNTS or kind.startswith("fuse.") else None
