"""What a framework logs of an error that the terminal shows anyway is left out of the console. Runs in the server process.

Rules that hold: only records of an error that will be reported; only handlers that write to standard output or standard error,
so files, mails and services that collect errors get all.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from devserver.server.swallowed import is_reported

_REPORTED = "devserver_reports_it"


class _Marking(logging.Filter):
    """Of a logger: it runs where the error is logged, while a handler behind a queue runs in a thread of its own."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and is_reported(error):
            setattr(record, _REPORTED, True)
        return True


class _LeavingOut(logging.Filter):
    """Of a handler."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not hasattr(record, _REPORTED)


_MARKING, _LEAVING_OUT = _Marking(), _LeavingOut()


def leave_out_reported(logger: logging.Logger) -> None:
    """To be called each time before `logger` is told of an error: handlers can be added at any time."""
    logger.addFilter(_MARKING)
    for handler in _handlers(logger):
        if _writes_to_console(handler):
            handler.addFilter(_LEAVING_OUT)


def _handlers(logger: logging.Logger) -> Iterator[logging.Handler]:
    """All that get what `logger` is told, also from the thread behind a queue."""
    current: logging.Logger | None = logger
    is_any = False
    while current is not None:
        for handler in current.handlers:
            is_any = True
            yield handler
            yield from getattr(getattr(handler, "listener", None), "handlers", ())
        current = current.parent if current.propagate else None
    if not is_any and logging.lastResort is not None:
        yield logging.lastResort


def _writes_to_console(handler: logging.Handler) -> bool:
    if not isinstance(handler, logging.StreamHandler) or isinstance(handler, logging.FileHandler):
        return False
    try:
        return handler.stream.fileno() in (1, 2)
    except (AttributeError, OSError, ValueError):  # no file; closed
        return False
