"""Looking for changes, and which mounts need it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from devserver.supervisor.ignore import IgnoreRules
from devserver.supervisor.polling import TICK_NS, Mounts, Poller

NOW = 2_000_000_000_000_000_000
OLD = NOW - 10 * TICK_NS
LOCAL = Mounts({"/": "ext4"})


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def poller(clock: Clock) -> Poller:
    return Poller(IgnoreRules(), mounts=LOCAL, clock_ns=clock)


def write(path: Path, text: str, mtime_ns: int = OLD) -> None:
    path.write_text(text)
    os.utime(path, ns=(mtime_ns, mtime_ns))


def followed(poller: Poller, *paths: Path) -> None:
    poller.follow(map(str, paths))
    assert poller.poll() == (set(), {str(path) for path in paths})


def test_first_look_is_told_apart(poller: Poller, tmp_path: Path) -> None:
    followed(poller, tmp_path / "a", tmp_path / "b")
    assert poller.poll() == (set(), set())
    poller.follow([str(tmp_path / "b"), str(tmp_path / "c")])
    assert poller.poll() == (set(), {str(tmp_path / "c")})
    assert len(poller) == 2


def test_where_entries_are_replaced_the_time_counts(clock: Clock, tmp_path: Path) -> None:
    poller = Poller(IgnoreRules(), mounts=LOCAL, replaced={str(tmp_path)}, clock_ns=clock)
    (tmp_path / "thing-1.0.dist-info").mkdir()
    os.utime(tmp_path, ns=(OLD, OLD))
    followed(poller, tmp_path)
    assert poller.poll()[0] == set()
    os.utime(tmp_path, ns=(OLD + 1, OLD + 1))
    assert poller.poll()[0] == {str(tmp_path)}
    assert poller.poll()[0] == set()


def test_file_comes_changes_and_goes(poller: Poller, tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    followed(poller, path)
    write(path, "x")
    assert poller.poll()[0] == {str(path)}
    assert poller.poll()[0] == set()
    write(path, "xy")
    assert poller.poll()[0] == {str(path)}
    path.unlink()
    assert poller.poll()[0] == {str(path)}
    assert poller.poll()[0] == set()


def test_same_size_and_time_under_another_inode(poller: Poller, tmp_path: Path) -> None:
    path, other = tmp_path / "a.py", tmp_path / "b.py"
    write(path, "x")
    write(other, "y")
    followed(poller, path)
    other.rename(path)
    assert poller.poll()[0] == {str(path)}


def test_preserved_mtime_is_betrayed_by_ctime(poller: Poller, tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    write(path, "x")
    followed(poller, path)
    before = path.stat().st_ctime_ns
    while path.stat().st_ctime_ns == before:  # until the file system's clock has ticked
        write(path, "y")
    assert poller.poll()[0] == {str(path)}


def test_fresh_write_is_named_once_more_when_its_tick_is_over(poller: Poller, clock: Clock, tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    write(path, "x")
    followed(poller, path)
    write(path, "xy", mtime_ns=NOW - 1)
    assert poller.poll()[0] == {str(path)}
    clock.now += TICK_NS // 2
    assert poller.poll()[0] == set()
    clock.now += TICK_NS
    assert poller.poll()[0] == {str(path)}
    clock.now += TICK_NS
    assert poller.poll()[0] == set()


def test_write_in_the_tick_of_the_first_look_is_not_lost(poller: Poller, clock: Clock, tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    write(path, "x", mtime_ns=NOW)
    followed(poller, path)
    clock.now += TICK_NS + 1
    assert poller.poll()[0] == {str(path)}


def test_time_in_the_future_is_named_once(poller: Poller, clock: Clock, tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    write(path, "x", mtime_ns=NOW + 100 * TICK_NS)
    followed(poller, path)
    named = 0
    for _ in range(10):
        clock.now += TICK_NS
        named += len(poller.poll()[0])
    assert named == 1


def test_folder_is_its_names(clock: Clock, tmp_path: Path) -> None:
    clock.now = time.time_ns()  # within the tick of what is done here
    poller = Poller(IgnoreRules(), mounts=LOCAL, clock_ns=clock)
    (tmp_path / "a.py").touch()
    followed(poller, tmp_path)
    (tmp_path / "a.py").write_text("changed")
    (tmp_path / ".a.py.swp").touch()
    (tmp_path / "__pycache__").mkdir()
    assert poller.poll()[0] == set()
    (tmp_path / "b.py").touch()
    assert poller.poll()[0] == {str(tmp_path)}
    (tmp_path / "b.py").rename(tmp_path / "c.py")
    assert poller.poll()[0] == {str(tmp_path)}


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders whose names were read."""
    folders: list[str] = []
    listdir = os.listdir

    def note(folder: str) -> list[str]:
        folders.append(folder)
        return listdir(folder)

    monkeypatch.setattr(os, "listdir", note)
    return folders


