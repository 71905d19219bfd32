"""Where a tag goes into an HTML document, found while the document streams by. Pure; runs in the server.

Rules that hold: what was fed comes out, in order and at once, but for the beginning of a token that may still be passed; the tag is
put in exactly once into whatever is not empty. It goes before the first thing that can run, show or restrict something, so that
nothing happens in the page before it, no policy of the page is weakened and the doctype stays first: after doctype, comments,
`<html>`, `<head>`, `<title>` and `<meta>`, but before a `<meta>` with a Content-Security-Policy and before `<base>`.
"""

from __future__ import annotations

import re

MAX_HELD = 8192
"""No more is held back for the end of a token (a long comment)."""

_ATTRIBUTES = rb"""(?:[\s/](?:[^>"']|"[^"]*"|'[^']*')*)?"""
_PASSED = re.compile(
    rb"\s+|\xef\xbb\xbf|<!--.*?-->|<!doctype[^>]*>|<\?[^>]*>|<(?:html|head|meta)%b>|<title%b>.*?</title\s*>"
    % (_ATTRIBUTES, _ATTRIBUTES),
    re.IGNORECASE | re.DOTALL,
)
_BEGINNINGS = (b"<!--", b"<!doctype", b"<?", b"<html", b"<head", b"<meta", b"<title", b"\xef\xbb\xbf")
_RESTRICTS = b"content-security-policy"
_AFTER_A_NAME = b" \t\r\n\f/>"


class Injector:
    """For one document, in an encoding in which ASCII is ASCII."""

    def __init__(self, tag: bytes) -> None:
        self._tag = tag
        self._held = b""
        self._is_done = False
        self._is_empty = True

    def feed(self, data: bytes, *, is_last: bool = False) -> bytes:
        """What to send for the next piece of the document."""
        if self._is_done:
            return data
        self._is_empty = self._is_empty and not data
        data = self._held + data
        self._held = b""
        place = 0
        while (token := _PASSED.match(data, place)) and _RESTRICTS not in token[0].lower():
            place = token.end()
        if not is_last and not token:
            rest = data[place : place + MAX_HELD]
            if not rest or (len(rest) < MAX_HELD and _may_grow(rest)):
                self._held = data[place:]
                return data[:place]
        self._is_done = True
        return data if self._is_empty else data[:place] + self._tag + data[place:]


class Appender:
    """For one document in an encoding in which ASCII is not ASCII: the tag, encoded likewise, comes last."""

    def __init__(self, tag: bytes) -> None:
        self._tag = tag
        self._is_empty = True

    def feed(self, data: bytes, *, is_last: bool = False) -> bytes:
        self._is_empty = self._is_empty and not data
        return data + self._tag if is_last and not self._is_empty else data


def wide_encoding(charset: str, beginning: bytes) -> str:
    """The encoding of a document if ASCII is not ASCII in it (UTF-16, UTF-32), else "". A byte order mark beats the header."""
    if beginning.startswith(b"\xff\xfe"):
        return "utf-32-le" if beginning.startswith(b"\xff\xfe\0\0") else "utf-16-le"
    if beginning.startswith(b"\xfe\xff"):
        return "utf-16-be"
    name = charset.lower().replace("_", "-")
    if not name.startswith(("utf-16", "utf16", "utf-32", "utf32")):
        return ""
    number = "32" if "32" in name else "16"
    # Without a mark and an order in its name browsers take it for little-endian (WHATWG Encoding §4.2).
    return f"utf-{number}-{'be' if name.endswith('be') else 'le'}"


def _may_grow(rest: bytes) -> bool:
    """Whether `rest` may be the beginning of something that is passed."""
    head = rest[: max(map(len, _BEGINNINGS)) + 1].lower()
    for beginning in _BEGINNINGS:
        if beginning.startswith(head):
            return True
        if head.startswith(beginning):
            return not beginning[-1:].isalpha() or head[len(beginning) : len(beginning) + 1] in _AFTER_A_NAME
    return False
