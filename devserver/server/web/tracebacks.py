"""A live exception → Report, and the frames that belong to it.

Runs in the server process. Rules that hold: the Report holds no live object; its size is bounded whatever the exception is (frames,
chain, variables, lines), and so is the time for the reprs; nothing that the exception carries can make this raise; columns are
characters, not CPython's bytes; our own frames and importlib's are left out, so the user's come first.
"""

from __future__ import annotations

import difflib
import itertools
import platform
import secrets
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import FrameType, TracebackType

from devserver import hints
from devserver.errors import DevServerError
from devserver.record import replace
from devserver.report import Advice, ErrorInfo, Frame, Occasion, Report, RequestFacts, SourceLine, type_name
from devserver.server.web.kept import KeptError, Place
from devserver.server.web.reprs import named_repr, safe_repr, shortened
from devserver.server.web.surroundings import survey
from devserver.server.web.syntax import SyntaxPlace, syntax_place
from devserver.server.web.templates import template_place
from devserver.server.web.variables import MAX_LOCALS, patiently, texts, variables
from devserver.source import UserCode, character_column, frame_at, is_ours, read_lines

MAX_FIRST_FRAMES = 20
MAX_LAST_FRAMES = 40
MAX_ERRORS = 20
MAX_MESSAGE = 4_000
MAX_FACT = 400

MAX_NAMES = 200

_FACTS = ("name", "path", "errno", "filename", "code", "doc")
_NAMES = {"django.urls.exceptions.NoReverseMatch", "starlette.routing.NoMatchFound"}


def report_from_exception(
    exc: BaseException,
    occasion: Occasion,
    *,
    request: RequestFacts | None = None,
    user_roots: Sequence[str],
    versions: Sequence[tuple[str, str]] = (),
    target: str = "",
) -> Report:
    """The report of `examine`."""
    return examine(exc, occasion, request=request, user_roots=user_roots, versions=versions, target=target).report


def examine(
    exc: BaseException,
    occasion: Occasion,
    *,
    request: RequestFacts | None = None,
    user_roots: Sequence[str],
    versions: Sequence[tuple[str, str]] = (),
    target: str = "",
    with_variables: bool = True,
) -> KeptError:
    """All that there is to say about `exc`, its chain and its groups, with advice; and its frames, alive.

    `user_roots` are the folders of the user's code. Reads the sources concerned. Never raises for what `exc` holds, and waits
    for no code of the user's longer than `variables.py` says; `with_variables` runs the most of it.
    """
    builder = _Builder(user_roots)
    errors = builder.errors(exc)
    first = errors[0]
    report = Report(
        occasion=occasion,
        title=_one_line(": ".join(part for part in (first.type_name, first.message) if part)),
        errors=_with_variables(errors, builder.live) if with_variables else errors,
        request=request,
        versions=(("Python", platform.python_version()), *versions),
        detail=_detail(occasion, target, request),
        id=secrets.token_urlsafe(9),
    )
    report = replace(report, advice=_own_advice(exc) + hints.advise(report, survey(report, user_roots)))
    return KeptError(report, builder.live)


def _with_variables(errors: tuple[ErrorInfo, ...], live: Mapping[Place, FrameType]) -> tuple[ErrorInfo, ...]:
    """The frames with what is in their variables, as far as time and room go: the user's innermost frames come first."""
    order = sorted(live, key=lambda place: (not errors[place[0]].frames[place[1]].is_user, place[0], -place[1]))
    found = {place: variables(live[place].f_locals, live[place].f_code) for place in order}
    made = texts([variable for place in order for variable in found[place][:MAX_LOCALS]])
    filled = [list(error.frames) for error in errors]
    for place in order:
        those = [text for _ in found[place][:MAX_LOCALS] if (text := next(made)) is not None]
        frame = filled[place[0]][place[1]]
        filled[place[0]][place[1]] = replace(frame, locals=tuple(those), unmade=len(found[place]) - len(those))
    return tuple(replace(error, frames=tuple(frames)) for error, frames in zip(errors, filled, strict=True))


