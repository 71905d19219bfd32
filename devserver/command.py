"""The command line by click: parameters from `options`, help in groups, click's errors as ours.

Runs in the supervisor. Rules that hold: click only takes the command line apart; what a value means is read in one place,
`configuration`; nothing of click is visible to a user.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Mapping, Sequence

import click

from devserver import __version__
from devserver.errors import UsageError
from devserver.options import OPTIONS, Group, Option

_RUN = """\
Serve TARGET, and reload it when its code changes. For development only.

\b
TARGET can be
  mysite.wsgi:application  a module and the app in it, or 'shop:create_app()'
  mysite.wsgi              one with application, app, create_app or make_app
  web/app.py               a file, or web/app.py:app
  site/                    a folder of HTML files
Without it: what pyproject.toml says, manage.py, app.py, wsgi.py, asgi.py,
main.py or application.py.
"""

_OTHER = "Other"

_OF_OTHER_SERVERS = {
    **dict.fromkeys(("-p", "-P"), "it is written  --port"),
    **dict.fromkeys(("-b", "--bind"), "it is written  --host ADDRESS --port PORT"),
    "-h": "devserver run --help  lists all options; an address is written  --host",
    **dict.fromkeys(("-A", "--app"), "the app needs no option:  devserver run module:app"),
    **dict.fromkeys(("--debug", "--debugger"), "leave it out: errors get a page, and changes restart the app"),
    **dict.fromkeys(("-w", "--workers"), "leave it out: one process serves, in several threads (--threads)"),
    "--nothreading": "it is written  --threads 1",
    "--settings": "set the variable:  DJANGO_SETTINGS_MODULE=mysite.settings devserver run",
}
"""What people know from elsewhere, and what to do about it."""


def parse(arguments: Sequence[str]) -> Mapping[str, object] | None:
    """The flags of `devserver run` by name of their field, or None when help or version was all that was asked for.

    Prints those two. Raises UsageError.
    """
    try:
        result = command().main(list(arguments), prog_name="devserver", standalone_mode=False)
    except click.UsageError as error:
        raise _as_ours(error, arguments) from None
    except click.Abort:
        raise KeyboardInterrupt from None
    return result if isinstance(result, dict) else None


def command() -> click.Group:
    """The command `devserver`. Running it returns the flags that were given."""
    group = _Devserver(
        name="devserver",
        help="A development server that reloads, for Python web apps. Not for production.",
        params=[_version()],
        invoke_without_command=True,
        callback=_print_help_if_bare,
        context_settings={"max_content_width": 100},
        subcommand_metavar="COMMAND …",
        epilog="devserver run --help  lists all options.",
    )
    group.add_command(
        _Run(
            name="run",
            help=_RUN,
            short_help="Serve an app, and reload it when its code changes.",
            params=[*map(_parameter, OPTIONS), _version()],
            callback=dict,
            options_metavar="[OPTIONS]",
            epilog="Each option can also be a variable (--port: DEVSERVER_PORT) or a key of [tool.devserver] in pyproject.toml.",
        )
    )
    return group


class _Flag(click.Option):
    """An option as text, whose meaning is read later; shown without its negative form where that is the default."""

    def __init__(self, option: Option) -> None:
        self.option = option
        super().__init__(
            ["/".join(option.flags)],
            default=None,
            multiple=option.repeatable,
            metavar=option.metavar or None,
            type=None if option.switch else click.STRING,
        )

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        option = self.option
        left = f"--[no-]{option.key}" if option.default == "on" else option.flags[0]
        left += f" {option.metavar}" if option.metavar else ""
        notes = [option.default] if option.default not in ("", "off") else []
        notes += ["repeatable"] if option.repeatable else []
        return left, option.help + (f"  [{', '.join(notes)}]" if notes else "")


def _parameter(option: Option) -> click.Parameter:
    if option.flags[0].startswith("--"):
        return _Flag(option)
    return click.Argument([option.name], required=False, metavar=f"[{option.metavar}]")


def _version() -> click.Option:
    def show(ctx: click.Context, param: click.Parameter, value: bool) -> None:
        if value and not ctx.resilient_parsing:
            click.echo(f"devserver {__version__} (Python {sys.version.split()[0]}, {sys.prefix})")
            ctx.exit()

    return click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=show,
        help="Show the version and exit.",
    )


class _Run(click.Command):
    """`devserver run`, its options in groups."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows: dict[str, list[tuple[str, str]]] = {group: [] for group in (*Group, _OTHER)}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None:
                rows[parameter.option.group if isinstance(parameter, _Flag) else _OTHER].append(record)
        width = max(len(left) for records in rows.values() for left, _ in records)
        for group, records in rows.items():
            with formatter.section(group):
                formatter.write_dl([(left.ljust(width), right) for left, right in records], col_max=width)


class _Devserver(click.Group):
    """`devserver`, which knows what people write when they forget `run`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, *rest = args
        if self.get_command(ctx, name) is None:
            close = difflib.get_close_matches(name, [*self.list_commands(ctx), "serve", "start", "runserver"], n=1)
            if close and not _looks_like_target(name):
                raise UsageError(f"no command `{name}`", hint=f"did you mean  {_shell('run', *rest)}  ?")
            raise UsageError(f"no command `{name}`", hint=f"to serve it:  {_shell('run', name, *rest)}")
        return super().resolve_command(ctx, args)


def _print_help_if_bare() -> None:
    context = click.get_current_context()
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def _looks_like_target(name: str) -> bool:
    return any(char in name for char in ":./") or any(os.path.exists(path) for path in (name, f"{name}.py"))


def _shell(*arguments: str) -> str:
    import shlex

    return shlex.join(["devserver", *arguments])


def _as_ours(error: click.UsageError, arguments: Sequence[str]) -> UsageError:
    in_run = list(arguments[:1]) == ["run"]
    hint = "devserver run --help  lists all options" if in_run else "devserver --help  shows how"
    if isinstance(error, click.NoSuchOption):
        known = [flag for option in OPTIONS for flag in option.flags]
        if not in_run and error.option_name in known:
            return UsageError(f"{error.option_name} is an option of run", hint=_shell("run", *arguments))
        if in_run and error.option_name in _OF_OTHER_SERVERS:
            return UsageError(f"no option {error.option_name}", hint=_OF_OTHER_SERVERS[error.option_name])
        # without the dashes, which make all of them alike
        close = difflib.get_close_matches(error.option_name.strip("-"), [flag.strip("-") for flag in known], n=2)
        if close:
            hint = "did you mean " + " or ".join(f"--{name}" for name in close) + "?"
        return UsageError(f"no option {error.option_name}", hint=hint)
    message = error.format_message().rstrip(".")
    if "unexpected extra argument" in message:
        hint = _in_our_words(arguments) or "one TARGET at a time; options begin with two dashes"
    return UsageError(message[:1].lower() + message[1:], hint=hint)


def _in_our_words(arguments: Sequence[str]) -> str | None:
    """`run manage.py runserver 8001`: what other servers take as words, as we take it."""
    ours: list[str] = []
    for argument in arguments:
        if argument.isdecimal() and ours and not ours[-1].startswith("-"):
            ours += ["--port", argument]
        elif argument != "runserver":
            ours.append(argument)
    return None if ours == list(arguments) else _shell(*ours)
