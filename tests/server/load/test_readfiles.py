"""Files open for reading across a freeze: real forks that read on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.server.load.probing import probe

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux's /proc")

NOTE = """
import os
from devserver.server.load.readfiles import ReadFiles
with open("data", "w") as file: file.write("abcdef")
"""


def test_why_an_offset_must_not_be_shared(tmp_path: Path) -> None:
    found = probe(
        tmp_path,
        NOTE
        + """
file = open("data", buffering=1)
def read_on(): return file.read()
result = [in_child(read_on), in_child(read_on)]
""",
        forks=True,
    )
    assert found.result == ["abcdef", ""]


@pytest.mark.parametrize("removed", ["", "os.unlink('data')"])
@pytest.mark.parametrize("offset", [0, 2, 6])
def test_each_reads_on_from_where_the_load_was(offset: int, removed: str, tmp_path: Path) -> None:
    found = probe(
        tmp_path,
        NOTE
        + f"""
file = open("data", "rb", buffering=0)
file.read({offset})
{removed}
files = ReadFiles.note(baseline)
def read_on():
    files.reopen()
    return [file.tell(), file.read().decode(), file.tell(), os.get_inheritable(file.fileno())]
result = [in_child(read_on), in_child(read_on), [file.tell()]]
""",
        forks=True,
    )
    assert found.result == [[offset, "abcdef"[offset:], 6, False]] * 2 + [[offset]]


def test_a_buffered_file(tmp_path: Path) -> None:
    """What the file object has read ahead is its own already."""
    found = probe(
        tmp_path,
        NOTE
        + """
with open("long", "w") as file: file.writelines(f"{number}\\n" for number in range(50_000))
file = open("long")
next(file)
files = ReadFiles.note(baseline)
def read_on():
    files.reopen()
    return sum(1 for _ in file)
result = [in_child(read_on), in_child(read_on)]
""",
        forks=True,
    )
    assert found.result == [49_999] * 2


def test_a_log_that_is_read_as_well(tmp_path: Path) -> None:
    found = probe(
        tmp_path,
        NOTE
        + """
file = open("data", "ab+", buffering=0)
file.seek(2)
files = ReadFiles.note(baseline)
def read_on():
    files.reopen()
    read = file.read().decode()
    file.write(b"!")
    return read
result = [in_child(read_on), in_child(read_on)]
""",
        forks=True,
    )
    assert found.result == ["cdef", "cdef!"]
    assert (tmp_path / "data").read_text() == "abcdef!!"


def test_a_folder_half_listed(tmp_path: Path) -> None:
    found = probe(
        tmp_path,
        NOTE
        + """
os.mkdir("folder")
for number in range(2000): open(f"folder/{number}", "w").close()
entries = os.scandir("folder")
first = next(entries).name
files = ReadFiles.note(baseline)
def list_on():
    files.reopen()
    return len({first, *(entry.name for entry in entries)})
result = [in_child(list_on), in_child(list_on)]
""",
        forks=True,
    )
    assert found.result == [2000, 2000]


def test_what_is_not_the_users_is_left_alone(tmp_path: Path) -> None:
    found = probe(
        tmp_path,
        NOTE
        + """
from devserver.server.load.barriers import Baseline
own = open("data", "rb", buffering=0)
baseline = Baseline.take()
closed, moved, written = open("data", "rb"), open("data", "rb"), open("out", "w")
place = os.open("data", os.O_PATH)
files = ReadFiles.note(baseline)
closed.close()
os.dup2(written.fileno(), moved.fileno())
before = sorted(os.listdir("/proc/self/fd"))
def read():
    files.reopen()
    return own.read().decode()
result = [in_child(read), own.tell(), before == sorted(os.listdir("/proc/self/fd"))]
""",
        forks=True,
    )
    assert found.result == ["abcdef", 6, True]
