"""The watcher where events cannot be had or fail: a line, then polling, and no change is lost."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from devserver.supervisor import lookout
from devserver.supervisor.polling import Mounts
from devserver.supervisor.watcher import NativeSource
from devserver.supervisor.watches import SMALL_SOURCES, Events, explain

if TYPE_CHECKING:
    from .conftest import Observe


class FailingSource:
    """Real events until it is told to raise."""

    def __init__(self, folders: Sequence[str]) -> None:
        self.native = NativeSource(folders)
        self.error: BaseException | None = None
        self.closed = False

    def drain(self) -> Events:
        if self.error is not None:
            raise self.error
        return self.native.drain()

    def close(self) -> None:
        self.closed = True
        self.native.close()


class LaggingSource(FailingSource):
    """Has not yet read what happened to a.py, and never will if it is closed before."""

    def drain(self) -> Events:
        return {event for event in super().drain() if not event[1].endswith("a.py")}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "app" / "deep").mkdir(parents=True)
    for path in (tmp_path / "a.py", tmp_path / "app" / "b.py", tmp_path / "app" / "deep" / "c.py"):
        path.write_text("x = 1")
    return tmp_path


def sources(project: Path) -> list[Path]:
    return sorted(project.rglob("*.py"))


def change_all(paths: Sequence[Path]) -> None:
    for path in paths:
        path.write_text(path.read_text() + "\n")


def refuse(folders: Sequence[str]) -> NativeSource:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_polling_when_asked_for(project: Path, observe: Observe) -> None:
    def never(folders: Sequence[str]) -> NativeSource:
        raise AssertionError("no events were asked for")

    (project / "node_modules").mkdir()
    ignored = project / "node_modules" / "x.js"
    ignored.touch()
    (project / "env" / "lib").mkdir(parents=True)
    (project / "env" / "pyvenv.cfg").touch()
    third_party = project / "env" / "lib" / "x.py"
    observed = observe(project, poll=True, source=never)
    absent = project / "app" / "later.py"
    observed.watcher.watched_reads(map(str, (*sources(project), absent, project / "app", ignored, third_party)))
    observed.until_seen(*sources(project)[:3], absent, project / "app")  # compared once, with what was read before
    observed.forget()
    ignored.write_text("x")
    third_party.write_text("x")
    change_all(wanted := [project / "a.py", project / "app" / "b.py", project / "app" / "deep" / "c.py"])
    observed.until_seen(*wanted)
    absent.touch()
    observed.until_seen(absent, project / "app")
    (project / "app" / "deep" / "c.py").unlink()
    observed.until_seen(project / "app" / "deep" / "c.py")
    assert not observed.paths & {str(ignored), str(third_party)}
    assert observed.lines == []
    assert observed.failures == []


def test_limit_of_inotify_is_reached(project: Path, observe: Observe) -> None:
    observed = observe(project, source=refuse)
    assert len(observed.lines) == 1
    assert "fs.inotify.max_user_watches" in observed.lines[0]
    assert "and 2 more folders" in observed.lines[0]
    assert len(observed.failures) == 1
    observed.watcher.watched_reads(map(str, sources(project)))
    observed.until_seen(*sources(project))
    observed.forget()
    change_all(sources(project))
    observed.until_seen(*sources(project))
    assert len(observed.lines) == 1


def test_limit_is_reached_by_a_folder_that_comes_later(project: Path, observe: Observe) -> None:
    refused = threading.Event()

    def limited(folders: Sequence[str]) -> NativeSource:
        if refused.is_set():
            raise OSError(errno.ENOSPC, "No space left on device")
        return NativeSource(folders)

    observed = observe(project, source=limited)
    observed.watcher.watched_reads([str(project / "late" / "d.py"), str(project / "a.py")])
    refused.set()
    (project / "late").mkdir()
    late = project / "late" / "d.py"
    late.write_text("x = 1")
    observed.until_seen(late)
    observed.until(lambda: len(observed.failures) == 1)
    observed.until_quiet_about(project)
    observed.forget()
    change_all([late, project / "a.py"])
    observed.until_seen(late, project / "a.py")
    assert len(observed.lines) == 1


def test_folder_that_cannot_be_read(project: Path, observe: Observe) -> None:
    locked = str(project / "app" / "deep")

    def lister(path: str) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
        if path == locked:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return os.scandir(path)

    observed = observe(project, lister=lister)
    assert observed.lines == [f"{locked}: no events, polled instead, because it cannot be read (Permission denied)"]
    assert observed.failures == []
    observed.watcher.watched_reads(map(str, sources(project)))
    observed.until_seen(project / "app" / "deep" / "c.py")
    observed.forget()
    change_all(sources(project))
    observed.until_seen(*sources(project))


def test_folder_that_becomes_readable(project: Path, observe: Observe) -> None:
    locked = str(project / "app" / "deep")
    denied = threading.Event()
    denied.set()

    def lister(path: str) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
        if path == locked and denied.is_set():
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return os.scandir(path)

    observed = observe(project, lister=lister)
    denied.clear()
    Path(locked).chmod(0o700)
    observed.until_seen(locked + "/c.py")
    observed.until_quiet_about(project)
    observed.forget()
    (Path(locked) / "new.py").touch()
    observed.until_seen(locked + "/new.py")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_folder_without_permission(project: Path, observe: Observe) -> None:
    (project / "app" / "deep").chmod(0)
    try:
        observed = observe(project)
        assert len(observed.lines) == 1
    finally:
        (project / "app" / "deep").chmod(0o700)


def test_permission_is_refused_by_the_source(project: Path, observe: Observe) -> None:
    def strict(folders: Sequence[str]) -> NativeSource:
        if any(folder.endswith("deep") for folder in folders):
            raise PermissionError(errno.EACCES, "Permission denied")
        return NativeSource(folders)

    observed = observe(project, source=strict)
    assert len(observed.lines) == 1
    observed.watcher.watched_reads(map(str, sources(project)))
    observed.until_seen(*sources(project))


def test_folders_that_vanish_before_they_are_watched(project: Path, observe: Observe) -> None:
    vanishing = [project / f"v{number}" for number in range(5)]
    for folder in vanishing:
        folder.mkdir()

    def late(folders: Sequence[str]) -> NativeSource:
        for folder in vanishing[:1]:
            folder.rmdir()
            vanishing.remove(folder)
        return NativeSource(folders)

    observed = observe(project, source=late)
    observed.until_quiet_about(project / "app" / "deep")
    assert observed.lines == []


@pytest.mark.parametrize("error", [RuntimeError("error in underlying watcher"), ValueError("not foreseen")])
def test_source_that_raises_once_gets_a_successor(project: Path, observe: Observe, error: Exception) -> None:
    made: list[FailingSource] = []

    def source(folders: Sequence[str]) -> FailingSource:
        made.append(FailingSource(folders))
        return made[-1]

    observed = observe(project, source=source)
    (project / "lost.py").touch()
    (project / "fresh").mkdir()
    made[0].error = error
    observed.until_rescan()
    observed.until_quiet_about(project / "fresh")
    observed.until_quiet_about(project / "app" / "deep")
    assert made[0].closed
    assert observed.lines == []


def test_sources_that_raise_again_and_again_end_in_polling(project: Path, observe: Observe) -> None:
    made: list[FailingSource] = []
    broken = threading.Event()

    def source(folders: Sequence[str]) -> FailingSource:
        made.append(FailingSource(folders))
        if broken.is_set():
            made[-1].error = RuntimeError("broken for good")
        return made[-1]

    observed = observe(project, source=source)
    broken.set()
    made[0].error = RuntimeError("broken for good")
    observed.until(lambda: len(observed.failures) == 1)
    assert [line for line in observed.lines if "broken for good" in line] == observed.lines
    assert len(observed.lines) == 1
    assert all(source.closed for source in made)
    observed.watcher.watched_reads(map(str, sources(project)))
    observed.until_seen(*sources(project))
    observed.forget()
    change_all(sources(project))
    observed.until_seen(*sources(project))


class Panic(BaseException):
    """What a panic in Rust is to Python: no Exception."""


def test_thread_survives_what_nobody_foresaw(project: Path, observe: Observe) -> None:
    made: list[FailingSource] = []

    def source(folders: Sequence[str]) -> FailingSource:
        made.append(FailingSource(folders))
        return made[-1]

    observed = observe(project, source=source)
    made[0].error = Panic("index out of bounds")
    observed.until(lambda: len(observed.failures) == 1)
    observed.watcher.watched_reads(map(str, sources(project)))
    observed.until_seen(*sources(project))
    assert "index out of bounds" in observed.lines[0]


def test_polling_that_fails_keeps_asking_for_rescans(
    project: Path, observe: Observe, monkeypatch: pytest.MonkeyPatch
) -> None:
    observed = observe(project, poll=True)

    def broken(tree: object, paths: object) -> dict[object, set[str]]:
        raise MemoryError("no more")

    monkeypatch.setattr(lookout, "sort", broken)
    observed.watcher.watched_reads([str(project / "a.py")])
    observed.until(lambda: observed.rescans >= 2)
    assert observed.watcher.is_alive()
    assert len(observed.lines) == 1


def test_mount_that_keeps_silent_is_polled(project: Path, observe: Observe, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = Mounts({"/": "ext4", str(project / "app"): "9p"})
    monkeypatch.setattr(Mounts, "of_this_process", lambda: mounts)
    observed = observe(project)
    assert observed.lines == [
        f"{project}/app: no events, polled instead, because it is on a mount of kind 9p, where changes may go unreported"
    ]
    observed.watcher.watched_reads(map(str, sources(project)))
    observed.until_seen(*sources(project)[1:])
    observed.forget()
    change_all(sources(project))
    observed.until_seen(*sources(project))


def test_root_on_a_silent_mount(project: Path, observe: Observe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mounts, "of_this_process", lambda: Mounts({"/": "nfs4"}))
    observed = observe(project)
    assert len(observed.lines) == 1
    observed.watcher.watched_reads(map(str, sources(project)))
    observed.until_seen(*sources(project))
    observed.forget()
    change_all(sources(project))
    observed.until_seen(*sources(project))


def test_events_that_are_lost_unseen_are_found_by_the_sweep(
    project: Path, observe: Observe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an overflow of the kernel's queue does: the file was written and no event tells."""

    class Deaf:
        def __init__(self, folders: Sequence[str]) -> None:
            pass

        def drain(self) -> Events:
            return set()

        def close(self) -> None:
            pass

    monkeypatch.setattr(lookout, "SWEEP_S", 0.1)
    observed = observe(project, source=Deaf)
    observed.watcher.watched_reads(map(str, sources(project)))
    observed.until(
        lambda: {str(path) for path in sources(project)} <= observed.paths,
        poke=lambda: change_all(sources(project)),
    )


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError('OS file watch limit reached. about ["/a"]'), "max_user_watches"),
        (OSError(errno.ENOSPC, "No space left on device"), "max_user_watches"),
        (RuntimeError("Error creating recommended watcher: Too many open files (os error 24)"), "max_user_instances"),
        (OSError(errno.EMFILE, "Too many open files"), "max_user_instances"),
        (ValueError("something else"), "ValueError: something else"),
    ],
)
def test_reasons_say_what_to_do(error: Exception, text: str) -> None:
    assert text in explain(error)


