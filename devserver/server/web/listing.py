"""The pages of a folder that is served: the list of one without an index.html, and that there is no such file.

Runs in the server process, in a thread of `static.py`: lists and stats the folder. It names only what would be served,
so it never tells of a file that is refused. All text is escaped; the page needs no script.
"""

from __future__ import annotations

import html
import os
import stat
from datetime import datetime
from functools import cache
from pathlib import Path
from string import Template
from urllib.parse import quote

from devserver.record import Record
from devserver.server.web.static_paths import FolderFound, NotServed, refused_name, resolved_inside

_ASSETS = Path(__file__).parent / "assets"


class Entry(Record):
    """One row."""

    name: str
    is_folder: bool
    size: int
    modified: float  # seconds since the epoch


def list_folder(folder: FolderFound) -> tuple[Entry, ...]:
    """What of the folder would be served: folders first, then by name without regard to case. Blocks; raises OSError."""
    entries = []
    with os.scandir(folder.real) as found:
        for item in found:
            if "\\" in item.name or refused_name([item.name]):
                continue
            try:
                if item.is_symlink() and isinstance(resolved_inside(item.path, folder.real_root), NotServed):
                    continue
                status = item.stat()
            except OSError:  # gone, dangling, or not ours to see
                continue
            is_folder = stat.S_ISDIR(status.st_mode)
            if is_folder or stat.S_ISREG(status.st_mode):
                entries.append(Entry(item.name, is_folder, status.st_size, status.st_mtime))
    entries.sort(key=lambda entry: (not entry.is_folder, entry.name.lower(), entry.name))
    return tuple(entries)


def render_listing(path: str, entries: tuple[Entry, ...], *, has_parent: bool) -> bytes:
    """The page in UTF-8. `path` is the decoded path of the folder, with its slash."""
    rows = [_row("../", "..", "", "")] if has_parent else []
    for entry in entries:
        slash = "/" if entry.is_folder else ""
        # Quoted whole, colons too: "javascript:…" is a file name here.
        href = quote(os.fsencode(entry.name), safe="") + slash
        size = "" if entry.is_folder else _readable_size(entry.size)
        rows.append(_row(href, entry.name + slash, size, _readable_time(entry.modified)))
    if not entries:
        rows.append('<tr><td colspan="3" class="empty">Nothing to serve in here.</td></tr>')
    page = _template("listing.html").substitute(title=_text(path), rows="\n".join(rows), style=_style())
    return page.encode()


def render_missing(path: str, reason: str) -> bytes:
    """The page in UTF-8. `path` is the decoded path of the URL, `reason` a sentence."""
    return _template("missing.html").substitute(title=_text(path), reason=_text(reason), style=_style()).encode()


def _row(href: str, label: str, size: str, modified: str) -> str:
    link = f'<a href="{html.escape(href)}">{_text(label)}</a>'
    return f'<tr><td>{link}</td><td class="size">{size}</td><td class="time">{modified}</td></tr>'


def _text(text: str) -> str:
    """Escaped, with what cannot be shown (controls, changes of direction, undecodable bytes) replaced."""
    return html.escape("".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text))


def _readable_size(size: int) -> str:
    value, units = float(size), ["B", "kB", "MB", "GB", "TB"]
    while value >= 999.5 and len(units) > 1:
        value /= 1000
        del units[0]
    return f"{value:.1f} {units[0]}" if value < 9.95 and units[0] != "B" else f"{value:.0f} {units[0]}"


def _readable_time(seconds: float) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError, OSError):  # a year that no calendar has
        return ""


@cache
def _template(name: str) -> Template:
    return Template((_ASSETS / name).read_text(encoding="utf-8"))


@cache
def _style() -> str:
    return (_ASSETS / "listing.css").read_text(encoding="utf-8")
