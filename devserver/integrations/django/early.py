"""What first requests build of a Django project and any request could use: parsed templates, catalogs of translations."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

_TEMPLATE, _CATALOG = "template", "catalog"


def built() -> Iterator[str]:
    """What there is, for `build`."""
    for alias, engine in _engines():
        for loader in engine.template_loaders:
            for template in tuple(getattr(loader, "get_template_cache", {}).values()):
                if isinstance(name := getattr(template, "name", None), str):  # else it was not found
                    yield f"{_TEMPLATE} {alias} {name}"
    for language in tuple(_catalogs()):
        yield f"{_CATALOG} {language}"


def build(name: str) -> None:
    """If the engine is there by now, or the apps. What fails will fail in a request."""
    kind, _, what = name.partition(" ")
    with suppress(Exception):
        if kind == _TEMPLATE:
            alias, _, template = what.partition(" ")
            if (engine := dict(_engines()).get(alias)) is not None:
                engine.get_template(template)
        elif kind == _CATALOG and _are_apps_ready():
            from django.utils.translation import trans_real

            trans_real.translation(what)


def _engines() -> Iterator[tuple[str, Any]]:
    """Django's own, by alias, as far as they are built and keep what they have parsed."""
    template = sys.modules.get("django.template")
    for alias, backend in tuple(template.engines._engines.items()) if template is not None else ():
        if (engine := getattr(backend, "engine", None)) is not None:
            yield alias, engine


def _are_apps_ready() -> bool:
    """They have catalogs of their own."""
    registry = sys.modules.get("django.apps.registry")
    return registry is not None and registry.apps.ready


def _catalogs() -> dict[str, object]:
    """By language, those that somebody has asked for: without translations nobody does."""
    module = sys.modules.get("django.utils.translation.trans_real")
    found: dict[str, object] = getattr(module, "_translations", {})
    return found
