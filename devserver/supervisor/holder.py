"""Who holds a port: what the system tells of the process that listens there.

Runs in the supervisor, once the port turned out to be in use. Linux, through /proc; elsewhere nothing is known. Never
raises: processes end while they are looked at.
"""

from __future__ import annotations

import ipaddress
import os
import re
import struct
from collections.abc import Collection, Iterator
from enum import StrEnum

from devserver.record import Record

_LISTEN = "0A"  # TCP_LISTEN in include/net/tcp_states.h


class Kind(StrEnum):
    """What kind of program it is, when that changes what to do about it."""

    DEVSERVER = "devserver"
    DEVELOPMENT_SERVER = "development server"
    OTHER = "other"


class Holder(Record):
    """The process that listens on a port. What the system does not tell is empty."""

    pid: int | None = None
    name: str = ""
    user: str = ""  # its owner, when it is another user's
    folder: str = ""  # its working folder
    kind: Kind = Kind.OTHER
    suspended: bool = False  # by Ctrl-Z or SIGSTOP

    def __str__(self) -> str:
        if self.pid is not None:
            return f"{self.name or 'a process'} (pid {self.pid})"
        return f"a process of {self.user}" if self.user else "another process"


def find_holder(port: int, addresses: Collection[str] = ()) -> Holder | None:
    """The process that listens on the TCP port where one of `addresses` (none: all) cannot be had beside it.

    None where the system does not tell.
    """
    inodes = {inode: uid for address, inode, uid in _listening(port) if _conflicts(address, addresses)}
    if not inodes:
        return None
    pids = sorted(_processes_with({f"socket:[{inode}]" for inode in inodes}))
    if not pids:  # other users' descriptors cannot be read
        return Holder(user=_user_name(next(iter(inodes.values()))))
    # Of processes that share the socket the one above all others is to be stopped.
    pid = next((pid for pid in pids if _status(pid)[1] not in pids), pids[0])
    arguments = _arguments(pid)
    return Holder(
        pid=pid,
        name=_program(pid, arguments),
        folder=_read_link(f"/proc/{pid}/cwd"),
        kind=_kind(arguments),
        suspended=_status(pid)[0] in "Tt",
    )


def _listening(port: int) -> Iterator[tuple[str, int, int]]:
    """(address, inode, uid) of the sockets that listen on the port (proc_pid_net(5))."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table) as file:
                lines = file.read().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if len(fields) <= 9 or fields[3] != _LISTEN:
                continue
            address, _, hex_port = fields[1].partition(":")
            if int(hex_port, 16) == port:
                yield _address(address), int(fields[9]), int(fields[7])


def _address(words: str) -> str:
    """An address as the kernel prints it: 32-bit words in the byte order of the machine."""
    numbers = [int(words[start : start + 8], 16) for start in range(0, len(words), 8)]
    packed = struct.pack(f"={len(numbers)}I", *numbers)
    return str(ipaddress.ip_address(packed))


def _conflicts(address: str, wanted: Collection[str]) -> bool:
    everywhere = {"0.0.0.0", "::"}
    return not wanted or address in everywhere or bool(everywhere & set(wanted)) or address in wanted


def _processes_with(links: set[str]) -> Iterator[int]:
    try:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return
    for pid in pids:
        try:
            descriptors = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        if any(_read_link(f"/proc/{pid}/fd/{descriptor}") in links for descriptor in descriptors):
            yield pid


def _status(pid: int) -> tuple[str, int]:
    """State letter and parent's pid (proc_pid_stat(5)); the name before them may hold spaces and brackets."""
    try:
        with open(f"/proc/{pid}/stat", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        return fields[0], int(fields[1])
    except (OSError, IndexError, ValueError):
        return "?", 0


def _arguments(pid: int) -> list[str]:
    try:
        with open(f"/proc/{pid}/cmdline", errors="replace") as file:
            return file.read().split("\0")[:-1]
    except OSError:
        return []


def _program(pid: int, arguments: list[str]) -> str:
    """Its name for people: without the version of an interpreter, printable."""
    try:
        with open(f"/proc/{pid}/comm", errors="replace") as file:
            name = file.read().strip()
    except OSError:
        name = os.path.basename(arguments[0]) if arguments else ""
    name = re.sub(r"^python[\d.]*$", "python", name)
    if name == "python" and _kind(arguments) is Kind.DEVSERVER:
        name = "devserver"
    return "".join(char for char in name if char.isprintable())


def _kind(arguments: list[str]) -> Kind:
    names = [os.path.basename(argument) for argument in arguments[:6]]
    if "devserver" in names or any(argument.startswith("devserver.") for argument in arguments[:6]):
        return Kind.DEVSERVER
    if "runserver" in names or {"uvicorn", "flask", "fastapi", "granian", "gunicorn", "hypercorn", "daphne"} & set(
        names
    ):
        return Kind.DEVELOPMENT_SERVER
    return Kind.OTHER


def _user_name(uid: int) -> str:
    if uid == os.getuid():
        return ""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _read_link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
