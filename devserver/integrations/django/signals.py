"""What apps connect to Django's reloader: which files they want to watch, and what they do when one changes.

Under `runserver` a reloader sends `autoreload_started`, whose receivers ask it to watch folders and files, and `file_changed` for
each that changes; it restarts unless a receiver has dealt with it. Here nobody polls: what receivers ask for is told to the
supervisor, and what that sees is sent to them.
"""

from __future__ import annotations

import glob
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from django.utils.autoreload import BaseReloader, autoreload_started, file_changed


class Reloader(BaseReloader):  # type: ignore[misc]  # Django has no types
    """Takes down what receivers want to be watched. Django's own templates and catalogs are read, and known by that."""

    def globs(self, known: Sequence[Path]) -> Iterator[str]:
        """Absolute globs of what is wanted, without all of `known` folders."""
        for folder, patterns in self.directory_globs.items():
            for pattern in sorted(patterns):
                if folder not in known or pattern not in ("**/*", "**/*.mo"):
                    yield f"{glob.escape(str(folder))}/{pattern}"
        for path in self.extra_files:
            yield glob.escape(str(Path(path).absolute()))

    def unanswered(self, paths: Sequence[Path]) -> Sequence[Path]:
        """Tell receivers of changed files; those with which none of them deals. Closes the connections of this thread."""
        try:
            return [path for path in paths if not self._answers(path)]
        finally:
            if "django.db" in sys.modules:
                from django.db import connections

                connections.close_all()

    def _answers(self, path: Path) -> bool:
        """Does a receiver deal with it? Those that raise are logged by Django."""
        results = file_changed.send_robust(sender=self, file_path=path)
        return any(result and not isinstance(result, Exception) for _receiver, result in results)


def started() -> Reloader:
    """The app is loaded: ask its receivers what they want to be watched. Raises what they raise."""
    reloader = Reloader()
    autoreload_started.send(sender=reloader)
    return reloader
