"""Lines about requests, through the logger `django.server` of a project that has configured it.

`runserver` has no other way to log a request. Who sends its lines to a file, as JSON, or nowhere, or filters them by `args[0]`,
meets here what they know: the arguments (request line, status, size), and on the record `server_time`, `status_code` and `request`,
which is None.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from devserver.server.integration import LogRequest

_NAME = "django.server"


def request_log() -> LogRequest | None:
    """None where the project leaves this logger alone."""
    from django.conf import settings

    configured = settings.LOGGING if isinstance(settings.LOGGING, Mapping) else {}
    if _NAME not in configured.get("loggers", {}):
        return None
    # Handlers may write to files and networks: not on the loop, and one after the other.
    thread = ThreadPoolExecutor(1, thread_name_prefix="devserver-django-log")

    def log(method: str, path: str, status: int, size: int, seconds: float) -> None:
        thread.submit(_log, f"{method} {path} HTTP/1.1", status, size, time.localtime())

    return log


def _log(line: str, status: int, size: int, when: time.struct_time) -> None:
    level = logging.ERROR if status >= 500 else logging.WARNING if status >= 400 else logging.INFO
    extra = {"request": None, "server_time": time.strftime("%d/%b/%Y %H:%M:%S", when), "status_code": status}
    logging.getLogger(_NAME).log(level, '"%s" %s %s', line, str(status or "-"), str(size), extra=extra)
