"""Requests as commands: what a shell and curl make of them."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devserver.report import RequestFacts
from devserver.server.web.curl import curl_command
from devserver.server.web.reprs import HIDDEN

URL = "http://localhost:8000/x?y=1"


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (RequestFacts("GET", URL, "1.1", "", ()), ["curl", URL]),
        (
            RequestFacts("DELETE", URL, "1.1", "", (("accept", "text/html"), ("host", "localhost:8000"))),
            ["curl", "-X", "DELETE", URL, "-H", "accept: text/html"],
        ),
        (RequestFacts("GET", URL, "1.1", "", (("cookie", HIDDEN), ("x-a", "it's"))), ["curl", URL, "-H", "x-a: it's"]),
        (
            RequestFacts("POST", URL, "1.1", "", (("content-length", "9"),), form=(("a", "b c"), ("password", HIDDEN))),
            ["curl", "-X", "POST", URL, "--data-urlencode", "a=b c"],
        ),
    ],
)
def test_commands(request_: RequestFacts, words: list[str]) -> None:
    assert shlex.split(curl_command(request_)) == words


@given(st.text(min_size=1, max_size=40))
def test_no_value_is_more_than_one_word(value: str) -> None:
    facts = RequestFacts("GET", f"http://localhost/{value}", "1.1", "", (("x", value),))
    assert shlex.split(curl_command(facts)) == ["curl", f"http://localhost/{value}", "-H", f"x: {value}"]
