"""Advice on mistakes in the language: each is made for real."""

from __future__ import annotations

import datetime
import json
import os
import re
import string
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.hints.raised import text_on

nothing: Any = None
text: Any = "a"
number: Any = 1
prices: Any = []


class Shop:
    def without_self() -> None:  # type: ignore[misc]
        pass

    def price(self) -> None:
        pass


def total(price: int, count: int) -> int:
    return price * count


shop: Any = Shop()
call_total: Any = total
call_price: Any = Shop.price
call_incomplete: Any = lambda **options: call_total()  # noqa: E731


def compiled(source: str) -> Callable[[], object]:
    return lambda: compile(source, "app.py", "exec")


# --- what cannot be compiled ---


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("if a = 1:\n    pass", "write == here"),
        ("f() = 1", "write == to compare"),
        ("f(a b)", "put a comma"),
        ("print(“a”)", "typographic quote"),
        ("a = 2 – 1", "type - (minus)"),
        ("a\u00a0= 1", "no-break space"),
        ("a = 1\u20ac", "euro sign"),
        ("print 'a'", "in Python 3 print is a function"),
        ("try:\n    pass\nexcept A, e:\n    pass", "`except A as e:`"),
        ("await x", "move the line into an async function"),
        ("def f():\n    await x", "`await` works only within `async def`"),
        ("def f():\n    async with x: pass", "`async with` works only"),
        ("def f():\n    return [i async for i in x]", "`async for` works only"),
        ("return 1", "`return` works only within a function"),
        ("<<<<<<< HEAD\na = 1\n=======\na = 2\n>>>>>>> b", "A merge of git"),
        ("def f():\n<<<<<<< HEAD\n    pass", "A merge of git"),
        ("a = 2\n=======\na = 3", "A merge of git"),
        ("a = 2\n>>>>>>> b", "A merge of git"),
    ],
)
def test_source(source: str, part: str) -> None:
    assert part in text_on(compiled(source))


@pytest.mark.parametrize("source", ["class = 1", "a = b +", "a = 1 ==== 2"])
def test_source_without_advice(source: str) -> None:
    assert text_on(compiled(source)) == ""


# --- names ---


def test_local_before_assignment() -> None:
    def fails() -> None:
        print(shop)  # type: ignore[used-before-def]  # noqa: F823
        shop = 1  # noqa: F841

    assert "begin the function with `global shop`" in text_on(fails)


# --- None ---


@pytest.mark.parametrize(
    ("fails", "part"),
    [
        (lambda: nothing.name, "nothing is None here"),
        (lambda: re.match("a", "b").group(1), "the pattern did not match"),  # type: ignore[union-attr]
        (lambda: nothing[0], "A function without `return` gives None"),
        (lambda: list(nothing), "A function without `return`"),
        (lambda: len(nothing), "A function without `return`"),
        (lambda: 1 in nothing, "A function without `return`"),
        (lambda: nothing(), "the name before the parentheses"),
        (lambda: text + nothing, "One of the two is None"),
        (lambda: nothing + 1, "One of the two is None"),
    ],
)
def test_none(fails: Callable[[], object], part: str) -> None:
    assert part in text_on(fails)


def test_none_in_a_library_is_left_alone() -> None:
    assert text_on(lambda: os.path.join(nothing, "a")) == ""


# --- calls ---


def test_shadowed_builtin() -> None:
    str: Any = "a"  # noqa: A001
    assert "The name str was given to another value" in text_on(lambda: str(1))


def test_called_module() -> None:
    assert "from json import json" in text_on(lambda: json())  # type: ignore[operator]


def test_called_value() -> None:
    assert "remove the parentheses" in text_on(lambda: text())


@pytest.mark.parametrize(
    ("fails", "part"),
    [
        (lambda: shop.without_self(), "`def without_self(self):`"),
        (lambda: shop.price(1), "begins with self"),
        (lambda: shop.price(1, 2), "price takes 1 argument, 3 are given"),
        (lambda: call_price(), "make an instance first"),
        (lambda: call_total(1), "Give total also 'count'"),
        (lambda: call_total(), "Give total also 'price' and 'count'"),
        (lambda: call_total(1, 2, 3), "total takes 2 arguments, 3 are given"),
        (lambda: call_total(1, 2, cuont=3), "total has no parameter cuont"),
    ],
)
def test_arguments(fails: Callable[[], object], part: str) -> None:
    assert part in text_on(fails)


def test_arguments_in_a_library_are_left_alone() -> None:
    assert text_on(lambda: json.dumps({}, cls=call_incomplete)) != ""  # called by the user's lambda
    assert text_on(lambda: json.dumps({}, cls=call_total)) == ""


# --- types ---


@pytest.mark.parametrize(
    ("fails", "part"),
    [
        (lambda: text + number, "Text and a number"),
        (lambda: number + text, "Text and a number"),
        (lambda: Path("a") + text, "joined by /"),
        (lambda: text + b"a", ".decode()"),
        (lambda: text < number, "int(…)"),
        (lambda: sorted([text, number]), "int(…)"),
    ],
)
def test_mixed_types(fails: Callable[[], object], part: str) -> None:
    assert part in text_on(fails)


@pytest.mark.parametrize("fails", [lambda: text - text, lambda: prices + text, lambda: shop < number])
def test_other_mixtures(fails: Callable[[], object]) -> None:
    assert text_on(fails) == ""


def test_mixed_times() -> None:
    moment = datetime.datetime(2026, 1, 1)
    assert "has no time zone" in text_on(lambda: moment < datetime.datetime.now(datetime.UTC))


def test_datetime_the_module_and_the_class() -> None:
    assert "`datetime.datetime.now`" in text_on(lambda: datetime.now())  # type: ignore[attr-defined]
    assert "from datetime import timedelta" in text_on(lambda: datetime.datetime.timedelta)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("value", "part"),
    [
        (datetime.datetime(2026, 1, 1), ".isoformat()"),
        (Decimal(1), "str(…)"),
        ({1}, "list(…)"),
        (b"a", ".decode()"),
        (shop, "JSON has no Shop: make a dict"),
    ],
)
def test_not_a_json_value(value: object, part: str) -> None:
    assert part in text_on(lambda: json.dumps(value))


# --- containers ---


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOP_KEY", raising=False)
    assert "put SHOP_KEY=… into .env" in text_on(lambda: os.environ["SHOP_KEY"])


def test_missing_key() -> None:
    assert "There is no key 'name'" in text_on(lambda: {"nam": 1}["name"])
    assert text_on(lambda: {2: 1}[1]) == ""


def test_a_key_that_a_library_misses_is_left_alone() -> None:
    assert text_on(lambda: string.Template("$a").substitute({})) == ""


@pytest.mark.parametrize(
    ("fails", "part"),
    [
        (lambda: prices[0], "The list has fewer items"),
        (lambda: tuple(prices)[0], "The tuple has fewer items"),  # noqa: RUF015
        (lambda: "".join(prices)[0], "The string has fewer items"),
        (lambda: prices.pop(), "Nothing is left"),
    ],
)
def test_index(fails: Callable[[], object], part: str) -> None:
    assert part in text_on(fails)


def test_changed_while_iterated() -> None:
    def dictionary() -> None:
        prices = {1: 1}
        for price in prices:
            prices[price + 1] = 1

    def numbers() -> None:
        prices = {1}
        for price in prices:
            prices.add(price + 1)

    assert "changes the dictionary" in text_on(dictionary)
    assert "changes the set" in text_on(numbers)
