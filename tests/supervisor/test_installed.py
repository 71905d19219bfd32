"""Where installed software is, and when whoever installs is done."""

from __future__ import annotations

import os
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from devserver.readset import ReadKind
from devserver.signatures import ABSENT, sign_installed
from devserver.supervisor.installed import QUIET_S, installed_folders, quiet_in_s, read_installed


def test_the_folders_are_those_of_the_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, link = tmp_path / "real" / "site-packages", tmp_path / "site-packages"
    real.mkdir(parents=True)
    link.symlink_to(real)
    monkeypatch.setattr(sys, "path", [*sys.path, str(link), str(real), str(tmp_path / "project")])
    folders = installed_folders()
    assert os.path.realpath(sysconfig.get_path("purelib")) in folders
    assert folders.count(str(real)) == 1
    assert str(tmp_path / "project") not in folders
    assert not any(folder.endswith((".zip", "lib-dynload")) for folder in folders)


def test_reads_are_the_roots(tmp_path: Path) -> None:
    (tmp_path / "thing.py").touch()
    there, missing = read_installed([str(tmp_path), str(tmp_path / "missing")])
    assert (there.kind, there.signature, there.position) == (ReadKind.INSTALLED, "i:thing.py", 0)
    assert missing.signature == ABSENT


def _later(monkeypatch: pytest.MonkeyPatch, folder: Path, seconds: float) -> None:
    """It is so long after the last change below the folder."""
    moment = max(path.stat().st_ctime_ns for path in (folder, *folder.rglob("*"))) + int(seconds * 1e9)
    monkeypatch.setattr(time, "time_ns", lambda: moment)


def test_quiet_is_told_by_the_folder_and_all_that_is_new_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(tmp_path)
    old, new = tmp_path / "old", tmp_path / "new" / "deep"
    old.mkdir()
    before = sign_installed(folder)
    new.mkdir(parents=True)
    after = sign_installed(folder)
    _later(monkeypatch, tmp_path, 0.1)
    assert quiet_in_s(folder, before, after) == pytest.approx(QUIET_S - 0.1, abs=0.05)
    _later(monkeypatch, tmp_path, QUIET_S)
    assert quiet_in_s(folder, before, after) == 0
    assert quiet_in_s(folder, after, before) == 0  # removed
    (new / "file.py").touch()
    while (new / "file.py").stat().st_ctime_ns <= tmp_path.stat().st_ctime_ns:
        (new / "file.py").touch()  # the clock of the file system ticks
    _later(monkeypatch, tmp_path, 0.1)
    assert quiet_in_s(folder, before, after) > 0
    _later(monkeypatch, tmp_path, QUIET_S)
    assert quiet_in_s(folder, before, after) == 0
    (old / "file.py").touch()  # what was there before is somebody's own business
    assert quiet_in_s(folder, before, after) == 0


def test_a_clock_ahead_of_ours_is_waited_for_in_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "new").mkdir()
    _later(monkeypatch, tmp_path, -3600.0)
    assert quiet_in_s(str(tmp_path), "i:", sign_installed(str(tmp_path))) == QUIET_S


def test_a_folder_that_is_gone_is_quiet(tmp_path: Path) -> None:
    assert quiet_in_s(str(tmp_path / "gone"), "i:thing", ABSENT) == 0
