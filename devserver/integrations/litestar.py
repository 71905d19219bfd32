"""Litestar: its debug switch, and the errors of which it makes answers. Runs in the server process.

Without debug an error leaves no trace in Litestar, neither in the page nor in the terminal. Rules that hold: what the user said
stays; an exception that the app has a handler for is the app's own affair.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Protocol, cast

from devserver.integrations.consoles import leave_out_reported
from devserver.integrations.named import NamedIntegration
from devserver.options import Options
from devserver.server.integration import Integrated
from devserver.server.swallowed import swallowed
from devserver.server.wrapping import find_layers

Scope = MutableMapping[str, Any]
Handlers = Mapping[int | type[Exception], object]


class _App(Protocol):
    after_exception: list[Callable[[Exception, Scope], Any]]
    exception_handlers: Handlers
    logging_config: Any


class LitestarIntegration(NamedIntegration):
    def __init__(self) -> None:
        super().__init__("Litestar", "litestar", ("litestar.app",), registries="litestar")

    def prepare(self) -> None:
        os.environ.setdefault("LITESTAR_DEBUG", "1")

    def loaded(self, app: object, options: Options) -> Integrated:
        for one in find_layers(app, self._is_its):
            _listen(cast("_App", one))
        return super().loaded(app, options)


def _listen(app: _App) -> None:
    if _after_exception not in app.after_exception:
        app.after_exception.insert(0, _after_exception)
        config = app.logging_config
        if config is not None and config.exception_logging_handler is not None:
            config.exception_logging_handler = _told_first(config.exception_logging_handler)


async def _after_exception(error: Exception, scope: Scope) -> None:
    _swallow(error, scope)


def _told_first(log: Callable[..., None]) -> Callable[..., None]:
    """Litestar logs an error before it calls hooks."""

    def told_first(logger: object, scope: Scope, traceback: list[str]) -> None:
        error = sys.exception()
        if isinstance(error, Exception):
            _swallow(error, scope)
        log(logger, scope, traceback)

    return told_first


def _swallow(error: Exception, scope: Scope) -> None:
    from litestar.exceptions import WebSocketException

    # An answer of another status was meant, and so is the close of a WebSocket; of a 500 Litestar makes its debug page.
    if isinstance(error, WebSocketException) or getattr(error, "status_code", 500) != 500:
        return
    route = scope.get("route_handler")
    handlers: Handlers = (
        scope["litestar_app"].exception_handlers if route is None else route.resolve_exception_handlers()
    )
    if 500 not in handlers and not any(kind in handlers for kind in type(error).__mro__) and swallowed(error):
        leave_out_reported(logging.getLogger("litestar"))
