"""What the modules of a random project note while they run. Part of each such project."""

import os
import random
import sys
import types
import zlib

ROOT = os.path.dirname(os.path.abspath(__file__))

order: list[str] | set[str] = set() if "LEDGER_UNORDERED" in os.environ else []
seeded = False


def ran(name: str) -> None:
    """Called by each module first: the order of execution; unordered, what ran and how often."""
    if isinstance(order, list):
        order.append(name)
    else:
        order.add(f"{name} {sum(known.partition(' ')[0] == name for known in order)}")


def seed(number: int) -> None:
    """Seed the generator that all share."""
    global seeded
    random.seed(number)
    seeded = True


def draw() -> float | None:
    """The next number, if it is no chance."""
    return random.random() if seeded else None


def mix(names: dict[str, object]) -> int:
    """A number that depends on all values whose names begin with `x_`: what is stale somewhere shows wherever it went."""
    values = [(name, _plain(value)) for name, value in names.items() if name.startswith("x_")]
    return zlib.crc32(repr(values).encode())


def _plain(value: object) -> object:
    if isinstance(value, types.ModuleType):
        return value.__name__, _plain(vars(value).get("value"))
    if isinstance(value, type | types.FunctionType):
        return value.__qualname__
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str | bytes | dict):
        return value
    return type(value).__qualname__  # no address


def add_to_path(name: str, at: int) -> bool:
    """Make a folder of the project one that imports search."""
    path = os.path.join(ROOT, name)
    if path in sys.path:
        return False
    sys.path.insert(at, path)
    return True
