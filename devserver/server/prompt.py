"""Debugger prompts: who has the terminal, and how Ctrl-C reaches it. Runs in the server.

`breakpoint()` and `pdb.set_trace()` (and what derives from `bdb`: ipdb, pudb) open a session; while one is open the supervisor
reads no keys, ends nothing and forwards Ctrl-C to this process. Rules that hold:

- Lines are read on the main thread. Signals are delivered there, so Ctrl-C interrupts the prompt of a WSGI thread too; the event
  loop stands still meanwhile, as a stopped program does.
- One session at a time; another thread's breakpoint waits for it.
- Without a terminal a breakpoint is an error at once, not a hang.
"""

from __future__ import annotations

import asyncio
import bdb
import builtins
import cmd
import pdb  # noqa: F401 - so that a breakpoint does not import it between two requests
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from devserver.errors import NoTerminalError


class Prompts:
    """The debugger sessions of this process."""

    def __init__(self, *, opened: Callable[[], None], closed: Callable[[], None], has_terminal: bool) -> None:
        """`opened` and `closed` tell the supervisor; they are called from any thread."""
        self._opened = opened
        self._closed = closed
        self._has_terminal = has_terminal
        self._owner: int | None = None
        self._free = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._reading = False

    def install(self) -> None:
        """Take over where debuggers begin, continue and read. Once per process, on the main thread."""
        begin, proceed, leave = bdb.Bdb.set_trace, bdb.Bdb.set_continue, bdb.Bdb.set_quit

        def set_trace(debugger: bdb.Bdb, frame: FrameType | None = None, *args: Any, **kwargs: Any) -> Any:
            self.open()
            return begin(debugger, frame or sys._getframe(1), *args, **kwargs)

        def set_continue(debugger: bdb.Bdb) -> None:
            proceed(debugger)
            self.close()

        def set_quit(debugger: bdb.Bdb) -> None:
            leave(debugger)
            self.close()

        bdb.Bdb.set_trace = set_trace  # type: ignore[method-assign, assignment]
        bdb.Bdb.set_continue = set_continue  # type: ignore[method-assign, assignment]
        bdb.Bdb.set_quit = set_quit  # type: ignore[method-assign, assignment]
        # cmd.Cmd reads with the builtin: a global of its module comes first, for pdb alone.
        cmd.input = self.read_line  # type: ignore[attr-defined]
        signal.signal(signal.SIGINT, self._interrupt)

    def use_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on other threads' lines are read in a callback of `loop`, which runs on the main thread."""
        self._loop = loop

    @property
    def open_now(self) -> bool:
        return self._owner is not None

    def open(self) -> None:
        """Begin a session on this thread; waits for another thread's. Raises NoTerminalError."""
        if not self._has_terminal:
            raise NoTerminalError(
                "a breakpoint was reached, but devserver has no terminal to ask at",
                hint="start devserver in a terminal, or attach a debugger (see docs/debugging.md)",
            )
        me = threading.get_ident()
        if self._owner == me:
            return
        with self._free:
            self._free.wait_for(lambda: self._owner is None)
            self._owner = me
        self._opened()

    def close(self) -> None:
        """End the session of this thread, if it has one."""
        if self._owner != threading.get_ident():
            return
        with self._free:
            self._owner = None
            self._free.notify()
        self._closed()

    def read_line(self, prompt: str = "") -> str:
        """`input` for debuggers: on the main thread, with readline's editing and history."""
        self.open()
        if threading.current_thread() is threading.main_thread() or self._loop is None:
            return self._read(prompt)
        answered = threading.Event()
        line: str | None = None
        error: BaseException | None = None

        def read() -> None:
            nonlocal line, error
            try:
                line = self._read(prompt)
            except BaseException as raised:  # KeyboardInterrupt and EOFError belong to the thread that asked
                error = raised
            answered.set()

        self._loop.call_soon_threadsafe(read)
        answered.wait()
        if error is not None:
            raise error
        assert line is not None
        return line

    def _read(self, prompt: str) -> str:
        self._reading = True
        try:
            sys.stdout.flush()
            return builtins.input(prompt)
        finally:
            self._reading = False

    def _interrupt(self, signum: int, frame: object) -> None:
        """SIGINT is forwarded by the supervisor while a session is open; at other times it is not for us."""
        if self._reading or self._owner == threading.main_thread().ident:
            raise KeyboardInterrupt

