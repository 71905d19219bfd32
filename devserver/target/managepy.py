"""Which settings a Django project's manage.py names, read from its source.

Runs in the supervisor. The environment decides first where manage.py lets it, as when manage.py itself is run.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from devserver.target.bindings import parse_source

VARIABLE = "DJANGO_SETTINGS_MODULE"

_IN_TEXT = re.compile(rb"DJANGO_SETTINGS_MODULE['\"]\s*[,\]]\s*=?\s*['\"]([A-Za-z_][\w.]*)['\"]")


def settings_module(path: Path, environ: Mapping[str, str]) -> str | None:
    """The settings module that `python manage.py` would use; None when it names none, or computes it in its own way."""
    default, forced = _named(path, environ)
    return forced or environ.get(VARIABLE) or default


def _named(path: Path, environ: Mapping[str, str]) -> tuple[str | None, str | None]:
    """What `os.environ.setdefault(…)` and what `os.environ[…] = …` say."""
    tree = parse_source(path)
    if tree is None:  # a typo in manage.py is shown by the server; until then its text has to do
        try:
            found = _IN_TEXT.search(path.read_bytes())
        except OSError:
            return None, None
        return (found[1].decode() if found else None), None
    constants = dict(_constants(tree))
    defaults, forced = [], []
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="setdefault"), args=[ast.Constant(value=name), value]):
                if name == VARIABLE:
                    defaults.append(_text(value, constants, environ))
            case ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value=name))], value=value):
                if name == VARIABLE:
                    forced.append(_text(value, constants, environ))
    return _likeliest(defaults), _likeliest(forced)


def _likeliest(named: list[str | None]) -> str | None:
    """Of several (`if "test" in sys.argv: …`) the first that is not for tests."""
    known = [name for name in named if name]
    return next((name for name in known if "test" not in name.rpartition(".")[2]), known[0] if known else None)


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str() as text)):
                yield name, text


def _text(value: ast.expr, constants: Mapping[str, str], environ: Mapping[str, str]) -> str | None:
    match value:
        case ast.Constant(value=str() as text):
            return text
        case ast.Name(id=name):
            return constants.get(name)
        case ast.Call(func=ast.Attribute(attr="get" | "getenv"), args=[ast.Constant(value=str() as name), *rest]):
            return environ.get(name) or (_text(rest[0], constants, environ) if rest else None)
        case ast.BoolOp(op=ast.Or(), values=values):
            return next(filter(None, (_text(each, constants, environ) for each in values)), None)
        case ast.JoinedStr(values=values):
            parts = [_text(each, constants, environ) for each in values]
            return None if None in parts else "".join(filter(None, parts))
        case ast.FormattedValue(value=inner, conversion=-1, format_spec=None):
            return _text(inner, constants, environ)
    return None
