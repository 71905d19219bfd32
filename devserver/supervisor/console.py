"""The terminal: the only printer of the supervisor, its keys, and the hand-over to a debugger prompt.

Runs in the supervisor. Rules that hold: what is said goes to standard output, errors go to standard error, and no reader is waited
for; keys need Enter (no raw mode, so nothing has to be put back); while the terminal is lent to a prompt no key is read, and what
the prompt leaves behind is put in order; a command in the background of a shell reads nothing.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import socket
import sys
import termios
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, TextIO

from devserver import terminal
from devserver.lastwords import describe_status
from devserver.options import ColorChoice
from devserver.output import Output
from devserver.record import replace
from devserver.report import Report
from devserver.terminal_report import report_text

_END_S = 0.2
"""What a halted reader gets at the end to take what is left."""


class Key(StrEnum):
    RESUME = "r"
    RESTART = "R"
    QUIT = "q"
    HELP = "h"


HELP = (
    "r + Enter  load again",
    "R + Enter  load again in a fresh interpreter",
    "q + Enter  end, as Ctrl-C does",
)

_MAX_EMPTY_READS = 10


class Console:
    """The terminal of the command."""

    def __init__(self, color: ColorChoice, *, keys: bool, full_tracebacks: bool) -> None:
        out, err = _is_terminal(sys.stdout), _is_terminal(sys.stderr)
        self.style = _style(color, is_terminal=out)
        self.error_style = _style(color, is_terminal=err)
        self._full_tracebacks = full_tracebacks
        self._output = Output()
        self._interactive = _is_terminal(sys.stdin) and out
        self.keyboard = _open_keyboard() if keys and self._interactive else None
        self.has_keys = self.keyboard is not None
        self._empty_reads = 0
        self._suspended = False  # in the background
        # While the terminal is lent to a prompt: has it show its line anew.
        self._redraw: Callable[[], None] | None = None
        self._modes: list[Any] | None = None  # of the terminal, before it was lent
        if self._interactive:
            # In the background a read would stop the command; ignored, it fails with EIO instead. Likewise to set the modes.
            signal.signal(signal.SIGTTIN, signal.SIG_IGN)

    def resized(self) -> None:
        """The terminal has another size."""
        width = _width()
        self.style = replace(self.style, width=width)
        self.error_style = replace(self.error_style, width=width)

    def close(self) -> None:
        """Say what is left to say and leave the terminal as it was."""
        self.take_back()
        self._output.flush_within(_END_S)
        if self.keyboard is not None:
            os.close(self.keyboard)
            self.keyboard, self.has_keys = None, False

    # --- the foreground ---

    @property
    def in_foreground(self) -> bool:
        """Whether what is typed is meant for this command, by the shell's job control."""
        try:
            return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
        except OSError as error:
            return error.errno == errno.ENOTTY  # no shell controls this terminal
        except ValueError:  # closed
            return False

    def lend(self, redraw: Callable[[], None]) -> None:
        """Leave keyboard and screen to a debugger prompt; `redraw` makes it show its line again after something was printed."""
        self._redraw = redraw
        self._modes = _modes()

    def take_back(self) -> None:
        """The prompt is closed, or its process is no more: put right what it left behind."""
        if self._redraw is None:
            return
        self._redraw = None
        if self._modes is not None and self.in_foreground and (now := _modes()) != self._modes:
            # Killed at the prompt: line editing has the echo off, and the cursor stands behind the prompt.
            if now is not None:
                self._put("\n", sys.stdout)
            termios.tcsetattr(sys.stdin.fileno(), termios.TCSANOW, self._modes)

    # --- keys ---

    @property
    def reads_keys(self) -> bool:
        """Whether `keyboard` belongs in the selector now."""
        return self.has_keys and not self._suspended and self._redraw is None

    @property
    def is_suspended(self) -> bool:
        """Whether keys are left to the shell until the command is in the foreground again."""
        return self._suspended

    def resume(self) -> None:
        """The command may be in the foreground again."""
        self._suspended = not self.in_foreground

    def read_keys(self) -> list[Key]:
        """The keys of the lines that were typed. To be called when `keyboard` is readable."""
        assert self.keyboard is not None
        try:
            data = os.read(self.keyboard, 1024)
        except BlockingIOError:  # the app's own input() was faster
            return []
        except OSError:  # in the background
            self._suspended = True
            return []
        # Nothing: Ctrl-D, or a shell has just changed the terminal's mode. Again and again: the terminal is gone.
        self._empty_reads = 0 if data else self._empty_reads + 1
        if self._empty_reads > _MAX_EMPTY_READS:
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
            self.say(f"  {line}")

    def interrupted(self) -> None:
        """Ctrl-C was pressed: what follows does not begin behind the `^C` that the terminal shows."""
        if self._interactive and self.in_foreground:
            self._put("\n", sys.stdout)

    # --- what is said ---

    @property
    def waits_for(self) -> int | None:
        """The descriptor whose reader has to take more before the rest can be said; see `flush`."""
        return self._output.waits_for

    def flush(self) -> None:
        """Say what could not be said before."""
        self._output.flush()

    def say(self, text: str) -> None:
        """One or more lines on standard output, at once."""
        self._print(text, sys.stdout)

    def pass_on(self, fd: int, text: str) -> None:
        """What a server that has ended had still to say, to standard output or standard error."""
        self._output.write(fd, text)

    def banner(self, facts: terminal.Banner) -> None:
        self.say("\n" + terminal.banner(facts, self.style) + "\n")

    def notice(self, text: str) -> None:
        self.say(terminal.notice_line(text, self.style))

    def warning(self, text: str) -> None:
        self._print(terminal.warning_line(text, self.error_style), sys.stderr)

    def report(self, report: Report) -> None:
        self._print("\n" + report_text(report, self.error_style, full=self._full_tracebacks) + "\n", sys.stderr)

    def changed(
        self,
        names: Sequence[str],
        outcome: str,
        *,
        modules: int | None = None,
        ran: int | None = None,
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
                ran=ran,
                elapsed_ms=elapsed_ms,
                fixed=fixed,
                reason=reason,
            )
        )

    def refreshed(self, names: Sequence[str]) -> None:
        self.say(terminal.refresh_line(names, self.style))

    def died(self, status: int, *, loading: bool) -> None:
        when = " while loading the app" if loading else ""
        self.warning(f"the server process {_was(status)}{describe_status(status)}{when}")

    def _print(self, text: str, stream: TextIO | None) -> None:
        # The cursor may stand behind a prompt and what was typed there.
        self._put(f"{'' if self._redraw is None else chr(10)}{text}\n", stream)
        if self._redraw is not None:
            self._redraw()

    def _put(self, text: str, stream: TextIO | None) -> None:
        try:
            if stream is not None:
                self._output.write(stream.fileno(), text)
        except (OSError, ValueError):  # closed
            pass


