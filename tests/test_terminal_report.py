"""Reports as text, line by line."""

from __future__ import annotations

import ctypes
import re
import signal
import unicodedata
from textwrap import dedent

from hypothesis import given
from hypothesis import strategies as st

from devserver.lastwords import report_from_death
from devserver.record import replace
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
    whole = replace(
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
    one = replace(frame("call(\n    1,\n)", 1, (0, 1)), end_line=3)
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
    text = shown(frame("main()", 1, path="main.py"), *[same] * 20, replace(same, skipped=400), same)
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


def test_a_chain_is_read_from_the_last_error_to_the_first() -> None:
    raised = frame("def index():\n    raise KeyError('user')\n", 2, (4, 26))
    cause = frame("int('x')\n", 1, (0, 8), path="polls/forms.py")
    errors = (
        ErrorInfo("KeyError", "'user'", (raised,), notes=("a note\nof two lines", "and another")),
        ErrorInfo("ValueError", "invalid literal", (cause,), link="cause", parent=0),
        ErrorInfo("TypeError", "two\nlines", (), link="context", parent=1),
    )
    assert report_text(Report(Occasion.LOAD, "", errors, detail="while loading app")) == dedent(
        """\
        KeyError: 'user'
          while loading app
          a note
          of two lines
          and another

          polls/views.py:2 in index
            1 │ def index():
          > 2 │     raise KeyError('user')
              │     ^^^^^^^^^^^^^^^^^^^^^^

        caused by ValueError: invalid literal

          polls/forms.py:1 in index
          > 1 │ int('x')
              │ ^^^^^^^^

        while handling TypeError: two
          lines"""
    )


def test_what_groups_hold_is_indented() -> None:
    place = frame("fetch()\n", 1, (0, 7))
    errors = (
        ErrorInfo("ExceptionGroup", "several (2 sub-exceptions)", ()),
        ErrorInfo("ExceptionGroup", "two (2 sub-exceptions)", (), link="group", parent=0),
        ErrorInfo("ValueError", "", (place,), link="group", parent=1),
        ErrorInfo("KeyError", "'x'", (), link="cause", parent=2),
        ErrorInfo("OSError", "down", (), notes=("a note",), link="group", parent=1),
        ErrorInfo("TypeError", "no", (), link="group", parent=0),
    )
    assert report_text(Report(Occasion.LOAD, "", errors)) == dedent(
        """\
        ExceptionGroup: several (2 sub-exceptions)

          1 of 2 in the group: ExceptionGroup: two (2 sub-exceptions)

            1 of 2 in the group: ValueError

              polls/views.py:1 in index
              > 1 │ fetch()
                  │ ^^^^^^^

            caused by KeyError: 'x'

            2 of 2 in the group: OSError: down
              a note

          2 of 2 in the group: TypeError: no"""
    )


def test_many_errors_are_cut() -> None:
    many = Report(Occasion.LOAD, "", (ErrorInfo("ValueError", "", ()),) * 10)
    assert report_text(many).endswith(f"… and {10 - MAX_ERRORS} more")


def test_a_syntax_error() -> None:
    code = "def index(request)\n    return None\n"
    place = replace(frame(code, 1, (18, 19)), function="", end_line=None)
    library = frame("load()", 1, own=False, path="importlib/__init__.py")
    error = ErrorInfo("SyntaxError", "expected ':'", (library, place))
    advice = (Advice("A colon is missing at the end of this line."),)
    assert report_text(Report(Occasion.LOAD, "", (error,), advice, detail="while loading shop:app")) == dedent(
        """\
        SyntaxError: expected ':'
          while loading shop:app

          polls/views.py:1
          > 1 │ def index(request)
              │                   ^
            2 │     return None

          calls not shown: 1 in libraries (importlib)

          hint: A colon is missing at the end of this line."""
    )


def test_full_tracebacks_list_every_call_in_order() -> None:
    frames = (
        frame("lib()", 7, own=False, path="django/core/handlers.py"),
        frame("lib()", 9, own=False, path="asgiref/sync.py"),
        frame("outer()\n", 1, (0, 7), path="polls/urls.py"),
        frame("lib()", 3, own=False, path="django/db/models.py"),
        *[frame("again()\n", 1, (0, 7), path="polls/tree.py")] * 3,
        frame("raise\n", 1, own=False, path="django/db/query.py"),
    )
    assert report_text(report(*frames), full=True) == dedent(
        """\
        ValueError: no

          django/db/query.py:1 in index

          called from polls/tree.py:1 in index
          > 1 │ again()
              │ ^^^^^^^

          called from django/db/models.py:3 in index

          called from polls/urls.py:1 in index
          > 1 │ outer()
              │ ^^^^^^^

          called from asgiref/sync.py:9 in index
          called from django/core/handlers.py:7 in index

          calls not shown: 2 of the same in a recursion"""
    )
    many = report(*(frame("a()", 1, path=f"file{number}.py") for number in range(9)))
    assert [f"file{number}.py:1" in report_text(many, full=True) for number in range(9)] == [True] * 9


def test_a_death_by_signal() -> None:
    stack = (
        "Fatal Python error: Segmentation fault\n\n"
        "Current thread 0x00007f81037086c0 (most recent call first):\n"
        f'  File "{ctypes.__file__}", line 519 in string_at\n'
        '  File "/project/shop/views.py", line 12 in index\n'
    )
    text = report_text(report_from_death(-signal.SIGSEGV, stack, user_roots=["/project"]))
    assert text == dedent(
        """\
        The server process was killed by signal SIGSEGV (segmentation fault)
          Fatal Python error: Segmentation fault

          shop/views.py:12 in index

          calls not shown: 1 in libraries (ctypes)

          hint: Such an end comes from a compiled extension, not from Python code: see
                which call was the last, and try another version of that package."""
    )


def test_a_warning_is_short() -> None:
    place = replace(frame("def index():\n    old()\n    new()\n", 2), end_line=None)
    error = ErrorInfo("DeprecationWarning", "old() is deprecated", (place,))
    warning = Report(Occasion.WARNING, "", (error,))
    assert report_text(warning) == dedent(
        """\
        DeprecationWarning: old() is deprecated

          polls/views.py:2 in index
          > 2 │     old()"""
    )
    assert report_text(warning, Style(color=True)).startswith("\x1b[33mDeprecationWarning\x1b[0m: \x1b[33mold()")


def test_wide_characters_do_not_reach_beyond_the_edge() -> None:
    text = 'x = "' + "日本語" * 40 + '" + 🎉 + ❤\ufe0f'
    start = text.index("+ 🎉")
    for columns in (None, (start, start + 3)):
        rows = shown(frame(text, 1, columns), style=Style(width=60)).splitlines()
        hit = next(row for row in rows if row.startswith("  >"))
        assert sum(2 if unicodedata.east_asian_width(char) == "W" else 1 for char in hit) <= 60
    assert "+ 🎉" in hit
    marked = rows[rows.index(hit) + 1]
    before = hit[: hit.index("+ 🎉")]
    assert marked.index("^") == sum(2 if unicodedata.east_asian_width(char) == "W" else 1 for char in before)
    assert marked.count("^") == 4


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


@given(HOSTILE, HOSTILE, st.integers(-1, 40), st.integers(-1, 40), st.integers(0, 9), st.booleans(), st.booleans())
def test_no_control_character_comes_through(
    text: str, name: str, start: int, end: int, line: int, color: bool, full: bool
) -> None:
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
    shown = report_text(whole, Style(color=color, width=40), full=full)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown) if color else shown
    assert all(line.isprintable() for line in plain.split("\n"))


def test_code_in_a_hint_stays_on_one_line() -> None:
    for width in range(48, 80):
        advice = Advice("It is async, so the call alone does nothing yet: write `await notify(1, 2)`, and no less.")
        text = report_text(Report(Occasion.LOAD, "x", advice=(advice,)), Style(width=width))
        assert "`await notify(1, 2)`" in text
        assert "\N{NO-BREAK SPACE}" not in text
