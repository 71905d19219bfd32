"""Python's warnings: which of them are shown, and as what. Runs in the server.

Python hides a DeprecationWarning unless it is about the program itself, the module `__main__`. In a server that is the user's
modules: there they are shown, and those about libraries stay hidden. Whatever `-W`, PYTHONWARNINGS and the code's own filters say
comes first.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterator, Sequence

from devserver.report import ErrorInfo, Occasion, Report, type_name
from devserver.server.deferred import ours_first
from devserver.source import UserCode, frames_of

Call = tuple[str, int, str]  # path, line, function

_OF_MAIN = ("default", None, DeprecationWarning, "__main__", 0)
"""Python's own filter, behind all that were asked for. A debug build, which shows everything, has none."""
_CREATED = re.compile(r"\nCoroutine created at \(most recent call last\)\n")
_CALL = re.compile(r'^  File "(?P<path>.*)", line (?P<line>\d+), in (?P<function>.*)$', re.MULTILINE)


class UsersModules:
    """Stands in a filter where a regular expression would: matches the names of the user's modules.

    A filter may be pickled and sent to a worker process of a library's (scikit-learn does so).
    """

    def __init__(self, roots: Sequence[str]) -> None:
        self._code = UserCode(roots)
        self._known: dict[str, bool] = {}  # a library may warn a thousand times

    def match(self, name: str) -> bool:
        if name not in self._known:
            module = sys.modules.get(name)
            # For what is compiled just now the name is the path of the file without its ending.
            path = f"{name}.py" if module is None else vars(module).get("__file__")
            self._known[name] = path in self._code
        return self._known[name]


def show_deprecations(user_roots: Sequence[str]) -> None:
    """Have DeprecationWarnings about the user's modules shown as if these were `__main__`."""
    filters = warnings.filters
    if isinstance(filters, list) and _OF_MAIN in filters:
        filters.insert(filters.index(_OF_MAIN), ("default", None, DeprecationWarning, UsersModules(user_roots), 0))


def report_from_warning(text: str, category: type[Warning], call: Call, user_roots: Sequence[str]) -> Report:
    """The report of a warning about the place of `call`; of a coroutine, about where it was made."""
    with ours_first():
        from devserver import hints

    message, *made = _CREATED.split(text, maxsplit=1)
    calls = list(_calls(made[0])) if made else []
    error = ErrorInfo(
        type_name=type_name(category),
        message=message,
        frames=frames_of(calls or [call], user_roots),
        bases=tuple(type_name(base) for base in category.__mro__ if base is not object),
    )
    report = Report(
        Occasion.WARNING, f"{error.type_name}: {message}", (error,), detail="it was made here" if calls else ""
    )
    return hints.advised(report)


def _calls(text: str) -> Iterator[Call]:
    for match in _CALL.finditer(text):
        yield match["path"], int(match["line"]), match["function"]
