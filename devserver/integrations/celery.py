"""Celery beside an app that is served: its tasks belong to the state that a load leaves. Runs in the server process."""

from __future__ import annotations

from collections.abc import Container, Iterable

from devserver.integrations.registries import registries_of
from devserver.options import Options
from devserver.server.integration import Integrated, Integration


class CeleryIntegration(Integration):
    name = "Celery"

    def applies(self, app: object, modules: Container[str]) -> bool:
        return "celery._state" in modules

    def loaded(self, app: object, options: Options) -> Integrated:
        return Integrated(name="")  # the banner names what serves

    def registries(self, app: object) -> Iterable[tuple[str, object]]:
        return registries_of("celery", self.name)
