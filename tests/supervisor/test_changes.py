"""Saves that come in parts, reads that come late, states that were acted on: on real files, with timers that the test fires."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from devserver.messages import Interface, LoadEnded
from devserver.options import Options
from devserver.readset import Read, ReadKind, ReadSet, sign_content, sign_file
from devserver.signatures import PENDING
from devserver.supervisor.chain import CheckpointRecord
from devserver.supervisor.changes import SAVE_S, Changes
from devserver.supervisor.ignore import IgnoreRules
from devserver.supervisor.installed import PATIENCE_S, QUIET_S
from devserver.supervisor.plan import Decision, Refresh, Restart, Resume
from devserver.supervisor.tree import ServerRecord


class Desk:
    """Changes, one server, a clock and timers."""

    def __init__(
        self,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        options: Options | None = None,
        installed: tuple[str, ...] = (),
    ) -> None:
        self.folder = folder
        self.now = 100.0
        self.decisions: list[Decision] = []
        self.said: list[Callable[[], None]] = []  # what arrives when somebody listens
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.line: list[CheckpointRecord] = []
        self.branch: list[CheckpointRecord] = []
        self.server: ServerRecord | None = self.new_server(1)
        options = options or Options()
        self.changes = Changes(
            options,
            IgnoreRules.from_options(options.reload_include, options.reload_exclude, folder),
            [str(folder)],
            current=lambda: self.server,
            hear=lambda: self.said.pop()() if self.said else None,
            decided=self.decisions.append,
            lines=lambda: (self.line, self.branch),
            call_later=lambda seconds, act: self.timers.append((self.now + seconds, act)),
            installed=installed,
        )
        self.changes.root_begins()
        self.changes.load_began(1)
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def new_server(self, number: int, parent: CheckpointRecord | None = None) -> ServerRecord:
        nothing = cast("Any", None)
        return ServerRecord(
            number,
            nothing,
            parent or CheckpointRecord(0, 0, nothing, None),
            nothing,
            nothing,
            stand_in=False,
            began=0.0,
        )

    def write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def has_read(
        self,
        path: str,
        kind: ReadKind = ReadKind.SOURCE,
        *,
        content: str | None = None,
        loading: bool = True,
        position: int = 1,
    ) -> None:
        assert self.server is not None
        signature = sign_file(path) if content is None else sign_content(content.encode())
        self.server.reads.add([Read(kind, path, signature, loading, position)])
        self.changes.read(self.server, [path])

    def sees(self, *paths: str, rescan: bool = False) -> list[Decision]:
        """What the events lead to at once."""
        before = len(self.decisions)
        self.changes.seen(paths, rescan=rescan)
        return self.decisions[before:]

    def after(self, seconds: float) -> list[Decision]:
        """What timers lead to."""
        before = len(self.decisions)
        self.now += seconds
        due = [act for when, act in sorted(self.timers, key=lambda timer: timer[0]) if when <= self.now]
        self.timers = [(when, act) for when, act in self.timers if when > self.now]
        for act in due:
            act()
        return self.decisions[before:]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, monkeypatch)


# --- saves in parts ---


def test_a_truncated_file_gets_a_moment(desk: Desk) -> None:
    path = desk.write("app.py", "x = 1")
    desk.has_read(path)
    desk.write("app.py", "")
    assert desk.sees(path) == []
    desk.now += 0.02
    desk.write("app.py", "x = 2")
    assert desk.sees(path) == [Resume(0, (path,))]
    desk.server = desk.new_server(2)
    desk.changes.load_began(2)
    desk.has_read(path)
    assert desk.after(SAVE_S) == []


@pytest.mark.parametrize("state", ["empty", "gone"])
def test_what_stays_empty_or_gone_counts(desk: Desk, state: str) -> None:
    path = desk.write("app.py", "x = 1")
    desk.has_read(path)
    if state == "empty":
        desk.write("app.py", "")
    else:
        Path(path).unlink()
    assert desk.sees(path) == []
    assert desk.after(SAVE_S / 2) == []
    assert desk.after(SAVE_S) == [Resume(0, (path,))]


def test_a_rest_without_an_event_of_its_own(desk: Desk) -> None:
    """The disk decides, not the events."""
    path = desk.write("app.py", "x = 1")
    desk.has_read(path)
    desk.write("app.py", "")
    desk.sees(path)
    desk.write("app.py", "x = 1")
    assert desk.after(SAVE_S) == []


def test_what_does_not_matter_holds_up_nothing(desk: Desk) -> None:
    path, own = desk.write("app.py", "x = 1"), desk.write("own.log", "x")
    desk.has_read(path)
    desk.has_read(own, ReadKind.WRITTEN, loading=False)
    desk.write("own.log", "")
    desk.write("app.py", "x = 2")
    assert desk.sees(path, own) == [Resume(0, (path,))]


def test_a_load_that_fails_on_half_of_a_save_is_overtaken(desk: Desk) -> None:
    path = desk.write("app.py", "x = 1")
    desk.has_read(path)
    desk.write("app.py", "x = ")
    assert desk.sees(path) == [Resume(0, (path,))]
    desk.server = desk.new_server(2)
    desk.changes.load_began(2)
    desk.has_read(path)
    told: list[int] = []
    desk.changes.when_saved(lambda: told.append(len(desk.decisions)))
    assert told == []
    desk.write("app.py", "x = 2")  # its event is still on the way
    assert desk.after(SAVE_S) == [Resume(0, (path,))]
    assert told == [2]  # after the decision, when it is about a server that is no more


def test_a_load_that_fails_on_a_whole_save_is_told(desk: Desk) -> None:
    path = desk.write("app.py", "x = 1")
    desk.has_read(path)
    told: list[str] = []
    desk.changes.when_saved(lambda: told.append("first start"))
    assert told == ["first start"]
    desk.write("app.py", "x = ")
    desk.sees(path)
    desk.server = desk.new_server(2)
    desk.changes.load_began(2)
    desk.has_read(path)
    desk.changes.when_saved(lambda: told.append("after the save"))
    assert desk.after(SAVE_S) == []
    assert told == ["first start", "after the save"]
    desk.changes.when_saved(lambda: told.append("later"))
    assert told[-1] == "later"


# --- reads that come late ---


def test_a_read_that_is_told_after_the_change(desk: Desk) -> None:
    path = desk.write("data.txt", "new")
    assert desk.sees(path) == []
    desk.has_read(path, ReadKind.FILE, content="old")
    assert desk.after(1.0) == [Resume(0, (path,))]


@pytest.mark.parametrize("when", ["before it is read", "never"])
@pytest.mark.parametrize("deaths", [1, 2])
def test_a_save_while_the_like_of_one_that_died_is_loading(desk: Desk, when: str, deaths: int) -> None:
    """The pages of the one that died are old then, although nothing that is read now has changed since."""
    path = desk.write("app.py", "one")
    desk.has_read(path)
    for number in range(2, 2 + deaths):
        desk.server = desk.new_server(number)
        desk.changes.load_began(number, inherits=True)
        if when != "never":
            desk.write("app.py", "two")
            assert desk.sees(path) == []
        desk.has_read(path)
    desk.changes.load_ended(1 + deaths)
    expected = [] if when == "never" else [Refresh((path,), css_only=False)]
    assert desk.decisions == expected
    desk.changes.load_ended(1 + deaths)
    assert desk.decisions == expected, "once"


def test_who_is_loaded_for_a_save_refreshes_nothing(desk: Desk) -> None:
    path = desk.write("app.py", "one")
    desk.has_read(path)
    desk.write("app.py", "two")
    desk.server = desk.new_server(2)
    desk.changes.load_began(2)
    desk.has_read(path)
    desk.changes.load_ended(2)
    assert desk.decisions == []


def test_a_load_may_tell_of_a_read_as_late_as_it_likes(desk: Desk) -> None:
    absent = str(desk.folder / ".env")
    desk.write(".env", "")
    assert desk.sees(absent) == []
    assert desk.server is not None
    for _ in range(3):
        desk.has_read(desk.write("app.py", "x = 1"))
        assert desk.after(20.0) == []
    desk.server.reads.add([Read(ReadKind.ABSENT, absent, "-", position=1)])
    desk.changes.read(desk.server, [absent])
    desk.after(1.0)
    assert desk.after(1.0) == [Resume(0, (absent,))]


def test_reads_of_another_server_do_not_count(desk: Desk) -> None:
    path = desk.write("data.txt", "new")
    desk.sees(path)
    old, desk.server = desk.server, desk.new_server(2)
    assert old is not None
    old.reads.add([Read(ReadKind.FILE, path, sign_content(b"old"), position=1)])
    desk.changes.read(old, [path])
    assert desk.after(1.0) == []


def test_what_the_app_is_about_to_write_is_heard_in_time(desk: Desk) -> None:
    """Its announcement is in the channel before the file is on the disk, and the event may be noticed first."""
    path = desk.write("cache.json", "old")
    desk.has_read(path, ReadKind.FILE, loading=False)
    desk.write("cache.json", "new")
    desk.said.append(lambda: desk.has_read(path, ReadKind.WRITTEN, loading=False))
    assert desk.sees(path) == []
    assert desk.said == []


# --- what was acted on ---


def _serves_templates(desk: Desk) -> None:
    assert desk.server is not None
    roots = (str(desk.folder / "templates"),)
    desk.server.loaded = LoadEnded("x", Interface.WSGI, 1, 1.0, template_roots=roots)
    (desk.folder / "templates").mkdir()


def test_a_refresh_is_told_once_for_each_state(desk: Desk) -> None:
    _serves_templates(desk)
    path = desk.write("templates/a.html", "one")
    desk.has_read(path, ReadKind.FILE, loading=False)
    desk.write("templates/a.html", "two")
    refresh = [Refresh((path,), css_only=False)]
    assert desk.sees(path) == refresh
    assert desk.sees(path) == []
    assert desk.sees(rescan=True) == []
    desk.has_read(path, ReadKind.FILE, loading=False)
    assert desk.sees(path) == []
    desk.write("templates/a.html", "one")  # back to what the first read was
    assert desk.sees(path) == refresh
    assert desk.sees(path) == []
    desk.has_read(path, ReadKind.FILE, loading=False)  # what it holds now, though it has read something else in between
    assert desk.after(1.0) == []


def test_a_template_that_was_read_before_it_was_to_be_forgotten(desk: Desk) -> None:
    """The old content came into the cache again after the refresh was sent: once more."""
    _serves_templates(desk)
    path = desk.write("templates/a.html", "one")
    desk.has_read(path, ReadKind.FILE, loading=False)
    desk.write("templates/a.html", "two")
    assert desk.sees(path) != []
    desk.has_read(path, ReadKind.FILE, content="one", loading=False)
    assert desk.after(1.0) == [Refresh((path,), css_only=False)]


def test_what_is_included_unread_counts_once_for_each_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tmp_path, monkeypatch, dataclasses.replace(Options(), reload_include=("*.html",)))
    path = desk.write("page.html", "one")
    assert desk.sees(path) == [Resume(0, (path,))]
    assert desk.sees(path) == []
    desk.write("page.html", "two")
    assert len(desk.sees(path)) == 1
    desk.has_read(desk.write("app.py", ""))
    assert desk.after(1.0) == []  # comparing again is no event


def test_what_the_root_was_given_is_compared_with_what_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "settings.env")
    Path(path).write_text("A=1")
    desk = Desk(tmp_path, monkeypatch, dataclasses.replace(Options(), env_file=path))
    assert desk.sees(path) == []
    Path(path).write_text("A=2")
    assert [type(decision) for decision in desk.sees(path)] == [Restart]
    desk.changes.root_begins()
    assert desk.sees(path, rescan=True) == []
    Path(path).write_text("A=1")
    assert [type(decision) for decision in desk.sees(path)] == [Restart]


# --- checkpoints ---


def resume_after(desk: Desk, reads: list[list[Read]]) -> None:
    """A second server continues from the last of these checkpoints; the first of the lists is the root's."""
    line: CheckpointRecord | None = None
    for position, these in enumerate(reads):
        line = CheckpointRecord(position, 0, cast("Any", None), line, ReadSet(these))
    desk.server = desk.new_server(2, line)
    desk.changes.load_began(2)


