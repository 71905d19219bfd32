"""Every option of `devserver run`, defined once.

A field of `Options` carries its default and, in its metadata, group, help, placeholder and the reader of its text; flag,
variable and pyproject key follow from its name. The command line, the environment, `[tool.devserver]` and docs/options.md
are derived from it. Runs in the supervisor (which reads them) and the root (which is told them). Rules that hold:
importing this is cheap (no click, no TOML, no dotenv); paths are absolute once read.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum

from devserver import values
from devserver.record import Record
from devserver.values import Reader


class InterfaceChoice(StrEnum):
    AUTO = "auto"
    WSGI = "wsgi"
    ASGI = "asgi"


class ColorChoice(StrEnum):
    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class StaticChoice(StrEnum):
    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class Group(StrEnum):
    """Headings of the help text, in their order."""

    RUN = "What to run"
    RELOAD = "Reloading"
    ADDRESS = "Address"
    SERVING = "Serving"
    ERRORS = "Errors"
    OUTPUT = "Output"


def _asked(
    group: Group,
    help: str,  # noqa: A002
    metavar: str = "",
    *,
    read: Reader = values.read_text,
    toml: tuple[type, ...] = (str,),
    default: str | None = None,
) -> Mapping[str, object]:
    """Metadata of a field. `toml`: what one value may be in pyproject.toml; `default`: what to call it in the help."""
    return {"group": group, "help": help, "metavar": metavar, "read": read, "toml": toml, "default": default}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the user asked for: flag beats variable beats pyproject.toml beats default."""

    target: str | None = field(
        default=None,
        metadata=_asked(Group.RUN, "What to run; see below.", "TARGET", default="searched"),
    )
    interface: InterfaceChoice = field(
        default=InterfaceChoice.AUTO,
        metadata=_asked(Group.RUN, "How to call the app.", "auto|wsgi|asgi", read=values.choice(InterfaceChoice)),
    )
    factory: bool = field(
        default=False,
        metadata=_asked(Group.RUN, "TARGET is what makes the app: call it.", read=values.read_switch),
    )
    app_dir: str | None = field(
        default=None,
        metadata=_asked(
            Group.RUN,
            "Where TARGET is; first on sys.path.",
            "DIR",
            read=values.read_folder,
            default=".",
        ),
    )
    env_file: str | None = field(
        default=None,
        metadata=_asked(Group.RUN, "Variables for the app; those already set stay.", "FILE", read=values.read_file),
    )
    reload: bool = field(
        default=True,
        metadata=_asked(Group.RELOAD, "Restart when code that was loaded changes.", read=values.read_switch),
    )
    reload_dir: tuple[str, ...] = field(
        default=(),
        metadata=_asked(Group.RELOAD, "Watch this folder too.", "DIR", read=values.read_folder),
    )
    reload_include: tuple[str, ...] = field(
        default=(),
        metadata=_asked(Group.RELOAD, "Restart for these, read or not.", "GLOB", read=values.read_glob),
    )
    reload_exclude: tuple[str, ...] = field(
        default=(),
        metadata=_asked(Group.RELOAD, "Do not watch these.", "GLOB", read=values.read_glob),
    )
    checkpoints: bool = field(
        default=True,
        metadata=_asked(Group.RELOAD, "Keep the load in steps to restart from.", read=values.read_switch),
    )
    hoist: bool = field(
        default=True,
        metadata=_asked(Group.RELOAD, "Import first what an edit does not concern.", read=values.read_switch),
    )
    livereload: bool = field(
        default=True,
        metadata=_asked(Group.RELOAD, "Pages in browsers follow each change.", read=values.read_switch),
    )
    poll: bool = field(
        default=False,
        metadata=_asked(Group.RELOAD, "Find changes by polling, for network mounts.", read=values.read_switch),
    )
    host: str = field(
        default="127.0.0.1",
        metadata=_asked(Group.ADDRESS, "0.0.0.0 lets other machines in.", "HOST", read=values.read_host),
    )
    port: int = field(
        default=8000,
        metadata=_asked(Group.ADDRESS, "0 takes a free one.", "PORT", read=values.integer(0, 65535), toml=(int,)),
    )
    allowed_host: tuple[str, ...] = field(
        default=(),
        metadata=_asked(Group.ADDRESS, "Answer to this Host header too.", "HOST", read=values.read_allowed_host),
    )
    static: tuple[str, ...] = field(
        default=(),
        metadata=_asked(Group.SERVING, "Serve the files of DIR below /URL.", "/URL=DIR", read=values.read_mount),
    )
    static_files: StaticChoice = field(
        default=StaticChoice.AUTO,
        metadata=_asked(
            Group.SERVING,
            "Django's own: always, never, auto (DEBUG).",
            "WHEN",
            read=values.choice(StaticChoice),
        ),
    )
    checks: bool = field(
        default=True,
        metadata=_asked(Group.SERVING, "Django's system checks and migrations.", read=values.read_switch),
    )
    threads: int = field(
        default=64,
        metadata=_asked(Group.SERVING, "WSGI requests at a time.", "N", read=values.integer(1), toml=(int,)),
    )
    grace: float = field(
        default=2.0,
        metadata=_asked(
            Group.SERVING,
            "Time to finish for requests in flight.",
            "SECONDS",
            read=values.read_seconds,
            toml=(int, float),
        ),
    )
    console: bool = field(
        default=True,
        metadata=_asked(Group.ERRORS, "A prompt in error pages, on loopback only.", read=values.read_switch),
    )
    editor: str | None = field(
        default=None,
        metadata=_asked(
            Group.ERRORS,
            "Opens the code that error pages show.",
            "EDITOR",
            read=values.read_command,
            default="found",
        ),
    )
    framework_errors: bool = field(
        default=False,
        metadata=_asked(Group.ERRORS, "The framework's error page comes first.", read=values.read_switch),
    )
    browser_errors: bool = field(
        default=True,
        metadata=_asked(Group.ERRORS, "Print the errors of pages in the terminal.", read=values.read_switch),
    )
    full_tracebacks: bool = field(
        default=False,
        metadata=_asked(Group.ERRORS, "List the calls in libraries too.", read=values.read_switch),
    )
    slow_callbacks: float = field(
        default=0.0,
        metadata=_asked(
            Group.ERRORS,
            "Name what holds up the event loop longer.",
            "SECONDS",
            read=values.read_seconds,
            toml=(int, float),
        ),
    )
    access_log: bool = field(
        default=True,
        metadata=_asked(Group.OUTPUT, "One line per request.", read=values.read_switch),
    )
    color: ColorChoice = field(
        default=ColorChoice.AUTO,
        metadata=_asked(
            Group.OUTPUT,
            "auto honours NO_COLOR, FORCE_COLOR.",
            "auto|always|never",
            read=values.choice(ColorChoice),
        ),
    )


