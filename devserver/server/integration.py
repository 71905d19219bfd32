"""What a framework's integration may say and do. `server/main.py` asks; `devserver/integrations/` answers.

An integration is chosen by what the load imported, so a framework that the app does not use is never imported
for it. Every method has a harmless default: an integration overrides what its framework needs. Runs in the server process.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from devserver.options import Options
from devserver.record import Record
from devserver.report import Sheet
from devserver.target import Target

LogRequest = Callable[[str, str, int, int, float], None]
"""Method, path with query, status (0: no answer), bytes of the body, seconds. Called on the loop: must not block."""


class StaticMount(Record):
    """Files to serve under a URL prefix.

    `find` maps the rest of the path (decoded once) to a file, or None: the framework's own finders decide. Without it the
    static handler looks in `roots`, in order.
    """

    url: str  # begins and ends with "/"
    roots: tuple[Path, ...] = ()
    find: Callable[[str], Path | None] | None = None  # blocks on the file system; called in threads
    index: bool = False  # serve index.html for folders


class Integrated(Record):
    """What an integration found out about a loaded app."""

    name: str  # for the banner: "Django 5.2"; "" adds nothing to it
    static: tuple[StaticMount, ...] = ()
    static_roots: tuple[Path, ...] = ()  # folders from which the framework sends files itself
    template_roots: tuple[Path, ...] = ()  # `files_changed` makes the next request see an edit below these
    watched: tuple[str, ...] = ()  # absolute globs: `react` wants to hear of these files, read or not
    notices: tuple[str, ...] = ()
    versions: tuple[tuple[str, str], ...] = ()
    log_request: LogRequest | None = None  # the user has said where lines about requests go
    sheets: Callable[[], Sequence[Sheet]] | None = None  # what a page about an error tells of the app; in any thread


class Issue(Record):
    """What a framework's own check says is wrong with the project."""

    text: str
    name: str = ""  # what it goes by: "models.E028"
    hint: str = ""
    place: tuple[str, int, str] | None = None  # path, line and name of what it is about


class Checked(Record):
    """What a framework found when it looked at the project."""

    failures: tuple[Issue, ...] = ()  # with these its own server would not serve
    warnings: tuple[Issue, ...] = ()
    notices: tuple[str, ...] = ()  # one line each, for the terminal


class Integration(Protocol):
    """One framework. Implementations subclass it, for the defaults."""

    @property
    def name(self) -> str: ...

    def prepare(self) -> None:
        """Before the target is imported, in the process that will import it: environment switches (FLASK_DEBUG …)."""
        return

    def resolve(self, target: Target, options: Options) -> Target | None:
        """The target of kind MODULE that `target` stands for, or None if this framework has no word in it.

        May run user code (settings). Raises TargetError, and whatever that code raises.
        """
        return None

    def applies(self, app: object, modules: Container[str]) -> bool:
        """Is `app` (or what it wraps) this framework's? Must not import the framework unless it is in `modules`."""
        return False

    def loaded(self, app: object, options: Options) -> Integrated:
        """After the target is loaded, before it serves: do what a first request would do
        and is pure; say what you found. What it raises is a load error."""
        return Integrated(name=self.name)

    def serves(self, missed: Callable[[str], None]) -> None:
        """The app is about to serve. While it does, `missed` wants to hear of each file (its absolute path) that is looked for and
        not there, where the framework asks in other ways than by opening it. From any thread."""
        return

    def check(self) -> Checked:
        """Look at the whole project as the framework's own server would before it serves. In a thread of its own, once the app
        has answered: it may take seconds, run user code and ask databases. What it raises is told."""
        return Checked()

    def phase(self) -> str:
        """The part of the load that runs now, where the framework loads in parts: a module that ran in one is never imported in
        another. Asked whenever a module begins, so it costs next to nothing and imports nothing."""
        return ""

    def registries(self, app: object) -> Iterable[tuple[str, object]]:
        """What of this framework's knows the user's code (routes, signal receivers, registered models), each with a name that a
        person understands, in the order that counts. Looked at by `server/load/digest.py`, once the app is loaded, in a process
        that does not serve. What it raises counts as a difference."""
        return ()

    def built_late(self) -> Iterable[str]:
        """What requests have built so far that needs nothing of a request (parsed templates …), by names for `build_early`."""
        return ()

    def build_early(self, name: str) -> None:
        """Build this before anybody asks for it, if that is possible now. Of files that change afterwards `files_changed` will
        tell."""
        return

    def before_freeze(self) -> None:
        """A checkpoint is about to be made (close database connections …)."""
        return

    def after_resume(self) -> None:
        """The process continues from a checkpoint."""
        return

    def files_changed(self, paths: Sequence[Path]) -> None:
        """Templates or static files changed that restart nothing: forget what is cached of them."""
        return

    def react(self, paths: Sequence[Path]) -> Collection[Path]:
        """These files changed, which restart nothing or which `Integrated.watched` names: tell whoever wants to know. Those with
        which nobody has dealt: for one that is watched the app is loaded anew. In a thread of its own, after `files_changed`."""
        return ()

    def request_ended(self) -> None:
        """A request's thread is done with it (close thread-bound resources)."""
        return


def applicable(app: object, integrations: Iterable[Integration], modules: Container[str]) -> tuple[Integration, ...]:
    """Those of `integrations` that have to do with `app`. `modules`: `sys.modules` after the load."""
    return tuple(integration for integration in integrations if integration.applies(app, modules))


def integrate(app: object, chosen: Iterable[Integration], options: Options) -> Integrated:
    """Tells `chosen` that `app` is loaded and joins what they found. Raises what they raise."""
    found = [integration.loaded(app, options) for integration in chosen]
    return Integrated(
        name=" + ".join(one.name for one in found if one.name),
        static=tuple(mount for one in found for mount in one.static),
        static_roots=_distinct(root for one in found for root in one.static_roots),
        template_roots=_distinct(root for one in found for root in one.template_roots),
        watched=tuple(dict.fromkeys(glob for one in found for glob in one.watched)),
        notices=tuple(notice for one in found for notice in one.notices),
        versions=tuple(version for one in found for version in one.versions),
        log_request=next((one.log_request for one in found if one.log_request is not None), None),
        sheets=next((one.sheets for one in found if one.sheets is not None), None),
    )


def built_late(chosen: Iterable[Integration]) -> tuple[str, ...]:
    """What `chosen` name, each with the integration before it."""
    return tuple(f"{integration.name}:{name}" for integration in chosen for name in integration.built_late())


def build_early(integrations: Iterable[Integration], names: Iterable[str], give_way: Callable[[], None]) -> None:
    """What `built_late` has named. `give_way` is called between the steps."""
    by_name = {integration.name: integration for integration in integrations}
    for whose, _, name in (text.partition(":") for text in names):
        if whose in by_name:
            give_way()
            by_name[whose].build_early(name)


def files_changed(integrations: Iterable[Integration], paths: Sequence[str]) -> None:
    """Tell all of them; nothing if there are none."""
    if paths:
        for integration in integrations:
            integration.files_changed([Path(path) for path in paths])


def check(chosen: Iterable[Integration]) -> Checked:
    """What `chosen` find, joined. Raises what they raise."""
    found = [integration.check() for integration in chosen]
    return Checked(
        failures=tuple(issue for one in found for issue in one.failures),
        warnings=tuple(issue for one in found for issue in one.warnings),
        notices=tuple(notice for one in found for notice in one.notices),
    )


def _distinct(paths: Iterable[Path]) -> tuple[Path, ...]:
    return tuple(dict.fromkeys(paths))