def test_who_continues_from_a_checkpoint_that_is_no_longer_true_is_overtaken(desk: Desk) -> None:
    first, second = desk.write("first.py", "1"), desk.write("second.py", "2")
    reads = [
        [],
        [Read(ReadKind.SOURCE, first, sign_file(first), position=1)],
        [Read(ReadKind.SOURCE, second, sign_file(second), position=2)],
    ]
    resume_after(desk, reads)
    assert desk.decisions == []
    desk.write("second.py", "3")  # and no event has come
    resume_after(desk, reads)
    assert desk.decisions == [Resume(1, (second,))]
    desk.write("first.py", "3")
    resume_after(desk, reads)
    assert desk.decisions[1] == Resume(0, (first, second))


def test_what_the_load_wrote_and_somebody_deleted_is_written_again(desk: Desk) -> None:
    made = desk.write("made.txt", "by the load")
    reads = [[], [Read(ReadKind.WRITTEN, made, sign_file(made), position=1)], []]
    resume_after(desk, reads)
    assert desk.decisions == []
    Path(made).unlink()
    resume_after(desk, reads)
    assert desk.decisions == [Resume(0, (made,))]


def test_what_the_load_wrote_and_somebody_deleted_before_a_save(desk: Desk) -> None:
    """Seen apart from the save: the next load continues from before the writing all the same, and at once."""
    made, third = desk.write("made.txt", "made"), desk.write("third.py", "x = 1")
    written = Read(ReadKind.WRITTEN, made, sign_file(made), position=1)
    resume_after(desk, [[], [written], [Read(ReadKind.SOURCE, third, sign_file(third), position=2)]])
    Path(made).unlink()
    assert desk.sees(made) == []
    desk.write("third.py", "x = 2")
    assert desk.sees(third) == [Resume(0, (third,))]


