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


FORM = ("content-type", "application/x-www-form-urlencoded")
FILES = ("content-type", "multipart/form-data; boundary=x")
JSON = ("content-type", "application/json")


def facts(method: str, *headers: tuple[str, str], url: str = URL, body: str = "", **form: str) -> RequestFacts:
    return RequestFacts(method, url, "1.1", "", headers, form=tuple(form.items()), body=body)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (facts("GET"), ["curl", URL]),
        (facts("HEAD"), ["curl", "-I", URL]),
        (facts("GET", url="http://x/?f[a]={1}"), ["curl", "-g", "http://x/?f[a]={1}"]),
        (
            facts("DELETE", ("accept", "text/html"), ("host", "localhost:8000")),
            ["curl", "-X", "DELETE", URL, "-H", "accept: text/html"],
        ),
        (facts("GET", ("cookie", HIDDEN), ("x-a", "it's")), ["curl", URL, "-H", "x-a: it's", "#", "without", "cookie"]),
        (
            facts("POST", FORM, ("content-length", "9"), a="b c", password=HIDDEN),
            ["curl", URL, "--data-urlencode", "a=b c", "#", "without", "password"],
        ),
        (
            facts("PUT", FILES, title="@x", photo="file a, b.png, 5 bytes"),
            ["curl", "-X", "PUT", URL, "--form-string", "title=@x", "-F", "photo=@a, b.png"],
        ),
        (
            facts("POST", JSON, body='{"a": "b"}'),
            ["curl", URL, "-H", "content-type: application/json", "--data-raw", '{"a": "b"}'],
        ),
        (facts("POST"), ["curl", "-X", "POST", URL]),
        (
            facts("GET", url=f"http://x/?token={HIDDEN}"),
            ["curl", f"http://x/?token={HIDDEN}", "#", *["without", "a", "value", "of", "the", "query"]],
        ),
    ],
)
def test_commands(request_: RequestFacts, words: list[str]) -> None:
    assert shlex.split(curl_command(request_)) == words


# What stands for a secret makes another command; Hypothesis finds that text in the source and tries it.
@given(st.text(min_size=1, max_size=40).filter(lambda value: HIDDEN not in value))
def test_no_value_is_more_than_one_word(value: str) -> None:
    facts = RequestFacts("GET", f"http://localhost/{value}", "1.1", "", (("x", value),))
    assert shlex.split(curl_command(facts))[-3:] == [f"http://localhost/{value}", "-H", f"x: {value}"]
