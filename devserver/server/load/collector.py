"""The garbage collector: seldom while a load goes on, as ever afterwards, and always with an answer for all objects.

Runs in the server. What an import makes is there to stay: to look for garbage after each 700 objects is a fifth of the load of a
large project. `gc.freeze` keeps the collector off the pages that processes share, and hides what it has frozen from
`gc.get_objects` and `gc.get_referrers`. Libraries act on what these say: gevent gives the locks of imports that are going on to
its own main thread, debuggers of memory count objects. Rules that hold: nothing is frozen that was not looked at once, for garbage
can be met (a class that `@dataclass(slots=True)` has replaced stands in `__subclasses__()` until it is collected); a process in
which somebody asks is unfrozen for good; how often the collector comes is as the user's code has set it.
"""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable

_ASKING = ("get_objects", "get_referrers")
_SELDOM = 10_007  # a number that nobody else sets
"""So many more objects made than freed. Ten times as many save little more, and their garbage would stay about."""

_usual = gc.get_threshold()[0]


def begin_load() -> None:
    """From here on the collector comes seldom."""
    global _usual
    often, *older = gc.get_threshold()
    if 0 < often < _SELDOM:  # 0: never
        _usual = often
        gc.set_threshold(_SELDOM, *older)


def end_load() -> None:
    """From here on it comes as often as before the load."""
    often, *older = gc.get_threshold()
    if often == _SELDOM:  # else the user's code has set it
        gc.set_threshold(_usual, *older)


def collect_new() -> None:
    """Before a freeze: what came since the collector was here last."""
    if gc.isenabled() and gc.get_threshold()[0]:
        gc.collect(0)


def show_frozen_objects() -> None:
    """From here on whoever asks sees all."""
    for name in _ASKING:
        function = vars(gc)[name]
        if not hasattr(function, "__wrapped__"):
            setattr(gc, name, _unfreezing(function))


def _unfreezing(function: Callable[..., list[object]]) -> Callable[..., list[object]]:
    @functools.wraps(function)
    def ask(*args: object, **kwargs: object) -> list[object]:
        gc.unfreeze()
        found = function(*args, **kwargs)
        return [one for one in found if one is not args]  # it refers to what was asked about, but is nobody's

    return ask
