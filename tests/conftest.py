"""What holds for every test."""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

# How long an example takes tells of the machine, not of the code; on a fresh clone the first of them makes a table of all
# characters first.
settings.register_profile("devserver", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("devserver")

# Whoever starts the suite may ignore these (nohup, a job in the background of a script), and ignored signals are inherited:
# commands under test would not hear them.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
