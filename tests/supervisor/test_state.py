"""The life cycle, by histories of events."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devserver.report import Occasion, Report
from devserver.supervisor import state as s
from devserver.supervisor.state import Notice, Phase, Timer

REPORT = Report(Occasion.LOAD, "it broke")


class Life:
    """A state, the events so far, and the commands of the last one."""

    def __init__(self, *, reload: bool = True, grace_s: float = 2.0) -> None:
        self.state = s.start(grace_s=grace_s, reload=reload)
        self.commands: list[s.Command] = []

    def after(self, *events: s.Event) -> Life:
        for event in events:
            self.state, self.commands = s.advance(self.state, event)
        return self

    def does(self, kind: type[s.Command]) -> list[s.Command]:
        return [command for command in self.commands if isinstance(command, kind)]

    def tells(self) -> list[Notice]:
        return [command.notice for command in self.commands if isinstance(command, s.Tell)]


def loading() -> Life:
    return Life().after(s.RootStarted())


def serving(**options: object) -> Life:
    life = Life(**options).after(s.RootStarted(), s.Loaded(1), s.Began(1))  # type: ignore[arg-type]
    assert life.state.current == s.Server(1, phase=Phase.SERVING)
    return life


def test_the_first_load_begins_when_the_root_is_there() -> None:
    life = Life()
    assert life.state.current is None
    life.after(s.RootStarted())
    assert life.commands == [s.Resume(1), s.StartTimer(Timer.HANG, 1, s.HANG_S)]


def test_what_is_loaded_is_let_serve_and_told_when_it_does() -> None:
    life = loading().after(s.Loaded(1))
    assert life.commands == [s.LetServe(1)]
    life.after(s.Began(1))
    assert life.tells() == [Notice.SERVING]


def test_a_change_drains_the_old_server_before_the_new_one_loads() -> None:
    life = serving().after(s.ResumeDecided())
    assert life.commands[0] == s.LetDrain(1)
    assert s.Resume(2) in life.commands
    assert life.state.draining is not None
    assert life.state.draining.number == 1


def test_a_newer_change_overtakes_a_load() -> None:
    life = serving().after(s.ResumeDecided(), s.ResumeDecided())
    assert life.does(s.KillServer) == [s.KillServer(2)]
    assert life.does(s.Resume) == [s.Resume(3)]
    assert life.state.draining is not None  # the one that served goes on draining


def test_a_late_word_of_an_overtaken_server_changes_nothing() -> None:
    life = serving().after(s.ResumeDecided(), s.ResumeDecided())
    for event in (s.Loaded(2), s.LoadRaised(2, REPORT), s.Began(2), s.RequestArrived(2), s.Ended(2, -9)):
        before = life.state
        life.after(event)
        assert (life.state, life.commands) == (before, [])


def test_at_most_one_server_drains() -> None:
    life = serving().after(s.ResumeDecided(), s.Loaded(2), s.Began(2), s.ResumeDecided())
    assert s.KillServer(1) in life.commands
    assert s.LetDrain(2) in life.commands


def test_a_drain_has_a_deadline() -> None:
    life = serving(grace_s=3.0).after(s.ResumeDecided())
    assert s.StartTimer(Timer.END, 1, 3.0 + s.SHUTDOWN_S) in life.commands
    life.after(s.TimerFired(Timer.END, 1))
    assert s.KillServer(1) in life.commands
    assert life.after(s.Ended(1, -9)).state.draining is None
    assert life.after(s.TimerFired(Timer.END, 1)).commands == []


def test_a_load_error_serves_its_page_and_is_told() -> None:
    life = loading().after(s.LoadRaised(1, REPORT))
    assert life.commands[0] == s.LetServe(1)
    assert life.tells() == [Notice.LOAD_FAILED]
    assert life.state.current is not None
    assert life.state.current.broken


def test_without_reload_a_load_error_ends_the_command() -> None:
    life = Life(reload=False).after(s.RootStarted(), s.LoadRaised(1, REPORT))
    assert life.tells() == [Notice.LOAD_FAILED]
    assert life.does(s.Exit) == [s.Exit(1)]


def test_a_restart_takes_a_new_root() -> None:
    life = serving().after(s.RestartDecided())
    assert life.does(s.LetDrain) == [s.LetDrain(1)]
    assert life.commands[-2:] == [s.RetireRoot(), s.SpawnRoot()]
    assert life.after(s.RootStarted()).does(s.Resume) == [s.Resume(2)]


def test_a_change_while_the_root_starts_needs_nothing() -> None:
    life = Life().after(s.ResumeDecided())
    assert life.commands == []
    assert life.after(s.RootStarted()).does(s.Resume) == [s.Resume(1)]


def test_what_is_exclusive_ends_before_the_next_load() -> None:
    life = Life().after(s.RootStarted(), s.Loaded(1, ("port 5678",)), s.Began(1), s.ResumeDecided())
    assert life.does(s.Resume) == []
    assert life.tells() == [Notice.WAITING_FOR_EXCLUSIVE]
    assert life.after(s.ResumeDecided()).does(s.Resume) == []
    assert life.after(s.Ended(1, 0)).does(s.Resume) == [s.Resume(2)]


def test_what_became_exclusive_while_serving_counts_too() -> None:
    life = serving().after(s.TookExclusive(1, "a lock"), s.ResumeDecided())
    assert life.does(s.Resume) == []


# --- hanging and dying ---


def test_a_load_that_hangs_gets_a_page_from_the_root() -> None:
    life = loading().after(s.TimerFired(Timer.HANG, 1))
    assert life.commands == [s.ReadStack(1)]
    life.after(s.StackRead(1, REPORT))
    assert life.does(s.Resume) == [s.Resume(2, REPORT)]
    assert life.tells() == [Notice.HANGS]
    assert life.after(s.Loaded(2)).commands == [s.LetServe(2)]
    life.after(s.Began(2))
    assert life.commands == []  # nobody is told that a page is served
    # It goes when the load is done.
    life.after(s.Loaded(1))
    assert life.does(s.LetDrain) == [s.LetDrain(2)]
    assert s.LetServe(1) in life.commands


def test_the_page_of_a_hung_load_goes_with_the_next_save() -> None:
    life = loading().after(s.TimerFired(Timer.HANG, 1), s.StackRead(1, REPORT), s.Loaded(2), s.ResumeDecided())
    assert life.does(s.KillServer) == [s.KillServer(1)]
    assert life.does(s.LetDrain) == [s.LetDrain(2)]
    assert life.does(s.Resume) == [s.Resume(3)]


def test_a_load_that_ended_in_time_does_not_hang() -> None:
    assert serving().after(s.TimerFired(Timer.HANG, 1)).commands == []
    life = loading().after(s.TimerFired(Timer.HANG, 1), s.Loaded(1))
    assert life.after(s.StackRead(1, REPORT)).commands == []


def test_a_server_that_dies_is_replaced_at_once() -> None:
    life = serving().after(s.RequestArrived(1), s.Ended(1, -11))
    assert life.tells() == [Notice.DIED_SERVING]
    assert life.does(s.Resume) == [s.Resume(2)]


def test_a_server_that_keeps_dying_at_its_start_is_given_up_until_a_save() -> None:
    life = loading()
    for number in (1, 2):
        life.after(s.Ended(number, 3))
        assert life.does(s.Resume) == [s.Resume(number + 1)]
    life.after(s.Ended(3, 3))
    assert life.does(s.Resume) == []
    assert life.tells() == [Notice.DIED_LOADING, Notice.GAVE_UP]
    assert life.does(s.ReadStack) == [s.ReadStack(3, 3)]
    life.after(s.StackRead(3, REPORT))
    assert life.does(s.Resume) == [s.Resume(4, REPORT)]
    life.after(s.Loaded(4), s.Began(4), s.ResumeDecided())
    assert life.does(s.LetDrain) == [s.LetDrain(4)]
    assert life.does(s.Resume) == [s.Resume(5)]
    assert life.state.early_deaths == 0


def test_deaths_under_requests_are_not_deaths_at_start() -> None:
    life = serving()
    for number in range(1, 12):
        life.after(s.RequestArrived(number), s.Ended(number, 1))
        assert life.does(s.Resume) == [s.Resume(number + 1)]
        life.after(s.Loaded(number + 1), s.Began(number + 1))


def test_a_server_that_lived_has_not_died_at_its_start() -> None:
    life = loading().after(s.Ended(1, 1), s.Ended(2, 1), s.Loaded(3), s.Began(3), s.TimerFired(Timer.SETTLED, 3))
    assert life.after(s.Ended(3, 1)).does(s.Resume) == [s.Resume(4)]


def test_without_reload_a_death_at_load_ends_the_command() -> None:
    life = Life(reload=False).after(s.RootStarted(), s.Ended(1, -11))
    assert life.does(s.Exit) == [s.Exit(1)]


def test_a_root_that_is_killed_is_replaced_a_few_times() -> None:
    life = serving().after(s.RootEnded(-9))
    assert life.tells() == [Notice.ROOT_DIED]
    assert life.does(s.SpawnRoot) == [s.SpawnRoot()]
    assert life.after(s.RootStarted()).does(s.Resume) == [s.Resume(2)]
    life.after(*[s.RootEnded(1)] * s.MAX_ROOT_DEATHS)
    assert life.does(s.Exit) == [s.Exit(1)]


# --- the prompt ---


def test_while_a_prompt_is_open_a_change_waits() -> None:
    life = serving().after(s.PromptOpened(1), s.ResumeDecided())
    assert life.commands == [s.Tell(Notice.WAITING_FOR_PROMPT, 1)]
    life.after(s.PromptClosed(1))
    assert s.LetDrain(1) in life.commands
    assert s.Resume(2) in life.commands


def test_a_prompt_that_closes_without_a_change_does_nothing() -> None:
    life = serving().after(s.PromptOpened(1), s.PromptClosed(1))
    assert life.commands == []


def test_a_prompt_of_the_old_code_stops_its_deadline() -> None:
    life = serving().after(s.ResumeDecided(), s.PromptOpened(1), s.TimerFired(Timer.END, 1))
    assert life.commands == [s.StartTimer(Timer.END, 1, 2.0 + s.SHUTDOWN_S)]


def test_a_load_at_a_prompt_does_not_hang() -> None:
    life = loading().after(s.PromptOpened(1), s.TimerFired(Timer.HANG, 1))
    assert life.commands == [s.StartTimer(Timer.HANG, 1, s.HANG_S)]


def test_a_prompt_whose_process_died_is_closed() -> None:
    life = serving().after(s.PromptOpened(1), s.ResumeDecided(), s.Ended(1, -9))
    assert life.does(s.Resume) == [s.Resume(2)]


# --- the end ---


def test_a_stop_drains_and_ends_when_all_is_gone() -> None:
    life = serving().after(s.StopAsked())
    assert s.LetDrain(1) in life.commands
    assert s.StartTimer(Timer.STOP, 0, 2.0 + s.SHUTDOWN_S) in life.commands
    assert life.does(s.Exit) == []
    assert life.after(s.Ended(1, 0)).does(s.Exit) == [s.Exit(0)]


@pytest.mark.parametrize("event", [s.StopAsked(), s.TimerFired(Timer.STOP)])
def test_a_second_stop_and_the_deadline_end_at_once(event: s.Event) -> None:
    life = serving().after(s.StopAsked(), event)
    assert life.does(s.KillServer) == [s.KillServer(1)]
    assert life.does(s.Exit) == [s.Exit(0)]


def test_a_stop_kills_what_loads() -> None:
    life = loading().after(s.StopAsked())
    assert life.does(s.KillServer) == [s.KillServer(1)]
    assert life.after(s.Ended(1, -9)).does(s.Exit) == [s.Exit(0)]


def test_a_stop_before_anything_began_ends_at_once() -> None:
    assert Life().after(s.StopAsked()).does(s.Exit) == [s.Exit(0)]


def test_after_a_stop_nothing_begins() -> None:
    life = serving().after(s.StopAsked())
    for event in (s.ResumeDecided(), s.RestartDecided(), s.RootStarted(), s.Loaded(1)):
        assert not {type(c) for c in life.after(event).commands} & {s.Resume, s.SpawnRoot, s.LetServe}


# --- what holds for every history ---

NUMBERS = st.integers(1, 6)
EVENTS: st.SearchStrategy[s.Event] = st.one_of(
    st.just(s.RootStarted()),
    st.builds(s.RootEnded, st.just(1)),
    st.builds(s.Loaded, NUMBERS, st.sampled_from([(), ("a lock",)])),
    st.builds(s.LoadRaised, NUMBERS, st.just(REPORT)),
    st.builds(s.Began, NUMBERS),
    st.builds(s.RequestArrived, NUMBERS),
    st.builds(s.TookExclusive, NUMBERS, st.just("a lock")),
    st.builds(s.Ended, NUMBERS, st.sampled_from([0, 1, -9])),
    st.builds(s.StackRead, NUMBERS, st.just(REPORT)),
    st.just(s.ResumeDecided()),
    st.just(s.RestartDecided()),
    st.builds(s.RefreshDecided, st.just(("a.css",))),
    st.builds(s.PromptOpened, NUMBERS),
    st.builds(s.PromptClosed, NUMBERS),
    st.builds(s.TimerFired, st.sampled_from(Timer), NUMBERS),
    st.just(s.StopAsked()),
)


def ended_numbers(commands: Iterable[s.Command]) -> set[int]:
    return {c.server for c in commands if isinstance(c, s.KillServer | s.LetDrain)}


@settings(max_examples=400, deadline=None)
@given(st.lists(EVENTS, max_size=40))
def test_no_server_is_forgotten(events: list[s.Event]) -> None:
    """Every server that was begun is known to the state, was told to end, or has ended."""
    state = s.start(grace_s=2.0, reload=True)
    begun: set[int] = set()
    released: set[int] = set()
    for event in events:
        if isinstance(event, s.Ended):
            released.add(event.server)
        state, commands = s.advance(state, event)
        begun |= {c.server for c in commands if isinstance(c, s.Resume)}
        released |= ended_numbers(commands)
        if isinstance(event, s.RootEnded):
            released |= begun  # they died with their root
        known = {server.number for server in state.servers()}
        assert begun <= known | released, event
        assert len(known) == len(state.servers()), "one server in two roles"
        if any(isinstance(c, s.Exit) for c in commands):
            return


@settings(max_examples=400, deadline=None)
@given(st.lists(EVENTS, max_size=40))
def test_a_stop_ends(events: list[s.Event]) -> None:
    """Whatever happened before, after a stop the deadline ends everything."""
    state = s.start(grace_s=2.0, reload=True)
    for event in [*events, s.StopAsked(), s.TimerFired(Timer.STOP)]:
        state, commands = s.advance(state, event)
        if any(isinstance(c, s.Exit) for c in commands):
            return
    pytest.fail("no exit")


@settings(max_examples=400, deadline=None)
@given(st.lists(EVENTS, max_size=40))
def test_nothing_is_ended_under_an_open_prompt(events: list[s.Event]) -> None:
    state = s.start(grace_s=2.0, reload=True)
    for event in events:
        prompt = state.prompt
        state, commands = s.advance(state, event)
        if prompt and state.prompt == prompt and not state.stopping:
            assert prompt not in ended_numbers(commands), event
