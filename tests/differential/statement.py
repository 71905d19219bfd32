"""A statement of a generated module as plain data, and where it stands. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """The module that a statement stands in."""

    name: str  # dotted
    is_package: bool

    @property
    def package(self) -> str:
        return self.name if self.is_package else self.name.rpartition(".")[0]


@dataclass(frozen=True, slots=True)
class Statement:
    kind: str
    number: int  # unique in the project: names what is bound
    target: str = ""  # dotted name of a module, or a path in the project
    value: int = 0


Render = Callable[[Statement, Place], str]
"""The source of a statement, in a module."""
