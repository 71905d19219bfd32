"""A request as a command to paste. Pure; runs in the server."""

from __future__ import annotations

from devserver.report import RequestFacts
from devserver.server.web.reprs import HIDDEN

_OF_THE_CONNECTION = frozenset(
    {"host", "connection", "content-length", "content-type", "accept-encoding", "transfer-encoding", "te"}
)
"""Headers that curl makes itself, or that would be wrong for what it sends."""


def curl_command(request: RequestFacts) -> str:
    """The request as a command for a POSIX shell. What is hidden in the report is left out."""
    words = ["curl"]
    if request.method not in {"GET", "WEBSOCKET"}:
        words += ["-X", request.method]
    words.append(_quoted(request.url))
    for name, value in request.headers:
        if HIDDEN not in value and name.lower() not in _OF_THE_CONNECTION:
            words += ["-H", _quoted(f"{name}: {value}")]
    for name, value in request.form:
        if HIDDEN not in value:
            words += ["--data-urlencode", _quoted(f"{name}={value}")]
    return " ".join(words)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
