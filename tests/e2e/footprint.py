"""What a command takes of the machine: processes, descriptors, memory. Reads /proc, so it works on Linux alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from tests.benchmarks.process import proportional_set_size_mb

MAX_GROWTH = 0.05
"""Of the memory: pages are copied at other moments each time."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """At a moment at which the chain is one line and nothing drains."""

    processes: int  # below the command
    descriptors: int  # of the supervisor, without those that it has for each process below
    most_descriptors: int  # that a process below has
    supervisor_mb: float  # its share of the memory (PSS)
    tree_mb: float  # of all processes together

    @classmethod
    def of(cls, supervisor: int, line: Sequence[int]) -> Footprint:
        """Of a command and the line of processes below it, the root first."""
        return cls(
            processes=len(line),
            descriptors=_count_descriptors(supervisor) - len(line),
            most_descriptors=max(map(_count_descriptors, line)),
            supervisor_mb=proportional_set_size_mb([supervisor]),
            tree_mb=proportional_set_size_mb([supervisor, *line]),
        )

    def __str__(self) -> str:
        return (
            f"{self.processes} processes, {self.descriptors}/{self.most_descriptors} descriptors,"
            f" {self.supervisor_mb:.1f}/{self.tree_mb:.1f} MB"
        )


def growth(before: Sequence[Footprint], after: Sequence[Footprint]) -> list[str]:
    """What has grown from the time of `before` to that of `after`: a line each, none if all is well.

    How many checkpoints a load is worth follows from what its forks took, so chains of one length are compared where there are
    some, and the medians of the others.
    """
    lengths = {one.processes for one in before} & {one.processes for one in after}
    if lengths:
        before = [one for one in before if one.processes in lengths]
        after = [one for one in after if one.processes in lengths]
    found = []
    for name in ("processes", "descriptors", "most_descriptors"):
        # A server that is about to end has descriptors for a moment; what leaks is there in every print.
        then, now = max(getattr(one, name) for one in before), min(getattr(one, name) for one in after)
        if now > then:
            found.append(f"{name}: {then} → {now}")
    for name in ("supervisor_mb", "tree_mb"):
        then, now = (_median([getattr(one, name) for one in prints]) for prints in (before, after))
        if now > then * (1 + MAX_GROWTH):
            found.append(f"{name}: {then:.1f} → {now:.1f}")
    return found


def _count_descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]
