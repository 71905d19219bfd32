"""The life cycle as a pure table: (state, event) → (state, commands).

Runs in the supervisor, inside `loop.py`, which turns what happens outside into events and carries the commands out. Here is no
process, socket, clock or print. Rules that hold:

- At most one server is loading or serving (`current`), at most one stands in with a page for one that hangs or died; those before
  them drain side by side, each with a deadline of its own, so a save soon after another cuts nothing short.
- The old server stops accepting the moment a change is acted on; connections wait in the backlog until the new one serves.
- A newer change overtakes a running load.
- While a debugger prompt is open nothing is killed, drained or resumed; the wish to load waits (`wanted`).
- A wish to load holds the deepest checkpoint from which it may continue, in the line and in the branch; two wishes hold the less
  deep of theirs.
- Who dies on its way from a checkpoint is tried once more from the root: what was frozen may be what kills it.
- Every `Drain` and every stop starts a deadline, and the deadline ends in a kill.
"""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

from devserver.record import Record, replace
from devserver.report import Report
from devserver.supervisor.commands import (
    Command,
    Exit,
    KillServer,
    LetDrain,
    LetServe,
    Notice,
    OpenEditor,
    ReadStack,
    Refresh,
    Resume,
    RetireRoot,
    SpawnRoot,
    StartTimer,
    TakeOver,
    Tell,
    TellBrowsers,
)
from devserver.supervisor.events import (
    Began,
    ChecksFailed,
    EditorAsked,
    Ended,
    Event,
    Loaded,
    LoadRaised,
    PromptClosed,
    PromptOpened,
    RefreshDecided,
    RehearsalPreferred,
    RequestArrived,
    RestartDecided,
    ResumeDecided,
    RootEnded,
    RootStarted,
    StackRead,
    StopAsked,
    Timer,
    TimerFired,
    TookExclusive,
)

HANG_S = 5.0
"""How long a load may take before the page says where it hangs."""
SETTLED_S = 1.0
"""A server that lived this long after it began to serve did not die at its start."""
MAX_EARLY_DEATHS = 3
"""So many deaths in a row at start, and only a save tries again."""
SHUTDOWN_S = 0.9
"""What a server gets on top of the grace of its requests for its own shutdown (lifespan, atexit)."""
MAX_ROOT_DEATHS = 3
DEEPEST = 1 << 30
"""The last checkpoint of the chain, wherever that is."""
MAX_DRAINING = 8
"""So many old servers finish what they began; the oldest has to go for one more."""


class Phase(StrEnum):
    LOADING = "loading"
    READY = "ready"  # loaded, asked to serve
    SERVING = "serving"


class Role(StrEnum):
    TARGET = "target"
    STAND_IN = "stand-in"  # serves a page about a target that hangs or died


class Server(Record):
    number: int
    generation: int = 0  # by which browsers tell whether they show the newest
    role: Role = Role.TARGET
    phase: Phase = Phase.LOADING
    broken: bool = False  # the load raised: it serves the error page
    used: bool = False  # a request has begun
    exclusive: tuple[str, ...] = ()


class Wanted(StrEnum):
    NOTHING = ""
    RESUME = "resume"
    RESTART = "restart"


class State(Record):
    grace_s: float = 2.0
    reload: bool = True
    root_up: bool = False
    last_number: int = 0
    current: Server | None = None
    stand_in: Server | None = None
    draining: tuple[Server, ...] = ()  # the oldest first
    wanted: Wanted = Wanted.RESUME  # a load that is to begin as soon as it may
    position: int = DEEPEST  # the checkpoint from which it may continue
    hoisted: int = DEEPEST  # that of the branch
    inherited: int = 0  # the generation of a server that died while it served, if it is loaded again as it was
    prompts: tuple[int, ...] = ()  # the servers at a breakpoint: the first has the terminal, the others wait for it
    early_deaths: int = 0
    root_deaths: int = 0
    stopping: bool = False

    @property
    def prompt(self) -> int:
        """The server whose debugger prompt is open, or 0."""
        return self.prompts[0] if self.prompts else 0

    def servers(self) -> tuple[Server, ...]:
        return (*(s for s in (self.current, self.stand_in) if s is not None), *self.draining)


Step = tuple[State, list[Command]]


def start(*, grace_s: float, reload: bool) -> State:
    """The state before anything has happened. The root has been spawned already."""
    return State(grace_s=grace_s, reload=reload, position=0, hoisted=0)


