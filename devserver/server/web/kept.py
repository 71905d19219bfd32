"""The last errors, kept alive for the pages that show them: their frames, and what the framework itself had answered.

Runs in the server; used from its loop and from threads. Rule that holds: what a frame refers to lives as long as it is kept, so
no more than MAX_KEPT are.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING

from devserver.report import Report

if TYPE_CHECKING:
    from devserver.server.web.console import Prompt

MAX_KEPT = 20

Place = tuple[int, int]
"""Where a frame stands: the index of its error in the report, and its own in the error."""


@dataclass(frozen=True, slots=True)
class FrameworkAnswer:
    """A whole answer of the framework, as ASGI has it."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


@dataclass(slots=True)
class KeptError:
    """One error. `frames` are empty for those of dead processes; `prompts`: those that were opened in them."""

    report: Report
    frames: Mapping[Place, FrameType] = field(default_factory=dict)
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
        with self._lock:
            self._errors[error.report.id] = error
            while len(self._errors) > self._limit:
                self._errors.popitem(last=False)

    def find(self, report_id: str) -> KeptError | None:
        """None when nobody knows it, or no longer."""
        with self._lock:
            return self._errors.get(report_id)
