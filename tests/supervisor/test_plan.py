"""What a change means, by tables and by properties of all tables."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devserver.readset import Aspect, Change, ChangeKind, Read, ReadKind, ReadSet
from devserver.record import replace
from devserver.signatures import ABSENT, PENDING
from devserver.supervisor.plan import Decision, Nothing, Refresh, Restart, Resume, Rules, decide, furthest

SOURCE, FILE, WRITTEN, STATIC = ReadKind.SOURCE, ReadKind.FILE, ReadKind.WRITTEN, ReadKind.STATIC
LISTING, LOOKUP, PRESENT = ReadKind.LISTING, ReadKind.LOOKUP, ReadKind.PRESENT
OLD, NEW = "h:old", "h:new"
APP = "/app/app.py"


def read(
    kind: ReadKind,
    path: str = APP,
    signature: str = OLD,
    *,
    loading: bool = True,
    position: int = 1,
    by_user: bool = False,
) -> Read:
    return Read(kind, path, signature, loading, position, by_user)


def change(path: str = APP, signature: str = NEW, aspect: Aspect = Aspect.CONTENT, cause: str = "") -> Change:
    return Change(path, ChangeKind.MODIFIED, signature, aspect, cause)


def chain(*reads: Read) -> list[ReadSet]:
    """As many processes as the positions tell; at least the root and a server."""
    last = max([1, *(one.position for one in reads)])
    return [ReadSet(one for one in reads if one.position == position) for position in range(last + 1)]


def of(decision: Decision) -> str:
    """The decision in a word, for tables."""
    match decision:
        case Nothing():
            return "nothing"
        case Refresh(paths=(), watched=(_, *_)):
            return "tell"
        case Refresh(css_only=css_only):
            return "css" if css_only else "page"
        case Resume(checkpoint=checkpoint):
            return f"resume {checkpoint}"
        case Restart():
            return "restart"


TABLE: list[tuple[str, list[Read], list[Change], Rules, str]] = [
    ("nobody read it", [], [change()], Rules(), "nothing"),
    ("another was read", [read(SOURCE, "/app/b.py")], [change()], Rules(), "nothing"),
    ("no change at all", [read(SOURCE)], [], Rules(), "nothing"),
    ("same content", [read(SOURCE)], [change(signature=OLD)], Rules(), "nothing"),
    ("source", [read(SOURCE)], [change()], Rules(), "resume 0"),
    # what the app's own code has read may live on in its caches
    (
        "a manifest below the static files, read by a view",
        [read(FILE, loading=False, by_user=True)],
        [change()],
        Rules(static_roots=("/app",)),
        "resume 0",
    ),
    (
        "the same, and sent as well",
        [read(FILE, loading=False, by_user=True), read(STATIC, loading=False)],
        [change()],
        Rules(static_roots=("/app",)),
        "resume 0",
    ),
    (
        "a listing of the templates, by a view",
        [read(LISTING, "/app", "l:a", loading=False, by_user=True)],
        [change("/app", "l:a/b", Aspect.NAMES)],
        Rules(template_roots=("/app",)),
        "resume 0",
    ),
    (
        "a link",
        [read(ReadKind.LINK, signature="k:a")],
        [change(signature="k:b", aspect=Aspect.LINK)],
        Rules(),
        "resume 0",
    ),
    # a folder that the app made holds what others put there
    (
        "a file in a folder that the load made",
        [read(WRITTEN, "/app/conf", "d"), read(LISTING, "/app/conf", "l:")],
        [change("/app/conf", "l:a", Aspect.NAMES)],
        Rules(),
        "resume 0",
    ),
    (
        "the app's own file there",
        [read(WRITTEN, "/app/conf", "d"), read(WRITTEN, "/app/conf/a"), read(LISTING, "/app/conf", "l:")],
        [change("/app/conf", "l:a", Aspect.NAMES)],
        Rules(),
        "nothing",
    ),
    (
        "the folder itself",
        [read(WRITTEN, "/app/conf", "d"), read(LISTING, "/app/conf", ABSENT)],
        [change("/app/conf", "l:", Aspect.NAMES)],
        Rules(),
        "nothing",
    ),
    (
        "a package in a folder that the load made",
        [read(WRITTEN, "/app/plug", "d"), read(LOOKUP, "/app/plug", "m:plug/")],
        [change("/app/plug", "m:plug/__init__.py", Aspect.MODULE)],
        Rules(),
        "resume 0",
    ),
    ("deleted source", [read(SOURCE)], [change(signature=ABSENT)], Rules(), "resume 0"),
    ("source on the first request", [read(SOURCE, loading=False)], [change()], Rules(), "resume 0"),
    ("read while loading", [read(FILE)], [change()], Rules(), "resume 0"),
    ("read while serving", [read(FILE, loading=False)], [change()], Rules(), "resume 0"),
    ("asked for, now there", [read(ReadKind.ABSENT, signature=ABSENT)], [change()], Rules(), "resume 0"),
    (
        "asked for, still not there",
        [read(ReadKind.ABSENT, signature=ABSENT)],
        [change(signature=ABSENT)],
        Rules(),
        "nothing",
    ),
    ("read by the root", [read(FILE, position=0)], [change()], Rules(), "restart"),
    ("read by root and server", [read(FILE, position=0), read(FILE)], [change()], Rules(), "restart"),
    # the deepest checkpoint that had not read it
    ("deep", [read(SOURCE, position=3), read(SOURCE, "/app/b.py", position=5)], [change()], Rules(), "resume 2"),
    ("deepest", [read(SOURCE, position=5)], [change()], Rules(), "resume 4"),
    ("read twice", [read(SOURCE, position=4), read(FILE, position=2)], [change()], Rules(), "resume 1"),
    (
        "two files",
        [read(SOURCE, position=4), read(SOURCE, "/app/b.py", position=2)],
        [change(), change("/app/b.py")],
        Rules(),
        "resume 1",
    ),
    (
        "read before and after a save: only the old state is spoiled",
        [read(SOURCE, position=1, signature=NEW), read(SOURCE, position=3)],
        [change()],
        Rules(),
        "resume 2",
    ),
    (
        "installed packages, wherever they are",
        [read(ReadKind.INSTALLED, "/app/.venv/lib/site-packages", "i:", position=0)],
        [change("/app/.venv/lib/site-packages", "i:thing", Aspect.INSTALLED, "installed packages")],
        Rules(excluded=lambda path: True),
        "restart",
    ),
    (
        "the same packages",
        [read(ReadKind.INSTALLED, "/s", "i:thing", position=0)],
        [change("/s", "i:thing", Aspect.INSTALLED)],
        Rules(),
        "nothing",
    ),
    # static files and templates
    ("style sheet", [read(STATIC, "/s/a.css")], [change("/s/a.css")], Rules(), "css"),
    ("style sheet, big letters", [read(STATIC, "/s/A.CSS")], [change("/s/A.CSS")], Rules(), "css"),
    ("script", [read(STATIC, "/s/a.js")], [change("/s/a.js")], Rules(), "page"),
    (
        "style sheet and script",
        [read(STATIC, "/s/a.js"), read(STATIC, "/s/a.css")],
        [change("/s/a.css"), change("/s/a.js")],
        Rules(),
        "page",
    ),
    (
        "style sheet and source",
        [read(SOURCE), read(STATIC, "/s/a.css")],
        [change("/s/a.css"), change()],
        Rules(),
        "resume 0",
    ),
    ("static, same content", [read(STATIC, "/s/a.css")], [change("/s/a.css", OLD)], Rules(), "nothing"),
    ("sent and opened for it", [read(STATIC), read(FILE, loading=False)], [change()], Rules(), "page"),
    ("sent, and read by the load", [read(STATIC), read(FILE)], [change()], Rules(), "resume 0"),
    ("sent, and executed", [read(STATIC), read(SOURCE, loading=False)], [change()], Rules(), "resume 0"),
    (
        "below a static root, opened by the framework",
        [read(FILE, "/app/static/a.css", loading=False)],
        [change("/app/static/a.css")],
        Rules(static_roots=("/app/static",)),
        "css",
    ),
    (
        "template",
        [read(FILE, "/app/t/a.html", loading=False)],
        [change("/app/t/a.html")],
        Rules(template_roots=("/app/t",)),
        "page",
    ),
    (
        "template that the load read",
        [read(FILE, "/app/t/a.html")],
        [change("/app/t/a.html")],
        Rules(template_roots=("/app/t",)),
        "resume 0",
    ),
    (
        "a folder whose name begins like a template root",
        [read(FILE, "/app/tt/a.html", loading=False)],
        [change("/app/tt/a.html")],
        Rules(template_roots=("/app/t",)),
        "resume 0",
    ),
    (
        "a template that was not found in the first folder appears there",
        [read(ReadKind.ABSENT, "/app/t/a.html", ABSENT, loading=False)],
        [change("/app/t/a.html")],
        Rules(template_roots=("/app/t/",)),
        "page",
    ),
    (
        "a source below a template root",
        [read(SOURCE, "/app/t/a.py", loading=False)],
        [change("/app/t/a.py")],
        Rules(template_roots=("/app/t",)),
        "resume 0",
    ),
    # what the app writes
    ("written while serving", [read(WRITTEN, loading=False)], [change()], Rules(), "nothing"),
    ("read, then written while serving", [read(FILE), read(WRITTEN, loading=False)], [change()], Rules(), "nothing"),
    ("a source that the app edits", [read(SOURCE), read(WRITTEN, loading=False)], [change()], Rules(), "resume 0"),
    ("the load is writing it", [read(FILE), read(WRITTEN, signature=PENDING)], [change()], Rules(), "nothing"),
    ("as the load left it", [read(FILE), read(WRITTEN, signature=NEW)], [change()], Rules(), "nothing"),
    (
        "first pending, then as the load left it",
        [read(FILE), read(WRITTEN, signature=PENDING), read(WRITTEN, signature=NEW)],
        [change()],
        Rules(),
        "nothing",
    ),
    ("not as the load left it", [read(FILE), read(WRITTEN, signature="h:left")], [change()], Rules(), "resume 0"),
    ("written by the load, read by nobody", [read(WRITTEN)], [change()], Rules(), "nothing"),
    (
        "generated and executed",
        [read(WRITTEN, signature=NEW), read(SOURCE, signature=NEW)],
        [change()],
        Rules(),
        "nothing",
    ),
    (
        "a resume goes before what the load wrote and somebody changed",
        [read(WRITTEN, "/app/state", position=2), read(SOURCE, position=5)],
        [change(), change("/app/state")],
        Rules(),
        "resume 1",
    ),
    (
        "a log that stays open does not hold it back",
        [
            read(WRITTEN, "/app/log", position=2),
            read(WRITTEN, "/app/log", PENDING, loading=False, position=5),
            read(SOURCE, position=5),
        ],
        [change(), change("/app/log")],
        Rules(),
        "resume 4",
    ),
    (
        "absent, then written by the load",
        [read(ReadKind.ABSENT, signature=ABSENT), read(WRITTEN, signature=NEW)],
        [change()],
        Rules(),
        "nothing",
    ),
    # listings
    (
        "a distribution more, in a folder of the user's",
        [read(ReadKind.DISTRIBUTIONS, "/app", "i:")],
        [change("/app", "i:thing.egg-info", Aspect.DISTRIBUTIONS)],
        Rules(),
        "resume 0",
    ),
    ("a name more", [read(LISTING, "/app", "l:a")], [change("/app", "l:a/b", Aspect.NAMES)], Rules(), "resume 0"),
    ("a name less", [read(LISTING, "/app", "l:a/b")], [change("/app", "l:a", Aspect.NAMES)], Rules(), "resume 0"),
    ("the folder is gone", [read(LISTING, "/app", "l:a")], [change("/app", ABSENT, Aspect.NAMES)], Rules(), "resume 0"),
    (
        "an empty folder is gone",
        [read(LISTING, "/app", "l:")],
        [change("/app", ABSENT, Aspect.NAMES)],
        Rules(),
        "resume 0",
    ),
    ("the same names", [read(LISTING, "/app", "l:a")], [change("/app", "l:a", Aspect.NAMES)], Rules(), "nothing"),
    (
        "an upload in a listed folder",
        [read(LISTING, "/app", "l:a"), read(WRITTEN, "/app/b", loading=False)],
        [change("/app", "l:a/b", Aspect.NAMES)],
        Rules(),
        "nothing",
    ),
    (
        "an upload, and a file of somebody else's",
        [read(LISTING, "/app", "l:a"), read(WRITTEN, "/app/b", loading=False)],
        [change("/app", "l:a/b/c", Aspect.NAMES)],
        Rules(),
        "resume 0",
    ),
    (
        "too many names to tell",
        [read(LISTING, "/app", "L:1")],
        [change("/app", "L:2", Aspect.NAMES)],
        Rules(),
        "resume 0",
    ),
    (
        "a listed folder that the app made",
        [read(LISTING, "/app/up", ABSENT), read(WRITTEN, "/app/up", loading=False)],
        [change("/app/up", "l:", Aspect.NAMES)],
        Rules(),
        "nothing",
    ),
    (
        "an excluded name in a listed folder",
        [read(LISTING, "/app", "l:a")],
        [change("/app", "l:a/b", Aspect.NAMES)],
        Rules(excluded=lambda path: path == "/app/b"),
        "nothing",
    ),
    (
        "templates listed while serving",
        [read(LISTING, "/app/t", "l:a", loading=False)],
        [change("/app/t", "l:a/b", Aspect.NAMES)],
        Rules(template_roots=("/app/t",)),
        "page",
    ),
    # look-ups and presences
    (
        "a module appears",
        [read(LOOKUP, "/app/m", ABSENT)],
        [change("/app/m", "m:m.py", Aspect.MODULE)],
        Rules(),
        "resume 0",
    ),
    (
        "a package takes its place",
        [read(LOOKUP, "/app/m", "m:m.py")],
        [change("/app/m", "m:m/__init__.py", Aspect.MODULE)],
        Rules(),
        "resume 0",
    ),
    (
        "the same file is found",
        [read(LOOKUP, "/app/m", "m:m.py")],
        [change("/app/m", "m:m.py", Aspect.MODULE)],
        Rules(),
        "nothing",
    ),
    (
        "a module that the app writes",
        [read(LOOKUP, "/app/m", ABSENT), read(WRITTEN, "/app/m.py", loading=False)],
        [change("/app/m", "m:m.py", Aspect.MODULE)],
        Rules(),
        "nothing",
    ),
    (
        "a module that the app removes",
        [read(LOOKUP, "/app/m", "m:m.py"), read(WRITTEN, "/app/m.py", loading=False)],
        [change("/app/m", ABSENT, Aspect.MODULE)],
        Rules(),
        "nothing",
    ),
    (
        "a look-up below a template root, while serving",
        [read(LOOKUP, "/app/t/m", ABSENT, loading=False)],
        [change("/app/t/m", "m:m.py", Aspect.MODULE)],
        Rules(template_roots=("/app/t",)),
        "resume 0",
    ),
    (
        "a flag is removed",
        [read(PRESENT, signature="t:-")],
        [change(signature=ABSENT, aspect=Aspect.PRESENCE)],
        Rules(),
        "resume 0",
    ),
    (
        "a size that was asked for",
        [read(ReadKind.DETAILS, signature="z:1:1", position=2)],
        [change(signature="z:2:1", aspect=Aspect.DETAILS)],
        Rules(),
        "resume 1",
    ),
    (
        "a size of what the app writes",
        [read(ReadKind.DETAILS, signature="z:1:1"), read(WRITTEN, loading=False)],
        [change(signature="z:2:1", aspect=Aspect.DETAILS)],
        Rules(),
        "nothing",
    ),
    (
        "a flag that the app removes",
        [read(PRESENT, signature="t:-"), read(WRITTEN, loading=False)],
        [change(signature=ABSENT, aspect=Aspect.PRESENCE)],
        Rules(),
        "nothing",
    ),
    (
        "aspects are not compared with each other",
        [read(SOURCE)],
        [change(signature="t:-", aspect=Aspect.PRESENCE)],
        Rules(),
        "nothing",
    ),
    # what the user says
    ("included", [], [change("/app/a.graphql")], Rules(included=lambda path: path.endswith(".graphql")), "resume 0"),
    (
        "included, deep chain",
        [read(SOURCE, position=4)],
        [change("/x")],
        Rules(included=lambda _path: True),
        "resume 0",
    ),
    (
        "included and read, same content",
        [read(FILE)],
        [change(signature=OLD)],
        Rules(included=lambda _path: True),
        "nothing",
    ),
    (
        "included, written by the app",
        [read(WRITTEN, loading=False)],
        [change()],
        Rules(included=lambda _path: True),
        "nothing",
    ),
    ("excluded", [read(SOURCE)], [change()], Rules(excluded=lambda _path: True), "nothing"),
    (
        "excluded by the name that people know",
        [read(SOURCE)],
        [change(cause="/real/app.py")],
        Rules(excluded=lambda path: path.startswith("/real/")),
        "nothing",
    ),
    ("watched by the app", [], [change()], Rules(watched=lambda _path: True), "tell"),
    ("watched and read", [read(SOURCE)], [change()], Rules(watched=lambda _path: True), "resume 0"),
    (
        "watched, and another one read",
        [read(STATIC)],
        [change(), change("/app/w")],
        Rules(watched=lambda _path: True),
        "page",
    ),
    (
        "watched and included",
        [],
        [change()],
        Rules(watched=lambda _path: True, included=lambda _path: True),
        "resume 0",
    ),
    ("watched and excluded", [], [change()], Rules(watched=lambda _path: True, excluded=lambda _path: True), "nothing"),
    ("excluded beats included", [], [change()], Rules(included=lambda _p: True, excluded=lambda _p: True), "nothing"),
]


@pytest.mark.parametrize(
    ("reads", "changes", "rules", "expected"), [pytest.param(*row[1:], id=row[0]) for row in TABLE]
)
def test_table(reads: list[Read], changes: list[Change], rules: Rules, expected: str) -> None:
    assert of(decide(changes, chain(*reads), rules)) == expected


def test_the_shown_paths() -> None:
    changes = [change(cause="/real/app.py"), change(cause="/real/app.py"), change("/app/s.css"), change("/app/watched")]
    processes = chain(read(SOURCE), read(STATIC, "/app/s.css"))
    assert decide(changes, processes, Rules()) == Resume(0, ("/real/app.py",))
    assert decide(changes[2:], processes, Rules()) == Refresh(("/app/s.css",), css_only=True)
    watched = Rules(watched=lambda _path: True)
    assert decide(changes[2:], processes, watched) == Refresh(("/app/s.css",), css_only=True, watched=("/app/watched",))


def test_a_restart_says_why() -> None:
    decision = decide([change("/app/.env")], chain(read(FILE, "/app/.env", position=0)), Rules())
    assert decision == Restart(("/app/.env",), "in a fresh interpreter")


def test_a_chain_without_a_checkpoint_restarts() -> None:
    assert of(decide([change()], [ReadSet([read(SOURCE, position=0)])], Rules())) == "restart"


# --- properties ---

PATHS = ["/app/a.py", "/app/s/b.css", "/app/t/c.html", "/app", "/app/t"]
signatures = {
    Aspect.CONTENT: st.sampled_from([OLD, NEW, ABSENT]),
    Aspect.NAMES: st.sampled_from(["l:a.py", "l:a.py/b.py", "l:", "L:1", ABSENT]),
    Aspect.MODULE: st.sampled_from(["m:a.py", "m:a/__init__.py", ABSENT]),
    Aspect.PRESENCE: st.sampled_from(["t:-", "t:d", ABSENT]),
    Aspect.DETAILS: st.sampled_from(["z:1:1", "z:2:1", ABSENT]),
    Aspect.LINK: st.sampled_from(["k:a", "k:b", ABSENT]),
    Aspect.INSTALLED: st.sampled_from(["i:a", "i:a/b", ABSENT]),
    Aspect.DISTRIBUTIONS: st.sampled_from(["i:a", "i:a/b", ABSENT]),
}
RULES = Rules(template_roots=("/app/t",), static_roots=("/app/s",))


@st.composite
def any_read(draw: st.DrawFn, kinds: Sequence[ReadKind] = tuple(ReadKind)) -> Read:
    kind = draw(st.sampled_from(list(kinds)))
    return Read(
        kind,
        draw(st.sampled_from(PATHS)),
        draw(signatures[kind.aspect] | (st.just(PENDING) if kind is WRITTEN else st.nothing())),
        loading=draw(st.booleans()),
        position=draw(st.integers(0, 3)),
        by_user=draw(st.booleans()),
    )


@st.composite
def any_change(draw: st.DrawFn) -> Change:
    aspect = draw(st.sampled_from(list(Aspect)))
    return change(draw(st.sampled_from(PATHS)), draw(signatures[aspect]), aspect)


def rank(decision: Decision) -> float:
    """How much is done anew: nothing, the page, the processes after a checkpoint, all."""
    match decision:
        case Nothing():
            return 0
        case Refresh(css_only=css_only):
            return 1 if css_only else 2
        case Resume(checkpoint=checkpoint):
            return 100 - checkpoint
        case Restart():
            return 1000


def processes(reads: Sequence[Read]) -> list[ReadSet]:
    return [ReadSet(one for one in reads if one.position == position) for position in range(4)]


reads_lists = st.lists(any_read(), max_size=8)
changes_lists = st.lists(any_change(), max_size=4)
SPOILING = [kind for kind in ReadKind if kind not in (WRITTEN, STATIC)]


@given(reads_lists, changes_lists, any_read(SPOILING))
def test_adding_a_read_never_does_less(reads: list[Read], changes: list[Change], more: Read) -> None:
    if not any(one.kind is WRITTEN and one.path == more.path for one in reads):
        before, after = decide(changes, processes(reads), RULES), decide(changes, processes([*reads, more]), RULES)
        # What was refreshed for one style sheet may be refreshed for a page now, never the reverse.
        assert rank(after) >= rank(before)


@given(reads_lists, changes_lists, any_change())
def test_adding_a_change_never_does_less(reads: list[Read], changes: list[Change], more: Change) -> None:
    assert rank(decide([*changes, more], processes(reads), RULES)) >= rank(decide(changes, processes(reads), RULES))


@given(reads_lists, changes_lists)
def test_the_order_does_not_matter(reads: list[Read], changes: list[Change]) -> None:
    forth, back = decide(changes, processes(reads), RULES), decide(changes[::-1], processes(reads), RULES)
    assert rank(forth) == rank(back)


@given(reads_lists, changes_lists)
def test_what_nobody_read_is_nothing(reads: list[Read], changes: list[Change]) -> None:
    changed = {(one.path, one.aspect) for one in changes}
    others = [one for one in reads if (one.path, one.kind.aspect) not in changed]
    assert decide(changes, processes(others), RULES) == Nothing()


@given(reads_lists, changes_lists)
def test_what_is_as_it_was_read_is_nothing(reads: list[Read], changes: list[Change]) -> None:
    now = {(one.path, one.aspect): one.signature for one in changes}
    same = [replace(one, signature=now.get((one.path, one.kind.aspect), one.signature)) for one in reads]
    changes = [change(path, signature, aspect) for (path, aspect), signature in now.items()]
    assert decide(changes, processes(same), RULES) == Nothing()


@given(reads_lists, changes_lists)
def test_the_checkpoint_has_read_nothing_of_the_changed_sources(reads: list[Read], changes: list[Change]) -> None:
    decision = decide(changes, processes(reads), RULES)
    if isinstance(decision, Resume):
        assert 0 <= decision.checkpoint <= 2
        unwritten = [one for one in reads if not any(w.kind is WRITTEN and w.path == one.path for w in reads)]
        spoiled = [
            one
            for one in unwritten
            for changed in changes
            if one.kind is SOURCE and one.path == changed.path
            if changed.aspect is Aspect.CONTENT and one.signature != changed.signature
        ]
        assert all(one.position > decision.checkpoint for one in spoiled)


@given(st.lists(any_read(tuple(ReadKind)), max_size=8), changes_lists)
def test_what_is_only_written_while_serving_is_nothing(reads: list[Read], changes: list[Change]) -> None:
    content = [one for one in reads if one.kind.aspect is Aspect.CONTENT and one.kind is not SOURCE]
    written = [replace(read(WRITTEN, path, PENDING, loading=False)) for path in PATHS]
    pending_free = [one for one in content if one.kind is not WRITTEN]
    assert decide(changes, processes([*pending_free, *written]), RULES) == Nothing()


def test_what_the_load_wrote_counts_when_a_checkpoint_that_holds_it_is_in_use() -> None:
    left = [read(ReadKind.WRITTEN, signature=OLD, position=2), read(ReadKind.WRITTEN, signature=OLD, position=4)]
    chain = processes([*left, read(SOURCE, "/app/b.py", position=5)])
    assert decide([change()], chain, RULES) == Nothing()
    assert isinstance(decision := decide([change()], chain, RULES, recheck=True), Resume)
    assert decision.checkpoint == 1


# --- lines that are not the server's own ---

OTHER = "/app/other.py"


@pytest.mark.parametrize(
    ("line_reads", "expected"),
    [
        ([], 3),
        ([read(SOURCE, position=1)], 0),
        ([read(SOURCE, position=3)], 2),
        ([read(SOURCE, OTHER, position=1)], 3),
        ([read(SOURCE, signature=NEW, position=1)], 3),  # it has read what is there now
    ],
)
def test_the_furthest_checkpoint_of_another_line(line_reads: list[Read], expected: int) -> None:
    """A line of four, the root first; the server has read the file behind a line of its own."""
    line = [ReadSet(one for one in line_reads if one.position == position) for position in range(4)]
    server = chain(read(SOURCE, position=7))
    assert furthest([change()], line, server, Rules()) == expected


def test_the_furthest_checkpoint_where_only_a_fresh_interpreter_will_do() -> None:
    line = [ReadSet([read(FILE, position=0)]), ReadSet()]
    assert furthest([change()], line, chain(read(FILE, position=0)), Rules()) == 0


@given(
    st.lists(st.builds(read, st.just(SOURCE), st.sampled_from([APP, OTHER]), position=st.integers(1, 4))),
    st.sets(st.sampled_from([APP, OTHER]), min_size=1),
)
def test_nothing_up_to_the_furthest_has_read_what_changed(line_reads: list[Read], changed: set[str]) -> None:
    line = [ReadSet(one for one in line_reads if one.position == position) for position in range(5)]
    server = chain(*(read(SOURCE, path, position=1) for path in sorted(changed)))
    position = furthest([change(path) for path in sorted(changed)], line, server, Rules())
    spoiled = [one.position for one in line_reads if one.path in changed]
    assert position == min([4, *(one - 1 for one in spoiled)])
