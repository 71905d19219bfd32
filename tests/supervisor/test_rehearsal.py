"""What is done behind the running server: the table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devserver.importgraph import ImportGraph, Run
from devserver.messages import FIRST_REQUESTS
from devserver.supervisor import rehearsal as r
from devserver.supervisor.hoistlist import MIN_GAIN_MS, hoist_levels
from devserver.supervisor.rehearsal import Digest, Stage, Start, Subject

A, B, C = "/app/a.py", "/app/b.py", "/app/c.py"


def graph(imports: str = "u:abcd a b c d", took_ms: float = 100.0) -> ImportGraph:
    words = dict(word.partition(":")[::2] for word in imports.split())
    return ImportGraph.build({name: Run(f"/app/{name}.py", "", took_ms) for name in words}, words)


def digest(error: str = "", complete: bool = True, **digests: str) -> Digest:
    return Digest(digests or {"app": "1"}, complete, error)


class Desk:
    """A state, and the commands of the last event."""

    def __init__(self) -> None:
        self.state = r.State()
        self.commands: list[r.Command] = []

    def after(self, *events: r.Event) -> Desk:
        for event in events:
            self.state, self.commands = r.advance(self.state, event)
        return self

    def settled(
        self, *edited: str, hoisted: bool = False, load_ms: float = 500.0, error: str = "", is_true: bool = True
    ) -> Desk:
        subject = Subject(edited=edited or (A,), hoisted=hoisted, load_ms=load_ms, error=error, is_true=is_true)
        return self.after(r.Settled(subject))

    def exact(self, result: Digest | None = None, imports: str = "u:abcd a b c d") -> Desk:
        return self.after(
            r.GraphKnown(self.state.exact, graph(imports)), r.Digested(self.state.exact, result or digest())
        )

    def hoisted(self, result: Digest | None = None) -> Desk:
        return self.after(r.Digested(self.state.hoisted, result or digest()))

    def approved(self, *edited: str) -> Desk:
        self.settled(*edited).exact().hoisted()
        assert self.state.approved
        return self

    def parts(self, exact: dict[str, str], hoisted: dict[str, str]) -> Desk:
        return self.after(r.Described(self.state.exact, exact), r.Described(self.state.hoisted, hoisted))

    def second(self, parts: dict[str, str]) -> Desk:
        self.after(r.Digested(self.state.second, digest()))
        assert self.commands == [r.Describe(self.state.second, ("app",))]
        return self.after(r.Described(self.state.second, parts))


def test_after_a_first_save_the_branch_is_made_and_compared() -> None:
    desk = Desk().settled()
    assert desk.commands == [r.Rehearse(-1, Start.END)]
    desk.exact()
    assert desk.commands == [r.Rehearse(-2, Start.FILES, (A,), hoist_levels(graph(), (A,)))]
    desk.hoisted()
    assert desk.commands == [r.Approve(), r.End(-1), r.End(-2)]
    assert desk.state.stage is Stage.NOTHING


def test_after_a_save_through_the_branch_its_order_is_compared_again() -> None:
    desk = Desk().approved().settled(hoisted=True)
    assert desk.commands == [r.Rehearse(-3, Start.END, extends_line=True)]
    desk.exact()
    assert desk.commands == [r.Rehearse(-4, Start.BRANCH)]
    desk.hoisted()
    assert desk.commands == [r.End(-4), r.End(-3)]
    assert desk.state.approved


@pytest.mark.parametrize(
    "subject",
    [
        Subject(edited=(), hoisted=False, load_ms=500.0),
        Subject(edited=(A,), hoisted=False, load_ms=r.MIN_LOAD_MS - 1),
        Subject(edited=(A,), hoisted=False, load_ms=500.0, error="a typo"),
    ],
)
def test_what_is_not_worth_it(subject: Subject) -> None:
    assert Desk().after(r.Settled(subject)).commands == []


def test_nothing_to_hoist() -> None:
    assert Desk().settled().exact(imports="u:a a").commands == [r.End(-1)]


def test_something_new_ends_all_and_keeps_an_approved_branch() -> None:
    desk = Desk().settled().exact().after(r.Overtaken())
    assert desk.commands == [r.End(-1), r.End(-2), r.LeaveBranch()]
    desk = Desk().approved().settled(hoisted=True).after(r.Overtaken())
    assert desk.commands == [r.End(-3)]
    assert desk.state.approved


def test_a_branch_serves_for_all_of_its_files() -> None:
    desk = Desk().approved(A, B).settled(B, A, hoisted=True).exact().hoisted()
    assert desk.commands == [r.End(-4), r.End(-3)]


def test_a_gain_near_the_least_makes_no_new_branch() -> None:
    desk = Desk().approved().settled()
    least = MIN_GAIN_MS / 3 - 1  # of b, c and d each
    desk.after(r.GraphKnown(desk.state.exact, graph(took_ms=least)), r.Digested(desk.state.exact, digest()))
    assert desk.commands == [r.End(-3)]
    assert desk.state.approved


def test_another_file_gets_a_branch() -> None:
    desk = Desk().approved(A).settled(C, A).exact()
    assert desk.commands == [r.Rehearse(-4, Start.FILES, (C, A), hoist_levels(graph(), (C, A)))]
    assert not desk.state.approved


def test_other_imports_than_before_make_another_branch() -> None:
    desk = Desk().approved().settled(hoisted=True).exact(imports="u:abcd a b:a c d").hoisted()
    (ended, rehearse) = desk.commands
    assert ended == r.End(-4)
    assert isinstance(rehearse, r.Rehearse)
    assert rehearse.levels[0].modules == ("c", "d")


class TestDifferences:
    def test_what_differs_is_looked_at_closer(self) -> None:
        desk = Desk().settled().exact(digest(app="1")).hoisted(digest(app="2"))
        assert desk.commands == [r.Describe(-1, ("app",)), r.Describe(-2, ("app",))]
        desk.parts({"app:x": "1", "app:y": "1"}, {"app:x": "2", "app:y": "1"})
        assert desk.commands == [r.Rehearse(-3, Start.FILES, (A,))]

    def test_what_differs_between_two_exact_loads_too_is_left_out_for_good(self) -> None:
        desk = Desk().settled().exact(digest(app="1")).hoisted(digest(app="2"))
        desk.parts({"app:now": "1"}, {"app:now": "2"}).second({"app:now": "3"})
        assert desk.commands[0] == r.Approve()
        desk.settled(hoisted=True).exact(digest(app="4")).hoisted(digest(app="5"))
        desk.parts({"app:now": "4"}, {"app:now": "5"})
        assert desk.commands == [r.End(-5), r.End(-4)], "without another load"

    def test_an_order_that_matters_before_it_was_used(self) -> None:
        desk = Desk().settled().exact(digest(app="1")).hoisted(digest(app="2"))
        desk.parts({"app:rules": "ab", "app:now": "1"}, {"app:rules": "ba", "app:now": "2"})
        desk.second({"app:rules": "ab", "app:now": "3"})
        assert desk.commands == [
            r.End(-1), r.End(-2), r.End(-3), r.LeaveBranch(), r.TellExactOnly(A, "in another one app:rules differs"),
        ]  # fmt: skip
        assert desk.settled(A).commands == []
        assert desk.settled(B, A).commands == [r.Rehearse(-4, Start.END)], "another file may be hoisted around"
        assert desk.exact().state.files == (B,)

    def test_an_order_that_matters_after_it_was_used(self) -> None:
        desk = self.suspicious({"app:rules": "ab"}, {"app:rules": "ba"})
        desk.hoisted(digest(app="2")).parts({"app:rules": "ab"}, {"app:rules": "ba"})
        assert desk.commands == [r.Rehearse(-6, Start.FILES, (A,))]
        desk.second({"app:rules": "ab"})
        assert desk.commands == [
            r.End(-5),
            r.End(-6),
            r.LeaveBranch(),
            r.Prefer(-3, A, "in another one app:rules differs"),
        ]
        assert desk.settled().commands == []

    def test_what_was_hoisted_is_compared_whatever_was_saved(self) -> None:
        """A file whose order matters was saved with another, or before it."""
        desk = Desk().approved(A).settled(B, A).exact(digest(app="1")).hoisted(digest(app="2"))
        desk.parts({"app:rules": "ab"}, {"app:rules": "ba"}).second({"app:rules": "ab"})
        assert desk.state.exact_only == {B}
        desk.settled(A, B).exact().hoisted()
        assert desk.state.approved
        desk.settled(B, A, hoisted=True)
        assert desk.commands == [r.Rehearse(desk.state.exact, Start.END, extends_line=True)]
        desk.exact().hoisted()
        assert desk.state.approved, "the branch is as good as it was"
        assert desk.state.stage is Stage.NOTHING

    def suspicious(self, exact: dict[str, str], hoisted: dict[str, str]) -> Desk:
        """A load through the branch has these parts: the same branch is made anew."""
        desk = Desk().approved().settled(hoisted=True).exact(digest(app="1")).hoisted(digest(app="2"))
        levels = desk.state.levels
        desk.parts(exact, hoisted)
        assert desk.commands == [r.End(-4), r.Rehearse(-5, Start.FILES, (A,), levels)]
        assert not desk.state.approved
        return desk

    def test_a_branch_that_is_only_older(self) -> None:
        desk = self.suspicious({"app:loaded_at": "12:01"}, {"app:loaded_at": "12:00"}).hoisted(digest(app="1"))
        assert desk.commands == [r.Approve(), r.End(-3), r.End(-5)]
        desk.settled(hoisted=True).exact(digest(app="3")).hoisted(digest(app="1"))
        desk.parts({"app:loaded_at": "12:02"}, {"app:loaded_at": "12:01"})
        assert desk.commands == [r.End(-7), r.End(-6)], "it is known"

    def test_a_branch_that_is_older_and_new_at_the_turn_of_a_minute(self) -> None:
        desk = self.suspicious({"app:loaded_at": "12:01"}, {"app:loaded_at": "12:00"}).hoisted(digest(app="3"))
        desk.parts({"app:loaded_at": "12:01"}, {"app:loaded_at": "12:02"}).second({"app:loaded_at": "12:02"})
        assert desk.commands == [r.Approve(), r.End(-3), r.End(-5), r.End(-6)]

    def test_a_branch_that_has_read_what_the_file_writes(self) -> None:
        """Made anew it would be right, and the server goes on from the old one."""
        desk = Desk().approved().settled(hoisted=True, is_true=False).exact(digest(app="1")).hoisted(digest(app="2"))
        desk.parts({"made:value": "1"}, {"made:value": "2"}).second({"made:value": "1"})
        assert desk.commands[-1] == r.Prefer(-3, A, "in another one made:value differs")

    def test_an_order_that_matters_for_what_the_file_imports_now(self) -> None:
        """The branch is not made anew then: what it holds may be right for its order, and wrong for that of the server."""
        desk = Desk().approved().settled(hoisted=True).exact(digest(app="1"), imports="u:abcd a:b b c d")
        desk.hoisted(digest(app="2")).parts({"app:rules": "ab"}, {"app:rules": "ba"})
        assert desk.commands == [r.Rehearse(-5, Start.FILES, (A,))]
        desk.second({"app:rules": "ab"})
        assert desk.commands[-1] == r.Prefer(-3, A, "in another one app:rules differs")
        assert desk.settled().commands == [r.Rehearse(-6, Start.END)], "the order was for what the file was before"

    @pytest.mark.parametrize(
        "event",
        [r.NotHoistable(-5, "b", "a thread"), r.Ended(-5)],
    )
    def test_the_branch_cannot_be_made_anew(self, event: r.Event) -> None:
        desk = self.suspicious({"app:rules": "ab"}, {"app:rules": "ba"}).after(event)
        assert desk.commands[-1] == r.Prefer(-3, A, "in another one app:rules differs")
        assert not desk.state.alive()

    def test_the_branch_raises_when_it_is_made_anew(self) -> None:
        desk = self.suspicious({"app:rules": "ab"}, {"app:rules": "ba"}).hoisted(digest("ImportError"))
        assert desk.commands[-1] == r.Prefer(-3, A, "in another one app:rules differs")

    def test_a_module_that_nobody_imports_any_more(self) -> None:
        desk = Desk().approved().settled(hoisted=True).exact(digest(app="1")).hoisted(digest(app="1", b="1"))
        assert desk.commands[-1] == r.Prefer(-3, A, "nobody imports b any more")
        assert desk.settled().commands == [r.Rehearse(-5, Start.END)], "the order was for what the file was before"

    def test_of_libraries_what_both_have_counts(self) -> None:
        desk = Desk().settled().exact(Digest({"app": "1", "library csv": "1", "library x": "1"}))
        desk.hoisted(Digest({"app": "1", "library x": "2"}))
        assert desk.commands == [r.Describe(-1, ("library x",)), r.Describe(-2, ("library x",))]
        desk.parts(
            {"library x:x.HOME": "1", "library x (order)": "1"}, {"library x (order)": "2", "library x:x.y": "1"}
        )
        assert desk.commands[0] == r.Approve()
        desk = Desk().settled().exact(Digest({"library x": "1"})).hoisted(Digest({"library x": "2"}))
        desk.parts({"library x:x.HOME": "1"}, {"library x:x.HOME": "2"})
        assert desk.commands == [r.Rehearse(-3, Start.FILES, (A,))]

    def test_too_much_to_compare(self) -> None:
        desk = Desk().settled().exact(digest(complete=False)).hoisted()
        assert desk.commands[-1] == r.TellExactOnly(A, "there is too much to compare")


class TestErrors:
    def test_the_exact_load_raises(self) -> None:
        desk = Desk().approved().settled(hoisted=True).exact(digest("ImportError"))
        assert desk.commands == [r.LeaveBranch(), r.Prefer(-3, A, "in another one it raises nothing")]

    def test_the_load_through_the_branch_raised_and_the_exact_one_does_not(self) -> None:
        desk = Desk().approved().settled(hoisted=True, error="ImportError").exact()
        assert desk.commands == [r.LeaveBranch(), r.Prefer(-3, A, r.RAISES)]

    def test_both_raise_the_same(self) -> None:
        desk = Desk().approved().settled(hoisted=True, error="a typo").exact(digest("a typo"))
        assert desk.commands == [r.End(-3)]
        assert desk.state.approved, "for when it is mended"

    def test_both_raise_and_not_the_same(self) -> None:
        desk = Desk().approved().settled(hoisted=True, error="a typo").exact(digest("another"))
        assert desk.commands[-1] == r.Prefer(-3, A, "in another one it raises something else")

    def test_the_second_load_through_the_branch_raises(self) -> None:
        desk = Desk().settled().exact().hoisted(digest("ImportError"))
        assert desk.commands == [r.Rehearse(-3, Start.FILES, (A,))]
        desk.after(r.Digested(-3, digest()))
        assert desk.commands == [r.End(-1), r.End(-2), r.End(-3), r.LeaveBranch(), r.TellExactOnly(A, r.RAISES)]

    def test_it_raises_in_any_order_beside_the_server(self) -> None:
        desk = Desk().settled().exact().hoisted(digest("OSError")).after(r.Digested(-3, digest("OSError")))
        assert desk.commands == [r.End(-1), r.End(-2), r.End(-3), r.LeaveBranch()]
        assert desk.settled(B).commands == []

    def test_an_app_that_cannot_be_loaded_beside_itself(self) -> None:
        desk = Desk().settled().exact(digest("OSError"))
        assert desk.commands == [r.End(-1)]
        assert desk.settled(B).commands == []

    def test_a_module_that_cannot_be_hoisted_is_not_tried_again(self) -> None:
        desk = Desk().settled().exact().after(r.NotHoistable(-2, "b", "ImportError"))
        assert desk.commands == [r.Rehearse(-3, Start.FILES, (A,), hoist_levels(graph(), (A,), "b"))]
        desk.after(r.Ended(-2))
        assert desk.commands == []
        desk.hoisted()
        assert desk.commands == [r.Approve(), r.End(-1), r.End(-3)]

    @pytest.mark.parametrize("module", ["", "b"])
    def test_when_that_does_not_help(self, module: str) -> None:
        desk = (
            Desk().settled().exact().after(r.NotHoistable(-2, "b", "a thread"), r.NotHoistable(-3, module, "a thread"))
        )
        assert desk.commands == [r.End(-1), r.LeaveBranch()]
        assert desk.settled().commands == []

    def test_what_first_requests_have_built_and_cannot_be_built_before(self) -> None:
        desk = Desk().after(
            r.LateImported(("json",), ("Django:template a",)), r.LateImported((), ("Django:template b",))
        )
        assert desk.state.early() == ("Django:template a", "Django:template b")
        desk.settled().exact()
        levels = desk.state.levels
        desk.after(r.NotHoistable(-2, FIRST_REQUESTS, "a connection"))
        assert desk.commands == [r.Rehearse(-3, Start.FILES, (A,), levels)]
        assert desk.state.early() == ()

    def test_a_rehearsal_that_dies(self) -> None:
        desk = Desk().settled().exact().after(r.Ended(-2))
        assert desk.commands == [r.End(-1), r.LeaveBranch()]

    def test_a_branch_that_is_lost(self) -> None:
        desk = Desk().approved().after(r.BranchLost()).settled().exact()
        assert isinstance(desk.commands[0], r.Rehearse)


NUMBERS = st.integers(-6, -1)
DIGESTS = st.builds(
    Digest,
    st.dictionaries(st.sampled_from("ab"), st.sampled_from("12")),
    st.booleans(),
    st.sampled_from(["", "", "", "an error"]),
)
EVENTS: st.SearchStrategy[r.Event] = st.one_of(
    st.builds(
        r.Settled,
        st.builds(
            Subject,
            edited=st.lists(st.sampled_from([A, B]), unique=True).map(tuple),
            hoisted=st.booleans(),
            load_ms=st.sampled_from([1.0, 500.0]),
            error=st.sampled_from(["", "an error"]),
        ),
    ),
    st.just(r.Overtaken()),
    st.just(r.BranchLost()),
    st.builds(r.GraphKnown, NUMBERS, st.sampled_from([graph(), graph("u:ab a b:a")])),
    st.builds(r.Digested, NUMBERS, DIGESTS),
    st.builds(r.Described, NUMBERS, st.dictionaries(st.sampled_from("xy"), st.sampled_from("12"))),
    st.builds(r.NotHoistable, NUMBERS, st.sampled_from(["", "c", "d"]), st.just("why")),
    st.builds(r.Ended, NUMBERS),
)


@given(st.lists(EVENTS, max_size=40))
def test_what_holds_for_every_history(history: list[r.Event]) -> None:
    """No rehearsal is forgotten, no more than three live, the branch is approved only after a comparison with its levels."""
    state = r.State()
    begun: set[int] = set()
    over: set[int] = set()
    for event in history:
        through_branch = isinstance(event, r.Settled) and event.subject.hoisted
        if isinstance(event, r.Settled) and through_branch and not (state.approved and event.subject.edited):
            continue  # nobody continues from a branch that is not there
        if isinstance(event, r.NotHoistable | r.Ended):
            over.add(event.rehearsal)
        was = state
        state, commands = r.advance(state, event)
        assert not through_branch or state.exact, "it is always compared"
        begun |= {command.rehearsal for command in commands if isinstance(command, r.Rehearse)}
        over |= {command.rehearsal for command in commands if isinstance(command, r.End | r.Prefer)}
        assert begun <= over | set(state.alive()), event
        assert len(state.alive()) <= 3
        loading = [number for number in state.alive() if number not in state.digests]
        assert len(loading) <= 1, "one at a time"
        for command in commands:
            if isinstance(command, r.Approve):
                assert was.makes_branch
                assert was.exact in was.digests or isinstance(event, r.Digested)
            if isinstance(command, r.Prefer):
                assert was.subject is not None
                assert was.subject.hoisted
                assert not was.makes_branch
        assert bool(state.levels) or not state.approved
