"""The same error again and again: what is shown, what is counted, when it is told."""

from __future__ import annotations

import pytest

from devserver.server.repeats import LONGEST_PAUSE_S, NEWS_AGAIN_S, Repeats

Come = tuple[float, str]  # when, which


def play(comes: list[Come], until: float) -> list[str]:
    """What a terminal shows: `1.5 a` for an error that is shown, its line for a count."""
    repeats = Repeats()
    shown: list[str] = []

    def tell(by: float) -> None:
        while (at := repeats.next_s) is not None and at <= by:
            shown.extend(f"{at:g} {line}" for line in repeats.take_lines(at))

    for at, key in comes:
        tell(at)
        if repeats.is_shown(key, key, at):
            shown.append(f"{at:g} {key}")
    tell(until)
    return shown


@pytest.mark.parametrize(
    ("comes", "shown"),
    [
        ([], []),
        ([(0, "a")], ["0 a"]),
        ([(0, "a"), (1, "a"), (2, "a")], ["0 a", "1 a", "2 a"]),
        ([(0, "a")] * 4, ["0 a", "0 a", "0 a", "1 a: the same again, 1 time"]),
        ([(0, "a")] * 100, ["0 a", "0 a", "0 a", "1 a: the same again, 97 times"]),
        # others in between are shown
        ([*[(0, "a")] * 5, (0.5, "b"), (0.6, "a")], ["0 a", "0 a", "0 a", "0.5 b", "1 a: the same again, 3 times"]),
        # each pause is twice as long
        (
            [(0, "a")] * 3 + [(second / 2, "a") for second in range(6)],
            ["0 a", "0 a", "0 a", "1 a: the same again, 2 times", "3 a: the same again, 4 times"],
        ),
        # after a while it is news
        ([*[(0, "a")] * 4, (1 + NEWS_AGAIN_S, "a")], ["0 a"] * 3 + ["1 a: the same again, 1 time", "11 a"]),
    ],
)
def test_what_is_shown(comes: list[Come], shown: list[str]) -> None:
    assert play(comes, until=1000) == shown


def test_an_error_without_end() -> None:
    shown = play([(number / 100, "a") for number in range(60_000)], until=1000)
    assert len(shown) < 20
    counts = [int(line.split()[-2]) for line in shown[3:]]
    assert 3 + sum(counts) == 60_000
    assert max(counts) <= LONGEST_PAUSE_S * 100 + 1


def test_what_is_left_at_the_end_is_told() -> None:
    repeats = Repeats()
    for _ in range(5):
        repeats.is_shown("a", "a", 0.0)
    assert list(repeats.take_lines(float("inf"))) == ["a: the same again, 2 times"]
    assert repeats.next_s is None


def test_forgotten_at_a_checkpoint() -> None:
    repeats = Repeats()
    for _ in range(5):
        repeats.is_shown("a", "a", 0.0)
    repeats.forget()
    assert repeats.next_s is None
    assert repeats.is_shown("a", "a", 0.1)
