"""What frameworks know of the user's code, for `Integration.registries`; one module for each framework.

Runs in the server once it has loaded. Rule that holds: nothing of it is imported before somebody asks, for a load that is not
compared with another has no use for it.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator

from devserver.server.deferred import ours_first


def registries_of(module_name: str, framework: str, apps: Iterable[object] = ()) -> Iterator[tuple[str, object]]:
    """What that module of this package tells. `framework`: its name in labels. `apps`: those of its that are asked, unless all that
    it knows is of the whole process."""
    with ours_first():
        module = importlib.import_module(f"{__name__}.{module_name}")
    found: Iterator[tuple[str, object]] = module.registries(framework, apps)
    return found
