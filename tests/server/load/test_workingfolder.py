"""The working folder of who continues: the one that has the name now."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from devserver.server.load.workingfolder import WorkingFolder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "sub"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def noted(folder: Path) -> WorkingFolder:
    noted = WorkingFolder.note()
    assert noted is not None
    return noted


def test_the_same(folder: Path, noted: WorkingFolder) -> None:
    noted.reenter()
    assert os.path.samefile(".", folder)


def test_one_that_was_made_anew(folder: Path, noted: WorkingFolder) -> None:
    folder.rename(folder.with_name("old"))
    folder.mkdir()
    assert not os.path.samefile(".", folder)
    noted.reenter()
    assert os.path.samefile(".", folder)


def test_one_that_is_gone(folder: Path, noted: WorkingFolder) -> None:
    folder.rename(folder.with_name("old"))
    noted.reenter()
    assert os.path.samefile(".", folder.with_name("old"))


def test_one_that_was_gone_at_the_freeze(folder: Path) -> None:
    folder.rmdir()
    assert WorkingFolder.note() is None
