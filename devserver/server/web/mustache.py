"""Templates for the few pages that the server itself shows: a subset of Mustache.

Pure; runs in the server process. `{{name}}` is escaped, always; `{{#name}}…{{/name}}` repeats for each item of a list, or is
there once if the value is true; `{{^name}}…{{/name}}` is there if it is not; `{{.}}` is the item itself. A name is looked
up in the innermost view that has it. Rules that hold: there is no unescaped output, so no value can become markup; a name
that no view has is an error, so a typo in a template fails its test; `{{>name}}` is replaced by a partial, when the template is
parsed, and partials are our own files. Standalone tags leave no empty line.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

from devserver.record import Record

_TAG = re.compile(r"\{\{(?P<kind>[#^/]?)(?P<name>[\w.]+)\}\}")
_STANDALONE = re.compile(r"^[ \t]*(\{\{[#^/][\w.]+\}\})[ \t]*\n", re.MULTILINE)


class TemplateError(Exception):
    """The template is malformed, or names something that the view does not have. A bug of ours."""


class _Value(Record):
    name: str


class _Section(Record):
    name: str
    inverted: bool
    nodes: tuple[_Node, ...]


_Node = str | _Value | _Section


class Template:
    """A parsed template; `render` may be called from several threads."""

    def __init__(self, source: str, partials: Mapping[str, str] = MappingProxyType({})) -> None:
        for name, text in partials.items():
            source = source.replace("{{>" + name + "}}", text)
        tokens = _tokens(_STANDALONE.sub(r"\1", source))
        self._nodes = tuple(_parse(tokens, closing=""))

    def render(self, view: Mapping[str, object]) -> str:
        """The text for `view`. Raises TemplateError."""
        parts: list[str] = []
        _render(self._nodes, (view,), parts.append)
        return "".join(parts)


def _tokens(source: str) -> Iterator[str | re.Match[str]]:
    position = 0
    for tag in _TAG.finditer(source):
        yield source[position : tag.start()]
        yield tag
        position = tag.end()
    yield source[position:]


def _parse(tokens: Iterator[str | re.Match[str]], closing: str) -> Iterator[_Node]:
    for token in tokens:
        if isinstance(token, str):
            if token:
                yield token
            continue
        name = token["name"]
        match token["kind"]:
            case "":
                yield _Value(name)
            case "/":
                if name != closing:
                    raise TemplateError(f"{token[0]} closes {closing or 'nothing'}")
                return
            case kind:
                yield _Section(name, kind == "^", tuple(_parse(tokens, closing=name)))
    if closing:
        raise TemplateError(f"{closing} is never closed")


def _render(nodes: Sequence[_Node], views: tuple[object, ...], write: Callable[[str], None]) -> None:
    for node in nodes:
        if isinstance(node, str):
            write(node)
        elif isinstance(node, _Value):
            write(html.escape(str(_look_up(node.name, views)), quote=True))
        else:
            value = _look_up(node.name, views)
            if node.inverted:
                if not value:
                    _render(node.nodes, views, write)
            elif isinstance(value, list | tuple):
                for item in value:
                    _render(node.nodes, (*views, item), write)
            elif value:
                _render(node.nodes, (*views, value) if isinstance(value, dict) else views, write)


def _look_up(name: str, views: tuple[object, ...]) -> object:
    if name == ".":
        return views[-1]
    for view in reversed(views):
        if isinstance(view, dict) and name in view:  # not Mapping: that question costs as much as the rest
            return view[name]
    raise TemplateError(f"nothing is called {name}")
