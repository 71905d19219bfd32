"""What a WSGI app says in `start_response`, checked and turned into what ASGI sends.

Runs in the server process, in the threads of requests. Pure. PEP 3333 wants a server to check at the call: the traceback then
shows the line of the app that is wrong, and the error page can still be sent. Every `WSGIError` tells a beginner what
to write instead.
"""

from __future__ import annotations

import re

from devserver.errors import DevServerError

_CACHE_LIMIT = 1024
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 §5.6.2
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 9110 §5.5: all but the tab
_STATUS = re.compile(r"[1-9][0-9]{2}(?: [^\x00-\x08\x0a-\x1f\x7f]*)?")
_HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization te trailer trailers transfer-encoding upgrade".split()
)

_known_names: dict[str, bytes] = {}
_known_statuses: dict[str, int] = {}


class WSGIError(DevServerError):
    """The app does not keep to PEP 3333. The hint is a note of the exception too, so every traceback shows it."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        if hint:
            self.add_note(f"hint: {hint}")


def parse_status(status: object) -> int:
    """The code in `status` ("404 Not Found"). Raises WSGIError."""
    if isinstance(status, str):
        code = _known_statuses.get(status)
        if code is not None:
            return code
    else:
        hint = f'write "{status} …", for instance "200 OK"' if isinstance(status, int) else 'for instance "200 OK"'
        raise WSGIError(f"the status must be a str, not {_named(status)}", hint=hint)
    if not _STATUS.fullmatch(status):
        raise WSGIError(
            f"the status must be three digits, a space and a reason, not {status!r}", hint='for instance "200 OK"'
        )
    code = int(status[:3])
    if not 200 <= code <= 599:
        raise WSGIError(f"the status of an answer must be from 200 to 599, not {code}")
    if len(_known_statuses) < _CACHE_LIMIT:  # the reason may hold anything: never without a bound
        _known_statuses[status] = code
    return code


def parse_headers(headers: object) -> tuple[list[tuple[bytes, bytes]], int | None]:
    """The headers as ASGI sends them, without Content-Length, and the number of bytes that one names (None if there
    is none). Raises WSGIError."""
    if not isinstance(headers, list):
        hint = 'for instance [("Content-Type", "text/html; charset=utf-8")]'
        if isinstance(headers, dict):
            hint = "write list(headers.items())"
        raise WSGIError(f"the headers must be a list of (name, value) tuples, not {_named(headers)}", hint=hint)
    parsed: list[tuple[bytes, bytes]] = []
    length: int | None = None
    for header in headers:
        if not isinstance(header, tuple) or len(header) != 2:
            raise WSGIError(
                f"each header must be a tuple of name and value, not {header!r}",
                hint='for instance ("Content-Type", "text/html; charset=utf-8")',
            )
        name, value = header
        raw_name = _known_names.get(name) if isinstance(name, str) else None
        if raw_name is None:
            raw_name = _parse_name(name)
        if type(value) is str and value.isascii() and value.isprintable():
            raw_value = value.encode()
        else:
            raw_value = _parse_value(name, value)
        if raw_name == b"content-length":
            length = _parse_length(value, length)
        else:
            parsed.append((raw_name, raw_value))
    return parsed, length


def _parse_name(name: object) -> bytes:
    if not isinstance(name, str):
        raise WSGIError(f"the name of a header must be a str, not {_named(name)}")
    if not _TOKEN.fullmatch(name):
        raise WSGIError(
            f"{name!r} cannot be the name of a header",
            hint="a name has letters, digits and hyphens, no spaces, no colon",
        )
    raw_name = name.lower().encode()
    if raw_name in _HOP_BY_HOP:
        raise WSGIError(
            f"the header {name} belongs to the connection, which is the server's, not the app's (PEP 3333)",
            hint=f"leave {name} out: the server sends what the connection needs",
        )
    if len(_known_names) < _CACHE_LIMIT:
        _known_names[name] = raw_name
    return raw_name


def _parse_value(name: str, value: object) -> bytes:
    if not isinstance(value, str):
        hint = f'write ("{name}", str(…))' if isinstance(value, int) else None
        raise WSGIError(f"the value of the header {name} must be a str, not {_named(value)}", hint=hint)
    if _CONTROLS.search(value):
        raise WSGIError(
            f"the value of the header {name} has a line break or another control character: {value!r}",
            hint="if it comes from a request, somebody may be trying to add headers of their own",
        )
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError as error:
        raise WSGIError(
            f"the value of the header {name} has the character {value[error.start]!r}, which headers cannot carry",
            hint="percent-encode it with urllib.parse.quote (for file names: filename*=UTF-8''…, RFC 8187)",
        ) from None


def _parse_length(value: str, seen: int | None) -> int:
    if seen is not None:
        raise WSGIError("Content-Length is there twice")
    if not (value.isascii() and value.isdigit()):
        raise WSGIError(f"Content-Length must be a number of bytes, not {value!r}")
    return int(value)


def _named(value: object) -> str:
    """The type of a value and the value, for an error."""
    text = repr(value)
    if len(text) > 80:
        text = text[:79] + "…"
    return text if value is None else f"{type(value).__name__} {text}"
