"""The middlewares in their order, outermost first. Runs in the server.

request log → host check → internal pages → live reload → error capture → static → event streams → the app (WSGI through `wsgi.py`).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from devserver.record import Record
from devserver.report import Report
from devserver.server.asgi import ASGIApp, Receive, Scope, Send
from devserver.server.deferred import ours_first
from devserver.server.integration import LogRequest, StaticMount
from devserver.server.web.capture import AnswerReport, ErrorCapture, MakeReport
from devserver.server.web.error_api import ErrorAPI
from devserver.server.web.hosts import HostCheck, HostCheckMiddleware
from devserver.server.web.internal import InternalPages
from devserver.server.web.kept import KeptErrors
from devserver.server.web.requestlog import RequestLog
from devserver.server.web.streams import EventStreams

if TYPE_CHECKING:
    from devserver.server.web.static import StaticFiles


class Stack(Record):
    """The composed app and the parts of it that others talk to."""

    app: ASGIApp
    streams: EventStreams


def prepare(static: Sequence[StaticMount]) -> None:
    """Import what `build` will need, while there is time."""
    if static:
        with ours_first():
            importlib.import_module("devserver.server.web.static")


def build(
    app: ASGIApp,
    *,
    host_check: HostCheck,
    static: Sequence[StaticMount],
    make_report: MakeReport,
    show: Callable[[Report], None],
    answer: AnswerReport,
    write_request: LogRequest | None,
    errors: ErrorAPI,
    on_static_sent: Callable[[Path, str], None] | None = None,
    kept: KeptErrors | None = None,
    framework_errors: bool = False,
    stream_opened: Callable[[int], None],
    browser_said: Callable[[bytes, str], None],
    following: Callable[[ASGIApp], ASGIApp] = lambda app: app,
) -> Stack:
    """Put the middlewares around `app`. Without `write_request` nothing is logged; `following` adds live reload."""
    streams = EventStreams(app)
    stack: ASGIApp = streams
    if static:
        prepare(static)
        from devserver.server.web.static import StaticFiles

        stack = _StaticFirst(stack, StaticFiles(static, on_sent=on_static_sent))
    stack = ErrorCapture(  # frameworks' static finders are user code too
        stack, make_report=make_report, show=show, answer=answer, kept=kept, framework_errors=framework_errors
    )
    stack = InternalPages(following(stack), errors=errors, stream_opened=stream_opened, browser_said=browser_said)
    stack = HostCheckMiddleware(stack, host_check)
    if write_request is not None:
        stack = RequestLog(stack, write_request)
    return Stack(stack, streams)


class _StaticFirst:
    """Files before the app."""

    def __init__(self, app: ASGIApp, static: StaticFiles) -> None:
        self._app = app
        self._static = static

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._static.match(scope["path"]):
            await self._static(scope, receive, send)
        else:
            await self._app(scope, receive, send)
