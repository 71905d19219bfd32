"""From what the user wrote after `devserver run` to a Target.

Runs in the supervisor. Rules that hold: nothing of the user's is imported; a path is meant when there is a slash, `.py` at
the end, or a folder of that name that is no package; everything else is a module. Wrong ones get an error with the
close matches.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from devserver.errors import TargetError
from devserver.record import replace
from devserver.target import Target, TargetKind
from devserver.target.apps import Attribute, Place, django_target, file_target, has_app, module_target, parse_attribute
from devserver.target.bindings import read_bindings
from devserver.target.discovery import discover, folder_target, package_target
from devserver.target.modules import Module, Search, extends_its_path, find_installed, find_module, module_names

_ADDRESS = re.compile(r"(?:(?P<host>[\w.\-]*|\[[0-9a-fA-F:.]+\]):)?(?P<port>\d{2,5})")


def find_target(
    text: str | None,
    *,
    cwd: str,
    environ: Mapping[str, str],
    app_dir: str | None = None,
    factory: bool = False,
    reason: str = "",
) -> Target:
    """What `text` means, or what there is to run when it is None. Raises TargetError.

    `cwd` and `app_dir` are absolute; `environ` is the app's (variables of --env-file included). `reason` says where
    `text` was written, when that was not the command line.
    """
    place = Place(Path(cwd), environ, Path(app_dir) if app_dir is not None else None, factory)
    if text is None:
        return discover(place.root, place)
    text = text.strip()
    path, attribute = _split(text, place)
    if path is not None:
        target = _path_target(text, path, attribute, place)
    else:
        target = _module_target(text, text.partition(":")[0].strip(), attribute, place)
    if not reason:
        return target
    return replace(target, reason=reason)


def _split(text: str, place: Place) -> tuple[Path | None, Attribute | None]:
    """The path (None if a module is meant) and the attribute in `text`."""
    whole = _existing(text, place)
    if whole is not None and (os.sep in text or text in (".", "..") or _is_plain(whole)):
        return whole, None
    before, colon, after = text.partition(":")
    before, after = before.strip(), after.strip()
    if address := _ADDRESS.fullmatch(text):
        host = f"--host {address['host']} " if address["host"] else ""
        raise TargetError(
            f"`{text}` is no module, file or folder", hint=f"devserver run {host}--port {address['port']}"
        )
    if "://" in text:
        raise TargetError(f"`{text}` is a URL", hint="name what to serve: devserver run module:app")
    if not before or (colon and not after):
        raise TargetError(f"nothing {'after' if before else 'before'} the colon in `{text}`", hint="write  module:app")
    attribute = parse_attribute(after) if colon else None
    if os.sep in before or before.endswith(".py"):
        return _existing(before, place) or _existing(f"{before}.py", place) or place.cwd / before, attribute
    return None, attribute


def _existing(text: str, place: Place) -> Path | None:
    for folder in dict.fromkeys((place.cwd, place.root)):
        path = Path(os.path.abspath(folder / os.path.expanduser(text)))  # not resolved: a link's own name counts
        if text and path.exists():
            return path
    return None


def _is_plain(path: Path) -> bool:
    """It cannot be meant as a module: no package, and no module of that name beside it."""
    return not (path / "__init__.py").is_file() and not path.with_name(f"{path.name}.py").is_file()


# --- paths ---


def _path_target(text: str, path: Path, attribute: Attribute | None, place: Place) -> Target:
    if path.is_dir():
        if (path / "__init__.py").is_file():
            target = package_target(path, place) if attribute is None else None
            return target or file_target(path / "__init__.py", attribute, place)
        if attribute is not None:
            raise TargetError(f"{place.shown(path)} is a folder: it has no `{attribute}`", hint=_files_in(path, place))
        return folder_target(path, place)
    if not path.exists():
        raise _no_file(text, path, place)
    if path.name == "manage.py" and attribute is None:
        target = django_target(path, place)
        if target is not None:
            return target
        if not has_app(path):
            raise TargetError(f"{place.shown(path)} names no settings", hint="set DJANGO_SETTINGS_MODULE")
    return file_target(path, attribute, place)


def _files_in(folder: Path, place: Place) -> str | None:
    files = sorted(path.name for path in folder.glob("*.py"))[:3]
    return "name a file in it: " + ", ".join(place.shown(folder / name) for name in files) if files else None


def _no_file(text: str, path: Path, place: Place) -> TargetError:
    folder = path.parent
    shown = place.shown(path)
    name, _, attribute = path.name.rpartition(".")
    if (folder / f"{name}.py").is_file() and attribute != "py":  # mysite/wsgi.application
        return TargetError(f"no file {shown}", hint=f"did you mean {place.shown(folder / name)}.py:{attribute}?")
    module = find_module(path.stem, [place.root]).module
    if "." in path.stem and module is not None and module.path is not None:  # mysite.wsgi.py
        return TargetError(f"no file {shown}", hint=f"did you mean {place.shown(module.path)} or {module.name}?")
    while not folder.is_dir():
        path, folder = folder, folder.parent
    try:
        names = [each.name for each in folder.iterdir() if each.is_dir() or each.suffix in (".py", path.suffix)]
    except OSError:
        names = []
    close = difflib.get_close_matches(path.name, names, n=2)
    hint = "did you mean " + " or ".join(place.shown(folder / name) for name in close) + "?" if close else None
    return TargetError(f"no file {shown}", hint=hint or f"there is nothing like it in {folder}")


# --- modules ---


def _module_target(text: str, name: str, attribute: Attribute | None, place: Place) -> Target:
    if not all(part.strip() for part in name.split(".")):
        raise TargetError(f"`{text}` is no module name", hint="write it with dots: mysite.wsgi:application")
    search = find_module(name, [place.root])
    if search.module is not None and search.module.path is not None:
        return _found(search.module, attribute, place)
    if search.module is None and attribute is None:
        target = _dotted_object(name, place)
        if target is not None:
            return target
    if search.parent is None or search.parent.path is None:  # nothing here, or a folder that only shares its name
        installed = find_installed(name)
        if installed is not None:
            return _installed(name, installed, attribute, place)
    elif extends_its_path(search.parent):
        return _undecided(name, attribute, place)
    if search.module is not None:
        inside = [each for folder in search.module.folders for each in module_names(folder)]
        hint = "did you mean " + " or ".join(f"`{name}.{each}`" for each in inside[:3]) + "?" if inside else None
        raise TargetError(f"`{name}` is a folder without __init__.py", hint=hint)
    raise _no_module(name, search, attribute, place)


def _found(module: Module, attribute: Attribute | None, place: Place) -> Target:
    if attribute is None and module.folders and module.path is not None and module.is_source:
        # sys.path gets the folder that the name starts from, also when that is a package itself
        target = package_target(module.path.parent, replace(place, app_dir=place.root))
        if target is not None:
            return target
    return module_target(module, place.root, attribute, place)


def _dotted_object(name: str, place: Place) -> Target | None:
    """`mysite.wsgi.application`, as Django's settings write it."""
    module_name, _, last = name.rpartition(".")
    module = find_module(module_name, [place.root]).module if module_name else None
    if module is None or module.path is None or not module.is_source:
        return None
    bindings = read_bindings(module.path)
    if (bindings is None and not module.folders) or (bindings is not None and last in bindings.names):
        return module_target(module, place.root, Attribute(last, call=False), place)
    return None


