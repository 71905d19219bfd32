"""Reports as text, line by line."""

from __future__ import annotations

import dataclasses
import re
from textwrap import dedent

from hypothesis import given
from hypothesis import strategies as st

from devserver.report import Advice, ErrorInfo, Frame, Occasion, Report, SourceLine
from devserver.terminal import PLAIN, Style
from devserver.terminal_report import MAX_ERRORS, report_text


def frame(
    code: str, line: int, columns: tuple[int, int] | None = None, *, path: str = "polls/views.py", own: bool = True
) -> Frame:
    return Frame(
        path=f"/project/{path}",
        display_path=path,
        function="index",
        line=line,
        end_line=line,
        column=columns and columns[0],
        end_column=columns and columns[1],
        is_user=own,
        source=tuple(SourceLine(number, text) for number, text in enumerate(dedent(code).splitlines(), 1)),
    )


def report(*frames: Frame, advice: tuple[Advice, ...] = ()) -> Report:
    return Report(Occasion.REQUEST, "ValueError: no", (ErrorInfo("ValueError", "no", frames),), advice=advice)


def shown(*frames: Frame, style: Style = PLAIN) -> str:
    return report_text(report(*frames), style)


def marks(text: str, line: int, columns: tuple[int, int] | None) -> list[str]:
    """The marked line and the line below it, from the code's first column on."""
    rows = shown(frame(text, line, columns)).splitlines()
    hit = next(index for index, row in enumerate(rows) if row.startswith("  >"))
    return [row.partition("│ ")[2] for row in rows[hit : hit + 2]]


def test_message_frames_libraries_and_advice_in_order() -> None:
    outer = frame("def outer():\n    x = 1\n    inner()\n", 3, (4, 11), path="polls/urls.py")
    library = frame("lib()", 1, own=False, path="django/core/handlers.py")
    inner = frame("def inner():\n    raise ValueError('no')\n", 2, (4, 26))
    other = frame("lib()", 1, own=False, path="asgiref/sync.py")
    whole = dataclasses.replace(
        report(library, outer, other, library, inner, advice=(Advice("Say yes.", "yes | head"),)),
        detail="while GET / was answered",
    )
    assert report_text(whole) == dedent(
        """\
        ValueError: no
          while GET / was answered

          polls/views.py:2 in index
            1 │ def inner():
          > 2 │     raise ValueError('no')
              │     ^^^^^^^^^^^^^^^^^^^^^^

          called from polls/urls.py:3 in index
            2 │     x = 1
          > 3 │     inner()
              │     ^^^^^^^

          calls not shown: 3 in libraries (django, asgiref)

          hint: Say yes.
                yes | head"""
    )


def test_marks_stand_under_tabs_and_wide_characters() -> None:
    assert marks("if 1:\n\treturn f(a)", 2, (8, 12)) == ["    return f(a)", "           ^^^^"]
    assert marks('x = d["日本"] + 1', 1, (4, 11)) == ['x = d["日本"] + 1', "    ^^^^^^^^^"]
    assert marks("y = 'e\u0301' + z", 1, (11, 12)) == ["y = 'e\u0301' + z", "          ^"]


def test_marks_for_what_is_missing_at_the_end() -> None:
    assert marks("def f()", 1, (7, 8)) == ["def f()", "       ^"]
    assert marks("def f()", 1, (30, 31)) == ["def f()", "       ^"]


def test_without_columns_only_the_line_is_marked() -> None:
    text = shown(frame("a\nb\nc", 2))
    assert "  > 2 │ b" in text
    assert "^" not in text


def test_statements_of_several_lines_are_marked_from_the_first_character() -> None:
    one = dataclasses.replace(frame("call(\n    1,\n)", 1, (0, 1)), end_line=3)
    rows = [row.partition("│ ")[2] for row in shown(one).splitlines()[3:]]
    assert rows == ["call(", "^^^^^", "    1,", "    ^^", ")", "^"]


def test_long_lines_are_cut_around_the_marks() -> None:
    text = "x = [" + ", ".join(f"item{number}" for number in range(100)) + "]"
    start = text.index("item77")
    rows = shown(frame(text, 1, (start, start + 6)), style=Style(width=60)).splitlines()
    hit = next(row for row in rows if row.startswith("  >"))
    marked = rows[rows.index(hit) + 1]
    assert len(hit) <= 60
    assert hit[marked.index("^") : marked.rindex("^") + 1] == "item77"


