"""Which bytecode may stand for a source, and the bytecode that is written: the rule against stale `.pyc` files.

Runs in the server. CPython trusts a `.pyc` when the source's mtime in whole seconds and its size match; two saves of
equal size within a second, or a preserved mtime, leave old code in force. Here the source is always read, and bytecode
is trusted only

- if it carries the hash of this very source (PEP 552), checked or not, or
- if it carries the source's mtime and size, and was written at least 2 s after the source last changed (its ctime,
  which nobody can preserve).

What is written carries the hash and is to be checked by every reader.
"""

from __future__ import annotations

import _imp
import marshal
import os
from importlib.util import MAGIC_NUMBER, source_hash
from types import CodeType

HEADER_SIZE = 16
_HASH_BASED = 0b01
_CHECKED = 0b10
_MARGIN_NS = 2_000_000_000


def load_bytecode(
    data: bytes, written_ns: int, source: bytes, status: os.stat_result, source_path: str
) -> CodeType | None:
    """The code in `data`, the content of a `.pyc` with the mtime `written_ns`, if it may stand for `source`.

    `status` is that of the source, taken before it was read.
    """
    if not _is_valid(data, written_ns, source, status):
        return None
    try:
        code = marshal.loads(memoryview(data)[HEADER_SIZE:])
    except (EOFError, ValueError, TypeError):  # cut short, by a full disk for example
        return None
    if not isinstance(code, CodeType):
        return None
    _imp._fix_co_filename(code, source_path)  # type: ignore[attr-defined]  # the project may have been moved since
    return code


def dump_bytecode(code: CodeType, source: bytes) -> bytes:
    """The content of a checked hash-based `.pyc`."""
    flags = _HASH_BASED | _CHECKED
    return b"".join((MAGIC_NUMBER, flags.to_bytes(4, "little"), source_hash(source), marshal.dumps(code)))


def _is_valid(data: bytes, written_ns: int, source: bytes, status: os.stat_result) -> bool:
    if len(data) < HEADER_SIZE or data[:4] != MAGIC_NUMBER:
        return False
    flags = int.from_bytes(data[4:8], "little")
    if flags & ~(_HASH_BASED | _CHECKED):
        return False
    if flags & _HASH_BASED:
        return data[8:16] == source_hash(source)
    return (
        int.from_bytes(data[8:12], "little") == int(status.st_mtime) & 0xFFFFFFFF
        and int.from_bytes(data[12:16], "little") == len(source) & 0xFFFFFFFF
        and written_ns >= status.st_ctime_ns + _MARGIN_NS
    )
