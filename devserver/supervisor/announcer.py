"""What a person is told about the life of the servers, and why a load happened.

Runs in the supervisor. Turns `Tell` commands into lines and reports of the console; keeps what such a line needs to know: the cause
of the load that runs, since when, and whether the last one failed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import assert_never

from devserver import __version__
from devserver.lastwords import report_from_death
from devserver.messages import ChecksEnded, LoadEnded
from devserver.options import Options
from devserver.report import Report
from devserver.source import working_folder
from devserver.supervisor.commands import Notice, Tell
from devserver.supervisor.console import Console
from devserver.supervisor.listener import Listener
from devserver.supervisor.tree import ServerRecord
from devserver.target import Target
from devserver.terminal import Banner

_PATIENCE_S = 0.3
_FINISHING = "finishing the requests in flight; Ctrl-C again ends at once"


class Announcer:
    """Tells the story of one run."""

    def __init__(
        self,
        console: Console,
        options: Options,
        target: Target,
        listener: Listener,
        *,
        call_later: Callable[[float, Callable[[], None]], None],
    ) -> None:
        self._console = console
        self._options = options
        self._target = target
        self._listener = listener
        self._call_later = call_later
        self._announced = False
        self._was_broken = False
        self._names: tuple[str, ...] = ()
        self._event = "changed"
        self._reason = ""
        self._began = time.monotonic()
        self._told: set[str] = set()
        self._warned: set[tuple[str, ...]] = set()
        self._checked: set[tuple[str, ...]] = set()  # what the checks have found, the last time
        self._check_failure: tuple[str, ...] = ()

    def because(self, names: Sequence[str], event: str, reason: str = "", *, overtakes: bool = False) -> None:
        """Remember what the next load is for. A change that overtakes a running load adds its names to that one's."""
        kept = self._names if overtakes and self._announced else ()
        self._names = tuple(dict.fromkeys((*names, *kept)))
        self._event, self._reason = event, reason
        self._began = time.monotonic()

    def restart_clock(self) -> None:
        """A change that waited for a person (at a debugger prompt) begins to count now."""
        self._began = time.monotonic()

    def refreshed(self, paths: Sequence[str]) -> None:
        self._console.refreshed(shown(paths))

    def reported(self, report: Report, once: bool) -> None:
        """A server tells of something outside of a request; `once`: unless one of its kind told the same of the same line."""
        if once:
            if (key := _warning_key(report)) in self._warned:
                return
            self._warned.add(key)
        self._console.report(report)

    def checked(self, found: ChecksEnded) -> None:
        """What the framework's checks have found; what they found before as well was told."""
        reports = {_warning_key(report): report for report in found.warnings}
        notices = {(notice,): notice for notice in found.notices}
        for key, report in reports.items():
            if key not in self._checked:
                self._console.report(report)
        for key, notice in notices.items():
            if key not in self._checked:
                self._console.warning(notice)
        self._checked = {*reports, *notices}
        if found.failure is None and self._check_failure:
            self._check_failure = ()
            self._console.notice("the project passes its checks again")

    def order_mattered(self, file: str, why: str) -> None:
        """What was loaded in the exact order behind the server differs, and takes over."""
        (name,) = shown([file])
        self.because((name,), "loaded in the exact order", why)

    def loaded_exactly(self, file: str, why: str) -> None:
        """Nothing was served in another order, and nothing will be."""
        (name,) = shown([file])
        self._console.notice(f"{name} is loaded in the exact order: {why}")

    def tell(self, tell: Tell, server: ServerRecord | None, last_words: str) -> None:
        """Say it. `last_words`: what faulthandler wrote, if the server has ended."""
        console = self._console
        match tell.notice:
            case Notice.SERVING:
                if server is not None:
                    self._serving(server)
            case Notice.LOAD_FAILED:
                assert tell.report is not None
                self._was_broken = True
                if self._announced:
                    console.changed(self._names, "failed to load", event=self._event)
                console.report(tell.report)
            case Notice.CHECKS_FAILED:
                assert tell.report is not None
                key = _warning_key(tell.report)
                if key == self._check_failure:
                    console.warning("the project still fails its checks; the page says what it was")
                else:
                    console.report(tell.report)
                self._check_failure = key
            case Notice.HANGS:
                self._announce_without_app()
                console.warning(f"{self._target.label} is still loading; the page shows where it is")
                if tell.report is not None:
                    console.report(tell.report)
            case Notice.DIED_LOADING | Notice.DIED_SERVING:
                self._died(tell, last_words, loading=tell.notice is Notice.DIED_LOADING)
            case Notice.GAVE_UP:
                self._announce_without_app()
                console.warning("it keeps dying at its start; waiting for a change")
            case Notice.WAITING_FOR_PROMPT:
                console.notice("a change is waiting until the debugger prompt is closed")
            case Notice.WAITING_FOR_EXCLUSIVE:
                console.notice(f"the old server holds {tell.detail}: it ends before the new one loads")
            case Notice.GRACE_OVER:
                console.notice(f"requests of the old code were cut after {self._options.grace:g} s (--grace)")
            case Notice.ROOT_DIED:
                console.warning("the root process ended; starting afresh")
                self.because(("the root process",), "ended")
            case Notice.STOPPING:
                self._call_later(_PATIENCE_S, lambda: console.notice(_FINISHING))
            case _:
                assert_never(tell.notice)

    def _died(self, tell: Tell, last_words: str, *, loading: bool) -> None:
        assert tell.status is not None
        self.because(("the server process",), "ended")
        if last_words:
            roots = user_roots(self._target)
            self._console.report(report_from_death(tell.status, last_words, user_roots=roots, loading=loading))
        else:
            self._console.died(tell.status, loading=loading)

    def _serving(self, server: ServerRecord) -> None:
        loaded = server.loaded
        if not self._announced:
            self._announced = True
            self._banner(loaded)
        elif loaded is not None:
            is_first = not self._names  # and came so late that the address was told before
            resumed = server.resumed_at > 0
            outcome = f"resumed{_before(self._names) if self._event == 'changed' else ''}" if resumed else "restarted"
            self._console.changed(
                (self._target.label,) if is_first else self._names,
                "serving" if is_first else outcome,
                modules=loaded.modules,
                ran=loaded.ran if resumed else None,
                elapsed_ms=(time.monotonic() - self._began) * 1000,
                fixed=self._was_broken,
                reason=self._reason or _hoisted(loaded) or loaded.barrier,
                event="is loaded" if is_first else self._event,
            )
        if loaded is not None:
            self._was_broken = False
            for notice in loaded.notices:
                if notice not in self._told:  # once, not after each save
                    self._told.add(notice)
                    self._console.notice(notice)
        self._names = ()

    def _announce_without_app(self) -> None:
        """There is a page before there is an app: say where."""
        if not self._announced:
            self._announced = True
            self._banner(None)

    def _banner(self, loaded: LoadEnded | None) -> None:
        self._console.banner(
            Banner(
                version=__version__,
                target=self._target.label,
                app=loaded.name if loaded else "",
                urls=tuple(self._listener.urls()),
                network_urls=tuple(self._listener.network_urls()),
                reason=self._target.reason,
                modules=loaded.modules if loaded else None,
                load_ms=loaded.load_ms if loaded else None,
                reload=self._options.reload,
                keys=self._console.has_keys,
                is_loaded=loaded is not None,
                warns=os.environ.get("DJANGO_RUNSERVER_HIDE_WARNING") != "true",  # who has read it says so (Django 5.2)
            )
        )


def _warning_key(report: Report) -> tuple[str, ...]:
    """What a warning says, and of which line: by its text, for its number changes with each edit above it."""
    texts = [report.title]
    for error in report.errors:
        texts.append(error.message)
        if (place := error.place) is not None:
            texts += [place.path, *(line.text.strip() for line in place.source if line.number == place.line)]
    return tuple(texts)


def _hoisted(loaded: LoadEnded) -> str:
    return f"{loaded.hoisted} hoisted, order checked" if loaded.hoisted else ""


def _before(names: Sequence[str]) -> str:
    return " before it" if len(names) == 1 else " before them"


def shown(paths: Sequence[str]) -> tuple[str, ...]:
    """`paths` as a person would name them: relative to the working folder where they lie in it."""
    here = working_folder() + "/"
    return tuple(path.removeprefix(here) if here != "/" else path for path in paths)


def user_roots(target: Target) -> tuple[str, ...]:
    """The folders of the user's code, for reports."""
    return (target.app_dir, working_folder())
