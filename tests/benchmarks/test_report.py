"""The arithmetic of the benchmarks: what is printed must follow from what was measured."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks.measure_throughput import parse_wrk
from tests.benchmarks.report import (
    Better,
    Measure,
    Sample,
    Surroundings,
    advantage,
    find_median,
    render_page,
    render_table,
    rows,
)

SAVE = Measure("save", "Save", "ms", Better.LOWER, "From a save.")
RATE = Measure("rate", "Rate", "requests/s", Better.HIGHER, "How many.", digits=1)


def samples(measure: Measure, **values: list[float | None]) -> list[Sample]:
    return [Sample(measure.key, "app", server, value) for server, taken in values.items() for value in taken]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], None),
        ([None], None),
        ([7.0], 7.0),
        ([3.0, 1.0, 2.0], 2.0),
        ([1.0, 2.0], 1.5),
        ([1.0, None], None),
        ([1.0, 2.0, None], 2.0),
        ([1.0, 2.0, 3.0, None], 3.0),
        ([1.0, None, None], None),
    ],
)
def test_an_overdue_sample_counts_as_longer_than_any(values: list[float | None], expected: float | None) -> None:
    assert find_median(values) == expected


@given(st.lists(st.floats(0.001, 1e6), min_size=1), st.integers(0, 5))
def test_overdue_samples_never_make_a_median_better(known: list[float], overdue: int) -> None:
    without, with_overdue = find_median(known), find_median([*known, *([None] * overdue)])
    assert without is not None
    assert with_overdue is None or with_overdue >= without


@pytest.mark.parametrize(
    ("ours", "theirs", "better", "expected"),
    [
        (100, 300, Better.LOWER, 3.0),
        (300, 100, Better.HIGHER, 3.0),
        (200, 100, Better.LOWER, 0.5),
        (0, 100, Better.LOWER, None),
        (100, 0, Better.HIGHER, None),
    ],
)
def test_an_advantage_above_one_means_that_we_are_ahead(
    ours: float, theirs: float, better: Better, expected: float | None
) -> None:
    assert advantage(ours, theirs, better) == expected


def test_rows_begin_with_ours_and_compare_medians() -> None:
    taken = samples(SAVE, uvicorn=[300, 500, 400], devserver=[90, 100, 200])
    ours, peer = rows(taken, SAVE, "app")
    assert (ours.server, ours.median, ours.lowest, ours.highest, ours.samples) == ("devserver", 100, 90, 200, 3)
    assert ours.advantage is None
    assert (peer.server, peer.median, peer.advantage) == ("uvicorn", 400, 4.0)


def test_rows_leave_out_other_measures_and_cases() -> None:
    taken = [*samples(SAVE, devserver=[1]), Sample("save", "other app", "a", 1), Sample("rate", "app", "b", 1)]
    assert [row.server for row in rows(taken, SAVE, "app")] == ["devserver"]


def test_without_ours_there_is_no_ratio() -> None:
    (peer,) = rows(samples(SAVE, uvicorn=[300]), SAVE, "app")
    assert peer.advantage is None
    assert "–" in render_table([peer], SAVE)


def test_an_overdue_server_is_shown_as_overdue() -> None:
    table = render_table(rows(samples(SAVE, devserver=[100], slow=[None, None, 5000]), SAVE, "app"), SAVE)
    assert table.splitlines()[-1] == "| slow | overdue | 5 000 … 5 000 | 3, 2 overdue | – |"


def test_failed_requests_have_a_column_only_if_there_were_some() -> None:
    clean = samples(SAVE, devserver=[100])
    assert "failed" not in render_table(rows(clean, SAVE, "app"), SAVE)
    failed = [*clean, Sample("save", "app", "x", 200, 3), Sample("save", "app", "x", 200, 4)]
    lines = render_table(rows(failed, SAVE, "app"), SAVE).splitlines()
    assert lines[0].endswith("| failed requests |")
    assert lines[-1] == "| x | 200 | 200 … 200 | 2 | 2.00 × | 7 |"


def test_the_page_tells_how_and_where_and_leaves_out_what_was_not_measured() -> None:
    surroundings = Surroundings(
        "2026-01-02", "bench --rounds 3", (("kernel", "Linux 6 | test"),), (("devserver", "1.0"), ("uvicorn", "2.0"))
    )
    page = render_page(samples(RATE, devserver=[8000.04], uvicorn=[4000.0]), [SAVE, RATE], surroundings)
    assert "`bench --rounds 3`" in page
    assert r"| kernel | Linux 6 \| test |" in page
    assert "devserver 1.0, uvicorn 2.0" in page
    assert "## Save" not in page
    assert "| devserver | 8 000.0 | 8 000.0 … 8 000.0 | 1 | – |" in page
    assert "| uvicorn | 4 000.0 | 4 000.0 … 4 000.0 | 1 | 2.00 × |" in page
    assert page.endswith("|\n")


WRK = """Running 5s test @ http://127.0.0.1:8000/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.06ms    1.00ms  20.00ms   90.00%
  77558 requests in 5.00s, 9.99MB read
{errors}Requests/sec:  15511.51
Transfer/sec:      2.00MB
"""


@pytest.mark.parametrize(
    ("errors", "failed"),
    [
        ("", 0),
        ("  Non-2xx or 3xx responses: 12\n", 12),
        ("  Socket errors: connect 1, read 2, write 3, timeout 4\n", 10),
        ("  Socket errors: connect 0, read 2, write 0, timeout 0\n  Non-2xx or 3xx responses: 5\n", 7),
    ],
)
def test_wrk_is_read_with_its_errors(errors: str, failed: int) -> None:
    assert parse_wrk(WRK.format(errors=errors)) == (15511.51, failed)


def test_what_is_not_of_wrk_is_refused() -> None:
    with pytest.raises(ValueError, match="not the output of wrk"):
        parse_wrk("unable to connect")
