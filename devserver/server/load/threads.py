"""The threads beside the main one, in words. A fork copies none of them: what they would have done is never done.

Runs in the server while it loads. Linux: through /proc. OpenBLAS, numpy's library, stops its threads before a fork by itself and
starts them again when they are needed, and numexpr starts its own again in a process that is not the one that started them: such
threads may stand. They are told from others by what they wait for: a futex within the library's own data. While they compute,
OpenBLAS's for some 100 ms after, they wait for nothing and cannot be told from others: so they get a moment to come to rest.
jemalloc (within pyarrow) has its background thread do without a fork as well, and gives it a name.

Rules that hold: nothing of the user's is called, not even a property.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
import time
from collections.abc import Collection, Iterator
from enum import Enum, auto
from types import CodeType, FrameType, FunctionType, MethodType

from devserver.server.load.descriptors import read_all
from devserver.server.load.mappings import Mappings
from devserver.server.load.ownership import is_library_frame, is_own_code
from devserver.source import display_path

# Taken before the recorder or the user's libraries replace them.
_listdir, _sleep, _clock = os.listdir, time.sleep, time.monotonic
_FUTEX_CALLS: dict[str, frozenset[bytes]] = {
    "x86_64": frozenset({b"202", b"449", b"455"}),
    "aarch64": frozenset({b"98", b"449", b"455"}),
}
"""By machine: the numbers of futex, futex_waitv and futex_wait."""
_FORKING_NAMES = frozenset({"jemalloc_bg_thd"})
REST_S = 0.3
"""What threads that compute get to come to rest, all in all in one process: who computes on and on costs a load no more."""
_REST_STEP_S = 0.004
_FUTEX = _FUTEX_CALLS.get(os.uname().machine, frozenset())


def native_threads() -> frozenset[int]:
    """The thread ids of this process. Raises OSError if the system does not tell."""
    return frozenset(map(int, _listdir("/proc/self/task")))


def running_threads(known: Collection[int], mappings: Mappings) -> Iterator[str]:
    """A clause for each thread but the main one, those in `known` and the idle ones of libraries that can be forked."""
    tasks = native_threads()
    others = tasks.difference(known, {os.getpid()})
    listed = threading.enumerate()
    if not others and len(listed) == 1:
        return
    main, idents = threading.main_thread(), {threading.get_ident()}
    for thread in listed:
        state = instance_state(thread)
        idents.add(state.get("_ident"))  # type: ignore[arg-type]  # None before it has begun
        native_id = state.get("_native_id")
        if thread is main or native_id in known or (native_id is not None and native_id not in tasks):
            continue  # ended, and not taken off the list yet
        others = others.difference({native_id})
        yield f"a thread runs ({_target_name(thread, state)})"
    foreign = _foreign(others, mappings)
    if not foreign:
        return
    unlisted = [frame for ident, frame in sys._current_frames().items() if ident not in idents]
    for frame in unlisted:
        yield f"a thread runs ({_user_file(frame) or '_thread'})"
    yield from _native_clauses(foreign, len(unlisted))


def _native_clauses(tasks: list[int], unlisted: int) -> Iterator[str]:
    """`unlisted` of these are Python's: which ones is not told, but a thread with a name of its own is none of them."""
    own_name = _name(os.getpid())
    names = [_name(task) for task in tasks]
    named = sorted({name for name in names if name not in {"", own_name}})
    for name in named:
        yield f"a native thread runs ({name})"
    if sum(name not in named for name in names) > unlisted:
        yield "a native thread runs"


def _name(task: int) -> str:
    try:
        return read_all(f"/proc/self/task/{task}/comm").decode(errors="replace").strip()
    except OSError:  # it has ended
        return ""


class _Patience:
    """What is left of REST_S in this process: one that continues from another has its own."""

    def __init__(self) -> None:
        self._pid = 0
        self._left_s = 0.0

    def wait(self) -> bool:
        """Wait one step; false if there is no time left."""
        if self._pid != os.getpid():
            self._pid, self._left_s = os.getpid(), REST_S
        if self._left_s <= 0:
            return False
        began = _clock()
        _sleep(_REST_STEP_S)
        self._left_s -= _clock() - began
        return True


_patience = _Patience()


class _Fork(Enum):
    """What a fork means for a native thread."""

    HARMLESS = auto()  # its library sees to it, or it has ended
    FATAL = auto()
    UNKNOWN = auto()  # it runs, so nobody can tell


def _foreign(tasks: Collection[int], mappings: Mappings) -> list[int]:
    """Those of `tasks` that a fork would lose. Waits for those that run, where they may be such that could be told at rest."""
    while True:
        found = {task: _after_a_fork(task, mappings) for task in tasks}
        if _Fork.UNKNOWN not in found.values() or _Fork.FATAL in found.values() or not _patience.wait():
            return [task for task, fork in found.items() if fork is not _Fork.HARMLESS]


def _after_a_fork(task: int, mappings: Mappings) -> _Fork:
    if _name(task) in _FORKING_NAMES:
        return _Fork.HARMLESS
    libraries = mappings.forking_libraries()
    if not libraries:
        return _Fork.FATAL
    try:
        call = read_all(f"/proc/self/task/{task}/syscall").split()
    except FileNotFoundError:  # the thread has ended, or the kernel does not tell
        return _Fork.FATAL if task in native_threads() else _Fork.HARMLESS
    except OSError:
        return _Fork.FATAL
    if call[:1] == [b"running"]:
        return _Fork.UNKNOWN
    if len(call) < 2 or call[0] not in _FUTEX:
        return _Fork.FATAL
    address = int(call[1], 16)
    return _Fork.HARMLESS if any(address in library for library in libraries) else _Fork.FATAL


def _target_name(thread: threading.Thread, state: dict[str, object]) -> str:
    """The file of the code that the thread runs, as far as it is not Python's own; else the thread's name."""
    code = _code_of(state.get("_target")) or _code_of(state.get("function"))  # the latter is a Timer's
    if code is None:
        run = type.__getattribute__(type(thread), "run")
        code = _code_of(run) if run is not threading.Thread.run else None
    if code is not None and not is_library_frame(code.co_filename):
        return display_path(code.co_filename)
    frame = sys._current_frames().get(state.get("_ident"))  # type: ignore[call-overload]
    return _user_file(frame) or str(state.get("_name"))


def _user_file(frame: FrameType | None) -> str:
    """The file of the outermost frame that is not the standard library's."""
    found = ""
    while frame is not None:
        filename = frame.f_code.co_filename
        if not is_library_frame(filename) and not is_own_code(filename):
            found = filename
        frame = frame.f_back
    return display_path(found) if found else ""


def _code_of(function: object) -> CodeType | None:
    while isinstance(function, functools.partial):
        function = function.func
    if isinstance(function, MethodType):
        function = function.__func__
    return function.__code__ if isinstance(function, FunctionType) else None


def instance_state(instance: object) -> dict[str, object]:
    """The attributes of an object itself, past its class's; empty if it keeps them elsewhere."""
    try:
        state: dict[str, object] = object.__getattribute__(instance, "__dict__")
    except AttributeError:
        return {}
    return state
