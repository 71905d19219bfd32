"""Falcon: an error that no handler of the app's takes is reported, not just answered with 500. Runs in the server process.

Falcon tells nobody but a reporter that the app may have set for itself, so its own handler for all errors is wrapped. Rule that
holds: where the app has put another in its place, that one stays.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast

from devserver.integrations.consoles import leave_out_reported
from devserver.integrations.named import NamedIntegration
from devserver.options import Options
from devserver.server.integration import Integrated
from devserver.server.swallowed import swallowed
from devserver.server.wrapping import find_layers


class _App(Protocol):
    _error_handlers: dict[type[BaseException], Callable[..., Any]]

    def _python_error_handler(self, *arguments: Any, **keywords: Any) -> Any: ...


class FalconIntegration(NamedIntegration):
    def __init__(self) -> None:
        super().__init__("Falcon", "falcon", ("falcon.app", "falcon.asgi.app"), registries="falcon")

    def loaded(self, app: object, options: Options) -> Integrated:
        for one in find_layers(app, self._is_its):
            _wrap_error_handler(one)
        return super().loaded(app, options)


def _wrap_error_handler(app: object) -> None:
    from falcon import App

    asgi = sys.modules.get("falcon.asgi")
    wrap: Callable[[Any], Callable[..., Any]]
    if asgi is not None and issubclass(type(app), asgi.App):
        kind, wrap = asgi.App, _wrapped_async
    else:
        kind, wrap = App, _wrapped
    handlers = cast("_App", app)._error_handlers
    default = handlers.get(Exception)
    if default is not None and getattr(default, "__func__", None) is kind._python_error_handler:
        handlers[Exception] = wrap(default)


def _wrapped(default: Callable[..., None]) -> Callable[..., None]:
    def handle(request: object, response: object, error: Exception, params: dict[str, Any]) -> None:
        if swallowed(error):
            from falcon import HTTPInternalServerError

            raise HTTPInternalServerError  # what the default answers, after it has printed the traceback
        default(request, response, error, params)

    return handle


def _wrapped_async(default: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def handle(
        request: object, response: object, error: Exception, params: dict[str, Any], ws: object = None
    ) -> None:
        if swallowed(error):
            leave_out_reported(logging.getLogger("falcon"))
        await default(request, response, error, params, ws=ws)

    return handle
