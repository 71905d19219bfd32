"""What was frozen is seen by those who ask."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from devserver.server.load.collector import show_frozen_objects


@pytest.fixture
def frozen() -> Iterator[list[object]]:
    """An object that is frozen, and referred to by one that is frozen."""
    originals = gc.get_objects, gc.get_referrers
    held: list[object] = [{"name": "frozen"}]
    gc.freeze()
    show_frozen_objects()
    yield held
    gc.get_objects, gc.get_referrers = originals
    gc.unfreeze()


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
