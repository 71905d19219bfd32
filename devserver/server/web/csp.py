"""What a page's Content-Security-Policy lets a script of this server do. Pure; runs in the server.

Content Security Policy Level 3. Policies of which only a report is wanted forbid nothing; of several policies all have to allow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

_SCRIPT = ("script-src-elem", "script-src", "default-src")
_WORKER = ("worker-src", "child-src", "script-src", "default-src")
_CONNECT = ("connect-src", "default-src")
"""Each falls back on those behind it."""


class Permission(NamedTuple):
    """What a page may do. `nonce` is what its script tags have to say; `forbidden` the directive in the way, or ""."""

    nonce: str = ""
    forbidden: str = ""


def permission(headers: Iterable[str], origin: str) -> Permission:
    """Whether the page may load a script of `origin` (its own: `http://host:port`) and hear from it."""
    policies = [_directives(text) for header in headers for text in header.split(",") if text.strip()]
    nonces = [_nonces(policy) for policy in policies]
    common = [nonce for nonce in (nonces[0] if nonces else ()) if all(nonce in each for each in nonces)]
    chosen = common[0] if common else next((each[0] for each in nonces if each), "")
    for policy in policies:
        # Without an origin of its own a page is a stranger here: it may not hear of anything.
        if "sandbox" in policy and not {"allow-scripts", "allow-same-origin"} <= set(policy["sandbox"]):
            return Permission(forbidden="sandbox")
        name, sources = _effective(policy, _SCRIPT)
        if sources is not None and f"'nonce-{chosen}'" not in sources and not _allows(sources, origin):
            return Permission(forbidden=name)
    for purpose in (_WORKER, _CONNECT):
        if all((sources := _effective(policy, purpose)[1]) is None or _allows(sources, origin) for policy in policies):
            return Permission(chosen)
    return Permission(forbidden=next(name for policy in policies if (name := _effective(policy, _CONNECT)[0])))


def _directives(text: str) -> Mapping[str, Sequence[str]]:
    found: dict[str, Sequence[str]] = {}
    for part in text.split(";"):
        name, *values = part.split() or [""]
        found.setdefault(name.lower(), values)  # the first of a name counts
    return found


def _effective(policy: Mapping[str, Sequence[str]], names: Sequence[str]) -> tuple[str, Sequence[str] | None]:
    return next(((name, policy[name]) for name in names if name in policy), ("", None))


def _nonces(policy: Mapping[str, Sequence[str]]) -> list[str]:
    sources = _effective(policy, _SCRIPT)[1] or ()
    return [source[len("'nonce-") : -1] for source in sources if source.lower().startswith("'nonce-")]


def _allows(sources: Sequence[str], origin: str) -> bool:
    """Whether they let this server's own address through, without a nonce or a hash."""
    scheme, _, host = origin.partition("://")
    name, _, port = host.rpartition(":") if ":" in host.rpartition("]")[2] else (host, "", "80")
    if any(source.lower() == "'strict-dynamic'" for source in sources):
        return False  # then no address counts
    for source in sources:
        named = source.lower()
        if named in ("'self'", "*", f"{scheme}:"):
            return True
        # A longer path may well be another one than ours: only a source that has none is taken.
        if named.rstrip("/").removeprefix(f"{scheme}://") in (host, f"{name}:*", f"*:{port}", "*:*"):
            return True
    return False
