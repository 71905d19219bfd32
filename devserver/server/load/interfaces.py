"""Tells WSGI from ASGI by looking at how an object can be called, never by calling it.

Runs in the server process. Rules that hold: names of parameters speak first (`environ`, `start_response`; `scope`, `receive`,
`send`), then their number and whether the call gives a coroutine; an object that takes anything is judged by what it
wraps; what stays unclear is said, with the flag that decides. An explicit choice is obeyed, whatever it looks like.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from typing import Any, cast

from devserver.errors import TargetError
from devserver.messages import Interface
from devserver.options import InterfaceChoice
from devserver.record import Record
from devserver.server.asgi import Receive, Scope, Send
from devserver.server.wrapping import levels

_ASGI2App = Callable[[Scope], Callable[[Receive, Send], Awaitable[None]]]


class Shape(Enum):
    """How an object wants to be called."""

    WSGI = "wsgi"  # PEP 3333
    ASGI3 = "asgi3"  # ASGI 3.0: one call with scope, receive, send
    ASGI2 = "asgi2"  # ASGI 2.0: a call with scope gives what is called with receive, send
    FACTORY = "factory"  # without arguments
    OPAQUE = "opaque"  # with anything, as far as one can see
    OTHER = "other"  # in a way that is none of these
    NOT_CALLABLE = "not callable"


class Evidence(Record):
    shape: Shape
    strong: bool  # names or a framework say so, not just the number of parameters
    detail: str = ""  # for OTHER: what it is instead, as a clause


_ENVIRON = frozenset({"environ", "env", "environment", "wsgi_environ"})
_START_RESPONSE = frozenset({"start_response", "start_resp", "startresponse", "start"})
_INTERFACES = {Shape.WSGI: Interface.WSGI, Shape.ASGI3: Interface.ASGI, Shape.ASGI2: Interface.ASGI}

# What people hand to a server and speaks neither interface: the class that says so, and what to do.
_STRANGERS = {
    "aiohttp.web_app.Application": (
        "an aiohttp application, which brings its own server",
        "run it by aiohttp.web.run_app",
    ),
    "tornado.web.Application": ("a Tornado application, which brings its own server", "run it by its listen() method"),
}

# Where objects that are no app themselves keep one (Dash: `server`).
_KEPT_AT = ("server", "wsgi_app", "asgi_app", "app", "application", "wsgi", "asgi")


def detect_interface(app: object, choice: InterfaceChoice, *, label: str = "the target") -> Interface:
    """How to call `app`. `label` is how messages name it.

    Raises TargetError if it can't be called at all, or if nobody can tell and `choice` is AUTO.
    """
    evidence = examine(app)
    if evidence.shape is Shape.NOT_CALLABLE:
        raise _not_callable(app, label)
    if choice is not InterfaceChoice.AUTO:
        return Interface(choice.value)
    if evidence.shape in _INTERFACES:
        return _INTERFACES[evidence.shape]
    if stranger := _stranger(app):
        what, way_out = stranger
        raise TargetError(f"{label} is {what}: it speaks neither WSGI nor ASGI", hint=way_out)
    if evidence.shape is Shape.OPAQUE:
        raise TargetError(
            f"can't tell whether {label} is a WSGI or an ASGI app: it takes any arguments",
            hint="say which:  --interface wsgi  or  --interface asgi",
        )
    raise TargetError(
        f"{label} is neither a WSGI nor an ASGI app: it {evidence.detail or 'takes no arguments'}",
        hint="a WSGI app takes (environ, start_response), an ASGI app (scope, receive, send); "
        "if it is one all the same, say which:  --interface wsgi  or  --interface asgi",
    )


def as_asgi3(app: object) -> object:
    """`app`, made callable as ASGI 3.0 if it is of the two-step kind (ASGI 2.0, "Legacy applications")."""
    evidence = examine(app)
    if evidence.shape is not Shape.ASGI2 and not (evidence.shape is Shape.OTHER and _takes_one_argument(app)):
        return app
    first_step = cast("_ASGI2App", app)

    async def asgi3(scope: Scope, receive: Receive, send: Send) -> None:
        about = dict(cast("Mapping[str, Any]", scope.get("asgi", {}))) | {"version": "2.0"}
        await first_step({**scope, "asgi": about})(receive, send)

    return asgi3


def is_app(value: object) -> bool:
    """Is `value` beyond doubt an app that can be served as it is?"""
    evidence = examine(value)
    return evidence.strong and evidence.shape in _INTERFACES


def examine(app: object) -> Evidence:
    """What can be said about how `app` wants to be called."""
    own = _examine_alone(app)
    return _examine_wrapped(app) if own.shape is Shape.OPAQUE else own


def _examine_wrapped(app: object) -> Evidence:
    """An object that takes anything is what it wraps; the nearest level on which something is clear decides."""
    below = levels(app)
    next(below)
    for level in below:
        shapes = {found.shape for found in map(_examine_alone, filter(callable, level)) if found.strong}
        interfaces = {_INTERFACES[shape] for shape in shapes if shape in _INTERFACES}
        if len(interfaces) == 1:
            (interface,) = interfaces
            if interface is Interface.WSGI:
                return Evidence(Shape.WSGI, strong=True)
            return Evidence(Shape.ASGI3 if Shape.ASGI3 in shapes else Shape.ASGI2, strong=True)
        if interfaces:
            break
    return Evidence(Shape.OPAQUE, strong=False)


def _examine_alone(app: object) -> Evidence:
    if not callable(app):
        return Evidence(Shape.NOT_CALLABLE, strong=True)
    if issubclass(type(app), type):
        return _examine_class(cast("type", app))
    call = _bound_call(app)
    is_async = inspect.iscoroutinefunction(call)
    evidence = _examine_parameters(_parameters(call, follow_wrapped=False), is_async=is_async)
    if evidence.shape is not Shape.OPAQUE:
        return evidence
    if is_async:
        return Evidence(Shape.ASGI3, strong=True)  # calling a WSGI app gives an iterable, not a coroutine
    return _examine_parameters(_parameters(call, follow_wrapped=True), is_async=False)


def _examine_class(cls: type) -> Evidence:
    """A class is an app if making an instance is the call (PEP 3333's AppClass, ASGI 2.0's consumers)."""
    evidence = _examine_parameters(_parameters(cls, follow_wrapped=True), is_async=False)
    match evidence.shape:
        case Shape.WSGI if evidence.strong or hasattr(cls, "__iter__"):
            return Evidence(Shape.WSGI, strong=True)
        case Shape.ASGI3 if hasattr(cls, "__await__"):
            return Evidence(Shape.ASGI3, strong=True)
        case Shape.ASGI2 if callable(getattr(cls, "__call__", None)):  # noqa: B004 (the instances')
            return evidence
        case Shape.FACTORY:
            return evidence
    return Evidence(Shape.OTHER, strong=True, detail="is a class, and the app would be an instance of it")


def _examine_parameters(parameters: list[inspect.Parameter] | None, *, is_async: bool) -> Evidence:
    if parameters is None:
        return Evidence(Shape.OPAQUE, strong=False)
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = sum(p.default is p.empty for p in positional)
    takes_more = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    most = len(positional) + (3 if takes_more else 0)
    names = [p.name.strip("_").lower() for p in positional] + [""] * 3
    if any(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters):
        return Evidence(Shape.OTHER, strong=True, detail="needs arguments by keyword")

    is_asgi_named = names[0] == "scope" or names[1:3] == ["receive", "send"]
    if is_asgi_named and required <= 3 <= most:
        return Evidence(Shape.ASGI3, strong=True)
    if is_asgi_named and required == most == 1 and not is_async:
        return Evidence(Shape.ASGI2, strong=True)
    if not is_async and required <= 2 <= most and (names[0] in _ENVIRON or names[1] in _START_RESPONSE):
        return Evidence(Shape.WSGI, strong=True)

    if takes_more and required < 2:
        return Evidence(Shape.OPAQUE, strong=False)
    if required == 0:
        return Evidence(Shape.FACTORY, strong=False)
    if required == 3:
        return Evidence(Shape.ASGI3, strong=is_async)
    if required == 2 and not is_async:
        return Evidence(Shape.WSGI, strong=False)
    if required == 1 and names[0] in ("request", "req"):
        return Evidence(Shape.OTHER, strong=True, detail="takes a request, as a view does")
    kind = "is async and takes" if is_async else "takes"
    return Evidence(Shape.OTHER, strong=True, detail=f"{kind} {required} argument{'s' * (required != 1)}")


def _parameters(call: Callable[..., object], *, follow_wrapped: bool) -> list[inspect.Parameter] | None:
    """None if nothing is known of them."""
    try:
        return list(inspect.signature(call, follow_wrapped=follow_wrapped).parameters.values())
    except Exception:  # a builtin has none (ValueError); __signature__ and metaclasses are anybody's code
        return None


def _bound_call(app: Callable[..., object]) -> Callable[..., object]:
    """What runs when `app` is called: itself, or its class's `__call__` bound to it.

    Python looks `__call__` up on the type. It may be a slot that holds a function (sentry-sdk), which `inspect` does not see.
    """
    call = inspect.getattr_static(type(app), "__call__")
    if isinstance(call, types.WrapperDescriptorType):  # functions, methods, partials, proxies written in C
        return app
    bind = getattr(type(call), "__get__", None)
    bound = bind(call, app, type(app)) if bind is not None else call
    return cast("Callable[..., object]", bound)


def _takes_one_argument(app: object) -> bool:
    parameters = _parameters(cast("Callable[..., object]", app), follow_wrapped=True) or []
    return sum(p.default is p.empty and p.kind is not p.VAR_KEYWORD for p in parameters) == 1


def _stranger(app: object) -> tuple[str, str] | None:
    for cls in type(app).__mro__:
        if known := _STRANGERS.get(f"{cls.__module__}.{cls.__qualname__}"):
            return known
    return None


def _not_callable(app: object, label: str) -> TargetError:
    if stranger := _stranger(app):
        return TargetError(f"{label} is {stranger[0]}: it speaks neither WSGI nor ASGI", hint=stranger[1])
    message = f"{label} is {describe(app)}, not an app: it can't be called"
    for name in _KEPT_AT:
        try:
            kept = getattr(app, name, None)
        except Exception:
            continue
        if is_app(kept):
            return TargetError(message, hint=f"its attribute `{name}` is an app; add  .{name}  to the target")
    return TargetError(message)


def describe(value: object) -> str:
    """`value` as a noun with its article, for messages."""
    match value:
        case None:
            return "None"
        case type():
            return f"the class {value.__qualname__}"
        case _ if inspect.ismodule(value):
            return f"the module {value.__name__}"
        case _ if inspect.isfunction(value):
            return f"the function {value.__qualname__}"
    name = type(value).__qualname__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
