"""daphne in INSTALLED_APPS: its AppConfig imports daphne's server, of which a project served by devserver needs nothing.

Runs in the server process. That import installs a reactor of Twisted's: an event loop with an epoll and a socket pair, behind which
nothing can be frozen any more. So the module is there, but runs when somebody asks it for a name, as daphne's own `runserver` does.
Rule that holds: only an installed daphne is put off; one that is the user's own source runs where it is imported.
"""

from __future__ import annotations

import importlib.util
import os

from devserver.server.deferred import put_off
from devserver.server.integration import Integration
from devserver.server.load.ownership import is_watched_folder


class DaphneIntegration(Integration):
    name = "daphne"

    def prepare(self) -> None:
        spec = importlib.util.find_spec("daphne")
        if spec is None or spec.origin is None or is_watched_folder(os.path.dirname(spec.origin)):
            return
        # The package too: else it would be imported later, and would not know its submodule by name.
        put_off("daphne")
        put_off("daphne.server")
