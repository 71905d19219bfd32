"""Flask and Quart: the debug switch and the reload of templates, without the user setting anything. Runs in the server process.

Rules that hold: what the user said (a variable, a key of the configuration) stays; the framework's own debugger and server are
never switched on. With debug on, an error leaves a Flask app instead of becoming its 500 page (`PROPAGATE_EXCEPTIONS`),
and so reaches ours; of an error that stays inside the signal tells, and ours comes unless the app has a handler for it. Quart makes
a page of its own of what leaves its app. Static files are sent by the framework.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Awaitable, Callable, Container, Iterable, Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from devserver.integrations.consoles import leave_out_reported
from devserver.integrations.jinja2 import template_folders
from devserver.integrations.registries import registries_of
from devserver.integrations.releases import release_of, titled
from devserver.options import Options
from devserver.server.integration import Integrated, Integration
from devserver.server.swallowed import swallowed
from devserver.server.wrapping import find_layers


class _Scaffold(Protocol):
    """What apps and blueprints have in common."""

    static_folder: str | None

    @property
    def jinja_loader(self) -> object: ...


Handlers = Mapping[str | None, Mapping[int | None, Mapping[type[Exception], object]]]


class _App(_Scaffold, Protocol):
    debug: bool
    testing: bool
    config: MutableMapping[str, object]
    blueprints: Mapping[str, _Scaffold]
    error_handler_spec: Handlers

    @property
    def logger(self) -> logging.Logger: ...

    def handle_user_exception(self, e: Exception) -> object: ...


class FlaskIntegration(Integration):
    name = "Flask"
    _package = "flask"

    def prepare(self) -> None:
        os.environ.setdefault("FLASK_DEBUG", "1")
        # An app.run() at the end of the module, without `if __name__ == "__main__"`, then does nothing instead of
        # serving on port 5000 for ever; apps that start schedulers ask for the other one. As `flask run` sets them.
        os.environ["FLASK_RUN_FROM_CLI"] = "true"
        os.environ["WERKZEUG_RUN_MAIN"] = "true"

    def applies(self, app: object, modules: Container[str]) -> bool:
        return self._package in modules and next(self._apps(app), None) is not None

    def loaded(self, app: object, options: Options) -> Integrated:
        self._listen()
        static: list[Path] = []
        templates: list[Path] = []
        for one in self._apps(app):
            self._switch_on(one)
            self._watch_handlers(one)
            for scaffold in (one, *one.blueprints.values()):
                if scaffold.static_folder:
                    static.append(Path(scaffold.static_folder))
                templates.extend(template_folders(scaffold.jinja_loader))
        versions = [(self.name, release_of(self._package)), ("Werkzeug", release_of("werkzeug"))]
        return Integrated(
            name=titled(*versions[0]),
            static_roots=tuple(dict.fromkeys(static)),
            template_roots=tuple(dict.fromkeys(templates)),
            versions=tuple((name, version) for name, version in versions if version),
        )

    def registries(self, app: object) -> Iterable[tuple[str, object]]:
        return registries_of("flask", self.name, self._apps(app))

    def _listen(self) -> None:
        from flask import got_request_exception

        got_request_exception.connect(_got_request_exception, weak=False)

    def _watch_handlers(self, app: _App) -> None:
        """What a handler of the user's answers is told of by no signal, though it has failed if the answer is a 5xx."""
        if "handle_user_exception" not in vars(app):
            vars(app)["handle_user_exception"] = self._telling(app.handle_user_exception)

    def _telling(self, handle: Callable[..., object]) -> Callable[..., object]:
        # The error is the last of the arguments: newer versions put the context before it.
        def handle_and_tell(*arguments: Any) -> object:
            answer = handle(*arguments)
            _tell_handled(arguments[-1])
            return answer

        return handle_and_tell

    def _switch_on(self, app: _App) -> None:
        if app.config.get("DEBUG") is None:
            app.debug = True
        if app.config.get("TEMPLATES_AUTO_RELOAD") is None:
            app.config["TEMPLATES_AUTO_RELOAD"] = True
            if environment := vars(app).get("jinja_env"):  # made already: it took the switch's value then
                environment.auto_reload = True

    def _apps(self, app: object) -> Iterator[_App]:
        kind = getattr(sys.modules[self._package], self.name)
        return cast("Iterator[_App]", find_layers(app, lambda layer: issubclass(type(layer), kind)))


def _got_request_exception(app: _App, *, exception: BaseException, **_arguments: object) -> None:
    from flask import request, session

    _swallow(app, exception, request.blueprints, _opened(session))


def _tell_handled(error: Exception) -> None:
    from werkzeug.exceptions import HTTPException

    if not isinstance(error, HTTPException):
        swallowed(error, replace=False, if_failed=True)


def _opened(session: Mapping[str, object]) -> Mapping[str, object] | None:
    """What is in the session; None before it was opened, which may be what has failed."""
    try:
        return dict(session)
    except Exception:  # a session interface of the user's may raise anything
        return None


def _swallow(app: _App, error: BaseException, blueprints: Sequence[str], session: Mapping[str, object] | None) -> None:
    leaves = _leaves(app)
    replace = leaves or not _has_handler(app.error_handler_spec, blueprints)
    if swallowed(error, replace=replace, session=session) and not leaves:
        leave_out_reported(app.logger)  # makes it, as the framework is about to do


def _leaves(app: _App) -> bool:
    """Whether an error leaves the app, handlers or not."""
    propagates = app.config.get("PROPAGATE_EXCEPTIONS")
    return app.testing or app.debug if propagates is None else bool(propagates)


def _has_handler(handlers: Handlers, blueprints: Sequence[str]) -> bool:
    """Whether the user has written what is answered when an error of any kind comes up there."""
    from werkzeug.exceptions import InternalServerError

    return any(
        kind in handlers.get(scope, {}).get(code, {})
        for scope in (*blueprints, None)
        for code in (InternalServerError.code, None)
        for kind in InternalServerError.__mro__
    )


class QuartIntegration(FlaskIntegration):
    name = "Quart"
    _package = "quart"

    def prepare(self) -> None:
        pass

    def _switch_on(self, app: _App) -> None:
        # Quart has Flask's configuration, FLASK_DEBUG included; at its own variable it looks in app.run() alone.
        if said := os.environ.get("QUART_DEBUG"):
            app.debug = said.lower() not in ("0", "false", "no")
        super()._switch_on(app)

    def _telling(self, handle: Callable[..., object]) -> Callable[..., object]:
        async def handle_and_tell(*arguments: Any) -> object:
            answer = await cast("Awaitable[object]", handle(*arguments))
            _tell_handled(arguments[-1])
            return answer

        return handle_and_tell

    def _listen(self) -> None:
        from quart import got_request_exception, got_websocket_exception

        got_request_exception.connect(_got_quarts_exception, weak=False)
        got_websocket_exception.connect(_got_quarts_exception, weak=False)


async def _got_quarts_exception(app: _App, *, exception: BaseException, **_arguments: object) -> None:
    from quart import has_request_context, request, session, websocket

    _swallow(app, exception, (request if has_request_context() else websocket).blueprints, _opened(session))
