"""What may differ between two loads of the same code though nothing differs that a user could see.

Runs in the server once it has loaded. Rules that hold: pure, and nothing of the user's runs; what is not known to be incidental
counts. Incidental is what a program computes when it is first asked, for that depends on who asked first; what counts how many
were made before, by whomever; and what libraries derive from addresses.
"""

from __future__ import annotations

import re
import sys
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from devserver.server.load.genuine import name_of

OF_A_MODULE = frozenset({"__builtins__", "__loader__", "__spec__", "__cached__", "__warningregistry__"})
"""Globals that the machinery of imports keeps there."""

OF_A_CLASS = frozenset(
    {
        "__dict__",
        "__weakref__",
        "__module__",  # told with the name
        "_abc_impl",
        "__static_attributes__",
        "__firstlineno__",
        "__slotnames__",  # since the first copy of an instance
        "_value2member_map_",  # of an enumeration: combinations of flags join it when they are asked for
    }
)

_COMPUTED = re.compile(r"cached|memoized|^reify$", re.IGNORECASE)
_SUSPECT = re.compile(r"cache|hash|creation_(counter|order|index)", re.IGNORECASE)

Retold = Mapping[str, Callable[[Any], object] | None]
"""Attributes, and what is told of their values instead; None: nothing."""


def is_computed(descriptor_name: str) -> bool:
    """Do the descriptors of this class keep in the instance, by their own name, what they compute once?"""
    return _COMPUTED.search(descriptor_name) is not None


def is_suspect(name: str) -> bool:
    """May an attribute of this name be incidental? `is_memo` says whether it is."""
    return _SUSPECT.search(name) is not None


def is_memo(name: str, value: object, *, is_behaviour: bool, in_class: bool) -> bool:
    """Is the value of an attribute with a suspect name something that was computed, or counted, on the way?

    `is_behaviour`: it is a function, a class, a property or the like.
    """
    private, lowered = name.startswith("_"), name.lower()
    if "creation_" in lowered:  # of fields and columns; what their order leads to is seen elsewhere
        return type(value) is int
    if "cache" not in lowered:  # a hash that was computed once
        return private and not in_class and (value is None or type(value) is int)
    if is_behaviour:
        return private and not in_class
    return private or id(type(value)) not in _SETTINGS


_SETTINGS = frozenset(map(id, (bool, int, float, str)))
"""`cache_timeout = 60` is a setting."""


# --- what is told instead ---


def _by_name(mapping: dict[object, object]) -> object:
    """Loggers, and the apps that models are of, are entered as modules load; nobody sees that order."""
    return dict(sorted((name, value) for name, value in dict.items(mapping) if type(name) is str))


def _values(mapping: dict[object, object]) -> object:
    """Without the keys, which are addresses."""
    return list(dict.values(mapping))


def _sizes(mapping: dict[object, set[object]]) -> object:
    return [set.__len__(members) for members in dict.values(mapping)]


def _receivers(receivers: list[Any]) -> object:
    """Of each sender those that hear of it, in their order; that of receivers which never hear of the same thing does not count.

    Receiver and sender are in the key, by their addresses.
    """
    heard: list[tuple[object, object, object]] = []
    for (identifier, sender), receiver, *_rest in list.__iter__(receivers):
        is_weak = type(receiver) is weakref.ref or type(receiver) is weakref.WeakMethod
        if is_weak and weakref.ref.__call__(receiver) is None:
            continue  # it goes when the signal is next sent
        if not _is_address(sender):
            raise TypeError("not a signal of Django's")
        heard.append((sender, None if _is_address(identifier) else identifier, receiver))
    anybody = id(None)
    senders = {sender for sender, _identifier, _receiver in heard}
    classes = _classes_at(senders)
    names = {sender: name_of(classes[sender]) if sender in classes else "" for sender in senders}
    ordered = sorted(
        dict.fromkeys([anybody, *(sender for sender, *_rest in heard)]), key=lambda sender: names.get(sender, "")
    )
    return [
        (classes.get(sender), sender == anybody, [rest for known, *rest in heard if known in (sender, anybody)])
        for sender in ordered
    ]


def _is_address(identifier: object) -> bool:
    """Of a function, or of an instance and a method."""
    return type(identifier) is int or (type(identifier) is tuple and all(type(part) is int for part in identifier))


def _classes_at(addresses: set[object]) -> dict[object, type]:
    found: dict[object, type] = {}
    below: list[type] = [object]
    seen: set[int] = set()
    while below and len(found) < len(addresses):
        cls = below.pop()
        if id(cls) not in seen:
            seen.add(id(cls))
            below += type.__subclasses__(cls)
            if id(cls) in addresses:
                found[id(cls)] = cls
    return found


_COMPUTED_OF_PATHS = ("_str", "_hash", "_pparts", "_cached_cparts", "_lines_cached")
if sys.version_info >= (3, 12):
    _COMPUTED_OF_PATHS += ("_drv", "_root", "_tail_cached", "_str_normcase_cached", "_parts_normcase_cached")
_PATH: Retold = dict.fromkeys(_COMPUTED_OF_PATHS)

RETOLD: dict[str, Retold] = {
    "_frozen_importlib_external._NamespacePath": dict.fromkeys(("_last_epoch", "_last_parent_path", "_path_finder")),
    "blinker.base.Signal": {
        "receivers": _values,
        "_by_receiver": _sizes,
        "_by_sender": None,
        "_weak_senders": _values,
    },
    # Tasks that are made when somebody asks for one, and by name those that are.
    "celery.app.base.Celery": {"_pending": None, "_tasks": _by_name},
    "django.apps.registry.Apps": {"all_models": _by_name},
    "django.dispatch.dispatcher.Signal": {"receivers": _receivers, "_dead_receivers": None},
    "django.utils.functional.LazyObject": {"_wrapped": None},
    "logging.Manager": {"loggerDict": _by_name},
    "pathlib.PurePath": _PATH,
    "pathlib._local.PurePath": _PATH,
    "typing.ForwardRef": dict.fromkeys(("__forward_code__", "__forward_evaluated__", "__forward_value__")),
}
"""By class, also for those that are derived from it."""

WITHOUT_VALUE = frozenset({"sqlalchemy.util.langhelpers.symbol"})
"""Numbers whose value is a hash of their name."""

TYPE_ALONE = frozenset(
    {
        "asyncio.events.AbstractEventLoop",
        "django.conf.LazySettings",  # keeps each setting that was asked for
        "logging.PlaceHolder",
    }
)
"""Of these the state does not count."""

OURS = __name__.partition(".")[0]
"""Nor that of what this package has put in the place of something: each process writes down its own there."""
