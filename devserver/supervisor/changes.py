"""From what the watcher saw to a decision: which paths matter, whether a save is complete, what the planner says.

Runs in the supervisor. Does the I/O around `plan`: compares what was read with what is there. Rules that hold:

- A source that is empty or gone gets a moment for the rest of its save: editors truncate and then write, or delete and create.
  A load that fails gets the same moment before anybody hears of it: it may have met the first half of a save.
- What changed while a load runs is compared again when its reads are known, so a save during a load is never lost.
- What a checkpoint holds is compared as a whole while the server that continues from it is still loading: a change whose event is
  late, or never came, is found before the server answers.
- What is being installed counts when whoever installs has been quiet for a moment: one fresh interpreter, not ten.
- What nobody has read counts by events alone (`--reload-include`); all else counts by what differs, however it was noticed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from devserver.errors import UsageError
from devserver.options import Options
from devserver.readset import (
    Aspect,
    Change,
    Read,
    ReadKind,
    ReadSet,
    Signer,
    observe,
    sign_content,
    sign_file,
    verify_all,
)
from devserver.record import replace
from devserver.signatures import ABSENT
from devserver.supervisor.chain import CheckpointRecord
from devserver.supervisor.ignore import IgnoreRules, Pattern
from devserver.supervisor.installed import PATIENCE_S, quiet_in_s, read_installed
from devserver.supervisor.plan import Decision, Nothing, Refresh, Resume, Rules, decide, furthest, is_written
from devserver.supervisor.tree import ServerRecord

SAVE_S = 0.05
"""How long a save may take from its first event to its last."""
_READ_S = 0.01
_RECENT_S = 5.0
"""How long after a change a server that serves may take to report that it had read the file before."""
_EMPTY = sign_content(b"")
_MAX_SAVED = 6
"""So many files get a checkpoint of their own."""


class Changes:
    """What happened to files, weighed against what was read."""

    def __init__(
        self,
        options: Options,
        rules: IgnoreRules,
        roots: Sequence[str],
        *,
        current: Callable[[], ServerRecord | None],
        hear: Callable[[], None],
        decided: Callable[[Decision], None],
        lines: Callable[[], tuple[Sequence[CheckpointRecord], Sequence[CheckpointRecord]]],
        call_later: Callable[[float, Callable[[], None]], None],
        installed: Sequence[str] = (),
    ) -> None:
        """`lines`: the checkpoints of the line and of the branch. `installed`: the folders of installed software, real paths."""
        self._ignored = rules
        self._roots = roots
        self._signer = Signer()
        self._current = current
        self._hear = hear
        self._decided = decided
        self._lines = lines
        self._call_later = call_later
        self._env_file = options.env_file and os.path.abspath(options.env_file)
        self._installed = tuple(installed)
        self._installing_until = 0.0  # what is being installed has so long to be complete; 0: nothing is
        self._awaits_quiet = False
        self._root_reads = ReadSet()
        self._last: ServerRecord | None = None
        self._replaced: ServerRecord | None = None  # the one that died, while its like is loading
        self._recent: dict[str, float] = {}  # what changed since the load began, and when
        self._own: set[str] = set()  # what the load wrote and somebody has touched since
        self._reading = False
        self._unfinished: set[str] = set()
        self._unfinished_until = 0.0
        self._saved: set[str] = set()  # what the last load is for
        self._saved_until = 0.0
        self._refreshed: dict[tuple[str, Aspect], str] = {}  # what the server was told to forget, and what is there now
        self._unread: dict[str, str] = {}  # what --reload-include names and was acted on
        self.saved_sources: tuple[str, ...] = ()
        """The sources of the user's that were saved while running, the latest first."""

    # --- told by the supervisor ---

    def root_begins(self) -> None:
        """A fresh interpreter is about to be given what belongs to the root. To be called before that is read."""
        reads = read_installed(self._installed)
        if self._env_file:
            reads.append(Read(ReadKind.FILE, self._env_file, sign_file(self._env_file), position=0))
        self._root_reads = ReadSet(reads)

    def root_paths(self) -> Iterable[str]:
        """What the root has read."""
        return self._root_reads.paths()

    def load_began(self, number: int, *, inherits: bool = False) -> None:
        """A server begins to load: what it has read so far is nothing. `inherits`: it replaces one that died, with nothing new."""
        record = self._current()
        if record is not None and record.number == number:
            self._replaced = (self._replaced or self._last) if inherits else None
            self._last = record
            self._recent.clear()
            self._own.clear()
            self._refreshed.clear()
            if record.resumed_at:
                self._weigh(verify_all(self._chain(record), signer=self._signer), set(), record, recheck=True)

    def load_ended(self, number: int) -> None:
        """A server is about to serve. One that was to be as its predecessor may have read what was saved while it loaded: pages of
        the predecessor are old then."""
        replaced, self._replaced = self._replaced, None
        record = self._current()
        if replaced is None or record is None or record.number != number:
            return
        chain = self._chain(replaced)
        decision = decide(verify_all(chain, signer=self._signer), chain, Rules(excluded=self._is_excluded))
        if not isinstance(decision, Nothing):
            self._decided(Refresh(decision.paths, css_only=False))

    def seen(self, paths: Iterable[str], *, rescan: bool) -> None:
        """The watcher saw these paths change; with `rescan` it may have missed others."""
        record = self._current() or self._last
        if record is None:
            return
        touched = {*paths, *self._unfinished}
        self._recent |= dict.fromkeys(touched, time.monotonic())
        watched = _watched(record)
        changes = observe(
            touched,
            self._chain(record),
            signer=self._signer,
            included=lambda path: self._ignored.includes_file(path) or watched(path),
        )
        changes = tuple(change for change in changes if self._unread.get(change.path) != change.signature)
        if rescan:
            changes = tuple(dict.fromkeys((*changes, *verify_all(self._chain(record), signer=self._signer))))
        self._weigh(changes, touched, record)

    def read(self, server: ServerRecord, paths: Sequence[str]) -> None:
        """A server read these. What changed before may have changed after it was read: compare again."""
        if self._refreshed:
            for read in (read for path in paths for read in server.reads.reads_of(path)[-1:]):
                if self._refreshed.get((read.path, read.kind.aspect), read.signature) != read.signature:
                    del self._refreshed[read.path, read.kind.aspect]  # the old state, read before it was told to forget
        if self._current() is server and self._recent and not self._reading:
            self._reading = True  # reads come in streams: once for many
            self._call_later(_READ_S, self._compare_recent)

    def when_saved(self, act: Callable[[], None]) -> None:
        """Call `act`, the news of a load that failed, once the save that the load is for has had its time.

        A load that met half of a file is overtaken before.
        """
        rest = self._saved_until - time.monotonic()
        if rest <= 0:
            act()
            return

        def compare_and_act() -> None:
            self._compare(self._saved)
            act()

        self._call_later(rest, compare_and_act)

    # --- comparing ---

    def _compare_recent(self) -> None:
        self._reading = False
        record = self._current()
        if record is None:
            return
        if record.loaded is not None or record.failed is not None:  # a load may tell of quiet reads at its very end
            earliest = time.monotonic() - _RECENT_S
            self._recent = {path: seen for path, seen in self._recent.items() if seen > earliest}
        self._compare(self._recent)

    def _compare(self, paths: Iterable[str]) -> None:
        record, touched = self._current(), set(paths)
        if record is not None and touched:
            self._weigh(observe(touched, self._chain(record), signer=self._signer), touched, record)

    def _chain(self, record: ServerRecord) -> Sequence[ReadSet]:
        return [self._root_reads, *record.chain()[1:]]

    def _weigh(
        self, changes: tuple[Change, ...], touched: set[str], record: ServerRecord, *, recheck: bool = False
    ) -> None:
        if changes:
            # A server says that it is about to write before it does: what was seen on the disk was announced by now.
            self._hear()
        rules = Rules(
            template_roots=record.loaded.template_roots if record.loaded else (),
            static_roots=record.loaded.static_roots if record.loaded else (),
            included=self._ignored.includes_file,
            watched=_watched(record),
            excluded=self._is_excluded,
        )
        changes = self._complete(changes)
        changes = tuple(
            change for change in changes if self._refreshed.get((change.path, change.aspect)) != change.signature
        )
        chain, now = self._chain(record), time.monotonic()
        unfinished = [change for change in changes if change.signature in (ABSENT, _EMPTY) and not recheck]
        if not isinstance(decide(unfinished, chain, rules), Nothing):
            if not self._unfinished:
                self._unfinished_until = now + SAVE_S
            if now < self._unfinished_until:
                self._unfinished |= touched
                self._call_later(self._unfinished_until - now, self._look_again)
                return
        self._unfinished -= touched  # others wait on: they were not looked at
        decision = decide(changes, chain, rules, recheck=recheck)
        if isinstance(decision, Resume) and (own := self._own - touched):
            # No reason to resume, but from here on no checkpoint that holds the old state is to be resumed.
            changes = (*changes, *observe(own, chain, signer=self._signer))
            decision = decide(changes, chain, rules, recheck=recheck)
        if isinstance(decision, Resume):
            decision = self._with_both(decision, changes, record, rules, recheck=recheck)
        self._own |= {change.path for change in changes if is_written(change.path, chain)}
        match decision:
            case Nothing():
                return
            case Refresh():
                self._refreshed |= {(change.path, change.aspect): change.signature for change in changes}
            case _:
                self._saved, self._saved_until = touched, now + SAVE_S
                self._note_saved(changes)
                self._unread |= {
                    change.path: change.signature for change in changes if not self._is_read(change.path, record)
                }
        self._decided(decision)

    def _with_both(
        self, decision: Resume, changes: Sequence[Change], record: ServerRecord, rules: Rules, *, recheck: bool
    ) -> Resume:
        """The server has continued from the line or from the branch; how far either may be followed."""

        def reach(checkpoints: Sequence[CheckpointRecord]) -> int:
            line = [self._root_reads, *(checkpoint.reads for checkpoint in checkpoints[1:])]
            return furthest(changes, line, self._chain(record), rules, recheck=recheck)

        line, branch = self._lines()
        if record.hoisted:
            return replace(decision, checkpoint=reach(line), hoisted=decision.checkpoint)
        return replace(decision, hoisted=reach(branch) if branch else 0)

    def _complete(self, changes: tuple[Change, ...]) -> tuple[Change, ...]:
        """Without what is still being installed: that is compared again when it has been left alone for a moment."""
        installed = [change for change in changes if change.aspect is Aspect.INSTALLED]
        if not installed:
            return changes
        now = time.monotonic()
        self._installing_until = self._installing_until or now + PATIENCE_S
        rest = max(self._quiet_in_s(change) for change in installed)
        if rest == 0 or now >= self._installing_until:
            self._installing_until = 0.0
            return changes
        if not self._awaits_quiet:
            self._awaits_quiet = True
            self._call_later(rest, self._compare_installed)
        return tuple(change for change in changes if change not in installed)

    def _quiet_in_s(self, change: Change) -> float:
        (read,) = self._root_reads.reads_of(change.path)
        return quiet_in_s(change.path, read.signature, change.signature)

    def _compare_installed(self) -> None:
        self._awaits_quiet = False
        changes = observe(self._installed, [self._root_reads], signer=self._signer)
        record = self._current() or self._last
        if not changes:  # taken back, or a fresh interpreter has it by now
            self._installing_until = 0.0
        elif record is not None:
            self._weigh(changes, set(), record)

    def _note_saved(self, changes: Iterable[Change]) -> None:
        sources = [change.shown for change in changes if change.shown.endswith(".py")]
        self.saved_sources = tuple(dict.fromkeys((*sources, *self.saved_sources)))[:_MAX_SAVED]

    def _is_read(self, path: str, record: ServerRecord) -> bool:
        return any(path in reads for reads in self._chain(record))

    def _is_excluded(self, path: str) -> bool:
        return self._ignored.ignores_file(path) or any(self._ignored.ignores_inside(path, root) for root in self._roots)

    def _look_again(self) -> None:
        if self._unfinished:
            self.seen((), rescan=False)


def _watched(record: ServerRecord) -> Callable[[str], bool]:
    """Whether the app that this server has loaded wants to hear of a file."""
    patterns = _patterns(record.loaded.watched) if record.loaded else ()
    return lambda path: any(pattern.matches(path, folder=False) for pattern in patterns)


@cache
def _patterns(globs: tuple[str, ...]) -> tuple[Pattern, ...]:
    patterns = []
    for glob in globs:
        with suppress(UsageError):  # an app's, not an option's: one that cannot be read names nothing
            patterns.append(Pattern.parse(glob, Path("/"), below=False))
    return tuple(patterns)
