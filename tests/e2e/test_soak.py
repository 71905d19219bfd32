"""Resumes in a row leave nothing behind. `make soak` does a thousand of them."""

from __future__ import annotations

import sys

import pytest

from tests.e2e.chained import chained
from tests.e2e.footprint import Footprint, growth
from tests.e2e.harness import Serve
from tests.e2e.soak import compare, soak

SAVES, SETTLE = 45, 15

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def test_resumes_in_a_row(serve: Serve) -> None:
    project = chained(serve, "wsgi")
    prints = list(soak(project, SAVES, settle=SETTLE))
    assert compare(prints, SETTLE) == [], [f"{number}: {one}" for number, one in prints]


ONE = Footprint(processes=5, descriptors=20, most_descriptors=15, supervisor_mb=20.0, tree_mb=60.0)


@pytest.mark.parametrize(
    ("later", "told"),
    [
        (ONE, []),
        (Footprint(5, 20, 15, 20.9, 62.0), []),
        (Footprint(5, 21, 15, 20.0, 60.0), ["descriptors: 20 → 21"]),
        (Footprint(5, 20, 16, 20.0, 60.0), ["most_descriptors: 15 → 16"]),
        (Footprint(6, 20, 15, 20.0, 60.0), ["processes: 5 → 6"]),
        (Footprint(5, 20, 15, 21.1, 60.0), ["supervisor_mb: 20.0 → 21.1"]),
        (Footprint(5, 20, 15, 20.0, 63.1), ["tree_mb: 60.0 → 63.1"]),
    ],
)
def test_growth_is_told(later: Footprint, told: list[str]) -> None:
    assert growth([ONE, ONE], [later, later]) == told


def test_chains_of_one_length_are_compared() -> None:
    longer = Footprint(processes=6, descriptors=20, most_descriptors=15, supervisor_mb=20.0, tree_mb=70.0)
    assert growth([ONE, longer, longer], [longer, longer, ONE]) == []
