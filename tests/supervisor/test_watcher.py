"""The watcher on real files."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from devserver.supervisor.ignore import IgnoreRules
from devserver.supervisor.watcher import Batch, Watcher

if TYPE_CHECKING:
    from .conftest import Observe

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="counts inotify watches")


def inotify_watches() -> int:
    """How many inotify watches this process has."""
    count = 0
    for info in Path("/proc/self/fdinfo").iterdir():
        try:
            count += info.read_text().count("inotify wd:")
        except OSError:
            continue  # the descriptor of the listing itself
    return count


def no_watches() -> int:
    """Wait until there is none: watchfiles closes what the test before had in a thread of its own. How many there are then."""
    deadline = time.monotonic() + 20
    while inotify_watches():
        assert time.monotonic() < deadline, "somebody keeps watches"
        time.sleep(0.005)
    return 0


def write_in_place(path: Path) -> None:
    with path.open("r+") as file:
        file.write("y = 2")


def truncate_then_write(path: Path) -> None:
    with path.open("w") as file:
        file.flush()
        os.fsync(file.fileno())
        file.write("y = 2")


def append(path: Path) -> None:
    with path.open("a") as file:
        file.write("y = 2")


def write_and_rename(path: Path) -> None:
    draft = path.with_name(path.name + "~")
    draft.write_text("y = 2")
    draft.rename(path)


def unlink_and_create(path: Path) -> None:
    path.unlink()
    path.write_text("y = 2")


def backup_and_write(path: Path) -> None:
    path.rename(path.with_name(path.name + "~"))
    path.with_name("4913").touch()
    path.with_name("4913").unlink()
    path.with_name(f".{path.name}.swp").write_text("swap")
    path.write_text("y = 2")


def unlink(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    "save",
    [write_in_place, truncate_then_write, append, write_and_rename, unlink_and_create, backup_and_write, unlink],
)
def test_ways_to_save(tmp_path: Path, observe: Observe, save: Callable[[Path], None]) -> None:
    path = tmp_path / "pkg" / "views.py"
    path.parent.mkdir()
    path.write_text("x = 1")
    observed = observe(tmp_path)
    save(path)
    observed.until_seen(path)
    observed.until_quiet_about(tmp_path)
    assert observed.paths == {str(path)}  # what editors leave beside it is not named
    assert observed.rescans == 0


def test_take_does_not_wait_and_is_empty_when_nothing_happened(tmp_path: Path, observe: Observe) -> None:
    observed = observe(tmp_path)
    assert select.select([observed.watcher.fileno()], [], [], 0)[0] == []
    assert observed.watcher.take() == Batch()


def test_readable_until_taken(tmp_path: Path, observe: Observe) -> None:
    observed = observe(tmp_path)
    (tmp_path / "a.py").touch()
    fileno = observed.watcher.fileno()
    assert select.select([fileno], [], [], 20)[0] == [fileno]
    assert select.select([fileno], [], [], 0)[0] == [fileno]
    observed.take()
    assert observed.paths == {str(tmp_path / "a.py")}
    assert select.select([fileno], [], [], 0)[0] == []


def test_new_folders_with_files_three_deep_at_once(tmp_path: Path, observe: Observe) -> None:
    observed = observe(tmp_path)
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    files = [folder / "__init__.py" for folder in (deep, deep.parent, deep.parent.parent)]
    for file in files:
        file.write_text("x = 1")
    observed.until_seen(*files)
    observed.forget()
    (deep / "later.py").touch()
    observed.until_seen(deep / "later.py")


def test_folder_moved_in_from_outside(tmp_path: Path, observe: Observe) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    (outside / "pkg").mkdir(parents=True)
    (outside / "pkg" / "a.py").touch()
    root.mkdir()
    observed = observe(root)
    (outside / "pkg").rename(root / "pkg")
    observed.until_seen(root / "pkg", root / "pkg" / "a.py")
    write_in_place(root / "pkg" / "a.py")
    observed.until_seen(root / "pkg" / "a.py")


def test_folder_renamed(tmp_path: Path, observe: Observe) -> None:
    (tmp_path / "old" / "deep").mkdir(parents=True)
    (tmp_path / "old" / "deep" / "a.py").write_text("x = 1")
    observed = observe(tmp_path)
    (tmp_path / "old").rename(tmp_path / "new")
    observed.until_rescan()  # what was read below the old name is gone
    observed.forget()
    observed.until_quiet_about(tmp_path)
    observed.forget()
    write_in_place(tmp_path / "new" / "deep" / "a.py")
    observed.until_seen(tmp_path / "new" / "deep" / "a.py")
    assert not any(path.startswith(str(tmp_path / "old")) for path in observed.paths)


def test_folder_removed_and_made_again_under_its_name(tmp_path: Path, observe: Observe) -> None:
    folder = tmp_path / "pkg"
    folder.mkdir()
    (folder / "a.py").touch()
    observed = observe(tmp_path)
    for _ in range(5):  # inode numbers are used again: each round is another folder, seldom another number
        shutil.rmtree(folder)
        folder.mkdir()
        (folder / "a.py").write_text("x = 1")
        observed.until(lambda: str(folder / "a.py") in observed.paths or observed.rescans > 0)
        observed.until_quiet_about(tmp_path)
        observed.forget()
        write_in_place(folder / "a.py")
        observed.until_seen(folder / "a.py")


@linux_only
def test_ignored_folders_take_no_watch_and_give_no_event(tmp_path: Path, observe: Observe) -> None:
    before = no_watches()
    for name in (
        ".git/refs",
        "node_modules/a/b",
        ".venv/lib",
        "app/__pycache__",
        "env/lib",
        "media/x",
        "cache/y",
        "app",
    ):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
    (tmp_path / "env" / "pyvenv.cfg").touch()
    observed = observe(tmp_path, exclude=("media", "./cache/**", "*.log"))
    assert inotify_watches() - before == 2  # the root and app
    for name in (".git/HEAD", "node_modules/a/b/c.js", ".venv/lib/d.py", "app/__pycache__/e.pyc", "env/lib/f.py"):
        (tmp_path / name).touch()
    for name in ("media/x/g.png", "cache/y/h", "app/i.log", "app/j.py~"):
        (tmp_path / name).touch()
    (tmp_path / "node_modules" / "new").mkdir()
    (tmp_path / "node_modules").chmod(0o700)
    observed.until_quiet_about(tmp_path)
    assert observed.paths == set()
    assert observed.rescans == 0
    assert inotify_watches() - before == 2


@linux_only
def test_ignored_folders_that_come_later_take_no_watch(tmp_path: Path, observe: Observe) -> None:
    no_watches()
    observed = observe(tmp_path)
    before = inotify_watches()
    (tmp_path / "node_modules" / "x").mkdir(parents=True)
    (tmp_path / "node_modules" / "x" / "a.js").touch()
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__pycache__").mkdir()
    observed.until(lambda: inotify_watches() > before, poke=lambda: (tmp_path / "poke").write_text("x"))
    (tmp_path / "node_modules" / "x" / "b.js").touch()
    (tmp_path / "app" / "__pycache__" / "c.pyc").touch()
    observed.until_quiet_about(tmp_path / "app")
    observed.until_quiet_about(tmp_path)
    assert {path for path in observed.paths if "node_modules" in path or "__pycache__" in path} == set()
    assert inotify_watches() - before == 1


@linux_only
def test_virtual_environment_made_while_watching_gives_its_watches_back(tmp_path: Path, observe: Observe) -> None:
    no_watches()
    observed = observe(tmp_path)
    before = inotify_watches()
    environment = tmp_path / "env"
    (environment / "lib" / "python").mkdir(parents=True)
    observed.until_seen(environment / "lib")
    observed.until_quiet_about(environment / "lib")
    (environment / "pyvenv.cfg").touch()
    observed.until_seen(environment / "pyvenv.cfg")
    (environment / "lib" / "a.py").touch()
    observed.until_quiet_about(tmp_path)
    assert str(environment / "lib" / "a.py") not in observed.paths
    observed.until(lambda: inotify_watches() == before, poke=lambda: (tmp_path / "poke").write_text("x"))


def test_include_brings_a_name_back(tmp_path: Path, observe: Observe) -> None:
    observed = observe(tmp_path, include=("*.swp", "venv"))
    (tmp_path / "a.swp").touch()
    (tmp_path / "venv").mkdir()
    observed.until_seen(tmp_path / "a.swp", tmp_path / "venv")


def test_root_inside_an_ignored_folder(tmp_path: Path, observe: Observe) -> None:
    inner = tmp_path / ".venv" / "src" / "lib"
    inner.mkdir(parents=True)
    observed = observe(tmp_path, inner)
    (inner.parent / "no.py").touch()
    (inner / "yes.py").touch()
    observed.until_seen(inner / "yes.py")
    observed.until_quiet_about(tmp_path)
    assert str(inner.parent / "no.py") not in observed.paths


def test_five_thousand_files_at_once(tmp_path: Path, observe: Observe) -> None:
    folders = [tmp_path / f"p{number}" for number in range(50)]
    for folder in folders[:25]:
        folder.mkdir()
    observed = observe(tmp_path)
    files = [folder / f"m{number}.py" for folder in folders for number in range(100)]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_text("x = 1")
    wanted = {str(file) for file in files}
    observed.until(lambda: wanted <= observed.paths or observed.rescans > 0)
    observed.until_quiet_about(tmp_path)
    observed.forget()
    for folder in folders:  # all of them are watched now
        write_in_place(folder / "m0.py")
    wanted = {str(folder / "m0.py") for folder in folders}
    observed.until(lambda: wanted <= observed.paths or observed.rescans > 0)


def test_burst_asks_for_a_rescan(tmp_path: Path, observe: Observe) -> None:
    observed = observe(tmp_path)
    files = [tmp_path / f"m{number}.py" for number in range(3000)]
    for file in files:
        file.touch()

    def remove_and_make() -> None:  # until a second was enough for it
        for file in files:
            file.unlink()
            file.touch()

    observed.until(lambda: observed.rescans > 0, poke=remove_and_make)


def test_folders_that_come_while_others_are_being_watched(tmp_path: Path, observe: Observe) -> None:
    """Every file is reported, whichever side of its folder's watch it came on, and no rescan is needed for it."""
    observed = observe(tmp_path)
    wanted: set[str] = set()

    def work() -> None:
        for number in range(200):
            folder = tmp_path / f"p{number % 60}" / f"q{number}" / "r"
            folder.mkdir(parents=True)
            for name in ("a.py", "b.py"):
                (folder / name).touch()
                wanted.add(str(folder / name))

    writer = threading.Thread(target=work)
    writer.start()
    try:
        while writer.is_alive():
            select.select([observed.watcher.fileno()], [], [], 0.01)
            observed.take()
    finally:
        writer.join()
    observed.until(lambda: wanted <= observed.paths)