def advance(state: State, event: Event) -> Step:
    """What `event` means in `state`. Pure and total: an event about a server that is no more changes nothing."""
    match event:
        case StopAsked():
            return _stop(state)
        case TimerFired(timer=Timer.STOP):
            return _kill_all(state)
        case Ended():
            return _ended(state, event)
        case TimerFired():
            return _timer_fired(state, event)
        case _ if state.stopping:
            return state, []
        case RootStarted():
            return _load_if_possible(replace(state, root_up=True))
        case RootEnded():
            return _root_ended(state, event)
        case Loaded():
            return _loaded(state, event.server, event.exclusive, None)
        case LoadRaised():
            return _loaded(state, event.server, event.exclusive, event.report)
        case ChecksFailed():
            return _checks_failed(state, event)
        case Began():
            return _began(state, event.server)
        case RequestArrived():
            return _update_current(state, event.server, used=True)
        case TookExclusive():
            held = state.current.exclusive if state.current else ()
            return _update_current(state, event.server, exclusive=(*held, event.what))
        case StackRead():
            return _stack_read(state, event)
        case ResumeDecided(position=position, hoisted=hoisted):
            return _want(replace(state, early_deaths=0, root_deaths=0), Wanted.RESUME, position, hoisted)
        case RehearsalPreferred(server=number):
            return _take_over(state, number)
        case RestartDecided():
            return _want(replace(state, early_deaths=0, root_deaths=0), Wanted.RESTART)
        case RefreshDecided():
            if state.current is None:
                return state, []
            return state, [Refresh(state.current.number, event.paths, event.watched)]
        case PromptOpened():
            return _prompt_opened(state, event.server)
        case PromptClosed():
            return _prompt_closed(state, event.server)
        case EditorAsked(path=path, line=line, column=column):
            return state, [OpenEditor(path, line, column)]  # whichever server's page it was, an old one's too
        case _:
            assert_never(event)


# --- loading ---


def _want(state: State, wanted: Wanted, position: int = 0, hoisted: int = 0) -> Step:
    """A load is wanted. What is wanted already is not weakened: a restart to a resume, a resume to one from further on."""
    if state.wanted is Wanted.RESTART:
        wanted = Wanted.RESTART
    told = state.wanted is not Wanted.NOTHING
    position, hoisted = min(state.position, position), min(state.hoisted, hoisted)
    state = replace(state, wanted=wanted, position=position, hoisted=hoisted, inherited=0)
    if state.prompt:
        return state, [] if told else [Tell(Notice.WAITING_FOR_PROMPT, state.prompt)]
    return _load_if_possible(state)


def _load_if_possible(state: State) -> Step:
    """Begin the load that is wanted, unless a prompt is open, the root is not there, or the old server has to be gone first."""
    if state.wanted is Wanted.NOTHING or state.prompt or state.stopping:
        return state, []
    if not state.root_up:
        return state, []  # the root that is starting has read nothing yet: it will load the newest state
    state, commands = _put_aside(state)
    if held := [what for server in state.draining for what in server.exclusive]:
        return state, [*commands, Tell(Notice.WAITING_FOR_EXCLUSIVE, detail=", ".join(held))]
    if state.wanted is Wanted.RESTART:
        return replace(state, root_up=False, wanted=Wanted.RESUME), [*commands, RetireRoot(), SpawnRoot()]
    number = state.last_number + 1
    server = Server(number, state.inherited or _generation(number))
    generation, inherits = server.generation, bool(state.inherited)
    resume = Resume(number, state.position, state.hoisted, generation=generation, inherits=inherits)
    state = replace(state, last_number=number, current=server, wanted=Wanted.NOTHING, inherited=0)
    state = replace(state, position=DEEPEST, hoisted=DEEPEST)
    return state, [*commands, resume, StartTimer(Timer.HANG, number, HANG_S)]


def _take_over(state: State, rehearsal: int) -> Step:
    """It has loaded already; what is left is its own start. Unless something newer is wanted."""
    if state.wanted is not Wanted.NOTHING or state.prompt:
        return state, [KillServer(rehearsal)]
    state, commands = _put_aside(state)
    number = state.last_number + 1
    server = Server(rehearsal, _generation(number))
    state = replace(state, last_number=number, current=server)
    return state, [*commands, TakeOver(rehearsal, server.generation), StartTimer(Timer.HANG, rehearsal, HANG_S)]


def _generation(number: int) -> int:
    """Of a server with something new. The one before is for who stands in for it, the one after for its page about itself."""
    return 3 * number


def _put_aside(state: State) -> Step:
    """End the current server and its stand-in: a loading one is killed, a serving one drained."""
    commands: list[Command] = []
    for server in (state.stand_in, state.current):
        if server is None:
            continue
        if server.phase is Phase.LOADING:
            commands.append(KillServer(server.number))
            continue
        state, drain = _drain(state, server)
        commands += drain
    return replace(state, current=None, stand_in=None), commands


