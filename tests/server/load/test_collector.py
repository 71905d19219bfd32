"""The collector comes seldom during a load and as ever afterwards; what was frozen is seen by those who ask."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from devserver.server.load.collector import begin_load, collect_new, end_load, show_frozen_objects


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """All as it was afterwards."""
    originals, thresholds = (gc.get_objects, gc.get_referrers), gc.get_threshold()
    yield
    gc.get_objects, gc.get_referrers = originals
    gc.set_threshold(*thresholds)
    gc.unfreeze()


@pytest.fixture
def frozen() -> list[object]:
    """An object that is frozen, and referred to by one that is frozen."""
    held: list[object] = [{"name": "frozen"}]
    gc.freeze()
    show_frozen_objects()
    return held


def test_frozen_objects_are_listed(frozen: list[object]) -> None:
    assert any(known is frozen for known in gc.get_objects())


def test_frozen_referrers_are_found_and_no_others(frozen: list[object]) -> None:
    found = gc.get_referrers(frozen[0])
    assert len(found) == 1
    assert found[0] is frozen


def test_arguments_and_errors_are_those_of_the_collector(frozen: list[object]) -> None:
    assert not any(known is frozen for known in gc.get_objects(generation=0))
    with pytest.raises(ValueError, match="generation"):
        gc.get_objects(generation=7)


def test_to_ask_for_it_twice_changes_nothing(frozen: list[object]) -> None:
    asking = gc.get_objects
    show_frozen_objects()
    assert gc.get_objects is asking


def collections() -> int:
    return sum(generation["collections"] for generation in gc.get_stats())


def test_a_load_is_seldom_searched_for_garbage() -> None:
    begin_load()
    gc.collect()
    before = collections()
    made = [[number] for number in range(9_000)]
    assert collections() == before
    made += [[number] for number in range(9_000)]
    assert collections() == before + 1
    end_load()
    made += [[number] for number in range(9_000)]
    assert collections() > before + 5


def test_garbage_is_not_frozen() -> None:
    class Base:
        pass

    begin_load()
    dataclass(slots=True)(type("Child", (Base,), {}))  # which makes the class anew
    assert len(Base.__subclasses__()) > 0
    collect_new()
    gc.freeze()
    assert Base.__subclasses__() == []


@pytest.mark.parametrize("stop", [gc.disable, lambda: gc.set_threshold(0)])
def test_who_wants_no_collections_gets_none(stop: Callable[[], None]) -> None:
    begin_load()
    stop()
    before = collections()
    try:
        collect_new()
    finally:
        gc.enable()
    assert collections() == before


@pytest.mark.parametrize("thresholds", [(700, 10, 10), (2_000, 20, 100)])
def test_afterwards_it_comes_as_often_as_before(thresholds: tuple[int, int, int]) -> None:
    gc.set_threshold(*thresholds)
    begin_load()
    begin_load()  # by a server that continues in a process that loads
    assert gc.get_threshold()[0] > thresholds[0]
    end_load()
    assert gc.get_threshold() == thresholds


def test_one_that_comes_even_more_seldom_is_left_alone() -> None:
    gc.set_threshold(50_000, 20, 100)
    begin_load()
    assert gc.get_threshold() == (50_000, 20, 100)
    end_load()
    assert gc.get_threshold() == (50_000, 20, 100)


@pytest.mark.parametrize("thresholds", [(700, 10, 10), (0, 10, 10), (50_000, 20, 100)])
def test_what_the_users_code_sets_stays(thresholds: tuple[int, int, int]) -> None:
    begin_load()
    gc.set_threshold(*thresholds)
    end_load()
    assert gc.get_threshold() == thresholds


def test_a_collector_that_never_comes_is_left_alone() -> None:
    gc.set_threshold(0)
    begin_load()
    assert gc.get_threshold()[0] == 0
    end_load()
    assert gc.get_threshold()[0] == 0


def test_older_generations_that_the_users_code_sets_stay() -> None:
    gc.set_threshold(700, 10, 10)
    begin_load()
    gc.set_threshold(gc.get_threshold()[0], 30, 40)
    end_load()
    assert gc.get_threshold() == (700, 30, 40)
