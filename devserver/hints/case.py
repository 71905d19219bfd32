"""What a hint looks at. Plain data; runs in every process."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from devserver.report import Advice, ErrorInfo, Report
from devserver.source import UserCode


@dataclass(frozen=True, slots=True)
class Environment:
    """Another virtual environment near the project."""

    python: str  # path of its interpreter
    modules: frozenset[str]  # top-level names installed there


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the advice depends on beside the error. Everything may be unknown, i.e. empty."""

    siblings: tuple[str, ...] = ()  # dotted names of the modules that stand where the missing one was looked for
    installed: frozenset[str] = frozenset()  # top-level names that can be imported, the standard library left out
    environments: tuple[Environment, ...] = ()
    python: str = "python"  # the interpreter in use, as a shell would call it
    own_files: tuple[tuple[str, str], ...] = ()  # (top-level name, path) of the user's modules in the app folder
    user_roots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """What a hint looks at: one error of a report, and where it happened."""

    error: ErrorInfo
    report: Report
    around: Surroundings

    def matched(self, pattern: str) -> re.Match[str] | None:
        return re.search(pattern, self.error.message)

    def is_user_file(self, path: str) -> bool:
        return bool(path) and path in UserCode(self.around.user_roots)


Hint = Callable[[Case], Advice | None]
