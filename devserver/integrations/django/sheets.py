"""What a page about an error tells of a Django project beside the error: its settings, and the queries of the request."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Sequence
from typing import Any

from devserver.report import Sheet
from devserver.server.swallowed import queried
from devserver.server.web.reprs import HIDDEN, named_repr


def listen() -> None:
    """From now on the queries that Django logs for itself (DEBUG) are known by request."""
    if "django.db" in sys.modules:
        from django.db.backends.signals import connection_created

        connection_created.connect(_note_queries, dispatch_uid=__name__)


class _Queries(deque[dict[str, str]]):
    """A connection's log of queries. By the context in which a query runs its request is found, in whichever thread."""

    def append(self, entry: dict[str, str]) -> None:
        super().append(entry)
        try:
            queried(str(entry["sql"]), float(entry["time"]))
        except (KeyError, TypeError, ValueError):  # of a backend that logs otherwise
            pass


def _note_queries(connection: Any = None, **_arguments: object) -> None:
    log = getattr(connection, "queries_log", None)
    if type(log) is deque:
        connection.queries_log = _Queries(log, log.maxlen)


def settings_sheet() -> Sequence[Sheet]:
    """What the project sets, as Django itself would show it."""
    from django.conf import settings
    from django.views.debug import get_default_exception_reporter_filter

    shown = get_default_exception_reporter_filter()
    rows = [("DJANGO_SETTINGS_MODULE", str(getattr(settings, "SETTINGS_MODULE", "none: settings.configure()")))]
    for name, value in sorted(shown.get_safe_settings().items()):
        if name != "SETTINGS_MODULE" and settings.is_overridden(name):
            is_hidden = isinstance(value, str) and value == getattr(shown, "cleansed_substitute", None)
            rows.append((name, HIDDEN if is_hidden else named_repr(name, value)))
    return (Sheet("Settings of the project", tuple(rows)),)
