"""Imports the target, calls a factory, and says how the app is to be called.

Runs in the server process. Rules that hold: what the user's code raises (SystemExit too) propagates untouched, for the
report shows it; what is wrong with the *target* is a TargetError with the way out. The two are told apart even where both
are an ImportError or an AttributeError.
"""

from __future__ import annotations

import ast
import difflib
import functools
import importlib
import inspect
import os
import pkgutil
import sys
import types
from collections.abc import Callable, Iterable, Sequence
from typing import cast

from devserver.errors import TargetError
from devserver.messages import Interface
from devserver.options import Options
from devserver.record import Record
from devserver.server.integration import Integration
from devserver.server.load.interfaces import Shape, as_asgi3, describe, detect_interface, examine, is_app
from devserver.target import Target, TargetKind

APP_NAMES = ("application", "app")
FACTORY_NAMES = ("create_app", "make_app")
_ABSENT = object()


class Loaded(Record):
    """An app, ready to be served."""

    app: object  # a WSGI or an ASGI 3.0 callable; None for a folder
    interface: Interface
    name: str  # `mysite.wsgi:application`, `shop:create_app()`
    module_name: str  # the module it came from; "" for a folder


def prepare_path(target: Target) -> None:
    """Puts the app's folder at the front of `sys.path`, once."""
    if sys.path[:1] != [target.app_dir]:
        sys.path.insert(0, target.app_dir)


def load_target(target: Target, options: Options, integrations: Sequence[Integration] = ()) -> Loaded:
    """Runs the user's code until there is an app.

    The process's environment, `sys.argv` and `sys.path` must be as the app expects them (`prepare_path`, `Integration.prepare`).
    Blocks for as long as the import takes. Raises TargetError if the target is wrong, and whatever the user's code raises.
    """
    if target.kind is TargetKind.FOLDER:
        return Loaded(None, Interface.STATIC, target.label, "")
    if target.kind is TargetKind.DJANGO:
        target = _resolve(target, options, integrations)
    _refuse_taken_name(target)
    module = load_module(target.module, folder=target.app_dir)
    attribute, app = _find(module, target, is_factory_wanted=options.factory or target.call)
    name = f"{module.__name__}:{attribute}"

    if options.factory or target.call or _is_factory(app):
        app = _call_factory(app, target.call_arguments, name)
        name = f"{name}({target.call_arguments})"
    interface = detect_interface(app, options.interface, label=name)
    return Loaded(as_asgi3(app) if interface is Interface.ASGI else app, interface, name, module.__name__)


def _resolve(target: Target, options: Options, integrations: Sequence[Integration]) -> Target:
    for integration in integrations:
        if resolved := integration.resolve(target, options):
            return resolved
    raise TargetError(
        f"nothing here knows what to run for {target.label}", hint="name the app: package.module:application"
    )


# --- the module ---


def load_module(name: str, *, folder: str) -> types.ModuleType:
    """The module of that dotted name, imported. `folder` is where close matches are looked for.

    Raises TargetError if the module itself is not there, and whatever it raises while it runs.
    """
    if not all(name.split(".")):
        raise TargetError(f"{name!r} is not the name of a module", hint="write it as  package.module:application")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}.") or _ran_other_code(error):
            raise
        raise _missing_module(name, error.name, folder) from None