def test_a_log_that_the_load_has_open_keeps_no_checkpoint_from_use(desk: Desk) -> None:
    log = desk.write("app.log", "one line")
    reads = [[], [Read(ReadKind.WRITTEN, log, PENDING, position=1)], []]
    desk.write("app.log", "one line\nanother")
    resume_after(desk, reads)
    assert desk.decisions == []


def test_the_sources_saved_last_are_known(desk: Desk) -> None:
    paths = [desk.write(f"m{number}.py", "1") for number in range(8)]
    for path in paths:
        desk.has_read(path)
    for path in [*paths, paths[5]]:
        desk.write(Path(path).name, Path(path).read_text() + "1")
        desk.sees(path)
    assert desk.changes.saved_sources == tuple(paths[number] for number in (5, 7, 6, 4, 3, 2))


def test_a_save_that_waits_for_its_rest_is_not_forgotten_over_another(desk: Desk) -> None:
    kept, gone = desk.write("kept.py", "1"), desk.write("gone.py", "1")
    desk.has_read(kept)
    desk.has_read(gone)
    desk.write("kept.py", "2")
    assert desk.sees(kept) == [Resume(0, (kept,))]
    desk.now += SAVE_S / 2
    Path(gone).unlink()
    assert desk.sees(gone) == []  # it may come back
    desk.changes.when_saved(lambda: None)  # compares what the load is for, and nothing else
    assert gone in [path for decision in desk.after(SAVE_S * 2) for path in decision.paths]  # type: ignore[union-attr]