class _Builder:
    def __init__(self, user_roots: Sequence[str]) -> None:
        self._user_code = UserCode(user_roots)
        self._sources: dict[str, list[str]] = {}
        self.live: dict[Place, FrameType] = {}

    def errors(self, exc: BaseException) -> tuple[ErrorInfo, ...]:
        """`exc`, then, depth first, what led to it and what its group holds. Each exception once, also in a circle."""
        infos: list[ErrorInfo] = []
        seen: set[int] = set()
        waiting: list[tuple[BaseException, str, int | None]] = [(exc, "", None)]
        while waiting:
            error, link, parent = waiting.pop()
            if id(error) in seen:
                continue
            if len(infos) == MAX_ERRORS:
                infos[-1] = replace(infos[-1], notes=(*infos[-1].notes, "… (further exceptions are not shown)"))
                break
            seen.add(id(error))
            index = len(infos)
            infos.append(replace(self._error(error, index), link=link, parent=parent))
            following: list[tuple[BaseException, str, int | None]] = []
            if isinstance(error, BaseExceptionGroup):
                following += [(member, "group", index) for member in error.exceptions]
            if error.__cause__ is not None:
                following.append((error.__cause__, "cause", index))
            elif error.__context__ is not None and not error.__suppress_context__:
                following.append((error.__context__, "context", index))
            waiting += reversed(following)
        return tuple(infos)

    def _error(self, exc: BaseException, index: int) -> ErrorInfo:
        name = type_name(type(exc))
        entries, skipped = _shown(exc.__traceback__)
        frames = tuple(self._frame(entry) for entry in entries)
        if skipped:
            frames = (
                *frames[:MAX_FIRST_FRAMES],
                replace(frames[MAX_FIRST_FRAMES], skipped=skipped),
                *frames[MAX_FIRST_FRAMES + 1 :],
            )
        if isinstance(exc, DevServerError) and not any(frame.is_user for frame in frames):
            # What we say about a target or its surroundings: where in our code we say it helps nobody.
            name, frames, entries = "", (), []
        elif type(exc).__module__.startswith("devserver.") and not isinstance(exc, DevServerError):
            name = ""  # an inner name of ours; the message says it all
        self.live |= {(index, at): entry.tb_frame for at, entry in enumerate(entries)}
        if place := syntax_place(exc) if isinstance(exc, SyntaxError) else template_place(exc):
            frames = (*frames, self._frame_at(place))
        return ErrorInfo(
            type_name=name,
            message=shortened(_message(exc), MAX_MESSAGE),
            frames=frames,
            notes=tuple(_notes(exc)),
            bases=tuple(type_name(cls) for cls in type(exc).__mro__ if cls is not object),
            facts=tuple(_facts(exc)),
        )

    def _frame(self, entry: TracebackType) -> Frame:
        frame, code = entry.tb_frame, entry.tb_frame.f_code
        positions = next(itertools.islice(code.co_positions(), max(entry.tb_lasti, 0) // 2, None), (None,) * 4)
        line = positions[0] or entry.tb_lineno or 0
        lines = self._sources.get(code.co_filename)
        if lines is None:
            lines = self._sources[code.co_filename] = read_lines(code.co_filename, frame.f_globals)
        end_line = positions[1] if positions[1] and line <= positions[1] <= len(lines) else None
        return frame_at(
            code.co_filename,
            code.co_qualname,
            lines,
            line,
            self._user_code,
            end_line=end_line,
            column=_column_in(lines, line, positions[2]),
            end_column=_column_in(lines, end_line or line, positions[3]),
        )

    def _frame_at(self, place: SyntaxPlace) -> Frame:
        """A frame of a place that the traceback does not have: code that could not be compiled never ran, nor does a template."""
        frame = frame_at(
            place.path,
            "",
            place.lines,
            place.line,
            self._user_code,
            end_line=place.end_line,
            column=place.column,
            end_column=place.end_column,
        )
        # without a file only the line itself is known
        return frame if any(place.lines[: place.line - 1]) else replace(frame, source=_from_line(frame))


def _from_line(frame: Frame) -> tuple[SourceLine, ...]:
    return tuple(line for line in frame.source if line.number >= frame.line)


def _shown(tb: TracebackType | None) -> tuple[list[TracebackType], int]:
    """The calls that are shown, and how many are left out behind the first MAX_FIRST_FRAMES of them."""
    calls = list(_walk(tb))
    shown = [entry for entry in calls if not _is_machinery(entry.tb_frame.f_code.co_filename)] or calls
    skipped = len(shown) - MAX_FIRST_FRAMES - MAX_LAST_FRAMES
    if skipped <= 0:
        return shown, 0
    return [*shown[:MAX_FIRST_FRAMES], *shown[-MAX_LAST_FRAMES:]], skipped


def _walk(tb: TracebackType | None) -> Iterator[TracebackType]:
    while tb is not None:
        yield tb
        tb = tb.tb_next


def _is_machinery(path: str) -> bool:
    return path.startswith("<frozen importlib") or is_ours(path)


def _column_in(lines: Sequence[str], line: int, offset: int | None) -> int | None:
    return character_column(lines[line - 1], offset) if 1 <= line <= len(lines) else None


def _message(exc: BaseException) -> str:
    """`str(exc)`, with what the interpreter adds to it (`Did you mean …?`)."""
    if isinstance(exc, SyntaxError):
        return str(exc.msg)
    if isinstance(exc, SystemExit):
        return f"sys.exit({'' if exc.code is None else safe_repr(exc.code)}) was called"
    if type(exc).__str__ is BaseException.__str__ and all(type(argument) in (str, int) for argument in exc.args):
        return _text(exc)  # runs none of the user's code
    return patiently(lambda: _text(exc), "‹its str() takes too long›")


def _text(exc: BaseException) -> str:
    try:
        text = str(exc)
    except Exception as error:
        return f"<its str() raised {type(error).__name__}>"
    if isinstance(exc, NameError | AttributeError | ImportError):
        try:
            return text + _suggestion(exc, text)
        except Exception:  # names for it come from the user's __dir__
            return text
    return text


def _suggestion(exc: NameError | AttributeError | ImportError, text: str) -> str:
    """What the interpreter adds to the message; CPython 3.11 does so only when it prints, so the like is made here."""
    if sys.version_info >= (3, 12):
        shown = next(traceback.TracebackException.from_exception(exc, limit=0).format_exception_only()).rstrip("\n")
        _, separator, suggestion = shown.rpartition(text)
        return suggestion if separator and text else ""
    entries = list(_walk(exc.__traceback__))
    candidates: Iterable[str]
    if isinstance(exc, NameError) and entries:
        frame = entries[-1].tb_frame
        candidates = {*frame.f_locals, *frame.f_globals, *frame.f_builtins}
    elif isinstance(exc, AttributeError):
        candidates = dir(exc.obj)
    else:
        return ""
    names = [name for name in candidates if name != exc.name]
    close = difflib.get_close_matches(exc.name or "", sorted(names)[:2_000], n=1, cutoff=0.7)
    return f". Did you mean: {close[0]!r}?" if close else ""


def _own_advice(exc: BaseException) -> tuple[Advice, ...]:
    """An error of ours brings its own instructions; some have them as a note already."""
    return (Advice(exc.hint),) if isinstance(exc, DevServerError) and exc.hint and not any(_notes(exc)) else ()


def _notes(exc: BaseException) -> Iterator[str]:
    notes = getattr(exc, "__notes__", ())
    if isinstance(notes, list | tuple):
        for note in notes[:10]:
            yield shortened(note if isinstance(note, str) else named_repr("", note), MAX_MESSAGE)


def _facts(exc: BaseException) -> Iterator[tuple[str, str]]:
    """What the exception carries beside its message, as far as hints ask for it."""
    for key in _FACTS:
        value = _attribute(exc, key)
        if value is not None and isinstance(value, str | int):
            yield key, shortened(str(value), MAX_FACT)
    obj = _attribute(exc, "obj")  # of an AttributeError: the thing that lacks the attribute
    if isinstance(obj, type(sys)):
        yield "module", obj.__name__
        if isinstance(path := getattr(obj, "__file__", None), str):
            yield "path", path
    tried = _attribute(exc, "tried")  # of Django's TemplateDoesNotExist: (origin, reason) pairs
    if isinstance(tried, list):
        for pair in tried[:20]:
            if isinstance(pair, tuple) and pair:
                yield "tried", shortened(str(_attribute(pair[0], "name") or ""), MAX_FACT)
    arguments = _attribute(exc, "args")
    if isinstance(exc, KeyError) and isinstance(arguments, tuple) and arguments and isinstance(arguments[0], str):
        yield "key", shortened(str(arguments[0]), MAX_FACT)  # werkzeug leaves it out of the message
    if _NAMES.intersection(type_name(cls) for cls in type(exc).__mro__):
        for name in itertools.islice(_route_names(exc.__traceback__), MAX_NAMES):
            yield "known", shortened(name, MAX_FACT)


def _route_names(tb: TracebackType | None) -> Iterator[str]:
    """The names of URLs that a router knew when it did not find one: it is the last frame's, and keeps them."""
    last = next(reversed(list(_walk(tb))), None)
    values = last.tb_frame.f_locals if last else {}
    for router, keeper in (("self", "reverse_dict"), ("resolver", "namespace_dict")):  # Django's
        names = _attribute(values.get(router), keeper)
        yield from (name for name in names if isinstance(name, str)) if isinstance(names, dict) else ()
    routes = _attribute(values.get("self"), "routes")  # Starlette's
    for route in routes if isinstance(routes, list) else ():
        if isinstance(name := _attribute(route, "name"), str):
            yield name


def _attribute(thing: object, name: str) -> object:
    try:
        return getattr(thing, name, None)
    except Exception:
        return None


def _detail(occasion: Occasion, target: str, request: RequestFacts | None) -> str:
    match occasion:
        case Occasion.LOAD:
            return f"while loading {target or 'the app'}"
        case Occasion.REQUEST | Occasion.WEBSOCKET if request:
            return f"while answering {request.method} {request.url}"
        case Occasion.LIFESPAN:
            return "in the app's lifespan"
        case Occasion.BACKGROUND:
            return "outside of a request"
    return ""


def _one_line(text: str) -> str:
    return shortened(" ".join(text.split()), 200)
