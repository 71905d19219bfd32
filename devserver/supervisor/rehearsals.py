"""The shell around `rehearsal`: its events out of what processes say, its commands carried out.

Runs in the supervisor. Decides nothing but when: a moment after a server has begun to answer, and not where memory is short.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import assert_never

from devserver.messages import HoistFailed, ImportsRecorded, LateImports, Message, Plan, StateDescribed, StateDigested
from devserver.readset import ReadKind, ReadSet, verify_all
from devserver.record import replace
from devserver.signatures import Signer
from devserver.supervisor import rehearsal
from devserver.supervisor.chain import CheckpointRecord
from devserver.supervisor.rehearsal import Digest, Start, Subject
from devserver.supervisor.tree import ServerRecord, Tree

QUIET_S = 1.0
"""So long a server has answered before anything is done behind it."""
DEADLINE_S = 120.0
"""So long a rehearsal may load, which gives way to all others."""
_MEMORY_SHARE = 3
"""A rehearsal wants so many times the memory of the server to be free."""


class Rehearsals:
    """What is done behind the running server."""

    def __init__(
        self,
        tree: Tree,
        *,
        plan: Callable[[], Plan],
        edited: Callable[[], Sequence[str]],
        call_later: Callable[[float, Callable[[], None]], None],
        prefer: Callable[[int, str, str], None],
        tell: Callable[[str, str], None],
    ) -> None:
        """`plan`: what the next load is told about checkpoints. `edited`: the sources that were saved, the latest first. `prefer`:
        a rehearsal is to serve, because of that file, and why; `tell`: the file is loaded exactly from now on, and why."""
        self._tree = tree
        self._plan = plan
        self._edited = edited
        self._call_later = call_later
        self._prefer = prefer
        self._tell = tell
        self._state = rehearsal.State()
        self._awaited = 0  # the server that is given its moment
        self._signer = Signer()  # knows what it has read: after that a stat for each file

    def serving(self, server: ServerRecord) -> None:
        """A server has begun to answer. It is given its moment, unless somebody may look at an error that is none."""
        self._awaited = server.number
        if server.hoisted and server.failed is not None:
            self._settled(server.number)
        else:
            self._call_later(QUIET_S, lambda: self._settled(server.number))

    def overtaken(self) -> None:
        """Something new is to be loaded, or the server is gone."""
        self._awaited = 0
        self._happened(rehearsal.Overtaken())

    def said(self, number: int, message: Message | None) -> None:
        """A rehearsal says this, or has ended."""
        match message:
            case None:
                self._happened(rehearsal.Ended(number))
            case ImportsRecorded(graph=graph):
                self._happened(rehearsal.GraphKnown(number, graph))
            case StateDigested(digests=digests, complete=complete, error=error):
                self._happened(rehearsal.Digested(number, Digest(dict(digests), complete, error)))
            case StateDescribed(parts=parts):
                self._happened(rehearsal.Described(number, dict(parts)))
            case LateImports(modules=modules, built=built):
                self._happened(rehearsal.LateImported(modules, built))
            case HoistFailed(module=module, reason=reason):
                self._happened(rehearsal.NotHoistable(number, module, reason))
            case _:
                raise AssertionError(f"not from a rehearsal: {message}")

    def _settled(self, number: int) -> None:
        server = self._tree.servers.get(number)
        if number != self._awaited or server is None or not self._may_begin(server):
            return
        if self._state.approved and not self._tree.chain.branch:
            self._happened(rehearsal.BranchLost())
        error = server.failed.report.gist if server.failed is not None else ""
        load_ms = server.loaded.load_ms if server.loaded is not None else 0.0
        is_true = not server.hoisted or self._is_true(server.resumed_from)
        subject = Subject(
            edited=tuple(self._edited()), hoisted=server.hoisted, load_ms=load_ms, error=error, is_true=is_true
        )
        self._happened(rehearsal.Settled(subject))

    def _is_true(self, checkpoint: CheckpointRecord) -> bool:
        """Are the files that it has read, and not written, as they were then?"""
        reads = [read for one in checkpoint.line() for read in one.reads]
        written = {read.path for read in reads if read.kind is ReadKind.WRITTEN}
        files = (read for read in reads if read.kind in (ReadKind.SOURCE, ReadKind.FILE) and read.path not in written)
        return not verify_all([ReadSet(files)], signer=self._signer)

    @staticmethod
    def _may_begin(server: ServerRecord) -> bool:
        """What it holds for itself a second process could not have; and all need memory."""
        exclusive = server.loaded.exclusive if server.loaded is not None else ()
        return not exclusive and _free_bytes() > _MEMORY_SHARE * _used_bytes(server.pid)

    def _happened(self, event: rehearsal.Event) -> None:
        self._state, orders = rehearsal.advance(self._state, event)
        for command in orders:
            self._carry_out(command)

    def _carry_out(self, command: rehearsal.Command) -> None:
        match command:
            case rehearsal.Rehearse():
                self._rehearse(command)
            case rehearsal.End(rehearsal=number):
                self._tree.kill(number)
            case rehearsal.Describe(rehearsal=number, labels=labels):
                self._tree.describe_state(number, labels)
            case rehearsal.Approve():
                self._tree.chain.is_branch_approved = True
            case rehearsal.LeaveBranch():
                self._tree.chain.leave_branch()
            case rehearsal.Prefer(rehearsal=number, file=file, why=why):
                self._prefer(number, file, why)
            case rehearsal.TellExactOnly(file=file, why=why):
                self._tell(file, why)
            case _:
                assert_never(command)

    def _rehearse(self, command: rehearsal.Rehearse) -> None:
        server = self._tree.servers.get(self._awaited)
        if server is None:
            return
        state = self._state
        plan = replace(self._plan(), rehearses=True, hoist=command.levels, late=state.late, early=state.early())
        plan = replace(plan, checkpoints=bool(command.levels) or command.extends_line)
        line = self._tree.chain.line
        match command.start:
            case Start.END:
                parent = line[-1]
            case Start.FILES:
                parent = before_all(line, command.files)
            case Start.BRANCH:
                parent = server.resumed_from
            case _:
                assert_never(command.start)
        self._tree.rehearse(command.rehearsal, parent, plan)
        self._call_later(DEADLINE_S, lambda: self._deadline(command.rehearsal))

    def _deadline(self, number: int) -> None:
        if number in self._state.alive() and number not in self._state.digests:
            self._tree.kill(number)


def before_all(line: Sequence[CheckpointRecord], files: Sequence[str]) -> CheckpointRecord:
    """The last checkpoint that none of these files has been run in."""
    for position, checkpoint in enumerate(line):
        if any(read.kind is ReadKind.SOURCE for file in files for read in checkpoint.reads.reads_of(file)):
            return line[max(0, position - 1)]
    return line[-1]


def _free_bytes() -> int:
    """What the system has left, and the group that the command is put into."""
    found = [_number_in(Path("/proc/meminfo"), "MemAvailable:") * 1024]
    group = Path("/sys/fs/cgroup")
    try:
        found.append(int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    except (OSError, ValueError):  # another version of cgroups, or no limit
        pass
    return min(found)


def _used_bytes(pid: int) -> int:
    return _number_in(Path(f"/proc/{pid}/status"), "VmRSS:") * 1024


def _number_in(path: Path, name: str) -> int:
    """The number behind `name` in a file of the kernel's."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), 0)
