"""Which changes events come to: only what was read, in the aspect in which it was read, under any of its names."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devserver.readset import Aspect, Change, ChangeKind, Read, ReadKind, ReadSet, observe, verify_all
from devserver.signatures import (
    ABSENT,
    PENDING,
    Signer,
    sign_content,
    sign_file,
    sign_folder,
    sign_module,
    sign_presence,
)

ADDED, MODIFIED, DELETED = ChangeKind.ADDED, ChangeKind.MODIFIED, ChangeKind.DELETED
SIGN = {
    Aspect.CONTENT: sign_file,
    Aspect.NAMES: sign_folder,
    Aspect.MODULE: sign_module,
    Aspect.PRESENCE: sign_presence,
}


def read(kind: ReadKind, path: Path | str) -> Read:
    """A read of what is at the path now."""
    return Read(kind, str(path), SIGN[kind.aspect](str(path)))


@pytest.fixture
def app(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    (folder / "pkg").mkdir(parents=True)
    for name in ("app.py", "data.json", "pkg/__init__.py", "pkg/views.py", "pkg/models.py"):
        (folder / name).write_text(f"# {name}\n")
    return folder


def shown(changes: tuple[Change, ...], app: Path) -> list[tuple[str, ChangeKind]]:
    return [(os.path.relpath(change.shown, app), change.kind) for change in changes]


def test_a_file_that_nobody_read_is_no_change(app: Path) -> None:
    reads = ReadSet([read(ReadKind.SOURCE, app / "app.py")])
    (app / "other.py").write_text("1")
    assert observe([str(app / "other.py"), str(app / "pkg/views.py")], [reads]) == ()


def test_a_modified_source(app: Path) -> None:
    reads = ReadSet([read(ReadKind.SOURCE, app / "app.py")])
    (app / "app.py").write_text("2")
    assert observe([str(app / "app.py")], [reads]) == (Change(str(app / "app.py"), MODIFIED, sign_content(b"2")),)


def test_a_save_of_the_same_bytes_and_a_touch_are_no_change(app: Path) -> None:
    reads = ReadSet([read(ReadKind.SOURCE, app / "app.py")])
    (app / "app.py").write_text((app / "app.py").read_text())
    os.utime(app / "app.py", (1, 1))
    (app / "app.py").chmod(0o700)
    assert observe([str(app / "app.py")], [reads]) == ()


def test_deleted_and_created_with_the_same_bytes_is_no_change(app: Path) -> None:
    reads = ReadSet([read(ReadKind.SOURCE, app / "app.py")])
    text = (app / "app.py").read_text()
    (app / "app.py").unlink()
    (change,) = observe([str(app / "app.py")], [reads])
    assert (change.kind, change.signature) == (DELETED, ABSENT)
    (app / "app.py").write_text(text)
    assert observe([str(app / "app.py")], [reads]) == ()


def test_a_save_before_the_read_was_reported_is_noticed(app: Path) -> None:
    recorded = read(ReadKind.SOURCE, app / "app.py")
    (app / "app.py").write_text("2")
    assert shown(verify_all([ReadSet([recorded])]), app) == [("app.py", MODIFIED)]


def test_every_signature_that_was_read_counts(app: Path) -> None:
    first = read(ReadKind.FILE, app / "data.json")
    (app / "data.json").write_text("2")
    reads = ReadSet([first])
    reads.add([read(ReadKind.FILE, app / "data.json")])
    assert shown(observe([str(app / "data.json")], [reads]), app) == [("data.json", MODIFIED)]


def test_an_absent_file_appears(app: Path) -> None:
    reads = ReadSet([read(ReadKind.ABSENT, app / ".env")])
    assert observe([str(app / ".env")], [reads]) == ()
    (app / ".env").write_text("A=1")
    assert shown(observe([str(app / ".env")], [reads]), app) == [(".env", ADDED)]


def test_an_absent_file_appears_with_its_folder(app: Path) -> None:
    reads = ReadSet([read(ReadKind.ABSENT, app / "conf/local/settings.json")])
    (app / "conf/local").mkdir(parents=True)
    (app / "conf/local/settings.json").write_text("{}")
    assert shown(observe([str(app / "conf")], [reads]), app) == [("conf/local/settings.json", ADDED)]


def test_presence_asks_for_the_type_alone(app: Path) -> None:
    reads = ReadSet([read(ReadKind.PRESENT, app / "data.json")])
    (app / "data.json").write_text("other")
    assert observe([str(app / "data.json")], [reads]) == ()
    (app / "data.json").unlink()
    assert shown(observe([str(app / "data.json")], [reads]), app) == [("data.json", DELETED)]


def test_a_listed_folder(app: Path) -> None:
    reads = ReadSet([read(ReadKind.LISTING, app / "pkg")])
    (app / "pkg/views.py").write_text("content does not count")
    assert observe([str(app / "pkg/views.py")], [reads]) == ()
    (app / "pkg/new.py").write_text("1")
    (change,) = observe([str(app / "pkg/new.py")], [reads])
    assert change.path == str(app / "pkg")
    assert change.aspect is Aspect.NAMES
    assert shown((change,), app) == [("pkg/new.py", ADDED)]
    (app / "pkg/new.py").unlink()
    (app / "pkg/views.py").unlink()
    assert shown(observe([str(app / "pkg/views.py")], [reads]), app) == [("pkg/views.py", DELETED)]


def test_noise_in_a_listed_folder(app: Path) -> None:
    reads = ReadSet([read(ReadKind.LISTING, app)])
    (app / ".app.py.swp").touch()
    (app / "__pycache__").mkdir()
    assert observe([str(app / ".app.py.swp"), str(app / "__pycache__")], [reads]) == ()


@pytest.mark.parametrize("created", ["name.py", "name/__init__.py", "name/", "name.pyc"])
def test_a_name_that_an_import_did_not_find(app: Path, created: str) -> None:
    reads = ReadSet([read(ReadKind.LOOKUP, app / "name")])
    path = app / created
    path.parent.mkdir(exist_ok=True)
    path.mkdir() if created.endswith("/") else path.touch()
    changes = observe([str(path)], [reads])
    assert shown(changes, app) == [(created.rstrip("/"), ADDED)]
    assert changes[0].path == str(app / "name")


def test_a_package_that_takes_the_place_of_a_module(app: Path) -> None:
    reads = ReadSet([read(ReadKind.LOOKUP, app / "app"), read(ReadKind.SOURCE, app / "app.py")])
    (app / "app").mkdir()
    assert observe([str(app / "app")], [reads]) == (), "a folder without __init__.py stands behind a module"
    (app / "app/__init__.py").touch()
    assert shown(observe([str(app / "app/__init__.py")], [reads]), app) == [("app/__init__.py", MODIFIED)]
    assert shown(observe([str(app / "app")], [reads]), app) == [("app/__init__.py", MODIFIED)]


def test_a_removed_module(app: Path) -> None:
    reads = ReadSet([read(ReadKind.LOOKUP, app / "pkg/views"), read(ReadKind.SOURCE, app / "pkg/views.py")])
    (app / "pkg/views.py").unlink()
    changes = observe([str(app / "pkg/views.py")], [reads])
    assert {(change.aspect, *pair) for change, pair in zip(changes, shown(changes, app), strict=True)} == {
        (Aspect.CONTENT, "pkg/views.py", DELETED),
        (Aspect.MODULE, "pkg/views.py", DELETED),
    }


@pytest.mark.parametrize("how", ["deleted", "renamed"])
def test_a_folder_that_goes_expands_to_what_was_read_below(app: Path, how: str) -> None:
    reads = ReadSet(read(ReadKind.SOURCE, app / name) for name in ("app.py", "pkg/__init__.py", "pkg/views.py"))
    shutil.rmtree(app / "pkg") if how == "deleted" else (app / "pkg").rename(app / "other")
    changes = observe([str(app / "pkg"), str(app / "other")], [reads])
    assert shown(changes, app) == [("pkg/__init__.py", DELETED), ("pkg/views.py", DELETED)]


def test_folders_with_a_common_beginning_of_their_names(app: Path) -> None:
    (app / "pkg2").mkdir()
    (app / "pkg2/a.py").touch()
    reads = ReadSet([read(ReadKind.SOURCE, app / "pkg2/a.py")])
    (app / "pkg2/a.py").write_text("2")
    assert observe([str(app / "pkg")], [reads]) == ()


def test_a_linked_source_under_both_names(app: Path, tmp_path: Path) -> None:
    (tmp_path / "real.py").write_text("1")
    (app / "linked.py").symlink_to(tmp_path / "real.py")
    reads = ReadSet([read(ReadKind.SOURCE, app / "linked.py")])
    (tmp_path / "real.py").write_text("2")
    (change,) = observe([str(tmp_path / "real.py")], [reads])
    assert (change.path, change.shown) == (str(app / "linked.py"), str(tmp_path / "real.py"))
    assert shown(observe([str(app / "linked.py")], [reads]), app) == [("linked.py", MODIFIED)]


def test_a_link_that_is_turned_to_another_file(app: Path, tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / f"{name}.py").write_text(name)
    link = app / "linked.py"
    link.symlink_to(tmp_path / "one.py")
    reads = ReadSet([read(ReadKind.SOURCE, link)])
    link.unlink()
    link.symlink_to(tmp_path / "two.py")
    assert shown(observe([str(link)], [reads]), app) == [("linked.py", MODIFIED)]
    # From now on the second target is known as one of its places.
    (tmp_path / "two.py").write_text("other")
    (change,) = observe([str(tmp_path / "two.py")], [reads])
    assert change.path == str(link)


def test_a_linked_folder_that_is_turned(app: Path, tmp_path: Path) -> None:
    for release in ("1", "2"):
        (tmp_path / "releases" / release).mkdir(parents=True)
        (tmp_path / "releases" / release / "mod.py").write_text(release)
    current = app / "current"
    current.symlink_to(tmp_path / "releases/1")
    reads = ReadSet([read(ReadKind.SOURCE, current / "mod.py")])
    (tmp_path / "releases/1/mod.py").write_text("1b")
    assert len(observe([str(tmp_path / "releases/1/mod.py")], [reads])) == 1
    (tmp_path / "releases/1/mod.py").write_text("1")
    current.unlink()
    current.symlink_to(tmp_path / "releases/2")
    assert shown(observe([str(current)], [reads]), app) == [("current/mod.py", MODIFIED)]


def test_a_root_known_by_a_link(app: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(app)
    reads = ReadSet([read(ReadKind.SOURCE, tmp_path / "link/app.py"), read(ReadKind.LISTING, tmp_path / "link/pkg")])
    (app / "app.py").write_text("2")
    (app / "pkg/new.py").touch()
    changes = observe([str(app / "app.py"), str(app / "pkg/new.py")], [reads])
    assert {change.path for change in changes} == {str(tmp_path / "link/app.py"), str(tmp_path / "link/pkg")}


def test_links_in_a_circle_end(app: Path) -> None:
    (app / "a").symlink_to("b")
    (app / "b").symlink_to("a")
    reads = ReadSet([Read(ReadKind.FILE, str(app / "a"), sign_file(str(app / "a")))])
    assert observe([str(app / "b")], [reads]) == ()


def test_included_files_that_nobody_read(app: Path) -> None:
    reads = ReadSet([read(ReadKind.SOURCE, app / "app.py")])
    (app / "a.graphql").write_text("1")
    (app / "b.graphql").mkdir()
    events = [str(app / name) for name in ("a.graphql", "b.graphql", "gone.graphql", "app.py", "pkg/views.py")]
    changes = observe(events, [reads], included=lambda path: path.endswith((".graphql", "app.py")))
    assert shown(changes, app) == [("a.graphql", MODIFIED), ("gone.graphql", DELETED)]


def test_several_processes(app: Path) -> None:
    root = ReadSet([read(ReadKind.FILE, app / "data.json")])
    server = ReadSet([read(ReadKind.SOURCE, app / "app.py")])
    (app / "data.json").write_text("2")
    (app / "app.py").write_text("2")
    events = [str(app / "app.py"), str(app / "data.json")]
    assert shown(observe(events, [root, server]), app) == [("app.py", MODIFIED), ("data.json", MODIFIED)]


def test_a_pending_file_is_passed_on(app: Path) -> None:
    reads = ReadSet([Read(ReadKind.WRITTEN, str(app / "data.json"), PENDING)])
    assert len(observe([str(app / "data.json")], [reads])) == 1


def test_a_path_that_is_not_utf8(app: Path) -> None:
    path = os.fsdecode(os.fsencode(app) + b"/\xe9.txt")
    Path(path).write_text("1")
    reads = ReadSet([read(ReadKind.FILE, path)])
    Path(path).write_text("2")
    assert [change.path for change in observe([path], [reads])] == [path]


def test_verify(app: Path) -> None:
    reads = ReadSet([read(ReadKind.SOURCE, app / "app.py"), read(ReadKind.LISTING, app / "pkg")])
    assert not reads.verify(str(app / "app.py"))
    assert not reads.verify(str(app / "never read"))
    (app / "app.py").write_text("2")
    (app / "pkg/new").touch()
    assert reads.verify(str(app / "app.py"))
    assert reads.verify(str(app / "pkg"), Signer())


def test_verify_all_finds_what_no_event_told(app: Path) -> None:
    kinds = [(ReadKind.SOURCE, "app.py"), (ReadKind.LISTING, "pkg"), (ReadKind.ABSENT, ".env"), (ReadKind.LOOKUP, "x")]
    reads = ReadSet(read(kind, app / name) for kind, name in kinds)
    assert verify_all([reads]) == ()
    (app / "app.py").write_text("2")
    (app / "pkg/new.py").touch()
    (app / ".env").touch()
    (app / "x.py").touch()
    assert set(shown(verify_all([reads]), app)) == {
        ("app.py", MODIFIED),
        ("pkg/new.py", ADDED),
        (".env", ADDED),
        ("x.py", ADDED),
    }


def test_the_folders_to_watch(app: Path, tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/real.py").touch()
    (app / "linked.py").symlink_to(tmp_path / "lib/real.py")
    reads = ReadSet(
        [
            read(ReadKind.SOURCE, app / "linked.py"),
            read(ReadKind.LISTING, app / "pkg"),
            read(ReadKind.ABSENT, app / "conf/deep/settings.json"),
        ]
    )
    assert reads.folders() == {str(app), str(app / "pkg"), str(tmp_path / "lib")}


def test_reads_are_kept_once(app: Path) -> None:
    one = read(ReadKind.SOURCE, app / "app.py")
    reads = ReadSet([one])
    reads.add([one, read(ReadKind.PRESENT, app / "app.py")])
    assert list(reads) == [one, read(ReadKind.PRESENT, app / "app.py")]
    assert len(reads) == 1
    assert one.path in reads
    assert reads.reads_of("/never") == ()


folders = st.lists(st.sampled_from(["a", "ab", "b"]), min_size=1, max_size=4).map(
    lambda parts: "/nowhere/" + "/".join(parts)
)


@given(st.lists(folders, max_size=8), folders)
def test_related_is_what_lies_on_the_way_or_below(paths: list[str], event: str) -> None:
    reads = ReadSet(Read(ReadKind.FILE, path, ABSENT) for path in paths)
    expected = {path for path in paths if f"{path}/".startswith(f"{event}/") or f"{event}/".startswith(f"{path}/")}
    assert reads.related(event) == expected
