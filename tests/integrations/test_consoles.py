"""Which handlers are not told of an error that is reported."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from queue import SimpleQueue

import pytest

from devserver.integrations.consoles import leave_out_reported
from devserver.server.swallowed import Slot, current, swallowed

ERROR, OTHER = ValueError("reported"), ValueError("another")


class Console(io.StringIO):
    def fileno(self) -> int:
        return 2


@pytest.fixture
def console() -> Console:
    return Console()


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """Below a parent of its own, in a request whose error is reported."""
    logger = logging.Logger("shop.views")  # noqa: LOG001 - one that nobody finds afterwards
    logger.parent = logging.Logger("shop")  # noqa: LOG001
    token = current.set(Slot())
    swallowed(ERROR)
    yield logger
    current.reset(token)


def log(logger: logging.Logger) -> None:
    leave_out_reported(logger)
    for error in (ERROR, OTHER):
        logger.error("broken", exc_info=error)
    logger.error("a word")


@pytest.mark.parametrize("of_parent", [False, True])
def test_the_console_is_told_of_other_errors(*, logger: logging.Logger, console: Console, of_parent: bool) -> None:
    assert logger.parent is not None
    (logger.parent if of_parent else logger).addHandler(logging.StreamHandler(console))
    log(logger)
    text = console.getvalue()
    assert "reported" not in text
    assert "another" in text
    assert "a word" in text


def test_so_is_the_handler_of_last_resort(
    logger: logging.Logger, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "lastResort", logging.StreamHandler(console))
    log(logger)
    assert "reported" not in console.getvalue()
    assert "another" in console.getvalue()


def test_files_and_other_streams_get_all(logger: logging.Logger, tmp_path: Path) -> None:
    stream, file = io.StringIO(), logging.FileHandler(tmp_path / "log")
    logger.addHandler(logging.StreamHandler(stream))
    logger.addHandler(file)
    log(logger)
    file.close()
    for text in (stream.getvalue(), (tmp_path / "log").read_text()):
        assert "reported" in text
        assert "another" in text


def test_a_console_behind_a_queue_is_one(logger: logging.Logger, console: Console) -> None:
    """Its thread has no request."""
    records: SimpleQueue[logging.LogRecord] = SimpleQueue()
    handler = QueueHandler(records)
    listener = QueueListener(records, logging.StreamHandler(console))
    vars(handler)["listener"] = listener  # as from Python 3.12 on, and as Litestar does
    listener.start()
    logger.addHandler(handler)
    log(logger)
    listener.stop()
    assert "reported" not in console.getvalue()
    assert "another" in console.getvalue()