def _ran_other_code(error: BaseException) -> bool:
    """Did it come through a frame that is neither ours nor the import system's?"""
    step = error.__traceback__
    while step is not None:
        package = str(step.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        if package not in ("devserver", "importlib", "_frozen_importlib", "_frozen_importlib_external"):
            return True
        step = step.tb_next
    return False


def _missing_module(name: str, missing: str, folder: str) -> TargetError:
    parent_name, _, last = missing.rpartition(".")
    parent = sys.modules.get(parent_name) if parent_name else None
    if parent is not None and not hasattr(parent, "__path__"):
        return TargetError(
            f"there is no module {missing}: {parent_name} is a file, not a package ({_file_of(parent)})",
            hint=f"what is in it comes after a colon:  {parent_name}:{name.removeprefix(parent_name + '.')}",
        )
    if parent is not None:
        where, siblings = f"the package {parent_name}", _module_names(parent.__path__)
    else:
        where, siblings = folder, _module_names([folder])
    rest = name.removeprefix(missing)
    matches = [".".join(filter(None, (parent_name, match))) for match in difflib.get_close_matches(last, siblings, n=3)]
    if matches:
        return TargetError(
            f"there is no module {last} in {where}", hint=f"did you mean {_either(m + rest for m in matches)}?"
        )
    hint = f"modules there: {', '.join(sorted(siblings)[:8])}" if siblings else "no modules are there"
    if parent is None:
        hint += "; --app-dir names another folder"
    return TargetError(f"there is no module {last} in {where}", hint=hint)


def _module_names(folders: Iterable[str]) -> list[str]:
    """What could be imported from there, namespace packages included."""
    names = {module.name for module in pkgutil.iter_modules(folders)}
    for folder in folders:
        try:
            with os.scandir(folder) as entries:
                names.update(entry.name for entry in entries if entry.name.isidentifier() and entry.is_dir())
        except OSError:
            continue
    return [name for name in names if not name.startswith("_")]


def _refuse_taken_name(target: Target) -> None:
    """A target `email.py` can't be imported where the standard library's `email` is loaded already."""
    top = target.module.partition(".")[0]
    taken = sys.modules.get(top)
    is_taken = top in sys.builtin_module_names
    if taken is not None and not hasattr(taken, "__path__"):
        is_taken |= not _lies_in(_file_of(taken), target.app_dir)
    elif taken is not None:
        is_taken |= not any(_lies_in(folder, target.app_dir) for folder in taken.__path__)
    if is_taken and target.path and _lies_in(target.path, target.app_dir):
        whose = "the standard library" if top in sys.stdlib_module_names else "a library that devserver uses"
        raise TargetError(
            f"{target.path} can't be imported: {whose} has a module named {top}, and it is loaded already",
            hint="give your file or package another name",
        )


def _lies_in(path: str, folder: str) -> bool:
    return bool(path) and os.path.realpath(path).startswith(os.path.join(os.path.realpath(folder), ""))


def _file_of(module: types.ModuleType) -> str:
    return getattr(module, "__file__", None) or ""


# --- the attribute ---


def _find(module: types.ModuleType, target: Target, *, is_factory_wanted: bool) -> tuple[str, object]:
    """Name and value of what the target means, or of the first of the usual names that will do."""
    if target.attribute:
        return target.attribute, _attribute(module, target.attribute)
    names = FACTORY_NAMES + APP_NAMES if is_factory_wanted else APP_NAMES + FACTORY_NAMES
    values = {name: _look_up(module, name, None) for name in names}
    for name, value in values.items():
        if callable(value) and (name in APP_NAMES or is_factory_wanted or _is_factory(value)):
            return name, value
    for name, value in values.items():
        if callable(value):
            raise TargetError(
                f"{module.__name__}:{name} is a factory that needs arguments",
                hint=f"write the call, with literal values:  {module.__name__}:{name}(…)",
            )
        if value is not None and not inspect.ismodule(value):
            return name, value
    raise TargetError(
        f"{module.__name__} has no {', '.join(names[:-1])} or {names[-1]}",
        hint=_apps_hint(module) or f"name what is to be served:  {module.__name__}:attribute",
    )


def _attribute(module: types.ModuleType, dotted: str) -> object:
    holder: object = module
    done = module.__name__
    for name in dotted.split("."):
        value = _look_up(holder, name, _ABSENT)
        if value is _ABSENT:
            raise _missing_attribute(module, holder, name, done)
        done += f"{':' if holder is module else '.'}{name}"
        holder = value
    return holder


def _look_up(holder: object, name: str, default: object) -> object:
    """`getattr`, but an AttributeError from inside a property or a module's `__getattr__` is not taken for absence."""
    try:
        return getattr(holder, name)
    except AttributeError as error:
        if error.name != name or error.obj is not holder:
            raise
        return default


def _missing_attribute(module: types.ModuleType, holder: object, name: str, done: str) -> TargetError:
    message = f"{done} has no attribute `{name}`"
    known = [known for known in dir(holder) if not known.startswith("_")]
    if holder is module:
        if hint := _apps_hint(module):
            return TargetError(message, hint=hint)
        known = [known for known in known if callable(vars(module).get(known))]
    if matches := difflib.get_close_matches(name, known, n=3):
        return TargetError(message, hint=f"did you mean {_either(matches)}?")
    if _file_of(module) and not os.path.getsize(_file_of(module)):
        return TargetError(message, hint=f"{_file_of(module)} is empty: was it saved?")
    return TargetError(message)


def _apps_hint(module: types.ModuleType) -> str | None:
    """What in `module` could be served."""
    names = [name for name, value in vars(module).items() if not isinstance(value, type) and is_app(value)]
    names += [name for name in FACTORY_NAMES if callable(getattr(module, name, None))]
    return f"it has {_either(names[:4])}:  {module.__name__}:{names[0]}" if names else None


# --- factories ---


def _is_factory(value: object) -> bool:
    """Flask's rule, told from the signature: a function or class that can be called without arguments, or bears the name."""
    if not (inspect.isroutine(value) or isinstance(value, type | functools.partial)):
        return False
    shape = examine(value).shape
    return shape is Shape.FACTORY or (shape is Shape.OPAQUE and getattr(value, "__name__", "") in FACTORY_NAMES)


def _call_factory(factory: object, arguments: str, name: str) -> object:
    if not callable(factory):
        raise TargetError(f"{name} is {describe(factory)}, not a factory: it can't be called")
    positional, by_name = _literals(arguments, name)
    if inspect.iscoroutinefunction(factory):
        raise TargetError(
            f"{name} is an async function, and a factory is called before there is an event loop",
            hint="make it a plain function; what it awaits belongs into the app's lifespan",
        )
    try:
        inspect.signature(factory).bind(*positional, **by_name)
    except TypeError as error:
        raise TargetError(
            f"{name} can't be called with ({arguments}): {error}",
            hint=f"give literal values:  {name}(…), or let it do without arguments",
        ) from None
    except ValueError:  # a builtin without a signature: the call itself will tell
        pass
    app = cast("Callable[..., object]", factory)(*positional, **by_name)
    if inspect.iscoroutine(app):
        app.close()
        raise TargetError(f"{name} gave a coroutine, not an app", hint="make the factory a plain function")
    if app is None:
        raise TargetError(f"{name}({arguments}) returned None", hint="does it end with a `return` of the app?")
    return app


def _literals(source: str, name: str) -> tuple[list[object], dict[str, object]]:
    """The values in the source of a call's arguments. Only literals: a target is no place for code."""
    try:
        call = ast.parse(f"f({source})", mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            raise ValueError("more than a call")
        by_name = {}
        for keyword in call.keywords:
            if keyword.arg is None:
                raise ValueError("** is not a literal")
            by_name[keyword.arg] = ast.literal_eval(keyword.value)
        return [ast.literal_eval(argument) for argument in call.args], by_name
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise TargetError(
            f"the arguments of {name}({source}) are not literals",
            hint="numbers, strings, True, None, lists and dictionaries can be given",
        ) from None


def _either(names: Iterable[str]) -> str:
    *most, last = [f"`{name}`" for name in names]
    return f"{', '.join(most)} or {last}" if most else last
