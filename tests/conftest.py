"""What holds for every test."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# How long an example takes tells of the machine, not of the code; on a fresh clone the first of them makes a table of all
# characters first.
settings.register_profile("devserver", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("devserver")
