"""What a Jinja environment knows of the user's code: what templates can name."""

from __future__ import annotations

from devserver.integrations.registries.telling import attributes, told_by_name
from devserver.server.load.genuine import name_of


def told_environment(environment: object) -> object:
    """What templates can name."""
    variables = attributes(environment)
    found: dict[str, object] = {
        name: told_by_name(variables[name])
        for name in ("filters", "tests", "globals", "policies")
        if isinstance(variables.get(name), dict)
    }
    extensions = variables.get("extensions")
    if isinstance(extensions, dict):
        found["extensions"] = [name_of(type(extension)) for extension in extensions.values()]
    return found
