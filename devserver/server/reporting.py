"""The errors of one server: made into reports, shown in the terminal, answered as pages; and what pages want of the supervisor.

Runs in the server process; reports are made and shown from any thread.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from devserver.messages import Configure, EditorWanted, Message, PinJudged, PinTried, PinWanted
from devserver.record import replace
from devserver.report import Occasion, Report, Sheet
from devserver.server.asgi import Scope, Send
from devserver.server.integration import Integrated
from devserver.server.web import reports
from devserver.server.web.capture import NOTHING_BROUGHT, Brought
from devserver.server.web.client import Edition
from devserver.server.web.error_api import ErrorAPI, Keys
from devserver.server.web.kept import KeptErrors
from devserver.server.web.lines import STDERR, LineWriter
from devserver.source import working_folder


class Reporting:
    """`send` is the way to the supervisor. `edition` says of what pages are made now; it, and `lines` once
    there is a loop, are set by who owns this."""

    def __init__(self, configure: Configure, send: Callable[[Message], None]) -> None:
        self._options = configure.options
        self._target = configure.target
        self._style = configure.error_style
        self._send = send
        self._versions: tuple[tuple[str, str], ...] = ()
        self._sheets: Callable[[], Sequence[Sheet]] | None = None
        self._pins_tried: deque[asyncio.Future[PinJudged]] = deque()
        self.edition: Callable[[], Edition] = Edition
        self.lines: LineWriter | None = None
        self.kept = KeptErrors()
        self.api = ErrorAPI(
            self.kept,
            Keys(configure.page_token, configure.grant),
            show_pin=lambda: send(PinWanted()),
            judge=self._judge_pin,
            edit=None if _is_off(self._options.editor) else self._edit,
        )

    @property
    def user_roots(self) -> tuple[str, str]:
        """Where the user's code is."""
        return (self._target.app_dir, working_folder())

    def app_is_known(self, integrated: Integrated) -> None:
        """From now on reports name the framework and its version."""
        self._versions = integrated.versions
        self._sheets = integrated.sheets
        self.api.framework = integrated.name

    def make(
        self,
        error: BaseException,
        occasion: Occasion,
        scope: Scope | None = None,
        brought: Brought = NOTHING_BROUGHT,
        *,
        detail: str = "",
    ) -> Report:
        """The report of `error`; `scope` and `brought` of the request that it happened in, `detail` where else."""
        return reports.make_report(
            error,
            occasion,
            scope=scope,
            brought=brought,
            user_roots=self.user_roots,
            versions=self._versions,
            target=self._target.label,
            detail=detail,
            sheets=self._sheets,
            kept=self.kept,
        )

    def show(self, report: Report) -> None:
        """Print it in the terminal."""
        style = replace(self._style, width=shutil.get_terminal_size().columns)
        text = reports.text(report, style, full=self._options.full_tracebacks)
        if self.lines is None:
            sys.stdout.flush()
            print(text, file=sys.stderr, flush=True)  # noqa: T201 - the terminal is where it belongs
        else:
            self.lines.write(f"\n{text}\n", STDERR)

    async def answer(self, report: Report, scope: Scope, send: Send) -> None:
        """Send it to an HTTP client, with what that client may do."""
        await reports.answer(report, scope, send, edition=self.edition(), tools=self.api.tools(report, scope))

    def pin_judged(self, message: PinJudged) -> None:
        """The supervisor has answered the oldest try."""
        tried = self._pins_tried.popleft()
        if not tried.done():
            tried.set_result(message)

    def _judge_pin(self, pin: str) -> Awaitable[PinJudged]:
        tried: asyncio.Future[PinJudged] = asyncio.get_running_loop().create_future()
        self._pins_tried.append(tried)
        self._send(PinTried(pin))
        return tried

    def _edit(self, path: str, line: int, column: int) -> None:
        self._send(EditorWanted(path, line, column))


def _is_off(editor: str | None) -> bool:
    if editor is None:  # the table of editors would cost each start a millisecond
        return False
    from devserver import editors

    return editors.is_off(editor)
