"""Starlette and FastAPI: their name, and the folders from which they send files. Runs in the server process.

They need no switch: templates are Jinja2's affair (`jinja2.py`), static files are sent by their own StaticFiles.
"""

from __future__ import annotations

import sys
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

from devserver.integrations.registries import registries_of
from devserver.integrations.releases import release_of, titled
from devserver.options import Options
from devserver.server.integration import Integrated, Integration
from devserver.server.wrapping import find_layers

_LIBRARIES = (("FastAPI", "fastapi"), ("Starlette", "starlette"), ("Pydantic", "pydantic"))


class StarletteIntegration(Integration):
    name = "Starlette"

    def applies(self, app: object, modules: Container[str]) -> bool:
        return "starlette.applications" in modules and next(self._apps(app), None) is not None

    def loaded(self, app: object, options: Options) -> Integrated:
        apps = list(self._apps(app))
        is_fastapi = any(cls.__module__ == "fastapi.applications" for one in apps for cls in type(one).__mro__)
        used = [(name, release_of(package)) for name, package in _LIBRARIES[0 if is_fastapi else 1 :]]
        roots = [root for one in apps for root in _static_folders(getattr(one, "routes", ()))]
        return Integrated(
            name=titled(*used[0]),
            static_roots=tuple(dict.fromkeys(roots)),
            versions=tuple((name, version) for name, version in used if version),
        )

    def registries(self, app: object) -> Iterable[tuple[str, object]]:
        return registries_of("starlette", self.name, self._apps(app))

    def _apps(self, app: object) -> Iterator[object]:
        kind = sys.modules["starlette.applications"].Starlette
        return find_layers(app, lambda layer: issubclass(type(layer), kind))


def _static_folders(routes: Iterable[object]) -> Iterator[Path]:
    for route in routes:
        for folder in getattr(getattr(route, "app", None), "all_directories", None) or ():
            yield Path(folder).absolute()
        yield from _static_folders(getattr(route, "routes", None) or ())
