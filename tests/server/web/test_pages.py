"""The server's own pages: what is negotiated, what they show, and that nothing in them can become markup."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devserver.record import replace
from devserver.report import Advice, ErrorInfo, Frame, Local, Occasion, Report, RequestFacts, Sheet, SourceLine
from devserver.server.web.client import Edition, client_source
from devserver.server.web.pages import MAX_OPEN_FRAMES, MediaType, Page, negotiate, render

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


def frame(number: int = 1, *, own: bool = True, path: str = "polls/views.py", line: int = 2) -> Frame:
    return Frame(
        path=f"/project/{path}",
        display_path=path,
        function=f"view{number}",
        line=line,
        end_line=line,
        column=4,
        end_column=9,
        is_user=own,
        source=(SourceLine(1, "def view(x):"), SourceLine(2, "    1 / 0  # why"), SourceLine(3, "")),
        locals=(Local("x", "'a value'"),),
    )


def report(*frames: Frame, occasion: Occasion = Occasion.REQUEST, method: str = "GET") -> Report:
    return Report(
        occasion,
        "ZeroDivisionError: division by zero",
        (ErrorInfo("ZeroDivisionError", "division by zero", frames or (frame(),), notes=("a note",)),),
        advice=(Advice("Divide by `one`.", "pip install one"),),
        request=RequestFacts(method, "http://localhost:8000/x?y", "1.1", "127.0.0.1:5", (("accept", "text/html"),)),
        versions=(("Python", "3.12.1"), ("Django", "5.2")),
        detail="while GET /x was answered",
    )


class Outline(HTMLParser):
    """What a browser makes of a page: elements with attributes, and text."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self._raw = ""
        self.feed(page.body.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._raw = tag if tag in {"script", "style"} else ""

    def handle_endtag(self, tag: str) -> None:
        self._raw = ""

    def handle_data(self, data: str) -> None:
        if self._raw:
            self.raw[self._raw].append(data)
        else:
            self.text += data

    def classed(self, name: str) -> list[dict[str, str | None]]:
        return [attrs for _tag, attrs in self.elements if name in (attrs.get("class") or "").split()]


EDITION = Edition(1)


def page(of: Report, *, edition: Edition = EDITION, reload: bool = True) -> Outline:
    return Outline(render(of, BROWSER, edition=edition, reload=reload))


def header(answer: Page, name: str) -> str | None:
    return {key.decode(): value.decode() for key, value in answer.headers}.get(name)


# --- negotiation ---


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (BROWSER, MediaType.HTML),
        ("text/html", MediaType.HTML),
        ("application/xhtml+xml", MediaType.HTML),
        ("", MediaType.TEXT),
        ("*/*", MediaType.TEXT),
        ("text/plain", MediaType.TEXT),
        ("text/*", MediaType.TEXT),
        ("image/png,*/*;q=0.8", MediaType.TEXT),
        ("application/json", MediaType.JSON),
        ("application/json, text/plain, */*", MediaType.JSON),
        ("application/problem+json", MediaType.JSON),
        ("application/json;q=0.5, text/html", MediaType.HTML),
        ("text/html;q=0.1, application/json;q=0.2", MediaType.JSON),
        ("text/html;q=0, */*", MediaType.TEXT),
        ("TEXT/HTML", MediaType.HTML),
        (";;;,q=,,", MediaType.TEXT),
    ],
)
def test_negotiate(accept: str, expected: MediaType) -> None:
    assert negotiate(accept) is expected


@given(st.text())
def test_negotiate_takes_anything(accept: str) -> None:
    negotiate(accept)


# --- answers ---


@pytest.mark.parametrize("accept", [BROWSER, "application/json", "*/*"])
def test_headers(accept: str) -> None:
    answer = render(report(), accept, edition=EDITION)
    assert answer.status == 500
    assert header(answer, "content-length") == str(len(answer.body))
    assert header(answer, "cache-control") == "no-store"
    assert header(answer, "x-content-type-options") == "nosniff"
    assert header(answer, "referrer-policy") == "no-referrer"
    assert header(answer, "vary") == "accept"
    assert "default-src 'none'" in (header(answer, "content-security-policy") or "")
    assert header(answer, "retry-after") is None


def test_content_types() -> None:
    types = [
        header(render(report(), accept, edition=EDITION), "content-type")
        for accept in (BROWSER, "application/json", "")
    ]
    assert types == ["text/html; charset=utf-8", "application/json", "text/plain; charset=utf-8"]


