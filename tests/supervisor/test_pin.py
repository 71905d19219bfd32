"""The PIN of consoles: it opens, and it cannot be found by trying."""

from __future__ import annotations

import re

import pytest

from devserver.messages import PinJudged
from devserver.supervisor.pin import MAX_FAILURES, Pin


def wrong(pin: Pin) -> str:
    return "000-000-000" if pin.text != "000-000-000" else "000-000-001"


def test_as_people_read_it() -> None:
    assert re.fullmatch(r"\d{3}-\d{3}-\d{3}", Pin().text)
    assert len({Pin().text for _ in range(50)}) > 40


@pytest.mark.parametrize("group", ["-", "", " ", "–"])
def test_however_it_is_grouped(group: str) -> None:
    pin = Pin()
    assert pin.judge(f" {pin.text.replace('-', group)}\n") == PinJudged(pin.grant, MAX_FAILURES)


@pytest.mark.parametrize("tried", ["", "-", "1", "٣" * 9, "x" * 1000, "0" * 10])
def test_what_is_no_pin(tried: str) -> None:
    assert Pin().judge(tried) == PinJudged("", MAX_FAILURES - 1)


def test_wrong_ones_are_counted() -> None:
    pin = Pin()
    for left in reversed(range(MAX_FAILURES)):
        assert not pin.is_locked
        assert pin.judge(wrong(pin)) == PinJudged("", left)
    assert pin.is_locked
    assert pin.judge(pin.text) == PinJudged("", 0), "too late"


def test_a_right_one_forgives() -> None:
    pin = Pin()
    for _ in range(MAX_FAILURES - 1):
        pin.judge(wrong(pin))
    assert pin.judge(pin.text).grant
    assert pin.judge(wrong(pin)).left == MAX_FAILURES - 1
