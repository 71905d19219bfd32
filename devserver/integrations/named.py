"""Frameworks that need nothing of us but to be called by their name. Runs in the server process."""

from __future__ import annotations

from collections.abc import Container, Iterable

from devserver.integrations.registries import registries_of
from devserver.integrations.releases import release_of, titled
from devserver.options import Options
from devserver.server.integration import Integrated, Integration
from devserver.server.wrapping import find_layers


class NamedIntegration(Integration):
    """A framework, known by the modules in which its classes of apps are defined (`homes`). `registries`: the module of the package
    of this name that tells what its apps know, if there is one."""

    name = ""

    def __init__(self, name: str, package: str, homes: tuple[str, ...], registries: str = "") -> None:
        self.name = name
        self.package = package  # what is imported, and the name of the distribution
        self.homes = homes
        self._registries = registries

    def applies(self, app: object, modules: Container[str]) -> bool:
        return self.package in modules and any(True for _ in find_layers(app, self._is_its))

    def registries(self, app: object) -> Iterable[tuple[str, object]]:
        return registries_of(self._registries, self.name, find_layers(app, self._is_its)) if self._registries else ()

    def _is_its(self, layer: object) -> bool:
        return any(cls.__module__ in self.homes for cls in type(layer).__mro__)

    def loaded(self, app: object, options: Options) -> Integrated:
        version = release_of(self.package)
        return Integrated(titled(self.name, version), versions=((self.name, version),) if version else ())


NAMED = (
    NamedIntegration("Bottle", "bottle", ("bottle",)),
    NamedIntegration("Dash", "dash", ("dash.dash",)),  # wraps a Flask app
    NamedIntegration("Pyramid", "pyramid", ("pyramid.router",), registries="pyramid"),
    NamedIntegration("Sanic", "sanic", ("sanic.app",)),
)
