"""From what the watcher saw to a decision: which paths matter, whether a save is complete, what the planner says.

Runs in the supervisor. Does the I/O around `plan`: compares what was read with what is there. Rules that hold:

- A source that is empty or gone gets a moment for the rest of its save: editors truncate and then write, or delete and create.
- What changed while a load runs is compared again when the load says that it read it, so a save during a load is never lost.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence

from devserver.options import Options
from devserver.readset import Change, Read, ReadKind, ReadSet, Signer, observe, sign_content, sign_file, verify_all
from devserver.signatures import ABSENT
from devserver.supervisor.ignore import IgnoreRules
from devserver.supervisor.plan import Decision, Rules, decide
from devserver.supervisor.tree import ServerRecord

SAVE_S = 0.05
"""How long a save may take from its first event to its last."""
_READ_S = 0.01
_RECENT_S = 5.0
"""How long after a change a server may take to report that it had read the file before."""
_EMPTY = sign_content(b"")


class Changes:
    """What happened to files, weighed against what was read."""

    def __init__(
        self,
        options: Options,
        rules: IgnoreRules,
        roots: Sequence[str],
        *,
        current: Callable[[], ServerRecord | None],
        decided: Callable[[Decision], None],
        call_later: Callable[[float, Callable[[], None]], None],
    ) -> None:
        self._ignored = rules
        self._roots = roots
        self._signer = Signer()
        self._current = current
        self._decided = decided
        self._call_later = call_later
        self._last: ServerRecord | None = None
        self._recent: dict[str, float] = {}  # what changed since the load began, and when
        self._reading = False
        self._unfinished: set[str] = set()
        self._unfinished_until = 0.0
        self._root_reads = ReadSet()
        if options.env_file is not None:
            path = os.path.abspath(options.env_file)
            self._root_reads.add([Read(ReadKind.FILE, path, sign_file(path), position=0)])

    def load_began(self, number: int) -> None:
        """A server begins to load: what it has read so far is nothing."""
        record = self._current()
        if record is not None and record.number == number:
            self._last = record
            self._recent.clear()

    def seen(self, paths: Iterable[str], *, rescan: bool) -> None:
        """The watcher saw these paths change; with `rescan` it may have missed others."""
        record = self._current() or self._last
        if record is None:
            return
        touched = {*paths, *self._unfinished}
        self._recent |= dict.fromkeys(touched, time.monotonic())
        changes = self._observed(touched, record)
        if rescan:
            changes = tuple(dict.fromkeys((*changes, *verify_all(self._chain(record), signer=self._signer))))
        self._weigh(changes, touched, record)

    def read(self, server: ServerRecord, paths: Sequence[str]) -> None:
        """A server read these. What changed shortly before may have changed after it was read: compare again."""
        if self._current() is server and self._recent and not self._reading:
            self._reading = True  # reads come in streams: once for many
            self._call_later(_READ_S, self._compare_recent)

    def _compare_recent(self) -> None:
        self._reading = False
        earliest = time.monotonic() - _RECENT_S
        self._recent = {path: seen for path, seen in self._recent.items() if seen > earliest}
        record = self._current()
        if record is not None and self._recent:
            touched = set(self._recent)
            self._weigh(self._observed(touched, record), touched, record)

    def _observed(self, paths: Iterable[str], record: ServerRecord) -> tuple[Change, ...]:
        included = self._ignored.includes_file
        return observe(paths, self._chain(record), signer=self._signer, included=included)

    def _chain(self, record: ServerRecord) -> tuple[ReadSet, ReadSet]:
        return (self._root_reads, record.reads)

    def _weigh(self, changes: tuple[Change, ...], touched: set[str], record: ServerRecord) -> None:
        now = time.monotonic()
        unfinished = {change.path for change in changes if change.signature in (ABSENT, _EMPTY)}
        if unfinished and not self._unfinished:
            self._unfinished_until = now + SAVE_S
        if unfinished and now < self._unfinished_until:
            self._unfinished |= touched
            self._call_later(self._unfinished_until - now, self._look_again)
            return
        self._unfinished.clear()
        rules = Rules(
            template_roots=record.loaded.template_roots if record.loaded else (),
            static_roots=record.loaded.static_roots if record.loaded else (),
            included=self._ignored.includes_file,
            excluded=self._is_excluded,
        )
        self._decided(decide(changes, self._chain(record), rules))

    def _is_excluded(self, path: str) -> bool:
        return self._ignored.ignores_file(path) or any(self._ignored.ignores_inside(path, root) for root in self._roots)

    def _look_again(self) -> None:
        if self._unfinished:
            self.seen((), rescan=False)
