"""The root's entry: `python -P -m devserver.server`, started by the supervisor with its channel as descriptor 3.

Runs in the root. Imports everything that a server needs, so that nothing is left to import between a save and the first answer.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import socket


def main() -> None:
    """Become the root checkpoint; come back in the servers only."""
    gc.disable()  # nothing that is imported here becomes garbage; looking for it costs a tenth of the start
    os.setsid()  # no terminal signal reaches the tree but through the supervisor
    for signum in (signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, signal.SIG_DFL)
    from devserver.server.deferred import PACKAGES, ours_first, preload, put_off

    for package in PACKAGES:
        put_off(package, within=ours_first)
    from devserver.channel import Channel
    from devserver.processes import CHANNEL_FD, STACK_SIGNAL
    from devserver.server.load.chain import Root
    from devserver.server.main import ServerProcess

    # By name: the integrations stand above the server in the layers, and here is where the two are joined.
    integrations = importlib.import_module("devserver.integrations").INTEGRATIONS
    # Until a server has its handler: a process that blocks that early must not be killed by the question where it stands.
    signal.signal(STACK_SIGNAL, signal.SIG_IGN)
    os.set_inheritable(CHANNEL_FD, False)
    root = Root(Channel(socket.socket(fileno=CHANNEL_FD)), preload=preload)
    resumed = root.freeze()
    gc.enable()
    ServerProcess(resumed, root.configure, integrations).run()


if __name__ == "__main__":
    main()
