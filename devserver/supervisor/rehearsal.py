"""What happens behind the running server, so that the next save costs less: a pure table, (state, event) → (state, commands).

Runs in the supervisor, inside `rehearsals.py`. A *rehearsal* is a load that does not serve: its state is digested and compared. An
exact one loads in the original order; one that hoists imports before the edited files what does not depend on them, and leaves the
checkpoints of the branch behind. Rules that hold:

- The branch is continued from only after a load through it was found equal to an exact one.
- A server that continued from the branch is compared again, with what was saved; if the exact load differs, that one serves.
- What differs between two exact loads as well (clocks, ids), or only because the branch is older, is left out of all comparisons.
- One rehearsal loads at a time; all end when something new is to be loaded.
- A file whose order mattered is loaded exactly from then on; a module that cannot be hoisted is not tried again.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import assert_never

from devserver.importgraph import ImportGraph
from devserver.messages import FIRST_REQUESTS, OF_CACHES, OF_LIBRARIES, HoistLevel
from devserver.record import Record, replace
from devserver.supervisor.hoistlist import MAX_FILES, MIN_GAIN_MS, hoist_levels

MIN_LOAD_MS = 50.0
"""A resume that takes less than this is not worth the work behind it."""
MAX_LATE = 2_000
RAISES = "in another one it raises"
MAX_STRUCK = 12
"""So many modules may turn out not to be hoistable, one rehearsal each."""


class Stage(StrEnum):
    """What is being waited for."""

    NOTHING = "nothing"
    EXACT = "the exact load"
    BRANCH = "the load that makes the branch"
    AGAIN = "a load from the branch, like the server's"
    PARTS = "the parts of what differs"
    DOUBT = "a second exact load, for the branch raises"
    VOLATILE = "a second exact load"
    VOLATILE_PARTS = "its parts"


class Subject(Record):
    """The server that runs."""

    edited: tuple[str, ...]  # the files that were saved, the latest first
    hoisted: bool  # it continued from the branch
    load_ms: float
    error: str = ""  # the gist of what its load raised
    is_true: bool = True  # what the branch has read is still there as it was


class Digest(Record):
    """What a rehearsal has come to."""

    digests: Mapping[str, str] = MappingProxyType({})
    complete: bool = True
    error: str = ""


Structure = tuple[tuple[str, str, str | None, frozenset[str]], ...]


class State(Record):
    last: int = 0  # rehearsals are counted downwards
    stage: Stage = Stage.NOTHING
    subject: Subject | None = None
    exact: int = 0  # the rehearsals that live, by what they are
    hoisted: int = 0
    second: int = 0
    digests: Mapping[int, Digest] = MappingProxyType({})
    parts: Mapping[int, Mapping[str, str]] = MappingProxyType({})
    makes_branch: bool = False  # the rehearsal that hoists does
    suspected: tuple[str, ...] = ()  # parts in which a load from the branch differs; it is made anew because of them
    graph: ImportGraph = ImportGraph()  # of the last exact load
    files: tuple[str, ...] = ()  # for which the branch is
    levels: tuple[HoistLevel, ...] = ()  # of the branch
    built_early: tuple[str, ...] = ()  # in the branch
    structure: Structure = ()  # of the load when the branch was first made
    approved: bool = False
    late: tuple[str, ...] = ()  # what first requests have imported
    built: tuple[str, ...] = ()  # and built
    struck: frozenset[str] = frozenset()
    exact_only: frozenset[str] = frozenset()
    volatile: frozenset[str] = frozenset()
    gave_up: bool = False  # the app cannot be loaded beside itself

    def early(self) -> tuple[str, ...]:
        """What is built before first requests."""
        return () if FIRST_REQUESTS in self.struck else self.built

    def alive(self) -> tuple[int, ...]:
        return tuple(number for number in (self.exact, self.hoisted, self.second) if number)


# --- events ---


class Settled(Record):
    """A server answers, and nothing happened for a moment; or its load through the branch has failed."""

    subject: Subject


class Overtaken(Record):
    """Something new is to be loaded, or the server is gone."""


class BranchLost(Record):
    """Nobody can continue from the branch any more."""


class GraphKnown(Record):
    rehearsal: int
    graph: ImportGraph


class LateImported(Record):
    """The first requests of a server have imported these modules of libraries, and built this."""

    modules: tuple[str, ...]
    built: tuple[str, ...] = ()


class Digested(Record):
    rehearsal: int
    digest: Digest


class Described(Record):
    rehearsal: int
    parts: Mapping[str, str]


class NotHoistable(Record):
    """The rehearsal has ended because of this module, or, if it is "", because the process cannot be frozen there."""

    rehearsal: int
    module: str
    reason: str


class Ended(Record):
    """A rehearsal is gone that nobody has ended."""

    rehearsal: int


Event = Settled | Overtaken | BranchLost | GraphKnown | LateImported | Digested | Described | NotHoistable | Ended


# --- commands ---


class Start(StrEnum):
    """From where a rehearsal continues."""

    END = "end"  # the last checkpoint of the line
    FILES = "files"  # the last before all of the files
    BRANCH = "branch"  # from where the server did


class Rehearse(Record):
    rehearsal: int
    start: Start
    files: tuple[str, ...] = ()
    levels: tuple[HoistLevel, ...] = ()
    extends_line: bool = False  # its checkpoints take the place of those that the save has ended


class End(Record):
    rehearsal: int


class Describe(Record):
    rehearsal: int
    labels: tuple[str, ...]


class Approve(Record):
    """The branch may be continued from."""


class LeaveBranch(Record):
    pass


class Prefer(Record):
    """This rehearsal is to serve, in place of the server."""

    rehearsal: int
    file: str
    why: str  # a clause, of what is so in another order


class TellExactOnly(Record):
    """This file is loaded in the exact order from now on."""

    file: str
    why: str


Command = Rehearse | End | Describe | Approve | LeaveBranch | Prefer | TellExactOnly
Step = tuple[State, list[Command]]


def advance(state: State, event: Event) -> Step:
    """What `event` means in `state`. Pure and total: an event about a rehearsal that is no more changes nothing."""
    match event:
        case Settled(subject=subject):
            return _settled(state, subject)
        case Overtaken():
            return _rest(state, keep_branch=state.approved)
        case BranchLost():
            return _rest(replace(state, approved=False, levels=(), files=()), keep_branch=False)
        case GraphKnown(rehearsal=number, graph=graph):
            return (replace(state, graph=graph) if number == state.exact else state), []
        case LateImported(modules=modules, built=built):
            return replace(state, late=_joined(state.late, modules), built=_joined(state.built, built)), []
        case Digested():
            return _digested(state, event)
        case Described():
            return _described(state, event)
        case NotHoistable():
            return _not_hoistable(state, event)
        case Ended(rehearsal=number):
            if number not in state.alive():
                return state, []
            if state.suspected and number != state.exact:
                return _differs(state, _about(state.suspected[0]))
            return _rest(state, keep_branch=state.approved, gone=number)
        case _:
            assert_never(event)


def _joined(known: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*known, *more)))[:MAX_LATE]


def _settled(state: State, subject: Subject) -> Step:
    state, commands = _rest(state, keep_branch=state.approved)
    is_worth = subject.load_ms >= MIN_LOAD_MS and not subject.error and not state.gave_up and _hoistable(state, subject)
    if not subject.hoisted and not is_worth:  # what was hoisted is always compared
        return state, commands
    state = replace(state, subject=subject, stage=Stage.EXACT)
    state, number = _next(state)
    # What was frozen of an exact load is as good as the load.
    return replace(state, exact=number), [*commands, Rehearse(number, Start.END, extends_line=subject.hoisted)]


def _hoistable(state: State, subject: Subject) -> tuple[str, ...]:
    """The files for which there may be a branch, none if the one that was saved last has to be loaded exactly."""
    if subject.edited[:1] and subject.edited[0] in state.exact_only:
        return ()
    return tuple(file for file in subject.edited if file not in state.exact_only)


def _next(state: State) -> tuple[State, int]:
    return replace(state, last=state.last - 1), state.last - 1


def _rest(state: State, *, keep_branch: bool, gone: int = 0) -> Step:
    """Nothing is done behind the server any more."""
    commands: list[Command] = [End(number) for number in state.alive() if number != gone]
    if state.levels and not keep_branch:
        commands.append(LeaveBranch())
        state = replace(state, levels=(), files=(), approved=False)
    idle = replace(state, stage=Stage.NOTHING, subject=None, exact=0, hoisted=0, second=0, makes_branch=False)
    return replace(idle, digests={}, parts={}, suspected=()), commands


# --- what a rehearsal has come to ---


def _digested(state: State, event: Digested) -> Step:
    number, digest = event.rehearsal, event.digest
    if number not in state.alive():
        return state, []
    state = replace(state, digests={**state.digests, number: digest})
    match state.stage:
        case Stage.EXACT if number == state.exact:
            return _exact_ended(state, digest)
        case Stage.BRANCH | Stage.AGAIN if number == state.hoisted:
            return _hoisted_ended(state)
        case Stage.DOUBT if number == state.second:
            if digest.error:  # it raises in any order: beside the server
                return _rest(replace(state, gave_up=True), keep_branch=False)
            return _differs(state, RAISES)
        case Stage.VOLATILE if number == state.second:
            if digest.error:
                return _differs(state, f"a second load raises {digest.error}")
            labels = tuple(_differing(state, state.exact, state.hoisted))
            return replace(state, stage=Stage.VOLATILE_PARTS), [Describe(number, labels)]
        case _:
            return state, []


def _exact_ended(state: State, digest: Digest) -> Step:
    subject = state.subject
    assert subject is not None
    if not subject.hoisted:
        if digest.error:  # the server has loaded the same: it cannot be loaded beside it
            return _rest(replace(state, gave_up=True), keep_branch=state.approved)
        return _make_branch(state)
    if digest.error and subject.error:  # both show a page about it
        same = digest.error == subject.error
        return _rest(state, keep_branch=True) if same else _differs(state, "in another one it raises something else")
    if digest.error:
        return _differs(state, "in another one it raises nothing")
    if subject.error:
        return _differs(state, RAISES)
    state, hoisted = _next(state)
    return replace(state, stage=Stage.AGAIN, hoisted=hoisted), [Rehearse(hoisted, Start.BRANCH)]


def _make_branch(state: State) -> Step:
    """Unless the one that there is would be made again."""
    subject = state.subject
    assert subject is not None
    files = _hoistable(state, subject)
    if not files:
        return _rest(state, keep_branch=state.approved)
    # A gain that lies near the least is not the same twice.
    as_before = (_levels(state, state.files, min_gain_ms=gain) for gain in (MIN_GAIN_MS, MIN_GAIN_MS / 2))
    if files[0] in state.files and state.levels in as_before and state.early() == state.built_early:
        return _rest(state, keep_branch=state.approved)  # it serves for all of its files
    levels = _levels(state, files)
    if not levels:
        return _rest(state, keep_branch=False)
    state, number = _next(state)
    state = replace(state, stage=Stage.BRANCH, hoisted=number, makes_branch=True, approved=False)
    state = replace(
        state, files=files[:MAX_FILES], levels=levels, built_early=state.early(), structure=state.graph.structure()
    )
    return state, [Rehearse(number, Start.FILES, files, levels)]


def _levels(state: State, files: tuple[str, ...], *, min_gain_ms: float = MIN_GAIN_MS) -> tuple[HoistLevel, ...]:
    """What is to be imported before these files; what first requests import comes last."""
    levels = hoist_levels(state.graph, files, state.struck, min_gain_ms=min_gain_ms)
    if not levels:
        return ()
    late = tuple(name for name in state.late if name not in state.struck)
    return (*levels[:-1], replace(levels[-1], modules=(*levels[-1].modules, *late)))


def _hoisted_ended(state: State) -> Step:
    exact, hoisted = state.digests[state.exact], state.digests[state.hoisted]
    if hoisted.error and state.suspected:
        return _differs(state, _about(state.suspected[0]))
    if hoisted.error and state.makes_branch:
        state, number = _next(replace(state, stage=Stage.DOUBT))
        return replace(state, second=number), [Rehearse(number, Start.FILES, state.files)]
    if hoisted.error:
        return _differs(state, RAISES)
    if not (exact.complete and hoisted.complete):
        return _differs(state, "there is too much to compare")
    labels = tuple(_differing(state, state.exact, state.hoisted))
    if not labels:
        return _is_equal(state)
    if more := [label for label in labels if label not in exact.digests]:
        return _differs(state, f"nobody imports {more[0]} any more", for_good=state.makes_branch)
    return replace(state, stage=Stage.PARTS), [Describe(number, labels) for number in (state.exact, state.hoisted)]


def _differing(state: State, one: int, other: int) -> list[str]:
    """What the digests are about that differ."""
    return _unequal(state.digests[one].digests, state.digests[other].digests)


def _unequal(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """Of libraries and caches what both have counts: what else is there depends on who was asked first."""
    return sorted(
        key
        for key in {*one, *other}
        if one.get(key) != other.get(key)
        and not (
            key.startswith((OF_LIBRARIES, OF_CACHES))
            and (key not in one or key not in other or key.endswith(" (order)"))
        )
    )


def _described(state: State, event: Described) -> Step:
    if event.rehearsal not in state.alive():
        return state, []
    state = replace(state, parts={**state.parts, event.rehearsal: event.parts})
    if state.exact not in state.parts or state.hoisted not in state.parts:
        return state, []
    differing = _unequal(state.parts[state.exact], state.parts[state.hoisted])
    match state.stage:
        case Stage.PARTS:
            if state.volatile.issuperset(differing):
                return _is_equal(state)
            if not state.makes_branch and _is_only_older(state):
                return _make_anew(state, tuple(part for part in differing if part not in state.volatile))
            state, number = _next(state)
            state = replace(state, stage=Stage.VOLATILE, second=number)
            return state, [Rehearse(number, Start.FILES, state.files)]
        case Stage.VOLATILE_PARTS if state.second in state.parts:
            volatile = state.volatile.union(_unequal(state.parts[state.exact], state.parts[state.second]))
            state = replace(state, volatile=volatile)
            left = [part for part in differing if part not in volatile]
            return _differs(state, _about(left[0]), for_good=state.makes_branch) if left else _is_equal(state)
        case _:
            return state, []


def _is_only_older(state: State) -> bool:
    """Can age alone explain what differs? Not if the edited file has written what the branch had read before."""
    return state.subject is not None and state.subject.is_true and state.graph.structure() == state.structure


def _make_anew(state: State, suspected: tuple[str, ...]) -> Step:
    """The same branch: what it holds may be older than what the exact load has come to, and no more than that. Where other modules
    run than then, or in another order, age would explain nothing."""
    ended = state.hoisted
    state, number = _next(state)
    state = replace(
        state, stage=Stage.BRANCH, hoisted=number, makes_branch=True, approved=False, suspected=suspected, parts={}
    )
    return state, [End(ended), Rehearse(number, Start.FILES, state.files, state.levels)]


def _is_equal(state: State) -> Step:
    if state.makes_branch:
        state = replace(state, approved=True, volatile=state.volatile.union(state.suspected))
        state, commands = _rest(state, keep_branch=True)
        return state, [Approve(), *commands]
    # The server is right. What was saved may import other things than before, and another file may have been saved.
    ended = [End(number) for number in (state.hoisted, state.second) if number]
    state = replace(state, hoisted=0, second=0)
    state, commands = _make_branch(state)
    return state, [*ended, *commands]


def _about(part: str) -> str:
    return f"in another one {part} differs"


def _differs(state: State, why: str, *, for_good: bool = True) -> Step:
    """The order matters: the exact load is right. Not `for_good`: the order was for what the file was before."""
    subject = state.subject
    assert subject is not None
    file = subject.edited[0]
    chosen = state.exact
    is_taken = subject.hoisted and (not state.makes_branch or bool(state.suspected))
    if for_good:
        state = replace(state, exact_only=state.exact_only | {file})
    state, commands = _rest(state, keep_branch=False, gone=chosen if is_taken else 0)
    if is_taken:
        return state, [*commands, Prefer(chosen, file, why)]
    return state, [*commands, TellExactOnly(file, why)]


def _not_hoistable(state: State, event: NotHoistable) -> Step:
    if event.rehearsal != state.hoisted:
        return state, []
    state = replace(state, hoisted=0)
    if not state.makes_branch:
        return _rest(state, keep_branch=state.approved)
    if state.suspected:
        return _differs(state, _about(state.suspected[0]))
    if not event.module or event.module in state.struck or len(state.struck) >= MAX_STRUCK:
        assert state.subject is not None
        state = replace(state, exact_only=state.exact_only | {state.subject.edited[0]})
        return _rest(state, keep_branch=False)
    return _make_branch(replace(state, struck=state.struck | {event.module}, files=()))
