"""Which names a module binds when it is imported, read from its source without running it.

Runs in the supervisor. Rules that hold: a name is called missing only when the source proves it (`Bindings.is_proof`); what
runs only as a script (`if __name__ == "__main__"`) or only for type checkers binds nothing; nothing of the user's is
executed or imported.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path

from devserver.record import Record

APP_MAKERS = frozenset(
    {
        *("App", "BlackSheep", "Bottle", "Dash", "FastAPI", "Flask", "Litestar", "Quart", "Sanic", "Starlette"),
        *("ProtocolTypeRouter", "get_asgi_application", "get_wsgi_application", "make_wsgi_app"),
    }
)
"""What is called to make an app in well-known frameworks: only for saying which name is probably meant."""


_MAKING = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)


class Binding(StrEnum):
    """What a name is bound to, as far as the source shows."""

    FACTORY = "factory"  # a plain function that needs no argument: it can be neither a WSGI nor an ASGI app
    APP = "app"  # made by a framework's class or function
    OTHER = "other"


class Bindings(Record):
    names: Mapping[str, Binding]  # in the order of the source
    script_only: frozenset[str]  # bound only under `if __name__ == "__main__"`
    complete: bool  # False: there may be more names (star imports, globals(), exec(), a module's __getattr__)
    makes: bool = True  # False: nothing but imports and statements; a file that has just been begun

    @property
    def is_proof(self) -> bool:
        """Whether a name that is not in `names` is missing for good."""
        return self.complete and self.makes

    def apps(self) -> list[str]:
        """Names bound to what a well-known framework makes."""
        return [name for name, binding in self.names.items() if binding is Binding.APP]


def parse_source(path: Path) -> ast.Module | None:
    """The syntax tree of a file; None when it cannot be read or is not valid Python: then importing it will say so."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a SyntaxWarning is shown when the module is imported, once
        try:
            return ast.parse(path.read_bytes(), filename=str(path))
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def read_bindings(path: Path) -> Bindings | None:
    """The names that the module in `path` binds; None as for `parse_source`."""
    tree = parse_source(path)
    if tree is None:
        return None
    names: dict[str, Binding] = {}
    for name, binding in _bound(tree.body):
        names[name] = binding if names.get(name, binding) is binding else Binding.OTHER
    script = {name for block in _script_blocks(tree.body) for name, _ in _bound(block)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):  # bound once the function is called
            names.update(dict.fromkeys(node.names, Binding.OTHER))
        elif isinstance(node, ast.NamedExpr) and isinstance(node.target, ast.Name):
            names.setdefault(node.target.id, Binding.OTHER)
    complete = "__getattr__" not in names and not any(map(_is_dynamic, ast.walk(tree)))
    makes = any(isinstance(node, _MAKING) for node in ast.walk(tree))
    return Bindings(names, frozenset(script - names.keys()), complete, makes)


def _bound(statements: Iterable[ast.stmt]) -> Iterator[tuple[str, Binding]]:
    for statement in statements:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield statement.name, Binding.FACTORY if _needs_no_argument(statement) else Binding.OTHER
            case ast.ClassDef(name=name):
                yield name, Binding.OTHER
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    yield from _targets(target, value)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                yield from _targets(target, value)
            case ast.Import(names=aliases):
                for alias in aliases:
                    yield alias.asname or alias.name.partition(".")[0], Binding.OTHER
            case ast.ImportFrom(names=aliases):
                for alias in aliases:
                    yield alias.asname or alias.name, Binding.OTHER
            case ast.If(test=test, body=body, orelse=orelse):
                if not _never_true_on_import(test):
                    yield from _bound(body)
                yield from _bound(orelse)
            case (
                ast.For(target=target, body=body, orelse=orelse) | ast.AsyncFor(target=target, body=body, orelse=orelse)
            ):
                yield from _targets(target)
                yield from _bound(body)
                yield from _bound(orelse)
            case ast.While(body=body, orelse=orelse):
                yield from _bound(body)
                yield from _bound(orelse)
            case ast.With(items=items, body=body) | ast.AsyncWith(items=items, body=body):
                for item in items:
                    if item.optional_vars is not None:
                        yield from _targets(item.optional_vars)
                yield from _bound(body)
            case ast.Try() | ast.TryStar():
                yield from _bound(statement.body)
                for handler in statement.handlers:
                    yield from _bound(handler.body)
                yield from _bound(statement.orelse)
                yield from _bound(statement.finalbody)
            case ast.Match(cases=cases):
                for match_case in cases:
                    for node in ast.walk(match_case.pattern):
                        if isinstance(node, ast.MatchAs | ast.MatchStar) and node.name:
                            yield node.name, Binding.OTHER
                    yield from _bound(match_case.body)
            case _:
                pass


def _targets(target: ast.expr, value: ast.expr | None = None) -> Iterator[tuple[str, Binding]]:
    match target:
        case ast.Name(id=name):
            yield name, Binding.APP if value is not None and _makes_app(value) else Binding.OTHER
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            for part in parts:
                yield from _targets(part)
        case ast.Starred(value=part):
            yield from _targets(part)
        case _:  # an attribute or an item of something: binds no name
            pass


def _script_blocks(statements: Iterable[ast.stmt]) -> Iterator[list[ast.stmt]]:
    for statement in statements:
        if isinstance(statement, ast.If) and _is_script_guard(statement.test):
            yield statement.body


def _never_true_on_import(test: ast.expr) -> bool:
    match test:
        case ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"):
            return True
    return _is_script_guard(test)


def _is_script_guard(test: ast.expr) -> bool:
    match test:
        case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
            texts = {getattr(side, "id", None) or getattr(side, "value", None) for side in (left, right)}
            return texts == {"__name__", "__main__"}
    return False


def _needs_no_argument(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    arguments = function.args
    required = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    required += sum(default is None for default in arguments.kw_defaults)
    return not required and arguments.vararg is None and not function.decorator_list


def _makes_app(value: ast.expr) -> bool:
    match value:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name in APP_MAKERS
    return False


def _is_dynamic(node: ast.AST) -> bool:
    match node:
        case ast.ImportFrom(names=[ast.alias(name="*")]):
            return True
        case ast.Name(id="globals" | "exec"):
            return True
        case ast.Call(func=ast.Name(id="vars" | "locals"), args=[]):
            return True
        case ast.Attribute(value=ast.Name(id="sys"), attr="modules"):
            return True
    return False