@linux_only
def test_many_new_folders_do_not_keep_an_inotify_instance_each(tmp_path: Path, observe: Observe) -> None:
    def instances() -> int:
        return sum(os.path.realpath(link).endswith("inotify") for link in Path("/proc/self/fd").iterdir())

    observed = observe(tmp_path)
    before = instances()
    for number in range(40):
        folder = tmp_path / f"p{number}"
        folder.mkdir()
        (folder / "a.py").touch()
        observed.until_seen(folder / "a.py")
    assert instances() - before < 10
    observed.until_quiet_about(tmp_path)
    observed.forget()
    for number in range(40):
        write_in_place(tmp_path / f"p{number}" / "a.py")
    observed.until_seen(*(tmp_path / f"p{number}" / "a.py" for number in range(40)))


# --- links ---


def test_linked_source_file(tmp_path: Path, observe: Observe) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    root.mkdir()
    elsewhere.mkdir()
    (elsewhere / "real.py").write_text("x = 1")
    (elsewhere / "other.py").write_text("x = 1")
    (root / "views.py").symlink_to(elsewhere / "real.py")
    observed = observe(root)
    write_in_place(elsewhere / "other.py")
    write_in_place(elsewhere / "real.py")
    observed.until_seen(root / "views.py", elsewhere / "real.py")
    write_and_rename(elsewhere / "real.py")
    observed.until_quiet_about(root)
    assert str(elsewhere / "other.py") not in observed.paths


