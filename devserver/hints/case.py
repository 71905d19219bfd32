"""What a hint looks at. Plain data; runs in every process."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Callable, Iterable

from devserver.record import Record
from devserver.report import Advice, ErrorInfo, Frame, Report
from devserver.source import UserCode


class Environment(Record):
    """Another virtual environment near the project."""

    python: str  # path of its interpreter
    modules: frozenset[str]  # top-level names installed there


class Surroundings(Record):
    """What the advice depends on beside the error. Everything may be unknown, i.e. empty."""

    siblings: tuple[str, ...] = ()  # dotted names of the modules that stand where the missing one was looked for
    installed: frozenset[str] = frozenset()  # top-level names that can be imported, the standard library left out
    environments: tuple[Environment, ...] = ()
    python: str = "python"  # the interpreter in use, as a shell would call it
    own_files: tuple[tuple[str, str], ...] = ()  # (top-level name, path) of the user's modules in the app folder
    user_roots: tuple[str, ...] = ()
    folder: str = ""  # the working folder, from which relative paths lead


class Case(Record):
    """What a hint looks at: one error of a report, and where it happened."""

    error: ErrorInfo
    report: Report
    around: Surroundings

    @property
    def innermost(self) -> Frame | None:
        """The frame that raised the error."""
        return self.error.frames[-1] if self.error.frames else None

    @property
    def in_user_code(self) -> bool:
        """Was it raised by the user's own code, rather than by a library?"""
        return self.innermost is not None and self.innermost.is_user

    @property
    def aside(self) -> bool:
        """Did a library handle it and fail with something else? Then it is seldom the trouble."""
        return self.error.link == "context" and not self.in_user_code

    @property
    def line(self) -> str:
        """The source line that raised the error; empty where it is unknown."""
        frame = self.innermost
        return next((line.text for line in frame.source if line.number == frame.line), "") if frame else ""

    @property
    def expression(self) -> str:
        """The part of the line that failed; empty where the columns are unknown."""
        frame = self.innermost
        for line in frame.source if frame else ():
            if frame and line.number == frame.line == (frame.end_line or frame.line):
                start, end = frame.marked(line)
                return line.text[start:end]
        return ""

    def is_a(self, package: str) -> bool:
        """Is the error's class, or one of its bases, defined in `package`?"""
        return any(base.startswith(f"{package}.") for base in self.error.bases)

    def matched(self, pattern: str) -> re.Match[str] | None:
        return re.search(pattern, self.error.message)

    def is_user_file(self, path: str) -> bool:
        return bool(path) and path in UserCode(self.around.user_roots)

    def install(self, distribution: str) -> str:
        """The command that installs `distribution` into the environment in use."""
        return f"{shlex.quote(self.around.python)} -m pip install {shlex.quote(distribution)}"

    def manage(self, subcommand: str) -> str:
        """The command that runs a subcommand of Django's manage.py."""
        return f"{shlex.quote(self.around.python)} manage.py {subcommand}"


def close_name(name: str, names: Iterable[str], cutoff: float = 0.7) -> str:
    """The one of `names` that is most like `name`; empty if none is like it."""
    return next(iter(difflib.get_close_matches(name, sorted(set(names) - {name}), n=1, cutoff=cutoff)), "")


Hint = Callable[[Case], Advice | None]
