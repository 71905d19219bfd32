"""Conditional and range requests as tables (RFC 9110 §13 and §14)."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.http import http_date

from devserver.server.web.conditions import (
    MAX_RANGES,
    NotModified,
    Outcome,
    Parts,
    PreconditionFailed,
    RangeNotSatisfiable,
    Validators,
    Whole,
    evaluate,
    last_modified_header,
    parse_date,
    requested_parts,
)

MODIFIED = 1_700_000_000
NOW = Validators("abc", MODIFIED)
SAME, BEFORE, AFTER = (http_date(MODIFIED + seconds) for seconds in (0, -1, 1))


@pytest.mark.parametrize(
    ("headers", "outcome"),
    [
        ({}, Whole()),
        ({"if-none-match": '"abc"'}, NotModified()),
        ({"if-none-match": 'W/"abc"'}, NotModified()),  # §13.1.2: weak comparison
        ({"if-none-match": '"x", "abc" , "y"'}, NotModified()),
        ({"if-none-match": "*"}, NotModified()),
        ({"if-none-match": " * "}, NotModified()),
        ({"if-none-match": '"x"'}, Whole()),
        ({"if-none-match": ""}, Whole()),
        ({"if-modified-since": SAME}, NotModified()),
        ({"if-modified-since": AFTER}, NotModified()),
        ({"if-modified-since": BEFORE}, Whole()),
        ({"if-modified-since": "yesterday"}, Whole()),
        ({"if-modified-since": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"}, Whole()),
        ({"if-none-match": '"x"', "if-modified-since": AFTER}, Whole()),  # the tag beats the date, both ways
        ({"if-none-match": '"abc"', "if-modified-since": BEFORE}, NotModified()),
        ({"if-match": '"abc"'}, Whole()),
        ({"if-match": "*"}, Whole()),
        ({"if-match": 'W/"abc"'}, PreconditionFailed()),  # §13.1.1: strong comparison
        ({"if-match": '"x"'}, PreconditionFailed()),
        ({"if-unmodified-since": SAME}, Whole()),
        ({"if-unmodified-since": BEFORE}, PreconditionFailed()),
        ({"if-match": '"abc"', "if-unmodified-since": BEFORE}, Whole()),
        ({"if-match": '"x"', "if-none-match": '"abc"'}, PreconditionFailed()),
        ({"if-none-match": '"abc"', "range": "bytes=0-0"}, NotModified()),
        ({"range": "bytes=0-0", "if-range": '"abc"'}, Parts(((0, 1),))),
        ({"range": "bytes=0-0", "if-range": 'W/"abc"'}, Whole()),  # §13.1.5: strong comparison
        ({"range": "bytes=0-0", "if-range": '"x"'}, Whole()),
        ({"range": "bytes=0-0", "if-range": SAME}, Parts(((0, 1),))),
        ({"range": "bytes=0-0", "if-range": AFTER}, Whole()),  # an exact match, not "not later"
        ({"range": "bytes=0-0", "if-range": BEFORE}, Whole()),
        ({"range": "bytes=0-0", "if-range": "nonsense"}, Whole()),
        ({"range": "bytes=99-", "if-range": '"x"'}, Whole()),
    ],
)
def test_order_and_comparisons(headers: dict[str, str], outcome: Outcome) -> None:
    assert evaluate("GET", headers, NOW, 10) == outcome


def test_head_has_no_ranges() -> None:
    assert evaluate("HEAD", {"range": "bytes=0-0"}, NOW, 10) == Whole()
    assert evaluate("HEAD", {"range": "bytes=99-"}, NOW, 10) == Whole()
    assert evaluate("HEAD", {"if-none-match": '"abc"'}, NOW, 10) == NotModified()


def test_without_a_date_dates_say_nothing() -> None:
    undated = Validators("abc", None)
    for name in ("if-modified-since", "if-unmodified-since"):
        assert evaluate("GET", {name: AFTER}, undated, 10) == Whole()
        assert evaluate("GET", {name: BEFORE}, undated, 10) == Whole()
    assert evaluate("GET", {"range": "bytes=0-0", "if-range": SAME}, undated, 10) == Whole()
    assert last_modified_header(undated) is None
    assert last_modified_header(NOW) == "Tue, 14 Nov 2023 22:13:20 GMT"


@pytest.mark.parametrize(
    ("header", "length", "outcome"),
    [
        ("bytes=0-0", 10, Parts(((0, 1),))),
        ("bytes=0-9", 10, Parts(((0, 10),))),
        ("bytes=5-", 10, Parts(((5, 10),))),
        ("bytes=5-99", 10, Parts(((5, 10),))),
        ("bytes=-3", 10, Parts(((7, 10),))),
        ("bytes=-99", 10, Parts(((0, 10),))),
        ("BYTES = 1-2", 10, Parts(((1, 3),))),
        ("bytes=0-1, 4-5,8-", 10, Parts(((0, 2), (4, 6), (8, 10)))),
        ("bytes=0-1,-2", 10, Parts(((0, 2), (8, 10)))),
        ("bytes=0-1,50-60", 10, Parts(((0, 2),))),  # what can't be satisfied is left out
        ("bytes=10-", 10, RangeNotSatisfiable()),
        ("bytes=10-20,30-", 10, RangeNotSatisfiable()),
        ("bytes=0-", 0, RangeNotSatisfiable()),
        ("bytes=-1", 0, RangeNotSatisfiable()),
        ("bytes=5-2", 10, Whole()),
        ("bytes=-0", 10, Whole()),
        ("bytes=", 10, Whole()),
        ("bytes", 10, Whole()),
        ("", 10, Whole()),
        ("bytes=a-b", 10, Whole()),
        ("bytes=1", 10, Whole()),
        ("bytes=0x1-2", 10, Whole()),
        ("bytes=+1-2", 10, Whole()),
        ("bytes=١-٢", 10, Whole()),
        ("bytes=0-0,", 10, Whole()),
        ("lines=0-1", 10, Whole()),
        ("bytes=0-5,3-8", 10, Whole()),  # overlapping
        ("bytes=4-5,0-1", 10, Whole()),  # not ascending
        ("bytes=0-8,-5", 10, Whole()),  # overlapping, once the length is known
        ("bytes=0-" + "9" * 5000, 10, Whole()),  # more digits than an int is made of
        ("bytes=0-" + "9" * 100, 10, Parts(((0, 10),))),
    ],
)
def test_ranges(header: str, length: int, outcome: Outcome) -> None:
    assert requested_parts(header, length) == outcome


def test_more_ranges_than_eight_are_ignored() -> None:
    def header(count: int) -> str:
        return "bytes=" + ",".join(f"{start * 2}-{start * 2}" for start in range(count))

    most = requested_parts(header(MAX_RANGES), 1000)
    assert isinstance(most, Parts)
    assert len(most.ranges) == MAX_RANGES == 8
    assert requested_parts(header(MAX_RANGES + 1), 1000) == Whole()
    assert requested_parts("bytes=" + "0-," * 1_000_000, 1000) == Whole()  # CVE-2025-62727


@given(st.one_of(st.text(), st.text("bytes=0123456789-, ", min_size=1).map("bytes=".__add__)), st.integers(0, 30))
def test_parts_are_ascending_disjoint_and_inside(header: str, length: int) -> None:
    outcome = requested_parts(header, length)
    if isinstance(outcome, Parts):
        flat = [edge for part in outcome.ranges for edge in part]
        assert flat == sorted(flat)
        assert all(start < stop <= length for start, stop in outcome.ranges)


@given(
    st.dictionaries(
        st.sampled_from(["if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "range"]),
        st.one_of(st.text(), st.binary().map(lambda raw: raw.decode("latin-1")), st.just("bytes=0-0")),
    )
)
def test_no_header_raises(headers: dict[str, str]) -> None:
    evaluate("GET", headers, NOW, 10)


@given(st.text("Mon, 01 Jan2345678:9+-GT"))
@example("Mon, 01 Jan 99999999999 00:00:00 GMT")
@example("1 Jan 2020 99:99:99 +9999999999999")
def test_no_date_raises(value: str) -> None:
    parse_date(value)
