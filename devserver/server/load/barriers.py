"""Barriers: a table of probes of the process state, asked just before each freeze.

Runs in the server while it loads, on the thread that imports. A freeze is a fork in the middle of the user's load: the parent
stays as it is and is forked again for each restart. What a fork does not copy (threads, timers), what both would share (sockets,
offsets, shared memory) or clean up twice (temporary folders) must not be there then.

Rules that hold: a probe runs no code of the user's, changes nothing, leaves no descriptor open and does not raise; what cannot be
told counts as a barrier. All that was there before the user's code is the server's own and no barrier.
"""

from __future__ import annotations

import _thread
import logging
import os
import signal
import stat
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from types import FunctionType, MethodType, ModuleType

from devserver import processes
from devserver.server.load.descriptors import Descriptor, describe_unshareable, open_descriptors
from devserver.server.load.mappings import Mappings, Shared
from devserver.server.load.threads import instance_state, native_threads, running_threads

_isdir = os.path.isdir  # before the user's libraries replace them
_TIMERS = tuple(
    (getattr(signal, name), name) for name in ("ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF") if hasattr(signal, name)
)
_COPIED = frozenset({stat.S_IFSOCK, stat.S_IFIFO, stat.S_IFCHR})
_MONITORING_TOOLS = range(6)
_PATCHERS = (("gevent.monkey", "saved", "gevent"), ("eventlet.patcher", "already_patched", "eventlet"))
"""Who replaces threads and sockets; where each keeps what it has replaced."""
_REMOVES_FOLDER = tempfile.TemporaryDirectory._cleanup.__func__  # type: ignore[attr-defined]
# By the package that a trace function comes from, or the name of a monitoring tool.
_TRACERS = {"_pydevd_bundle": "debugpy", "pydevd": "debugpy"}


def why_not_freeze() -> str | None:
    """Why no process can be frozen here at all, whatever its state; None if one can."""
    if sys.platform != "linux":
        return "what a process holds is not told by this system"
    if not hasattr(os, "fork"):
        return "this Python has no fork"
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return "this Python runs without the GIL"
    if not _isdir("/proc/self/task"):
        return "/proc is not mounted"
    return None


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the process held before anything of the user's ran in it."""

    descriptors: frozenset[Descriptor]
    threads: frozenset[int]
    shared: frozenset[Shared]
    tracing: tuple[object, ...]
    mappings: Mappings = field(repr=False, compare=False)

    @classmethod
    def take(cls) -> Baseline:
        """As it is now. Raises OSError where `why_not_freeze` has a reason."""
        mappings = Mappings()
        return cls(
            descriptors=frozenset(open_descriptors()),
            threads=native_threads(),
            shared=frozenset(mappings.shared()),
            tracing=tuple(tracer for _name, tracer in _tracers()),
            mappings=mappings,
        )

    def including(self, *fds: int) -> Baseline:
        """This baseline with what these descriptors lead to now: a resumed process has a channel of its own."""
        return replace(self, descriptors=self.descriptors | {known for known in open_descriptors() if known.fd in fds})

    def new_descriptors(self) -> Iterator[Descriptor]:
        """Those opened since. One that leads to a pipe, terminal or socket of the baseline's is a copy, and not new.

        Raises OSError if the system does not tell."""
        found = [descriptor for descriptor in open_descriptors() if descriptor not in self.descriptors]
        if not found:
            return
        copied = {known[1:] for known in self.descriptors if known.kind in _COPIED}
        yield from (descriptor for descriptor in found if descriptor[1:] not in copied)


def find_barriers(baseline: Baseline) -> tuple[str, ...]:
    """What must not be frozen, a lowercase clause each; empty if the process may be frozen now."""
    found: dict[str, None] = {}
    for what, probe in _PROBES:
        try:
            found.update(dict.fromkeys(probe(baseline)))
        except Exception as error:
            found[f"{what} cannot be told ({type(error).__name__})"] = None
    return tuple(found)


