"""The terminal: the only printer of the supervisor, its keys, and the hand-over to a debugger prompt.

Runs in the supervisor. Rules that hold: what is said goes to standard output, errors go to standard error; keys need Enter (no raw
mode, so nothing has to be put back); while a prompt is open no key is read; a command in the background reads nothing.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Sequence
from enum import StrEnum

from devserver import terminal
from devserver.lastwords import describe_status
from devserver.options import ColorChoice
from devserver.report import Report
from devserver.terminal_report import report_text


class Key(StrEnum):
    RESUME = "r"
    RESTART = "R"
    QUIT = "q"
    HELP = "h"


HELP = (
    "r + Enter  load again",
    "R + Enter  load again in a fresh interpreter",
    "q + Enter  end (as Ctrl-C)",
)


class Console:
    """The terminal of the command."""

    def __init__(self, color: ColorChoice, *, keys: bool) -> None:
        out, err = _is_terminal(sys.stdout), _is_terminal(sys.stderr)
        width = shutil.get_terminal_size().columns
        self.style = terminal.Style(color=_wants_color(color, out), width=width, links=False)
        self._error_style = terminal.Style(color=_wants_color(color, err), width=width)
        self.has_keys = keys and _is_terminal(sys.stdin) and out
        self._suspended = False  # in the background
        if self.has_keys:
            # In the background a read would stop the command; ignored, it fails with EIO instead.
            signal.signal(signal.SIGTTIN, signal.SIG_IGN)

    # --- keys ---

    @property
    def reads_keys(self) -> bool:
        """Whether standard input belongs in the selector now."""
        return self.has_keys and not self._suspended

    def resume(self) -> None:
        """The command is in the foreground again."""
        self._suspended = False

    def read_keys(self) -> list[Key]:
        """The keys of the lines that were typed. To be called when standard input is readable."""
        try:
            data = os.read(sys.stdin.fileno(), 1024)
        except OSError:  # in the background
            self._suspended = True
            return []
        if not data:  # Ctrl-D, or the terminal is gone
            self.has_keys = False
        keys = []
        for word in data.decode(errors="replace").split():
            if word in list(Key):
                keys.append(Key(word))
            else:
                self.notice(f"no such key: {terminal.escape_control(word)} (h + Enter lists them)")
        return keys

    def help(self) -> None:
        for line in HELP:
            self.notice(line)

    # --- what is said ---

    def say(self, text: str) -> None:
        """One or more lines on standard output, at once."""
        self._print(text, sys.stdout)

    def banner(self, facts: terminal.Banner) -> None:
        self.say("\n" + terminal.banner(facts, self.style) + "\n")

    def notice(self, text: str) -> None:
        self.say(terminal.notice_line(text, self.style))

    def warning(self, text: str) -> None:
        self._print(terminal.warning_line(text, self._error_style), sys.stderr)

    def report(self, report: Report) -> None:
        self._print("\n" + report_text(report, self._error_style) + "\n", sys.stderr)

    def changed(
        self,
        names: Sequence[str],
        outcome: str,
        *,
        modules: int | None = None,
        elapsed_ms: float | None = None,
        fixed: bool = False,
        reason: str = "",
        event: str = "changed",
    ) -> None:
        self.say(
            terminal.change_line(
                names,
                outcome,
                self.style,
                event=event,
                modules=modules,
                elapsed_ms=elapsed_ms,
                fixed=fixed,
                reason=reason,
            )
        )

    def refreshed(self, names: Sequence[str]) -> None:
        self.say(terminal.refresh_line(names, self.style))

    def died(self, status: int, *, loading: bool) -> None:
        when = " while the target was loaded" if loading else ""
        self.warning(f"the server process {_was(status)}{describe_status(status)}{when}")

    @staticmethod
    def _print(text: str, stream: object) -> None:
        try:
            print(text, file=stream, flush=True)  # type: ignore[call-overload]
        except (OSError, ValueError):  # nobody reads any more
            pass


def _was(status: int) -> str:
    return "was " if status < 0 else ""


def _wants_color(choice: ColorChoice, is_terminal: bool) -> bool:
    """By the flag, then NO_COLOR and FORCE_COLOR, then by whether a person looks on."""
    if choice is not ColorChoice.AUTO:
        return choice is ColorChoice.ALWAYS
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return is_terminal and os.environ.get("TERM") != "dumb"


def _is_terminal(stream: object) -> bool:
    try:
        return bool(stream is not None and stream.isatty())  # type: ignore[attr-defined]
    except ValueError:  # closed
        return False
