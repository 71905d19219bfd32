"""What this process holds and a second one could not hold at the same time.

Runs in the server, after the load. A server that holds something exclusive is ended before its successor loads. Linux through
/proc; where the system does not tell, nothing is found.
"""

from __future__ import annotations

import os
from pathlib import Path

from devserver import processes
from devserver.server.load.sockets import is_listening, local_address


def exclusive_resources() -> tuple[str, ...]:
    """What this process holds that its successor will want: listening sockets, file locks, child processes."""
    return (*_listening_sockets(), *_file_locks(), *_child_processes())


def _listening_sockets() -> list[str]:
    found = []
    for name in _names("/proc/self/fd"):
        if is_listening(int(name)):
            address = local_address(int(name))
            is_path = address.startswith(("/", "@")) or ":" not in address
            found.append(f"socket {address}" if is_path else f"port {address.rpartition(':')[2]}")
    return found


def _file_locks() -> list[str]:
    try:
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return []
    me = str(os.getpid())
    locks = [fields for line in lines if len(fields := line.split()) > 5 and fields[4] == me and fields[1] != "->"]
    return [f"a file lock (inode {fields[5].rpartition(':')[2]})" for fields in locks]


def _child_processes() -> list[str]:
    return [f"child process {pid}" for pid in processes.own_children()]


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
