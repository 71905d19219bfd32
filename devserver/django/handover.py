"""The command line of `devserver run` that does what `manage.py runserver` was asked for. Pure; it is told what was parsed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from devserver.record import Record
from devserver.target.managepy import VARIABLE, settings_module


class Project(Record):
    """What is served, as the process of manage.py knows it."""

    script: str  # sys.argv[0]
    settings: str  # the dotted name of the module
    settings_path: str  # its file
    target: str  # what the settings name, as module:attribute
    is_factory: bool = False  # that has to be called

    @property
    def script_folder(self) -> str:
        """Where Python looks first for whoever runs the script; "" for a command."""
        return str(Path(self.script).absolute().parent) if self.script.endswith(".py") else ""


def arguments(options: Mapping[str, object], host: str, port: str, project: Project) -> list[str]:
    """The arguments after `devserver run`. `options` are those of Django's command; `host` and `port` are "" where the
    user named none: what pyproject.toml says of them holds then."""
    found = list(_target(project))
    if host:
        found += ["--host", host]
    if port:
        found += ["--port", port]
    for name, value, flags in (
        ("use_reloader", False, ["--no-reload"]),
        ("use_threading", False, ["--threads", "1"]),
        ("skip_checks", True, ["--no-checks"]),
        ("use_static_handler", False, ["--static-files", "never"]),
        ("traceback", True, ["--full-tracebacks"]),
        ("no_color", True, ["--color", "never"]),
        ("force_color", True, ["--color", "always"]),
    ):
        if options.get(name) is value:
            found += flags
    if options.get("insecure_serving") and options.get("use_static_handler"):
        found += ["--static-files", "always"]
    return found


def _target(project: Project) -> list[str]:
    """The manage.py if it says what this process knows, so that a change of what the settings name is followed."""
    script = Path(project.script).absolute()
    if script.name == "manage.py" and settings_module(script, {VARIABLE: project.settings}) == project.settings:
        return [str(script)]
    folder = Path(project.settings_path)
    for _ in range(project.settings.count(".") + 1 + (folder.name == "__init__.py")):
        folder = folder.parent
    return [project.target, "--app-dir", str(folder), *(["--factory"] if project.is_factory else [])]
