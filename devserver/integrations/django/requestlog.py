"""Lines about requests, through the logger `django.server` of a project that has configured it.

`runserver` has no other way to log a request. Who sends its lines to a file, as JSON, or nowhere, or filters them by `args[0]`,
meets here what they know: the arguments (request line, status, size), and on the record `server_time`, `status_code` and `request`,
which is None.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from devserver.server.integration import LogRequest

_NAME = "django.server"


def request_log() -> LogRequest | None:
    """None where the project leaves this logger alone."""
    from django.conf import settings

    if not _is_configured(settings):
        return None
    # Handlers may write to files and networks: not on the loop, and one after the other.
    thread = ThreadPoolExecutor(1, thread_name_prefix="devserver-django-log")
    atexit.register(thread.shutdown)  # what waits is written, while there is time

    def log(method: str, path: str, status: int, size: int, seconds: float) -> None:
        thread.submit(_log, f"{method} {path} HTTP/1.1", status, size, time.localtime())

    return log


def _is_configured(settings: Any) -> bool:
    if not settings.LOGGING_CONFIG:  # then nobody but the project has
        logger = logging.getLogger(_NAME)
        return bool(logger.handlers or logger.filters or logger.level)
    configured = settings.LOGGING if isinstance(settings.LOGGING, Mapping) else {}
    return _NAME in (configured.get("loggers") or {})


def _log(line: str, status: int, size: int, when: time.struct_time) -> None:
    level = logging.ERROR if status >= 500 else logging.WARNING if status >= 400 else logging.INFO
    extra = {"request": None, "server_time": time.strftime("%d/%b/%Y %H:%M:%S", when), "status_code": status}
    try:
        logging.getLogger(_NAME).log(level, '"%s" %s %s', line, str(status or "-"), str(size), extra=extra)
    except Exception as error:  # of a filter or a handler: told like any error in a thread
        arguments = (type(error), error, error.__traceback__, threading.current_thread())
        threading.excepthook(threading.ExceptHookArgs(arguments))
