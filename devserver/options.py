"""Every option of `devserver run`, defined once.

A field of `Options` carries flag, variable, pyproject key, default and help; the command line, the environment,
`[tool.devserver]` and the table in docs/options.md are derived from it. Runs in the supervisor (which reads them) and
the root (which is told them).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class InterfaceChoice(StrEnum):
    AUTO = "auto"
    WSGI = "wsgi"
    ASGI = "asgi"


class ColorChoice(StrEnum):
    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the user asked for: flag beats variable beats pyproject.toml beats default."""

    target: str | None = None
    reload: bool = True
    host: str = "127.0.0.1"
    port: int = 8000
    interface: InterfaceChoice = InterfaceChoice.AUTO
    factory: bool = False
    app_dir: str | None = None
    static: tuple[str, ...] = ()
    reload_dir: tuple[str, ...] = ()
    reload_include: tuple[str, ...] = ()
    reload_exclude: tuple[str, ...] = ()
    poll: bool = False
    env_file: str | None = None
    allowed_host: tuple[str, ...] = ()
    threads: int = 64
    grace: float = 2.0
    access_log: bool = True
    color: ColorChoice = ColorChoice.AUTO
