"""What a framework's integration may say and do. `server/main.py` asks; `devserver/integrations/` answers.

An integration is chosen by what the load imported, so a framework that the app does not use is never imported
for it. Every method has a harmless default: an integration overrides what its framework needs. Runs in the server process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StaticMount:
    """Files to serve under a URL prefix.

    `find` maps the rest of the path (decoded once) to a file, or None: the framework's own finders decide. Without it the
    static handler looks in `roots`, in order.
    """

    url: str  # begins and ends with "/"
    roots: tuple[Path, ...] = ()
    find: Callable[[str], Path | None] | None = None
    index: bool = False  # serve index.html for folders


@dataclass(frozen=True, slots=True)
class Integrated:
    """What an integration found out about a loaded app."""

    name: str
    static: tuple[StaticMount, ...] = ()
    template_roots: tuple[Path, ...] = ()
    notices: tuple[str, ...] = ()
    versions: tuple[tuple[str, str], ...] = field(default=())


class Integration(Protocol):
    """One framework."""

    @property
    def name(self) -> str: ...

    def prepare(self) -> None:
        """Before the target is imported, in the process that will import it: environment switches (FLASK_DEBUG …)."""

    def applies(self, app: object, modules: Iterable[str]) -> bool:
        """Is `app` (or what it wraps) this framework's? Must not import the framework unless it is in `modules`."""

    def loaded(self, app: object) -> Integrated:
        """After the target is loaded, before it serves: do what a first request would do
        and is pure; say what you found."""

    def before_freeze(self) -> None:
        """A checkpoint is about to be made (close database connections …)."""

    def after_resume(self) -> None:
        """The process continues from a checkpoint."""

    def files_changed(self, paths: Sequence[Path]) -> None:
        """Templates or static files changed that restart nothing: forget what is cached of them."""

    def request_ended(self) -> None:
        """A request's thread is done with it (close thread-bound resources)."""