def _drain(state: State, server: Server) -> Step:
    """Let it finish what it began, beside those that do so already."""
    commands: list[Command] = []
    draining = state.draining
    spare = [old for old in draining if old.number not in state.prompts]
    if len(draining) >= MAX_DRAINING and spare:
        commands.append(KillServer(spare[0].number))
        draining = tuple(old for old in draining if old is not spare[0])
    commands += [LetDrain(server.number), StartTimer(Timer.END, server.number, state.grace_s + SHUTDOWN_S)]
    return replace(state, draining=(*draining, server)), commands


def _loaded(state: State, number: int, exclusive: tuple[str, ...], report: Report | None) -> Step:
    """A target or a stand-in is ready to serve."""
    if state.stand_in is not None and state.stand_in.number == number:
        return replace(state, stand_in=replace(state.stand_in, phase=Phase.READY)), [LetServe(number)]
    current = state.current
    if current is None or current.number != number:
        return state, []
    if report is not None and not state.reload:
        state, commands = _kill_all(state, 1)
        return state, [Tell(Notice.LOAD_FAILED, number, report), *commands]
    current = replace(current, phase=Phase.READY, exclusive=exclusive, broken=report is not None)
    state, done = _dismiss_stand_in(state)
    done.append(LetServe(number))
    if report is not None:
        done.append(Tell(Notice.LOAD_FAILED, number, report))
    return replace(state, current=current), done


def _dismiss_stand_in(state: State) -> Step:
    """The page has served its turn: what it stood in for is ready."""
    page = state.stand_in
    if page is None:
        return state, []
    if page.phase is Phase.LOADING:
        return replace(state, stand_in=None), [KillServer(page.number)]
    return _drain(replace(state, stand_in=None), page)


def _began(state: State, number: int) -> Step:
    if state.stand_in is not None and state.stand_in.number == number:
        stand_in = replace(state.stand_in, phase=Phase.SERVING)
        state = replace(state, stand_in=stand_in)
        # While a load may yet end, a page that is open stays: it is loaded again once, when the target answers.
        return state, [TellBrowsers(stand_in.generation)] if state.current is None else []
    if state.current is None or state.current.number != number:
        return state, []
    current = replace(state.current, phase=Phase.SERVING)
    state = replace(state, current=current)
    tell = TellBrowsers(current.generation)
    return state, [tell, Tell(Notice.SERVING, number), StartTimer(Timer.SETTLED, number, SETTLED_S)]


def _checks_failed(state: State, event: ChecksFailed) -> Step:
    """It serves, but a page about itself."""
    current = state.current
    if current is None or current.number != event.server or current.phase is Phase.LOADING:
        return state, []
    tell = Tell(Notice.CHECKS_FAILED, current.number, event.report)
    if not state.reload:
        state, commands = _kill_all(state, 1)
        return state, [tell, *commands]
    current = replace(current, generation=current.generation + 1, broken=True)
    return replace(state, current=current), [tell, TellBrowsers(current.generation)]


def _update_current(state: State, number: int, **fields: object) -> Step:
    if state.current is None or state.current.number != number:
        return state, []
    return replace(state, current=replace(state.current, **fields)), []


# --- ends ---


def _ended(state: State, event: Ended) -> Step:
    number = event.server
    was = next((server for server in state.servers() if server.number == number), None)
    if was is None:
        return _exit_if_all_gone(state, [])
    state = _without_prompt(state, number)
    if was in state.draining:
        state = replace(state, draining=tuple(server for server in state.draining if server is not was))
    elif state.stand_in is not None and state.stand_in.number == number:
        state = replace(state, stand_in=None)
    elif not state.stopping:
        assert state.current is not None
        return _died(replace(state, current=None), state.current, event.status)
    else:
        state = replace(state, current=None)
    if state.stopping:
        return _exit_if_all_gone(state, [])
    return _load_if_possible(state)


def _died(state: State, server: Server, status: int) -> Step:
    """The current server ended although nobody asked it to. Try again, unless it keeps dying at its start."""
    loading = server.phase is Phase.LOADING
    tell = Tell(Notice.DIED_LOADING if loading else Notice.DIED_SERVING, server.number, status=status)
    if loading and not state.reload:
        state, commands = _kill_all(state, 1)
        return state, [tell, *commands]
    early = server.phase is not Phase.SERVING or not server.used
    state = replace(state, early_deaths=state.early_deaths + 1 if early else 0)
    if state.wanted is Wanted.NOTHING and state.early_deaths >= MAX_EARLY_DEATHS:
        state, dismissed = _dismiss_stand_in(state)  # what it says is no longer so
        return state, [*dismissed, tell, Tell(Notice.GAVE_UP, server.number), ReadStack(server.number, status)]
    if state.wanted is Wanted.NOTHING:
        # Nothing has changed, so pages stay: one whose script kills the server would do so for ever if it were loaded again.
        inherited = server.generation if server.phase is Phase.SERVING and not server.broken else 0
        furthest = 0 if early else DEEPEST
        state = replace(state, wanted=Wanted.RESUME, position=furthest, hoisted=furthest, inherited=inherited)
    state, commands = _load_if_possible(state)
    return state, [tell, *commands]


