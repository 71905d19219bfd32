"""The ignore rules, by tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devserver.errors import UsageError
from devserver.supervisor.ignore import IgnoreRules, fixed_part, folders_between

BASE = Path("/srv/site")
DEFAULTS = IgnoreRules()


def rules(*, include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()) -> IgnoreRules:
    return IgnoreRules.from_options(include, exclude, BASE)


@pytest.mark.parametrize(
    "name",
    [
        *(".git", ".hg", ".svn", "node_modules", "__pycache__", ".tox", ".nox", ".venv", "venv"),
        *(".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".idea", ".vscode"),
    ],
)
def test_folders_that_are_never_entered(name: str) -> None:
    assert DEFAULTS.ignores_folder(f"/srv/site/deep/{name}")
    assert not DEFAULTS.ignores_file(f"/srv/site/deep/{name}")  # a file of that name is the user's


@pytest.mark.parametrize("name", ["app", "env", "build", "static", "venv2", "my.venv", ".config", "git", "templates"])
def test_folders_that_are_entered(name: str) -> None:
    assert not DEFAULTS.ignores_folder(f"/srv/site/{name}")


@pytest.mark.parametrize(
    "name",
    [
        *("views.py~", ".#views.py", "#views.py#", ".views.py.swp", ".views.py.swx", ".views.py.swo", "4913"),
        *(".goutputstream-A1B2C3", "views.py___jb_tmp___", "views.py___jb_old___", ".nfs000000a1", ".DS_Store"),
    ],
)
def test_droppings_of_editors(name: str) -> None:
    assert DEFAULTS.ignores_file(f"/srv/site/app/{name}")


@pytest.mark.parametrize(
    "name",
    ["views.py", ".env", "data.tmp", "4913.py", "a#b", "swp", "x.swp.py", "~views.py", "goutputstream-1", ".nfsx"],
)
def test_files_that_count(name: str) -> None:
    assert not DEFAULTS.ignores_file(f"/srv/site/app/{name}")


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        # by name, at any depth
        ("*.log", "/srv/site/x.log", True),
        ("*.log", "/srv/site/a/b/x.log", True),
        ("*.log", "/elsewhere/x.log", True),
        ("*.log", "/srv/site/x.log.py", False),
        ("da?a.js", "/srv/site/data.js", True),
        ("da[st]a.js", "/srv/site/data.js", True),
        ("da[!st]a.js", "/srv/site/data.js", False),
        ("da[!st]a.js", "/srv/site/daxa.js", True),
        ("a[", "/srv/site/a[", True),
        ("a[]]b", "/srv/site/a]b", True),
        ("a[]-]b", "/srv/site/a-b", True),
        ("*.LOG", "/srv/site/x.log", False),
        # relative to the base
        ("app/gen/*.py", "/srv/site/app/gen/x.py", True),
        ("./app/gen/*.py", "/srv/site/app/gen/x.py", True),
        ("app/gen/*.py", "/srv/site/app/gen/deep/x.py", False),
        ("app/gen/*.py", "/srv/site/other/app/gen/x.py", False),
        ("app/gen/*.py", "/elsewhere/app/gen/x.py", False),
        ("app/gen", "/srv/site/app/gen/deep/x.py", True),
        ("app/gen", "/srv/site/app/generated.py", False),
        ("app/gen/**", "/srv/site/app/gen/deep/x.py", True),
        ("app/**/x.py", "/srv/site/app/x.py", True),
        ("app/**/x.py", "/srv/site/app/a/b/x.py", True),
        ("app/**/x.py", "/srv/site/app/a/b/yx.py", False),
        ("../lib/*.py", "/srv/lib/x.py", True),
        ("../../lib/*.py", "/lib/x.py", True),
        ("../lib/*.py", "/srv/site/lib/x.py", False),
        # anywhere
        ("**/migrations/*.py", "/srv/site/app/migrations/0001.py", True),
        ("**/migrations/*.py", "/elsewhere/migrations/0001.py", True),
        ("**/migrations/*.py", "/srv/site/app/migrations.py", False),
        # absolute
        ("/var/cache/**", "/var/cache/a/b", True),
        ("/var/cache/*.db", "/var/cache/a.db", True),
        ("/var/cache/*.db", "/srv/site/var/cache/a.db", False),
        # folders only
        ("media/", "/srv/site/media", False),
        ("app/media/", "/srv/site/app/media", False),
        ("app/media/", "/srv/site/app/media/x.png", True),
        # characters that mean something to regular expressions, and names with line ends
        ("a+(b).py", "/srv/site/a+(b).py", True),
        ("a.py", "/srv/site/a\npy", False),
        ("*.py", "/srv/site/a\nb.py", True),
    ],
)
def test_exclude_matches_files(glob: str, path: str, matches: bool) -> None:
    assert rules(exclude=(glob,)).ignores_file(path) is matches


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("media", "/srv/site/a/media", True),
        ("media/", "/srv/site/a/media", True),
        ("media*", "/srv/site/a/media-old", True),
        ("app/media", "/srv/site/app/media", True),
        ("app/media", "/srv/site/app/media/deep", True),
        ("app/media", "/srv/site/media", False),
        ("app/media/", "/srv/site/app/media", True),
        ("app/media/**", "/srv/site/app/media", True),
        ("app/media/**", "/srv/site/app", False),
        ("**/cache", "/srv/site/a/b/cache", True),
        ("**/cache/**", "/srv/site/a/b/cache", True),
        ("/srv/data", "/srv/data", True),
        ("/srv/data/**", "/srv/data/a", True),
        ("/srv/data", "/srv/database", False),
        ("../shared", "/srv/shared", True),
    ],
)
def test_exclude_matches_folders(glob: str, path: str, matches: bool) -> None:
    assert rules(exclude=(glob,)).ignores_folder(path) is matches


def test_home_folder_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert rules(exclude=("~/data",)).ignores_folder("/home/ada/data")


@pytest.mark.parametrize(
    ("include", "exclude", "path", "ignored"),
    [
        (("*.swp",), (), "/srv/site/x.swp", False),
        (("keep.log",), ("*.log",), "/srv/site/keep.log", False),
        (("keep.log",), ("*.log",), "/srv/site/other.log", True),
        (("app/keep.log",), ("*.log",), "/srv/site/app/keep.log", False),
        (("app/keep.log",), ("*.log",), "/srv/site/keep.log", True),
    ],
)
def test_include_brings_files_back(
    include: tuple[str, ...], exclude: tuple[str, ...], path: str, ignored: bool
) -> None:
    assert rules(include=include, exclude=exclude).ignores_file(path) is ignored


def test_include_brings_folders_back() -> None:
    brought_back = rules(include=("venv", "tools/cache"))
    assert not brought_back.ignores_folder("/srv/site/venv")
    assert brought_back.ignores_folder("/srv/site/.venv")
    assert not brought_back.ignores_contents("/srv/site/venv", {"pyvenv.cfg"})
    assert not brought_back.ignores_contents("/srv/site/tools/cache", {"CACHEDIR.TAG"})


@pytest.mark.parametrize(
    ("names", "ignored"),
    [
        ({"pyvenv.cfg", "bin", "lib"}, True),
        ({"conda-meta", "bin"}, True),
        ({"CACHEDIR.TAG", "v1"}, True),
        ({"views.py"}, False),
        (set(), False),
    ],
)
def test_folders_that_say_what_they_are(names: set[str], ignored: bool) -> None:
    assert DEFAULTS.ignores_contents("/srv/site/env", names) is ignored


@pytest.mark.parametrize(
    ("path", "root", "ignored"),
    [
        ("/p/app/views.py", "/p", False),
        ("/p/node_modules/x/y.js", "/p", True),
        ("/p/app/views.py~", "/p", True),
        ("/p/.venv/src/lib/a.py", "/p/.venv/src/lib", False),  # the root itself is not judged
        ("/p/.venv/src/lib/a.py", "/p", True),
        ("/elsewhere/node_modules/a.js", "/p", False),
    ],
)
def test_ignored_somewhere_below_a_root(path: str, root: str, ignored: bool) -> None:
    assert DEFAULTS.ignores_inside(path, root) is ignored


def test_folders_between() -> None:
    assert list(folders_between("/a/b/c/d.py", "/a")) == ["/a/b/c", "/a/b"]
    assert list(folders_between("/a/d.py", "/a")) == []
    assert list(folders_between("/ab/c/d.py", "/a")) == []
    assert list(folders_between("/b/d.py", "/")) == ["/b"]


@pytest.mark.parametrize("glob", ["", "/", "  ", ".", "./", "**", "[z-a].py", "a/[z-a]"])
def test_globs_that_cannot_be_meant(glob: str) -> None:
    with pytest.raises(UsageError, match="the pattern"):
        rules(exclude=(glob,))


@given(st.text(st.characters(exclude_characters="/*?[", exclude_categories=["Cs"]), min_size=1))
def test_a_name_without_wildcards_matches_itself_only(name: str) -> None:
    if name.strip() != name or name in (".", "..") or name.startswith("~"):
        return
    excluded = rules(exclude=(name,))
    assert excluded.ignores_file(f"/srv/site/{name}")
    assert not excluded.ignores_file(f"/srv/site/{name}_") or DEFAULTS.ignores_file(f"/srv/site/{name}_")


@pytest.mark.parametrize(
    ("glob", "fixed"),
    [
        ("/a/b/**/*.md", "/a/b"),
        ("/a/b/c.toml", "/a/b/c.toml"),
        ("/a/*/b", "/a"),
        ("/a [[]1]/[?]/*.txt", "/a [1]/?"),
        ("/a/[ab]c/d", "/a"),
        ("/**/*.md", "/"),
    ],
)
def test_where_whoever_looks_for_a_glob_begins(glob: str, fixed: str) -> None:
    assert fixed_part(glob) == fixed