def test_linked_folder(tmp_path: Path, observe: Observe) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    root.mkdir()
    (elsewhere / "deep").mkdir(parents=True)
    (elsewhere / "deep" / "a.py").write_text("x = 1")
    (root / "lib").symlink_to(elsewhere)
    observed = observe(root)
    write_in_place(elsewhere / "deep" / "a.py")
    observed.until_seen(root / "lib" / "deep" / "a.py", elsewhere / "deep" / "a.py")
    (elsewhere / "new").mkdir()
    (elsewhere / "new" / "b.py").touch()
    observed.until_seen(root / "lib" / "new" / "b.py")


def test_link_that_comes_later_and_is_pointed_elsewhere(tmp_path: Path, observe: Observe) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.py").write_text("x = 1")
    observed = observe(root)
    (root / "lib").symlink_to(tmp_path / "one")
    observed.until_rescan()
    observed.until_quiet_about(root)
    write_in_place(tmp_path / "one" / "a.py")
    observed.until_seen(root / "lib" / "a.py")
    (root / "draft").symlink_to(tmp_path / "two")
    (root / "draft").rename(root / "lib")
    observed.until_quiet_about(root)
    observed.until_quiet_about(root)
    observed.forget()
    write_in_place(tmp_path / "two" / "a.py")
    observed.until_seen(root / "lib" / "a.py")