# --- the probes ---


def _threads(baseline: Baseline) -> Iterator[str]:
    if threading.get_native_id() != os.getpid():
        yield "an import in a thread"
    yield from running_threads(baseline.threads, baseline.mappings)


def _tracing(baseline: Baseline) -> Iterator[str]:
    for name, tracer in _tracers():
        if not any(tracer is known for known in baseline.tracing):
            yield f"tracing ({name})"


def _event_loop(_baseline: Baseline) -> Iterator[str]:
    events = sys.modules.get("_asyncio")
    if events is not None and events._get_running_loop() is not None:
        yield "a running event loop"


def _logging_locks(_baseline: Baseline) -> Iterator[str]:
    """After a fork logging makes new locks; a frame that holds an old one would release one that it never took."""
    locks = [vars(logging)["_lock"]]
    locks += [instance_state(reference()).get("lock") for reference in vars(logging)["_handlerList"]]
    if any(type(lock) is _thread.RLock and lock._is_owned() for lock in locks):  # type: ignore[attr-defined]
        yield "a logging lock is held"


def _timers(_baseline: Baseline) -> Iterator[str]:
    for timer, name in _TIMERS:
        if signal.getitimer(timer) != (0.0, 0.0):
            yield f"a timer ({name})"


def _children(_baseline: Baseline) -> Iterator[str]:
    return (f"a child process ({pid})" for pid in processes.own_children())


def _temporary_folders(_baseline: Baseline) -> Iterator[str]:
    registry: dict[object, object] = vars(weakref.finalize)["_registry"]
    for info in list(registry.values()):
        function = getattr(info, "func", None)
        if type(function) is not MethodType or function.__func__ is not _REMOVES_FOLDER:
            continue
        if (getattr(info, "kwargs", None) or {}).get("delete", True):
            yield f"a temporary folder ({getattr(info, 'args')[0]})"  # noqa: B009 (the class is private)


def _patches(_baseline: Baseline) -> Iterator[str]:
    for module_name, attribute, name in _PATCHERS:
        module = sys.modules.get(module_name)
        if type(module) is ModuleType and vars(module).get(attribute):
            yield f"patches by {name}"


def _descriptors(baseline: Baseline) -> Iterator[str]:
    for descriptor in baseline.new_descriptors():
        if (words := describe_unshareable(descriptor)) is not None:
            yield words


def _shared_memory(baseline: Baseline) -> Iterator[str]:
    for mapping in baseline.mappings.shared():
        if mapping not in baseline.shared:
            yield mapping.words


_PROBES: tuple[tuple[str, Callable[[Baseline], Iterable[str]]], ...] = (
    ("tracing", _tracing),
    ("a running event loop", _event_loop),
    ("patches", _patches),
    ("timers", _timers),
    ("child processes", _children),
    ("threads", _threads),
    ("logging locks", _logging_locks),
    ("temporary folders", _temporary_folders),
    ("open descriptors", _descriptors),
    ("shared memory", _shared_memory),
)
"""Each with what it is about, the cheap ones first."""


# --- how they look ---


def _tracers() -> Iterator[tuple[str, object]]:
    for tracer in (sys.gettrace(), sys.getprofile(), threading.gettrace(), threading.getprofile()):
        if tracer is not None:
            yield _maker(tracer), tracer
    monitoring = getattr(sys, "monitoring", None)  # Python 3.12
    if monitoring is not None:
        for tool in _MONITORING_TOOLS:
            if (name := monitoring.get_tool(tool)) is not None:
                yield _TRACERS.get(str(name), str(name)), name


def _maker(tracer: object) -> str:
    """The package that a trace function comes from."""
    if type(tracer) is MethodType:
        tracer = tracer.__func__
    module = tracer.__module__ if type(tracer) is FunctionType else type.__getattribute__(type(tracer), "__module__")
    package = str(module).partition(".")[0]
    return _TRACERS.get(package, package)
