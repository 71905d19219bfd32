"""devserver, which does at once what it would do behind the server in a quiet moment, and says when nothing is left to do.

Runs as a program of its own, in place of `python -m devserver`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from devserver import cli
from devserver.supervisor import hoistlist, rehearsal, rehearsals
from devserver.supervisor.rehearsals import Rehearsals

_happened = Rehearsals._happened


def _telling(self: Rehearsals, event: rehearsal.Event) -> None:
    _happened(self, event)
    if isinstance(event, rehearsal.Overtaken):
        told = "busy"  # something new is about to be loaded
    else:
        told = "idle" if self._state.stage is rehearsal.Stage.NOTHING else self._state.stage
    print(f"~ {told}", flush=True)


def main() -> None:
    """Run the command."""
    rehearsals.QUIET_S = 0.0
    rehearsal.MIN_LOAD_MS = 0.0
    hoistlist.MIN_GAIN_MS = 0.0
    Rehearsals._happened = _telling  # type: ignore[method-assign]
    sys.path.remove(str(Path(__file__).parent))
    cli.main()


if __name__ == "__main__":
    main()
