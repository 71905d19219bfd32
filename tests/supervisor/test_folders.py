"""Which folders are watched, and what can be expected for a path."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from devserver.supervisor.folders import ADDED, DELETED, MODIFIED, FolderTree
from devserver.supervisor.ignore import IgnoreRules
from devserver.supervisor.places import Place, sort
from devserver.supervisor.polling import Mounts


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    for name in ("app/deep", "node_modules/x", "env/lib", ".venv/src/lib"):
        (root / name).mkdir(parents=True)
    (root / "env" / "pyvenv.cfg").touch()
    return root


def surveyed(*roots: Path, tree: FolderTree | None = None) -> FolderTree:
    tree = tree or FolderTree(IgnoreRules())
    for root in roots:
        tree.add_root(str(root))
    tree.survey(tree.check(tree.roots).surveys)
    tree.take_fresh()
    return tree


def test_survey_names_what_counts_and_nothing_else(project: Path) -> None:
    (project / "app" / "a.py").touch()
    (project / "app" / "a.py~").touch()
    tree = FolderTree(IgnoreRules())
    tree.add_root(str(project))
    seen = tree.survey(tree.check(tree.roots).surveys)
    assert {Path(path).relative_to(project).as_posix() for path in seen} == {"app", "app/deep", "app/a.py", "env"}
    assert tree.take_fresh() == {str(project / name) for name in ("", "app", "app/deep")}
    assert tree.take_fresh() == set()


def test_an_environment_in_the_making(project: Path) -> None:
    """Its folders come before the file that tells what it is, and may be waiting to be walked when that comes."""
    tree = surveyed(project)
    later, inside = project / "later", project / "later/lib/python3"
    inside.mkdir(parents=True)
    outcome = tree.digest([(ADDED, str(later))])
    tree.survey(outcome.surveys)
    assert str(inside) in tree.folders
    (inside / "site-packages").mkdir()
    (later / "pyvenv.cfg").touch()
    outcome = tree.digest([(ADDED, str(inside / "site-packages")), (ADDED, str(later / "pyvenv.cfg"))])
    tree.survey(outcome.surveys)
    assert not [folder for folder in tree.folders if folder.startswith(str(later))]
    assert tree.take_retired() == {str(later), str(later / "lib"), str(inside)}


def test_more_folders_than_the_limit(project: Path) -> None:
    tree = surveyed(project, tree=FolderTree(IgnoreRules(), limit=2))
    assert len(tree.folders) == 2
    assert [reason for _, reason in tree.take_refusals()] == ["more than 2 folders are watched already"]


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("app/a.py", Place.WATCHED),
        ("app/missing/folder/a.py", Place.WATCHED),
        ("app/linked/a.py", Place.WATCHED),
        ("linked.py", Place.WATCHED),
        ("node_modules/x/a.js", Place.IGNORED),
        ("env/lib/a.py", Place.IGNORED),
        (".venv/src/a.py", Place.IGNORED),
        (".venv/src/lib/a.py", Place.WATCHED),
        ("silent/a.py", Place.UNWATCHED),
        ("silent/b.py~", Place.IGNORED),
        ("../elsewhere/b.py", Place.OUTSIDE),
        ("../missing/single.py", Place.UNWATCHED),
    ],
)
def test_what_can_be_expected(project: Path, name: str, place: Place) -> None:
    elsewhere = project.parent / "elsewhere"
    elsewhere.mkdir()
    (project / "silent").mkdir()
    (project / "app" / "linked").symlink_to(elsewhere / "lib")
    (elsewhere / "lib").mkdir()
    (elsewhere / "real.py").touch()
    (project / "linked.py").symlink_to(elsewhere / "real.py")
    tree = FolderTree(IgnoreRules(), mounts=Mounts({str(project / "silent"): "nfs"}))
    surveyed(project, project / ".venv" / "src" / "lib", project.parent / "missing" / "single.py", tree=tree)
    path = str(project / name) if not name.startswith("..") else str(project.parent / name[3:])
    assert [found for found, paths in sort(tree, [path]).items() if paths] == [place]


def test_folder_found_before_its_event_is_no_other_one(project: Path) -> None:
    tree = surveyed(project)
    outcome = tree.digest({(ADDED, str(project / "app"))})
    assert not outcome.rescan
    assert outcome.paths == {str(project / "app")}
    assert tree.folders.keys() >= {str(project / "app"), str(project / "app" / "deep")}


def test_folder_removed_and_made_again_is_walked_even_if_its_inode_is_the_same(project: Path) -> None:
    tree = surveyed(project)
    outcome = tree.digest({(DELETED, str(project / "app")), (ADDED, str(project / "app"))})
    assert outcome.rescan
    assert outcome.surveys == {str(project / "app")}
    assert not tree.folders.keys() & {str(project / "app"), str(project / "app" / "deep")}


def test_folder_whose_own_event_shows_another_one_in_its_place(project: Path) -> None:
    tree = surveyed(project)
    (project / "app").rename(project.parent / "aside")
    (project / "app").mkdir()
    assert tree.digest({(MODIFIED, str(project / "app"))}).surveys == {str(project / "app")}


def test_events_from_folders_that_are_not_watched_mean_nothing(project: Path) -> None:
    outcome = surveyed(project).digest(
        {(ADDED, str(project / "node_modules" / "a.js")), (MODIFIED, str(project / "env" / "lib" / "a.py"))}
    )
    assert (outcome.paths, outcome.surveys, outcome.rescan) == (set(), set(), False)


def test_ignored_name_counts_if_it_is_a_file(project: Path) -> None:
    (project / "app" / "venv").write_text("a file of the user's")
    outcome = surveyed(project).digest(
        {(MODIFIED, str(project / "app" / "venv")), (MODIFIED, str(project / "node_modules"))}
    )
    assert outcome.paths == {str(project / "app" / "venv")}


@pytest.fixture
def unshare() -> list[str]:
    command = ["unshare", "--mount", "--map-root-user"]
    if shutil.which("unshare") is None or subprocess.run([*command, "true"], check=False).returncode:
        pytest.skip("no mount namespace can be had")
    return command


def test_folder_mounted_at_two_places_is_watched_once_and_reported_under_both(
    project: Path, unshare: list[str]
) -> None:
    (project / "twin").mkdir()
    script = f"""
