"""Which attribute of a module is the app: parsed from what the user wrote, or chosen from the module's source.

Runs in the supervisor. Rules that hold: an attribute is called wrong only if the source proves it; what cannot be told is
left empty, and the server searches when it has imported the module.
"""

from __future__ import annotations

import ast
import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from devserver.errors import TargetError, UsageError
from devserver.record import Record
from devserver.target import Target, TargetKind
from devserver.target.bindings import Binding, Bindings, read_bindings
from devserver.target.managepy import settings_module
from devserver.target.modules import Module, dotted_name, module_names

APPS = ("application", "app")
FACTORIES = ("create_app", "make_app")

_IN_TEXT = re.compile(
    rb"(?m)^[ \t]*(?:(?:application|app)[ \t]*[:=]|(?:async )?def (?:application|app|create_app|make_app)\b)"
)


class Place(Record):
    """Where a target is looked for, and with what."""

    cwd: Path  # absolute: where relative paths start
    environ: Mapping[str, str]
    app_dir: Path | None = None  # absolute, if the user said one
    factory: bool = False

    @property
    def root(self) -> Path:
        return self.app_dir or self.cwd

    def shown(self, path: Path) -> str:
        """`path` as a person in `cwd` would write it."""
        relative = os.path.relpath(path, self.cwd)
        return str(path) if relative.startswith("..") else relative


class Attribute(Record):
    """`app`, `config.wsgi_app` or `create_app(debug=True)`, taken apart. An empty name: to be searched at run time."""

    name: str = ""
    call: bool = False
    arguments: str = ""

    def __str__(self) -> str:
        return f"{self.name}({self.arguments})" if self.call and self.name else self.name


def parse_attribute(text: str) -> Attribute:
    """Take apart what stands after the colon. Raises TargetError."""
    try:
        expression = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        raise TargetError(f"`{text}` is not a name in a module", hint="for example  app  or  'create_app()'") from None
    if not isinstance(expression, ast.Call):
        return Attribute(_dotted(expression, text))
    try:
        for argument in [*expression.args, *(keyword.value for keyword in expression.keywords)]:
            ast.literal_eval(argument)
    except ValueError:
        hint = "give strings, numbers, True, False, None, and lists or dicts of them"
        raise TargetError(f"the arguments of `{text}` are not literals", hint=hint) from None
    if any(keyword.arg is None for keyword in expression.keywords):
        raise TargetError(f"`**` in `{text}` is not understood", hint="name each argument")
    arguments = [ast.unparse(argument) for argument in [*expression.args, *expression.keywords]]
    return Attribute(_dotted(expression.func, text), call=True, arguments=", ".join(arguments))


def _dotted(expression: ast.expr, text: str) -> str:
    match expression:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            return f"{_dotted(value, text)}.{name}"
    raise TargetError(f"`{text}` is neither a name nor a call", hint="for example  app  or  'create_app()'")


def choose_attribute(bindings: Bindings | None, *, factory: bool = False) -> Attribute | None:
    """What to run of a module; None if its source proves that nothing in it has one of the well-known names."""
    if bindings is None:
        return Attribute(call=factory)
    order = FACTORIES + APPS if factory else APPS + FACTORIES
    for name in order:
        if name in bindings.names:
            return Attribute(name, call=factory or name in FACTORIES or bindings.names[name] is Binding.FACTORY)
    return None if bindings.is_proof else Attribute(call=factory)


def has_app(path: Path) -> bool:
    """Does this source bind one of the well-known names? While it is broken, its text has to tell."""
    bindings = read_bindings(path)
    if bindings is not None:
        return any(name in bindings.names for name in APPS + FACTORIES)
    try:
        return _IN_TEXT.search(path.read_bytes()) is not None
    except OSError:
        return False


def module_target(module: Module, app_dir: Path, attribute: Attribute | None, place: Place, reason: str = "") -> Target:
    """The target for a module that was found; `attribute` as the user wrote it. Raises TargetError."""
    bindings = read_bindings(module.path) if module.path is not None and module.is_source else None
    if attribute is None:
        attribute = choose_attribute(bindings, factory=place.factory)
        if attribute is None and bindings is not None:
            names = ", ".join(APPS + FACTORIES[:1])
            raise TargetError(f"`{module.name}` has no {names} or {FACTORIES[1]}", hint=_suggestion(module, bindings))
    elif bindings is not None:
        attribute = _checked(attribute, module, bindings)
    assert attribute is not None
    call = attribute.call or place.factory
    return Target(
        TargetKind.MODULE,
        label=f"{module.name}:{attribute}" if attribute.name else module.name,
        path=str(module.path or ""),
        app_dir=str(app_dir),
        module=module.name,
        attribute=attribute.name,
        call=call,
        call_arguments=attribute.arguments,
        reason=reason,
    )


