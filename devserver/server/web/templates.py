"""Where in a template an error came up. Pure but for reading the template; runs in the server.

Jinja2 puts templates into the traceback itself. Django's engine, in debug mode, leaves a note on the exception (`template_debug`),
which Django's own page shows and nothing else.
"""

from __future__ import annotations

from devserver.server.web.syntax import SyntaxPlace
from devserver.source import read_lines


def template_place(exc: BaseException) -> SyntaxPlace | None:
    """The place of the tag in a Django template whose rendering or parsing raised `exc`; None if it was none."""
    try:
        note = vars(exc).get("template_debug")
    except TypeError:  # no instance dictionary
        return None
    if not isinstance(note, dict):
        return None
    path, line, before, during = (note.get(key) for key in ("name", "line", "before", "during"))
    if not (isinstance(path, str) and isinstance(line, int) and isinstance(before, str) and isinstance(during, str)):
        return None
    lines = read_lines(path)
    if not 1 <= line <= len(lines):
        return None
    tag = during.split("\n", 1)[0]
    if not during or not lines[line - 1].startswith(before + tag):  # the file has changed since
        return SyntaxPlace(path, tuple(lines), line, line, None, None)
    return SyntaxPlace(path, tuple(lines), line, line, len(before), len(before + tag))
