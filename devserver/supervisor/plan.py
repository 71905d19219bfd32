"""What a change means: nothing, refresh, resume, restart.

Runs in the supervisor. Pure: all that was looked at on the disk is in the changes. Rules that hold:

- A file that no process has read never restarts anything, unless the user named it (`--reload-include`).
- What the app watches and did not read while it loaded, it is told of: it may ask for a restart.
- A file that was read resumes from the deepest checkpoint that had not read it; what the root has read restarts.
- Static files, and what a framework read below template and static roots while serving, refresh the browsers. What the user's own
  code read there may live on in its caches: it resumes.
- What the app writes while it serves never counts, unless it was executed as a source. What the load wrote is compared
  with how the load left it: it counts if it was also read, else it only keeps a resume from starting at a checkpoint
  that holds it.
- Once a process continues from a checkpoint, all that the checkpoint holds must still be true: see `recheck`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from devserver.readset import Aspect, Change, Read, ReadKind
from devserver.record import Record, replace
from devserver.signatures import PENDING, module_file, names_of


class Lookup(Protocol):
    """As much of a ReadSet as deciding takes."""

    def reads_of(self, path: str, /) -> Sequence[Read]: ...


def _never(path: str) -> bool:
    return False


class Rules(Record):
    """What the user and the loaded app say about paths. Both predicates are asked with absolute paths."""

    template_roots: tuple[str, ...] = ()
    static_roots: tuple[str, ...] = ()
    included: Callable[[str], bool] = _never  # --reload-include
    watched: Callable[[str], bool] = _never  # by the app: it says what a change means
    excluded: Callable[[str], bool] = _never  # --reload-exclude and the ignore rules


class Nothing(Record):
    """The server keeps running; nobody is told."""


class Refresh(Record):
    """No process ends: the server forgets what it holds of `paths`, the browsers load them again."""

    paths: tuple[str, ...]
    css_only: bool  # style sheets can be exchanged without a new page
    watched: tuple[str, ...] = ()  # the app wants to hear of these; what was read of them is in `paths` too


class Resume(Record):
    """Continue from the checkpoint with this index in the chain."""

    checkpoint: int
    paths: tuple[str, ...]
    hoisted: int = 0  # the index in the branch, if that reaches further


class Restart(Record):
    """A fresh interpreter: a new root."""

    paths: tuple[str, ...]
    reason: str  # one clause for the terminal


Decision = Nothing | Refresh | Resume | Restart


class _Weight(Record):
    """What one change comes to. Positions are those of the earliest read that it spoils."""

    resume: int | None = None
    refresh: bool = False
    tell: bool = False  # the app, which watches it
    holds: int | None = None  # no reason to resume, but checkpoints from here on hold an old state


_WEIGHTLESS = _Weight()


def decide(changes: Iterable[Change], chain: Sequence[Lookup], rules: Rules, *, recheck: bool = False) -> Decision:
    """What to do about `changes`.

    `chain`: the reads of each process in order, the root first, the server last; all but the last are checkpoints. A
    read at position p is in the state of the processes p, p + 1, …, so checkpoint p - 1 is the deepest without it.
    `recheck`: the server has just begun to load from the last checkpoint; what the load wrote counts then, read or not.
    """
    deepest = len(chain) - 2
    resumes: list[str] = []
    refreshes: list[str] = []
    told: list[str] = []
    for change in changes:
        if change.aspect is not Aspect.INSTALLED and rules.excluded(change.shown):
            continue
        weight = _weigh(change, chain, rules)
        if weight.resume is not None:
            resumes.append(change.shown)
            deepest = min(deepest, weight.resume - 1)
        elif weight.refresh or weight.tell:
            if weight.refresh:
                refreshes.append(change.shown)
            if weight.tell:
                told.append(change.shown)
        elif weight.holds is not None:
            deepest = min(deepest, weight.holds - 1)
            if recheck:
                resumes.append(change.shown)
    if resumes:
        paths = tuple(dict.fromkeys(resumes))
        if deepest < 0:
            return Restart(paths, "in a fresh interpreter")
        return Resume(deepest, paths)
    if refreshes or told:
        paths = tuple(dict.fromkeys(refreshes))
        css_only = bool(paths) and all(path.lower().endswith(".css") for path in paths)
        return Refresh(paths, css_only, watched=tuple(dict.fromkeys(told)))
    return Nothing()


class AtEnd:
    """What a process has read, as if it had been read last: behind the checkpoints of a line that is not its own."""

    def __init__(self, reads: Sequence[Lookup], position: int) -> None:
        self._reads = reads
        self._position = position

    def reads_of(self, path: str, /) -> Sequence[Read]:
        return [replace(read, position=self._position) for reads in self._reads for read in reads.reads_of(path)]


def furthest(
    changes: Iterable[Change], line: Sequence[Lookup], server: Sequence[Lookup], rules: Rules, *, recheck: bool = False
) -> int:
    """From which checkpoint of `line` one may continue after `changes`, which want a resume of a server with these reads: the last
    that they do not spoil."""
    match decide(changes, [*line, AtEnd(server, len(line))], rules, recheck=recheck):
        case Resume(checkpoint=position):
            return position
        case Restart():
            return 0
        case _:
            return len(line) - 1


def _weigh(change: Change, chain: Sequence[Lookup], rules: Rules) -> _Weight:
    reads = [read for process in chain for read in process.reads_of(change.path)]
    if not reads:
        # Who names it knows that it matters, but not to which part of the load.
        return _Weight(resume=1) if rules.included(change.path) else _Weight(tell=rules.watched(change.path))
    aspect = [read for read in reads if read.kind.aspect is change.aspect]
    match change.aspect:
        case Aspect.CONTENT:
            return _weigh_content(change, aspect, rules)
        case Aspect.NAMES:
            spoiled = [read for read in aspect if _names_differ(read, change, chain, rules)]
        case Aspect.MODULE:
            spoiled = [read for read in aspect if _module_differs(read, change, chain)]
        case Aspect.INSTALLED | Aspect.DISTRIBUTIONS:
            spoiled = [read for read in aspect if read.signature != change.signature]
        case Aspect.PRESENCE | Aspect.DETAILS | Aspect.LINK:
            is_own = any(read.kind is ReadKind.WRITTEN for read in reads)
            spoiled = [read for read in aspect if read.signature != change.signature and not is_own]
    return _weigh_spoiled(change, spoiled, rules)


def _weigh_content(change: Change, reads: Sequence[Read], rules: Rules) -> _Weight:
    written = [read for read in reads if read.kind is ReadKind.WRITTEN]
    left = next((read for read in reversed(written) if read.loading), None)
    if left is not None and left.signature == PENDING:
        return _WEIGHTLESS  # the load is at it; its end will tell

    def differs(read: Read) -> bool:
        # The load's own writing comes after its reading: the state it left is the one that a fresh start would leave.
        return change.signature != (read if left is None else left).signature

    spoiled = [read for read in reads if read.kind is not ReadKind.WRITTEN and differs(read)]
    if any(not read.loading for read in written):
        # A file that the app writes once (an editor in the browser) and that runs as a module is still a source.
        spoiled = [read for read in spoiled if read.kind is ReadKind.SOURCE]
    elif left is not None and differs(left) and not spoiled:
        return _Weight(holds=min(read.position for read in written))
    if any(read.kind is ReadKind.STATIC for read in reads):
        # Who sent it has opened it to do so.
        spoiled = [
            read for read in spoiled if read.loading or read.by_user or read.kind in (ReadKind.SOURCE, ReadKind.STATIC)
        ]
    return _weigh_spoiled(change, spoiled, rules)


def _weigh_spoiled(change: Change, spoiled: Sequence[Read], rules: Rules) -> _Weight:
    if not spoiled:
        return _WEIGHTLESS
    if rules.watched(change.path) and not any(read.loading or read.kind is ReadKind.SOURCE for read in spoiled):
        return _Weight(refresh=True, tell=True)
    in_roots = _lies_below(change.path, (*rules.template_roots, *rules.static_roots))
    positions = [
        read.position
        for read in spoiled
        if read.kind is ReadKind.SOURCE
        or (
            read.kind is not ReadKind.STATIC
            and (read.loading or read.by_user or not in_roots or read.kind is ReadKind.LOOKUP)
        )
    ]
    return _Weight(resume=min(positions)) if positions else _Weight(refresh=True)


def _names_differ(read: Read, change: Change, chain: Sequence[Lookup], rules: Rules) -> bool:
    """Does the folder hold other names than when it was listed, those aside that the app has written or that never
    matter?"""
    if read.signature == change.signature:
        return False
    then, now = names_of(read.signature), names_of(change.signature)
    if then is None or now is None:
        return True
    if then == now:  # the folder itself came or went
        return not is_written(change.path, chain)
    paths = (f"{change.path.rstrip('/')}/{name}" for name in then ^ now)
    return any(not rules.excluded(path) and not is_written(path, chain) for path in paths)


def _module_differs(read: Read, change: Change, chain: Sequence[Lookup]) -> bool:
    """Would the import find another file, by no doing of the app's own?"""
    if read.signature == change.signature:
        return False
    # What it finds now tells who did it, or else what is gone: of a folder that the app made others may make a package.
    file = module_file(change.path, change.signature) or module_file(change.path, read.signature)
    return not is_written(file, chain)


def is_written(path: str, chain: Sequence[Lookup]) -> bool:
    """Did the app open it for writing?"""
    return any(read.kind is ReadKind.WRITTEN for process in chain for read in process.reads_of(path))


def _lies_below(path: str, roots: Iterable[str]) -> bool:
    return any(path == root or path.startswith(root.rstrip("/") + "/") for root in roots)
