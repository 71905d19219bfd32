"""What the server itself shows in place of the app: the error page, the page of a load that hangs, the page of a death.

Pure but for reading our own asset files once; runs in the server process. Rules that hold: one Report, as HTML, JSON or plain
text, by what the client accepts; the page needs neither script nor network; it allows exactly our own style and script (CSP by
hash); every value goes through the template's escaping; answers are not to be stored or sniffed.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from devserver.highlight import Ink, Piece, highlighted
from devserver.markdown_report import report_markdown
from devserver.record import as_dict
from devserver.report import LINKS, ErrorInfo, Frame, Occasion, Report, RequestFacts
from devserver.server.web.access import PREFIX
from devserver.server.web.client import CLIENT, OPT_OUT_HEADER, Edition, client_source, client_url
from devserver.server.web.curl import curl_command
from devserver.server.web.mustache import Template
from devserver.server.web.tools import NO_TOOLS, Tools
from devserver.source import packages_of
from devserver.terminal import Style
from devserver.terminal_report import report_text

_ASSETS = Path(__file__).parent / "assets"

MAX_OPEN_FRAMES = 3
MAX_COLOURED_FRAMES = 30
"""The user's come first. A millisecond each: whoever opens the fiftieth can do without colours."""
TEXT_WIDTH = 100
RETRY_AFTER_S = 2

_LABELS = {
    Occasion.LOAD: "The app could not be loaded",
    Occasion.REQUEST: "An error in the app",
    Occasion.WEBSOCKET: "An error in a WebSocket handler",
    Occasion.LIFESPAN: "An error in the app's lifespan",
    Occasion.BACKGROUND: "An error in the background",
    Occasion.WARNING: "A warning",
    Occasion.DEATH: "The server process ended",
    Occasion.HANG: "Still loading",
}
_INK_STYLES = {Ink.NUMBER: "number-literal"}  # "number" is the line's
_SAFE_METHODS = frozenset({"GET", "HEAD", "WEBSOCKET"})


class MediaType(StrEnum):
    HTML = "text/html"
    JSON = "application/json"
    TEXT = "text/plain"


class Page(NamedTuple):
    """An answer, ready for ASGI."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


def negotiate(accept: str) -> MediaType:
    """What to send for this `Accept` (RFC 9110 §12.5.1): HTML or JSON only to who names it, plain text to all others.

    Browsers name text/html; curl, wget and most HTTP libraries send `*/*`.
    """
    best = MediaType.TEXT, 0.0
    for name, quality in parse_accept_header(accept, MIMEAccept):
        media_type = _named(name.lower())
        if media_type is not None and quality > best[1]:
            best = media_type, quality
    return best[0]


def render(report: Report, accept: str, *, edition: Edition, reload: bool = True, tools: Tools = NO_TOOLS) -> Page:
    """The answer that shows `report`: 503 for a load that hangs, else 500.

    `edition` is of when it is made: the client in the page loads it again when there is a newer one, unless `reload` is false.
    """
    media_type = negotiate(accept)
    match media_type:
        case MediaType.HTML:
            text = _html(report, edition=edition, reload=reload, tools=tools)
        case MediaType.JSON:
            text = json.dumps({"run": edition.run, **as_dict(report)}, indent=1) + "\n"
        case MediaType.TEXT:
            text = report_text(report, Style(width=TEXT_WIDTH)) + "\n"
    body = text.encode("utf-8", "backslashreplace")  # undecodable file names come as lone surrogates
    hangs = report.occasion is Occasion.HANG
    headers = [
        ("content-type", media_type if media_type is MediaType.JSON else f"{media_type}; charset=utf-8"),
        ("content-length", str(len(body))),
        ("cache-control", "no-store"),
        ("content-security-policy", _policy(media_type)),
        ("referrer-policy", "no-referrer"),
        ("vary", "accept"),
        ("x-content-type-options", "nosniff"),
        *([("retry-after", str(RETRY_AFTER_S))] if hangs else []),
        (OPT_OUT_HEADER, "off"),  # it holds the client already
    ]
    return Page(
        503 if hangs else 500, tuple((name.encode("ascii"), value.encode("ascii")) for name, value in headers), body
    )


def _named(media_type: str) -> MediaType | None:
    if media_type in {"text/html", "application/xhtml+xml"}:
        return MediaType.HTML
    if media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json")):
        return MediaType.JSON
    return MediaType.TEXT if media_type in {"text/plain", "text/*"} else None


# --- the page ---


def _html(report: Report, *, edition: Edition, reload: bool, tools: Tools) -> str:
    errors = list(_errors(report))
    hangs = report.occasion is Occasion.HANG
    first = report.errors[0] if report.errors else None
    repeatable = report.request is None or report.request.method in _SAFE_METHODS
    view = {
        "run": edition.run,
        "seen": edition.seen,
        "worker": client_url(),
        "ask": not repeatable,
        "report_id": report.id,
        "token": tools.token,
        "editor": tools.editor,
        "console": tools.console,
        "framework": tools.framework,
        "framework_page": f"{PREFIX}errors/{report.id}/framework" if tools.framework else "",
        "markdown_report": report_markdown(report),
        "curl": curl_command(report.request) if report.request and report.request.method != "WEBSOCKET" else "",
        "reload": reload,
        "refresh": RETRY_AFTER_S if hangs else None,
        "page_title": report.title,
        "icon_color": "3b82d6" if hangs else "d64545",
        "occasion": report.occasion,
        "occasion_label": _LABELS[report.occasion],
        "type_name": first.type_name if first else "",
        "message": first.message if first else report.title,
        "detail": report.detail,
        "watch_text": "This page follows the load by itself."
        if hangs
        else "This page reloads by itself after the fix.",
        "watch_text_without_script": "" if hangs else "Reload this page after the fix.",
        "has_advice": bool(report.advice),
        "advice": [{"pieces": list(_prose(advice.text)), "command": advice.command} for advice in report.advice],
        "errors": errors,
        "stack": report.stack,
        "stack_open": not any(error.frames for error in report.errors),
        "sheets": list(_sheets(report)),
        "text_report": report_text(report, Style(width=TEXT_WIDTH)),
        "versions": [{"name": name, "version": version} for name, version in report.versions],
    }
    return _template().render(view)


def _prose(text: str) -> Iterator[Mapping[str, str]]:
    """Text in which `code` stands between backticks."""
    for index, part in enumerate(text.split("`")):
        yield {"code": part, "text": ""} if index % 2 else {"code": "", "text": part}


def _sheets(report: Report) -> Iterator[Mapping[str, object]]:
    """Tables that are folded: the request's, each with a caption, then what else is known."""
    if report.request is not None:
        groups = [{"group": title, "rows": _rows(rows)} for title, rows in _request(report.request) if rows]
        yield {"title": f"Request: {report.request.method} {urlsplit(report.request.url).path}", "groups": groups}
    for sheet in report.sheets:
        yield {"title": sheet.title, "groups": [{"group": "", "rows": _rows(sheet.rows)}]}


