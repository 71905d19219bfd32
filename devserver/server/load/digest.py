"""A digest of what a load has left: short hashes by which two processes compare the state of the user's modules.

Runs in the server once it has loaded. Rules that hold: equal digests mean that nothing differs that a user could see, as far as it
was looked at (`is_complete`, `partial`) and Python can tell (`anatomy.py`); it runs no code of the user's, changes nothing and does
not raise; time and memory are bounded. Each object is told once, under the name that is nearest to it; wherever else it is met,
that place is named. So a difference is seen where it is, the work grows with the objects and not with the names that lead to them,
and it counts which objects are one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from itertools import islice
from types import ModuleType
from typing import Any, cast

from devserver.server.load import incidental
from devserver.server.load.anatomy import LONG, PLAIN, SMALL, Anatomy, pairs_of, tell_text
from devserver.server.load.genuine import exact_text, home_of, is_a, name_of, variables_of

_PAUSE_EVERY = 4_000
_OBJECTS_PER_MEMBER = 64
"""How much is looked at to tell the members of a set apart."""
_NESTED_SETS = 3
_NUMBER = re.compile(r"[0-9][0-9a-fx]{6,}")  # a decimal one, or one with its 0x
_HIGH, _BLOCK = 1 << 40, 32
"""A number that large, within four gigabytes of an object, is an address and no number of the user's."""


class Digester:
    """Of the user's `modules`, by name, and of `registries`: what else shall be compared, each with its label.

    `give_way` is called every few thousand objects; it does not raise.
    """

    def __init__(
        self,
        modules: Mapping[str, ModuleType],
        registries: Iterable[tuple[str, object]] = (),
        *,
        give_way: Callable[[], None] = lambda: None,
        max_objects_per_name: int = 1_000_000,
        max_objects: int = 10_000_000,
    ) -> None:
        self.is_complete = True
        """False if there are more than `max_objects`: then equality proves nothing. Known after `digest`."""
        self.partial: tuple[str, ...] = ()
        """The parts of which not all was looked at: they are too large, or changed meanwhile. Known after `digest`."""
        self.looked_at = 0
        """How many objects, with the names of their attributes. Known after `digest`."""
        self._modules = {name: modules[name] for name in sorted(modules)}
        self._registries = dict(registries)
        self._give_way = give_way
        self._max_objects_per_name = max_objects_per_name
        self._max_objects = max_objects
        self._hashes: dict[str, dict[str, str]] | None = None

    def digest(self) -> dict[str, str]:
        """A hash for each module ("module app.views") and each registry, by label. The state is looked at once."""
        return {label: _short_hash(repr(sorted(parts.items()))) for label, parts in self._hashes_of_parts().items()}

    def describe(self, labels: Iterable[str]) -> dict[str, str]:
        """What these hashes are made of: one for each global ("app.views:index"), each item of a registry ("URL patterns:3") and
        the order of its keys ("admin (order)")."""
        hashes = self._hashes_of_parts()
        return {name: value for label in labels for name, value in hashes.get(label, {}).items()}

    def _hashes_of_parts(self) -> dict[str, dict[str, str]]:
        if self._hashes is None:
            self._hashes = self._look()
        return self._hashes

    def _look(self) -> dict[str, dict[str, str]]:
        walk = _Walk(Anatomy(self._modules), self._give_way, self._max_objects_per_name, self._max_objects)
        modules = {name: _globals(name, module) for name, module in self._modules.items()}
        for label, registry in self._registries.items():
            walk.claim(label, registry)
        for at_home in (True, False):  # a class or a function is told where it was made
            for module, named in modules.items():
                for name, value in named.items():
                    if not at_home or home_of(value) == module:
                        walk.claim(name, value)
        labelled = {f"module {module}": named for module, named in modules.items()}
        for label, registry in self._registries.items():
            labelled[label] = _items(label, registry, self._max_objects_per_name)
        parts = {label: [walk.begin(*named) for named in values.items()] for label, values in labelled.items()}
        walk.go()
        self.is_complete = walk.left > 0
        self.looked_at = self._max_objects - walk.left
        self.partial = tuple(part.name for found in parts.values() for part in found if not part.is_whole)
        return {label: {part.name: part.hash.hexdigest() for part in found} for label, found in parts.items()}


