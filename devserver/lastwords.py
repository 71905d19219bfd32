"""What a process that died or hangs left behind → Report.

A process that dies or hangs cannot speak for itself: what is known is the status the kernel keeps and the text that
`faulthandler` wrote. Runs in the supervisor and the root. Rules that hold: any text is accepted, also one cut in the
middle of a line; what cannot be parsed stays readable in `Report.stack`.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator, Sequence

from devserver.report import ErrorInfo, Frame, Occasion, Report
from devserver.source import frames_of

MAX_STACK = 20_000
"""Characters of faulthandler's text that are kept."""

_SIGNAL_MEANINGS = {
    "SIGABRT": "aborted",
    "SIGALRM": "alarm clock",
    "SIGBUS": "bus error",
    "SIGFPE": "arithmetic error",
    "SIGHUP": "hang-up",
    "SIGILL": "illegal instruction",
    "SIGINT": "interrupted",
    "SIGKILL": "killed",
    "SIGPIPE": "broken pipe",
    "SIGQUIT": "quit",
    "SIGSEGV": "segmentation fault",
    "SIGSYS": "bad system call",
    "SIGTERM": "terminated",
    "SIGTRAP": "trace trap",
    "SIGXCPU": "processor time used up",
    "SIGXFSZ": "file too large",
}

_THREAD = re.compile(r"^(?P<current>Current thread|Thread) 0x[0-9a-f]+ .*\(most recent call first\):$", re.MULTILINE)
_FRAME = re.compile(r'^  File "(?P<path>.*)", line (?P<line>\d+|\?\?\?) in (?P<function>.*)$', re.MULTILINE)
_FATAL = re.compile(r"^Fatal Python error: (?P<what>.+)$", re.MULTILINE)
_ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))")


def describe_status(status: int) -> str:
    """How a process ended, as a clause: "killed by signal SIGSEGV (segmentation fault)", "exited with code 3".

    `status` as `subprocess` has it: negative for a signal.
    """
    if status >= 0:
        return f"exited with code {status}"
    name = _signal_name(-status)
    meaning = _SIGNAL_MEANINGS.get(name)
    return f"killed by signal {name} ({meaning})" if meaning else f"killed by signal {name}"


def report_from_death(
    status: int, stack_text: str = "", *, user_roots: Sequence[str] = (), detail: str = "", loading: bool = False
) -> Report:
    """The report of a process that ended by itself with `status` (as `subprocess` has it: negative for a signal).

    `stack_text` is what faulthandler wrote, in whole or in part; `detail` a sentence about when and how often.
    """
    ending = describe_status(status)
    fatal = _FATAL.search(stack_text)
    what = "The server process was" if status < 0 else "The server process"
    error = ErrorInfo(
        type_name="",  # the message says it all
        message=f"{what} {ending}{' while loading the app' if loading else ''}",
        frames=_frames(stack_text, user_roots),
        notes=(f"Fatal Python error: {fatal['what']}",) if fatal else (),
        bases=("signal",) if status < 0 else ("exit",),
        facts=(("signal", _signal_name(-status)),) if status < 0 else (("code", str(status)),),
    )
    return _advised(Report(Occasion.DEATH, error.message, (error,), stack=_shortened(stack_text), detail=detail))


def report_from_hang(
    stack_text: str, seconds: float, *, user_roots: Sequence[str] = (), target: str = "", detail: str = ""
) -> Report:
    """The report of a load that has not ended after `seconds`; `stack_text` is what faulthandler wrote of it."""
    title = f"{target or 'The target'} is still loading after {seconds:g} s"
    frames = _frames(stack_text, user_roots)
    error = ErrorInfo(type_name="", message=title, frames=frames, bases=("hang",))
    return _advised(Report(Occasion.HANG, title, (error,), stack=_shortened(stack_text), detail=detail))


def _advised(report: Report) -> Report:
    from devserver import hints  # the supervisor needs `describe_status` early, and hints only now

    return hints.advised(report)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_STACK else text[:MAX_STACK] + "\n…"


def _frames(stack_text: str, user_roots: Sequence[str]) -> tuple[Frame, ...]:
    """The frames of the thread that matters, outermost first, without ours and importlib's."""
    return frames_of(reversed(list(_calls(_relevant_thread(stack_text)))), user_roots)


def _relevant_thread(stack_text: str) -> str:
    """The part of the thread that failed, or else of the main one, which faulthandler writes last."""
    starts = list(_THREAD.finditer(stack_text))
    ends = [*(start.start() for start in starts[1:]), len(stack_text)]
    parts = [
        (start["current"] == "Current thread", stack_text[start.end() : end])
        for start, end in zip(starts, ends, strict=False)  # without any start there is one end
    ]
    current = [text for is_current, text in parts if is_current]
    return (current or [text for _, text in parts] or [stack_text])[-1]


def _calls(thread_text: str) -> Iterator[tuple[str, int, str]]:
    for match in _FRAME.finditer(thread_text):
        line = 0 if match["line"] == "???" else int(match["line"])
        yield _unescaped_path(match["path"]), line, _unescaped(match["function"])


def _unescaped_path(path: str) -> str:
    """faulthandler writes ASCII only: `caf\\xe9.py`. A path that exists as written has a backslash of its own."""
    return path if "\\" not in path or os.path.exists(path) else _unescaped(path)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1] or match[2] or match[3], 16)), text)
