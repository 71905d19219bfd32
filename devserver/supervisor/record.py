"""Plain data that is never changed, for the many small classes of events and commands.

A frozen dataclass compiles half a dozen functions for each class when its module is imported; fifty classes were a tenth of what
the supervisor does before it is ready. Here they share their functions.
"""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn, dataclass_transform


@dataclass_transform(frozen_default=True)
class Record:
    """A class is made of it by its annotations, as a dataclass is. Equal are records of one class with equal values."""

    __match_args__: ClassVar[tuple[str, ...]] = ()
    _required: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        cls.__match_args__ = tuple(cls.__annotations__)  # type: ignore[misc]
        cls._required = frozenset(name for name in cls.__match_args__ if name not in cls.__dict__)

    def __init__(self, *values: object, **named: object) -> None:
        given = dict(zip(self.__match_args__, values, strict=False), **named)
        if len(given) < len(values) + len(named) or not self._required <= given.keys() <= {*self.__match_args__}:
            raise TypeError(f"{type(self).__name__} has {self.__match_args__}, not {values} and {named}")
        self.__dict__.update(given)

    def _values(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.__match_args__)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.__match_args__)})"

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is never changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is never changed")