def _short_hash(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _globals(module_name: str, module: object) -> dict[str, object]:
    """By the names of the parts. The order in which they were assigned does not count."""
    if not is_a(module, ModuleType):
        return {module_name: module}
    variables = {exact_text(name): value for name, value in dict.copy(variables_of(module)).items()}
    return {f"{module_name}:{name}": variables[name] for name in sorted(variables.keys() - incidental.OF_A_MODULE)}


def _items(label: str, registry: object, most: int) -> dict[str, object]:
    """By the names of the parts. What has no items that names can tell apart, or very many, is one part."""
    try:
        if is_a(registry, dict):
            pairs = tuple(islice(pairs_of(cast("dict[object, object]", registry)), 2 * most))
            keys = pairs[::2]
            parts: dict[str, object] = {f"{label} (order)": (type(registry), *keys)}
            for position, key in enumerate(keys):
                parts[f"{label}:{_name_of_key(key, position)}"] = pairs[2 * position + 1]
            if len(keys) < most and len(parts) == len(keys) + 1:
                return parts
        elif is_a(registry, list) or is_a(registry, tuple):
            read: Callable[[Any], Iterable[object]] = list.__iter__ if is_a(registry, list) else tuple.__iter__
            items = tuple(islice(read(registry), most))
            if len(items) < most:
                return {f"{label}:{position}": item for position, item in enumerate(items)}
    except Exception:
        pass  # it changed meanwhile
    return {label: registry}


def _name_of_key(key: object, position: int) -> str:
    if is_a(key, str):
        return exact_text(key)
    if is_a(key, type):
        return name_of(cast("type", key))
    tell = PLAIN.get(id(type(key)))
    return tell(key) if tell is not None else str(position)


class _Part:
    """A name, and what was told of the objects that are nearer to it than to any other name."""

    __slots__ = ("hash", "is_whole", "left", "met", "name")

    def __init__(self, name: str, left: int) -> None:
        self.name = name
        self.hash = blake2b(digest_size=8)
        self.is_whole = True
        self.left = left
        self.met = 0


class _Walk:
    """Along the objects that names lead to, from all names at once, the near ones first.

    Each object is told in lines: what it is, then one for each that it consists of. Such a line is a value, or refers to what has a
    name or was met before, or says that there is a new object, which is told in its turn.
    """

    def __init__(self, anatomy: Anatomy, give_way: Callable[[], None], most_per_name: int, most: int) -> None:
        self.left = most
        self._anatomy = anatomy
        self._give_way = give_way
        self._most_per_name = most_per_name
        self._until_pause = _PAUSE_EVERY
        self._objects: list[object] = []  # told, or to be told next
        self._parts: list[_Part] = []  # of each of these
        # By address, of objects that are kept here.
        self._places: dict[int, tuple[_Part, int]] = {}
        self._references: dict[int, str] = {}
        self._referenced: list[object] = []
        self._blocks: set[int] = set()  # where in memory these are
        self._nested_sets = 0

    def claim(self, name: str, value: object) -> None:
        """Wherever `value` is met this name is told, unless another one has it."""
        if id(type(value)) in PLAIN or id(value) in self._references:
            return
        kind = self._anatomy.kind_of(value)
        if kind.reference is not None and (line := kind.reference(value)) is not None:
            self._refer(value, line)
        elif kind.has_identity:
            self._refer(value, f"as {name}")

    def begin(self, name: str, value: object) -> _Part:
        """Its `value` is told when all have begun."""
        part = _Part(name, self._most_per_name)
        if self._references.get(id(value)) == f"as {name}":
            self._enqueue(value, part)
            return part
        try:
            line = self._line(value, part)
        except Exception as error:
            line, part.is_whole = f"cannot be told {name_of(type(error))}", False
        part.hash.update(self._encoded([line]))
        return part

    def go(self, number: int = 0) -> None:
        """Tell all from this one on."""
        objects: list[Any] = self._objects
        kinds, references, places = self._anatomy.kinds, self._references, self._places
        while number < len(objects):
            told, part = objects[number], self._parts[number]
            number += 1
            left = min(part.left, self.left)
            if left <= 0:
                part.is_whole = False
                continue
            lines: list[str] = []
            add = lines.append
            try:
                kind = kinds.get(id(type(told))) or self._anatomy.learn(type(told))
                line, found = kind.take_apart(told)
                members: tuple[Any, ...] = tuple(islice(found, left))
                if len(members) == left:
                    part.is_whole = False
                if kind.is_unordered:  # which ones come first depends on their addresses
                    members = self._in_order(members, part) if len(members) < left else (len(told),)
                add(line)
                for member in members:
                    cls = type(member)
                    if cls is str:
                        add(repr(member) if len(member) < LONG else tell_text(member))
                    elif (tell := PLAIN.get(id(cls))) is not None:
                        add(tell(member))
                    elif (reference := references.get(id(member))) is not None:
                        add(reference)
                    elif (place := places.get(id(member))) is not None:
                        add(f"{place[0].name} {place[1]}")
                    else:
                        add(self._tell(member, part))
            except Exception as error:  # it changed meanwhile, or is odder than was thought of
                add(f"cannot be told {name_of(type(error))}")
                part.is_whole = False
            add("")  # that was all
            part.hash.update(self._encoded(lines))
            part.left -= len(lines)
            self.left -= len(lines)
            self._until_pause -= len(lines)
            if self._until_pause <= 0:
                self._until_pause = _PAUSE_EVERY
                self._give_way()

    def _line(self, member: object, part: _Part) -> str:
        if (reference := self._references.get(id(member))) is not None:
            return reference
        if (place := self._places.get(id(member))) is not None:
            return f"{place[0].name} {place[1]}"
        return self._tell(member, part)

    def _tell(self, member: object, part: _Part) -> str:
        """The line for what was not met before. Unless it says all, the object is told in its turn."""
        cls = id(type(member))
        if (tell := PLAIN.get(cls)) is not None:
            return tell(member)
        if (tell_small := SMALL.get(cls)) is not None and (line := tell_small(member)) is not None:
            return line
        kind = self._anatomy.kind_of(member)
        if kind.reference is not None and (line := kind.reference(member)) is not None:
            return self._refer(member, line)
        if kind.has_identity:
            self._places[id(member)] = part, part.met
            part.met += 1
        return self._enqueue(member, part)

    def _enqueue(self, member: object, part: _Part) -> str:
        self._objects.append(member)
        self._parts.append(part)
        return "new"

    def _refer(self, member: object, line: str) -> str:
        self._references[id(member)] = line
        self._referenced.append(member)
        if id(member) > _HIGH:
            block = id(member) >> _BLOCK
            self._blocks |= {block - 1, block, block + 1}  # memory goes on beyond the border of one
        return line

    def _in_order(self, members: tuple[object, ...], part: _Part) -> tuple[object, ...]:
        """Those of a set, by what tells them apart: each is looked at as if the others had not been."""
        return tuple(sorted(members, key=lambda member: self._sort_key(member, part)))

    def _sort_key(self, member: object, part: _Part) -> str:
        alone, number = _Part(f"{part.name} member", _OBJECTS_PER_MEMBER), len(self._objects)
        line = self._line(member, alone)
        if len(self._objects) == number:
            return line
        if self._nested_sets < _NESTED_SETS:
            self._nested_sets += 1
            self.go(number)
            self._nested_sets -= 1
        for met in self._objects[number:]:
            self._places.pop(id(met), None)
        del self._objects[number:], self._parts[number:]
        return f"{line} {alone.hash.hexdigest()}"

    def _encoded(self, lines: list[str]) -> bytes:
        return _NUMBER.sub(self._without_address, "\n".join(lines)).encode("utf-8", "surrogatepass")

    def _without_address(self, match: re.Match[str]) -> str:
        """Some libraries keep what `id` says, or `hash`, which is a sixteenth of that; also in texts."""
        try:
            number = int(match[0], 16 if match[0].startswith("0x") else 10)
        except ValueError:
            return match[0]
        for address in (number, number << 4):
            if (reference := self._references.get(address)) is not None:
                return f"address {reference}"
            if (place := self._places.get(address)) is not None:
                return f"address {place[0].name} {place[1]}"
            if address >> _BLOCK in self._blocks:
                return "address"
        return match[0]