def file_target(path: Path, attribute: Attribute | None, place: Place, reason: str = "") -> Target:
    """The target for a Python file. Raises TargetError."""
    if path.suffix != ".py" or "." in path.stem:
        hint = "rename it to a plain name.py" if ".py" in path.name else "name a module, a .py file or a folder"
        if path.suffix in (".html", ".htm"):
            hint = f"to serve the files of its folder:  devserver run {place.shown(path.parent).rstrip('/')}/"
        raise TargetError(f"{place.shown(path)} cannot be imported as a Python file", hint=hint)
    app_dir, name = dotted_name(path)
    if place.app_dir is not None and place.app_dir != app_dir and path.is_relative_to(place.app_dir):
        parts = path.relative_to(place.app_dir).with_suffix("").parts
        if all(part.isidentifier() for part in parts[:-1]):
            app_dir, name = place.app_dir, ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    folders = (path.parent,) if path.name == "__init__.py" else ()
    return module_target(Module(name, path, folders), app_dir, attribute, place, reason)


def django_target(manage: Path, place: Place, reason: str = "") -> Target | None:
    """The target for a manage.py; None when it names no settings."""
    settings = settings_module(manage, place.environ)
    if settings is None:
        return None
    refuse_factory(place, "a Django project")
    return Target(
        TargetKind.DJANGO,
        label=place.shown(manage),
        path=str(manage),
        app_dir=str(place.app_dir or manage.parent),
        module=settings,
        reason=f"{reason}, settings {settings}" if reason else f"settings {settings}",
    )


def refuse_factory(place: Place, what: str) -> None:
    if place.factory:
        raise UsageError(f"--factory does not go with {what}", hint="name the function: devserver run module:function")


def _checked(attribute: Attribute, module: Module, bindings: Bindings) -> Attribute:
    """The attribute, called if it can only be meant so. Raises TargetError if the source proves that it is missing."""
    first, _, rest = attribute.name.partition(".")
    binding = bindings.names.get(first)
    if binding is None and bindings.is_proof and not _is_submodule(first, module):
        raise _missing(first, attribute, module, bindings)
    if binding is Binding.FACTORY and not rest and not attribute.call:
        return Attribute(attribute.name, call=True)
    return attribute


def _is_submodule(name: str, module: Module) -> bool:
    """Another module may import it, and then it is an attribute."""
    return name.startswith("__") or any(name in module_names(folder) for folder in module.folders)


def _missing(name: str, attribute: Attribute, module: Module, bindings: Bindings) -> TargetError:
    if name in bindings.script_only:
        return TargetError(
            f'`{name}` in `{module.name}` is set only under  if __name__ == "__main__"',
            hint="move it out of that block: a server imports the module",
        )
    known = [known for known in (*APPS, *FACTORIES) if known in bindings.names]
    close = difflib.get_close_matches(name, bindings.names, n=2)
    meant = known or bindings.apps()[:2] or close
    if close and close[0] not in meant:
        meant = [close[0], *meant]
    if meant:
        there = " and ".join(f"`{each}`" for each in meant[:3])
        return TargetError(
            f"`{module.name}` has {there}, not `{name}`", hint=f"devserver run {_command(module.name, meant[0])}"
        )
    return TargetError(f"`{module.name}` has no `{attribute.name}`", hint=_suggestion(module, bindings))


def _suggestion(module: Module, bindings: Bindings) -> str:
    for name in bindings.apps():
        return f"did you mean `{name}`?  devserver run {_command(module.name, name)}"
    for name in APPS + FACTORIES:
        if name in bindings.script_only:
            return f'`{name}` is set only under  if __name__ == "__main__": move it out of that block'
    return f"name what to serve: devserver run {module.name}:name"


def _command(module: str, name: str) -> str:
    return f"'{module}:{name}()'" if name in FACTORIES else f"{module}:{name}"
