"""Whether git is at work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from devserver.supervisor.checkout import HOLD_S, Checkout, find_repository


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "repo" / ".git").mkdir(parents=True)
    (tmp_path / "repo" / "site" / "app").mkdir(parents=True)
    return tmp_path / "repo"


def locked(repository: Path, at: float) -> Path:
    lock = repository / ".git" / "index.lock"
    lock.touch()
    os.utime(lock, (at, at))
    return lock


def test_lock_of_the_repository_around(repository: Path) -> None:
    checkout = Checkout([str(repository / "site" / "app")], wall_clock=Clock(1000.0))
    assert not checkout.is_going_on()
    lock = locked(repository, 1000.0)
    assert checkout.is_going_on()
    lock.unlink()
    assert not checkout.is_going_on()


def test_lock_is_waited_for_no_longer_than_the_limit(repository: Path) -> None:
    clock, wall_clock = Clock(50.0), Clock(1000.0)
    checkout = Checkout([str(repository)], clock=clock, wall_clock=wall_clock)
    lock = locked(repository, 1000.0)
    assert checkout.is_going_on()
    clock.now += HOLD_S
    assert not checkout.is_going_on()
    lock.unlink()
    locked(repository, 1001.0)
    assert checkout.is_going_on()  # another one


def test_left_over_lock_delays_nothing(repository: Path) -> None:
    locked(repository, 1000.0)
    assert not Checkout([str(repository)], wall_clock=Clock(1000.0 + HOLD_S)).is_going_on()


def test_linked_work_tree(tmp_path: Path, repository: Path) -> None:
    linked = tmp_path / "linked"
    linked.mkdir()
    (repository / ".git" / "worktrees" / "linked").mkdir(parents=True)
    (linked / ".git").write_text(f"gitdir: {repository}/.git/worktrees/linked\n")
    assert find_repository(str(linked)) == f"{repository}/.git/worktrees/linked"
    (repository / ".git" / "worktrees" / "linked" / "index.lock").touch()
    assert Checkout([str(linked)]).is_going_on()


def test_submodule_names_its_folder_relatively(repository: Path) -> None:
    (repository / "site" / ".git").write_text("gitdir: ../.git/modules/site\n")
    assert find_repository(str(repository / "site" / "app")) == f"{repository}/.git/modules/site"


def test_no_repository(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("something else")
    assert find_repository(str(tmp_path)) is None
    assert find_repository("/") is None or os.path.exists("/.git")
    assert not Checkout([str(tmp_path)]).is_going_on()
