"""Variables of frames: which are shown, and that no repr holds anything up."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest

from devserver.report import Local
from devserver.server.web.variables import MAX_STUCK, TOO_SLOW, Variable, patiently, texts, variables

LONG_S = 30.0


class Blocking:
    """A repr that waits for a lock, as a query would."""

    def __init__(self, gate: threading.Event) -> None:
        self.gate = gate

    def __repr__(self) -> str:
        self.gate.wait()
        return "late"


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()
    for thread in threading.enumerate():
        if thread.name == "devserver-reprs":
            thread.join(LONG_S)


def test_in_order() -> None:
    wanted = [Variable("a", 1), Variable("password", "hunter2"), Variable("b", [2])]
    assert list(texts(wanted)) == [Local("a", "1"), Local("password", "‹hidden›"), Local("b", "[2]")]
    assert list(texts([])) == []


def test_who_blocks_is_left_behind(gate: threading.Event) -> None:
    wanted = [Variable("a", 1), Variable("first", Blocking(gate)), Variable("b", 2), Variable("second", Blocking(gate))]
    made = list(texts(wanted, deadline_s=LONG_S))
    assert made == [Local("a", "1"), Local("first", TOO_SLOW), Local("b", "2"), Local("second", TOO_SLOW)]


def test_all_block(gate: threading.Event) -> None:
    made = list(texts([Variable(str(number), Blocking(gate)) for number in range(1_000)], deadline_s=0.2))
    assert len(made) == 1_000
    assert made[0] == Local("0", TOO_SLOW)
    assert made[-1] is None


def test_what_comes_late_is_not_put_in(gate: threading.Event) -> None:
    wanted = [Variable("slow", Blocking(gate)), *(Variable(str(number), number) for number in range(100))]
    made = list(texts(wanted, deadline_s=LONG_S))
    gate.set()
    assert made[0] == Local("slow", TOO_SLOW)
    assert made[1:] == [Local(str(number), str(number)) for number in range(100)]


def test_no_time_at_all() -> None:
    made = list(texts([Variable("a", 1)], deadline_s=0.0))
    assert made in ([Local("a", "1")], [Local("a", TOO_SLOW)], [None])


def test_room_is_limited() -> None:
    made = list(texts([Variable(str(number), "x" * 90) for number in range(100)], characters=1_000))
    assert sum(one is not None for one in made) in range(10, 12)
    assert None in made
    assert made[made.index(None) :] == [None] * (100 - made.index(None))


def test_an_exit_in_a_repr() -> None:
    class Leaving:
        def __repr__(self) -> str:
            raise KeyboardInterrupt

    assert list(texts([Variable("a", Leaving()), Variable("b", 1)])) == [
        Local("a", "‹its repr raised KeyboardInterrupt›"),
        Local("b", "1"),
    ]


def test_the_data_of_a_module() -> None:
    code = compile("", "x.py", "exec")
    assert code.co_name == "<module>"
    names = {"__name__": "x", "sys": sys, "f": lambda: None, "C": Blocking, "number": 1}
    assert variables(names, code) == [Variable("number", 1)]


def test_all_of_a_function_but_its_dunders() -> None:
    code = (lambda: None).__code__
    assert variables({"__class__": 1, "sys": sys, "x": 1}, code) == [Variable("sys", sys), Variable("x", 1)]


def test_patience(gate: threading.Event) -> None:
    assert patiently(lambda: "found", "too slow") == "found"
    assert patiently(lambda: str(gate.wait()), "too slow", 0.05) == "too slow"


def test_threads_that_do_not_come_back_are_not_added_to(gate: threading.Event) -> None:
    for _ in range(MAX_STUCK):
        patiently(lambda: str(gate.wait()), "too slow", 0.001)
    assert patiently(lambda: "found", "none left") == "none left"
    assert list(texts([Variable("a", 1)])) == [None]
    gate.set()
    for thread in threading.enumerate():
        if thread.name == "devserver-reprs":
            thread.join(LONG_S)
    assert patiently(lambda: "found", "none left") == "found"
