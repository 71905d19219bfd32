"""The slot of a request: which error is reported, and who is told that it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from devserver.server.swallowed import Slot, current, is_reported, led_to, swallowed


@pytest.fixture
def slot() -> Iterator[Slot]:
    slot = Slot()
    token = current.set(slot)
    yield slot
    current.reset(token)


def following(first: Exception, *, cause: bool = False) -> Exception:
    later = KeyError("later")
    if cause:
        later.__cause__ = first
    else:
        later.__context__ = first
    return later


def test_without_a_request_nobody_reports() -> None:
    assert not swallowed(ValueError())
    assert not is_reported(ValueError())


def test_the_first_error_is_reported(slot: Slot) -> None:
    first, other = ValueError(), ValueError()
    assert swallowed(first, replace=False)
    assert not swallowed(other)
    assert (slot.error, slot.is_replaceable) == (first, False)
    assert is_reported(first)
    assert not is_reported(other)


@pytest.mark.parametrize("cause", [True, False])
def test_one_that_came_of_it_takes_its_place(*, slot: Slot, cause: bool) -> None:
    first = ValueError()
    later = following(first, cause=cause)
    assert swallowed(first, replace=False)
    assert swallowed(later)
    assert (slot.error, slot.is_replaceable) == (later, True)
    assert swallowed(first, replace=False), "it is part of the report"
    assert (slot.error, slot.is_replaceable) == (later, True)
    assert is_reported(first)


def test_a_closed_slot_takes_nothing(slot: Slot) -> None:
    first = ValueError()
    swallowed(first)
    slot.close()
    assert slot.error is None
    assert not swallowed(first)
    assert not is_reported(first)


def test_a_ring_of_errors_ends() -> None:
    one, two = ValueError(), KeyError()
    one.__context__, two.__context__ = two, one
    assert not led_to(RuntimeError(), one)