def test_links_in_a_circle_and_up(tmp_path: Path, observe: Observe) -> None:
    (tmp_path / "root" / "a").mkdir(parents=True)
    (tmp_path / "beside").mkdir()
    root = tmp_path / "root"
    (root / "a" / "up").symlink_to(tmp_path)
    (root / "a" / "self").symlink_to(root / "a")
    (root / "loop").symlink_to(root / "loop")
    (root / "dangling").symlink_to(tmp_path / "missing")
    observed = observe(root)
    (tmp_path / "beside" / "x.py").touch()
    (root / "a" / "y.py").touch()
    observed.until_seen(root / "a" / "y.py", root / "a" / "self" / "y.py")
    assert str(tmp_path / "beside" / "x.py") not in observed.paths
    (tmp_path / "missing").write_text("x = 1")
    observed.until_seen(root / "dangling")


def test_root_given_through_a_link(tmp_path: Path, observe: Observe) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    observed = observe(tmp_path / "link")
    (tmp_path / "real" / "a.py").touch()
    observed.until_seen(tmp_path / "link" / "a.py", tmp_path / "real" / "a.py")


# --- learned later, missing, coming back ---


def test_folder_and_file_learned_later(tmp_path: Path, observe: Observe) -> None:
    for name in ("root", "lib", "single"):
        (tmp_path / name).mkdir()
    (tmp_path / "lib" / "pkg").mkdir()
    (tmp_path / "single" / "plugin.py").write_text("x = 1")
    observed = observe(tmp_path / "root")
    observed.watcher.watch_also([str(tmp_path / "lib"), str(tmp_path / "single" / "plugin.py")])
    observed.until_seen(tmp_path / "single" / "plugin.py", tmp_path / "lib" / "pkg")  # compared once
    observed.forget()
    (tmp_path / "single" / "other.py").touch()
    (tmp_path / "lib" / "pkg" / "a.py").touch()
    write_in_place(tmp_path / "single" / "plugin.py")
    observed.until_seen(tmp_path / "lib" / "pkg" / "a.py", tmp_path / "single" / "plugin.py")
    assert str(tmp_path / "single" / "other.py") not in observed.paths


