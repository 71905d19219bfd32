"""The import graph: dependents, the way over the channel."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devserver.importgraph import ImportGraph, Run
from devserver.messages import ImportsRecorded, decode, encode


def graph(**imports: str) -> ImportGraph:
    """Names in small letters are the user's, the others a library's; what each imports as one string."""
    runs = {name: Run(f"/app/{name}.py" if name.islower() else "", "", 1.5) for name in imports}
    return ImportGraph.build(runs, imports)


def dependents(built: ImportGraph, *edited: str) -> str:
    modules = [number for name in edited for number in built.numbers_of(f"/app/{name}.py")]
    return "".join(sorted(built.names[number] for number in built.dependents(modules)))


@pytest.mark.parametrize(
    ("imports", "edited", "expected"),
    [
        ({"a": "b", "b": ""}, "b", "ab"),
        ({"a": "b", "b": ""}, "a", "a"),
        ({"a": "b", "b": "c", "c": "", "d": ""}, "c", "abc"),
        ({"a": "b", "b": "a", "c": "a"}, "a", "abc"),
        ({"a": "a"}, "a", "a"),
        ({"a": "L", "L": "a"}, "a", "La"),
        ({"a": "L", "L": "b", "b": ""}, "b", "Lab"),
        ({"a": "L", "L": "M", "M": "Lb", "b": "", "N": ""}, "b", "LMab"),
        ({"a": "L", "L": "M", "M": "", "b": ""}, "b", "b"),
        ({"a": "xyz", "b": "a"}, "a", "ab"),
        ({"a": "c", "b": "d", "c": "", "d": "", "e": ""}, "cd", "abcd"),
        ({"a": ""}, "n", ""),
    ],
)
def test_dependents(imports: dict[str, str], edited: str, expected: str) -> None:
    assert dependents(graph(**imports), *edited) == expected


def test_a_file_that_is_two_modules() -> None:
    runs = {"p.a": Run("/app/a.py", "", 1), "a": Run("/app/a.py", "", 1), "b": Run("/app/b.py", "", 1)}
    built = ImportGraph.build(runs, {"b": ["a", "nothing"]})
    assert built.numbers_of("/app/a.py") == (0, 1)
    assert built.imported == ((), (), (1,))


@given(
    st.dictionaries(
        st.sampled_from("abcdefLMN"), st.text("abcdefLMN", max_size=4).map(lambda text: "".join(sorted(text)))
    )
)
def test_dependents_are_all_from_whom_a_way_leads(imports: dict[str, str]) -> None:
    reach = {name: {*imports[name], name} for name in imports}
    for _ in imports:
        for name in imports:
            reach[name] |= {far for near in reach[name] for far in reach.get(near, ())}
    built = graph(**imports)
    for edited in filter(str.islower, imports):
        expected = "".join(sorted(name for name in imports if edited in reach[name]))
        assert dependents(built, edited) == expected


def test_it_travels() -> None:
    runs = {"a": Run("/app/a.py", "first", 0.25), "L": Run("", None, 1)}
    message = ImportsRecorded(ImportGraph.build(runs, {"a": ["L"]}))
    assert message.graph.imported == ((1,), ())
    assert decode(encode(message).rstrip()) == message


def test_the_structure_is_that_of_the_users_modules() -> None:
    runs = {
        "app": Run("/app/app.py", "", 1.0),
        "json": Run("", "", 2.0),
        "views": Run("/app/views.py", "serving", 3.0),
    }
    graph = ImportGraph.build(runs, {"app": ["json", "views"]})
    assert graph.structure() == (
        ("app", "/app/app.py", "", frozenset({"views"})),
        ("views", "/app/views.py", "serving", frozenset()),
    )
    slower = {name: run._replace(ms=9.0) for name, run in runs.items() if name != "json"}
    assert ImportGraph.build(slower, {"app": ["views"]}).structure() == graph.structure()
    other = ImportGraph.build(dict(reversed(runs.items())), {"app": ["json", "views"]})
    assert other.structure() != graph.structure()
