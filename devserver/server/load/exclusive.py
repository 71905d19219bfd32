"""What this process holds and a second one could not hold at the same time.

Runs in the server, after the load. A server that holds something exclusive is ended before its successor loads. Linux through
/proc/self; where the system does not tell, nothing is found. Not through /proc/locks: the kernel stops all locking to show that,
which takes it 10 ms and more.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator

from devserver import processes
from devserver.server.load.descriptors import Descriptor, file_state, open_descriptors
from devserver.server.load.sockets import is_listening, local_address
from devserver.source import display_path


def exclusive_resources() -> tuple[str, ...]:
    """What this process holds that its successor will want: listening sockets, file locks, child processes."""
    return (*_held_by_descriptors(), *(f"child process {pid}" for pid in processes.own_children()))


def _held_by_descriptors() -> Iterator[str]:
    try:
        descriptors = open_descriptors()
    except OSError:
        return
    for descriptor in descriptors:
        if descriptor.kind == stat.S_IFSOCK and is_listening(descriptor.fd):
            address = local_address(descriptor.fd)
            is_path = address.startswith(("/", "@")) or ":" not in address
            yield f"socket {address}" if is_path else f"port {address.rpartition(':')[2]}"
        elif descriptor.kind in {stat.S_IFREG, stat.S_IFDIR} and _is_locked(descriptor):
            yield f"a lock on {display_path(descriptor.path)}"


def _is_locked(descriptor: Descriptor) -> bool:
    try:
        return file_state(descriptor.fd).is_locked
    except (OSError, KeyError, ValueError):  # closed meanwhile
        return False
