"""What Flask and Quart know of the user's code: routes, views, functions around requests, error handlers, blueprints, commands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from devserver.integrations.registries.jinja2 import told_environment
from devserver.integrations.registries.telling import (
    attributes,
    instances_in_modules,
    label_of,
    named,
    readable,
    referent,
    sorted_by_name,
    told,
    told_apps,
    told_by_name,
    told_each,
    told_kind,
    told_layers,
)

_MAX_NESTING = 4  # of groups of commands

_BY_BLUEPRINT = {
    "before requests": "before_request_funcs",
    "after requests": "after_request_funcs",
    "at the end of requests": "teardown_request_funcs",
    "before WebSockets": "before_websocket_funcs",
    "after WebSockets": "after_websocket_funcs",
    "at the end of WebSockets": "teardown_websocket_funcs",
    "processors of URL values": "url_value_preprocessors",
    "defaults of URLs": "url_default_functions",
    "context processors": "template_context_processors",
}
"""Attributes in which lists lie by the name of the blueprint; None for the app."""

_IN_ORDER = {
    "at the end of app contexts": "teardown_appcontext_funcs",
    "shell context processors": "shell_context_processors",
    "handlers of errors in URLs": "url_build_error_handlers",
    "before serving": "before_serving_funcs",
    "after serving": "after_serving_funcs",
    "while serving": "while_serving_gens",
}


def registries(framework: str, apps: Iterable[object]) -> Iterator[tuple[str, object]]:
    yield from told_apps(framework, apps, _registries)
    yield from readable((f"{framework} signal receivers", _told_receivers))


def _registries(title: str, app: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Of the attributes of one app."""
    yield from readable(
        (f"{title} routes", lambda: _told_rules(app["url_map"])),
        (f"{title} views", lambda: {endpoint: told(view) for endpoint, view in app["view_functions"].items()}),
        (f"{title} functions around requests", lambda: _told_functions(app)),
        (f"{title} error handlers", lambda: _told_error_handlers(app["error_handler_spec"])),
        (f"{title} blueprints", lambda: _told_blueprints(app["blueprints"])),
        (f"{title} configuration", lambda: told_by_name(app["config"])),
        (f"{title} extensions", lambda: sorted(map(label_of, app["extensions"]))),
        (f"{title} commands", lambda: sorted_by_name(_told_commands(app["cli"]))),
        # Made when it is first used: what was added to it before is in there by then, or has made it.
        (f"{title} templates", lambda: told_environment(app["jinja_env"]) if "jinja_env" in app else "not used so far"),
        (f"{title} WSGI middlewares", lambda: told_layers(app.get("wsgi_app") or app.get("asgi_app"))),
    )


def _told_rules(url_map: Any) -> object:
    """As Werkzeug orders them before it looks for one: asked in its own way it would do that now."""
    rules = [rule for rules in url_map._rules_by_endpoint.values() for rule in _sorted_rules(rules)]
    found = named((f"{rule.subdomain or rule.host or ''}{rule.rule}", _told_rule(rule)) for rule in rules)
    return {**found, "(matching)": _order_of_matching(url_map._matcher._root)}


def _sorted_rules(rules: Sequence[Any]) -> Sequence[Any]:
    return sorted(rules, key=lambda rule: rule.build_compare_key())


def _told_rule(rule: Any) -> object:
    names = ("strict_slashes", "merge_slashes", "websocket", "build_only", "alias")
    return {
        "endpoint": told(rule.endpoint),
        "methods": sorted(rule.methods or ()),
        "defaults": told(rule.defaults),
        "subdomain": rule.subdomain,
        "host": rule.host,
        "redirect to": told(rule.redirect_to),
        "converters": {name: told_kind(converter) for name, converter in sorted(rule._converters.items())},
        **{name: getattr(rule, name) for name in names},
    }


def _order_of_matching(state: Any) -> object:
    """Rules that could answer the same URL are tried in the order in which they were added."""
    return {
        "rules": [f"{rule.rule} {rule.endpoint}" for rule in state.rules],
        "fixed": {text: _order_of_matching(below) for text, below in sorted(state.static.items())},
        "variable": [
            (part.content, _order_of_matching(below))
            for part, below in sorted(state.dynamic, key=lambda transition: transition[0].weight)
        ],
    }


def _told_functions(app: Mapping[str, Any]) -> object:
    found: dict[str, object] = {}
    for title, attribute in _BY_BLUEPRINT.items():
        for blueprint, functions in sorted(app.get(attribute, {}).items(), key=lambda pair: pair[0] or ""):
            if functions:  # to ask for those of a blueprint that has none leaves an empty list
                found[f"{title} of {blueprint}" if blueprint else title] = told_each(functions)
    found |= {title: told_each(app[attribute]) for title, attribute in _IN_ORDER.items() if app.get(attribute)}
    return found


def _told_error_handlers(handlers: Mapping[str | None, Mapping[int | None, Mapping[type, object]]]) -> object:
    """The nearest class is chosen, so their order does not count."""
    return sorted_by_name(
        (f"{scope or ''} {code or ''} {label_of(kind)}".strip(), told(handler))
        for scope, by_code in tuple(handlers.items())
        for code, by_kind in tuple(by_code.items())
        for kind, handler in tuple(by_kind.items())
    )


def _told_blueprints(blueprints: Mapping[str, object]) -> object:
    """In the order in which their folders are looked through for templates."""
    names = ("import_name", "url_prefix", "subdomain", "template_folder", "_static_folder", "_static_url_path")
    return {
        name: (told_kind(blueprint), [told(attributes(blueprint).get(attribute)) for attribute in names])
        for name, blueprint in blueprints.items()
    }


def _told_commands(group: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, object]]:
    for name, command in tuple(attributes(group).get("commands", {}).items()):
        variables = attributes(command)
        yield f"{prefix}{name}", (told_kind(command), told(variables.get("callback")))
        if depth < _MAX_NESTING:
            yield from _told_commands(command, f"{prefix}{name} ", depth + 1)


def _told_receivers() -> object:
    """Blinker calls them in no order that one could rely on."""
    from blinker import Signal

    return {
        name: sorted_by_name(_told_signal(attributes(signal)))
        for name, signal in instances_in_modules(Signal).items()
        if attributes(signal).get("receivers")
    }


def _told_signal(signal: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    for key, reference in tuple(signal["receivers"].items()):
        receiver = referent(reference)
        if receiver is not None:
            senders = [_told_sender(signal, sender) for sender in tuple(signal["_by_receiver"].get(key, ()))]
            yield label_of(receiver), (told(receiver), sorted(senders))


def _told_sender(signal: Mapping[str, Any], key: object) -> str:
    """An app is told by its class: it has no name, and which one it is seldom differs."""
    from blinker.base import ANY_ID

    if key == ANY_ID:
        return "any sender"
    reference = signal["_weak_senders"].get(key)
    return label_of(key if type(key) is str else None if reference is None else reference())
