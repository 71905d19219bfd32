"""A request as a command to paste. Pure; runs in the server."""

from __future__ import annotations

from devserver.report import RequestFacts
from devserver.server.web.reprs import HIDDEN

_OF_THE_CONNECTION = frozenset(
    {"host", "connection", "content-length", "accept-encoding", "transfer-encoding", "te", "upgrade-insecure-requests"}
)
"""Headers that curl makes itself, or that would be wrong for what it sends."""


def curl_command(request: RequestFacts) -> str:
    """The request as a command for a POSIX shell. What is hidden in the report is left out, and named behind the command."""
    fields, body, left_out = _body(request)
    words = ["curl", "-g"] if any(char in request.url for char in "[]{}") else ["curl"]
    if request.method == "HEAD":
        words.append("-I")
    elif request.method not in {"GET", "WEBSOCKET"} and not (request.method == "POST" and (fields or body)):
        words += ["-X", _quoted(request.method)]
    words.append(_quoted(request.url))
    if HIDDEN in request.url:
        left_out.append("a value of the query")
    for name, value in request.headers:
        if name.lower() in _OF_THE_CONNECTION or (fields and name.lower() == "content-type"):
            continue
        if HIDDEN in value:
            left_out.append(name)
        else:
            words += ["-H", _quoted(f"{name}: {value}")]
    words += [*fields, *body]
    return " ".join(words) + (f"  # without {', '.join(left_out)}" if left_out else "")


def _body(request: RequestFacts) -> tuple[list[str], list[str], list[str]]:
    """Words for the fields of a form, words for another body, and what is left out."""
    is_multipart = any(
        value.lower().startswith("multipart/") for name, value in request.headers if name == "content-type"
    )
    fields: list[str] = []
    left_out: list[str] = []
    for name, value in request.form:
        if HIDDEN in value:
            left_out.append(name)
        elif is_multipart and value.startswith("file "):
            file = value.removeprefix("file ").rpartition(", ")[0]
            fields += ["-F", _quoted(f"{name}=@{file}")]
        else:
            fields += ["--form-string" if is_multipart else "--data-urlencode", _quoted(f"{name}={value}")]
    if not request.body:
        return fields, [], left_out
    if HIDDEN in request.body:
        left_out.append("a value of the body")
    return fields, ["--data-raw", _quoted(request.body)], left_out


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
