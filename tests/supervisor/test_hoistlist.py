"""What may be imported before edited files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devserver.importgraph import ImportGraph, Run
from devserver.messages import HoistLevel
from devserver.supervisor import hoistlist
from devserver.supervisor.hoistlist import MIN_GAIN_MS, hoist_levels


def graph(imports: str, *, phases: str = "", ms: float = MIN_GAIN_MS) -> ImportGraph:
    """`"a:bL b L:"`: in the order in which they began; small letters are the user's. `phases`: a letter for each, `-` for None."""
    runs, found = {}, {}
    for number, word in enumerate(imports.split()):
        name, _, targets = word.partition(":")
        phase = phases[number] if phases else ""
        runs[name] = Run(f"/app/{name}.py" if name.islower() else "", None if phase == "-" else phase, ms)
        found[name] = list(targets)
    return ImportGraph.build(runs, found)


def levels(built: ImportGraph, edited: str, struck: str = "") -> list[str]:
    """`phase before>modules` of each."""
    found = hoist_levels(built, [f"/app/{name}.py" for name in edited], struck)
    return [
        f"{level.phase}{'|' if level.phase else ''}{''.join(path.removeprefix('/app/') for path in level.before)}"
        f">{''.join(level.modules)}"
        for level in found
    ]


@pytest.mark.parametrize(
    ("imports", "edited", "expected"),
    [
        pytest.param(
            "u:abL a b:M M L", "a", ["ua>bML"], id="what does not depend on it, libraries too, in their order"
        ),
        pytest.param("u:ab a b:a L", "a", ["uab>L"], id="nor what depends on it"),
        pytest.param("u:La L:b b a:b", "b", [], id="a library that leads to it"),
        pytest.param("a b:L L", "a", ["a>bL"], id="the first"),
        pytest.param("b L a", "a", [], id="the last: all else runs before it anyway"),
        pytest.param("u:abc a b c", "cb", [], id="what has run before it is no gain"),
        pytest.param("a b", "x", [], id="one that did not run"),
        pytest.param("u:abc a b c", "ab", ["uab>c", "ua>b"], id="the file saved last comes last"),
        pytest.param("u:abc a b:a c", "ab", ["uab>c"], id="a level that spares nothing more"),
        pytest.param("u:abcd a b:L L c d", "da", ["uad>bLc"], id="the last of the load has no level of its own"),
    ],
)
def test_levels(imports: str, edited: str, expected: list[str]) -> None:
    assert levels(graph(imports), edited) == expected


def test_nothing_leaves_its_phase() -> None:
    built = graph("s m:L L v:M w:X M X q", phases="smmvvvv-")
    assert levels(built, "v") == ["v|v>wMX"]
    assert levels(built, "m") == ["m|m>L"]
    assert levels(built, "vm") == ["v|v>wMX"], "files of other phases have no level"


def test_what_cannot_be_hoisted_is_left_out_with_what_needs_it() -> None:
    built = graph("u:abcd a b:L L c:b d")
    assert levels(built, "a", "L") == ["ua>d"]
    assert levels(built, "a", "d") == ["ua>bLc"]
    assert levels(built, "a", "Z") == ["ua>bLcd"]


def test_what_is_not_worth_a_process() -> None:
    few = graph("u:ab a b c", ms=MIN_GAIN_MS / 2 - 1)
    assert levels(few, "a") == []
    assert levels(graph("u:ab a b c", ms=MIN_GAIN_MS / 2), "a") == ["ua>bc"]
    built = graph("u:abc a b c d", ms=MIN_GAIN_MS / 2)
    assert levels(built, "ab") == ["uab>cd"], "what the second file adds is too little for a level"


def test_so_many_files() -> None:
    names = "abcdefg"[: hoistlist.MAX_FILES + 2]
    built = graph(" ".join([f"u:{names}z", *names, "z"]))
    found = hoist_levels(built, [f"/app/{name}.py" for name in names])
    assert len(found) == hoistlist.MAX_FILES
    assert "/app/a" in found[-1].before


IMPORTS = st.dictionaries(st.sampled_from("abcdeLMN"), st.text("abcdeLMN", max_size=3), min_size=1)


@given(IMPORTS, st.lists(st.sampled_from("abcde"), unique=True), st.text("abLM", max_size=2))
def test_what_holds_for_every_graph(imports: dict[str, str], edited: list[str], struck: str) -> None:
    built = graph(" ".join(f"{name}:{targets}" for name, targets in imports.items()))
    reach = {name: {*targets, name} & set(imports) for name, targets in imports.items()}
    for _ in imports:
        for name in imports:
            reach[name] |= {far for near in reach[name] for far in reach[near]}
    found = hoist_levels(built, [f"/app/{name}.py" for name in edited], struck)
    hoisted: list[str] = []
    for level in found:
        assert isinstance(level, HoistLevel)
        held = {path.removeprefix("/app/") for path in level.before}
        assert list(level.modules) == [name for name in imports if name in level.modules], "their own order"
        assert not set(hoisted) & set(level.modules), "nothing twice"
        hoisted += level.modules
        for name in level.modules:
            assert not reach[name] & held, "nothing that leads to what is held back"
            assert not reach[name] & set(struck)
    if found:
        newest = next(name for name in edited if name in imports)
        assert f"/app/{newest}" in found[-1].before
        assert newest not in hoisted