class Option(Record):
    """How one field of `Options` is asked for."""

    name: str  # of the field
    group: Group
    help: str
    metavar: str  # "" for switches
    default: str  # for people; "" where there is none
    read: Reader
    toml: tuple[type, ...]  # what TOML may hold for one value
    switch: bool
    repeatable: bool

    @property
    def key(self) -> str:
        return self.name.replace("_", "-")

    @property
    def flags(self) -> tuple[str, ...]:
        """What the command line takes. Every switch can be turned off, so that a flag can beat the file."""
        if self.name == "target":
            return (self.metavar,)
        return (f"--{self.key}", f"--no-{self.key}") if self.switch else (f"--{self.key}",)

    @property
    def variable(self) -> str:
        return f"DEVSERVER_{self.name.upper()}"


def _describe() -> tuple[Option, ...]:
    options = []
    for each in fields(Options):
        asked, default = dict(each.metadata), each.default
        switch = isinstance(default, bool)
        if switch:
            asked |= {"toml": (bool,), "default": "on" if default else "off"}
        elif asked["default"] is None:
            asked["default"] = "" if default is None or default == () else f"{default}".removesuffix(".0")
        options.append(Option(name=each.name, switch=switch, repeatable=isinstance(default, tuple), **asked))
    return tuple(options)