def test_json() -> None:
    assert json.loads(render(report(), "application/json", edition=EDITION).body) == {
        "run": 1,
        "id": "",
        "occasion": "request",
        "title": "ZeroDivisionError: division by zero",
        "detail": "while GET /x was answered",
        "errors": [
            {
                "type_name": "ZeroDivisionError",
                "message": "division by zero",
                "notes": ["a note"],
                "link": "",
                "parent": None,
                "bases": [],
                "facts": [],
                "frames": [
                    {
                        "path": "/project/polls/views.py",
                        "display_path": "polls/views.py",
                        "function": "view1",
                        "line": 2,
                        "end_line": 2,
                        "column": 4,
                        "end_column": 9,
                        "is_user": True,
                        "source": [
                            {"number": 1, "text": "def view(x):"},
                            {"number": 2, "text": "    1 / 0  # why"},
                            {"number": 3, "text": ""},
                        ],
                        "locals": [{"name": "x", "value": "'a value'"}],
                        "unmade": 0,
                        "within": "",
                        "skipped": 0,
                    }
                ],
            }
        ],
        "advice": [{"text": "Divide by `one`.", "command": "pip install one"}],
        "stack": "",
        "request": {
            "method": "GET",
            "url": "http://localhost:8000/x?y",
            "http_version": "1.1",
            "client": "127.0.0.1:5",
            "headers": [["accept", "text/html"]],
            "query": [],
            "form": [],
            "body": "",
            "cookies": [],
            "session": [],
        },
        "sheets": [],
        "versions": [["Python", "3.12.1"], ["Django", "5.2"]],
    }


def test_plain_text() -> None:
    text = render(report(), "*/*", edition=EDITION).body.decode()
    assert text.startswith("ZeroDivisionError: division by zero\n  while GET /x was answered\n")
    assert "polls/views.py:2 in view1\n" in text
    assert "  > 2 │     1 / 0  # why\n      │     ^^^^^\n" in text
    assert "\x1b" not in text


def test_a_load_that_hangs() -> None:
    hang = Report(Occasion.HANG, "x is still loading after 5 s", stack="Thread 0x1:\n  somewhere")
    answer = render(hang, BROWSER, edition=EDITION)
    assert answer.status == 503
    assert header(answer, "retry-after") == "2"
    outline = Outline(answer)
    assert "x is still loading after 5 s" in outline.text
    assert "Thread 0x1:" in outline.text
    assert ("meta", {"http-equiv": "refresh", "content": "2"}) in outline.elements


def test_a_death() -> None:
    death = Report(Occasion.DEATH, "The server process exited with code 3", detail="Three times in a row.")
    assert render(death, BROWSER, edition=EDITION).status == 500
    assert "Three times in a row." in page(death).text


# --- the page ---


PAGE = """\
An error in the app
ZeroDivisionError: division by zero
while GET /x was answered
Reload this page after the fix.
The code has changed. Open this address again
Copy as Markdown
Copy as text
Copy as curl
Divide by one.
pip install one
a note
1 call in flask
flask/app.py:2 in view2
1def view(x):
2    1 / 0  # why
3
1 variable
x'a value'
polls/views.py:2 in view1
1def view(x):
2    1 / 0  # why
3
1 variable
x'a value'
Request: GET /x
Request
methodGET
urlhttp://localhost:8000/x?y
protocolHTTP/1.1
client127.0.0.1:5
Headers
accepttext/html
As text
"""


def test_the_page_as_it_is_read() -> None:
    """From above to below; what is copied follows, and has tests of its own."""
    text = page(report(frame(1), frame(2, own=False, path="flask/app.py"))).text
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    assert "\n".join(lines[1:]).startswith(PAGE)


def test_all_that_there_is_to_say() -> None:
    outline = page(report())
    for part in (
        "division by zero",
        "ZeroDivisionError",
        "while GET /x was answered",
        "a note",
        "Divide by ",
        "pip install one",
        "polls/views.py",
        "in view1",
        "'a value'",
        "http://localhost:8000/x?y",
        "Python 3.12.1",
        "Django 5.2",
    ):
        assert part in outline.text, part
    assert [text for tag, text in outline.elements if tag == "h1"]


def test_sheets_stand_below_the_request() -> None:
    sheets = (Sheet("Settings", (("DEBUG", "True"),)), Sheet("Queries", (("1 ms", "SELECT 1"),)))
    text = page(replace(report(), sheets=sheets)).text
    assert re.search(r"Request: GET.*Settings\s+DEBUGTrue\s+Queries\s+1 msSELECT 1\s+As text", text, re.DOTALL)


def test_the_page_needs_nothing_from_elsewhere_and_only_what_its_policy_allows() -> None:
    answer = render(report(), BROWSER, edition=EDITION)
    outline = Outline(answer)
    policy = header(answer, "content-security-policy") or ""
    for kind, count in (("style", 1), ("script", 2)):
        digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in outline.raw[kind]]
        assert len(digests) == count
        assert f"{kind}-src " + " ".join(f"'sha256-{digest}'" for digest in digests) + ";" in policy
    assert "unsafe" not in policy
    for tag, attrs in outline.elements:
        assert not [name for name in attrs if name == "style" or name.startswith("on")], tag
        assert "src" not in attrs
        assert not (attrs.get("href") or "").startswith(("http:", "https:", "//"))


