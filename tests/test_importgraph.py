"""The import graph: edges through libraries, dependents, the way over the channel."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devserver.importgraph import ImportGraph
from devserver.messages import ImportsRecorded, decode, encode


def graph(**imports: str) -> ImportGraph:
    """Names in small letters are the user's, the others a library's; what each imports as one string."""
    paths = {name: f"/app/{name}.py" for name in "abcdefLMNxyz"}
    return ImportGraph.build(
        [paths[name] for name in imports if name.islower()],
        {paths[name]: [paths[target] for target in targets] for name, targets in imports.items()},
    )


def names(paths: frozenset[str]) -> str:
    return "".join(sorted(path[5:-3] for path in paths))


@pytest.mark.parametrize(
    ("imports", "edited", "dependents"),
    [
        ({"a": "b", "b": ""}, "b", "a"),
        ({"a": "b", "b": ""}, "a", ""),
        ({"a": "b", "b": "c", "c": "", "d": ""}, "c", "ab"),
        ({"a": "b", "b": "a", "c": "a"}, "a", "bc"),
        ({"a": "a"}, "a", ""),
        ({"a": "L", "L": "a"}, "a", ""),
        ({"a": "L", "L": "b", "b": ""}, "b", "a"),
        ({"a": "L", "L": "M", "M": "Lb", "b": ""}, "b", "a"),
        ({"a": "L", "L": "M", "M": "", "b": ""}, "b", ""),
        ({"a": "xyz", "b": "a"}, "a", "b"),
        ({"a": ""}, "nowhere", ""),
    ],
)
def test_dependents(imports: dict[str, str], edited: str, dependents: str) -> None:
    assert names(graph(**imports).dependents(f"/app/{edited}.py")) == dependents


@given(
    st.dictionaries(
        st.sampled_from("abcdefLMN"), st.text("abcdefLMN", max_size=4).map(lambda text: "".join(sorted(text)))
    )
)
def test_dependents_are_all_from_whom_a_way_leads(imports: dict[str, str]) -> None:
    reach = {name: set(imports[name]) for name in imports}
    for _ in imports:
        for name in imports:
            reach[name] |= {far for near in reach[name] for far in reach.get(near, ())}
    built = graph(**imports)
    for edited in filter(str.islower, imports):
        expected = "".join(
            sorted(name for name in imports if name.islower() and name != edited and edited in reach[name])
        )
        assert names(built.dependents(f"/app/{edited}.py")) == expected


def test_it_travels() -> None:
    message = ImportsRecorded(graph(a="bL", L="c", b="c", c=""))
    assert message.graph.imported == ((1, 2), (2,), ())
    assert decode(encode(message).rstrip()) == message
