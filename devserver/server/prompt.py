"""Debugger prompts: who has the terminal, and how Ctrl-C reaches it. Runs in the server.

`breakpoint()` and `pdb.set_trace()` (and what derives from `bdb`: ipdb, pudb) open a session, `input()` one for a line; while one
is open the supervisor reads no keys, ends nothing and forwards Ctrl-C to this process. Rules that hold:

- A session begins when the supervisor has granted the terminal: in the background of a shell the keys are the shell's.
- Lines are read on the main thread. Signals are delivered there, so Ctrl-C interrupts the prompt of a WSGI thread too; the event
  loop stands still meanwhile, as a stopped program does. Whatever else the main thread waits for here, it goes on reading lines.
- One session at a time; another thread's breakpoint waits for it.
- Time spent in a session does not count: `clock` stands still.
- Without a terminal a breakpoint is an error at once, not a hang.
"""

from __future__ import annotations

import asyncio
import bdb
import builtins
import cmd
import ctypes
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from devserver import processes
from devserver.errors import NoTerminalError
from devserver.server.load.chain import call_in_apps_children
from devserver.server.load.ownership import is_own_code, is_users

_ATTEND_S = 0.05
"""How often the main thread looks whether its turn has come while another thread has the session."""


@dataclass(slots=True)
class _Line:
    """A line that a thread wants to have read."""

    prompt: str
    text: str = ""
    error: BaseException | None = None
    answered: threading.Event = field(default_factory=threading.Event)


