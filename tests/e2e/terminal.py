"""A real terminal for the end-to-end tests: a pseudo terminal, led by devserver itself or by an interactive shell.

What the command prints is read by a thread, as a terminal emulator would. Keys are what is
written to the other side: line editing, echo, Ctrl-C and job control are the kernel's and the shell's own.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from tests.e2e.harness import DEADLINE_S, DevServer

CTRL_C, CTRL_D, CTRL_Q, CTRL_S, CTRL_Z = "\x03", "\x04", "\x11", "\x13", "\x1a"
UP = "\x1b[A"
BACKSPACE = "\x7f"

ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-9;?]*[a-zA-Z]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[=>])")
SHELL_PROMPT = "shell-7> "
# The command has to be the leader of its session before it can have a controlling terminal.
_TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


class TerminalServer(DevServer):
    """`devserver run` in a terminal of its own. With `shell`, an interactive bash leads it, and nothing is typed yet."""

    def __init__(
        self,
        project: Path,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        wait: bool = True,
        shell: bool = False,
        columns: int = 100,
    ) -> None:
        self.project = project
        self.arguments = arguments
        self.host, self.port = "127.0.0.1", 0
        self._log = bytearray()
        self._log_lock = threading.Lock()
        self._wake, self._woken = os.pipe()
        self._master, self._slave = os.openpty()
        self.resize(columns)
        command = [sys.executable, "-m", "devserver", "run", *arguments, "--port", "0"]
        self.command = " ".join(command)  # for a shell
        if shell:
            command = ["/bin/bash", "--norc", "--noprofile", "-i"]
        self.process: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-ISc", _TAKE_TERMINAL, *command],
            cwd=project,
            env={**_environment(), **(env or {})},
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if shell:
            self.wait_for_log(re.escape(SHELL_PROMPT))
        elif wait:
            self.wait_for_address()

    def __enter__(self) -> TerminalServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End what is left, whatever it is, and close the terminal."""
        below = self.below()
        self.kill()
        self.wait_until_gone(below)
        self.hang_up()

    def _read(self) -> None:
        while True:
            ready, _, _ = select.select([self._master, self._wake], [], [])
            if self._wake in ready:
                return
            try:
                data = os.read(self._master, 65536)
            except OSError:  # the last process that had the terminal open is gone
                return
            with self._log_lock:
                self._log += data

    # --- the screen ---

    @property
    def raw(self) -> str:
        """All that was printed, as it came."""
        with self._log_lock:
            return self._log.decode(errors="replace")

    @property
    def log(self) -> str:
        """All that was printed, without colours and cursor movements."""
        return ESCAPE_SEQUENCE.sub("", self.raw).replace("\r", "")

    def resize(self, columns: int) -> None:
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))

    @property
    def modes(self) -> list[Any]:
        """The settings of the terminal, as `stty -a` shows them."""
        return termios.tcgetattr(self._slave)

    @property
    def echoes(self) -> bool:
        return bool(self.modes[3] & termios.ECHO and self.modes[3] & termios.ICANON)

    # --- the keyboard ---

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def enter(self, line: str) -> None:
        """Type a line and Enter (which sends a carriage return)."""
        self.type(line + "\r")

    def ask(self, line: str, answer: str, *, prompt: str = r"\(Pdb\) ") -> None:
        """Type `line` at a prompt and wait for what it prints and for the next prompt."""
        before = self.log
        self.enter(line)

        def answered() -> bool:
            return re.search(f"{answer}.*{prompt}$", self.log[len(before) :], re.DOTALL) is not None

        self.wait_for(answered, f"{answer!r} after {line!r}, and the next prompt")

    def step(self) -> None:
        """Type n, and wait until the debugger stops again or a request is over."""
        before = len(self.log)
        self.enter("n")

        def stopped_again() -> bool:
            return re.search(r"\n-> .*\n\(Pdb\) $|\n.*GET /", self.log[before:]) is not None

        self.wait_for(stopped_again, "the next stop, or the end of the request")

    def foreground(self, pid: int) -> None:
        """Type fg, and wait until the shell has given the terminal to `pid`: it says which command before it does."""
        self.enter("fg")
        self.wait_for(lambda: os.tcgetpgrp(self._master) == os.getpgid(pid), f"{pid} in the foreground")

    def wait_for_prompt(self, *, count: int = 1, prompt: str = r"\(Pdb\) ") -> None:
        """Wait until this many prompts were shown and the cursor stands at the last one, ready to edit."""
        self.wait_for_log(prompt, count=count)
        self.wait_for(lambda: not self.echoes, "line editing at the prompt")

    def wait_for_exit(self) -> int:
        """Wait until the command has ended by itself; its exit code."""
        self.wait_for(lambda: self.process.poll() is not None, "the end of the command")
        assert self.process.returncode is not None
        return self.process.returncode

    def hang_up(self) -> None:
        """Close the window."""
        if self._master < 0:
            return
        os.write(self._woken, b"x")
        self._reader.join(DEADLINE_S)
        for fd in (self._master, self._slave, self._wake, self._woken):
            os.close(fd)
        self._master = -1


class Background:
    """A request that somebody waits for while the test goes on."""

    def __init__(self, ask: Callable[[], Any]) -> None:
        self._answer: Any = None
        self._thread = threading.Thread(target=self._run, args=(ask,), daemon=True)
        self._thread.start()

    def _run(self, ask: Callable[[], Any]) -> None:
        with contextlib.suppress(pytest.fail.Exception):
            self._answer = ask()

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()

    def answer(self, server: DevServer) -> Any:
        """Wait for it."""
        server.wait_for(lambda: self.done, "the answer to a request")
        if self._answer is None:
            pytest.fail(f"a request got no answer\n{server.log}")
        return self._answer


def _environment() -> dict[str, str]:
    without = {"NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "PYTHONBREAKPOINT", "INPUTRC", "VIRTUAL_ENV"}
    kept = {name: value for name, value in os.environ.items() if name not in without}
    return {
        **kept,
        "PYTHONPATH": "",
        "TERM": "xterm",
        "PS1": SHELL_PROMPT,
        "INPUTRC": "/dev/null",
        "HISTFILE": "/dev/null",
    }


def stopped(pid: int) -> bool:
    """Whether job control has stopped a process."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