def _request(request: RequestFacts) -> Sequence[tuple[str, Sequence[tuple[str, str]]]]:
    line = (
        ("method", request.method),
        ("url", request.url),
        *([("protocol", f"HTTP/{request.http_version}")] if request.http_version else []),
        *([("client", request.client)] if request.client else []),
    )
    return (
        ("Request", line),
        ("Query", request.query),
        ("Form", request.form),
        ("Body", (("JSON", request.body),) if request.body else ()),
        ("Cookies", request.cookies),
        ("Session", request.session),
        ("Headers", request.headers),
    )


def _rows(rows: Sequence[tuple[str, str]]) -> Sequence[Mapping[str, str]]:
    return [{"name": name, "value": value} for name, value in rows]


def _errors(report: Report) -> Iterator[Mapping[str, object]]:
    opened = 0
    coloured = _coloured(report)
    for index, error in enumerate(report.errors):
        frames = _frames_to_open(error, MAX_OPEN_FRAMES - opened, is_first=index == 0)
        opened += len(frames)
        yield {
            "link": LINKS.get(error.link, error.link).capitalize(),
            "type_name": error.type_name,
            "message": error.message,
            "notes": list(error.notes),
            "runs": list(_runs(error, index, frames, coloured)),
        }


def _coloured(report: Report) -> frozenset[int]:
    """The ids of the frames whose source is coloured: the user's innermost first, then those of libraries."""
    order = [(not frame.is_user, id(frame)) for error in report.errors for frame in reversed(error.frames)]
    return frozenset(which for _, which in sorted(order, key=lambda each: each[0])[:MAX_COLOURED_FRAMES])


def _frames_to_open(error: ErrorInfo, count: int, *, is_first: bool) -> tuple[Frame, ...]:
    """The innermost of the user's; without any, the innermost of all, for of the first error something has to be seen."""
    places: dict[tuple[str, int, str], Frame] = {}
    for frame in reversed(error.frames):
        if frame.is_user:
            places.setdefault((frame.path, frame.line, frame.function), frame)
    own = tuple(places.values())
    return (own if own or not is_first else error.frames[-1:])[: max(count, 0)]


