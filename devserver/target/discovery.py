"""What to run when the user did not say, or said only a folder or a package.

Runs in the supervisor. The order: manage.py, app.py, wsgi.py, asgi.py, main.py, application.py; then, one level down, a
folder with a manage.py, then `src` and packages. A file counts only if its source binds a well-known name, so that no
script is run by mistake; one level down, only what is alone of its kind is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from devserver.errors import TargetError
from devserver.target import Target, TargetKind
from devserver.target.apps import (
    APPS,
    FACTORIES,
    Place,
    choose_attribute,
    django_target,
    file_target,
    has_app,
    refuse_factory,
)
from devserver.target.bindings import read_bindings

FILES = ("app.py", "wsgi.py", "asgi.py", "main.py", "application.py")

_NO_APPS = frozenset({"tests", "test", "docs", "doc", "examples", "node_modules", "venv", "__pycache__", "migrations"})


def discover(folder: Path, place: Place) -> Target:
    """The target of the project in `folder`. Raises TargetError."""
    target = _in_folder(folder, place) or _below(folder, place)
    if target is None:
        raise _nothing(folder, place)
    return target


def folder_target(folder: Path, place: Place) -> Target:
    """The target for a folder that the user named: an app if it holds one and no index.html, else its files.

    With an index.html beside an app the files are served: code that was not asked for is not run.
    Raises TargetError when several apps could be meant.
    """
    index = (folder / "index.html").is_file()
    if not index or (folder / "manage.py").is_file():
        target = _in_folder(folder, place) or (None if index else _below(folder, place))
        if target is not None:
            return target
    refuse_factory(place, "a folder of files")
    reason = "its files"
    if index:
        beside = next((name for name in FILES if (folder / name).is_file() and has_app(folder / name)), None)
        reason = "its index.html" + (
            f"; for the app:  devserver run {place.shown(folder / beside)}" if beside is not None else ""
        )
    return Target(
        TargetKind.FOLDER, label=_as_folder(place, folder), path=str(folder), app_dir=str(folder), reason=reason
    )


def package_target(folder: Path, place: Place) -> Target | None:
    """The app in a package: in its `__init__.py`, then in its well-known modules."""
    init = folder / "__init__.py"
    bindings = read_bindings(init)
    chosen = choose_attribute(bindings, factory=place.factory)
    if bindings is not None and chosen is not None and chosen.name:
        return file_target(init, None, place, reason=f"{chosen.name} in {place.shown(init)}")
    return _file_in(folder, place)


def _in_folder(folder: Path, place: Place) -> Target | None:
    manage = folder / "manage.py"
    if manage.is_file():
        target = django_target(manage, place, reason=f"found {place.shown(manage)}")
        if target is not None:
            return target
    return package_target(folder, place) if (folder / "__init__.py").is_file() else _file_in(folder, place)


def _file_in(folder: Path, place: Place) -> Target | None:
    """The first of FILES that holds an app; the first that may hold one, if none does for certain."""
    files = [path for path in (folder / name for name in FILES) if path.is_file()]
    for path in [*filter(has_app, files), *files]:
        if choose_attribute(read_bindings(path)) is not None:
            return file_target(path, None, place, reason=f"found {place.shown(path)}")
    return None


def _below(folder: Path, place: Place) -> Target | None:
    folders = list(_folders(folder))
    source = folder / "src"
    inner = list(_folders(source)) if source.is_dir() else []
    projects = [each for each in [*folders, *inner] if (each / "manage.py").is_file()]
    targets = [target for each in projects if (target := _in_folder(each, place)) is not None]
    if not targets and source.is_dir():
        target = _in_folder(source, place)
        targets = [target] if target is not None else []
    if not targets:
        packages = [each for each in [*folders, *inner] if (each / "__init__.py").is_file()]
        targets = [target for each in packages if (target := package_target(each, place)) is not None]
    if len(targets) > 1:
        commands = ", ".join(f"devserver run {_argument(target, place)}" for target in targets[:4])
        raise TargetError(f"several apps in {folder}: say which", hint=commands)
    return targets[0] if targets else None


def _folders(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    for entry in entries:
        if entry.name in _NO_APPS or entry.name.startswith(".") or not entry.is_dir():
            continue
        if not (entry / "pyvenv.cfg").exists():  # a virtual environment, whatever its name
            yield entry


def _nothing(folder: Path, place: Place) -> TargetError:
    hint = f"name it: devserver run module:app   (looked for manage.py, {', '.join(FILES)})"
    for path in _sources(folder):
        bindings = read_bindings(path)
        names = [] if bindings is None else [n for n in (*APPS, *FACTORIES) if n in bindings.names] + bindings.apps()
        if names:
            call = "()" if names[0] in FACTORIES else ""
            argument = place.shown(path) if not call else f"'{place.shown(path)}:{names[0]}()'"
            if names[0] not in APPS + FACTORIES:
                argument = f"{place.shown(path)}:{names[0]}"
            return TargetError(f"nothing to run in {folder}", hint=f"did you mean  devserver run {argument}  ?")
    if (folder / "manage.py").is_file():
        hint = "manage.py names no settings: set DJANGO_SETTINGS_MODULE"
    elif any(folder.glob("*.htm*")):
        hint = f"to serve the files of this folder:  devserver run {_as_folder(place, folder)}"
    return TargetError(f"nothing to run in {folder}", hint=hint)


def _sources(folder: Path, limit: int = 100) -> Sequence[Path]:
    try:
        return sorted(path for path in folder.glob("*.py") if path.is_file())[:limit]
    except OSError:
        return ()


def _argument(target: Target, place: Place) -> str:
    return place.shown(Path(target.path))


def _as_folder(place: Place, folder: Path) -> str:
    return place.shown(folder).rstrip("/") + "/" if folder != place.cwd else "."
