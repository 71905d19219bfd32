"""What a GET for a known representation is answered with: all of it, a part, or word that nothing changed.

Conditional requests (RFC 9110 §13) and range requests (§14), decided from headers, validators and length alone: pure.
Parsing is werkzeug's. Runs in the server process.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise

from werkzeug.http import http_date, parse_etags, parse_if_range_header, parse_range_header
from werkzeug.http import parse_date as _parse_date

from devserver.record import Record

MAX_RANGES = 8


class Validators(Record):
    """What tells one state of a file from another."""

    etag: str  # opaque, strong, without its quotes
    last_modified: int | None  # seconds since the epoch; None if the clock and the file disagree


class Whole(Record):
    """200."""


class Parts(Record):
    """206: one or several half-open ranges [start, stop) of bytes, in order, none empty."""

    ranges: tuple[tuple[int, int], ...]


class NotModified(Record):
    """304."""


class PreconditionFailed(Record):
    """412."""


class RangeNotSatisfiable(Record):
    """416."""


Outcome = Whole | Parts | NotModified | PreconditionFailed | RangeNotSatisfiable


def evaluate(method: str, headers: Mapping[str, str], validators: Validators, length: int) -> Outcome:
    """The outcome for a GET or HEAD, in the order of RFC 9110 §13.2.2.

    `headers` has names in small letters and several fields of one name joined with commas (§5.3).
    """
    etag = validators.etag
    if (condition := headers.get("if-match")) is not None:
        if not parse_etags(condition.strip()).contains(etag):
            return PreconditionFailed()
    elif _modified_since(validators, headers.get("if-unmodified-since")) is True:
        return PreconditionFailed()
    if (condition := headers.get("if-none-match")) is not None:  # beats If-Modified-Since (§13.1.3)
        if parse_etags(condition.strip()).contains_weak(etag):
            return NotModified()
    elif _modified_since(validators, headers.get("if-modified-since")) is False:
        return NotModified()
    range_ = headers.get("range")
    if method != "GET" or range_ is None or not _if_range_holds(headers.get("if-range"), validators):
        return Whole()  # §14.2: Range has no meaning for HEAD
    return requested_parts(range_, length)


def requested_parts(range_header: str, length: int) -> Whole | Parts | RangeNotSatisfiable:
    """What a Range header asks for of `length` bytes.

    A header that is malformed, in another unit, not ascending, overlapping or of more than `MAX_RANGES` ranges is
    ignored and the whole is sent: RFC 9110 §14.2 lets a server do so with "many small ranges" and overlapping ones,
    and §17.15 advises it, because each range costs the server a part with headers of its own while it costs the client
    a few bytes (CVE-2025-62727). They are counted before anything is parsed.
    """
    if range_header.count(",") >= MAX_RANGES:
        return Whole()
    parsed = parse_range_header(range_header)
    if parsed is None or parsed.units != "bytes":
        return Whole()
    ranges = []
    for start, stop in parsed.ranges:
        if start < 0:  # the last bytes; more than there are means all (§14.1.2)
            start = max(0, length + start)
        stop = length if stop is None else min(stop, length)
        if start < stop:
            ranges.append((start, stop))
    if not ranges:
        return RangeNotSatisfiable()
    if any(earlier[1] > later[0] for earlier, later in pairwise(ranges)):
        return Whole()  # a suffix that reaches back into a range before it
    return Parts(tuple(ranges))


def parse_date(value: str | None) -> datetime | None:
    """The HTTP-date in `value`; None if there is none, or none that a calendar has."""
    try:
        return _parse_date(value)
    except OverflowError:  # werkzeug lets the year 99999999999 through
        return None


def last_modified_header(validators: Validators) -> str | None:
    return None if validators.last_modified is None else http_date(validators.last_modified)


def _modified_since(validators: Validators, value: str | None) -> bool | None:
    """None if the field is missing or no date, or the file has none to compare with: then it is ignored."""
    date = parse_date(value)
    if date is None or validators.last_modified is None:
        return None
    return validators.last_modified > date.timestamp()


def _if_range_holds(value: str | None, validators: Validators) -> bool:
    """§13.1.5: strong comparison of a tag, exact match of a date. Without the field, a Range is always meant."""
    if value is None:
        return True
    value = value.strip()
    if value.startswith('"'):
        return parse_if_range_header(value).etag == validators.etag
    date = parse_date(value)  # which a weak tag is not either; werkzeug's parser would drop its W/
    return date is not None and validators.last_modified == date.timestamp()
