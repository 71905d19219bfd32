"""What a framework checks of itself before it serves, done after: nobody waits for it.

Runs in the server, in a thread of its own, once the app serves and nothing is asked of it. What is serious stands in the way
of the app from then on, as a page; the rest is told in the terminal.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

from devserver.messages import ChecksEnded
from devserver.report import Advice, ErrorInfo, Occasion, Report
from devserver.server.integration import Checked, Integration, Issue, check
from devserver.source import frames_of

QUIET_S = 0.3
"""So long after the app began to serve, and after each look at it that found it busy."""
MAX_LOOKS = 20
"""An app that is always busy is checked all the same."""
_FAILED = "SystemCheckError"


class Checks:
    """`failed` and `told` are called on the loop: with the report of what is serious, and with all that is to be told; `raised` in
    the thread, with what the check itself raised."""

    def __init__(
        self,
        integrations: Sequence[Integration],
        *,
        user_roots: Sequence[str],
        versions: Sequence[tuple[str, str]],
        is_busy: Callable[[], bool],
        failed: Callable[[Report], None],
        told: Callable[[ChecksEnded], None],
        raised: Callable[[BaseException], None],
    ) -> None:
        self._integrations = tuple(one for one in integrations if type(one).check is not Integration.check)
        self._user_roots = tuple(user_roots)
        self._versions = tuple(versions)
        self._is_busy = is_busy
        self._failed = failed
        self._told = told
        self._raised = raised
        self._looks = 0

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """On the loop, when the app serves."""
        if self._integrations:
            loop.call_later(QUIET_S, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._looks += 1
        if self._is_busy() and self._looks < MAX_LOOKS:
            loop.call_later(QUIET_S, self._look, loop)
        else:
            threading.Thread(target=self._run, args=(loop,), name="devserver-checks", daemon=True).start()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            checked = check(self._integrations)
            failure = self._failure(checked) if checked.failures else None
            ended = ChecksEnded(tuple(self._warning(issue) for issue in checked.warnings), checked.notices, failure)
        except BaseException as error:  # user code runs here
            self._raised(error)
            return
        try:
            loop.call_soon_threadsafe(self._end, ended)
        except RuntimeError:  # the loop has ended meanwhile
            pass

    def _end(self, ended: ChecksEnded) -> None:
        if ended.failure is not None:
            self._failed(ended.failure)
        self._told(ended)

    def _failure(self, checked: Checked) -> Report:
        count = len(checked.failures)
        title = f"{self._integrations[0].name} checked the project and found {count} error{'s' if count > 1 else ''}"
        first = ErrorInfo(type_name=_FAILED, message=title, frames=(), bases=(_FAILED,))
        errors = (first, *(self._error(issue, link="finding", parent=0) for issue in checked.failures))
        return Report(Occasion.LOAD, title, errors, advice=_advice(checked.failures), versions=self._versions)

    def _warning(self, issue: Issue) -> Report:
        error = self._error(issue)
        return Report(Occasion.WARNING, error.message, (error,), advice=_advice([issue]))

    def _error(self, issue: Issue, *, link: str = "", parent: int | None = None) -> ErrorInfo:
        frames = frames_of([issue.place] if issue.place else [], self._user_roots)
        return ErrorInfo(type_name=issue.name, message=issue.text, frames=frames, link=link, parent=parent)


def _advice(issues: Sequence[Issue]) -> tuple[Advice, ...]:
    return tuple(Advice(text) for text in dict.fromkeys(issue.hint for issue in issues) if text)
