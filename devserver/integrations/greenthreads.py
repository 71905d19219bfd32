"""gevent and eventlet: an app that has patched the standard library cannot be served, and is told so. Runs in the server process.

Their green threads run on a hub that shares its thread with nobody; here the main thread is the event loop's and requests have
real threads. What is patched (threads, locks, sockets) would wait for a hub that never runs: every request would hang.
"""

from __future__ import annotations

import sys
from collections.abc import Container

from devserver.errors import DevServerError
from devserver.options import Options
from devserver.server.integration import Integrated, Integration


class GreenThreadsIntegration(Integration):
    """One library that patches threads: `module` says by `function(argument)` whether it did."""

    name = ""

    def __init__(self, name: str, module: str, function: str, argument: str, hint: str) -> None:
        self.name = name
        self._module = module
        self._function = function
        self._argument = argument
        self._hint = hint

    def applies(self, app: object, modules: Container[str]) -> bool:
        return self._module in modules and bool(getattr(sys.modules[self._module], self._function)(self._argument))

    def loaded(self, app: object, options: Options) -> Integrated:
        raise DevServerError(
            f"{self.name} has replaced the threads of the standard library, and devserver needs real ones",
            hint=self._hint,
        )


GREEN_THREADS = (
    GreenThreadsIntegration(
        "gevent",
        "gevent.monkey",
        "is_module_patched",
        "threading",
        "take monkey.patch_all() out of the app; in production gunicorn -k gevent patches before it loads the app",
    ),
    GreenThreadsIntegration(
        "eventlet",
        "eventlet.patcher",
        "is_monkey_patched",
        "thread",
        "take eventlet.monkey_patch() out of the app; in production patch in the module that starts its server",
    ),
)
