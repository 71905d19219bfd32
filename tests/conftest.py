"""What holds for every test."""

from __future__ import annotations

import os
import signal

from hypothesis import HealthCheck, settings

# How long an example takes tells of the machine, not of the code; on a fresh clone the first of them makes a table of all
# characters first.
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# The same examples each time: who changes a line is not to meet what another one has left. `make test-all` searches.
settings.register_profile("devserver", settings.get_profile("search"), derandomize=True)
settings.load_profile("search" if os.environ.get("DEVSERVER_SEARCH") else "devserver")

# Whoever starts the suite may ignore these (nohup, a job in the background of a script), and ignored signals are inherited:
# commands under test would not hear them.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

# Set in many containers. `print` then writes in pieces, and a line of one process is broken by that of another.
os.environ.pop("PYTHONUNBUFFERED", None)
