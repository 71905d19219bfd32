"""devserver, which does at once what it would do behind the server in a quiet moment, and says when nothing is left to do.

Runs as a program of its own, in place of `python -m devserver`. With `--all` in front it hoists whatever can be, worth it or not.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from devserver import cli
from devserver.supervisor import hoistlist, rehearsal, rehearsals
from devserver.supervisor.rehearsals import Rehearsals

SAYS = re.compile(r"^~ (.*)$|^.* (?:changed|ended|asked for a restart|exact order): (?!refreshed)", re.MULTILINE)
"""What it says, and the lines after which it will say more."""
ALL = "--all"
_happened = Rehearsals._happened


def command(*arguments: str, all_that_can_be: bool = False) -> list[str]:
    """The whole of it."""
    return [sys.executable, __file__, *([ALL] if all_that_can_be else []), "run", *arguments]


def is_idle(log: str) -> bool:
    """Is nothing left to do, by what it has said?"""
    return list(SAYS.finditer(log))[-1][1] == "idle"


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
    if ALL in sys.argv[1:2]:
        del sys.argv[1]
        rehearsal.MIN_LOAD_MS = 0.0
        hoistlist.MIN_GAIN_MS = 0.0
    Rehearsals._happened = _telling  # type: ignore[method-assign]
    sys.path.remove(str(Path(__file__).parent))
    cli.main()


if __name__ == "__main__":
    main()
