"""Errors as reports and pages, for those who meet one seldom: what makes them is imported when the first is made.

Runs in the server, on its loop or before there is one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from devserver.report import Occasion, Report
from devserver.server.asgi import Scope, Send
from devserver.server.deferred import ours_first
from devserver.terminal import Style


def make_report(
    error: BaseException,
    occasion: Occasion,
    *,
    scope: Scope | None,
    user_roots: Sequence[str],
    target: str,
    detail: str = "",
) -> Report:
    """The report of a live exception; `scope` of the request it happened in, if there was one; `detail` where else."""
    with ours_first():
        from devserver.server.web import tracebacks

        request = None if scope is None else tracebacks.request_facts(scope)
        report = tracebacks.report_from_exception(
            error, occasion, request=request, user_roots=user_roots, target=target
        )
    return dataclasses.replace(report, detail=detail) if detail else report


def text(report: Report, style: Style, *, full: bool) -> str:
    """`report` for the terminal; `full`: with all calls in libraries."""
    with ours_first():
        from devserver.terminal_report import report_text

        return report_text(report, style, full=full)


async def answer(report: Report, scope: Scope, send: Send, *, run: str) -> None:
    """Send `report` as the client wants it (page, JSON, text), as the answer to an HTTP request."""
    with ours_first():
        from devserver.server.web import pages, tracebacks

        page = pages.render(report, tracebacks.header(scope, b"accept"), run=run)
    body = b"" if scope["method"] == "HEAD" else page.body
    await send({"type": "http.response.start", "status": page.status, "headers": list(page.headers)})
    await send({"type": "http.response.body", "body": body})
