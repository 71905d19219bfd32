"""From samples to the page docs/benchmarks.md: medians, ratios, tables. Pure: no process, no clock, no file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import Final

OURS: Final = "devserver"
INTRODUCTION: Final = (
    "Written by `make bench`; not edited by hand. All servers ran on one machine in alternating rounds. "
    "A ratio above 1 means that devserver is ahead."
)


class Better(StrEnum):
    LOWER = "lower"
    HIGHER = "higher"


@dataclass(frozen=True, slots=True)
class Measure:
    """What a number means. `digits` are those after the decimal point."""

    key: str
    title: str
    unit: str
    better: Better
    explanation: str
    digits: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement of one server. `value` is None if the deadline passed without a result."""

    measure: str  # a Measure's key
    case: str  # what was served
    server: str
    value: float | None
    failed_requests: int = 0  # refused, reset, cut or answered 5xx while measuring


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where and how the samples were taken."""

    date: str
    command: str
    machine: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Row:
    server: str
    median: float | None  # None if no sample of this server has a value
    lowest: float | None
    highest: float | None
    samples: int
    overdue: int  # samples without a value
    failed_requests: int
    advantage: float | None  # of us over this server; more than 1 means that we are ahead


def advantage(ours: float, theirs: float, better: Better) -> float | None:
    """How many times better `ours` is than `theirs`; None where a ratio means nothing."""
    if ours <= 0 or theirs <= 0:
        return None
    return theirs / ours if better is Better.LOWER else ours / theirs


def find_median(values: Sequence[float | None]) -> float | None:
    """The median of times, where an overdue one (None) counts as longer than any; None if the median itself is overdue."""
    known = sorted(value for value in values if value is not None)
    if known and len(known) == len(values):
        return median(known)
    # Never interpolate towards an unknown value: take the upper of the two in the middle.
    middle = len(values) // 2
    return known[middle] if middle < len(known) else None


def rows(samples: Iterable[Sample], measure: Measure, case: str) -> list[Row]:
    """One row per server, in the order in which the servers first appear, ours first."""
    by_server: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.measure == measure.key and sample.case == case:
            by_server.setdefault(sample.server, []).append(sample)
    ours = find_median([sample.value for sample in by_server.get(OURS, [])])
    found = []
    for server, taken in sorted(by_server.items(), key=lambda item: item[0] != OURS):
        values = [sample.value for sample in taken]
        known = [value for value in values if value is not None]
        middle = find_median(values)
        found.append(
            Row(
                server=server,
                median=middle,
                lowest=min(known, default=None),
                highest=max(known, default=None),
                samples=len(taken),
                overdue=len(values) - len(known),
                failed_requests=sum(sample.failed_requests for sample in taken),
                advantage=None
                if ours is None or middle is None or server == OURS
                else advantage(ours, middle, measure.better),
            )
        )
    return found


def render_table(found: Sequence[Row], measure: Measure) -> str:
    """A Markdown table; the column of failed requests is there only if one failed."""
    failures = any(row.failed_requests for row in found)
    head = ["server", f"median ({measure.unit})", "range", "samples", "devserver is better by"]
    if failures:
        head.append("failed requests")
    lines = [_line(head), _line(["---", *["---:"] * (len(head) - 1)])]
    for row in found:
        overdue = f", {row.overdue} overdue" if row.overdue else ""
        cells = [
            row.server,
            _number(row.median, measure.digits),
            "–"
            if row.lowest is None
            else f"{_number(row.lowest, measure.digits)} … {_number(row.highest, measure.digits)}",
            f"{row.samples}{overdue}",
            "–" if row.advantage is None else f"{row.advantage:.2f} ×",
        ]
        if failures:
            cells.append(str(row.failed_requests))
        lines.append(_line(cells))
    return "\n".join(lines)


def render_page(samples: Sequence[Sample], measures: Sequence[Measure], surroundings: Surroundings) -> str:
    """The whole page. Measures without a sample are left out."""
    parts = [
        "# Benchmarks",
        INTRODUCTION,
        _facts([("date", surroundings.date), ("command", f"`{surroundings.command}`"), *surroundings.machine]),
        "Versions: " + ", ".join(f"{name} {version}" for name, version in surroundings.versions) + ".",
    ]
    for measure in measures:
        cases = dict.fromkeys(sample.case for sample in samples if sample.measure == measure.key)
        if not cases:
            continue
        parts += [f"## {measure.title}", measure.explanation]
        for case in cases:
            parts += [f"### {case}", render_table(rows(samples, measure, case), measure)]
    return "\n\n".join(parts) + "\n"


def _facts(pairs: Iterable[tuple[str, str]]) -> str:
    return "\n".join([_line(["", ""]), _line(["---", "---"]), *(_line(pair) for pair in pairs)])


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _number(value: float | None, digits: int) -> str:
    if value is None:
        return "overdue"
    return f"{value:,.{digits}f}".replace(",", " ")