OPTIONS: tuple[Option, ...] = _describe()


def static_folder(mount: str) -> tuple[str, str]:
    """The URL prefix (begins and ends with "/") and the absolute folder of one value of `Options.static`."""
    url, _, folder = mount.partition("=")
    return f"/{url.strip('/')}/".replace("//", "/"), folder


def options_table() -> str:
    """All options as a Markdown table."""
    rows = [("Flag", "Variable", "Key", "Default", "Meaning"), ("---",) * 5]
    for option in OPTIONS:
        flag = "`, `".join(option.flags)
        if option.metavar and option.name != "target":
            flag += f" {option.metavar}"
        meaning = option.help + (" Repeatable." if option.repeatable else "")
        default = f"`{option.default}`" if option.default else ""
        rows.append((f"`{flag}`", f"`{option.variable}`", f"`{option.key}`", default, meaning))
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in rows)


def options_page() -> str:
    """docs/options.md, whole."""
    return _PAGE.format(options=options_table())


_PAGE = """\
# Options of `devserver run`

<!-- Made by `make docs` from devserver/options.py. Change it there. -->

An option can be given as a flag, as an environment variable, or as a key of `[tool.devserver]` in the nearest
`pyproject.toml` (in the current folder or above it). The flag beats the variable, the variable beats the file, the file
beats the default. The stronger source replaces the weaker one whole; lists are not merged.

- Switches take `1`, `true`, `yes`, `on` or `0`, `false`, `no`, `off` in a variable, `true` or `false` in the file.
- Repeatable options are separated by commas in a variable and are an array of strings in the file.
- An empty variable counts as not set.
- Relative paths start in the current folder, those in `pyproject.toml` in its folder; so does the target named there.
- `--color auto` honours `NO_COLOR`, then `FORCE_COLOR`, then asks whether the output is a terminal.

{options}
`--help` and `--version` print and exit.

Globs (`--reload-include`, `--reload-exclude`): one with a slash inside starts in the current folder, or in that of
`pyproject.toml` (`media/uploads`, `/srv/data`); others match the name of a file or folder anywhere (`*.po`, `media/`);
`**` stands for any folders.

```toml
[tool.devserver]
target = "mysite.wsgi:application"
port = 8001
static = ["/media=media"]
```

## TARGET

What it means is found by reading names of files and source; nothing is imported before the server does it.

| Written | Served |
| --- | --- |
| `mysite.wsgi:application` | The attribute of the module; dotted ones (`config:site.app`) too. |
| `'shop:create_app(debug=True)'` | What the call returns; arguments are literals. The quotes are for the shell. |
| `mysite.wsgi` | The first of `application`, `app`, `create_app` and `make_app` in it. |
| `mysite`, a package | The same in it, then in its `app`, `wsgi`, `asgi`, `main` or `application`. |
| `web/app.py`, `web/app.py:app` | The same. The first folder upwards without `__init__.py` goes to `sys.path`. |
| `manage.py` | The application that the project's settings name. |
| `site/`, `.` | The project of a `manage.py` in it; else, with an `index.html`, its files; else its app, or its files. |

Without TARGET, in this order: `target` in `pyproject.toml`; `manage.py`; `app.py`, `wsgi.py`, `asgi.py`, `main.py`,
`application.py`, the first that holds one of the names above; one level down a `manage.py`, then these files in `src`,
then in packages, if there is only one such. The banner says what was chosen and why.

A function that needs no argument can be no app: it is called, with or without `--factory`.

## EDITOR

| Written | Opened |
| --- | --- |
| `vscode`, `cursor`, `pycharm`, `zed`, `subl`, `vim` … | The editor of that name or command, at line and column. |
| `'code --new-window'` | The same, with flags of yours before the place. |
| `'myed +{{line}}:{{column}} {{file}}'` | Any command; what stands in braces is filled in. No shell sees it. |
| `myed` | A command that devserver does not know: it gets the file alone. |
| `none` | Nothing. |

Without EDITOR it is found: [Editor](errors.md#editor) tells how.
"""

if __name__ == "__main__":
    sys.stdout.write(options_page())
