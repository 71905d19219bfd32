"""What Django knows of the project: URL patterns, models, receivers of signals, admin sites, template tags, checks, settings.

Rules that hold: as in `telling.py`; where Django computes a list and keeps it, what it computes it from is read
instead. No URLconf is imported and no template engine built that was not.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

from devserver.integrations.registries.jinja2 import told_environment
from devserver.integrations.registries.telling import (
    attributes,
    label_of,
    named,
    readable,
    sorted_by_name,
    told,
    told_by_name,
    told_each,
    told_kind,
    told_signals,
)
from devserver.server.load.genuine import name_of

_SENT_BY_TESTS = frozenset({"django.core.signals.setting_changed"})
"""All kinds of modules listen to it as they are imported, and nobody sends it to a server."""


def registries(framework: str, apps: Iterable[object]) -> Iterator[tuple[str, object]]:
    yield from readable(
        ("settings", _settings),
        ("installed apps", _apps),
        ("models", _models),
        ("model lookups", _lookups),
        ("signal receivers", _receivers),
        ("URL patterns", _url_patterns),
        ("admin site", _admin_sites),
        ("template engines", _template_engines),
        ("template tags and filters", _template_libraries),
        ("system checks", _checks),
    )


def _settings() -> object:
    """What the project has set, also while it loaded. Who compares knows most values from the module of the settings."""
    from django.conf import global_settings, settings

    found: dict[str, object] = {}
    holder = attributes(settings).get("_wrapped")
    while holder is not None:
        variables = attributes(holder)
        explicit = variables.get("_explicit_settings", ())
        for name, value in variables.items():
            is_default = vars(global_settings).get(name, found) is value and name not in explicit
            if name.isupper() and not is_default:
                found.setdefault(name, value)
        holder = variables.get("default_settings")  # of settings.configure(), and below settings that were overridden
    return dict(sorted(found.items()))


# --- apps and models ---


def _apps() -> object:
    from django.apps import apps

    return {label: (told_kind(config), config.name, config.path) for label, config in apps.app_configs.items()}


def _all_models() -> Iterator[Any]:
    """As `apps.get_models` gives them, which keeps what it is asked for."""
    from django.apps import apps

    for config in apps.app_configs.values():
        yield from tuple((config.models or {}).values())


def _models() -> object:
    return {model._meta.label: _told_model(model) for model in _all_models()}


def _told_model(model: Any) -> object:
    options = model._meta
    return {
        "class": told(model),
        "table": options.db_table,
        "fields": [_told_field(field) for field in options.local_fields],
        "many to many": [_told_field(field) for field in options.local_many_to_many],
        "others": [_told_field(field) for field in options.private_fields],
        "managers": [(manager.name, told_kind(manager)) for manager in options.local_managers],
        "options": told_by_name(options.original_attrs),
    }


def _told_field(field: Any) -> object:
    relation = attributes(field).get("remote_field")
    target = attributes(relation).get("model") if relation is not None else None
    related_name = attributes(relation).get("related_name") if relation is not None else None
    return (
        field.name,
        told_kind(field),
        None if target is None else label_of(target),
        related_name if type(related_name) is str else None,
    )


def _lookups() -> object:
    """Lookups and transforms that are registered, by the class of fields."""
    from django.db.models.query_utils import RegisterLookupMixin

    holders: dict[str, type] = {}
    below: list[type] = [RegisterLookupMixin]
    while below:
        cls = below.pop()
        if name_of(cls) not in holders:
            holders[name_of(cls)] = cls
            below += type.__subclasses__(cls)
    return {
        name: dict(sorted(vars(cls)["class_lookups"].items()))
        for name, cls in sorted(holders.items())
        if vars(cls).get("class_lookups")
    }


def _receivers() -> object:
    from django.dispatch import Signal

    return told_signals(Signal, known=_all_models(), left_out=_SENT_BY_TESTS)


# --- URLs ---


def _url_patterns() -> object:
    """Flat, in the order in which they are tried."""
    from django.conf import settings
    from django.urls import get_resolver

    if not getattr(settings, "ROOT_URLCONF", None):
        return {}
    return named(_flattened(get_resolver(), "", (), {}))


def _flattened(
    resolver: Any, prefix: str, spaces: tuple[object, ...], defaults: dict[str, object]
) -> Iterator[tuple[str, object]]:
    variables = attributes(resolver)
    if "url_patterns" not in variables:  # nobody has asked for it so far, and to ask would import it
        yield f"{prefix} (not imported)", told(variables.get("urlconf_name"))
        return
    for entry in variables["url_patterns"]:
        route = prefix + _route(entry.pattern)
        if "urlconf_name" in attributes(entry):
            inner = (*spaces, (entry.namespace, entry.app_name))
            yield from _flattened(entry, route, inner, defaults | entry.default_kwargs)
        else:
            converters = attributes(entry.pattern).get("converters") or {}
            yield (
                route,
                {
                    "view": told(entry.callback),
                    "name": entry.name,
                    "namespaces": spaces,
                    "arguments": told(defaults | entry.default_args),
                    "converters": {name: told_kind(converter) for name, converter in converters.items()},
                    "pattern": told_kind(entry.pattern),
                },
            )


def _route(pattern: object) -> str:
    """As it is written. `str(pattern)` would translate it, or tell the language that is active."""
    variables = attributes(pattern)
    written = variables.get("_route", variables.get("_regex"))
    if type(written) is str:
        return written
    return (
        f"<{name_of(type(pattern))} {told(variables.get('prefix_default_language'))}>"
        if written is None
        else f"<{told(written)}>"
    )


# --- admin ---


def _admin_sites() -> object:
    """Those that somebody has used: `admin.site` comes into being when it is asked for something."""
    module = sys.modules.get("django.contrib.admin.sites")
    sites = (
        sorted(module.all_sites, key=lambda site: (str(attributes(site).get("name")), name_of(type(site))))
        if module
        else ()
    )
    return named(pair for site in sites for pair in _told_site(site, is_only=len(sites) == 1))


def _told_site(site: object, *, is_only: bool) -> Iterator[tuple[str, object]]:
    variables: dict[str, Any] = attributes(site)
    name = variables.get("name")
    yield f"({name})", (told_kind(site), _told_names(variables, "_actions"), _told_names(variables, "_global_actions"))
    for model, admin in variables["_registry"].items():
        label = model._meta.label
        yield label if is_only else f"{name}: {label}", (told(model), told_kind(admin))


def _told_names(variables: dict[str, Any], name: str) -> list[tuple[str, object]]:
    return [(key, told(value)) for key, value in variables.get(name, {}).items()]


# --- templates ---


def _engines() -> Iterable[tuple[str, dict[str, Any]]]:
    """Those that are built, with what is in them."""
    from django.template import engines

    return sorted((alias, attributes(backend)) for alias, backend in engines._engines.items())


def _template_engines() -> object:
    found: dict[str, object] = {}
    for alias, backend in _engines():
        engine = attributes(backend["engine"]) if "engine" in backend else {}
        names = ("dirs", "app_dirs", "builtins", "libraries", "context_processors", "loaders")
        found[alias] = {name: told(engine[name]) for name in names if name in engine}
        if "env" in backend:
            found[alias] = told_environment(backend["env"])
    return found


def _template_libraries() -> object:
    found: list[tuple[str, object]] = []
    for _alias, backend in _engines():
        engine = attributes(backend["engine"]) if "engine" in backend else {}
        libraries = {
            **dict(zip(engine.get("builtins", ()), engine.get("template_builtins", ()), strict=False)),
            **engine.get("template_libraries", {}),
        }
        for name, library in libraries.items():
            found.append((name, {"tags": told_by_name(library.tags), "filters": told_by_name(library.filters)}))
    return named(found)


# --- checks ---


def _checks() -> object:
    from django.core.checks.registry import registry

    return {
        title: sorted_by_name(
            (label_of(check), (told(check), told_each(getattr(check, "tags", ())))) for check in checks
        )
        for title, checks in (("all", registry.registered_checks), ("deployment", registry.deployment_checks))
    }
