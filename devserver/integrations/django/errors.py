"""What Django makes of an error itself, and what it refuses without one."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping

from devserver.integrations.consoles import leave_out_reported
from devserver.server.swallowed import swallowed


def listen() -> None:
    """From now on errors of views are reported, and refused forms explained."""
    from django.core.signals import got_request_exception

    got_request_exception.connect(_got_request_exception, dispatch_uid=__name__)
    logging.getLogger("django.security.csrf").addFilter(_ADVISING)


class _Advising(logging.Filter):
    """Django refuses a form without raising: what to do about it stands below the line in which it says so."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple) and record.args:
            from devserver.hints.django import csrf  # only who meets one needs it

            advice = csrf(str(record.args[0]))
            record.msg = f"{record.msg}\n  hint: {advice.text.replace('%', '%%')}"
        return True


_ADVISING = _Advising()


def _got_request_exception(request: object = None, **_arguments: object) -> None:
    """Django answers 500: with a page of its own, or, DEBUG being off, with what the project has for it."""
    from django.conf import settings

    error = sys.exception()
    if error is not None and swallowed(error, replace=bool(settings.DEBUG), session=_loaded_session(request)):
        leave_out_reported(logging.getLogger("django.request"))


def _loaded_session(request: object) -> Mapping[str, object] | None:
    """What the request has loaded of its session: to load it now would ask the database, which may be what has failed."""
    session = vars(request).get("session") if hasattr(request, "__dict__") else None
    cache = vars(session).get("_session_cache") if hasattr(session, "__dict__") else None
    return dict(cache) if isinstance(cache, dict) else None
