"""Values as short texts that are safe to make and to show.

Runs in the server process, on the user's live objects, in the middle of an error. Rules that hold: no repr harms (one that
raises, recurses or returns megabytes yields a short text); containers are walked by us, so that one of a million
items costs as little as one of ten; what is named like a secret is hidden, also as a key within containers.
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Iterable, Mapping
from itertools import islice, pairwise

HIDDEN = "‹hidden›"

MAX_REPR = 600
"""Characters of one value."""

MAX_TEXT = 300
"""Characters of one string within a value."""

MAX_ITEMS = 12
MAX_DEPTH = 4
MAX_INT_BITS = 2_000  # beyond, int's repr is slow, and from 4300 digits on an error

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SECRET_WORDS = frozenset(
    {
        *("password", "passwords", "passwd", "passphrase", "pwd", "secret", "secrets", "token", "tokens", "apikey"),
        *("authorization", "cookie", "cookies", "credential", "credentials", "csrftoken", "csrfmiddlewaretoken"),
        *("jwt", "session", "sessionid", "sessions", "dsn"),
    }
)
_SECRET_NAMES = frozenset({"auth", "sid", "otp", "pin", "phpsessid", "jsessionid", "connect.sid"})
"""Names of cookies and fields, whole: as words they are in too many others."""
_SECRET_PAIRS = frozenset({("api", "key"), ("access", "key"), ("private", "key"), ("signing", "key"), ("auth", "key")})
CODE = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType)


def is_secret(name: object) -> bool:
    """Is what bears this name to be hidden? `API_KEY`, `user_password`, `sessionid`; not `tokenize`, `key`, `author`."""
    if isinstance(name, bytes):
        name = name.decode("latin-1")
    if not isinstance(name, str) or len(name) > 100:
        return False
    words = [word.lower() for word in _WORD.findall(name)]
    if name.lower() in _SECRET_NAMES:
        return True
    return not _SECRET_WORDS.isdisjoint(words) or any(pair in _SECRET_PAIRS for pair in pairwise(words))


def named_repr(name: object, value: object) -> str:
    """`safe_repr`, or HIDDEN for a value that bears the name of a secret and could be one."""
    return HIDDEN if is_secret(name) and _may_be_secret(value) else safe_repr(value)


def safe_repr(value: object) -> str:
    """The repr of `value`, at most MAX_REPR characters. Calls the user's `__repr__` at most for the innermost objects."""
    try:
        text = without_secrets(shortened(_repr(value, MAX_DEPTH), MAX_REPR))
        return shortened(text, MAX_REPR)  # what stands for a secret may be longer than it
    except RecursionError:
        return f"<{_type_name(value)}: too deep to show>"


_NAMED_TEXT = re.compile(
    # From its beginning on: to try a long word at each of its letters takes half a millisecond.
    r"""(?<![\w.-])(?P<name>[\w.-]{2,80})(?P<between>['"]?\s*[:=,]\s*)(?P<value>b?(?P<quote>['"])(?:(?!(?P=quote)).)+(?P=quote)?)"""
)
_CREDENTIALS = re.compile(
    r"(?P<before>\b(?:Bearer|Basic|Token)\s+|://[^\s:/@'\"]*:)(?P<value>[^\s@'\",]{3,})(?=(?P<at>@)|)"
)


def without_secrets(text: str) -> str:
    """What looks like a secret in a text that somebody else has made: `password='…'`, `'token': '…'`, `Bearer …`, `user:…@`."""

    def named(match: re.Match[str]) -> str:
        return match["name"] + match["between"] + HIDDEN if is_secret(match["name"]) else match[0]

    def credentials(match: re.Match[str]) -> str:
        is_port = match["before"].startswith("://") and match["at"] is None
        return match[0] if is_port else match["before"] + HIDDEN

    return _CREDENTIALS.sub(credentials, _NAMED_TEXT.sub(named, text))


def shortened(text: str, limit: int) -> str:
    """`text` with its middle left out beyond `limit` characters."""
    if len(text) <= limit:
        return text
    tail = limit // 5
    return f"{text[: limit - tail - 1]}…{text[-tail:]}"


def _may_be_secret(value: object) -> bool:
    """None, booleans, what is empty and what is code tells nothing, and is worth seeing."""
    if value is None or isinstance(value, (bool, *CODE)):
        return False
    return not (type(value) in {str, bytes, list, tuple, dict, set, frozenset} and not value)


def _repr(value: object, depth: int) -> str:
    kind = type(value)  # exact types only: a subclass may do anything
    if kind is str or kind is bytes:
        return _text_repr(value)  # type: ignore[arg-type]
    if kind is int:
        return repr(value) if value.bit_length() <= MAX_INT_BITS else f"<int of {value.bit_length()} bits>"  # type: ignore[attr-defined]
    container = _CONTAINERS.get(kind)
    if container is None:
        return _object_repr(value)
    if not depth:
        return "…"
    return container(value, depth - 1)


def _text_repr(value: str | bytes) -> str:
    if len(value) <= MAX_TEXT:
        return repr(value)
    unit = "characters" if isinstance(value, str) else "bytes"
    return f"{value[:MAX_TEXT]!r}… ({len(value)} {unit})"


def _object_repr(value: object) -> str:
    try:
        text = repr(value)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # SystemExit, or a framework's own: a repr has no right to end anything
        return f"<{_type_name(value)}: its repr raised {type(error).__name__}>"
    return shortened(text, MAX_REPR)


def _type_name(value: object) -> str:
    return type(value).__qualname__


def _items(values: Iterable[object], depth: int) -> str:
    taken = list(islice(values, MAX_ITEMS + 1))
    texts = [_repr(item, depth) for item in taken[:MAX_ITEMS]]
    return ", ".join([*texts, "…"] if len(taken) > MAX_ITEMS else texts)


def _list(value: Iterable[object], depth: int) -> str:
    return f"[{_items(value, depth)}]"


def _tuple(value: tuple[object, ...], depth: int) -> str:
    if len(value) == 2 and is_secret(value[0]) and _may_be_secret(value[1]):  # headers come as pairs
        return f"({_repr(value[0], depth)}, {HIDDEN})"
    return f"({_items(value, depth)}{',' if len(value) == 1 else ''})"


def _set(value: Iterable[object], depth: int) -> str:
    return f"{{{_items(value, depth)}}}" if value else "set()"


def _frozenset(value: Iterable[object], depth: int) -> str:
    return f"frozenset({_set(value, depth) if value else ''})"


def _dict(value: Mapping[object, object], depth: int) -> str:
    taken = list(islice(value.items(), MAX_ITEMS + 1))
    texts = [
        f"{_repr(key, depth)}: {HIDDEN if is_secret(key) and _may_be_secret(item) else _repr(item, depth)}"
        for key, item in taken[:MAX_ITEMS]
    ]
    return f"{{{', '.join([*texts, '…'] if len(taken) > MAX_ITEMS else texts)}}}"


_CONTAINERS: dict[type, Callable[..., str]] = {
    dict: _dict,
    frozenset: _frozenset,
    list: _list,
    set: _set,
    tuple: _tuple,
}
