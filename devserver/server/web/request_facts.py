"""What a page may show of a request. Runs in the server.

Rules that hold: whatever bears the name of a secret is hidden, wherever it stands; sizes are bounded; nothing that a client sent,
or a framework put into the scope, makes this raise.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from itertools import islice
from urllib.parse import parse_qsl, quote, unquote_plus

from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header
from werkzeug.sansio.http import parse_cookie

from devserver.report import RequestFacts, Sheet
from devserver.server.swallowed import MAX_QUERIES, Query
from devserver.server.web.reprs import HIDDEN, is_secret, named_repr, shortened, without_secrets

MAX_VALUE = 1_000
MAX_FIELDS = 100
MAX_BODY = 10_000
MAX_QUERY = 2_000
_HASH = re.compile(r"'(?:pbkdf2|argon2|bcrypt|scrypt)[^']*'")
FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})
"""Media types of bodies whose fields are shown."""


def request_facts(
    scope: Mapping[str, object], body: bytes = b"", session: Mapping[str, object] | None = None
) -> RequestFacts:
    """Of an ASGI `http` or `websocket` scope. `body`: what is known of the request's, from its beginning.

    `session`: the framework's, if it is not in the scope.
    """
    headers = [(_latin(name), _latin(value)) for name, value in _pairs(scope.get("headers"))]
    host = next((value for name, value in headers if name.lower() == "host"), "")
    raw_path = scope.get("raw_path")
    path = _latin(raw_path) if isinstance(raw_path, bytes) else quote(str(scope.get("path") or "/"))
    query = _latin(scope.get("query_string") or b"")
    client = scope.get("client")
    return RequestFacts(
        method=str(scope.get("method") or "WEBSOCKET"),
        url=f"{scope.get('scheme') or 'http'}://{host}{path}" + (f"?{_query_without_secrets(query)}" if query else ""),
        http_version=str(scope.get("http_version") or ""),
        client=":".join(map(str, client)) if isinstance(client, tuple | list) else "",
        headers=tuple((name, _header_without_secrets(name, value)) for name, value in headers),
        query=_fields(parse_qsl(query, keep_blank_values=True)),
        form=_fields(_form(header(scope, b"content-type"), body)),
        body=_json(header(scope, b"content-type"), body),
        cookies=_fields(_cookies(header(scope, b"cookie"))),
        session=_session(scope.get("session") if session is None else session),
    )


def queries_sheet(queries: Sequence[Query]) -> tuple[Sheet, ...]:
    """What the request asked of databases, the latest last; none if it did not."""
    if not queries:
        return ()
    total = sum(query.seconds for query in queries)
    rows = tuple(
        (_ms(query.seconds), without_secrets(_HASH.sub(f"'{HIDDEN}'", shortened(query.text, MAX_QUERY))))
        for query in queries
    )
    more = f"the last {len(queries)}" if len(queries) == MAX_QUERIES else str(len(queries))
    title = f"Database: {more} quer{'y' if len(queries) == 1 else 'ies'}, {_ms(total)}"
    return (Sheet(title, rows),)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.001 else "< 1 ms"


def header(scope: Mapping[str, object], name: bytes) -> str:
    """The value of a request header of an ASGI scope, several joined by commas (RFC 9110 §5.3); empty without it."""
    return ", ".join(_latin(value) for key, value in _pairs(scope.get("headers")) if key == name)


def _fields(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (shortened(name, MAX_VALUE), HIDDEN if value and is_secret(name) else shortened(value, MAX_VALUE))
        for name, value in islice(pairs, MAX_FIELDS)
    )


def _cookies(text: str) -> Iterator[tuple[str, str]]:
    yield from parse_cookie(text.encode("latin-1", "replace").decode("utf-8", "replace")).items(multi=True)


def _form(content_type: str, body: bytes) -> Iterator[tuple[str, str]]:
    media_type, options = parse_options_header(content_type)
    if not body or media_type not in FORMS:
        return
    try:
        _, form, files = FormDataParser(_in_memory).parse(BytesIO(body), media_type, len(body), options)
    except Exception:  # cut short, or no form at all: the app has told
        return
    yield from form.items(multi=True)
    for name, file in files.items(multi=True):
        yield name, f"file {file.filename}, {len(file.stream.read())} bytes"


def _json(content_type: str, body: bytes) -> str:
    """JSON, with what is named like a secret hidden."""
    media_type, _ = parse_options_header(content_type)
    if not body or not (media_type == "application/json" or media_type.endswith("+json")):
        return ""
    try:
        text = json.dumps(_without_secrets(json.loads(body)), ensure_ascii=False)
    except (ValueError, RecursionError):  # cut short, or no JSON: the app has told
        return ""
    return text if len(text) <= MAX_BODY else ""


def _without_secrets(value: object) -> object:
    if isinstance(value, dict):
        return {name: HIDDEN if item and is_secret(name) else _without_secrets(item) for name, item in value.items()}
    return [_without_secrets(item) for item in value] if isinstance(value, list) else value


def _in_memory(
    total_content_length: int | None, content_type: str | None, filename: str | None, content_length: int | None = None
) -> BytesIO:
    return BytesIO()  # werkzeug's own way is a temporary file, which would outlive the request


def _session(session: object) -> tuple[tuple[str, str], ...]:
    """Of a mapping, as Starlette and Channels put into the scope. One that is not loaded yet may do anything when it is asked."""
    if not isinstance(session, Mapping):
        return ()
    try:
        items = list(islice(session.items(), MAX_FIELDS))
    except Exception:
        return ()
    return tuple((shortened(str(name), MAX_VALUE), named_repr(name, value)) for name, value in items)


def _latin(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _pairs(headers: object) -> Iterator[tuple[object, object]]:
    if isinstance(headers, list | tuple):
        for pair in headers:
            if isinstance(pair, list | tuple) and len(pair) == 2:
                yield pair[0], pair[1]


def _header_without_secrets(name: str, value: str) -> str:
    if is_secret(name):
        return HIDDEN
    if name.lower() in {"referer", "origin"} and "?" in value:
        url, _, query = value.partition("?")
        return f"{url}?{_query_without_secrets(query)}"
    return shortened(value, MAX_VALUE)


def _query_without_secrets(query: str) -> str:
    fields = [field.partition("=") for field in query.split("&")]
    shown = [
        (name, equals, HIDDEN if value and is_secret(unquote_plus(name)) else value) for name, equals, value in fields
    ]
    return shortened("&".join("".join(field) for field in shown), MAX_VALUE)
