"""What the differential test stands on: projects that equal themselves, a fresh side that is fresh, steps that can be left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random

import pytest

from tests.differential import answers
from tests.differential.answers import State
from tests.differential.edits import Editor
from tests.differential.fresh import FreshSide
from tests.differential.model import random_project
from tests.differential.operations import Link, MakeFolder, Operation, Remove, Rename, Rewrite, Step, Touch, Write
from tests.differential.session import Failure, write_project
from tests.differential.shrinking import Shrinker, files_after, reduced

SEEDS = range(12)
LOADED = State(True, '{"modules": {}}')
FAILED = State(False, "{}")


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[FreshSide]:
    folder = tmp_path / "fresh"
    folder.mkdir()
    with FreshSide(folder) as side:
        yield side


def _edited(seed: int, root: Path) -> Path:
    """A random project after some random steps."""
    rng = Random(seed)
    project = random_project(rng)
    write_project(project.files(), root)
    editor = Editor(rng, project, root)
    for number in range(4):
        editor.step(FAILED if number % 2 else LOADED).apply(root)
    return root


def test_a_second_fresh_start_finds_what_the_first_one_found(tmp_path: Path, fresh: FreshSide) -> None:
    """Files that a load writes must not make a difference, or nothing could be compared."""
    for seed in SEEDS:
        root = _edited(seed, tmp_path / f"project{seed}")
        once, twice = fresh.state(root), fresh.state(root, starts=2)
        assert once == twice, answers.difference(once, twice)


def test_the_zygote_answers_as_a_new_interpreter(tmp_path: Path, fresh: FreshSide) -> None:
    for seed in SEEDS[:4]:
        root = _edited(seed, tmp_path / f"project{seed}")
        forked, new = fresh.state(root), fresh.state_of_new_interpreter(root)
        assert forked == new, answers.difference(new, forked)


def test_the_place_of_a_project_makes_no_difference(tmp_path: Path, fresh: FreshSide) -> None:
    (tmp_path / "another-folder").mkdir()
    with FreshSide(tmp_path / "another-folder") as other:
        for seed in SEEDS[:4]:
            root = _edited(seed, tmp_path / f"project{seed}")
            assert fresh.state(root) == other.state(root)


def test_the_fresh_side_leaves_the_project_as_it_is(tmp_path: Path, fresh: FreshSide) -> None:
    root = tmp_path / "project"
    write_project({"app.py": "open('made.txt', 'w').write('x')\n"}, root)
    fresh.state(root)
    assert [path.name for path in root.iterdir()] == ["app.py"]


def test_most_projects_load(tmp_path: Path, fresh: FreshSide) -> None:
    loaded = 0
    for seed in SEEDS:
        root = tmp_path / f"project{seed}"
        write_project(random_project(Random(seed)).files(), root)
        loaded += fresh.state(root).loaded
    assert loaded > len(SEEDS) // 3


def test_a_seed_gives_the_same_steps(tmp_path: Path) -> None:
    def steps(root: Path) -> list[Step]:
        rng = Random("7/3")
        project = random_project(rng)
        write_project(project.files(), root)
        editor = Editor(rng, project, root)
        made = []
        for _ in range(20):
            made.append(editor.step(LOADED))
            made[-1].apply(root)
        return made

    assert steps(tmp_path / "one") == steps(tmp_path / "two")


@pytest.mark.parametrize(
    "operation",
    [
        Write("a/b.txt", "x", keeps_time=True),
        Remove("a"),
        Rename("a", "b"),
        Link("a", "b"),
        MakeFolder("a/b"),
        Rewrite("a"),
        Touch("a"),
    ],
    ids=repr,
)
def test_an_operation_can_meet_anything(tmp_path: Path, operation: Operation) -> None:
    """Steps before it may have been left out, or have put something else in its place."""
    operation.apply(tmp_path)
    write_project({"a": "file"}, tmp_path / "file")
    operation.apply(tmp_path / "file")
    write_project({"a/b.txt": "folder", "a/b.txt.d/c": ""}, tmp_path / "folder")
    operation.apply(tmp_path / "folder")
    (tmp_path / "link").mkdir()
    (tmp_path / "link/a").symlink_to("nowhere/at/all")
    operation.apply(tmp_path / "link")


def test_files_after_steps() -> None:
    steps = [Step("", (Write("a.txt", "2"),)), Step("", (Remove("b.txt"), Rename("a.txt", "c/d.txt")))]
    assert files_after({"a.txt": "1", "b.txt": "1"}, steps) == {"c/d.txt": "2"}


def test_reducing_keeps_what_matters() -> None:
    assert reduced(list(range(50)), lambda some: {7, 31} <= set(some)) == [7, 31]
    assert reduced(list(range(5)), lambda some: True) == []
    assert reduced([1, 2], lambda some: len(some) == 2) == [1, 2]


def test_a_failure_becomes_small() -> None:
    """It fails as long as `b.py` holds its middle block and the last step writes `x`."""
    files = {"app.py": "head\n\nother", "b.py": "head\n\nfirst\n\nmiddle\n\nlast", "c.py": ""}
    writes = Write("d.txt", "x\n\ny"), Write("c.py", "z")
    steps = (Step("noise", (Remove("c.py"),)), Step("what it takes", writes), Step("noise", ()))

    def replayed(files: Mapping[str, str], steps: Sequence[Step]) -> Failure | None:
        texts = [each.text for step in steps for each in step.operations if isinstance(each, Write)]
        is_failing = "middle" in files.get("b.py", "") and any("x" in text for text in texts)
        return Failure("stale", files, tuple(steps), "-1\n+2", "") if is_failing else None

    found = replayed(files, steps)
    assert found is not None
    small = Shrinker(replayed).shrink(found)
    assert small.files == {"app.py": "head", "b.py": "head\n\nmiddle"}
    assert small.steps == (Step("what it takes", (Write("d.txt", "x"),)),)


def test_a_failure_that_does_not_come_again_is_told_as_it_was() -> None:
    failure = Failure("stale", {}, (Step("once", ()),), "-1\n+2", "")
    assert Shrinker(lambda files, steps: None).shrink(failure) is failure
