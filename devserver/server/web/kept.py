"""The last errors, kept alive for the pages that show them: their frames, and what the framework itself had answered.

Runs in the server; used from its loop and from threads. What a frame refers to lives as long as it is kept: database transactions,
files, data. So only errors that have a page are kept, few of them, one for each address, and no longer than the page.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from contextvars import Context
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING

from devserver.record import Record
from devserver.report import Report

if TYPE_CHECKING:
    from devserver.server.web.console import Prompt

MAX_KEPT = 8

Place = tuple[int, int]
"""Where a frame stands: the index of its error in the report, and its own in the error."""


class FrameworkAnswer(Record):
    """A whole answer of the framework, as ASGI has it."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


@dataclass(slots=True)
class KeptError:
    """One error. `prompts`: those that were opened in its frames; `context`: of the request, for code that asks for it."""

    report: Report
    frames: Mapping[Place, FrameType] = field(default_factory=dict)
    context: Context | None = None
    framework_answer: FrameworkAnswer | None = None
    prompts: dict[Place, Prompt] = field(default_factory=dict)


class KeptErrors:
    """The last errors of this process, by the id of their report. The oldest goes when there are too many."""

    def __init__(self, limit: int = MAX_KEPT) -> None:
        self._limit = limit
        self._errors: OrderedDict[str, KeptError] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._errors)

    def keep(self, error: KeptError) -> None:
        """In place of one of the same address, for who asks again has left that page."""
        let_go: list[KeptError] = []  # outside of the lock: what goes with it may run anything
        with self._lock:
            address = _address(error.report)
            same = [id_ for id_, kept in self._errors.items() if address and _address(kept.report) == address]
            let_go += [self._errors.pop(id_) for id_ in same]
            self._errors[error.report.id] = error
            while len(self._errors) > self._limit:
                let_go.append(self._errors.popitem(last=False)[1])

    def page_left(self, report_id: str) -> None:
        """Nobody looks at the page any more: its frames go. What the framework had answered may be what is looked at now."""
        error = self.find(report_id)
        if error is not None:
            error.frames, error.prompts, error.context = {}, {}, None

    def find(self, report_id: str) -> KeptError | None:
        """None when nobody knows it, or no longer."""
        with self._lock:
            return self._errors.get(report_id)


def _address(report: Report) -> str:
    return f"{report.request.method} {report.request.url}" if report.request is not None else ""
