"""Errors as reports and pages, for those who meet one seldom: what makes them is imported when the first is made.

Runs in the server: reports are made in any thread, answers on its loop.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Sequence

from devserver.record import replace
from devserver.report import Occasion, Report, Sheet
from devserver.server.asgi import Scope, Send
from devserver.server.deferred import ours_first
from devserver.server.web.aside import in_thread
from devserver.server.web.capture import NOTHING_BROUGHT, Brought
from devserver.server.web.client import Edition
from devserver.server.web.kept import KeptErrors
from devserver.server.web.tools import Tools
from devserver.terminal import Style

_HAS_PAGE = frozenset({Occasion.LOAD, Occasion.LIFESPAN})
"""What every request is answered with."""


def make_report(
    error: BaseException,
    occasion: Occasion,
    *,
    scope: Scope | None,
    brought: Brought = NOTHING_BROUGHT,
    user_roots: Sequence[str],
    versions: Sequence[tuple[str, str]] = (),
    target: str,
    detail: str = "",
    sheets: Callable[[], Sequence[Sheet]] | None = None,
    kept: KeptErrors,
) -> Report:
    """The report of a live exception, kept if it has a page.

    `scope`, `brought`: of the request that it happened in, if there was one; `detail`: where else it happened. Variables, and what
    `sheets` tells of the app, are for those who see them: their reprs run the user's code.
    """
    with ours_first():
        from devserver.server.web import request_facts, tracebacks

    # From here on the user's code runs too, which imports as ever.
    request = None if scope is None else request_facts.request_facts(scope, brought.body, brought.session)
    has_page = occasion in _HAS_PAGE or brought.media_type == "text/html"
    examined = tracebacks.examine(
        error,
        occasion,
        request=request,
        user_roots=user_roots,
        versions=versions,
        target=target,
        with_variables=has_page or brought.media_type == "application/json",
    )
    if has_page and scope is not None:
        tables = (*request_facts.queries_sheet(brought.queries), *(_of_the_app(sheets) if sheets else ()))
        examined.report = replace(examined.report, sheets=tables)
    if detail:
        examined.report = replace(examined.report, detail=detail)
    if has_page:
        examined.context = contextvars.copy_context()
        kept.keep(examined)
    return examined.report


def _of_the_app(sheets: Callable[[], Sequence[Sheet]]) -> Sequence[Sheet]:
    try:
        return sheets()
    except Exception:  # it asks the user's code, in the middle of an error of the user's
        return ()


def text(report: Report, style: Style, *, full: bool) -> str:
    """`report` for the terminal; `full`: with all calls in libraries."""
    with ours_first():
        from devserver.terminal_report import report_text

        return report_text(report, style, full=full)


async def answer(report: Report, scope: Scope, send: Send, *, edition: Edition, tools: Tools) -> None:
    """Send `report` as the client wants it (page, JSON, text), as the answer to an HTTP request."""
    with ours_first():
        from devserver.server.web import pages, request_facts

    accept = request_facts.header(scope, b"accept")
    page = await in_thread(lambda: pages.render(report, accept, edition=edition, tools=tools))  # tens of milliseconds
    body = b"" if scope["method"] == "HEAD" else page.body
    await send({"type": "http.response.start", "status": page.status, "headers": list(page.headers)})
    await send({"type": "http.response.body", "body": body})
