"""What happens in folders, as batches of changed paths for the supervisor's selector.

Runs in the supervisor: one thread of its own, which does everything that may block; the other methods return at once.
The only module that knows watchfiles. Rules that hold: nothing is lost between two sets of watches, a new folder is watched
first and walked then; whatever goes wrong costs a line and ends in polling, never in silence; the line is handed out by
`take`, in the thread of the caller.

About watchfiles 1.x, found out by reading and by trial: `RustNotify.watch` throws away what it has gathered when it
returns `timeout` or `stop`, but not when `stop_event` raises, so that is how it is asked without waiting. An event on a
name that is not UTF-8, even an `open`, makes every later call raise. An overflow of the kernel's queue is not reported.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from devserver.record import Record
from devserver.supervisor.checkout import Checkout
from devserver.supervisor.folders import FolderTree, Lister, Outcome
from devserver.supervisor.ignore import IgnoreRules
from devserver.supervisor.lookout import POLL_S, Lookout
from devserver.supervisor.polling import Mounts
from devserver.supervisor.watches import Events, SourceFactory, Watches, explain

if TYPE_CHECKING:
    from watchfiles._rust_notify import RustNotify

BUSY_STEP_S = 0.005
QUIET_STEP_S = 0.05
SETTLE_STEP_S = 0.002  # a save is often several events; they belong into one batch
SETTLE_S = 0.05
CHECK_SHARE = 0.001  # of a core, at most, for seeing whether roots were replaced
SURVEY_SHARE = 0.2  # of the thread's time for walking new folders, so that a thousand new ones cost a few walks
SURVEY_HOLD_S = 0.1
# From here on the kernel's queue may have overflowed: fs.inotify.max_queued_events is 16384, a new file gives up to four.
BURST = 2_000


class Batch(Record):
    """What came since the last `take`."""

    paths: frozenset[str] = frozenset()  # absolute, under every name known; undecodable bytes as surrogates (PEP 383)
    rescan: bool = False  # events may have been lost: compare everything that was read
    failed: str | None = None  # why something is polled from now on that should have been watched


class _NoMoreEventsError(Exception):
    """Ends `RustNotify.watch` without a loss."""


class NativeSource:
    """A RustNotify. Raises FileNotFoundError, PermissionError or OSError (limits) like it when made."""

    def __init__(self, folders: Sequence[str]) -> None:
        recursive = sys.platform == "darwin"  # FSEvents watches trees; a stream per folder would restart it for each
        self._native = _rust_notify_class()(list(folders), False, False, 300, recursive, False)
        self._asked = 0

    def drain(self) -> Events:
        self._asked = 0
        try:
            events = self._native.watch(0, 0, 0, self)
        except _NoMoreEventsError:
            return set()
        return events if isinstance(events, set) else set()

    def is_set(self) -> bool:
        """Called by `watch` before each look: it returns events at the second, and would look for ever without any."""
        self._asked += 1
        if self._asked > 2:
            raise _NoMoreEventsError
        return False

    def close(self) -> None:
        self._native.close()


def _rust_notify_class() -> type[RustNotify]:
    # watchfiles' __init__ imports anyio: 40 ms and 5 MB for a loop that is not used. The extension alone takes 1 ms.
    name = "watchfiles._rust_notify"
    if name not in sys.modules:
        package = importlib.util.find_spec("watchfiles")
        folders = package.submodule_search_locations if package is not None else None
        spec = importlib.machinery.PathFinder.find_spec(name, folders)
        if spec is not None and spec.loader is not None:
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            sys.modules[name] = module
    found: type[RustNotify] = importlib.import_module(name).RustNotify
    return found


@dataclass(slots=True)
class _Pending:
    paths: set[str] = field(default_factory=set)
    rescan: bool = False
    failed: str | None = None

    def __bool__(self) -> bool:
        return bool(self.paths or self.rescan or self.failed)


class Watcher:
    """Watches the roots, and what it is told later, until it is closed.

    The first batch is a rescan: it says that the watches stand, and asks to compare once what was read before. `notify`
    gets lines for the terminal; it is called by `take`. With `poll` no events are asked for and the paths of
    `watched_reads` are looked at about twice a second.
    """

    def __init__(
        self,
        roots: Sequence[Path],
        rules: IgnoreRules,
        *,
        poll: bool,
        notify: Callable[[str], None],
        source: SourceFactory = NativeSource,
        lister: Lister = os.scandir,
    ) -> None:
        self._notify = notify
        self._native = not poll
        mounts = Mounts.of_this_process()
        self._tree = FolderTree(rules, lister=lister, mounts=mounts)
        self._checkout = Checkout([str(root.absolute()) for root in roots])
        self._lookout = Lookout(self._tree, rules, mounts, with_events=not poll)
        self._readable, self._writable = socket.socketpair()
        self._readable.setblocking(False)
        self._writable.setblocking(False)

        # Shared with the thread.
        self._lock = threading.Lock()
        self._asked = threading.Event()
        self._ready = _Pending()
        self._lines: list[str] = []
        self._new_roots = [str(root.absolute()) for root in roots]
        self._new_listed: list[str] = []
        self._new_reads: frozenset[str] | None = None
        self._busy = True
        self._closing = False

        # The thread's own.
        self._watches = Watches(self._tree, source)
        self._held = _Pending()
        self._surveys: set[str] = set()
        self._surveys_since = 0.0
        self._held_up = False
        self._next_survey = self._next_check = 0.0
        self._burst, self._burst_since = 0, 0.0
        self._said: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)
        self._thread.start()

    # --- the caller's side ---

    def fileno(self) -> int:
        """Readable while `take` has something to give."""
        return self._readable.fileno()

    def take(self) -> Batch:
        """What happened since the last call; empty if nothing did. Calls `notify`. Does not wait."""
        with self._lock:
            try:
                while self._readable.recv(4096):
                    pass
            except BlockingIOError:
                pass
            taken, self._ready = self._ready, _Pending()
            lines, self._lines = self._lines, []
        for line in lines:
            self._notify(line)
        return Batch(frozenset(taken.paths), taken.rescan, taken.failed)

    def watch_also(self, files_or_folders: Iterable[str]) -> None:
        """Want these absolute paths as well: a folder with all below it, a file by itself. They may not exist yet."""
        with self._lock:
            self._new_roots.extend(files_or_folders)
        self._asked.set()

    def watch_names(self, folders: Iterable[str]) -> None:
        """Want what comes and goes in these folders, named by absolute real paths, and nothing of what is below that."""
        with self._lock:
            self._new_listed.extend(folders)
        self._asked.set()

    def watched_reads(self, paths: Iterable[str]) -> None:
        """All that was read and should be noticed, in place of what was told before; polled where no events come from."""
        with self._lock:
            self._new_reads = frozenset(paths)
        self._asked.set()

    def set_pace(self, busy: bool) -> None:
        """Look for events every 5 ms while busy, every 50 ms otherwise."""
        if busy != self._busy:
            self._busy = busy
            self._asked.set()

    def is_alive(self) -> bool:
        """Whether the thread runs: until `close`, whatever happens."""
        return self._thread.is_alive()

    def close(self, deadline_s: float = 1.0) -> None:
        """End the thread, or leave it to the end of the process if it hangs (a dead network mount) past the deadline."""
        self._closing = True
        self._asked.set()
        self._thread.join(deadline_s)
        if not self._thread.is_alive():
            self._readable.close()
            self._writable.close()

    # --- the thread ---

    def _run(self) -> None:
        first = True
        self._held.rescan = True
        while not self._closing:
            try:
                if not first:
                    self._asked.wait(self._patience())
                self._asked.clear()
                self._turn()
                first = False
            except BaseException as error:  # a panic in Rust is no Exception
                first = False
                self._give_up(error)
        self._watches.close()

    def _patience(self) -> float:
        """Seconds until there is something to do that nobody wakes the thread for."""
        if self._held or self._surveys:
            return BUSY_STEP_S
        if self._native:
            return BUSY_STEP_S if self._busy else QUIET_STEP_S
        return self._lookout.patience_s()

    def _turn(self) -> None:
        self._obey()
        if self._native:
            self._gather()
            now = time.monotonic()
            if now >= self._next_check:
                self._absorb(self._tree.check(self._tree.roots))
                self._tree.check_narrow()
                self._next_check = now + max(POLL_S, (time.monotonic() - now) / CHECK_SHARE)
            if now >= self._next_survey and (self._surveys or self._tree.is_unsettled):
                self._explore()
        self._held.paths |= self._lookout.look()
        self._deliver()

    def _obey(self) -> None:
        if not self._new_roots and not self._new_listed and self._new_reads is None:
            return
        with self._lock:
            roots, self._new_roots = self._new_roots, []
            listed, self._new_listed = self._new_listed, []
            reads, self._new_reads = self._new_reads, None
        roots = [root for root in map(os.path.normpath, roots) if root not in self._tree.roots]
        for root in roots:
            self._tree.add_root(root)
        for folder in listed:
            self._tree.add_listed(folder)
        outcome = self._tree.check(roots)
        if self._native:
            self._absorb(outcome)
        if reads is not None:
            self._lookout.follow(reads)

    def _absorb(self, outcome: Outcome) -> None:
        self._held.paths |= outcome.paths
        self._held.rescan = self._held.rescan or outcome.rescan
        if outcome.surveys and not self._surveys:
            self._surveys_since = time.monotonic()
        self._surveys |= outcome.surveys

    # --- events ---

    def _gather(self) -> None:
        """Take what the sources have, and what follows on its heels."""
        end: float | None = None
        while True:
            drained = self._watches.drain()
            if drained.lost or self._is_burst(len(drained.events)):
                self._suspect_loss()
            if not drained.events:
                return
            self._absorb(self._tree.digest(drained.events))
            end = end or time.monotonic() + SETTLE_S
            if time.monotonic() >= end:
                return
            time.sleep(SETTLE_STEP_S)

    def _is_burst(self, count: int) -> bool:
        """Whether so many events came within a second that others may have found no place in the kernel's queue."""
        now = time.monotonic()
        if now - self._burst_since > 1.0:
            self._burst, self._burst_since = 0, now
        self._burst += count
        if self._burst < BURST:
            return False
        self._burst = 0
        return True

    def _suspect_loss(self) -> None:
        """Events may have been lost, those of new folders among them."""
        self._absorb(Outcome(rescan=True, surveys=set(self._tree.roots.real)))

    def _explore(self) -> None:
        """Watch what is new, then walk it again: what came into a folder before its watch stood is found by the walk."""
        surveys, self._surveys = self._surveys, set()
        started = time.monotonic()
        self._tree.survey(surveys)
        fresh = self._tree.take_fresh()
        self._watches.add(fresh)
        roots = surveys & self._tree.roots.real if self._held.rescan else set()
        self._tree.survey(roots)  # a rescan says it all, and shorter
        seen = self._tree.survey(surveys - roots)
        seen |= {file for file in self._tree.files if os.path.dirname(file) in fresh}
        seen |= fresh & self._tree.listed
        self._held.paths.update(*map(self._tree.names, seen))
        # A folder that came between the two walks is watched by the next call, and walked again then.
        self._absorb(Outcome(surveys=set(self._tree.fresh)))
        self._watches.tidy(self._tree.take_retired())
        self._report_trouble()
        self._lookout.tree_changed()
        now = time.monotonic()
        self._next_survey = now + (now - started) * (1 / SURVEY_SHARE - 1)

    def _give_up(self, error: BaseException) -> None:
        """Something that was not foreseen: from here on, polling alone."""
        reason = explain(error)
        self._say(f"the watcher failed ({reason}); files are looked at about twice a second instead")
        self._held.rescan = True
        self._surveys.clear()
        if not self._native:
            self._asked.wait(POLL_S)
        else:
            self._native = False
            self._held.failed = reason
            self._tree.refuse_all(reason)
            self._watches.close()
            self._lookout.expect_no_events()
        self._deliver()

    # --- to the caller ---

    def _deliver(self) -> None:
        if not self._held:
            return
        if self._surveys and time.monotonic() - self._surveys_since < SURVEY_HOLD_S:
            return
        held_up, self._held_up = self._held_up, self._checkout.is_going_on()
        if held_up or self._held_up:
            return  # one turn more after the lock is gone: the last events may still be on their way
        held, self._held = self._held, _Pending()
        with self._lock:
            self._ready.paths |= held.paths
            self._ready.rescan = self._ready.rescan or held.rescan
            self._ready.failed = held.failed or self._ready.failed
            self._wake()

    def _report_trouble(self) -> None:
        failure, self._watches.failure = self._watches.failure, None
        if failure is not None:
            self._held.failed = failure
            self._held.rescan = True
        by_reason: dict[str, list[str]] = {}
        for folder, reason in self._tree.take_refusals():
            by_reason.setdefault(reason, []).append(folder)
        for reason, folders in by_reason.items():
            others = f" and {len(folders) - 1} more folders" if len(folders) > 1 else ""
            self._say(f"{printable(min(folders))}{others}: no events, polled instead, because {reason}")

    def _say(self, line: str) -> None:
        """Each line once: what is wrong with a folder is found again by every walk."""
        if line in self._said:
            return
        self._said.add(line)
        with self._lock:
            self._lines.append(line)
            self._wake()

    def _wake(self) -> None:
        try:
            self._writable.send(b"\0")
        except BlockingIOError:
            pass  # full of wake-ups that nobody has taken yet


def printable(path: str) -> str:
    """The path with undecodable bytes escaped, for a terminal."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