def test_file_learned_later_that_is_still_missing(tmp_path: Path, observe: Observe) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "etc").mkdir()
    wanted = [tmp_path / "etc" / "app.env", tmp_path / "later" / "app.env"]
    observed = observe(tmp_path / "root")
    observed.watcher.watched_reads(map(str, wanted))
    observed.watcher.watch_also(map(str, wanted))
    observed.until_seen(wanted[1])  # polled: nothing is there that could be watched, so it is looked at at once
    observed.forget()
    for path in wanted:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    observed.until_seen(*wanted)


def test_root_is_deleted_and_comes_back(tmp_path: Path, observe: Observe) -> None:
    root = tmp_path / "root"
    (root / "pkg").mkdir(parents=True)
    (root / "pkg" / "a.py").touch()
    observed = observe(root)
    shutil.rmtree(root)
    observed.until_rescan()
    observed.forget()
    (root / "pkg").mkdir(parents=True)
    (root / "pkg" / "a.py").write_text("x = 1")
    observed.until_seen(root / "pkg" / "a.py")
    observed.forget()
    write_in_place(root / "pkg" / "a.py")
    observed.until_seen(root / "pkg" / "a.py")


def test_root_is_replaced_by_another_folder(tmp_path: Path, observe: Observe) -> None:
    root, other = tmp_path / "root", tmp_path / "other"
    for folder in (root, other):
        folder.mkdir()
        (folder / "a.py").write_text("x = 1")
    observed = observe(root)
    root.rename(tmp_path / "old")
    other.rename(root)
    observed.until_rescan()
    observed.forget()
    observed.until(lambda: str(root / "a.py") in observed.paths, poke=lambda: write_in_place(root / "a.py"))


def test_root_that_is_missing_at_the_start(tmp_path: Path, observe: Observe) -> None:
    observed = observe(tmp_path / "later" / "root")
    (tmp_path / "later" / "root").mkdir(parents=True)
    (tmp_path / "later" / "root" / "a.py").touch()
    observed.until_seen(tmp_path / "later" / "root" / "a.py")


# --- names that are not UTF-8 ---


def test_name_that_is_not_utf8(tmp_path: Path, observe: Observe) -> None:
    (tmp_path / "fine").mkdir()
    (tmp_path / "odd" / "sub").mkdir(parents=True)
    inside = tmp_path / "odd" / "a.py"
    inside.write_text("x = 1")
    odd = os.fsdecode(bytes(tmp_path / "odd") + b"/\xff.py")
    observed = observe(tmp_path)
    observed.watcher.watched_reads([str(inside), odd])
    Path(odd).write_text("x = 1")
    observed.until(lambda: any("not UTF-8" in line for line in observed.lines))
    observed.until_seen(odd)
    observed.forget()
    write_in_place(inside)
    (tmp_path / "fine" / "b.py").touch()
    (tmp_path / "odd" / "sub" / "c.py").touch()
    observed.until_seen(inside, tmp_path / "fine" / "b.py", tmp_path / "odd" / "sub" / "c.py")
    assert len(observed.lines) == 1
    observed.lines[0].encode()  # can be printed