def _was(status: int) -> str:
    return "was " if status < 0 else ""


def _style(choice: ColorChoice, *, is_terminal: bool) -> terminal.Style:
    """What may be written to a stream. Links are left out where colours are: no escape sequences are wanted there."""
    color = _wants_color(choice, is_terminal)
    return terminal.Style(
        color=color,
        width=_width(),
        links=color and is_terminal and terminal.shows_links(os.environ),
        link_host=socket.gethostname() if terminal.is_remote(os.environ) else "",
    )


def _wants_color(choice: ColorChoice, is_terminal: bool) -> bool:
    """By the flag, then NO_COLOR and FORCE_COLOR, then by whether a person looks on."""
    if choice is not ColorChoice.AUTO:
        return choice is ColorChoice.ALWAYS
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return is_terminal and os.environ.get("TERM") != "dumb"


def _width() -> int:
    return shutil.get_terminal_size().columns


def _modes() -> list[Any] | None:
    try:
        return termios.tcgetattr(sys.stdin.fileno())
    except (termios.error, ValueError):  # gone
        return None


def _open_keyboard() -> int | None:
    """The terminal of standard input once more, for reads that do not wait.

    Whoever else reads from it can take a line between our notice and our read, and the flag of standard input itself
    belongs to the shell too.
    """
    try:
        name = os.ttyname(sys.stdin.fileno())
        return os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:  # it has no name in this mount namespace
        return None


def _is_terminal(stream: object) -> bool:
    try:
        return bool(stream is not None and stream.isatty())  # type: ignore[attr-defined]
    except ValueError:  # closed
        return False
