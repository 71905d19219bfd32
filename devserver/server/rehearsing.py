"""How a load goes that is not to serve: unheard, out of the way of those who are waited for, and compared at its end.

Runs in the server process. A rehearsal repeats a load behind the running server; what it prints was printed before. It may take
over, and others may continue from its checkpoints: so nothing here is for good. Its priority stays what it is, for the system
lets nobody raise it again: instead it sleeps whenever it finds that it has to share its processor.
"""

from __future__ import annotations

import fcntl
import io
import os
import sys
import time
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import suppress
from types import ModuleType
from typing import TYPE_CHECKING

from devserver.channel import Channel
from devserver.messages import OF_CACHES, DescribeState, StateDescribed, StateDigested, TakeOver
from devserver.record import Record
from devserver.server.deferred import ours_first
from devserver.server.integration import Integration
from devserver.server.load.chain import flush_output
from devserver.server.load.genuine import variables_of
from devserver.server.load.ownership import is_users

if TYPE_CHECKING:
    from devserver.server.load.digest import Digester

_LOOK_S = 0.005
_ALONE = 0.85
"""So much of its time a process has a processor that it shares with nobody."""
_PAUSES = 3.0
"""After so much work on a shared processor it sleeps so many times as long …"""
_MAX_PAUSE_S = 0.1

_FIRST_FD = 10
"""Copies stand above this: one of the first three may be closed, and is not to be taken for another."""

_sleep, _wall, _cpu = time.sleep, time.perf_counter, time.thread_time  # the user's libraries may replace them


class Courtesy:
    """Gives way between the steps of a load."""

    def __init__(self) -> None:
        self.active = False
        self._looked = (0.0, 0.0)

    def begin(self, *, active: bool) -> None:
        self.active = active
        self._looked = (_wall(), _cpu())

    def give_way(self) -> None:
        """Sleep if others wanted the processor since the last call. To be called often."""
        if not self.active:
            return
        wall, cpu = _wall() - self._looked[0], _cpu() - self._looked[1]
        if wall < _LOOK_S:
            return
        if cpu < wall * _ALONE:
            _sleep(min(wall * _PAUSES, _MAX_PAUSE_S))
        self._looked = (_wall(), _cpu())


class Mute:
    """Standard output and error, which lead nowhere as long as it is on."""

    def __init__(self) -> None:
        self._kept: dict[int, int] = {}  # where they led
        self._seeming: list[io.TextIOWrapper] = []  # say that they are terminals, as they are when it is off

    def switch(self, *, on: bool) -> None:
        if on == bool(self._kept):
            return
        flush_output()
        if on:
            for fd in (1, 2):
                with suppress(OSError):  # closed: it stays so
                    self._kept[fd] = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FIRST_FD)
            self._seem_terminals()
            nowhere = os.open(os.devnull, os.O_WRONLY)
            for fd in self._kept:
                os.dup2(nowhere, fd)
            os.close(nowhere)
            return
        for fd, kept in self._kept.items():
            os.dup2(kept, fd)
            os.close(kept)
        self._kept.clear()
        for stream in self._seeming:
            vars(stream).pop("isatty", None)
        self._seeming.clear()

    def _seem_terminals(self) -> None:
        """Whoever asks while it is loaded whether to write in colours gets the answer that holds for the server."""
        for stream in (sys.stdout, sys.stderr):
            # The app may have put anything there.
            if (
                type(stream) is io.TextIOWrapper
                and not stream.closed
                and stream.isatty()
                and stream.fileno() in self._kept
            ):
                vars(stream)["isatty"] = lambda: True
                self._seeming.append(stream)

    def descriptors(self) -> tuple[int, ...]:
        """What it has opened, or leads elsewhere."""
        return (*self._kept, *self._kept.values())


# --- its end ---


class State(Record):
    """What the load has left."""

    modules: Mapping[str, ModuleType]  # the user's
    target: object
    integrations: Sequence[Integration]
    random_numbers: object = None  # where a sequence has come to that was seeded
    error: str = ""  # the gist of what it raised

    def digesters(self, give_way: Callable[[], None]) -> tuple[Digester, ...]:
        """What is cached is looked at by itself: one load has it and another has not, and that must not show elsewhere."""
        with ours_first():
            from devserver.server.load.cached import cached_results
            from devserver.server.load.digest import Digester
            from devserver.server.load.libraries import library_state, process_state

        registries = [registry for one in self.integrations for registry in one.registries(self.target)]
        around = [*process_state(self.random_numbers), *library_state(self.modules.keys())]
        caches = Digester({}, [(OF_CACHES, cached_results(self.modules))], give_way=give_way)
        return Digester(self.modules, [*around, *registries], give_way=give_way), caches


def users_modules(ran: Container[str]) -> dict[str, ModuleType]:
    """Those that ran, and the packages among the user's that have no file to run."""
    return {name: module for name, module in tuple(sys.modules.items()) if name in ran or _is_users_namespace(module)}


def _is_users_namespace(module: object) -> bool:
    variables = variables_of(module)
    if variables.get("__file__") is not None or type(path := variables.get("__path__")).__name__ != "_NamespacePath":
        return False
    # To iterate over it would look for folders.
    return any(is_users(f"{folder}/") for folder in vars(path)["_path"] if isinstance(folder, str))


def stand_by(channel: Channel, state: State, give_way: Callable[[], None]) -> TakeOver:
    """Tell the digests of `state`, and answer what is asked about them, until this process is to serve. Ends it if the supervisor
    has gone."""
    digesters = state.digesters(give_way)
    digests = {} if state.error else {label: value for one in digesters for label, value in one.digest().items()}
    is_complete = all(one.is_complete for one in digesters)
    channel.send(StateDigested(tuple(digests.items()), is_complete, state.error))
    while True:
        if channel.wants_write:
            channel.flush_within(1.0)
        if not channel.readable(None):
            continue
        for message, _fds in channel.receive():
            match message:
                case DescribeState(labels=labels):
                    parts = {name: value for one in digesters for name, value in one.describe(labels).items()}
                    channel.send(StateDescribed(tuple(parts.items())))
                case TakeOver():
                    return message
                case _:
                    raise AssertionError(f"not for a rehearsal: {message}")
        if channel.closed:
            os._exit(1)
