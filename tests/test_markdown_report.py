"""Reports as Markdown: golden, and nothing in them becomes markup."""

from __future__ import annotations

from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devserver.markdown_report import report_markdown
from devserver.report import Advice, ErrorInfo, Frame, Local, Occasion, Report, RequestFacts, SourceLine


def frame(
    path: str = "polls/views.py", *, own: bool = True, text: str = "    1 / 0  # why", function: str = "view"
) -> Frame:
    column = text.index("1 / 0") if "1 / 0" in text else None
    return Frame(
        path=f"/project/{path}",
        display_path=path,
        function=function,
        line=10,
        end_line=10,
        column=column,
        end_column=None if column is None else column + 5,
        is_user=own,
        source=(SourceLine(9, "def view(x):"), SourceLine(10, text)),
        locals=(Local("password", "never shown"),),
    )


def test_all_there_is() -> None:
    errors = (
        ErrorInfo(
            "shop.Error", "no <b>\nsecond line", (frame(), frame("django/core/x.py", own=False)), notes=("a note",)
        ),
        ErrorInfo("KeyError", "'a'", (frame("django/core/y.py", own=False),), link="cause", parent=0),
    )
    report = Report(
        Occasion.REQUEST,
        "x",
        errors,
        advice=(Advice("Divide by `one`.", "pip install one"),),
        request=RequestFacts("GET", "http://localhost:8000/x", "1.1", "127.0.0.1:5", (("cookie", "never shown"),)),
        versions=(("Python", "3.12.1"), ("Django", "5.2")),
        detail="while answering GET /x",
    )
    assert report_markdown(report) == dedent(
        r"""
        ## shop.Error: no \<b\>

        ```text
        second line
        ```

        ```text
        a note
        ```

        while answering GET /x

        `polls/views.py:10` in `view`

        ```python
           9 | def view(x):
        > 10 |     1 / 0  # why
             |     ^^^^^
        ```

        Calls not shown: 1 (django)

        ### Caused by KeyError: 'a'

        `django/core/y.py:10` in `view`

        ```python
           9 | def view(x):
        > 10 |     1 / 0  # why
             |     ^^^^^
        ```

        **Hint:** Divide by `one`.

        ```sh
        pip install one
        ```

        Request: `GET http://localhost:8000/x`

        Python 3.12.1, Django 5.2
        """
    ).lstrip("\n")


def test_marks_stand_below_tabs() -> None:
    text = report_markdown(Report(Occasion.LOAD, "x", (ErrorInfo("E", "m", (frame(text="\tif 1 / 0:"),)),)))
    assert "> 10 | \tif 1 / 0:\n     | \t   ^^^^^\n" in text


def test_a_death_has_its_stack() -> None:
    text = report_markdown(Report(Occasion.DEATH, "killed by *SIGSEGV*", stack="Fatal Python error\n"))
    assert text == "## killed by \\*SIGSEGV\\*\n\n```text\nFatal Python error\n```\n"


def test_what_is_too_much_is_counted() -> None:
    errors = tuple(ErrorInfo("E", str(number), tuple(frame() for _ in range(30))) for number in range(20))
    text = report_markdown(Report(Occasion.LOAD, "x", errors))
    assert text.count("polls/views.py") == 6 * 8
    assert "… and 14 more" in text
    assert "Calls not shown: 22 (polls)" in text


@pytest.mark.parametrize("ticks", ["`", "```", "``````"])
def test_no_fence_is_ended_from_within(ticks: str) -> None:
    error = ErrorInfo("E", f"one\n{ticks}\ntwo", (frame(text=f"x = '{ticks}'", function=f"a{ticks}b"),))
    lines = report_markdown(Report(Occasion.LOAD, "x", (error,))).splitlines()
    fences = [
        line
        for line in lines
        if line.lstrip("`") in {"", "text", "python"} and line.startswith("```") and line != ticks
    ]
    assert all(len(line) - len(line.lstrip("`")) > len(ticks) for line in fences if len(ticks) >= 3)
    assert len(fences) == 4


@given(message=st.text(max_size=80), name=st.text(max_size=30))
def test_any_text(message: str, name: str) -> None:
    error = ErrorInfo("E", message, (frame(path=name, text=message.replace("\n", " ")),))
    text = report_markdown(Report(Occasion.LOAD, "x", (error,)))
    headline = text.splitlines()[0]
    assert headline.startswith("## E")
    assert "<" not in headline.replace("\\<", "")
