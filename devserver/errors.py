"""What can go wrong because of input or surroundings, told as instructions.

Every error that a person is meant to read is a `DevServerError`: what happened and where (the message),
the next step (the hint) and the exit code of the command. Anything else that escapes is a bug of ours. Runs in every
process; imports nothing.
"""

from __future__ import annotations


class DevServerError(Exception):
    """An error with instructions: `cli` prints message and hint, then exits with `exit_code`."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(DevServerError):
    """An option or a combination of options that cannot be meant."""

    exit_code = 2


class TargetError(DevServerError):
    """The target was not found, or is not something that can be served."""

    exit_code = 2


class ListenError(DevServerError):
    """The address cannot be listened on."""


class PlatformError(DevServerError):
    """The operating system is not one that devserver works on."""


class NoTerminalError(DevServerError):
    """A debugger prompt was asked for where nobody can answer it."""
