"""Source around a place: whose code it is, how its path is shown, the lines to show of it.

Runs in the process that makes a Report: the server for live exceptions, the supervisor for what a dead one left.
Rules that hold: the file is read when it is asked for (an edited file never shows the lines it had before); whatever
cannot be read yields no lines, never an error.
"""

from __future__ import annotations

import bisect
import linecache
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path

from devserver.report import Frame, SourceLine

CONTEXT_LINES = 5
"""How many lines are shown before and after the one that counts."""

MAX_PACKAGES = 4
"""That are named where calls in libraries are counted."""

MAX_LINE = 400
"""Characters of a source line that are kept: minified files have lines of megabytes."""

_OWN_PACKAGE = os.path.dirname(os.path.realpath(__file__)) + os.sep
_INSTALLED = re.compile(r"[/\\](?:site|dist)-packages[/\\]")
_QUOTES_AND_COMMENTS = re.compile(
    r"""(?x) \#[^\n]*
    | ('''|\"\"\") (?: \\. | (?!\1)[\s\S] )*? (?: \1 | \Z )
    | '(?: \\. | [^'\\\n] )* '? | "(?: \\. | [^"\\\n] )* "?"""
)


class UserCode:
    """Tells the user's code from libraries.

    The user's is what lies below one of `roots`, unless it is installed there (an environment within the project),
    belongs to the standard library (a root above it) or to devserver itself. A relative path that leads nowhere is no
    one's: compiled extensions name the sources that they were built from so (`pandas/_libs/index.pyx`).
    """

    def __init__(self, roots: Sequence[str]) -> None:
        self.roots = tuple(roots)
        self._roots = {_folder(spelling) for root in roots if root for spelling in (root, os.path.realpath(root))}

    def __contains__(self, path: object) -> bool:
        if not isinstance(path, str) or path.startswith("<"):
            return False
        if not os.path.isabs(path) and not os.path.exists(path):
            return False
        path = os.path.abspath(path)
        return (
            any(path.startswith(root) for root in self._roots)
            and not _INSTALLED.search(path)
            and not path.startswith(standard_library())
            and not is_ours(path)
        )


@lru_cache(maxsize=4096)
def is_ours(path: str) -> bool:
    """Is it a file of devserver itself?"""
    try:
        return path.startswith(_OWN_PACKAGE) or os.path.realpath(path).startswith(_OWN_PACKAGE)
    except OSError:  # a relative path, and the working folder was removed
        return False


@cache
def standard_library() -> tuple[str, ...]:
    """The folders of the standard library, each with a separator at its end."""
    folder = os.path.dirname(os.__file__)
    return tuple({_folder(folder), _folder(os.path.realpath(folder))})


def working_folder() -> str:
    """The current folder; empty if somebody removed it."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


def display_path(path: str, roots: Sequence[str] = ()) -> str:
    """`path` as people know it: relative to the working folder or a root, or from the package's name on."""
    if path.startswith("<"):
        return path
    installed = list(_INSTALLED.finditer(path))
    if installed:
        return path[installed[-1].end() :]
    library = max((folder for folder in standard_library() if path.startswith(folder)), key=len, default="")
    if library:
        return path[len(library) :]
    folders = (folder for folder in (working_folder(), *roots) if folder)
    inside = [path[len(_folder(folder)) :] for folder in folders if path.startswith(_folder(folder))]
    return inside[0] if inside else path


def package_of(shown: str) -> str:
    """The name by which people know the library that a displayed path belongs to: `django`, `asyncio`, `json`."""
    head = shown.rpartition("/")[2] if shown.startswith("/") else shown.partition("/")[0]
    return head.removesuffix(".py")


def packages_of(shown: Iterable[str]) -> str:
    """The libraries that displayed paths belong to: `django, asgiref, …`."""
    packages = list(dict.fromkeys(map(package_of, shown)))
    return ", ".join([*packages[:MAX_PACKAGES], *(["…"] if len(packages) > MAX_PACKAGES else [])])