def _root_ended(state: State, event: RootEnded) -> Step:
    """Somebody killed the root, and the servers with it."""
    gone = replace(state, root_up=False, current=None, stand_in=None, draining=(), prompts=(), wanted=Wanted.RESUME)
    gone = replace(gone, position=0, hoisted=0, root_deaths=state.root_deaths + 1)
    tell = Tell(Notice.ROOT_DIED, status=event.status)
    if gone.root_deaths > MAX_ROOT_DEATHS:
        return replace(gone, stopping=True), [tell, Exit(1)]
    return gone, [tell, SpawnRoot()]


# --- time ---


def _timer_fired(state: State, event: TimerFired) -> Step:
    number = event.server
    match event.timer:
        case Timer.HANG:
            current = state.current
            if current is None or current.number != number or current.phase is not Phase.LOADING or state.stopping:
                return state, []
            if number in state.prompts:  # a person sits at a prompt: that is no hang
                return state, [StartTimer(Timer.HANG, number, HANG_S)]
            return state, [ReadStack(number)]
        case Timer.SETTLED:
            if state.current is not None and state.current.number == number:
                return replace(state, early_deaths=0, root_deaths=0), []
            return state, []
        case Timer.END:
            if number in state.prompts:
                return state, [StartTimer(Timer.END, number, state.grace_s + SHUTDOWN_S)]
            if any(server.number == number for server in state.servers()):
                return state, [KillServer(number), Tell(Notice.GRACE_OVER, number)]
            return state, []
        case Timer.STOP:
            return _kill_all(state)
        case _:
            assert_never(event.timer)


def _stack_read(state: State, event: StackRead) -> Step:
    """A page can be made: for the current server that hangs, or for the last one that died."""
    hangs = state.current is not None and state.current.number == event.server
    if hangs:
        assert state.current is not None
        if state.current.phase is not Phase.LOADING or state.stand_in is not None:
            return state, []
    elif state.current is not None or state.stand_in is not None or not state.root_up:
        return state, []  # a new load has begun since
    number = state.last_number + 1
    # Older than what it stands in for, which answers later, and newer than what came before.
    generation = state.current.generation - 1 if state.current is not None else _generation(number)
    stand_in = Server(number, generation, Role.STAND_IN)
    state = replace(state, last_number=number, stand_in=stand_in)
    commands: list[Command] = [Resume(number, stand_in=event.report, generation=generation)]
    if hangs:
        commands.append(Tell(Notice.HANGS, event.server, event.report))
    return state, commands


# --- the prompt, the stop ---


def _prompt_opened(state: State, number: int) -> Step:
    if number in state.prompts or all(server.number != number for server in state.servers()):
        return state, []
    return replace(state, prompts=(*state.prompts, number)), []


def _prompt_closed(state: State, number: int) -> Step:
    if number not in state.prompts:
        return state, []
    return _load_if_possible(_without_prompt(state, number))


def _without_prompt(state: State, number: int) -> State:
    return replace(state, prompts=tuple(prompt for prompt in state.prompts if prompt != number))


def _stop(state: State) -> Step:
    if state.stopping:
        return _kill_all(state)
    state = replace(state, stopping=True, wanted=Wanted.NOTHING)
    commands: list[Command] = [Tell(Notice.STOPPING), StartTimer(Timer.STOP, 0, state.grace_s + SHUTDOWN_S)]
    for server in state.servers():
        if server.phase is Phase.LOADING:
            commands.append(KillServer(server.number))
        elif server not in state.draining:
            commands.append(LetDrain(server.number))
    return _exit_if_all_gone(state, commands)


def _kill_all(state: State, code: int = 0) -> Step:
    """No more waiting."""
    commands: list[Command] = [KillServer(server.number) for server in state.servers()]
    return replace(state, stopping=True), [*commands, Exit(code)]


def _exit_if_all_gone(state: State, commands: list[Command]) -> Step:
    if state.stopping and not state.servers():
        return state, [*commands, Exit(0)]
    return state, commands
