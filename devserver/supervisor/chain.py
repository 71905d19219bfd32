"""The frozen processes as the supervisor knows them: the chain of the current root, and those that were discarded.

Runs in the supervisor. Decides nothing. Rule that holds: a checkpoint is in the chain until nobody may continue from it any more;
then it is told so, and known until its parent has reported its end, because servers may still drain below it.
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
        self._discarded: list[CheckpointRecord] = []

    @property
    def deepest(self) -> CheckpointRecord:
        """The last of the line. There is one from `begin` on."""
        return self._line[-1]

    def frozen(self) -> Iterator[CheckpointRecord]:
        """All that may live, roots aside."""
        yield from self._line[1:]
        yield from self._discarded

    def begin(self, root: CheckpointRecord) -> None:
        """A new line, in place of the one before."""
        self.leave()
        self._line = [root]

    def leave(self) -> None:
        """Nobody continues from this line any more."""
        self.cut(0)
        self._line = []

    def cut(self, position: int) -> None:
        """Nobody continues from what lies behind `position` any more."""
        for checkpoint in self._line[position + 1 :]:
            self._discard(checkpoint)
        del self._line[position + 1 :]

    def add(self, checkpoint: CheckpointRecord, *, overtaken: bool) -> None:
        """A server has left it behind. `overtaken`: another load has begun since."""
        if overtaken or not self._line or self.deepest is not checkpoint.parent:
            self._discard(checkpoint)
        else:
            self._line.append(checkpoint)

    def with_pid(self, pid: int) -> CheckpointRecord | None:
        """The checkpoint that is this process."""
        return next((one for one in self.frozen() if one.pid == pid), None)

    def forget_below(self, checkpoint: CheckpointRecord) -> None:
        """It is gone, and all that it had below with it."""
        for gone in [one for one in self.frozen() if checkpoint in one.line()]:
            gone.channel.close()
            for records in (self._line, self._discarded):
                if gone in records:
                    records.remove(gone)

    def close(self) -> None:
        for checkpoint in self.frozen():
            checkpoint.channel.close()

    def _discard(self, checkpoint: CheckpointRecord) -> None:
        checkpoint.channel.send(Discard())
        self._discarded.append(checkpoint)
