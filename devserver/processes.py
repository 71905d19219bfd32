"""What the operating system knows about processes: descendants, groups, parent-death signals, subreapers.

Runs in the supervisor and in the root. Linux through /proc and prctl; elsewhere by `ps` semantics that POSIX gives, with the
guarantees that need Linux left out (said at each function). Never imports anything of the user's.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

CHANNEL_FD = 3
"""The descriptor on which a root finds its end of the channel."""
STACK_SIGNAL: int = signal.SIGRTMAX - 1 if sys.platform == "linux" else signal.SIGUSR2
"""Sent to a server that hangs: faulthandler writes its stacks, even from C code that holds the GIL."""
REDRAW_SIGNAL: int = signal.SIGRTMAX - 2 if sys.platform == "linux" else signal.SIGWINCH
"""Sent to a server at whose debugger prompt something else was printed: it shows the prompt again."""

_prctl: Callable[..., int] | None = None
if sys.platform == "linux":
    # Resolved at import: between fork and the user's code nothing may be imported or looked up.
    _prctl = ctypes.CDLL(None, use_errno=True).prctl


def become_subreaper() -> None:
    """Adopt the orphans of all processes below. Linux only; elsewhere they go to init and are not found again."""
    if _prctl is not None:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent(parent_pid: int) -> None:
    """Be killed when the parent ends, however it ends. Linux only. Ends at once if the parent is gone already."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent_pid:  # it died between the fork and the call above
            os._exit(1)


def descendants(of: int) -> list[int]:
    """The pids below `of`, nearest first, as they are now. Linux only: elsewhere empty."""
    return _below(of, _all_processes())


def _below(of: int, table: Iterable[tuple[int, int, int]]) -> list[int]:
    children: dict[int, list[int]] = {}
    for pid, parent, _start in table:
        children.setdefault(parent, []).append(pid)
    found: list[int] = []
    queue = [of]
    while queue:
        below = children.get(queue.pop(0), [])
        found += below
        queue += below
    return found


def children(of: int) -> list[tuple[int, int]]:
    """(pid, start time in clock ticks since boot) of the children of `of`. Linux only: elsewhere empty."""
    return [(pid, start) for pid, parent, start in _all_processes() if parent == of]


def own_children() -> list[int]:
    """The pids of this process's children. Quick where there is none. Linux only: elsewhere empty."""
    if not hasattr(os, "waitid"):  # macOS
        return []
    try:
        # The cheapest way to be told; one that has ended is left to whoever waits for it.
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WSTOPPED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return []
    return [pid for pid, _start in children(os.getpid())]


def start_time(pid: int) -> int:
    """When a process started, in clock ticks since boot; 0 if it is gone or the system does not tell."""
    entry = _read_stat(str(pid))
    return entry[2] if entry else 0


def kill_tree(pid: int) -> None:
    """SIGKILL for a process, its group (if it leads one) and everything below it. Reaps nothing."""
    below = descendants(pid)
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    for target in (pid, *below):
        try:
            os.kill(target, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass


def kill_all_below(*, spare: Callable[[int], bool] = lambda pid: False, deadline_s: float = 1.0) -> None:
    """SIGKILL for every descendant of this process, again until none is left or the deadline passes; reaps them.

    With `become_subreaper` this finds also those that left their group or session. `spare` keeps a child and what is below it.
    """
    deadline = time.monotonic() + deadline_s
    me = os.getpid()
    while True:
        table = _all_processes()  # a single look: who was born between two would seem to be below nobody spared
        spared = {pid for pid, parent, _start in table if parent == me and spare(pid)}
        spared |= {below for pid in spared for below in _below(pid, table)}
        targets = [pid for pid in _below(me, table) if pid not in spared]
        for pid in targets:
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
        for pid in targets:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass
        if not targets or time.monotonic() > deadline:
            return
        time.sleep(0.001)  # nothing to wait on: grandchildren become ours only as their parents are reaped


def _all_processes() -> list[tuple[int, int, int]]:
    try:
        names = os.listdir("/proc")
    except OSError:
        return []
    return [entry for name in names if name.isdigit() and (entry := _read_stat(name))]


def _read_stat(name: str) -> tuple[int, int, int] | None:
    try:
        with open(f"/proc/{name}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return None
    fields = text[text.rindex(b")") + 2 :].split()  # the command in parentheses may hold anything
    return int(name), int(fields[1]), int(fields[19])
