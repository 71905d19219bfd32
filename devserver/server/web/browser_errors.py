"""The errors of pages in browsers, as lines for the terminal. Pure; runs in the server, on its loop.

Rules that hold: what a browser says is anybody's word (sizes are bounded, control characters escaped, never more than so many lines
in a while); of the same error one line.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from devserver.source import display_path
from devserver.terminal import Paint, Style, escape_control

MAX_LINES = 20
WITHIN_S = 10.0
MAX_TEXT = 500
_LOCAL = frozenset({"127.0.0.1", "::1", ""})


class Said(NamedTuple):
    """What a page says."""

    message: str
    file: str = ""  # a URL
    line: int = 0  # 1-based, as the column; 0: not known
    column: int = 0
    page: str = ""  # path and query


def parse(body: bytes) -> Said | None:
    """What the body of a request says; None if it says nothing."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict) or not isinstance(data.get("message"), str):
        return None

    def text(name: str) -> str:
        value = data.get(name)
        return value[:MAX_TEXT] if isinstance(value, str) else ""

    def number(name: str) -> int:
        value = data.get(name)
        return value if isinstance(value, int) and 0 < value < 1 << 31 else 0

    return Said(text("message"), text("file"), number("line"), number("column"), text("page"))


class BrowserErrors:
    """Decides what is shown. `file_of` knows the file that was sent for a path of a URL, "" if none was."""

    def __init__(self, style: Style, file_of: Callable[[str], str]) -> None:
        self._style = style
        self._file_of = file_of
        self._shown: deque[tuple[float, Said]] = deque()

    def line(self, said: Said, client: str, now_s: float) -> str:
        """What to print; "" for what was said a moment ago, or for too much."""
        while self._shown and self._shown[0][0] <= now_s - WITHIN_S:
            self._shown.popleft()
        if len(self._shown) >= MAX_LINES or any(said == shown for _, shown in self._shown):
            return ""
        self._shown.append((now_s, said))
        paint = self._style.paint
        where = [paint(place, Paint.LINK) for place in [self._place(said)] if place]
        if said.page:
            where.append(paint(f"on {escape_control(said.page)}", Paint.FAINT))
        if client not in _LOCAL:
            where.append(paint(f"for {escape_control(client)}", Paint.FAINT))
        rest = len(self._shown) == MAX_LINES
        lines = [
            f"{paint('browser', Paint.ERROR)}  {escape_control(said.message)}",
            *([f"         {'  '.join(where)}"] if where else []),
            *([f"         errors of browsers are not shown for up to {WITHIN_S:g} s"] if rest else []),
        ]
        return "\n".join(lines)

    def _place(self, said: Said) -> str:
        if not said.file:
            return ""
        try:
            path = urlsplit(said.file).path
        except ValueError:  # "http://[name]/", say: a page may name anything
            path = ""
        file = self._file_of(unquote(path))
        place = display_path(file) if file else said.file if path in ("", "/") else path
        if said.line:
            place += f":{said.line}" + (f":{said.column}" if said.column else "")
        return self._style.link(escape_control(place), file)