def test_recursion_is_counted() -> None:
    same = frame("f()", 1, (0, 3))
    text = shown(frame("main()", 1, path="main.py"), *[same] * 20, dataclasses.replace(same, skipped=400), same)
    assert text.count("polls/views.py:1") == 1
    assert "called from main.py:1" in text
    assert "421 of the same in a recursion" in text


def test_without_user_frames_the_innermost_is_shown() -> None:
    text = shown(frame("a()", 1, own=False, path="outer.py"), frame("b()", 1, own=False, path="inner.py"))
    assert "inner.py:1 in index" in text
    assert "1 in libraries (outer)" in text


def test_many_user_frames() -> None:
    text = shown(*(frame("a()", 1, path=f"file{number}.py") for number in range(9)))
    assert "file8.py:1" in text
    assert "file4.py" not in text
    assert "5 more of yours" in text


def test_chain_and_groups() -> None:
    errors = (
        ErrorInfo("ExceptionGroup", "several (2 sub-exceptions)", (), notes=("a note\nof two lines",)),
        ErrorInfo("ValueError", "", (), link="group", parent=0),
        ErrorInfo("KeyError", "'x'", (), link="cause", parent=1),
        ErrorInfo("TypeError", "two\nlines", (), link="context", parent=2),
    )
    assert report_text(Report(Occasion.LOAD, "", errors, detail="while it was loaded")) == dedent(
        """\
        ExceptionGroup: several (2 sub-exceptions)
          while it was loaded
          a note
          of two lines

        in the group ValueError

        caused by KeyError: 'x'

        while handling TypeError: two
          lines"""
    )
    many = Report(Occasion.LOAD, "", errors[1:2] * 10)
    assert report_text(many).endswith(f"… and {10 - MAX_ERRORS} more")


def test_a_stack_that_could_not_be_parsed_is_shown() -> None:
    text = report_text(Report(Occasion.DEATH, "It died", stack="some\x1b[2J\nlines\n" + "x\n" * 100))
    assert text.startswith("It died\n\n  some\\x1b[2J\n  lines\n  x\n")
    assert text.endswith("x\n  …")


def test_advice_is_wrapped() -> None:
    text = report_text(report(advice=(Advice("word " * 40 + "\n  /a/path"),)), Style(width=60))
    hint = text.partition("hint:")[2].splitlines()
    assert max(map(len, hint)) <= 60
    assert hint[1].startswith("        word")
    assert hint[-1] == "          /a/path"


def test_color_changes_no_text() -> None:
    one = frame("def f(x):\n    return 'é' + x  # why\n", 2, (11, 18))
    colored = shown(one, style=Style(color=True))
    assert "\x1b[32m'é'\x1b[0m" in colored
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == shown(one)


def test_paths_are_links_where_the_terminal_can() -> None:
    assert "\x1b]8;;file:///project/polls/views.py\x1b\\" in shown(frame("x", 1), style=Style(links=True))


HOSTILE = st.text(st.sampled_from(list("ab\t\n\r\x1b\x07\x9b\u202e\udce9日\x0c\x85'\"")), max_size=12)


@given(HOSTILE, HOSTILE, st.integers(-1, 40), st.integers(-1, 40), st.integers(0, 9), st.booleans())
def test_no_control_character_comes_through(text: str, name: str, start: int, end: int, line: int, color: bool) -> None:
    bad = Frame(
        path=name,
        display_path=name,
        function=name,
        line=line,
        end_line=line + 1,
        column=max(start, 0),
        end_column=max(end, 0),
        is_user=True,
        source=tuple(SourceLine(number, text) for number in range(1, 5)),
    )
    error = ErrorInfo(name, text, (bad,), notes=(text,))
    whole = Report(Occasion.LOAD, text, (error,), advice=(Advice(text, text),), stack=text, detail=text)
    shown = report_text(whole, Style(color=color, width=40))
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown) if color else shown
    assert all(line.isprintable() for line in plain.split("\n"))
