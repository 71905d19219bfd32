"""Logs across a freeze: real handlers, real rotation, real forks."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.server.load.probing import probe

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux's /proc")

FILE_HANDLER = """
import fcntl, logging, logging.handlers, os
from devserver.server.load.logfiles import AppendedFiles
handler = logging.FileHandler("app.log")
logging.basicConfig(handlers=[handler], format="%(message)s", level=logging.INFO)
logging.info("loaded")
files = AppendedFiles.note(baseline)
def resumed(text="resumed"):
    failed = files.reopen()
    logging.info(text)
    fd = handler.stream.fileno()
    return [list(failed), os.get_inheritable(fd), bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_APPEND)]
"""


def test_a_log_that_stayed(tmp_path: Path) -> None:
    found = probe(
        tmp_path,
        FILE_HANDLER
        + """
inode = os.fstat(handler.stream.fileno()).st_ino
result = [in_child(resumed), in_child(resumed), os.stat("app.log").st_ino == inode]
""",
        forks=True,
    )
    assert found.result == [[[], False, True], [[], False, True], True]
    assert (tmp_path / "app.log").read_text().split() == ["loaded", "resumed", "resumed"]


def test_a_log_that_was_moved_away(tmp_path: Path) -> None:
    found = probe(
        tmp_path,
        FILE_HANDLER + "os.rename('app.log', 'app.log.1'); result = [in_child(resumed), in_child(resumed)]",
        forks=True,
    )
    assert found.result == [[[], False, True]] * 2
    assert (tmp_path / "app.log.1").read_text().split() == ["loaded"]
    assert (tmp_path / "app.log").read_text().split() == ["resumed", "resumed"]


def test_a_log_that_was_removed(tmp_path: Path) -> None:
    found = probe(tmp_path, FILE_HANDLER + "os.unlink('app.log'); result = in_child(resumed)", forks=True)
    assert found.result == [[], False, True]
    assert (tmp_path / "app.log").read_text().split() == ["resumed"]


def test_a_log_in_whose_place_another_is(tmp_path: Path) -> None:
    source = "open('new', 'w').write('new\\n'); os.rename('new', 'app.log'); result = in_child(resumed)"
    found = probe(tmp_path, FILE_HANDLER + source, forks=True)
    assert found.result == [[], False, True]
    assert (tmp_path / "app.log").read_text().split() == ["new", "resumed"]


def test_the_parent_keeps_its_file(tmp_path: Path) -> None:
    """It stays frozen as it is: each that continues looks for itself."""
    found = probe(
        tmp_path,
        FILE_HANDLER
        + "os.rename('app.log', 'old'); in_child(resumed); logging.info('parent'); result = files.reopen()",
        forks=True,
    )
    assert found.result == []
    assert (tmp_path / "old").read_text().split() == ["loaded", "parent"]


@pytest.mark.parametrize("made", ["os.mkdir('app.log')", "os.mkfifo('app.log')"])
def test_a_log_in_whose_place_is_no_file(made: str, tmp_path: Path) -> None:
    """A pipe that nobody reads would be waited for without end."""
    found = probe(
        tmp_path, FILE_HANDLER + f"os.rename('app.log', 'old'); {made}; result = in_child(resumed)", forks=True
    )
    assert found.result == [[str(tmp_path / "app.log")], False, True]
    assert (tmp_path / "old").read_text().split() == ["loaded", "resumed"]


def test_a_log_whose_folder_went(tmp_path: Path) -> None:
    source = FILE_HANDLER.replace("handler = ", "os.mkdir('logs')\nhandler = ").replace('"app.log"', '"logs/app.log"')
    found = probe(tmp_path, source + "os.rename('logs', 'old'); result = in_child(resumed)", forks=True)
    assert found.result == [[str(tmp_path / "logs/app.log")], False, True]
    assert (tmp_path / "old/app.log").read_text().split() == ["loaded", "resumed"]


def test_a_rotating_handler(tmp_path: Path) -> None:
    """One server rotates; the next continues from before that, and rotates in its turn."""
    found = probe(
        tmp_path,
        """
        import logging, logging.handlers
        from devserver.server.load.logfiles import AppendedFiles
        handler = logging.handlers.RotatingFileHandler("app.log", maxBytes=20, backupCount=9)
        logging.basicConfig(handlers=[handler], format="%(message)s", level=logging.INFO)
        logging.info("loaded")
        files = AppendedFiles.note(baseline)
        def serve(name):
            failed = files.reopen()
            for number in range(3):
                logging.info("%s %d", name, number)
            return failed
        result = [in_child(lambda: serve("first")), in_child(lambda: serve("second"))]
        """,
        forks=True,
    )
    assert found.result == [[], []]
    lines = [path.read_text().splitlines() for path in sorted(tmp_path.glob("app.log*"), reverse=True)]
    assert [line for file in lines for line in file] == [
        "loaded", "first 0", "first 1", "first 2", "second 0", "second 1", "second 2",
    ]  # fmt: skip
    assert all(len("\n".join(file)) < 20 for file in lines)


def test_a_watched_handler(tmp_path: Path) -> None:
    found = probe(
        tmp_path,
        FILE_HANDLER.replace("logging.FileHandler", "logging.handlers.WatchedFileHandler")
        + "os.rename('app.log', 'old'); result = in_child(resumed)",
        forks=True,
    )
    assert found.result == [[], False, True]
    assert (tmp_path / "app.log").read_text().split() == ["resumed"]


def test_a_descriptor_that_is_kept_over_exec(tmp_path: Path) -> None:
    source = FILE_HANDLER.replace("files =", "os.set_inheritable(handler.stream.fileno(), True)\nfiles =")
    found = probe(tmp_path, source + "os.unlink('app.log'); result = in_child(resumed)", forks=True)
    assert found.result == [[], True, True]


def test_what_is_no_log_is_left_alone(tmp_path: Path) -> None:
    """Nameless files, files closed since, numbers that lead elsewhere since, descriptors of the server's own."""
    found = probe(
        tmp_path,
        """
        import os
        from devserver.server.load.barriers import Baseline
        from devserver.server.load.logfiles import AppendedFiles
        own = open("own.log", "a")
        baseline = Baseline.take()
        nameless, closed, other, data = (open(name, "a") for name in ("nameless", "closed", "other", "data"))
        os.unlink("nameless")
        files = AppendedFiles.note(baseline)
        for name in ("own.log", "closed", "other"):
            os.unlink(name)
        closed.close()
        os.dup2(data.fileno(), other.fileno())
        number = len(os.listdir("/proc/self/fd"))
        failed = files.reopen()
        result = [list(failed), number == len(os.listdir("/proc/self/fd")), sorted(os.listdir("."))]
        """,
    )
    assert isinstance(found.result, list)
    failed, same_number, names = found.result
    assert same_number
    assert failed == [str(tmp_path / "closed")] or failed == []
    assert [name for name in names if name not in {"__pycache__", "tasks.py"}] == ["data"]
