"""Where options are written: flags, environment, pyproject.toml, .env files.

Runs in the supervisor. Rules that hold: flag beats variable beats file; the stronger source replaces the weaker one whole,
lists are never merged; every error names the source.
"""

from __future__ import annotations

import io
import os
import select
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum

from devserver.errors import UsageError
from devserver.options import OPTIONS, ColorChoice, Option, Options
from devserver.record import Record
from devserver.values import UnreadableError, Value

TABLE = "devserver"  # [tool.devserver]
_PIECE = 65_536
_TURN_MS = 100


class Origin(StrEnum):
    """Where a value was written, the strongest first."""

    FLAG = "flag"
    VARIABLE = "variable"
    PYPROJECT = "pyproject.toml"


class Configuration(Record):
    """The options, and where each that is not a default was written."""

    options: Options
    origins: Mapping[str, Origin]
    pyproject: str | None  # absolute path of the file that was asked, if there is one


def configure(flags: Mapping[str, object], environ: Mapping[str, str], cwd: str) -> Configuration:
    """Read the options from all sources. Raises UsageError, which names the source.

    `flags` maps field names to texts, tuples of texts or booleans; None and () stand for "not given".
    Empty variables count as not set.
    """
    pyproject = find_pyproject(cwd)
    table = _read_table(pyproject) if pyproject is not None else {}
    values: dict[str, Value] = {}
    origins: dict[str, Origin] = {}
    for option in OPTIONS:
        flag = flags.get(option.name)
        if flag is not None and flag != ():
            origins[option.name] = Origin.FLAG
            values[option.name] = _read(option, flag, cwd, f"{option.flags[0]} ")
        elif environ.get(option.variable):
            origins[option.name] = Origin.VARIABLE
            given = environ[option.variable]
            items = tuple(filter(None, map(str.strip, given.split(",")))) if option.repeatable else given
            values[option.name] = _read(option, items, cwd, f"{option.variable}=")
        elif pyproject is not None and option.key in table:
            origins[option.name] = Origin.PYPROJECT
            checked = _checked_type(option, table[option.key], pyproject)
            values[option.name] = _read(
                option, checked, os.path.dirname(pyproject), f"{option.key} = ", f" in {pyproject}"
            )
    options = Options(**values)  # type: ignore[arg-type]  # each value was read by the field's own reader
    return Configuration(_with_color(options, environ), origins, pyproject)


def _read(option: Option, given: object, base: str, before: str, after: str = "") -> Value:
    """`before` and `after` stand around the text where an error names its source."""

    def read(text: str) -> Value:
        try:
            return option.read(text, base)
        except UnreadableError as error:
            raise UsageError(f"{before}{text}{after}: {error}", hint=error.hint) from None

    if isinstance(given, tuple):
        return tuple(str(read(text)) for text in given)
    return read(str(given))


def _with_color(options: Options, environ: Mapping[str, str]) -> Options:
    # https://no-color.org and https://force-color.org: set and not empty; a choice that was made wins.
    if options.color is ColorChoice.AUTO and environ.get("NO_COLOR"):
        return replace(options, color=ColorChoice.NEVER)
    if options.color is ColorChoice.AUTO and environ.get("FORCE_COLOR"):
        return replace(options, color=ColorChoice.ALWAYS)
    return options


# --- pyproject.toml ---


def find_pyproject(cwd: str) -> str | None:
    """The nearest pyproject.toml, from `cwd` upwards."""
    folder = os.path.abspath(cwd)
    while True:
        path = os.path.join(folder, "pyproject.toml")
        if os.path.isfile(path):
            return path
        if os.path.dirname(folder) == folder:
            return None
        folder = os.path.dirname(folder)


def _read_table(pyproject: str) -> Mapping[str, object]:
    import tomllib

    try:
        with open(pyproject, "rb") as file:
            document = tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{pyproject} is not valid TOML: {error}", hint="correct it there") from None
    except OSError as error:
        raise UsageError(f"{pyproject} cannot be read: {error.strerror}") from None
    tool = document.get("tool", {})
    table = tool.get(TABLE, {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise UsageError(
            f"tool.{TABLE} in {pyproject} is not a table", hint=f"write [tool.{TABLE}], then one key a line"
        )
    known = {option.key for option in OPTIONS}
    for key in table:
        if key not in known:
            raise UsageError(f"unknown key `{key}` in [tool.{TABLE}] of {pyproject}", hint=_nearest_key(key))
    return table


def _nearest_key(key: str) -> str:
    import difflib

    known = [option.key for option in OPTIONS]
    close = difflib.get_close_matches(key.replace("_", "-").lower(), known, n=2)
    if close:
        return "did you mean " + " or ".join(f"`{name}`" for name in close) + "?"
    return "known keys: " + ", ".join(known)


def _checked_type(option: Option, value: object, pyproject: str) -> object:
    """The value as a text, a tuple of texts or a boolean. Raises UsageError."""
    items = value if option.repeatable and isinstance(value, list) else [value]
    for item in items:
        # bool is an int to Python, never to TOML
        if not isinstance(item, option.toml) or (isinstance(item, bool) and bool not in option.toml):
            wanted = {bool: "true or false", int: "a number", float: "a number", str: "a string"}[option.toml[-1]]
            if option.repeatable:
                wanted = f"{wanted} or an array of strings"
            raise UsageError(f"{option.key} in [tool.{TABLE}] of {pyproject} is not {wanted}")
    if option.repeatable:
        return tuple(str(item) for item in items)
    return value if isinstance(value, bool) else str(value)


def read_env_file(path: str, environ: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The variables of a .env file that `environ` does not set yet; none if it is gone. Raises UsageError.

    `${NAME}` is expanded from `os.environ` first, then from the file.
    """
    from dotenv.main import DotEnv  # dotenv_values() expands ${NAME} from the file first, load_dotenv() as done here

    try:
        text = _read_patiently(path).decode()
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UsageError(f"{path} cannot be read: {reason}") from None
    values = DotEnv(None, io.StringIO(text, newline=None), override=False).dict()
    return tuple((name, value) for name, value in values.items() if value is not None and name not in environ)


def _read_patiently(path: str) -> bytes:
    """All of a file, or of a pipe whose writer takes its time (`--env-file <(command)`).

    In turns: a signal that comes right before a read begins would be heard when the read ends, and so perhaps never.
    """
    pieces: list[bytes] = []
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        turns = select.poll()
        turns.register(fd, select.POLLIN)
        while True:
            if not turns.poll(_TURN_MS):
                continue
            try:
                piece = os.read(fd, _PIECE)
            except BlockingIOError:
                continue
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)
    finally:
        os.close(fd)
