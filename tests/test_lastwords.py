"""What a dead or hanging process left behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devserver.lastwords import MAX_STACK, describe_status, report_from_death, report_from_hang
from devserver.messages import LoadFailed, decode, encode
from devserver.report import Occasion

APP = """import ctypes, faulthandler
faulthandler.enable()
def boom():
    ctypes.string_at(0)
def hang(stream):
    faulthandler.dump_traceback(stream)
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    file = tmp_path / "café.py"
    file.write_text(APP)
    return file


def run(app: Path, code: str) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.path.insert(0, {str(app.parent)!r}); import café; {code}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("status", "clause"),
    [
        (0, "exited with code 0"),
        (3, "exited with code 3"),
        (-signal.SIGSEGV, "killed by signal SIGSEGV (segmentation fault)"),
        (-signal.SIGKILL, "killed by signal SIGKILL (killed)"),
        (-signal.SIGUSR1, "killed by signal SIGUSR1"),
        (-250, "killed by signal 250"),
    ],
)
def test_describe_status(status: int, clause: str) -> None:
    assert describe_status(status) == clause


def test_a_real_segmentation_fault(app: Path) -> None:
    done = run(app, "café.boom()")
    report = report_from_death(
        done.returncode, done.stderr, user_roots=[str(app.parent)], detail="Twice.", loading=True
    )

    assert report.occasion is Occasion.DEATH
    assert report.title == (
        "The server process was killed by signal SIGSEGV (segmentation fault) while loading the app"
    )
    assert report.detail == "Twice."
    assert "compiled extension" in report.advice[0].text
    (error,) = report.errors
    assert error.notes == ("Fatal Python error: Segmentation fault",)
    place = error.place
    assert place is not None
    assert (place.path, place.line, place.function, place.is_user) == (str(app), 4, "boom", True)
    assert "    ctypes.string_at(0)" in [line.text for line in place.source]
    assert [frame.is_user for frame in error.frames][-1] is False  # ctypes, the innermost
    assert error.frames[0].path == "<string>"  # the outermost first
    assert decode(encode(LoadFailed(report, 1.0))) == LoadFailed(report, 1.0)


def test_an_exit_has_no_stack() -> None:
    report = report_from_death(3)
    assert report.title == "The server process exited with code 3"
    assert report.errors[0].frames == ()
    assert "ended the process" in report.advice[0].text


def test_a_hang_shows_where_it_is(app: Path) -> None:
    done = run(app, "café.hang(sys.stderr)")
    report = report_from_hang(done.stderr, 5.0, user_roots=[str(app.parent)], target="shop.wsgi:application")
    assert report.occasion is Occasion.HANG
    assert report.title == "shop.wsgi:application is still loading after 5 s"
    place = report.errors[0].place
    assert place is not None
    assert (place.function, place.line) == ("hang", 6)
    assert f"line {place.line}" in report.advice[0].text


def test_without_a_current_thread_the_main_one_counts() -> None:
    stack = (
        "Timeout (0:00:05)!\n"
        "Thread 0x00007f81037086c0 (most recent call first):\n"
        '  File "/a/worker.py", line 3 in work\n'
        "\n"
        "Thread 0x00007f81042b5b80 (most recent call first):\n"
        '  File "/a/settings.py", line 9 in <module>\n'
        '  File "<frozen importlib._bootstrap>", line 241 in _call\n'
        '  File "/a/wsgi.py", line ??? in <module>\n'
    )
    frames = report_from_hang(stack, 5, user_roots=["/a"]).errors[0].frames
    assert [(frame.path, frame.line) for frame in frames] == [("/a/wsgi.py", 0), ("/a/settings.py", 9)]


@given(st.text(), st.integers(-70, 300))
def test_any_text_makes_a_report(text: str, status: int) -> None:
    report = report_from_death(status, text)
    assert report.stack == text or len(report.stack) <= MAX_STACK + 2
    report_from_hang(text, 5)


def test_a_text_cut_in_the_middle_keeps_what_is_whole() -> None:
    stack = 'Current thread 0x01 (most recent call first):\n  File "/a/x.py", line 3 in f\n  File "/a/y.py", li'
    assert [frame.function for frame in report_from_death(-11, stack).errors[0].frames] == ["f"]


def test_long_stacks_are_cut() -> None:
    assert len(report_from_death(-6, "x" * 100_000).stack) <= MAX_STACK + 2
