"""What pages say of their errors, as lines."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devserver.server.web.browser_errors import MAX_LINES, MAX_TEXT, WITHIN_S, BrowserErrors, Said, parse
from devserver.terminal import PLAIN

SAID = Said("Uncaught TypeError: cart is undefined", "http://localhost:8000/static/app.js", 12, 5, "/shop/?a=1")


def errors(*files: str) -> BrowserErrors:
    return BrowserErrors(PLAIN, lambda url: next((file for file in files if file.endswith(url)), ""))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (json.dumps(SAID._asdict()), SAID),
        ('{"message": "x"}', Said("x")),
        ('{"message": "x", "line": -1, "column": 1.5, "file": 3, "page": null}', Said("x")),
        (json.dumps({"message": "m" * 9999}), Said("m" * MAX_TEXT)),
        ('{"message": 3}', None),
        ("[]", None),
        ("nothing", None),
        ("[" * 16_000, None),
        ("", None),
    ],
)
def test_parse(body: str, expected: Said | None) -> None:
    assert parse(body.encode()) == expected


@given(st.binary(max_size=200))
def test_no_body_is_a_mistake_of_ours(body: bytes) -> None:
    parse(body)


def test_a_line_has_file_line_and_page() -> None:
    assert errors().line(SAID, "127.0.0.1", 0).splitlines() == [
        "browser  Uncaught TypeError: cart is undefined",
        "         /static/app.js:12:5  on /shop/?a=1",
    ]


def test_a_file_that_was_sent_is_named_by_its_path() -> None:
    assert "/work/static/app.js:12:5" in errors("/work/static/app.js").line(SAID, "::1", 0)


def test_who_sits_elsewhere_is_named() -> None:
    assert "for 192.168.1.7" in errors().line(SAID, "192.168.1.7", 0)


def test_an_error_in_the_page_itself() -> None:
    said = Said("Uncaught x", "http://localhost:8000/", 3, page="/")
    assert "http://localhost:8000/:3" in errors().line(said, "", 0)


@pytest.mark.parametrize("file", ["http://[missing]/x", "http://[", "//", "data:,x", "\udc80"])
def test_no_address_is_a_mistake_of_ours(file: str) -> None:
    assert errors().line(Said("x", file, 1), "", 0)


def test_control_characters_do_nothing() -> None:
    said = Said("\x1b[2J", "http://h/\x1b]0;x\x07", 1, page="/\x1b[31m")
    assert "\x1b" not in errors().line(said, "\x1b", 0)


def test_the_same_again_is_told_after_a_while() -> None:
    known = errors()
    assert known.line(SAID, "", 0)
    assert not known.line(SAID, "", WITHIN_S - 1)
    assert known.line(SAID, "", WITHIN_S)


def test_not_more_than_a_terminal_can_bear() -> None:
    known = errors()
    lines = [known.line(Said(f"{number}"), "", 0) for number in range(2 * MAX_LINES)]
    assert sum(map(bool, lines)) == MAX_LINES
    assert "not shown" in lines[MAX_LINES - 1]
    assert known.line(Said("later"), "", WITHIN_S)
