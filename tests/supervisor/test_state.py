"""The life cycle, by histories of events."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devserver.report import Occasion, Report
from devserver.supervisor import commands, events
from devserver.supervisor import state as s
from devserver.supervisor.commands import Notice
from devserver.supervisor.events import Timer
from devserver.supervisor.state import Phase

REPORT = Report(Occasion.LOAD, "it broke")


class Life:
    """A state, the events so far, and the commands of the last one."""

    def __init__(self, *, reload: bool = True, grace_s: float = 2.0) -> None:
        self.state = s.start(grace_s=grace_s, reload=reload)
        self.commands: list[commands.Command] = []

    def after(self, *events: events.Event) -> Life:
        for event in events:
            self.state, self.commands = s.advance(self.state, event)
        return self

    def does(self, kind: type[commands.Command]) -> list[commands.Command]:
        return [command for command in self.commands if isinstance(command, kind)]

    def tells(self) -> list[Notice]:
        return [command.notice for command in self.commands if isinstance(command, commands.Tell)]


def resume(number: int, position: int = 0, hoisted: int = 0, *, like: int = 0) -> commands.Resume:
    """`like`: nothing has changed since this one."""
    return commands.Resume(number, position, hoisted, generation=3 * (like or number), inherits=bool(like))


def loading() -> Life:
    return Life().after(events.RootStarted())


def serving(**options: object) -> Life:
    life = Life(**options).after(events.RootStarted(), events.Loaded(1), events.Began(1))  # type: ignore[arg-type]
    assert life.state.current == s.Server(1, 3, phase=Phase.SERVING)
    return life


def test_a_rehearsal_takes_the_place_of_the_server() -> None:
    life = serving().after(events.RehearsalPreferred(-1))
    assert life.commands[0] == commands.LetDrain(1)
    assert life.commands[-2:] == [commands.TakeOver(-1, 6), commands.StartTimer(Timer.HANG, -1, s.HANG_S)]
    life.after(events.Loaded(-1))
    assert life.commands == [commands.LetServe(-1)]
    life.after(events.Began(-1))
    assert commands.TellBrowsers(6) in life.commands
    assert life.after(events.ResumeDecided()).does(commands.Resume) == [resume(3)], "later pages are newer"


def test_a_rehearsal_that_comes_too_late_is_ended() -> None:
    life = serving().after(events.PromptOpened(1), events.RehearsalPreferred(-1))
    assert life.commands == [commands.KillServer(-1)]


def test_two_wishes_hold_the_less_deep_place_of_the_branch_too() -> None:
    life = serving().after(events.PromptOpened(1), events.ResumeDecided(4, 3), events.ResumeDecided(2, 5))
    assert life.after(events.PromptClosed(1)).does(commands.Resume) == [resume(2, 2, 3)]


def test_the_first_load_begins_when_the_root_is_there() -> None:
    life = Life()
    assert life.state.current is None
    life.after(events.RootStarted())
    assert life.commands == [resume(1), commands.StartTimer(Timer.HANG, 1, s.HANG_S)]


def test_what_is_loaded_is_let_serve_and_told_when_it_does() -> None:
    life = loading().after(events.Loaded(1))
    assert life.commands == [commands.LetServe(1)]
    life.after(events.Began(1))
    assert life.tells() == [Notice.SERVING]


def test_a_change_drains_the_old_server_before_the_new_one_loads() -> None:
    life = serving().after(events.ResumeDecided())
    assert life.commands[0] == commands.LetDrain(1)
    assert resume(2) in life.commands
    assert [server.number for server in life.state.draining] == [1]


def test_a_newer_change_overtakes_a_load() -> None:
    life = serving().after(events.ResumeDecided(), events.ResumeDecided())
    assert life.does(commands.KillServer) == [commands.KillServer(2)]
    assert life.does(commands.Resume) == [resume(3)]
    assert [server.number for server in life.state.draining] == [1], "the one that served goes on draining"


def test_a_late_word_of_an_overtaken_server_changes_nothing() -> None:
    life = serving().after(events.ResumeDecided(), events.ResumeDecided())
    for event in (
        events.Loaded(2),
        events.LoadRaised(2, REPORT),
        events.Began(2),
        events.RequestArrived(2),
        events.Ended(2, -9),
    ):
        before = life.state
        life.after(event)
        assert (life.state, life.commands) == (before, [])


def test_a_save_soon_after_another_cuts_nothing_short() -> None:
    life = serving().after(events.ResumeDecided(), events.Loaded(2), events.Began(2), events.ResumeDecided())
    assert life.does(commands.KillServer) == []
    assert commands.LetDrain(2) in life.commands
    assert [server.number for server in life.state.draining] == [1, 2]
    assert [server.number for server in life.after(events.Ended(1, 0)).state.draining] == [2]


def test_of_too_many_that_drain_the_oldest_goes() -> None:
    life = serving().after(events.ResumeDecided())
    for number in range(2, s.MAX_DRAINING + 1):
        life.after(events.Loaded(number), events.Began(number), events.ResumeDecided())
        assert life.does(commands.KillServer) == []
    newest = s.MAX_DRAINING + 1
    life.after(events.Loaded(newest), events.Began(newest), events.ResumeDecided())
    assert life.does(commands.KillServer) == [commands.KillServer(1)]
    assert len(life.state.draining) == s.MAX_DRAINING


def test_any_server_that_drains_may_hold_what_the_next_load_wants() -> None:
    life = serving().after(events.TookExclusive(1, "a lock"), events.ResumeDecided(), events.RestartDecided())
    assert life.does(commands.Resume) == []
    assert life.after(events.Ended(1, 0)).does(commands.SpawnRoot) == [commands.SpawnRoot()]


def test_a_drain_has_a_deadline() -> None:
    life = serving(grace_s=3.0).after(events.ResumeDecided())
    assert commands.StartTimer(Timer.END, 1, 3.0 + s.SHUTDOWN_S) in life.commands
    life.after(events.TimerFired(Timer.END, 1))
    assert commands.KillServer(1) in life.commands
    assert life.after(events.Ended(1, -9)).state.draining == ()
    assert life.after(events.TimerFired(Timer.END, 1)).commands == []


def test_a_load_error_serves_its_page_and_is_told() -> None:
    life = loading().after(events.LoadRaised(1, REPORT))
    assert life.commands[0] == commands.LetServe(1)
    assert life.tells() == [Notice.LOAD_FAILED]
    assert life.state.current is not None
    assert life.state.current.broken


def test_without_reload_a_load_error_ends_the_command() -> None:
    life = Life(reload=False).after(events.RootStarted(), events.LoadRaised(1, REPORT))
    assert life.tells() == [Notice.LOAD_FAILED]
    assert life.does(commands.Exit) == [commands.Exit(1)]


def test_a_restart_takes_a_new_root() -> None:
    life = serving().after(events.RestartDecided())
    assert life.does(commands.LetDrain) == [commands.LetDrain(1)]
    assert life.commands[-2:] == [commands.RetireRoot(), commands.SpawnRoot()]
    assert life.after(events.RootStarted()).does(commands.Resume) == [resume(2)]


def test_a_change_while_the_root_starts_needs_nothing() -> None:
    life = Life().after(events.ResumeDecided())
    assert life.commands == []
    assert life.after(events.RootStarted()).does(commands.Resume) == [resume(1)]


def test_what_is_exclusive_ends_before_the_next_load() -> None:
    life = Life().after(events.RootStarted(), events.Loaded(1, ("port 5678",)), events.Began(1), events.ResumeDecided())
    assert life.does(commands.Resume) == []
    assert life.tells() == [Notice.WAITING_FOR_EXCLUSIVE]
    assert life.after(events.ResumeDecided()).does(commands.Resume) == []
    assert life.after(events.Ended(1, 0)).does(commands.Resume) == [resume(2)]


def test_what_became_exclusive_while_serving_counts_too() -> None:
    life = serving().after(events.TookExclusive(1, "a lock"), events.ResumeDecided())
    assert life.does(commands.Resume) == []


# --- hanging and dying ---


def test_a_load_that_hangs_gets_a_page_from_the_root() -> None:
    life = loading().after(events.TimerFired(Timer.HANG, 1))
    assert life.commands == [commands.ReadStack(1)]
    life.after(events.StackRead(1, REPORT))
    assert life.does(commands.Resume) == [commands.Resume(2, stand_in=REPORT, generation=2)]
    assert life.tells() == [Notice.HANGS]
    assert life.after(events.Loaded(2)).commands == [commands.LetServe(2)]
    life.after(events.Began(2))
    assert life.commands == []  # nobody is told that a page is served
    # It goes when the load is done.
    life.after(events.Loaded(1))
    assert life.does(commands.LetDrain) == [commands.LetDrain(2)]
    assert commands.LetServe(1) in life.commands


def test_the_page_of_a_hung_load_goes_with_the_next_save() -> None:
    life = loading().after(
        events.TimerFired(Timer.HANG, 1), events.StackRead(1, REPORT), events.Loaded(2), events.ResumeDecided()
    )
    assert life.does(commands.KillServer) == [commands.KillServer(1)]
    assert life.does(commands.LetDrain) == [commands.LetDrain(2)]
    assert life.does(commands.Resume) == [resume(3)]


def test_a_load_that_ended_in_time_does_not_hang() -> None:
    assert serving().after(events.TimerFired(Timer.HANG, 1)).commands == []
    life = loading().after(events.TimerFired(Timer.HANG, 1), events.Loaded(1))
    assert life.after(events.StackRead(1, REPORT)).commands == []


def test_a_server_that_dies_is_replaced_at_once() -> None:
    life = serving().after(events.RequestArrived(1), events.Ended(1, -11))
    assert life.tells() == [Notice.DIED_SERVING]
    assert life.does(commands.Resume) == [resume(2, s.DEEPEST, s.DEEPEST, like=1)]


def test_a_server_that_keeps_dying_at_its_start_is_given_up_until_a_save() -> None:
    life = loading()
    for number in (1, 2):
        life.after(events.Ended(number, 3))
        assert life.does(commands.Resume) == [resume(number + 1)]
    life.after(events.Ended(3, 3))
    assert life.does(commands.Resume) == []
    assert life.tells() == [Notice.DIED_LOADING, Notice.GAVE_UP]
    assert life.does(commands.ReadStack) == [commands.ReadStack(3, 3)]
    life.after(events.StackRead(3, REPORT))
    assert life.does(commands.Resume) == [commands.Resume(4, stand_in=REPORT, generation=12)]
    life.after(events.Loaded(4), events.Began(4), events.ResumeDecided())
    assert life.does(commands.LetDrain) == [commands.LetDrain(4)]
    assert life.does(commands.Resume) == [resume(5)]
    assert life.state.early_deaths == 0


def test_deaths_under_requests_are_not_deaths_at_start() -> None:
    life = serving()
    for number in range(1, 12):
        life.after(events.RequestArrived(number), events.Ended(number, 1))
        assert life.does(commands.Resume) == [resume(number + 1, s.DEEPEST, s.DEEPEST, like=1)]
        life.after(events.Loaded(number + 1), events.Began(number + 1))


def test_a_server_that_lived_has_not_died_at_its_start() -> None:
    life = loading().after(events.Ended(1, 1), events.Ended(2, 1), events.Loaded(3), events.Began(3))
    life.after(events.TimerFired(Timer.SETTLED, 3))
    assert life.after(events.Ended(3, 1)).does(commands.Resume) == [resume(4, like=3)]


def test_without_reload_a_death_at_load_ends_the_command() -> None:
    life = Life(reload=False).after(events.RootStarted(), events.Ended(1, -11))
    assert life.does(commands.Exit) == [commands.Exit(1)]


def test_a_root_that_is_killed_is_replaced_a_few_times() -> None:
    life = serving().after(events.RootEnded(-9))
    assert life.tells() == [Notice.ROOT_DIED]
    assert life.does(commands.SpawnRoot) == [commands.SpawnRoot()]
    assert life.after(events.RootStarted()).does(commands.Resume) == [resume(2)]
    life.after(*[events.RootEnded(1)] * s.MAX_ROOT_DEATHS)
    assert life.does(commands.Exit) == [commands.Exit(1)]


# --- the prompt ---


def test_while_a_prompt_is_open_a_change_waits() -> None:
    life = serving().after(events.PromptOpened(1), events.ResumeDecided())
    assert life.commands == [commands.Tell(Notice.WAITING_FOR_PROMPT, 1)]
    assert life.after(events.ResumeDecided()).commands == [], "said once"
    life.after(events.PromptClosed(1))
    assert commands.LetDrain(1) in life.commands
    assert resume(2) in life.commands


def test_a_prompt_that_closes_without_a_change_does_nothing() -> None:
    life = serving().after(events.PromptOpened(1), events.PromptClosed(1))
    assert life.commands == []


def test_a_prompt_of_the_old_code_stops_its_deadline() -> None:
    life = serving().after(events.ResumeDecided(), events.PromptOpened(1), events.TimerFired(Timer.END, 1))
    assert life.commands == [commands.StartTimer(Timer.END, 1, 2.0 + s.SHUTDOWN_S)]


def test_a_load_at_a_prompt_does_not_hang() -> None:
    life = loading().after(events.PromptOpened(1), events.TimerFired(Timer.HANG, 1))
    assert life.commands == [commands.StartTimer(Timer.HANG, 1, s.HANG_S)]


def test_a_prompt_of_a_server_that_is_no_more_holds_up_nothing() -> None:
    life = serving().after(events.PromptOpened(7), events.ResumeDecided())
    assert life.does(commands.Resume) == [resume(2)]


def test_two_servers_have_the_terminal_one_after_the_other() -> None:
    life = serving().after(events.ResumeDecided(), events.Loaded(2), events.Began(2))
    life.after(events.PromptOpened(1), events.PromptOpened(2))
    assert life.state.prompt == 1
    assert life.after(events.TimerFired(Timer.END, 1)).does(commands.KillServer) == []
    life.after(events.ResumeDecided(), events.PromptClosed(1))
    assert life.state.prompt == 2
    assert life.commands == [], "a change still waits"
    life.after(events.PromptClosed(2))
    assert life.state.prompt == 0
    assert life.does(commands.Resume) == [resume(3)]


def test_who_waits_for_the_terminal_may_die() -> None:
    life = serving().after(events.ResumeDecided(), events.PromptOpened(1), events.Loaded(2), events.Began(2))
    life.after(events.PromptOpened(2), events.Ended(2, -9))
    assert life.state.prompts == (1,)
    assert life.does(commands.Resume) == []
    assert life.after(events.PromptClosed(1)).does(commands.Resume) == [resume(3, like=2)]


def test_a_page_does_not_end_the_prompt_of_the_old_code() -> None:
    life = serving().after(events.ResumeDecided(), events.PromptOpened(1), events.TimerFired(Timer.HANG, 2))
    life.after(events.StackRead(2, REPORT), events.Loaded(3), events.Began(3), events.Loaded(2))
    assert life.does(commands.KillServer) == []
    assert life.does(commands.LetDrain) == [commands.LetDrain(3)]
    assert life.state.prompt == 1


def test_a_prompt_whose_process_died_is_closed() -> None:
    life = serving().after(events.PromptOpened(1), events.ResumeDecided(), events.Ended(1, -9))
    assert life.does(commands.Resume) == [resume(2)]


# --- the editor ---


@pytest.mark.parametrize("life", [loading(), serving(), serving().after(events.PromptOpened(1))])
def test_an_editor_is_opened_whatever_else_goes_on(life: Life) -> None:
    before = life.state
    life.after(events.EditorAsked("/app/views.py", 12, 5))
    assert life.commands == [commands.OpenEditor("/app/views.py", 12, 5)]
    assert life.state == before


# --- the end ---


def test_a_stop_drains_and_ends_when_all_is_gone() -> None:
    life = serving().after(events.StopAsked())
    assert commands.LetDrain(1) in life.commands
    assert commands.StartTimer(Timer.STOP, 0, 2.0 + s.SHUTDOWN_S) in life.commands
    assert life.does(commands.Exit) == []
    assert life.after(events.Ended(1, 0)).does(commands.Exit) == [commands.Exit(0)]


@pytest.mark.parametrize("event", [events.StopAsked(), events.TimerFired(Timer.STOP)])
def test_a_second_stop_and_the_deadline_end_at_once(event: events.Event) -> None:
    life = serving().after(events.StopAsked(), event)
    assert life.does(commands.KillServer) == [commands.KillServer(1)]
    assert life.does(commands.Exit) == [commands.Exit(0)]


def test_a_stop_kills_what_loads() -> None:
    life = loading().after(events.StopAsked())
    assert life.does(commands.KillServer) == [commands.KillServer(1)]
    assert life.after(events.Ended(1, -9)).does(commands.Exit) == [commands.Exit(0)]


def test_a_stop_before_anything_began_ends_at_once() -> None:
    assert Life().after(events.StopAsked()).does(commands.Exit) == [commands.Exit(0)]


def test_after_a_stop_nothing_begins() -> None:
    life = serving().after(events.StopAsked())
    for event in (
        events.ResumeDecided(),
        events.RestartDecided(),
        events.RootStarted(),
        events.Loaded(1),
        events.EditorAsked("/app/views.py", 12, 5),
    ):
        assert not {type(c) for c in life.after(event).commands} & {
            commands.OpenEditor,
            commands.Resume,
            commands.SpawnRoot,
            commands.LetServe,
        }


# --- what holds for every history ---

REHEARSALS = st.integers(-3, -1)
NUMBERS = st.one_of(st.integers(1, 6), REHEARSALS)
EVENTS: st.SearchStrategy[events.Event] = st.one_of(
    st.just(events.RootStarted()),
    st.builds(events.RootEnded, st.just(1)),
    st.builds(events.Loaded, NUMBERS, st.sampled_from([(), ("a lock",)])),
    st.builds(events.LoadRaised, NUMBERS, st.just(REPORT)),
    st.builds(events.Began, NUMBERS),
    st.builds(events.RequestArrived, NUMBERS),
    st.builds(events.TookExclusive, NUMBERS, st.just("a lock")),
    st.builds(events.Ended, NUMBERS, st.sampled_from([0, 1, -9])),
    st.builds(events.StackRead, NUMBERS, st.just(REPORT)),
    st.just(events.ResumeDecided()),
    st.just(events.RestartDecided()),
    st.builds(events.RehearsalPreferred, REHEARSALS),
    st.builds(events.RefreshDecided, st.just(("a.css",))),
    st.builds(events.PromptOpened, NUMBERS),
    st.builds(events.PromptClosed, NUMBERS),
    st.just(events.EditorAsked("/app/views.py", 12, 5)),
    st.builds(events.TimerFired, st.sampled_from(Timer), NUMBERS),
    st.just(events.StopAsked()),
)


def ended_numbers(done: Iterable[commands.Command]) -> set[int]:
    return {c.server for c in done if isinstance(c, commands.KillServer | commands.LetDrain)}


@settings(max_examples=400, deadline=None)
@given(st.lists(EVENTS, max_size=40))
def test_no_server_is_forgotten(history: list[events.Event]) -> None:
    """Every server that was begun is known to the state, was told to end, or has ended."""
    state = s.start(grace_s=2.0, reload=True)
    begun: set[int] = set()
    released: set[int] = set()
    for event in history:
        if isinstance(event, events.Ended):
            released.add(event.server)
        state, done = s.advance(state, event)
        begun |= {c.server for c in done if isinstance(c, commands.Resume | commands.TakeOver)}
        released |= ended_numbers(done)
        if isinstance(event, events.RootEnded):
            released |= begun  # they died with their root
        known = {server.number for server in state.servers()}
        assert len(state.draining) <= s.MAX_DRAINING
        assert begun <= known | released, event
        assert len(known) == len(state.servers()), "one server in two roles"
        if any(isinstance(c, commands.Exit) for c in done):
            return


@settings(max_examples=400, deadline=None)
@given(st.lists(EVENTS, max_size=40))
def test_a_stop_ends(history: list[events.Event]) -> None:
    """Whatever happened before, after a stop the deadline ends everything."""
    state = s.start(grace_s=2.0, reload=True)
    for event in [*history, events.StopAsked(), events.TimerFired(Timer.STOP)]:
        state, done = s.advance(state, event)
        if any(isinstance(c, commands.Exit) for c in done):
            return
    pytest.fail("no exit")


@settings(max_examples=400, deadline=None)
@given(st.lists(EVENTS, max_size=40))
def test_nothing_is_ended_under_an_open_prompt(history: list[events.Event]) -> None:
    state = s.start(grace_s=2.0, reload=True)
    for event in history:
        before = set(state.prompts)
        state, done = s.advance(state, event)
        if not state.stopping:
            assert not before & set(state.prompts) & ended_numbers(done), event


# --- checkpoints ---


def test_a_change_continues_from_the_checkpoint_that_the_planner_names() -> None:
    life = serving()
    life.after(events.ResumeDecided(4))
    assert life.does(commands.Resume) == [resume(2, 4)]


def test_of_two_wishes_that_wait_the_less_deep_one_counts() -> None:
    life = serving()
    life.after(events.PromptOpened(1))
    life.after(events.ResumeDecided(2))
    life.after(events.ResumeDecided(5))
    life.after(events.PromptClosed(1))
    assert life.does(commands.Resume) == [resume(2, 2)]
    life.after(events.ResumeDecided(5))  # what was wanted is done: it holds nobody back any more
    assert life.does(commands.Resume)[-1] == resume(3, 5)


def test_a_server_that_dies_on_its_way_from_a_checkpoint_is_tried_from_the_root() -> None:
    life = serving()
    life.after(events.ResumeDecided(4))
    life.after(events.Ended(2, -11))
    assert life.does(commands.Resume)[-1] == resume(3, 0)


def test_keys_begin_at_the_root() -> None:
    life = serving()
    life.after(events.ResumeDecided())
    assert life.does(commands.Resume) == [resume(2, 0)]


# --- browsers ---


def test_browsers_hear_when_a_server_answers() -> None:
    life = loading().after(events.Loaded(1))
    assert life.does(commands.TellBrowsers) == []
    assert life.after(events.Began(1)).does(commands.TellBrowsers) == [commands.TellBrowsers(3)]
    life.after(events.ResumeDecided(), events.LoadRaised(2, REPORT))
    assert life.does(commands.TellBrowsers) == []
    assert life.after(events.Began(2)).does(commands.TellBrowsers) == [commands.TellBrowsers(6)], "an error page too"


def test_a_page_stays_while_a_load_may_yet_end() -> None:
    life = serving().after(events.ResumeDecided(), events.TimerFired(Timer.HANG, 2), events.StackRead(2, REPORT))
    (stand_in,) = life.does(commands.Resume)
    assert isinstance(stand_in, commands.Resume)
    assert 3 < stand_in.generation < 6, "newer than what was, older than what comes"
    life.after(events.Loaded(3))
    assert life.after(events.Began(3)).does(commands.TellBrowsers) == []
    life.after(events.Loaded(2))
    assert life.after(events.Began(2)).does(commands.TellBrowsers) == [commands.TellBrowsers(6)]


def test_a_page_stays_when_a_server_is_replaced_by_its_like() -> None:
    """One whose script kills the server would do so for ever if it were loaded again."""
    life = serving().after(events.RequestArrived(1), events.Ended(1, -11))
    (again,) = life.does(commands.Resume)
    assert isinstance(again, commands.Resume)
    assert (again.server, again.generation) == (2, 3)
    life.after(events.Loaded(2))
    assert life.after(events.Began(2)).does(commands.TellBrowsers) == [commands.TellBrowsers(3)]
    assert life.after(events.ResumeDecided()).does(commands.Resume) == [resume(3)], "a save is something new"


def test_what_the_checks_find_is_a_page_newer_than_the_app() -> None:
    life = serving().after(events.ChecksFailed(1, REPORT))
    assert life.tells() == [Notice.CHECKS_FAILED]
    assert life.does(commands.TellBrowsers) == [commands.TellBrowsers(4)]
    life.after(events.ResumeDecided(), events.TimerFired(Timer.HANG, 2), events.StackRead(2, REPORT))
    (stand_in,) = life.does(commands.Resume)
    assert isinstance(stand_in, commands.Resume)
    assert 4 < stand_in.generation < 6, "the page about a hang is newer"


def test_a_page_about_the_project_goes_with_its_server() -> None:
    life = serving().after(events.RequestArrived(1), events.ChecksFailed(1, REPORT), events.Ended(1, -11))
    assert life.does(commands.Resume) == [resume(2, s.DEEPEST, s.DEEPEST)]


def test_the_checks_of_an_old_server_change_nothing() -> None:
    life = serving().after(events.ResumeDecided(), events.ChecksFailed(1, REPORT))
    assert life.commands == []
    assert life.after(events.ChecksFailed(2, REPORT)).commands == [], "it is still loading"


def test_without_reload_failed_checks_end_the_command() -> None:
    life = serving(reload=False).after(events.ChecksFailed(1, REPORT))
    assert life.tells() == [Notice.CHECKS_FAILED]
    assert life.does(commands.Exit) == [commands.Exit(1)]


def test_a_save_after_a_death_is_something_new() -> None:
    life = serving().after(events.RootEnded(-9), events.RootStarted())
    assert life.does(commands.Resume) == [resume(2)]


def test_the_page_of_a_hang_goes_when_the_target_dies_for_good() -> None:
    life = loading().after(events.Ended(1, 1), events.Ended(2, 1))
    life.after(events.TimerFired(Timer.HANG, 3), events.StackRead(3, REPORT), events.Loaded(4), events.Began(4))
    life.after(events.Ended(3, 1))
    assert life.does(commands.LetDrain) == [commands.LetDrain(4)]
    assert life.tells() == [Notice.DIED_LOADING, Notice.GAVE_UP]
    assert life.after(events.StackRead(3, REPORT)).does(commands.Resume) == [
        commands.Resume(5, stand_in=REPORT, generation=15)
    ]


def test_browsers_hear_of_a_page_about_deaths() -> None:
    life = loading()
    for number in range(1, s.MAX_EARLY_DEATHS + 1):
        life.after(events.Ended(number, -11))
    life.after(events.StackRead(s.MAX_EARLY_DEATHS, REPORT), events.Loaded(4))
    assert life.after(events.Began(4)).does(commands.TellBrowsers) == [commands.TellBrowsers(12)]
