"""The attribute that is the app: parsed, chosen, or proven wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devserver.errors import TargetError
from devserver.target.apps import Attribute, parse_attribute


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("app", Attribute("app")),
        (" app ", Attribute("app")),
        ("site.config.app", Attribute("site.config.app")),
        ("create_app()", Attribute("create_app", call=True)),
        ("site.create_app()", Attribute("site.create_app", call=True)),
        ("create_app('dev', debug=True)", Attribute("create_app", call=True, arguments="'dev', debug=True")),
        ('create_app({"a": [1, -2.5, None]})', Attribute("create_app", call=True, arguments="{'a': [1, -2.5, None]}")),
        ("create_app('a:b/c.py')", Attribute("create_app", call=True, arguments="'a:b/c.py'")),
    ],
)
def test_parse(text: str, expected: Attribute) -> None:
    assert parse_attribute(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a name in a module"),
        ("not a name", "is not a name in a module"),
        ("app = 1", "is not a name in a module"),
        ("1", "is neither a name nor a call"),
        ("a[0]", "is neither a name nor a call"),
        ("a()()", "is neither a name nor a call"),
        ("a().b", "is neither a name nor a call"),
        ("create_app(debug)", "are not literals"),
        ("create_app(open('x'))", "are not literals"),
        ("create_app(**{'a': 1})", "is not understood"),
        ("create_app(*[1])", "are not literals"),
        ("a\0", "is not a name in a module"),
    ],
)
def test_parse_refuses(text: str, message: str) -> None:
    with pytest.raises(TargetError, match=message) as caught:
        parse_attribute(text)
    assert caught.value.hint
    assert caught.value.exit_code == 2


def test_it_is_written_as_it_was_read() -> None:
    assert str(parse_attribute("create_app(1, debug = True)")) == "create_app(1, debug=True)"
    assert str(parse_attribute("a.b")) == "a.b"
    assert str(Attribute(call=True)) == ""


_literals = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.lists(_literals), st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True).map("x_{}".format), _literals))
def test_arguments_mean_what_was_written(positional: list[object], named: dict[str, object]) -> None:
    arguments = [*map(repr, positional), *(f"{name}={value!r}" for name, value in named.items())]
    attribute = parse_attribute(f"make({', '.join(arguments)})")
    got = eval(f"(lambda *a, **k: (a, k))({attribute.arguments})")
    assert got == (tuple(positional), named)