def test_names_that_are_not_utf8_from_the_start(tmp_path: Path, observe: Observe) -> None:
    folder = Path(os.fsdecode(bytes(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    inside = folder / "a.py"
    inside.write_text("x = 1")
    beside = tmp_path / "b.py"
    beside.write_text("x = 1")
    (tmp_path / "fine").mkdir()
    observed = observe(tmp_path)
    observed.watcher.watched_reads([str(inside), str(beside)])
    observed.until_seen(inside, beside)
    observed.forget()
    write_in_place(inside)
    write_in_place(beside)
    (tmp_path / "fine" / "c.py").touch()
    observed.until_seen(inside, beside, tmp_path / "fine" / "c.py")


# --- git ---


def git(repository: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main")
    subprocess.run(
        ["git", *identity, *arguments],
        cwd=repository,
        check=True,
        capture_output=True,
        timeout=60,
        env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull},
    )


def test_changes_are_held_while_the_index_is_locked(tmp_path: Path, observe: Observe) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "site" / "app").mkdir(parents=True)
    observed = observe(tmp_path / "site")
    lock = tmp_path / ".git" / "index.lock"
    lock.touch()
    files = [tmp_path / "site" / "app" / f"m{number}.py" for number in range(20)]
    for file in files:
        file.touch()
    assert select.select([observed.watcher.fileno()], [], [], 0.3)[0] == []
    lock.unlink()
    observed.until_seen(*files)
    assert observed.batches == 1


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_checkout_of_another_branch_is_one_batch_or_two(tmp_path: Path, observe: Observe) -> None:
    git(tmp_path, "init", "-q")
    names = [f"p{number % 20}/m{number}.py" for number in range(300)]
    for branch, content in (("main", "x = 1"), ("other", "x = 22")):
        if branch != "main":
            git(tmp_path, "checkout", "-q", "-b", branch)
        for name in (*names, f"only_{branch}/deep/a.py"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content)
        git(tmp_path, "add", "-A")
        git(tmp_path, "commit", "-q", "-m", branch)
    observed = observe(tmp_path)
    git(tmp_path, "checkout", "-q", "main")
    observed.until_seen(*(tmp_path / name for name in names))
    observed.until_rescan()  # a folder went
    assert observed.batches <= 2


# --- the object ---


def test_watches_and_descriptors_are_given_back(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    before = set(os.listdir("/dev/fd"))
    threads = threading.active_count()
    for _ in range(3):
        watcher = Watcher([tmp_path], IgnoreRules(), poll=False, notify=print)
        select.select([watcher.fileno()], [], [], 20)
        watcher.close(20)
        assert not watcher.is_alive()
    assert threading.active_count() == threads
    end = time.monotonic() + 20
    while len(os.listdir("/dev/fd")) > len(before):  # the native thread closes its descriptor by itself
        assert time.monotonic() < end


def test_close_at_once(tmp_path: Path) -> None:
    watcher = Watcher([tmp_path], IgnoreRules(), poll=False, notify=print)
    watcher.close(20)
    assert not watcher.is_alive()


@pytest.mark.parametrize("busy", [True, False])
def test_both_paces_report(tmp_path: Path, observe: Observe, busy: bool) -> None:
    observed = observe(tmp_path)
    observed.watcher.set_pace(busy)
    (tmp_path / "a.py").touch()
    observed.until_seen(tmp_path / "a.py")


def test_wake_ups_that_nobody_takes_do_not_block(tmp_path: Path, observe: Observe) -> None:
    observed = observe(tmp_path)
    watcher = observed.watcher
    for _ in range(100_000):
        watcher._wake()
    (tmp_path / "a.py").touch()
    observed.until_seen(tmp_path / "a.py")


def test_watchfiles_is_not_imported_as_a_whole(tmp_path: Path) -> None:
    """Its package imports anyio, which costs the start 40 ms; and a fresh process can still import it later."""
    script = f"""
import select, sys
from pathlib import Path
from devserver.supervisor.ignore import IgnoreRules
from devserver.supervisor.watcher import Watcher
assert not [name for name in sys.modules if name.startswith("watchfiles")]
watcher = Watcher([Path({str(tmp_path)!r})], IgnoreRules(), poll=False, notify=print)
select.select([watcher.fileno()], [], [], 20)
watcher.close()
assert "anyio" not in sys.modules
import watchfiles
assert watchfiles.main.RustNotify is sys.modules["watchfiles._rust_notify"].RustNotify
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
