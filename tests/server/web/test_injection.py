"""Where the tag goes, however the document is cut into pieces."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devserver.server.web.injection import MAX_HELD, Appender, Injector, wide_encoding

TAG = b"@"


def injected(document: bytes, *cuts: int) -> bytes:
    """What comes out when the document comes cut at these places."""
    injector = Injector(TAG)
    places = [0, *sorted(cut % (len(document) + 1) for cut in cuts), len(document)]
    pieces = [document[start:end] for start, end in itertools.pairwise(places)]
    return b"".join([*map(injector.feed, pieces), injector.feed(b"", is_last=True)])


DOCUMENTS = [
    b"@<h1>Hello</h1>",
    b"@Hello",
    b"@<",
    b"<!doctype html>@<p>x",
    b"<!DOCTYPE html>\n@<body class=a>",
    b"<!doctype html>\n<html lang='en'>\n<head>\n<meta charset=utf-8>\n<title>a < b</title>\n@<link rel=x>",
    b"<html><head>@</head><body>",
    b"<html data-x='a>b'>@<header>",
    b"<!doctype html><html>@<headline>",
    b"<!-- <script> -->@<script>",
    b"<!doctype html><!---->@<p>",
    b"<!doctype html>@<title>without an end",
    b"<head><meta charset=utf-8>@<meta http-equiv='Content-Security-Policy' content='x'>",
    b"<head><meta http-equiv=refresh content=5>@<p>",
    b"<head>@<base href='https://cdn.example/'>",
    b"\xef\xbb\xbf<!doctype html>@<p>",
    b"<?xml version='1.0'?><!DOCTYPE html>@<body>",
    b"\n \n@",
    b"<html>@",
    b"<meta name=a content='>'/>@<style>",
]


@pytest.mark.parametrize("expected", DOCUMENTS)
@given(st.lists(st.integers(0, 200), max_size=8))
def test_the_place_does_not_depend_on_the_pieces(expected: bytes, cuts: list[int]) -> None:
    assert injected(expected.replace(TAG, b""), *cuts) == expected


@given(
    st.lists(
        st.sampled_from(
            [b"<!doctype html>", b"<html>", b"<head ", b"<", b">", b"<!--", b"-->", b"<title>", b"x", b"</title>", b"'"]
        )
    ),
    st.lists(st.integers(0, 200), max_size=8),
)
def test_nothing_is_lost_and_one_tag_is_put_in(parts: list[bytes], cuts: list[int]) -> None:
    document = b"".join(parts)
    result = injected(document, *cuts)
    assert result.replace(TAG, b"") == document
    assert result.count(TAG) == (1 if document else 0)


def test_an_empty_answer_stays_empty() -> None:
    assert injected(b"") == b""


def test_what_is_complete_goes_out_at_once() -> None:
    injector = Injector(TAG)
    assert injector.feed(b"<!doctype html><html><he") == b"<!doctype html><html>"
    assert injector.feed(b"ad>") == b"<head>"
    assert injector.feed(b"<body>") == b"@<body>"
    assert injector.feed(b"<p>") == b"<p>"


def test_a_long_comment_is_not_held_back_for_ever() -> None:
    injector = Injector(TAG)
    comment = b"<!--" + b"x" * (2 * MAX_HELD)
    assert injector.feed(comment) == TAG + comment


@pytest.mark.parametrize(
    ("charset", "beginning", "expected"),
    [
        ("utf-8", b"<!do", ""),
        ("", b"<!do", ""),
        ("iso-8859-1", b"<!do", ""),
        ("UTF-16", b"<\0!\0", "utf-16-le"),
        ("utf-16be", b"\0<\0!", "utf-16-be"),
        ("utf-16le", b"<\0!\0", "utf-16-le"),
        ("utf_32_be", b"\0\0\0<", "utf-32-be"),
        ("utf-8", b"\xff\xfe<\0", "utf-16-le"),
        ("", b"\xfe\xff\0<", "utf-16-be"),
        ("utf-32", b"\xff\xfe\0\0", "utf-32-le"),
    ],
)
def test_wide_encodings(charset: str, beginning: bytes, expected: str) -> None:
    assert wide_encoding(charset, beginning) == expected


def test_in_a_wide_encoding_the_tag_comes_last() -> None:
    appender = Appender("@".encode("utf-16-le"))
    document = "<p>ü</p>".encode("utf-16-le")
    pieces = [appender.feed(document[:3]), appender.feed(document[3:]), appender.feed(b"", is_last=True)]
    assert b"".join(pieces).decode("utf-16-le") == "<p>ü</p>@"
    assert Appender(TAG).feed(b"", is_last=True) == b""
