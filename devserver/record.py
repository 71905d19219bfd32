"""Plain data that is never changed: what most of the modules tell each other.

A frozen dataclass with slots compiles half a dozen functions and makes its class twice when its module is imported. There are a
hundred of them, and a tenth of the way to the first answer was that. Here they share their functions. What is changed after it was
made is a dataclass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar, dataclass_transform


@dataclass_transform(frozen_default=True)
class Record:
    """A class is made of it by its annotations, as a dataclass is. Equal are records of one class with equal values.

    A default is shared by all: it must be something that is never changed.
    """

    if TYPE_CHECKING:  # who asks a class for its annotations is told of its values only
        __match_args__: ClassVar[tuple[str, ...]]
        _defaults: ClassVar[dict[str, object]]

    def __init_subclass__(cls) -> None:
        cls.__match_args__ = tuple(cls.__annotations__)  # type: ignore[misc]
        cls._defaults = {name: cls.__dict__[name] for name in cls.__match_args__ if name in cls.__dict__}

    def __init__(self, *values: object, **named: object) -> None:
        names = self.__match_args__
        given = dict(zip(names, values, strict=False), **named)
        whole = self._defaults | given
        if len(given) < len(values) + len(named) or whole.keys() != {*names}:
            raise TypeError(f"{type(self).__name__} has {names}, not {values} and {named}")
        self.__dict__.update(whole)

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


_AnyRecord = TypeVar("_AnyRecord", bound=Record)


def replace(record: _AnyRecord, **changes: Any) -> _AnyRecord:
    """Another one that differs from `record` in these. Raises TypeError for a name that it has not."""
    return type(record)(**{**vars(record), **changes})


def as_dict(record: Record) -> dict[str, Any]:
    """Its values by their names, for JSON: records below it are dicts too, tuples of them lists."""
    return {name: _plain(getattr(record, name)) for name in record.__match_args__}


def _plain(value: object) -> object:
    if isinstance(value, Record):
        return as_dict(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value
