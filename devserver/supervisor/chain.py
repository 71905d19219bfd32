"""The frozen processes as the supervisor knows them: the line of the current root, the branch of those with modules hoisted, and
those that were discarded.

Runs in the supervisor. Decides nothing. Rules that hold: a checkpoint is in the line or the branch until nobody may continue from
it any more; then it is told so, and known until its parent has reported its end, because servers may still drain below it. The
branch hangs on a checkpoint of the line, its base, and goes with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from devserver.channel import Channel
from devserver.messages import Discard
from devserver.readset import ReadSet


@dataclass(slots=True, eq=False)
class CheckpointRecord:
    """What is known of one frozen process."""

    position: int  # in its chain; the root's is 0
    pid: int
    channel: Channel
    parent: CheckpointRecord | None  # None: it is a root
    reads: ReadSet = field(default_factory=ReadSet)  # since the one before it

    def line(self) -> list[CheckpointRecord]:
        """Its chain up to itself, the root first."""
        return [*(self.parent.line() if self.parent is not None else ()), self]


class Chain:
    """Who may be continued from, the root first, and who no more."""

    def __init__(self) -> None:
        self._line: list[CheckpointRecord] = []
        self._base: CheckpointRecord | None = None
        self._branch: list[CheckpointRecord] = []  # what lies behind the base
        self._discarded: list[CheckpointRecord] = []
        self.is_branch_approved = False
        """Was the order of its imports compared? Nobody continues from the branch before."""

    @property
    def deepest(self) -> CheckpointRecord:
        """The last of the line. There is one from `begin` on."""
        return self._line[-1]

    @property
    def line(self) -> tuple[CheckpointRecord, ...]:
        """The load in its own order."""
        return tuple(self._line)

    @property
    def branch(self) -> tuple[CheckpointRecord, ...]:
        """From the root over the base to the last with modules hoisted; empty if there is none that may be continued from."""
        if self._base is None or not self.is_branch_approved:
            return ()
        return (*self._base.line(), *self._branch)

    def frozen(self) -> Iterator[CheckpointRecord]:
        """All that may live, roots aside."""
        yield from self._line[1:]
        yield from self._branch
        yield from self._discarded

    def begin(self, root: CheckpointRecord) -> None:
        """A new line, in place of the one before."""
        self.leave()
        self._line = [root]

    def leave(self) -> None:
        """Nobody continues from this line any more."""
        self.leave_branch()
        self.cut(0)
        self._line = []

    def cut(self, position: int) -> None:
        """Nobody continues from what lies behind `position` any more."""
        if self._base is not None and self._base.position > position:
            self.leave_branch()
        for checkpoint in self._line[position + 1 :]:
            self.discard(checkpoint)
        del self._line[position + 1 :]

    def begin_branch(self, base: CheckpointRecord) -> None:
        """A new branch, in place of the one before; `base` is in the line."""
        self.leave_branch()
        self._base = base

    def leave_branch(self) -> None:
        """Nobody continues from the branch any more."""
        for checkpoint in self._branch:
            self.discard(checkpoint)
        self._branch = []
        self._base = None
        self.is_branch_approved = False

    def cut_branch(self, position: int) -> None:
        """Nobody continues from what lies behind `position` in the branch any more; nor from the branch, if that leaves nothing."""
        if self._base is None:
            return
        left = max(0, position - self._base.position)
        for checkpoint in self._branch[left:]:
            self.discard(checkpoint)
        del self._branch[left:]
        if not self._branch:
            self.leave_branch()

    def add(self, checkpoint: CheckpointRecord) -> None:
        """A server that loads in the original order has left it behind."""
        if not self._line or self.deepest is not checkpoint.parent:
            self.discard(checkpoint)
        else:
            self._line.append(checkpoint)

    def add_to_branch(self, checkpoint: CheckpointRecord) -> None:
        """A server with modules hoisted has left it behind."""
        last = self._branch[-1] if self._branch else self._base
        if last is None or last is not checkpoint.parent:
            self.discard(checkpoint)
        else:
            self._branch.append(checkpoint)

    def with_pid(self, pid: int) -> CheckpointRecord | None:
        """The checkpoint that is this process."""
        return next((one for one in self.frozen() if one.pid == pid), None)

    def forget_below(self, checkpoint: CheckpointRecord) -> None:
        """It is gone, and all that it had below with it."""
        for gone in [one for one in self.frozen() if checkpoint in one.line()]:
            gone.channel.close()
            for records in (self._line, self._branch, self._discarded):
                if gone in records:
                    records.remove(gone)
        if self._base is not None and (self._base not in self._line or (self.is_branch_approved and not self._branch)):
            self.leave_branch()

    def close(self) -> None:
        for checkpoint in self.frozen():
            checkpoint.channel.close()

    def discard(self, checkpoint: CheckpointRecord) -> None:
        """Nobody continues from this one."""
        checkpoint.channel.send(Discard())
        self._discarded.append(checkpoint)