# --- what is relied on in watchfiles ---


def test_asking_a_source_loses_nothing(tmp_path: Path) -> None:
    """`RustNotify.watch` throws away what it has when it times out or is stopped; `drain` has to come by without."""
    source = NativeSource([str(tmp_path)])
    wanted = {str(tmp_path / f"m{number}.py") for number in range(2000)}
    seen: set[str] = set()

    def create() -> None:
        for path in sorted(wanted):
            Path(path).touch()

    writer = threading.Thread(target=create)
    writer.start()
    try:
        while writer.is_alive():
            seen |= {path for _, path in source.drain()}
        writer.join()
        for _ in range(100_000):
            if wanted <= seen:
                break
            seen |= {path for _, path in source.drain()}
    finally:
        source.close()
    assert wanted <= seen


def test_a_source_says_which_name_it_could_not_decode(tmp_path: Path) -> None:
    source = NativeSource([str(tmp_path)])
    Path(os.fsdecode(bytes(tmp_path) + b"/\xff")).touch()

    def drain_for_ever() -> None:
        for _ in range(1_000_000):
            source.drain()

    try:
        with pytest.raises(RuntimeError, match=f'Unable to decode path "{tmp_path}'):
            drain_for_ever()
    finally:
        source.close()


def test_a_source_refuses_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        NativeSource([str(tmp_path / "missing")])


def test_a_source_that_lags_may_be_replaced(project: Path, observe: Observe) -> None:
    observed = observe(project, source=LaggingSource)
    change_all([project / "a.py"])
    for number in range(SMALL_SOURCES):  # each has a source of its own, until they are merged
        assert observed.rescans == 0
        new = project / f"new{number}" / "b.py"
        new.parent.mkdir()
        new.touch()
        observed.until_seen(new)
    observed.until_rescan()