class Prompts:
    """The debugger sessions of this process."""

    def __init__(
        self,
        *,
        ask: Callable[[], None],
        give_back: Callable[[], None],
        attend: Callable[[float], None],
        notice: Callable[[str], None],
        has_terminal: bool,
    ) -> None:
        """`ask` wants the terminal of the supervisor, which calls for `grant`; `give_back` returns it; both from any thread.
        `attend` acts on what the supervisor says within so many seconds; on the main thread only. `notice` prints one line."""
        self._ask = ask
        self._give_back = give_back
        self._attend = attend
        self._notice = notice
        self._obstacle = "" if has_terminal else "devserver has no terminal to ask at"
        self._turn = threading.Condition()
        self._owner: int | None = None  # the thread that has the session
        self._session = 0  # its number
        self._granted = False
        self._began = 0.0
        self._held_s = 0.0  # how long sessions were open, the current one left out
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lines: deque[_Line] = deque()
        self._builtin_input = builtins.input
        self._reading = False  # the main thread, for whomever
        self._prompt = ""
        self._unheard = False  # a Ctrl-C since the last prompt

    def install(self) -> None:
        """Take over where debuggers begin, continue and read. Once per process, on the main thread."""
        begin, proceed, leave = bdb.Bdb.set_trace, bdb.Bdb.set_continue, bdb.Bdb.set_quit
        dispatch = bdb.Bdb.trace_dispatch

        def set_trace(debugger: bdb.Bdb, frame: FrameType | None = None, *args: Any, **kwargs: Any) -> Any:
            self.open()
            return begin(debugger, frame or sys._getframe(1), *args, **kwargs)

        def set_continue(debugger: bdb.Bdb) -> None:
            proceed(debugger)
            self.close()

        def set_quit(debugger: bdb.Bdb) -> None:
            leave(debugger)
            self.close()

        def trace_dispatch(debugger: bdb.Bdb, frame: FrameType, event: str, arg: Any) -> Any:
            if not is_own_code(frame.f_code.co_filename):
                return dispatch(debugger, frame, event, arg)
            # Only frames that were there before the app's have events other than call (and return, when they wait): who
            # stepped out of the app is back in the server, whose code is of no interest. Go on, as by `continue`.
            if event in ("line", "exception") and not debugger.quitting:
                debugger.set_continue()
            return None

        bdb.Bdb.trace_dispatch = trace_dispatch  # type: ignore[method-assign, assignment]
        bdb.Bdb.set_trace = set_trace  # type: ignore[method-assign, assignment]
        bdb.Bdb.set_continue = set_continue  # type: ignore[method-assign, assignment]
        bdb.Bdb.set_quit = set_quit  # type: ignore[method-assign, assignment]
        # cmd.Cmd reads with the builtin: a global of its module comes first, for pdb alone.
        cmd.input = self.read_line  # type: ignore[attr-defined]
        builtins.input = self.input
        signal.signal(signal.SIGINT, self._interrupt)
        if processes.REDRAW_SIGNAL != signal.SIGWINCH:  # that one is readline's
            signal.signal(processes.REDRAW_SIGNAL, self._redraw)
        call_in_apps_children(self._forked)

    def use_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on other threads' lines are read in a callback of `loop`, which runs on the main thread."""
        self._loop = loop

    def clock(self) -> float:
        """Seconds on a monotonic clock that stands still while a session is open."""
        now = time.monotonic()
        with self._turn:
            held = self._held_s if self._owner is None else self._held_s + now - self._began
        return now - held

    # --- sessions ---

    def open(self) -> None:
        """Begin a session on this thread; waits for another thread's and for the terminal. Raises NoTerminalError."""
        if self._obstacle:
            raise NoTerminalError(
                f"a breakpoint was reached, but {self._obstacle}",
                hint="start devserver in a terminal, or attach a debugger (see docs/debugging.md)",
            )
        me = threading.get_ident()
        if self._owner == me:
            return
        self._take_turn(me)
        self._close_with_task(self._session)
        self._ask()
        if _is_main(me):
            while not self._granted:
                self._attend(_ATTEND_S)
        elif self._loop is not None:
            with self._turn:
                self._turn.wait_for(lambda: self._granted)
        # else: a thread while the main thread imports; nobody can hear the answer.

    def _take_turn(self, me: int) -> None:
        while True:
            with self._turn:
                if not _is_main(me):
                    self._turn.wait_for(lambda: self._owner is None)
                if self._owner is None:
                    self._owner, self._granted, self._unheard = me, False, False
                    self._session += 1
                    self._began = time.monotonic()
                    return
            # The main thread may not just wait: the one that has the session needs it to get the terminal and its lines.
            self._read_for_others()
            self._attend(_ATTEND_S)

    def _close_with_task(self, session: int) -> None:
        """On the loop a request is a task."""
        try:
            task = asyncio.current_task()
        except RuntimeError:  # no loop runs on this thread
            return

        def close(_task: object) -> None:
            if self._session == session:
                self.request_ended()

        if task is not None:
            task.add_done_callback(close)

    def grant(self) -> None:
        """The supervisor has handed over the terminal. On the main thread."""
        with self._turn:
            self._granted = True
            self._turn.notify_all()

    def close(self) -> None:
        """End the session of this thread, if it has one."""
        if self._owner == threading.get_ident():
            self._end_session()

    def request_ended(self) -> None:
        """A session does not outlive its request: who stepped out of it does not stop in the next one of this thread."""
        if self._owner == threading.get_ident():
            sys.settrace(None)
            self._end_session()

    def _end_session(self) -> None:
        with self._turn:
            self._held_s += time.monotonic() - self._began
            self._owner = None
            self._give_back()  # before another thread can ask
            self._turn.notify_all()

    def _forked(self) -> None:
        """A child process of the app's has no part in the conversation with the supervisor."""
        self._obstacle = "this is a child process of the app, and the terminal belongs to the server"
        self._turn = threading.Condition()  # another thread may have held the old one's lock
        self._owner = None

    # --- reading ---

    def read_line(self, prompt: str = "") -> str:
        """`input` for debuggers: on the main thread, with readline's editing and history."""
        self.open()
        if _is_main(threading.get_ident()):
            return self._read(prompt)
        if self._loop is None:
            return self._builtin_input(prompt)
        line = _Line(prompt)
        self._lines.append(line)
        self._loop.call_soon_threadsafe(self._read_for_others)
        line.answered.wait()
        if line.error is not None:
            raise line.error
        return line.text

    def input(self, prompt: object = "", /) -> str:
        """`input` for the app: a session of one line. Without a terminal it reads standard input, as ever."""
        if self._obstacle:
            return self._builtin_input(prompt)
        is_in_session = self._owner == threading.get_ident()
        try:
            return self.read_line(str(prompt))
        finally:
            if not is_in_session:
                self.close()

    def _read_for_others(self) -> None:
        while self._lines:
            line = self._lines.popleft()
            try:
                line.text = self._read(line.prompt)
            except BaseException as error:  # KeyboardInterrupt and EOFError belong to the thread that asked
                line.error = error
            line.answered.set()

    def _read(self, prompt: str) -> str:
        signal.signal(
            signal.SIGINT, self._interrupt
        )  # pdb leaves a handler of its own behind, and the app may have one
        self._unheard = False
        self._reading, self._prompt = True, prompt
        try:
            sys.stdout.flush()
            return self._builtin_input(prompt)
        finally:
            self._reading = False

    def _redraw(self, signum: int, frame: FrameType | None) -> None:
        """The supervisor has printed something: show the prompt below it, and what was typed there."""
        if self._reading and (readline := sys.modules.get("readline")) is not None:
            os.write(1, (self._prompt + readline.get_line_buffer()).encode())

    # --- Ctrl-C ---

    def _interrupt(self, signum: int, frame: FrameType | None) -> None:
        """SIGINT is forwarded by the supervisor while a session is open; at other times it is not for us.

        At the prompt it begins a new line. Between two prompts it interrupts the code that runs; where that does not help,
        the session is given up, so that the next Ctrl-C ends the server.
        """
        owner = self._owner
        if self._reading:
            raise KeyboardInterrupt
        if owner is None:
            return
        if not self._unheard:
            self._unheard = True
            if not _is_main(owner):
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(owner), ctypes.py_object(KeyboardInterrupt))
                return
            if _runs_users_code(frame):
                raise KeyboardInterrupt
        self._end_session()
        self._notice("the code does not come back to the debugger; Ctrl-C again ends the server")


def _is_main(ident: int) -> bool:
    return ident == threading.main_thread().ident


def _runs_users_code(frame: FrameType | None) -> bool:
    """Else an exception would end the event loop instead of anything of the user's."""
    while frame is not None:
        filename = frame.f_code.co_filename
        if filename.startswith("/") and is_users(filename):
            return True
        frame = frame.f_back
    return False
