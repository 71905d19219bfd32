"""A record is what a frozen dataclass would be."""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Callable
from typing import Any

import pytest

from devserver.record import Record, as_dict, replace
from devserver.supervisor import commands, events


class Point(Record):
    x: int
    y: int = 2


class Size(Record):
    x: int
    y: int = 2


class Empty(Record):
    pass


@dataclasses.dataclass(frozen=True)
class Twin:
    x: int
    y: int = 2


CALLS: list[Callable[[Any], object]] = [
    lambda cls: cls(1),
    lambda cls: cls(1, 3),
    lambda cls: cls(x=1),
    lambda cls: cls(1, y=3),
    lambda cls: cls(y=3, x=1),
    lambda cls: cls(),
    lambda cls: cls(y=1),
    lambda cls: cls(1, 2, 3),
    lambda cls: cls(1, x=1),
    lambda cls: cls(1, z=1),
]


@pytest.mark.parametrize("call", CALLS)
def test_it_is_made_and_told_like_a_dataclass(call: Callable[[Any], object]) -> None:
    def outcome(cls: type) -> object:
        try:
            return re.sub(r"^\w+", "", repr(call(cls)))
        except TypeError:
            return TypeError

    assert outcome(Point) == outcome(Twin)


def test_equal_are_records_of_one_class_with_equal_values() -> None:
    assert Point(1) == Point(1, 2)
    assert hash(Point(1)) == hash(Point(1, 2))
    assert Point(1) != Point(2)
    assert Point(1) != Size(1)
    assert Point(1) != (1, 2)
    assert Empty() == Empty()
    assert events.RootStarted() != commands.SpawnRoot()


def test_it_is_true_and_matches_by_place() -> None:
    assert bool(Empty())
    match Point(1, 5):
        case Point(1, y):
            assert y == 5
        case _:
            pytest.fail("no match")


def test_it_is_never_changed() -> None:
    point = Point(1)
    with pytest.raises(AttributeError):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(AttributeError):
        del point.y
    assert point == Point(1, 2)


class Line(Record):
    ends: tuple[Point, ...]
    label: str = ""
    measure: Callable[[int], int] = abs


def test_another_one_differs_in_what_is_named() -> None:
    assert replace(Point(1, 5), x=3) == Point(3, 5)
    with pytest.raises(TypeError):
        replace(Point(1), z=1)


def test_a_function_is_a_value_like_any_other() -> None:
    class Step(Record):
        take: Callable[[int], int] = lambda number: number + 1

    assert Step().take(1) == 2
    assert Step(abs).take(-1) == 1


def test_as_a_dict_with_the_records_below_it() -> None:
    line = Line((Point(1), Point(2, 3)), "a")
    assert as_dict(line) == {"ends": [{"x": 1, "y": 2}, {"x": 2, "y": 3}], "label": "a", "measure": abs}


def test_annotations_are_those_of_its_values() -> None:
    assert list(typing.get_type_hints(Line)) == ["ends", "label", "measure"]
