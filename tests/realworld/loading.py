"""Loads a project as the supervisor would and tells where it was frozen: `python -m tests.realworld.loading FILE run TARGET …`.

Runs with the Python of the project, in its folder; the answer is JSON in FILE. The first load is whole and without checkpoints;
the second knows how long the first took; the third continues from the last checkpoint of the second: it costs what a save at the
end of the load costs.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from socket import socket
from typing import TypeVar

from devserver.channel import Channel, socket_pair
from devserver.cli import execute
from devserver.messages import (
    CheckpointFrozen,
    Configure,
    Drain,
    ImportsRecorded,
    LoadEnded,
    LoadFailed,
    Message,
    Plan,
    ReadsRecorded,
    ResumeCheckpoint,
    RootReady,
    Serve,
)
from devserver.options import Options
from devserver.readset import ReadKind
from devserver.supervisor.process import RootProcess
from devserver.target import Target

LOAD_S = 180.0
SAVED = ("/",)  # no file of anybody's: only then the import graph is told
T = TypeVar("T", bound=Message)


@dataclass
class Load:
    """What one load told."""

    ms: float = 0.0
    modules: int = 0  # of the user's
    sources: list[str] = field(default_factory=list)  # in the order in which they ran
    sources_ms: list[float] = field(default_factory=list)  # when they were read
    edges: int = 0
    frozen_ms: list[float] = field(default_factory=list)  # when, since its beginning
    frozen_at: list[int] = field(default_factory=list)  # how many sources had run by then
    barrier: str = ""
    error: str = ""


class Speaker:
    """A channel whose messages are taken one by one."""

    def __init__(self, sock: socket) -> None:
        self.channel = Channel(sock)
        self._heard: deque[tuple[Message, list[int]]] = deque()

    def next(self) -> tuple[Message, list[int]]:
        deadline = time.monotonic() + LOAD_S
        while not self._heard:
            left = deadline - time.monotonic()
            if self.channel.closed or left <= 0:
                raise SystemExit("it died" if self.channel.closed else f"nothing was heard for {LOAD_S:g} s")
            self.channel.readable(left)
            self._heard += self.channel.receive()
        return self._heard.popleft()

    def wait_for(self, kind: type[T]) -> T:
        while not isinstance(message := self.next()[0], kind):
            pass
        return message


class Loader:
    """In the supervisor's place."""

    def __init__(self, options: Options, target: Target, argv: Sequence[str], root: RootProcess) -> None:
        self.root = Speaker(root.sock)
        self._chain = [self.root]  # a checkpoint whose channel ends goes
        self.root.channel.send(Configure(options, target, tuple(argv), ()))
        self.root.wait_for(RootReady)
        self._servers = 0

    @property
    def deepest(self) -> Speaker:
        return self._chain[-1]

    def load(self, at: Speaker, plan: Plan) -> Load:
        """Continue from there to the end of the load."""
        self._servers += 1
        ours, theirs = socket_pair()
        began = time.perf_counter()
        fds = [theirs.detach(), os.memfd_create("stack")]
        at.channel.send(ResumeCheckpoint(self._servers, plan=plan), fds, close_fds=True)
        server, load = Speaker(ours), Load()
        while True:
            match server.next():
                case ReadsRecorded(reads=reads), _:
                    now_ms = (time.perf_counter() - began) * 1000
                    new = [read.path for read in reads if read.kind is ReadKind.SOURCE]
                    load.sources += new
                    load.sources_ms += [now_ms] * len(new)
                case CheckpointFrozen(), (fd,):
                    load.frozen_ms.append((time.perf_counter() - began) * 1000)
                    load.frozen_at.append(len(load.sources))
                    self._chain.append(Speaker(socket(fileno=fd)))
                case LoadFailed(report=report, load_ms=load_ms), _:
                    load.ms, load.error = load_ms, f"{report.title} {report.detail}".strip()
                    return load
                case ((LoadEnded() as ended), _):
                    load.ms, load.modules, load.barrier = ended.load_ms, ended.modules, ended.barrier
                    server.channel.send(Serve(0))
                    load.edges = sum(map(len, server.wait_for(ImportsRecorded).graph.imported))
                    server.channel.send(Drain(0.0))
                    return load


def main(result: str, *arguments: str) -> int:
    """Exit status: 0 if it could be loaded."""
    loads: list[Load] = []

    def serve(options: Options, target: Target, argv: Sequence[str], root: RootProcess) -> int:
        loader = Loader(options, target, argv, root)
        loads.append(loader.load(loader.root, Plan(saved=SAVED)))
        if not loads[0].error:
            loads.append(loader.load(loader.root, Plan(checkpoints=True, saved=SAVED, load_ms=loads[0].ms)))
            loads.append(loader.load(loader.deepest, Plan(checkpoints=True, saved=SAVED, load_ms=loads[0].ms)))
        root.abandon()
        return 0

    status = execute(["devserver", *arguments], serve=serve)
    Path(result).write_text(json.dumps([asdict(load) for load in loads]))
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
