"""What a socket's descriptor says of itself, without a socket object.

Runs in the server. `socket.socket(fileno=…)` would set the blocking mode under `socket.setdefaulttimeout`, also for all others who
hold the socket, so the C library is asked. Rules that hold: nothing is changed, duplicated or closed; nothing raises.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Callable

_SIZE = 128  # of sockaddr_storage
_FAMILIES = {getattr(socket, name): name[3:].lower() for name in dir(socket) if name.startswith("AF_")}
_library = ctypes.CDLL(None)


def is_listening(fd: int) -> bool:
    """Does this socket accept connections? False for what is no socket."""
    value, size = ctypes.c_int(0), ctypes.c_uint(ctypes.sizeof(ctypes.c_int))
    option = getattr(socket, "SO_ACCEPTCONN", None)
    if option is None:
        return False
    failed = _library.getsockopt(fd, socket.SOL_SOCKET, option, ctypes.byref(value), ctypes.byref(size))
    return not failed and bool(value.value)


def local_address(fd: int) -> str:
    """`127.0.0.1:8000`, a path, `@name` in the abstract namespace, a family's name; empty if it has none."""
    return _address(_library.getsockname, fd)


def peer_address(fd: int) -> str:
    """The other end, as above; empty if it is not connected."""
    return _address(_library.getpeername, fd)


def _address(call: Callable[..., int], fd: int) -> str:
    buffer, size = ctypes.create_string_buffer(_SIZE), ctypes.c_uint(_SIZE)
    if call(fd, buffer, ctypes.byref(size)) or size.value < 2:
        return ""
    return _written(buffer.raw[: size.value])


def _written(address: bytes) -> str:
    (family,) = struct.unpack_from("=H", address)
    data = address[2:]
    if family == socket.AF_INET and len(data) >= 6:
        return f"{socket.inet_ntop(family, data[2:6])}:{int.from_bytes(data[:2], 'big')}"
    if family == socket.AF_INET6 and len(data) >= 22:
        return f"[{socket.inet_ntop(family, data[6:22])}]:{int.from_bytes(data[:2], 'big')}"
    if family == socket.AF_UNIX:
        if data[:1] == b"\0" and len(data) > 1:
            return "@" + data[1:].decode(errors="replace")
        return data.partition(b"\0")[0].decode(errors="replace")
    return _FAMILIES.get(family, f"family {family}")