def test_the_users_frames_are_open_and_libraries_folded() -> None:
    frames = [frame(number, line=number % 2 + 1, path=f"f{number}.py") for number in range(6)]
    library = [frame(9, own=False, path=f"django/{name}.py") for name in "abc"]
    outline = page(report(*library, *frames, library[0]))
    details = [attrs for tag, attrs in outline.elements if tag == "details"]
    own = [attrs for attrs in details if "own" in (attrs.get("class") or "")]
    assert ["open" in attrs for attrs in own] == [True] * MAX_OPEN_FRAMES + [False] * 3
    assert not any("open" in attrs for attrs in details if attrs.get("class") == "library")
    assert "1 call in django" in outline.text
    assert "3 calls in django" in outline.text
    assert outline.text.index("f5.py") < outline.text.index("f0.py")  # the innermost first


def test_recursion_is_folded() -> None:
    outline = page(report(frame(1, path="main.py"), *[frame(2)] * 30, replace(frame(2), skipped=900)))
    assert "930 more calls of the same in a recursion" in outline.text


def test_without_user_frames_the_innermost_is_open() -> None:
    outline = page(report(frame(1, own=False), frame(2, own=False)))
    assert ["open" in attrs for attrs in outline.classed("frame")] == [True, False]


def test_the_line_and_its_columns_are_marked() -> None:
    body = render(report(), BROWSER, edition=EDITION).body.decode()
    hit = re.search(r'<span class="line hit">.*?</span></span>', body, re.DOTALL)
    assert hit is not None
    marked = re.findall(r'<span class="[^"]*marked">([^<]*)</span>', body)
    assert "".join(marked) == "1 / 0"
    assert body.count('class="line hit"') == 1


def test_a_mark_behind_the_end_of_the_line() -> None:
    missing = replace(frame(), line=1, end_line=1, column=12, end_column=13)
    body = render(report(missing), BROWSER, edition=EDITION).body.decode()
    assert re.findall(r'<span class="marked">([^<]*)</span>', body) == [" "]


@pytest.mark.parametrize(
    ("method", "reload", "expected"),
    [
        ("GET", True, {"data-run", "data-seen", "data-worker"}),
        ("HEAD", True, {"data-run", "data-seen", "data-worker"}),
        ("POST", True, {"data-run", "data-seen", "data-worker", "data-ask"}),
        ("POST", False, set()),
        ("GET", False, set()),
    ],
)
def test_how_the_page_heals_itself(method: str, reload: bool, expected: set[str]) -> None:
    outline = page(report(method=method), edition=Edition(5, 2), reload=reload)
    assert ("data-live" in outline.elements[0][1]) is reload
    client = next(attributes for tag, attributes in outline.elements if tag == "script")
    assert set(client) == expected
    if reload:
        assert (client["data-run"], client["data-seen"]) == ("5", "2")
        assert outline.raw["script"][0] == client_source()


# --- hostile values ---

PAYLOADS = [
    "<script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{run}}{{#errors}}{{>client.js}}",
    "</pre></details></title><!--",
    "&lt;b&gt;",
    "\ud800\udce9",
    "javascript:alert(1)",
]


def hostile(text: str) -> Report:
    bad = Frame(
        path=text,
        display_path=text,
        function=text,
        line=1,
        end_line=1,
        column=0,
        end_column=3,
        is_user=True,
        source=(SourceLine(1, text),),
        locals=(Local(text, text),),
    )
    error = ErrorInfo(text, text, (bad, replace(bad, is_user=False)), notes=(text,))
    return Report(
        Occasion.REQUEST,
        text,
        (error, replace(error, link="cause", parent=0), replace(error, link=text, parent=0)),
        advice=(Advice(text, text),),
        stack=text,
        request=RequestFacts(text, text, text, text, ((text, text),)),
        sheets=(Sheet(text, ((text, text),)),),
        versions=((text, text),),
        detail=text,
    )


def shape(outline: Outline) -> list[tuple[str, tuple[str, ...]]]:
    """Elements and names of attributes; the pieces of highlighted source apart, for they follow the text."""
    return [(tag, tuple(attrs)) for tag, attrs in outline.elements if tag not in {"span", "code"}]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_value_becomes_markup(payload: str) -> None:
    outline = page(hostile(payload))
    assert shape(outline) == shape(page(hostile("harmless")))
    assert outline.raw == page(report()).raw
    visible = payload.encode("utf-8", "backslashreplace").decode()
    assert outline.text.count(visible.replace("\n", "")) > 10


@settings(max_examples=50, deadline=None)
@given(st.text(st.sampled_from(list("<>\"'&{}#/^ab=`\n -!\ud800")), min_size=1, max_size=20))
def test_no_text_becomes_markup(text: str) -> None:
    assert {tag for tag, _ in page(hostile(text)).elements} <= {tag for tag, _ in page(hostile("x")).elements} | {
        "code"
    }
    json.loads(render(hostile(text), "application/json", edition=EDITION).body)
    render(hostile(text), "*/*", edition=EDITION).body.decode()
