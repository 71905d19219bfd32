"""What may be imported before edited files: the modules that do not depend on them, in their original order.

Runs in the supervisor. Pure. Rules that hold: nothing is hoisted that an edge leads from to an edited file, directly or through
others; nothing leaves the phase of the load in which it ran; the order among those that are hoisted is the one in which they
began. Several files: the checkpoints stand behind each other, the one for the file that was saved last is the last, so a save of an
older one runs what depends on it or on a newer one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from devserver.importgraph import ImportGraph
from devserver.messages import HoistLevel
from devserver.signatures import module_path

MAX_FILES = 3
"""So many edited files get a checkpoint with all that does not depend on them."""
MIN_GAIN_MS = 30.0
"""What a level spares has to be worth a process."""


def hoist_levels(
    graph: ImportGraph, edited: Sequence[str], struck: Collection[str] = (), *, min_gain_ms: float = MIN_GAIN_MS
) -> tuple[HoistLevel, ...]:
    """The levels for these files, the one for the file that was saved last (the first of `edited`) at the end; empty if hoisting
    gains nothing. `struck`: modules that cannot be hoisted."""
    files = _same_phase(graph, edited)[:MAX_FILES]
    if not files:
        return ()
    phase = graph.phases[graph.numbers_of(files[0])[0]]
    assert phase is not None
    numbers = {name: number for number, name in enumerate(graph.names)}
    left_out = graph.dependents([numbers[name] for name in struck if name in numbers])
    levels: list[HoistLevel] = []
    hoisted: set[int] = set()
    for count in range(len(files), 0, -1):
        its = [number for file in files[:count] for number in graph.numbers_of(file)]
        held = graph.dependents(its)
        new = [
            number
            for number, its_phase in enumerate(graph.phases)
            if its_phase == phase and number not in held and number not in left_out and number not in hoisted
        ]
        # What began before the first of the files runs before it anyway.
        if sum(graph.took_ms[number] for number in new if number > min(its)) < min_gain_ms:
            continue
        hoisted.update(new)
        before = dict.fromkeys(module_path(graph.sources[number]) for number in sorted(held) if graph.sources[number])
        levels.append(HoistLevel(phase, tuple(before), tuple(graph.names[number] for number in new)))
    return tuple(levels)


def _same_phase(graph: ImportGraph, edited: Iterable[str]) -> list[str]:
    """Those of `edited` that ran in the phase of the first that ran at all."""
    phases = {file: [graph.phases[number] for number in graph.numbers_of(file)] for file in edited}
    wanted = next((found[0] for found in phases.values() if found), None)
    return [file for file, found in phases.items() if found and wanted is not None and set(found) == {wanted}]
