"""What the text of an option means, wherever it was written.

Used by `options`, where each field names its reader. Runs in the supervisor. Rules that hold: a reader takes the text
and the absolute folder that relative paths start from; what it returns needs neither any more.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from enum import StrEnum

Value = str | int | float | bool | tuple[str, ...] | None
Reader = Callable[[str, str], Value]
"""Text and base folder → value. Raises UnreadableError."""

_ON, _OFF = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


class UnreadableError(ValueError):
    """A text is no value of its option; `hint` says what would be."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def read_text(text: str, base: str) -> str:
    if not text.strip():
        raise UnreadableError("empty")
    return text


def read_command(text: str, base: str) -> str:
    """Words that can be taken apart as a shell does it."""
    import shlex

    command = read_text(text, base).strip()
    try:
        shlex.split(command)
    except ValueError as error:
        raise UnreadableError("not a command", f"as a shell reads it: {error}".lower()) from None
    return command


def read_switch(text: str, base: str) -> bool:
    word = text.strip().lower()
    if word not in _ON + _OFF:
        raise UnreadableError("neither on nor off", "give 1 or 0, true or false, yes or no, on or off")
    return word in _ON


def read_seconds(text: str, base: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise UnreadableError("not a number", "give seconds, such as 2 or 0.5") from None
    if not math.isfinite(number) or number < 0:
        raise UnreadableError("out of range", "give seconds, 0 or more")
    return number


def integer(low: int, high: int | None = None) -> Reader:
    """A reader of whole numbers from `low` to `high`, both included."""
    limits = f"give a whole number from {low}" + (" on" if high is None else f" to {high}")

    def read_integer(text: str, base: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise UnreadableError("not a number", limits) from None
        if number < low or (high is not None and number > high):
            raise UnreadableError("out of range", limits)
        return number

    return read_integer


def choice(choices: type[StrEnum]) -> Reader:
    """A reader of the values of `choices`."""

    def read_choice(text: str, base: str) -> StrEnum:
        try:
            return choices(text.strip().lower())
        except ValueError:
            raise UnreadableError("no such choice", "give one of " + ", ".join(choices)) from None

    return read_choice


def read_folder(text: str, base: str) -> str:
    """The absolute path of a folder that exists."""
    path = _absolute(text, base)
    if not os.path.isdir(path):
        raise UnreadableError("not a folder" if os.path.exists(path) else "no such folder", f"looked for {path}")
    return path


def read_file(text: str, base: str) -> str:
    """The absolute path of something that can be opened: a FIFO (`--env-file <(…)`) is as good as a file."""
    path = _absolute(text, base)
    if os.path.isdir(path) or not os.path.exists(path):
        raise UnreadableError("not a file" if os.path.isdir(path) else "no such file", f"looked for {path}")
    return path


def read_mount(text: str, base: str) -> str:
    """`/url=dir`, its folder absolute."""
    url, equals, folder = text.partition("=")
    if not equals or not url.startswith("/") or not folder:
        raise UnreadableError("not of the form /url=folder", "for example  --static /static=public")
    return f"{url}={read_folder(folder, base)}"


def read_host(text: str, base: str) -> str:
    """A host name or an IP address, IPv6 without its brackets."""
    host = read_text(text, base).strip()
    if "/" in host:
        raise UnreadableError("a URL, not a host", "give a name or an address, such as 127.0.0.1")
    if host.startswith("[") and host.endswith("]"):
        return host[1:-1]
    name, _, port = host.rpartition(":")
    if name and (name.endswith("]") or ":" not in name):  # an IPv6 address has more colons, and no brackets here
        raise UnreadableError("a host and a port", f"give the host {name.strip('[]')} and the port {port} on their own")
    return host


def read_allowed_host(text: str, base: str) -> str:
    return read_host(text, base).lower()


def read_glob(text: str, base: str) -> str:
    """Patterns with a slash inside start in `base`, as in a .gitignore; others match names anywhere."""
    pattern = os.path.expanduser(read_text(text, base))
    if "/" not in pattern.rstrip("/") or pattern.startswith("**/"):
        return pattern
    return os.path.abspath(os.path.join(base, pattern)) + ("/" if pattern.endswith("/") else "")


def _absolute(text: str, base: str) -> str:
    return os.path.abspath(os.path.join(base, os.path.expanduser(read_text(text, base))))
