"""Signatures say what was found: content over times, one form for each aspect, nothing that blocks is opened."""

from __future__ import annotations

import os
import socket
import stat
import threading
import time
from collections.abc import Callable
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devserver import signatures
from devserver.signatures import (
    ABSENT,
    FOLDER,
    MAX_HASHED,
    Aspect,
    Signer,
    installed_in,
    is_noise,
    module_file,
    names_of,
    sign_content,
    sign_file,
    sign_folder,
    sign_installed,
    sign_listing,
    sign_module,
    sign_presence,
)

LONG_AGO_NS = 1_000_000_000_000_000_000


def test_content_counts_and_times_do_not(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_bytes(b"x = 1\n")
    before = sign_file(str(file))
    os.utime(file, ns=(LONG_AGO_NS, LONG_AGO_NS))
    file.chmod(0o600)
    assert sign_file(str(file)) == before == sign_content(b"x = 1\n")
    file.write_bytes(b"x = 2\n")
    assert sign_file(str(file)) != before


def test_a_preserved_mtime_hides_nothing(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_bytes(b"x = 1\n")
    times = (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    before = sign_file(str(file))
    file.write_bytes(b"x = 2\n")
    os.utime(file, ns=times)
    assert sign_file(str(file)) != before


def test_large_files_are_signed_by_status(tmp_path: Path) -> None:
    file = tmp_path / "big"
    file.write_bytes(b"\0" * MAX_HASHED)
    before = sign_file(str(file))
    status = file.stat()
    assert before == f"s:{MAX_HASHED}:{status.st_mtime_ns}:{status.st_ctime_ns}:{status.st_ino}"
    os.utime(file, ns=(LONG_AGO_NS, LONG_AGO_NS))
    assert sign_file(str(file)) != before


def test_the_largest_hashed_file(tmp_path: Path) -> None:
    content = b"\1" * (MAX_HASHED - 1)
    (tmp_path / "a").write_bytes(content)
    assert sign_file(str(tmp_path / "a")) == sign_content(content)


@pytest.mark.parametrize("name", ["nothing", "file/below", "nul\0", "folder/nothing"])
def test_what_is_not_there_is_absent(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    path = f"{tmp_path}/{name}"
    assert {sign_file(path), sign_folder(path), sign_presence(path), sign_module(path)} == {ABSENT}


def test_types_that_are_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    signed: list[str] = []
    thread = threading.Thread(target=lambda: signed.append(sign_file(str(tmp_path / "fifo"))), daemon=True)
    thread.start()
    thread.join(10)
    assert signed == ["x:p"], "a FIFO was opened"
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "s"))
        assert sign_file(str(tmp_path / "s")) == "x:s"
    assert sign_file("/dev/null") == "x:c"
    assert sign_file(str(tmp_path)) == FOLDER


def test_a_file_that_becomes_a_fifo_between_stat_and_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.touch()
    regular = path.stat()
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(signatures, "_stat", lambda _path: regular)
    assert sign_file(str(path)) == "x:p"


def test_links_are_followed_and_circles_end(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "circle").symlink_to("circle")
    assert sign_file(str(tmp_path / "link")) == sign_content(b"1")
    assert sign_file(str(tmp_path / "circle")) == signatures.UNREADABLE
    assert sign_presence(str(tmp_path / "link")) == "t:-"


def test_presence_is_blind_to_content(tmp_path: Path) -> None:
    file = tmp_path / "flag"
    file.write_text("1")
    before = sign_presence(str(file))
    file.write_text("22")
    assert sign_presence(str(file)) == before
    file.unlink()
    file.mkdir()
    assert sign_presence(str(file)) != before


def test_listings_are_sets_without_noise(tmp_path: Path) -> None:
    for name in ("b.py", "a.py", "__pycache__", ".a.py.swp", "a.py~", "4913", "x.pyc"):
        (tmp_path / name).touch()
    assert sign_folder(str(tmp_path)) == sign_listing(["a.py", "b.py"]) == sign_listing(["b.py", "a.py"])
    assert sign_folder(str(tmp_path), lambda path: path != f"{tmp_path}/a.py") == sign_listing(["a.py"])


names = st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=8)


@given(st.sets(names), st.sets(names))
def test_listings_equal_if_and_only_if_the_names_do(one: set[str], other: set[str]) -> None:
    def nothing_ignored(path: str) -> bool:
        return False

    signature = sign_listing(one, nothing_ignored)
    assert (signature == sign_listing(other, nothing_ignored)) == (one == other)
    assert names_of(signature) == frozenset(one)


def test_many_names_are_hashed() -> None:
    many = [f"{number:040}" for number in range(10_000)]
    signature = sign_listing(many)
    assert len(signature) < 100
    assert names_of(signature) is None
    assert signature != sign_listing(many[1:])


def test_undecodable_names(tmp_path: Path) -> None:
    os.mkdir(os.fsencode(tmp_path) + b"/folder")
    with open(os.fsencode(tmp_path) + b"/folder/\xff.txt", "wb"):
        pass
    assert names_of(sign_folder(f"{tmp_path}/folder")) == frozenset({"\udcff.txt"})
    assert sign_file(f"{tmp_path}/folder/\udcff.txt") == sign_content(b"")


@pytest.mark.parametrize(
    ("made", "found"),
    [
        ((), ABSENT),
        (("m.py",), "m:m.py"),
        (("m/",), "m:m/"),
        (("m.py", "m/"), "m:m.py"),
        (("m.py", "m/__init__.py"), "m:m/__init__.py"),
        (("m.py", "m" + EXTENSION_SUFFIXES[0]), "m:m" + EXTENSION_SUFFIXES[0]),
        (("m.pyc",), "m:m.pyc"),
        (("m.py/", "m.txt"), ABSENT),
    ],
)
def test_which_file_an_import_finds(tmp_path: Path, made: tuple[str, ...], found: str) -> None:
    for name in made:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.mkdir() if name.endswith("/") else path.touch()
    signature = sign_module(str(tmp_path / "m"))
    assert signature == found
    assert module_file(str(tmp_path / "m"), signature) == (
        f"{tmp_path}/{found[2:]}".rstrip("/") if found != ABSENT else ""
    )


@pytest.mark.parametrize("name", ["a.py", "swp", "journal", "my-wal.txt", "git", "cache", "b~c", ".env", "#notes"])
def test_names_that_are_no_noise(name: str) -> None:
    assert not is_noise(f"/app/{name}")


def test_what_stands_beside_a_database(tmp_path: Path) -> None:
    """SQLite's journals are noise; a name that only ends like one is none."""
    for suffix in ("-journal", "-wal", "-shm"):
        assert not is_noise(f"{tmp_path}/travel{suffix}")
    (tmp_path / "travel").mkdir()
    assert not is_noise(f"{tmp_path}/travel-journal")
    (tmp_path / "db").touch()
    before = sign_folder(str(tmp_path))
    for suffix in ("-journal", "-wal", "-shm"):
        (tmp_path / f"db{suffix}").touch()
    assert sign_folder(str(tmp_path)) == before == "l:db/travel"


def test_noise_is_judged_by_the_last_name() -> None:
    assert not is_noise("/app/__pycache__/a")
    assert is_noise("/app/__pycache__")


def count_reads(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    opened: list[object] = []
    original = os.open

    def counting(path: str, flags: int) -> int:
        opened.append(path)
        return original(path, flags)

    monkeypatch.setattr(signatures, "_open", counting)
    return lambda: len(opened)


def let_time_pass(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    later = time.time_ns() + int(seconds * 1e9)
    monkeypatch.setattr(time, "time_ns", lambda: later)


def test_settled_files_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a"
    file.write_text("1")
    let_time_pass(monkeypatch, 5)
    reads = count_reads(monkeypatch)
    signer = Signer()
    assert signer.sign(str(file)) == signer.sign(str(file)) == sign_content(b"1")
    assert reads() == 1


def test_fresh_files_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Two saves within one tick of the clock: same size, same times, same inode.
    file = tmp_path / "a"
    file.write_text("1")
    status = file.stat()
    monkeypatch.setattr(signatures, "_stat", lambda _path: status)
    signer = Signer()
    assert signer.sign(str(file)) == sign_content(b"1")
    file.write_text("2")
    assert signer.sign(str(file)) == sign_content(b"2")


def test_a_changed_file_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    let_time_pass(monkeypatch, 5)
    signer = Signer()
    (tmp_path / "a").write_text("1")
    before = signer.sign(str(tmp_path / "a"))
    (tmp_path / "a").write_text("22")
    assert signer.sign(str(tmp_path / "a")) != before


def test_each_aspect_is_signed_for_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    let_time_pass(monkeypatch, 5)
    (tmp_path / "m").mkdir()
    signer = Signer()
    status = (tmp_path / "m").stat()
    details = f"z:{status.st_size}:{status.st_mtime_ns}"
    for _ in range(2):
        signed = [signer.sign(str(tmp_path / "m"), aspect) for aspect in Aspect]
        assert signed == [FOLDER, "l:", "m:m/", "t:d", details, "t:d", "i:", "i:"]
    assert stat.S_ISDIR((tmp_path / "m").stat().st_mode)


def test_what_is_installed(tmp_path: Path) -> None:
    def install(version: str, written: int) -> None:
        info = tmp_path / f"thing-{version}.dist-info"
        info.mkdir(exist_ok=True)
        (info / "RECORD").write_text("")
        os.utime(info / "RECORD", ns=(written, written))

    assert sign_installed(str(tmp_path / "nowhere")) == ABSENT
    empty = sign_installed(str(tmp_path))
    assert installed_in(empty) == installed_in(ABSENT) == frozenset()
    (tmp_path / "thing").mkdir()
    install("1.0", 1)
    first = sign_installed(str(tmp_path))
    assert installed_in(first) == {"thing", "thing-1.0.dist-info\x001"}
    (tmp_path / "~hing").mkdir()
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "thing" / "part.py").touch()
    assert sign_installed(str(tmp_path)) == first
    install("1.0", 2)
    assert installed_in(sign_installed(str(tmp_path))) - installed_in(first) == {"thing-1.0.dist-info\x002"}
    egg = tmp_path / "old-1.egg-info"
    egg.touch()  # what a Linux distribution installs has no record
    os.utime(egg, ns=(3, 3))
    assert "old-1.egg-info\x003" in installed_in(sign_installed(str(tmp_path)))
