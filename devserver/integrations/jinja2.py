"""Jinja2, by whomever it is used (Flask, Starlette, Django's backend, by hand): an edited template is never stale.

Runs in the server process. Jinja2 notices an edit by the modification time, and only if `auto_reload` is on; a preserved time
(`cp -p`, `rsync -t`) or a production setting leaves the old template in force. So the caches of all environments are
emptied when a template changed. Nobody keeps a list of the environments; the garbage collector finds them (20 ms among half
a million objects, once per edit of a template; a list of all objects, filtered in Python, took 80).
"""

from __future__ import annotations

import functools
import gc
import inspect
import os
import sys
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType

from devserver.options import Options
from devserver.server.integration import Integrated, Integration


class Jinja2Integration(Integration):
    name = "Jinja2"

    def applies(self, app: object, modules: Container[str]) -> bool:
        return True  # it may be imported as late as by the first request

    def loaded(self, app: object, options: Options) -> Integrated:
        roots = [root for environment in _global_environments() for root in template_folders(environment)]
        return Integrated(name="", template_roots=tuple(dict.fromkeys(roots)))

    def serves(self, missed: Callable[[str], None]) -> None:
        """A template that is missing, or that would go before the one that is found, may be made."""
        loaders = sys.modules.get("jinja2.loaders")
        for name in ("FileSystemLoader", "PackageLoader"):
            if (loader_type := getattr(loaders, name, None)) is not None:
                _tell_of_missed(loader_type, missed)

    def files_changed(self, paths: Sequence[Path]) -> None:
        for environment in live_environments():
            cache = getattr(environment, "cache", None)
            if cache is not None:  # None: it keeps nothing
                cache.clear()


def live_environments() -> Iterator[object]:
    """Every `jinja2.Environment` of this process."""
    environment_type = _environment_type()
    if environment_type is None:
        return
    kinds = set(_with_subclasses(environment_type))
    # What was there at a checkpoint is in the permanent generation, which is left out otherwise.
    is_frozen = gc.get_freeze_count() > 0
    if is_frozen:
        gc.unfreeze()
    found = [value for value in gc.get_referrers(*kinds) if type(value) in kinds]  # an object refers to its class
    if is_frozen:
        gc.freeze()
    yield from found


def _tell_of_missed(loader_type: type, missed: Callable[[str], None]) -> None:
    """These loaders look whether a file is there before they open it: only they know for what they have looked."""
    original: Callable[..., object] = loader_type.__dict__["get_source"]

    @functools.wraps(original)
    def get_source(self: object, environment: object, template: str) -> object:
        for folder in _own_folders(self):
            path = os.path.normpath(folder / template.lstrip("/"))
            if path.startswith(f"{folder}/") and not os.path.lexists(path):
                missed(path)
        return original(self, environment, template)

    loader_type.get_source = get_source  # type: ignore[attr-defined]


def _with_subclasses(cls: type) -> Iterator[type]:
    yield cls
    subclasses: list[type] = type.__subclasses__(cls)
    for subclass in subclasses:
        yield from _with_subclasses(subclass)


def template_folders(holder: object) -> Iterator[Path]:
    """The folders in which an environment, or one of its loaders, looks for templates."""
    loader = getattr(holder, "loader", None)
    if loader is not None:
        yield from template_folders(loader)
    yield from _own_folders(holder)
    mapping = getattr(holder, "mapping", None)  # PrefixLoader; that of a DictLoader holds sources
    below = getattr(holder, "loaders", ())  # ChoiceLoader
    for inner in (*below, *(mapping.values() if isinstance(mapping, Mapping) else ())):
        if not isinstance(inner, str):
            yield from template_folders(inner)


def _own_folders(loader: object) -> Iterator[Path]:
    searched = getattr(loader, "searchpath", ())  # FileSystemLoader
    root = getattr(loader, "_template_root", None)  # PackageLoader
    for folder in (*searched, *([root] if isinstance(root, str) else [])):
        yield Path(folder).absolute()


def _global_environments() -> Iterator[object]:
    """Environments that lie in a module's globals, or in an object there that calls it `env` (Starlette's Jinja2Templates)."""
    environment_type = _environment_type()
    if environment_type is None:
        return
    for name, module in tuple(sys.modules.items()):
        if name.partition(".")[0] in sys.stdlib_module_names or type(module) is not ModuleType:
            continue  # of other types: modules that do something when they are looked at
        for value in tuple(vars(module).values()):
            if issubclass(type(value), environment_type):
                yield value
            elif type(value).__name__.endswith("Templates"):
                environment = inspect.getattr_static(value, "env", None)
                if issubclass(type(environment), environment_type):
                    yield environment


def _environment_type() -> type | None:
    module = sys.modules.get("jinja2.environment")
    found = getattr(module, "Environment", None)
    return found if isinstance(found, type) else None
