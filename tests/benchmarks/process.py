"""A server under measurement as a process: started in a session of its own, watched, ended with all that it started.

Reads /proc, so it works on Linux alone. Every wait has a deadline.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

STOP_DEADLINE_S: Final = 8.0
POLL_PAUSE_S: Final = 0.001
REQUEST: Final = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: bench\r\nAccept: */*\r\nConnection: close\r\n\r\n"
)
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


class ServerFailedError(Exception):
    """A server ended, or did not answer in time; the message carries the end of its log."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Running:
    """A started server. `started` is `time.perf_counter()` just before the spawn."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    started: float

    def fail(self, what: str) -> ServerFailedError:
        tail = self.log.read_text(errors="replace")[-2000:]
        return ServerFailedError(f"{what}; its log ends with:\n{tail}")

    def wait_until_up(self, deadline_s: float = 60.0) -> Answer:
        """The first answer with status 200, however it is got; raises ServerFailedError after the deadline."""
        end = time.monotonic() + deadline_s
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise self.fail(f"the server ended with code {self.process.returncode}")
            answer = ask(self.port, timeout_s=max(0.1, end - time.monotonic()))
            if answer is not None and answer.status == 200:
                return answer
            time.sleep(POLL_PAUSE_S)
        raise self.fail(f"no answer within {deadline_s:.0f} s")

    def tree(self) -> list[int]:
        """The pids of the server and all its descendants."""
        return descendants(self.process.pid)


def ask(port: int, *, timeout_s: float) -> Answer | None:
    """GET / on a new connection to loopback; None if it was refused, reset, cut or too slow."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
            connection.sendall(REQUEST % port)
            received = bytearray()
            while chunk := connection.recv(65536):
                received += chunk
    except OSError:
        return None
    head, separator, body = bytes(received).partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    if not separator or not status or not status[0].isdigit():
        return None
    return Answer(int(status[0]), body)


def find_free_port() -> int:
    """A port that nobody listened on a moment ago: peers can't be told to report the one they took."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(command: Sequence[str], *, port: int, folder: Path, environ: Mapping[str, str]) -> Iterator[Running]:
    """Start `command` in `folder`, its output in a file as a user's redirection has it; end it with its whole tree."""
    log = folder.parent / f"{folder.name}-{port}.log"
    with log.open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Running(process, port, log, started)
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM to the group, then SIGKILL to whatever is left of the tree after the deadline; returns when all is gone."""
    with ExitStack() as stack:
        # Descriptors, not pids: they never come to mean another process.
        tree = [stack.enter_context(descriptor) for descriptor in map(_hold, descendants(process.pid)) if descriptor]
        _signal_group(process.pid, signal.SIGTERM)
        try:
            process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            pass
        _signal_group(process.pid, signal.SIGKILL)
        end = time.monotonic() + STOP_DEADLINE_S
        for survivor in tree:
            try:
                signal.pidfd_send_signal(survivor.fileno(), signal.SIGKILL)
            except ProcessLookupError:
                continue
            if not select.select([survivor], [], [], max(0.0, end - time.monotonic()))[0]:
                raise TimeoutError("a process outlived SIGKILL")
    process.wait(STOP_DEADLINE_S)


def _hold(pid: int) -> IO[bytes] | None:
    """A descriptor of the process (pidfd_open(2)), which is readable once it has ended; None if it is gone already."""
    try:
        return os.fdopen(os.pidfd_open(pid), "rb", buffering=0)
    except ProcessLookupError:
        return None


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        pass


def descendants(root: int) -> list[int]:
    """`root` and every process below it, by parent pid."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat_fields(int(entry.name))
            if fields is not None:
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time of the processes that are still there."""
    fields = [_stat_fields(pid) for pid in pids]
    return sum(int(field[11]) + int(field[12]) for field in fields if field is not None) / TICKS_PER_S


def proportional_set_size_mb(pids: Sequence[int]) -> float:
    """The memory of the processes, shared pages divided among those that share them (PSS), in MB of 10⁶ bytes."""
    total_kib = 0
    for pid in pids:
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total_kib += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total_kib * 1024 / 1e6


def _stat_fields(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on (proc(5) numbers it 3); the name before may hold spaces."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