# --- what is installed ---


class Site:
    """A folder of installed packages, and how long ago somebody wrote there."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.age_s = 0.0
        folder.mkdir()
        monkeypatch.setattr(time, "time_ns", lambda: self.last_ns() + int(self.age_s * 1e9))

    def last_ns(self) -> int:
        return max(path.stat().st_ctime_ns for path in (self.folder, *self.folder.rglob("*")))

    def add(self, name: str) -> str:
        path = self.folder / name
        path.mkdir()
        return str(path)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(tmp_path / "site-packages", monkeypatch)


@pytest.fixture
def installing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: Site) -> Desk:
    return Desk(tmp_path, monkeypatch, installed=(str(site.folder),))


RESTART = [Restart(("installed packages",), "in a fresh interpreter")]


def test_an_installation_counts_once_it_is_complete(installing: Desk, site: Site) -> None:
    assert installing.sees(site.add("thing")) == []
    site.age_s = QUIET_S / 2
    assert installing.sees(site.add("thing-1.0.dist-info")) == []
    assert len(installing.timers) == 1, "one look is enough"
    (site.folder / "thing" / "late.py").touch()  # no event comes from below
    assert installing.after(QUIET_S) == []
    site.age_s = QUIET_S
    assert installing.after(QUIET_S) == RESTART


def test_other_changes_do_not_wait_for_an_installation(installing: Desk, site: Site) -> None:
    path = installing.write("app.py", "x = 1")
    installing.has_read(path)
    site.add("thing")
    installing.write("app.py", "x = 2")
    assert installing.sees(path, rescan=True) == [Resume(0, (path,))]
    site.age_s = QUIET_S
    assert installing.after(QUIET_S) == RESTART


def test_an_installation_that_is_taken_back_is_nothing(installing: Desk, site: Site) -> None:
    path = site.add("thing")
    assert installing.sees(path) == []
    Path(path).rmdir()
    site.age_s = QUIET_S
    assert installing.after(QUIET_S) == []
    assert installing.timers == []


def test_somebody_who_never_stops_writing_is_not_waited_for(installing: Desk, site: Site) -> None:
    path = site.add("thing")
    assert installing.sees(path) == []
    decided: list[Decision] = []
    while not decided and installing.now < 200:
        decided = installing.after(QUIET_S)
    assert decided == RESTART
    assert installing.now <= 100 + PATIENCE_S + QUIET_S


def test_a_fresh_interpreter_has_what_is_there(installing: Desk, site: Site) -> None:
    path = site.add("thing")
    site.age_s = QUIET_S
    assert installing.sees(path) == RESTART
    installing.changes.root_begins()
    assert installing.sees(path, rescan=True) == []


def test_what_the_app_watches_is_told_once_for_each_state(desk: Desk) -> None:
    path = desk.write("a.md", "one")
    assert desk.sees(path) == []
    assert desk.server is not None
    desk.server.loaded = LoadEnded("x", Interface.WSGI, 1, 1.0, watched=(f"{desk.folder}/**/*.md", "/", "/a/[z-a]"))
    told = [Refresh((), css_only=False, watched=(path,))]
    assert desk.sees(path) == told
    assert desk.sees(path) == []
    desk.write("a.md", "two")
    assert desk.sees(path) == told
    assert desk.sees(desk.write("b.txt", "one")) == []


# --- a line and a branch ---


def checkpoints(*reads: str) -> list[CheckpointRecord]:
    """The root, and one for each path, which was read before it froze."""
    found = [CheckpointRecord(0, 0, cast("Any", None), None)]
    for position, path in enumerate(reads, 1):
        own = ReadSet([Read(ReadKind.SOURCE, path, sign_file(path), loading=True, position=position)])
        found.append(CheckpointRecord(position, 0, cast("Any", None), found[-1], own))
    return found


def test_a_save_is_followed_on_the_line_and_on_the_branch(desk: Desk) -> None:
    view, urls, forms = (desk.write(f"{name}.py", name) for name in ("view", "urls", "forms"))
    desk.line = checkpoints(view, urls)
    desk.branch = checkpoints(forms, urls)
    assert desk.server is not None
    desk.server = desk.new_server(2, desk.line[-1])
    desk.changes.load_began(2)
    desk.has_read(forms, position=3)
    desk.write("view.py", "saved")
    (decision,) = desk.sees(view)
    assert decision == Resume(0, (view,), hoisted=2)


def test_a_server_from_the_branch_is_followed_on_the_line_too(desk: Desk) -> None:
    view, urls, forms = (desk.write(f"{name}.py", name) for name in ("view", "urls", "forms"))
    desk.line = checkpoints(urls, view)
    desk.branch = checkpoints(forms)
    desk.server = dataclasses.replace(desk.new_server(2, desk.branch[-1]), hoisted=True)
    desk.changes.load_began(2)
    desk.has_read(view, position=2)
    desk.write("view.py", "saved")
    (decision,) = desk.sees(view)
    assert decision == Resume(1, (view,), hoisted=1)


def test_without_a_branch_nothing_is_hoisted(desk: Desk) -> None:
    view = desk.write("view.py", "view")
    desk.line = checkpoints()
    desk.has_read(view)
    desk.write("view.py", "saved")
    (decision,) = desk.sees(view)
    assert decision == Resume(0, (view,), hoisted=0)
