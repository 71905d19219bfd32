"""Which checkpoints may be continued from: the line, the branch that hangs on it, and what was discarded."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from devserver.channel import Channel, socket_pair
from devserver.messages import Discard
from devserver.supervisor.chain import Chain, CheckpointRecord


class Grown:
    """A chain whose checkpoints are called by their pids, and what was said to them."""

    def __init__(self) -> None:
        self.chain = Chain()
        self.known: dict[int, CheckpointRecord] = {}
        self._peers: dict[int, Channel] = {}

    def checkpoint(self, pid: int, parent: int | None = None) -> CheckpointRecord:
        ours, theirs = socket_pair()
        self._peers[pid] = Channel(theirs)
        above = self.known[parent] if parent is not None else None
        self.known[pid] = CheckpointRecord(0 if above is None else above.position + 1, pid, Channel(ours), above)
        return self.known[pid]

    def discarded(self) -> list[int]:
        return [pid for pid, peer in self._peers.items() if (Discard(), []) in peer.receive()]

    def close(self) -> None:
        for record in self.known.values():
            record.channel.close()
        for peer in self._peers.values():
            peer.close()


@pytest.fixture
def grown() -> Iterator[Grown]:
    """A line 1, 2, 3, 4 and a branch 21, 22 on 2."""
    grown = Grown()
    grown.chain.begin(grown.checkpoint(1))
    for pid in (2, 3, 4):
        grown.chain.add(grown.checkpoint(pid, pid - 1))
    grown.chain.begin_branch(grown.known[2])
    grown.chain.add_to_branch(grown.checkpoint(21, 2))
    grown.chain.add_to_branch(grown.checkpoint(22, 21))
    grown.chain.is_branch_approved = True
    yield grown
    grown.close()


def pids(records: tuple[CheckpointRecord, ...]) -> list[int]:
    return [record.pid for record in records]


def test_both_are_told_from_the_root_on(grown: Grown) -> None:
    assert pids(grown.chain.line) == [1, 2, 3, 4]
    assert pids(grown.chain.branch) == [1, 2, 21, 22]
    assert sorted(record.pid for record in grown.chain.frozen()) == [2, 3, 4, 21, 22]


def test_a_branch_counts_once_it_is_approved(grown: Grown) -> None:
    grown.chain.begin_branch(grown.known[3])
    assert grown.discarded() == [21, 22]
    grown.chain.add_to_branch(grown.checkpoint(31, 3))
    assert grown.chain.branch == ()
    grown.chain.is_branch_approved = True
    assert pids(grown.chain.branch) == [1, 2, 3, 31]


def test_the_line_is_cut_behind_the_base(grown: Grown) -> None:
    grown.chain.cut(1)
    assert grown.discarded() == [3, 4]
    assert pids(grown.chain.branch) == [1, 2, 21, 22]


def test_a_branch_goes_with_its_base(grown: Grown) -> None:
    grown.chain.cut(0)
    assert sorted(grown.discarded()) == [2, 3, 4, 21, 22]
    assert grown.chain.branch == ()


@pytest.mark.parametrize(
    ("position", "left"), [(9, [1, 2, 21, 22]), (3, [1, 2, 21, 22]), (2, [1, 2, 21]), (1, []), (0, [])]
)
def test_the_branch_is_cut(grown: Grown, position: int, left: list[int]) -> None:
    grown.chain.cut_branch(position)
    assert pids(grown.chain.branch) == left
    assert pids(grown.chain.line) == [1, 2, 3, 4]
    assert set(grown.discarded()) == {21, 22} - set(left)


def test_what_does_not_hang_on_the_last_is_discarded(grown: Grown) -> None:
    grown.chain.add_to_branch(grown.checkpoint(23, 21))
    grown.chain.add(grown.checkpoint(24, 2))
    assert grown.discarded() == [23, 24]


def test_a_base_that_dies_takes_the_branch(grown: Grown) -> None:
    grown.chain.forget_below(grown.known[2])
    assert pids(grown.chain.line) == [1]
    assert grown.chain.branch == ()
    assert list(grown.chain.frozen()) == []


def test_of_a_branch_that_died_nothing_is_left(grown: Grown) -> None:
    grown.chain.forget_below(grown.known[21])
    assert grown.chain.branch == ()
    assert pids(grown.chain.line) == [1, 2, 3, 4]


def test_a_new_line_begins(grown: Grown) -> None:
    grown.chain.begin(grown.checkpoint(5))
    assert sorted(grown.discarded()) == [2, 3, 4, 21, 22], "a root is not the chain's to discard"
    assert (pids(grown.chain.line), grown.chain.branch) == ([5], ())