import subprocess
subprocess.run(["mount", "--bind", "{project}/app", "{project}/twin"], check=True)
from devserver.supervisor.folders import FolderTree
from devserver.supervisor.ignore import IgnoreRules
tree = FolderTree(IgnoreRules())
tree.add_root("{project}")
tree.survey(tree.check(tree.roots).surveys)
one, other = [f"{project}/{{name}}/a.py" for name in ("app", "twin")]
assert len(tree.folders.keys() & {{"{project}/app", "{project}/twin"}}) == 1, tree.folders
assert {{one, other}} <= tree.names(one if "{project}/app" in tree.folders else other)
assert not tree.check(tree.roots).surveys
"""
    subprocess.run([*unshare, sys.executable, "-c", script], check=True, timeout=60)


def test_a_listed_folder_is_watched_without_what_is_below(project: Path) -> None:
    tree = surveyed(project)
    listed = project / "env/lib/site-packages"
    tree.add_listed(str(listed))
    assert tree.take_fresh() == set()
    (listed / "thing").mkdir(parents=True)
    tree.check_narrow()
    assert tree.take_fresh() == {str(listed)}
    outcome = tree.digest([(ADDED, str(listed / "thing")), (ADDED, str(project / "env/lib/other"))])
    assert (outcome.paths, outcome.surveys, outcome.rescan) == ({str(listed / "thing")}, set(), False)
    assert sort(tree, [str(listed)])[Place.WATCHED] == {str(listed)}
    tree.survey([str(project)])  # finds the environment around it, and does not enter
    tree.check_narrow()
    assert tree.take_fresh() == set()
    shutil.rmtree(listed)
    assert tree.digest([(DELETED, str(listed))]).rescan
    listed.mkdir()
    tree.check_narrow()
    assert tree.take_fresh() == {str(listed)}


def test_a_listed_folder_without_events_is_no_ignored_one(project: Path) -> None:
    listed = project / ".venv/src/lib"
    tree = FolderTree(IgnoreRules(), mounts=Mounts({"/": "nfs"}))
    tree.add_root(str(project))
    tree.add_listed(str(listed))
    assert tree.take_fresh() == set()
    assert sort(tree, [str(listed)])[Place.UNWATCHED] == {str(listed)}
