"""Values as short, safe texts."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devserver.server.web.reprs import HIDDEN, MAX_REPR, is_secret, named_repr, safe_repr, shortened, without_secrets


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "DB_PASSWORD",
        "userPassword",
        "secret",
        "SECRET_KEY",
        "client-secret",
        "token",
        "csrf_token",
        "accessToken",
        "api_key",
        "X-Api-Key",
        "apikey",
        "HTTP_AUTHORIZATION",
        "Authorization",
        "cookie",
        "Set-Cookie",
        "session",
        "sessionid",
        "AWS_SECRET_ACCESS_KEY",
        "private_key",
        b"proxy-authorization",
        "dsn",
    ],
)
def test_secret_names(name: str | bytes) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name", ["key", "author", "tokenize", "passenger", "api", "compass", "secretary", "", 5, None, "x" * 200]
)
def test_other_names(name: object) -> None:
    assert not is_secret(name)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("password", "hunter2", HIDDEN),
        ("password", None, "None"),
        ("password", "", "''"),
        ("has_password", True, "True"),
        ("token", 12345, HIDDEN),
        ("tokens", ["a"], HIDDEN),
        ("make_token", len, "<built-in function len>"),
        ("user", "ann", "'ann'"),
        ("config", {"db": {"PASSWORD": "x", "name": "y"}}, "{'db': {'PASSWORD': ‹hidden›, 'name': 'y'}}"),
        ("environ", {"HTTP_COOKIE": "a=b", "PATH": "/"}, "{'HTTP_COOKIE': ‹hidden›, 'PATH': '/'}"),
        ("headers", [(b"cookie", b"a=b"), (b"host", b"x")], "[(b'cookie', ‹hidden›), (b'host', b'x')]"),
    ],
)
def test_secrets_are_hidden_where_there_is_something_to_hide(name: str, value: object, text: str) -> None:
    assert named_repr(name, value) == text


class Raises:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class Exits:
    def __repr__(self) -> str:
        raise SystemExit(3)


class Endless:
    def __repr__(self) -> str:
        return repr(self)


class Megabytes:
    def __repr__(self) -> str:
        return "m" * 5_000_000


class NotText:
    def __repr__(self) -> str:
        return 3  # type: ignore[return-value]


class FakeDict(dict[str, str]):
    def items(self) -> None:  # type: ignore[override]
        raise AssertionError("a subclass's methods must not be used")


def test_reprs_that_do_harm() -> None:
    assert safe_repr(Raises()) == "<Raises: its repr raised RuntimeError>"
    assert safe_repr([Exits()]) == "[<Exits: its repr raised SystemExit>]"
    assert safe_repr(Endless()) == "<Endless: its repr raised RecursionError>"
    assert len(safe_repr(Megabytes())) <= MAX_REPR
    assert safe_repr(NotText()) == "<NotText: its repr raised TypeError>"
    assert safe_repr(FakeDict(a="b")) == "{'a': 'b'}"


def test_a_person_may_still_interrupt() -> None:
    class Interrupted:
        def __repr__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        safe_repr(Interrupted())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([], "[]"),
        ((), "()"),
        ((1,), "(1,)"),
        (set(), "set()"),
        ({1}, "{1}"),
        (frozenset(), "frozenset()"),
        (frozenset({1}), "frozenset({1})"),
        ({}, "{}"),
        ([[[[[1]]]]], "[[[[…]]]]"),
        (list(range(1_000_000)), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, …]"),
        (b"\x00", "b'\\x00'"),
    ],
)
def test_containers(value: object, text: str) -> None:
    assert safe_repr(value) == text


def test_an_integer_that_python_refuses_to_write() -> None:
    assert safe_repr([10**5000]) == "[<int of 16610 bits>]"


def test_a_container_that_holds_itself() -> None:
    loop: list[object] = []
    loop.append(loop)
    assert safe_repr(loop) == "[[[[…]]]]"


def test_long_strings_are_measured_not_shown() -> None:
    text = safe_repr("a" * 1_000_000)
    assert text.endswith("… (1000000 characters)")
    assert len(text) < MAX_REPR
    assert safe_repr(b"a" * 1000).endswith("… (1000 bytes)")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)


@given(VALUES)
def test_every_repr_is_short(value: object) -> None:
    assert len(safe_repr(value)) <= MAX_REPR


def test_a_hidden_secret_makes_no_repr_longer() -> None:
    texts = [safe_repr(["x" * 290, "y" * count, ", token='a'"]) for count in range(200, 300)]
    assert any(HIDDEN in text for text in texts)
    assert max(map(len, texts)) <= MAX_REPR


NAMES = st.text(max_size=5).filter(lambda name: not is_secret(name))


@given(st.dictionaries(NAMES, st.lists(st.integers(), max_size=3), max_size=5))
def test_small_data_is_shown_as_python_does(value: object) -> None:
    assert safe_repr(value) == repr(value)


@given(st.text(), st.integers(10, 50))
def test_shortened(text: str, limit: int) -> None:
    short = shortened(text, limit)
    assert len(short) <= limit
    assert short == text or re.fullmatch(f"{re.escape(short.partition('…')[0])}.*", text, re.DOTALL) is not None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("User(name='ann', password='hunter2')", "User(name='ann', password=‹hidden›)"),
        ('{"api_key": "a b", "page": "2"}', '{"api_key": ‹hidden›, "page": "2"}'),
        (
            "[('authorization', 'Bearer abc'), ('accept', 'text/html')]",
            "[('authorization', ‹hidden›), ('accept', 'text/html')]",
        ),
        ("Headers({'cookie': 'sid=abc; a=b'})", "Headers({'cookie': ‹hidden›})"),
        ("<Request Bearer abc.def-1>", "<Request Bearer ‹hidden›"),
        ("'postgres://shop:hunter2@db/shop'", "'postgres://shop:‹hidden›@db/shop'"),
        ("'http://localhost:8000/x'", "'http://localhost:8000/x'"),
        ("tokenize='x', author='y', key='z'", "tokenize='x', author='y', key='z'"),
        ("secret=b'abc'", "secret=‹hidden›"),
        ("password='cut off", "password=‹hidden›"),
    ],
)
def test_what_looks_like_a_secret_in_a_text_of_others(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


def test_an_object_that_shows_its_secrets() -> None:
    class User:
        def __repr__(self) -> str:
            return "User(name='ann', password='hunter2')"

    assert safe_repr(User()) == "User(name='ann', password=‹hidden›)"
    assert safe_repr({"dsn_of": [User()]}) == "{'dsn_of': ‹hidden›}" or "hunter2" not in safe_repr([User()])


@pytest.mark.parametrize("name", ["auth", "sid", "SID", "PHPSESSID", "otp"])
def test_names_that_are_secret_as_a_whole(name: str) -> None:
    assert is_secret(name)
    assert not is_secret(f"{name}_user_model")
