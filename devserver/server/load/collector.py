"""The garbage collector answers for all objects, also for those that a freeze has put aside.

Runs in the server. `gc.freeze` keeps the collector off the pages that processes share, and hides what it has frozen from
`gc.get_objects` and `gc.get_referrers`. Libraries act on what these say: gevent gives the locks of imports that are going on to
its own main thread, debuggers of memory count objects. Rule that holds: a process in which somebody asks is unfrozen for good; the
others stay as they are.
"""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable

_ASKING = ("get_objects", "get_referrers")


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
