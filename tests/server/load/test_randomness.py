"""A sequence that was seeded goes on in every process; any other is its own."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from devserver.server.load.randomness import SharedGenerator


@pytest.fixture
def generator() -> Iterator[SharedGenerator]:
    state, originals = random.getstate(), (random.seed, random.setstate)
    yield SharedGenerator()
    random.seed, random.setstate = originals
    random.setstate(state)


def test_nothing_is_kept_of_a_generator_that_was_only_drawn_from(generator: SharedGenerator) -> None:
    random.random()
    state = generator.note()
    assert state is None
    before = random.getstate()
    generator.restore(state)
    assert random.getstate() == before


@pytest.mark.parametrize("seed", [42, 0, "", b"x", 1.5])
def test_a_seeded_sequence_goes_on(generator: SharedGenerator, seed: float | str | bytes) -> None:
    random.seed(seed)
    random.random()
    state = generator.note()
    expected = random.random()
    random.seed()  # as Python does after a fork
    generator.restore(state)
    assert random.random() == expected
    assert expected == (fresh := random.Random(seed), fresh.random(), fresh.random())[2]


def test_who_seeds_from_the_system_has_not_seeded(generator: SharedGenerator) -> None:
    random.seed(42)
    random.seed()
    assert generator.note() is None


def test_a_state_that_was_set_goes_on(generator: SharedGenerator) -> None:
    random.setstate(random.Random(7).getstate())
    assert generator.note() == random.getstate()


def test_what_cannot_be_a_seed_is_refused_as_ever(generator: SharedGenerator) -> None:
    with pytest.raises(TypeError):
        random.seed([])  # type: ignore[arg-type]
    assert generator.note() is None