def _installed(name: str, found: Search, attribute: Attribute | None, place: Place) -> Target:
    if found.module is None or found.module.path is None:
        return _undecided(name, attribute, place)
    return module_target(Module(name, found.module.path, found.module.folders), place.root, attribute, place)


def _undecided(name: str, attribute: Attribute | None, place: Place) -> Target:
    attribute = attribute or Attribute()
    return Target(
        TargetKind.MODULE,
        label=f"{name}:{attribute}" if attribute.name else name,
        path="",
        app_dir=str(place.root),
        module=name,
        attribute=attribute.name,
        call=attribute.call or place.factory,
        call_arguments=attribute.arguments,
    )


def _no_module(name: str, search: Search, attribute: Attribute | None, place: Place) -> TargetError:
    parent = search.parent
    suffix = f":{attribute}" if attribute is not None else ""
    if parent is not None and not parent.folders:
        parts = name.removeprefix(f"{parent.name}.")
        hint = f"write a colon before what is in it: devserver run {parent.name}:{parts}" if not suffix else None
        return TargetError(f"`{parent.name}` is a module, not a package: it has no `{parts}`", hint=hint)
    before = f"{parent.name}." if parent is not None else ""
    close: Sequence[str] = difflib.get_close_matches(search.missing, search.names, n=2)
    rest = name.removeprefix(f"{before}{search.missing}")
    if close:
        hint = "did you mean " + " or ".join(f"`{before}{each}{rest}{suffix}`" for each in close) + "?"
        return TargetError(f"no module named `{name}`", hint=hint)
    for folder in ("src", "backend", "app"):
        if find_module(name, [place.root / folder]).module is not None:
            hint = f"it is in {folder}: add  --app-dir {place.shown(place.root / folder)}"
            return TargetError(f"no module named `{name}` in {place.root}", hint=hint)
    where = place.root if parent is None or parent.path is None else parent.path.parent
    there = f"there: {', '.join(search.names[:6])}" if search.names else "there are no modules"
    return TargetError(f"no module named `{name}` in {where}", hint=there)