def read_lines(path: str, module_globals: Mapping[str, object] | None = None) -> list[str]:
    """The lines of a source as they are now, without line ends; of a module without a file, through its loader."""
    if path == "<string>":  # whatever was compiled; from 3.13 on linecache has the text of `python -c` under this name
        return []
    try:
        linecache.checkcache(path)
        lines = linecache.getlines(path, None if module_globals is None else dict(module_globals))
    except Exception:  # a loader of the user's may raise anything, and a NUL in a name is a ValueError
        lines = []
    if lines:
        return [line.rstrip("\r\n") for line in lines]
    try:  # not decodable as declared: just the file whose error is to be shown
        file = Path(path)
        return file.read_bytes().decode(errors="replace").splitlines() if file.is_file() else []
    except (OSError, ValueError):
        return []


def excerpt(lines: Sequence[str], line: int, end_line: int | None = None) -> tuple[SourceLine, ...]:
    """The lines around `line` (1-based), to the end of a statement of several lines; none if there is no such line.

    Blank lines at its edges are left out.
    """
    if not 1 <= line <= len(lines):
        return ()
    end = min(max(line, end_line or line), line + CONTEXT_LINES)
    first, last = max(1, line - CONTEXT_LINES), min(end + CONTEXT_LINES, len(lines))
    while first < line and not lines[first - 1].strip():
        first += 1
    while last > end and not lines[last - 1].strip():
        last -= 1
    return tuple(
        SourceLine(number, text if len(text) <= MAX_LINE else text[: MAX_LINE - 1] + "…")
        for number, text in enumerate(lines[first - 1 : last], first)
    )


def frames_of(calls: Iterable[tuple[str, int, str]], user_roots: Sequence[str]) -> tuple[Frame, ...]:
    """Frames of calls (path, line, function) of which no more is known, in their order, without ours and importlib's."""
    user_code = UserCode(user_roots)
    all_calls = [call for call in calls if not call[0].startswith("<frozen importlib")]
    shown = [call for call in all_calls if not is_ours(call[0])] or all_calls
    return tuple(frame_at(path, function, read_lines(path), line, user_code) for path, line, function in shown)


def frame_at(
    path: str,
    function: str,
    lines: Sequence[str],
    line: int,
    user_code: UserCode,
    *,
    end_line: int | None = None,
    column: int | None = None,
    end_column: int | None = None,
) -> Frame:
    """The frame of a place in the file `path`, whose text is `lines`."""
    source = excerpt(lines, line, end_line)
    return Frame(
        path=path,
        display_path=display_path(path, user_code.roots),
        function=function,
        line=line,
        end_line=end_line,
        column=column,
        end_column=end_column,
        is_user=path in user_code,
        source=source,
        within=open_quotes(lines, source[0].number) if source else "",
    )


def open_quotes(lines: Sequence[str], line: int) -> str:
    """The triple quotes of the string in whose middle `line` (1-based) begins; empty when it begins outside of any."""
    start = sum(map(len, lines[: line - 1])) + line - 1
    spans = _triple_quoted("\n".join(lines))
    at = bisect.bisect_left(spans, (start, 0, "")) - 1
    return spans[at][2] if at >= 0 and spans[at][1] > start else ""


@lru_cache(maxsize=4)
def _triple_quoted(text: str) -> tuple[tuple[int, int, str], ...]:
    """Start, end and quotes of each string in triple quotes. Cached: the frames of an error are often of one file."""
    return tuple((token.start(), token.end(), token[1]) for token in _QUOTES_AND_COMMENTS.finditer(text) if token[1])


def character_column(text: str, offset: int | None) -> int | None:
    """The index in `text` of the UTF-8 byte `offset` that CPython counts columns by; None beyond the end."""
    if offset is None or offset < 0:
        return None
    data = text.encode("utf-8", "surrogatepass")
    if offset > len(data):
        return None
    return len(data[:offset].decode("utf-8", "replace"))


def _folder(path: str) -> str:
    return os.path.join(os.path.abspath(path), "")
