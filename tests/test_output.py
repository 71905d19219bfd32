"""Text for readers that may not be reading."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator

import pytest

from devserver.output import KEPT, Output


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """(read, write), the ends of a pipe."""
    ends = os.pipe()
    yield ends
    for fd in ends:
        try:
            os.close(fd)
        except OSError:
            pass


def read_all(fd: int) -> bytes:
    """What is there now."""
    data = b""
    while select.select([fd], [], [], 0)[0]:
        data += os.read(fd, 1 << 20)
    return data


def fill(output: Output, fd: int) -> str:
    """Write until the pipe takes no more; what was written."""
    written = ""
    number = 0
    while output.waits_for is None:
        line = f"{number} {'x' * 1000}\n"
        output.write(fd, line)
        written += line
        number += 1
    return written


def test_what_the_reader_takes_goes_out_at_once(pipe: tuple[int, int]) -> None:
    output = Output()
    output.write(pipe[1], "one\n")
    assert output.waits_for is None
    assert read_all(pipe[0]) == b"one\n"


def test_a_full_pipe_is_not_waited_for_and_loses_nothing(pipe: tuple[int, int]) -> None:
    output = Output()
    written = fill(output, pipe[1])
    output.write(pipe[1], "last\n")
    assert output.waits_for == pipe[1]
    read = read_all(pipe[0])
    while not output.flush():
        read += read_all(pipe[0])
    assert (read + read_all(pipe[0])).decode() == written + "last\n"
    assert os.get_blocking(pipe[1]), "the mode belongs to all who have it open"


def test_order_holds_over_two_descriptors(pipe: tuple[int, int]) -> None:
    output = Output()
    read, write = os.pipe()
    try:
        fill(output, pipe[1])
        output.write(write, "error\n")
        assert read_all(read) == b"", "it came after what still waits"
        while not output.flush():
            read_all(pipe[0])
        assert read_all(read) == b"error\n"
    finally:
        os.close(read)
        os.close(write)


def test_what_is_left_can_be_taken_over(pipe: tuple[int, int]) -> None:
    output = Output()
    written = fill(output, pipe[1])
    output.write(pipe[1], "a\n")
    output.write(2, "b\n")
    *_, (fd, text), last = output.take_left()
    assert last == (2, "b\n")
    assert fd == pipe[1]
    assert read_all(pipe[0]).decode() + text == written + "a\n"
    assert output.waits_for is None


def test_the_oldest_go_when_nobody_ever_reads(pipe: tuple[int, int]) -> None:
    output = Output()
    fill(output, pipe[1])
    for number in range(KEPT + 5):
        output.write(pipe[1], f"line {number}\n")
    ((_fd, text),) = output.take_left()
    assert text.startswith("line 5\n")
    assert text.endswith(f"line {KEPT + 4}\n")


def test_a_reader_that_is_gone_is_not_missed(pipe: tuple[int, int]) -> None:
    output = Output()
    os.close(pipe[0])
    output.write(pipe[1], "one\n")
    assert output.waits_for is None


def test_waiting_ends(pipe: tuple[int, int]) -> None:
    output = Output()
    fill(output, pipe[1])
    assert not output.flush_within(0.01)
    read_all(pipe[0])
    assert output.flush_within(0.01)