def test_names_are_read_again_when_the_time_of_the_folder_moved(
    poller: Poller, tmp_path: Path, listed: list[str]
) -> None:
    os.utime(tmp_path, ns=(OLD, OLD))
    followed(poller, tmp_path)
    for _ in range(3):
        assert poller.poll()[0] == set()
    assert listed == [str(tmp_path)]
    (tmp_path / "b.py").touch()
    os.utime(tmp_path, ns=(OLD + 1, OLD + 1))
    assert poller.poll()[0] == {str(tmp_path)}
    (tmp_path / "b.py").unlink()
    os.utime(tmp_path, ns=(OLD, OLD))  # as rsync does; the kernel's own time tells
    assert poller.poll()[0] == {str(tmp_path)}
    assert len(listed) == 3
    poller.follow([])
    poller.follow([str(tmp_path)])
    poller.poll()
    assert len(listed) == 4


def test_names_are_read_each_time_where_the_time_of_a_folder_says_nothing(
    clock: Clock, tmp_path: Path, listed: list[str]
) -> None:
    silent = Poller(IgnoreRules(), mounts=Mounts({"/": "nfs4"}), clock_ns=clock)
    followed(silent, tmp_path)
    silent.poll()
    clock.now = time.time_ns()
    fresh = Poller(IgnoreRules(), mounts=LOCAL, clock_ns=clock)
    (tmp_path / "b.py").touch()
    followed(fresh, tmp_path)
    fresh.poll()
    assert listed == [str(tmp_path)] * 4


def test_file_becomes_a_folder(poller: Poller, tmp_path: Path) -> None:
    path = tmp_path / "views"
    write(path, "x")
    followed(poller, path)
    path.unlink()
    path.mkdir()
    assert poller.poll()[0] == {str(path)}


def test_names_that_cannot_be_looked_at(poller: Poller, tmp_path: Path) -> None:
    undecodable = os.fsdecode(bytes(tmp_path) + b"/\xff.py")
    poller.follow([undecodable, "/nul\0byte", f"{tmp_path}/{'x' * 300}"])
    assert poller.poll()[0] == set()
    Path(undecodable).write_text("x")
    assert poller.poll()[0] == {undecodable}


MOUNTINFO = r"""
22 1 0:20 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
23 22 0:21 / /proc rw,nosuid shared:2 - proc proc rw
24 22 0:22 / /home/ada/my\040project rw,relatime - 9p drvfs rw,aname=drvfs
25 22 0:23 / /srv rw,relatime - nfs4 server:/srv rw
26 25 0:24 / /srv/local rw,relatime shared:3 master:1 - xfs /dev/vdb rw
27 22 0:25 / /mnt/ssh rw,relatime - fuse.sshfs ada@host:/ rw
28 22 0:26 / /mnt/stick rw,relatime - fuseblk /dev/sda1 rw
29 22 0:27 / /over rw,relatime - nfs a:/ rw
30 22 0:28 / /over rw,relatime - tmpfs tmpfs rw
a broken line
31 22
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/etc/passwd", None),
        ("/", None),
        ("/home/ada/my project/app.py", "9p"),
        ("/home/ada/my project", "9p"),
        ("/home/ada/my projects", None),
        ("/srv/www", "nfs4"),
        ("/srv/local/www", None),
        ("/mnt/ssh/x", "fuse.sshfs"),
        ("/mnt/stick/x", None),
        ("/over/x", None),  # the last mount on a point hides the others
    ],
)
def test_mounts_that_keep_silent(path: str, kind: str | None) -> None:
    assert Mounts.parse(MOUNTINFO).silent_kind(path) == kind


def test_no_mounts_known() -> None:
    assert Mounts().silent_kind("/any/where") is None


def test_mounts_of_this_process_hold_the_root() -> None:
    assert "/" in Mounts.of_this_process().kinds or not Path("/proc/self/mountinfo").exists()
