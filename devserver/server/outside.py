"""Errors outside of requests, which nobody would see: of threads, of `__del__`, of tasks that nobody awaited; and warnings.

Runs in the server. Takes the hooks that Python calls for them. Rules that hold: a hook that somebody else put there stays, whether
it came before ours or comes later; what ours cannot tell is told by Python's own; the app's child processes have Python's own; an
error that comes without end does not flood the terminal (`repeats.py`). The hooks are called in any thread, at any moment, also
by the garbage collector: so what is told goes to the supervisor, whose channel bears that.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from devserver.report import ErrorInfo, Occasion, Report
from devserver.server.deferred import ours_first
from devserver.server.load.chain import call_in_apps_children
from devserver.server.repeats import Repeats
from devserver.server.warned import Call, report_from_warning, show_deprecations
from devserver.source import frames_of

if TYPE_CHECKING:
    from devserver.server.watchdog import Held

MAX_CALLS = 50
"""By so many calls, the outermost, one error is told from another."""
_IGNORED = "Exception ignored in"

_warn_as_python: Callable[..., None] = vars(warnings)["_showwarning_orig"]
_tell_as_asyncio = asyncio.BaseEventLoop.default_exception_handler


class Outside:
    """The hooks of this process."""

    def __init__(
        self,
        *,
        make_report: Callable[[BaseException, str], Report],
        show: Callable[[Report, bool], None],
        notice: Callable[[str], None],
        user_roots: Sequence[str],
    ) -> None:
        """`make_report` gets an error and a clause that says where; `show` prints a report, with True only if it did not print
        the same before; `notice` prints a line. All are called in any thread."""
        self._make_report = make_report
        self._show = show
        self._notice = notice
        self._user_roots = tuple(user_roots)
        self._repeats = Repeats()
        self._lock = threading.RLock()  # reentrant: the garbage collector may call a hook in the middle of another
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_waiting = False

        def loop_failed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            self._loop_failed(loop, context)

        self._loop_failed_by_default = loop_failed  # a function: of a bound method the class would make no method

    def install(self) -> None:
        """Take the hooks that are still Python's own. Once per process, before anything of the user's runs, on the main thread."""
        if threading.excepthook is threading.__excepthook__:
            threading.excepthook = self._thread_raised
        if sys.unraisablehook is sys.__unraisablehook__:
            sys.unraisablehook = self._unraisable
        if warnings.showwarning is _warn_as_python:
            warnings.showwarning = self._warned
        if asyncio.BaseEventLoop.default_exception_handler is _tell_as_asyncio:
            # For loops that the app runs itself: each async view of a WSGI app has one.
            asyncio.BaseEventLoop.default_exception_handler = self._loop_failed_by_default  # type: ignore[method-assign, assignment]
        show_deprecations(self._user_roots)
        # So that Python knows where a coroutine was made that nobody awaits. It costs some 0.3 µs
        # for each coroutine, a fifth of the requests/s of a hello world over ASGI.
        sys.set_coroutine_origin_tracking_depth(max(sys.get_coroutine_origin_tracking_depth(), 1))
        call_in_apps_children(self._uninstall)

    def use_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Errors of this loop are told from now on, unless the app has a handler of its own for them. On the loop's thread."""
        self._loop = loop
        if loop.get_exception_handler() is None:
            loop.set_exception_handler(self._loop_failed)
        self._wait()

    def resumed(self) -> None:
        """This process continues from a checkpoint: what was counted there was told by another."""
        self._repeats.forget()

    def tell_rest(self) -> None:
        """The process is about to end: tell what was only counted so far."""
        self._tell_counts(float("inf"))

    def loop_held(self, held: Held) -> None:
        """The watchdog has seen the event loop stand still."""
        with ours_first():
            from devserver.server.watchdog import report_from_held

        key = tuple((path, function) for path, _line, function in held.calls)  # the line moves on while it computes
        self._show_unless_repeated(key, "The event loop was held", lambda: report_from_held(held, self._user_roots))

    def _uninstall(self) -> None:
        if threading.excepthook == self._thread_raised:
            threading.excepthook = threading.__excepthook__
        if sys.unraisablehook == self._unraisable:
            sys.unraisablehook = sys.__unraisablehook__
        if warnings.showwarning == self._warned:
            warnings.showwarning = _warn_as_python
        if asyncio.BaseEventLoop.default_exception_handler is self._loop_failed_by_default:
            asyncio.BaseEventLoop.default_exception_handler = _tell_as_asyncio  # type: ignore[method-assign]

    # --- the hooks ---

    def _thread_raised(self, args: threading.ExceptHookArgs) -> None:
        if issubclass(args.exc_type, SystemExit):
            return
        try:
            if args.exc_value is not None:
                self._raised(
                    args.exc_value, "in a thread" if args.thread is None else f'in the thread "{args.thread.name}"'
                )
                return
        except Exception:
            pass
        threading.__excepthook__(args)

    def _unraisable(self, args: sys.UnraisableHookArgs) -> None:
        try:
            if args.exc_value is not None:
                self._raised(args.exc_value, where_ignored(args.err_msg, args.object))
                return
        except Exception:
            pass
        sys.__unraisablehook__(args)

    def _loop_failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What the loop has nobody else to tell. The transports' complaints about clients that left are not the user's."""
        error, task = context.get("exception"), context.get("task")
        if isinstance(error, OSError) and "transport" in context:
            return
        try:
            if isinstance(error, BaseException):
                self._raised(error, where_in_loop(context))
                return
            if isinstance(task, asyncio.Task):
                self._forgotten(task)
                return
        except Exception:
            pass
        if isinstance(loop, asyncio.BaseEventLoop):
            _tell_as_asyncio(loop, context)
        else:
            loop.default_exception_handler(context)

    def _warned(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if file is None:
            try:
                call = (filename, lineno, _function_at(filename, lineno))
                self._show(report_from_warning(str(message), category, call, self._user_roots), True)
                return
            except Exception:
                pass
        _warn_as_python(message, category, filename, lineno, file, line)

    # --- what is told ---

    def _raised(self, error: BaseException, where: str) -> None:
        key = (type(error), *calls_of(error.__traceback__))
        self._show_unless_repeated(key, f"{type(error).__name__} {where}", lambda: self._make_report(error, where))

    def _forgotten(self, task: asyncio.Task[Any]) -> None:
        calls, where = tuple(_suspended(task.get_coro())), "it was waiting here"
        if not calls:  # the garbage collector has closed its coroutine already
            calls, where = tuple(getattr(task.get_coro(), "cr_origin", None) or ()), "it was made here"
        message = f"{_described(task)} was destroyed before it ended"
        self._show_unless_repeated(
            (asyncio.Task, *calls),
            message,
            lambda: report_from_forgotten_task(message, where, calls, self._user_roots),
        )

    def _show_unless_repeated(self, key: Hashable, name: str, make: Callable[[], Report]) -> None:
        with self._lock:
            is_shown = self._repeats.is_shown(key, name, time.monotonic())
        if is_shown:
            self._show(make(), False)
        elif self._loop is not None and not self._is_waiting:
            self._loop.call_soon_threadsafe(self._wait)

    def _wait(self) -> None:
        """Come back when a count is to be told."""
        with self._lock:
            at = self._repeats.next_s
        if at is not None and not self._is_waiting:
            assert self._loop is not None
            self._is_waiting = True
            self._loop.call_later(max(at - time.monotonic(), 0.0), self._come_back)

    def _come_back(self) -> None:
        self._is_waiting = False
        self._tell_counts(time.monotonic())
        self._wait()

    def _tell_counts(self, now_s: float) -> None:
        with self._lock:
            lines = list(self._repeats.take_lines(now_s))
        for line in lines:
            self._notice(line)


# --- where it was, in words ---


def where_ignored(message: str | None, thing: object) -> str:
    """Where an error was raised that Python could not pass on; `message` and `thing` are the arguments of `sys.unraisablehook`."""
    name = getattr(thing, "__qualname__", None)
    if isinstance(name, str):
        owner, _, method = name.rpartition(".")
        return f"in __del__ of {owner}" if method == "__del__" and owner else f"in {name}"
    if thing is not None:
        return f"in an object of {type(thing).__qualname__}"
    said = (message or "").removeprefix(_IGNORED).strip(" :")
    return f"ignored by Python in {said}" if said else "ignored by Python"


def where_in_loop(context: Mapping[str, object]) -> str:
    """Where an error was raised that the event loop has nobody to tell of, by the context of its exception handler."""
    future = context.get("future") or context.get("task")
    if isinstance(future, asyncio.Task):
        return f"in a task that nobody awaited ({_described(future)})"
    if future is not None:
        return "in a future that nobody awaited"
    return "in a callback of the event loop" if "handle" in context else "outside of a request"


def calls_of(traceback: TracebackType | None) -> tuple[tuple[str, int], ...]:
    """The places of a traceback, the outermost first: what makes one error the same as another."""
    places: list[tuple[str, int]] = []
    while traceback is not None and len(places) < MAX_CALLS:
        places.append((traceback.tb_frame.f_code.co_filename, traceback.tb_lineno))
        traceback = traceback.tb_next
    return tuple(places)


def report_from_forgotten_task(message: str, where: str, calls: Sequence[Call], user_roots: Sequence[str]) -> Report:
    """A task that nobody held any more; `where` says what it did at `calls`."""
    with ours_first():
        from devserver import hints

    error = ErrorInfo(type_name="", message=message, frames=frames_of(calls, user_roots), bases=("forgotten task",))
    report = Report(Occasion.BACKGROUND, message, (error,), detail=where if calls else "")
    return hints.advised(report)


def _described(task: asyncio.Task[Any]) -> str:
    """The task's name, and what it runs: most names are numbers."""
    runs = getattr(task.get_coro(), "__qualname__", "")
    return f"{task.get_name()} running {runs}()" if runs else task.get_name()


def _suspended(coroutine: object) -> Iterator[Call]:
    """Where a coroutine waits, the outermost call first."""
    for _ in range(MAX_CALLS):
        frame = getattr(coroutine, "cr_frame", None)
        if not isinstance(frame, FrameType):
            return
        yield frame.f_code.co_filename, frame.f_lineno or 0, frame.f_code.co_qualname
        coroutine = getattr(coroutine, "cr_await", None)


def _function_at(filename: str, line: int) -> str:
    """The function that runs there in this thread; empty if none does."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and (frame.f_code.co_filename != filename or frame.f_lineno != line):
        frame = frame.f_back
    return frame.f_code.co_qualname if frame is not None else ""
