"""The rule against stale bytecode, case by case."""

from __future__ import annotations

import importlib.util
import marshal
import os
from pathlib import Path
from types import CodeType

import pytest

from devserver.server.load.bytecode import HEADER_SIZE, dump_bytecode, load_bytecode

SECOND_NS = 1_000_000_000
SOURCE = b"x = 'new'\n"
OLD = b"x = 'old'\n"


def compiled(source: bytes) -> CodeType:
    return compile(source, "/elsewhere/a.py", "exec")


def status_of(tmp_path: Path) -> os.stat_result:
    file = tmp_path / "a.py"
    file.write_bytes(SOURCE)
    return file.stat()


def timestamp_pyc(source: bytes, mtime: int, size: int) -> bytes:
    fields = (0, mtime & 0xFFFFFFFF, size)
    return (
        importlib.util.MAGIC_NUMBER
        + b"".join(n.to_bytes(4, "little") for n in fields)
        + marshal.dumps(compiled(source))
    )


def hash_pyc(code_of: bytes, hash_of: bytes, *, checked: bool) -> bytes:
    header = importlib.util.MAGIC_NUMBER + (0b11 if checked else 0b01).to_bytes(4, "little")
    return header + importlib.util.source_hash(hash_of) + marshal.dumps(compiled(code_of))


def runs(code: CodeType | None) -> object:
    if code is None:
        return None
    namespace: dict[str, object] = {}
    exec(code, namespace)
    return namespace["x"]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    status = status_of(tmp_path)
    data = dump_bytecode(compiled(SOURCE), SOURCE)
    code = load_bytecode(data, 0, SOURCE, status, "/here/a.py")
    assert runs(code) == "new"
    assert code is not None
    assert code.co_filename == "/here/a.py"


def test_what_is_written_is_a_checked_hash_pyc() -> None:
    data = dump_bytecode(compiled(SOURCE), SOURCE)
    assert data[:4] == importlib.util.MAGIC_NUMBER
    assert data[4:8] == b"\x03\0\0\0"
    assert data[8:HEADER_SIZE] == importlib.util.source_hash(SOURCE)


@pytest.mark.parametrize("checked", [True, False])
def test_hashes_decide(tmp_path: Path, checked: bool) -> None:
    status = status_of(tmp_path)
    assert runs(load_bytecode(hash_pyc(SOURCE, SOURCE, checked=checked), 0, SOURCE, status, "a.py")) == "new"
    assert load_bytecode(hash_pyc(OLD, OLD, checked=checked), 1 << 62, SOURCE, status, "a.py") is None


@pytest.mark.parametrize(
    ("written_after_s", "mtime_off", "size_off", "trusted"),
    [
        (2.0, 0, 0, True),
        (100.0, 0, 0, True),
        (1.9, 0, 0, False),
        (0.0, 0, 0, False),
        (-1000.0, 0, 0, False),
        (100.0, 1, 0, False),
        (100.0, 0, 1, False),
    ],
)
def test_times_decide_only_from_a_distance(
    tmp_path: Path, written_after_s: float, mtime_off: int, size_off: int, trusted: bool
) -> None:
    status = status_of(tmp_path)
    data = timestamp_pyc(SOURCE, int(status.st_mtime) + mtime_off, len(SOURCE) + size_off)
    written_ns = status.st_ctime_ns + int(written_after_s * SECOND_NS)
    assert (load_bytecode(data, written_ns, SOURCE, status, "a.py") is not None) == trusted


def test_a_preserved_mtime_does_not_deceive(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_bytes(OLD)
    long_ago = file.stat().st_mtime - 1000
    os.utime(file, (long_ago, long_ago))
    data = timestamp_pyc(OLD, int(long_ago), len(OLD))
    pyc_written_ns = int((long_ago + 500) * SECOND_NS)
    file.write_bytes(SOURCE)
    os.utime(file, (long_ago, long_ago))
    assert load_bytecode(data, pyc_written_ns, SOURCE, file.stat(), "a.py") is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"short",
        b"\0" * 16,
        importlib.util.MAGIC_NUMBER + b"\x07\0\0\0" + bytes(8),
        hash_pyc(SOURCE, SOURCE, checked=True)[:-5],
        hash_pyc(SOURCE, SOURCE, checked=True)[:HEADER_SIZE],
        hash_pyc(SOURCE, SOURCE, checked=True)[:HEADER_SIZE] + marshal.dumps("no code"),
        hash_pyc(SOURCE, SOURCE, checked=True)[:HEADER_SIZE] + b"\xff\xff\xff",
    ],
)
def test_damaged_files_are_no_bytecode(tmp_path: Path, data: bytes) -> None:
    assert load_bytecode(data, 1 << 62, SOURCE, status_of(tmp_path), "a.py") is None