def _runs(
    error: ErrorInfo, number: int, opened: Sequence[Frame], coloured: Collection[int]
) -> Iterator[Mapping[str, object]]:
    """The frames, innermost first: one by one what is the user's, folded together what lies between.

    Of a recursion the innermost call is shown, the same ones below it are folded.
    """
    shown = {id(frame) for frame in opened}
    places = {id(frame): {"error": number, "index": index} for index, frame in enumerate(error.frames)}

    def view(frame: Frame, *, is_open: bool = False) -> Mapping[str, object]:
        is_first = number == 0 and bool(opened) and frame is opened[0]
        shows = _frame(frame, is_open=is_open, is_coloured=id(frame) in coloured)
        return {**places[id(frame)], "first": is_first, **shows}

    def folded(label: str, frames: Sequence[Frame]) -> Mapping[str, object]:
        return {"folded": label, "frames": list(map(view, frames))}

    def kind(frame: Frame) -> tuple[str, int, str] | None:
        own = frame.is_user or id(frame) in shown
        return (frame.path, frame.line, frame.function) if own else None

    for place, run in groupby(reversed(error.frames), kind):
        frames = list(run)
        if place is None:
            yield folded(_library_label(frames), frames)
            continue
        yield {"folded": "", "frames": [view(frames[0], is_open=id(frames[0]) in shown)]}
        if same := frames[1:]:
            count = len(same) + sum(frame.skipped for frame in frames)
            yield folded(f"{count} more call{'' if count == 1 else 's'} of the same in a recursion", same)


def _library_label(frames: Sequence[Frame]) -> str:
    libraries = packages_of(frame.display_path for frame in frames)
    return f"{len(frames)} call{'' if len(frames) == 1 else 's'} in {libraries}"


def _frame(frame: Frame, *, is_open: bool, is_coloured: bool) -> Mapping[str, object]:
    count = len(frame.locals) + frame.unmade
    return {
        "display_path": frame.display_path,
        "line": frame.line,
        "function": frame.function,
        "is_user": frame.is_user,
        "open": is_open,
        "has_source": bool(frame.source),
        "lines": list(_lines(frame, is_coloured=is_coloured)),
        "locals_count": f"{count} variable{'' if count == 1 else 's'}" if count else "",
        "unmade": f"{frame.unmade} more: their values are asked for when this is opened, by a script"
        if frame.unmade
        else "",
        "locals": [{"name": local.name, "value": local.value} for local in frame.locals],
        "skipped": f"{frame.skipped} calls in between are left out" if frame.skipped else "",
    }


def _lines(frame: Frame, *, is_coloured: bool) -> Iterator[Mapping[str, object]]:
    texts = [line.text for line in frame.source]
    pieces = (
        highlighted(texts, frame.path, frame.within) if is_coloured else [(Piece(Ink.PLAIN, one),) for one in texts]
    )
    for line, row in zip(frame.source, pieces, strict=True):
        start, end = frame.marked(line)
        yield {
            "number": line.number,
            "hit": frame.line <= line.number <= (frame.end_line or frame.line),
            "pieces": [
                {
                    "style": f"{_INK_STYLES.get(piece.ink, piece.ink)}{' marked' if marked else ''}".strip(),
                    "text": piece.text,
                }
                for piece, marked in _cut(row, start, end)
            ],
        }


def _cut(pieces: Sequence[Piece], start: int, end: int) -> Iterator[tuple[Piece, bool]]:
    """The pieces, divided at the edges of what is to be marked. Beyond the end of the line a space is marked."""
    position = 0
    for piece in pieces:
        low, high = max(start - position, 0), max(end - position, 0)
        for text, marked in (
            (piece.text[:low], False),
            (piece.text[low:high], True),
            (piece.text[max(low, high) :], False),
        ):
            if text:
                yield Piece(piece.ink, text), marked
        position += len(piece.text)
    if start < end and end > position:
        yield Piece(Ink.PLAIN, " "), True


# --- our own files ---


@cache
def _asset(name: str) -> str:
    return client_source() if name == CLIENT else (_ASSETS / name).read_text("utf-8")


@cache
def _template() -> Template:
    return Template(
        _asset("error.html"), {name: _asset(name) for name in ("frame.html", "page.css", CLIENT, "error.js")}
    )


@cache
def _policy(media_type: MediaType) -> str:
    if media_type is not MediaType.HTML:
        return "default-src 'none'; frame-ancestors 'none'"
    return (
        f"default-src 'none'; style-src '{_hash('page.css')}'; script-src '{_hash(CLIENT)}' '{_hash('error.js')}';"
        " connect-src 'self'; worker-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    )


def _hash(asset: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(_asset(asset).encode()).digest()).decode("ascii")
