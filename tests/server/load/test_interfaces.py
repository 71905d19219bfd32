"""Which interface an object speaks: tables over ways of writing an app, and over real frameworks."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from types import ModuleType
from typing import Any

import pytest

from devserver.errors import TargetError
from devserver.messages import Interface
from devserver.options import InterfaceChoice
from devserver.server.load.interfaces import Shape, as_asgi3, detect_interface, examine, is_app

WSGI, ASGI = Interface.WSGI, Interface.ASGI
AUTO = InterfaceChoice.AUTO
Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


# --- apps by hand ---


def wsgi(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [])
    return [b"wsgi"]


def wsgi_renamed(e: Environ, sr: StartResponse) -> Iterable[bytes]:
    return wsgi(e, sr)


def wsgi_with_extra(environ: Environ, start_response: StartResponse, exc_info: object = None) -> Iterable[bytes]:
    return wsgi(environ, start_response)


async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200})


async def asgi_renamed(s: Scope, r: Receive, w: Send) -> None:
    await asgi(s, r, w)


async def asgi_anything(*args: Any) -> None:
    await asgi(*args)


def asgi_not_async(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
    return asgi(scope, receive, send)


def asgi2(scope: Scope) -> Callable[[Receive, Send], Awaitable[None]]:
    async def instance(receive: Receive, send: Send) -> None:
        await asgi(scope, receive, send)

    return instance


class WSGIClass:  # PEP 3333, "The Application/Framework Side"
    def __init__(self, environ: Environ, start_response: StartResponse) -> None:
        self.start = start_response

    def __iter__(self) -> Iterable[bytes]:
        yield b""


class WSGIClassRenamed:
    def __init__(self, e: Environ, sr: StartResponse) -> None:
        self.start = sr

    def __iter__(self) -> Iterable[bytes]:
        yield b""


class ASGI2Class:
    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, receive: Receive, send: Send) -> None:
        await send({"type": "done", "version": self.scope["asgi"]["version"]})


class ASGI3Class:  # as Starlette's HTTPEndpoint
    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.send = send

    def __await__(self) -> Any:
        return self.send({}).__await__()


class WSGIObject:
    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        return wsgi(environ, start_response)

    def method(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        return wsgi(environ, start_response)

    @staticmethod
    def static(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        return wsgi(environ, start_response)


class ASGIObject:
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await asgi(scope, receive, send)


class StaticCall:
    @staticmethod
    async def __call__(scope: Scope, receive: Receive, send: Send) -> None:
        await asgi(scope, receive, send)


class SlotCall:
    """As sentry-sdk's SentryAsgiMiddleware: the class chooses at run time what its instances do."""

    __slots__ = ("__call__", "app")
    __call__: Callable[..., Any]

    def __init__(self, app: Any) -> None:
        self.app = app
        self.__call__ = self._run

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


class Opaque:
    """A middleware that passes everything on."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.app(*args, **kwargs)


class OpaqueSlots:
    __slots__ = ("wrapped",)

    def __init__(self, app: Any) -> None:
        self.wrapped = app

    def __call__(self, *args: Any) -> Any:
        return self.wrapped(*args)


class OpaqueRouter(Opaque):
    """Knows its apps by name, as a mapping in a list."""

    def __init__(self, **apps: Any) -> None:
        self.mounts = [apps]


class Lazy:
    """As Django's lazy objects: whoever asks for more than its type makes it run."""

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        raise AssertionError("a stranger was made to run")

    def __getattr__(self, name: str) -> object:
        raise AssertionError("a stranger was made to run")


def wrapped(app: Any) -> Callable[..., Any]:
    @functools.wraps(app)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return app(*args, **kwargs)

    return wrapper


def closed_over(app: Any) -> Callable[..., Any]:
    def wrapper(*args: Any) -> Any:
        return app(*args)

    return wrapper


def adapted(app: Any) -> Callable[..., Any]:
    """Gives an ASGI app the looks of a WSGI app: what it is counts, not what it wraps."""

    @functools.wraps(app)
    def adapter(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        return wsgi(environ, start_response)

    return adapter


def opaque_with_lazy(app: Any) -> Opaque:
    middleware = Opaque(app)
    middleware.lazy = Lazy()  # type: ignore[attr-defined]
    return middleware


def cyclic(app: Any) -> Opaque:
    middleware = Opaque(None)
    middleware.app = [middleware, Opaque(middleware), app]
    return middleware


BY_HAND = [
    (wsgi, WSGI),
    (wsgi_renamed, WSGI),
    (wsgi_with_extra, WSGI),
    (lambda environ, start_response: [], WSGI),
    (WSGIClass, WSGI),
    (WSGIClassRenamed, WSGI),
    (WSGIObject(), WSGI),
    (WSGIObject().method, WSGI),
    (WSGIObject.static, WSGI),
    (functools.partial(wsgi), WSGI),
    (functools.partial(lambda config, environ, start_response: [], {}), WSGI),
    (wrapped(wsgi), WSGI),
    (wrapped(WSGIObject()), WSGI),
    (closed_over(wsgi), WSGI),
    (Opaque(wsgi), WSGI),
    (OpaqueSlots(Opaque(closed_over(wsgi))), WSGI),
    (OpaqueRouter(site=wsgi, shop=WSGIObject()), WSGI),
    (functools.partial(Opaque(wsgi)), WSGI),
    (adapted(asgi), WSGI),
    (Opaque(adapted(asgi)), WSGI),
    (opaque_with_lazy(wsgi), WSGI),
    (cyclic(wsgi), WSGI),
    (asgi, ASGI),
    (asgi_renamed, ASGI),
    (asgi_anything, ASGI),
    (asgi_not_async, ASGI),
    (asgi2, ASGI),
    (ASGI2Class, ASGI),
    (ASGI3Class, ASGI),
    (ASGIObject(), ASGI),
    (StaticCall(), ASGI),
    (SlotCall(asgi), ASGI),
    (functools.partial(asgi), ASGI),
    (functools.partial(functools.partial(asgi)), ASGI),
    (wrapped(asgi), ASGI),
    (closed_over(ASGIObject()), ASGI),
    (Opaque(SlotCall(asgi)), ASGI),
    (Opaque(asgi2), ASGI),
    (OpaqueRouter(site=Opaque(asgi)), ASGI),
]


@pytest.mark.parametrize(("app", "interface"), BY_HAND)
def test_an_app_written_by_hand(app: object, interface: Interface) -> None:
    assert detect_interface(app, AUTO) is interface


@pytest.mark.parametrize(("app", "interface"), BY_HAND)
@pytest.mark.parametrize("choice", [InterfaceChoice.WSGI, InterfaceChoice.ASGI])
def test_an_explicit_choice_is_obeyed(app: object, interface: Interface, choice: InterfaceChoice) -> None:
    assert detect_interface(app, choice) == Interface(choice.value)


# --- real frameworks ---


def _flask() -> object:
    from flask import Flask

    return Flask("shop")


def _flask_behind_proxy_fix() -> object:
    from flask import Flask
    from werkzeug.middleware.proxy_fix import ProxyFix

    app = Flask("shop")
    app.wsgi_app = ProxyFix(app.wsgi_app)
    return app


def _dispatcher() -> object:
    from flask import Flask
    from werkzeug.middleware.dispatcher import DispatcherMiddleware

    return DispatcherMiddleware(Flask("shop"), {"/blog": Flask("blog")})


def _starlette() -> object:
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.gzip import GZipMiddleware

    return Starlette(middleware=[Middleware(GZipMiddleware)])


def _cors_around_starlette() -> object:
    from starlette.applications import Starlette
    from starlette.middleware.cors import CORSMiddleware

    return CORSMiddleware(Starlette())


def _fastapi() -> object:
    from fastapi import FastAPI

    return FastAPI()


def _falcon() -> object:
    import falcon

    return falcon.App()


def _falcon_asgi() -> object:
    import falcon.asgi

    return falcon.asgi.App()


def _pyramid() -> object:
    from pyramid.config import Configurator

    return Configurator().make_wsgi_app()


def _quart() -> object:
    from quart import Quart

    return Quart("shop")


def _litestar() -> object:
    from litestar import Litestar

    return Litestar([])


def _django_wsgi() -> object:
    from django.core.handlers.wsgi import WSGIHandler

    return WSGIHandler.__new__(WSGIHandler)  # its middlewares need settings, its interface does not


def _django_asgi() -> object:
    from django.core.handlers.asgi import ASGIHandler

    return ASGIHandler.__new__(ASGIHandler)


def _channels_router() -> object:
    from channels.routing import ProtocolTypeRouter, URLRouter

    return ProtocolTypeRouter({"http": _django_asgi(), "websocket": URLRouter([])})


def _channels_validator() -> object:
    from channels.security.websocket import OriginValidator

    return OriginValidator(_channels_router(), ["*"])


def _wsgi_to_asgi() -> object:
    from asgiref.wsgi import WsgiToAsgi

    return WsgiToAsgi(wsgi)


def _wsgi_middleware() -> object:
    from starlette.middleware.wsgi import WSGIMiddleware

    return WSGIMiddleware(wsgi)


def _webob() -> object:
    from webob import Response  # type: ignore[import-untyped]

    return Response("x")


def _validator() -> object:
    from wsgiref.validate import validator

    return validator(wsgi)


REAL = [
    (_flask, WSGI),
    (_flask_behind_proxy_fix, WSGI),
    (_dispatcher, WSGI),
    (_falcon, WSGI),
    (_pyramid, WSGI),
    (_django_wsgi, WSGI),
    (_webob, WSGI),
    (_validator, WSGI),
    (_starlette, ASGI),
    (_cors_around_starlette, ASGI),
    (_fastapi, ASGI),
    (_falcon_asgi, ASGI),
    (_quart, ASGI),
    (_litestar, ASGI),
    (_django_asgi, ASGI),
    (_channels_router, ASGI),
    (_channels_validator, ASGI),
    (_wsgi_to_asgi, ASGI),
    (_wsgi_middleware, ASGI),
]


@pytest.mark.filterwarnings("ignore")  # what frameworks import is their affair
@pytest.mark.parametrize(("make", "interface"), REAL)
@pytest.mark.parametrize("wrap", [lambda app: app, Opaque, closed_over, wrapped])
def test_a_real_framework(make: Callable[[], object], interface: Interface, wrap: Callable[[Any], object]) -> None:
    app = wrap(make())
    assert detect_interface(app, AUTO) is interface
    assert is_app(app)


# --- what can't be told ---


class Tasks:
    """No app: it can't be called."""


class Dash:
    """Keeps an app, and is none."""

    def __init__(self) -> None:
        self.server = WSGIObject()


def _stranger(module: str, name: str) -> object:
    def call(self: object, request: object = None) -> object:
        return self

    return type(name, (), {"__call__": call, "__module__": module})()


UNCLEAR = [
    (lambda *args: None, "can't tell whether", "--interface wsgi  or  --interface asgi"),
    (Opaque(None), "can't tell whether", "--interface"),
    (OpaqueRouter(old=wsgi, new=asgi), "can't tell whether", "--interface"),
    (lambda request: None, "takes a request, as a view does", "--interface"),
    (lambda a, b, c, d: None, "takes 4 arguments", "--interface"),
    (lambda: None, "takes no arguments", "--interface"),
    (Opaque, "is a class", "--interface"),
    (WSGIObject, "takes no arguments", "--interface"),
    (Tasks(), "is a Tasks, not an app: it can't be called", None),
    (sys, "is the module sys", None),
    (None, "is None", None),
    ("application", "is a str", None),
    (Dash(), "is a Dash, not an app", "add  .server  to the target"),
    (_stranger("aiohttp.web_app", "Application"), "aiohttp application", "run_app"),
    (_stranger("tornado.web", "Application"), "Tornado application", "listen"),
]


@pytest.mark.parametrize(("app", "message", "hint"), UNCLEAR)
def test_what_can_not_be_told_is_said(app: object, message: str, hint: str | None) -> None:
    with pytest.raises(TargetError) as caught:
        detect_interface(app, AUTO, label="shop:app")
    assert caught.value.message.startswith(("shop:app ", "can't tell whether shop:app "))
    assert message in caught.value.message
    if hint is None:
        assert caught.value.hint is None
    else:
        assert hint in (caught.value.hint or "")
    assert not is_app(app)


def test_async_with_two_parameters_is_no_app() -> None:
    async def second_step(receive: Receive, send: Send) -> None: ...

    with pytest.raises(TargetError, match="is async and takes 2 arguments"):
        detect_interface(second_step, AUTO)


@pytest.mark.parametrize("app", [None, "x", Tasks()])
def test_what_can_not_be_called_is_refused_in_spite_of_a_choice(app: object) -> None:
    with pytest.raises(TargetError, match="can't be called"):
        detect_interface(app, InterfaceChoice.WSGI)


def test_a_signature_that_raises_is_unknown() -> None:
    class Rude:
        @property
        def __signature__(self) -> object:
            raise RuntimeError("no")

        def __call__(self, *args: object) -> object: ...

    assert examine(Rude()).shape is Shape.OPAQUE


def test_a_module_of_another_type_is_a_module() -> None:
    class Module(ModuleType):
        pass

    with pytest.raises(TargetError, match="the module shop"):
        detect_interface(Module("shop"), AUTO)


# --- ASGI 2.0 ---


def _sent(app: Any, scope: dict[str, Any]) -> list[Any]:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(event: Any) -> None:
        sent.append(event)

    asyncio.run(app(scope, receive, send))
    return sent


def test_the_two_step_kind_is_made_callable_at_once() -> None:
    scope = {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}}
    assert _sent(as_asgi3(ASGI2Class), scope) == [{"type": "done", "version": "2.0"}]
    assert scope["asgi"] == {"version": "3.0", "spec_version": "2.4"}
    assert _sent(as_asgi3(asgi2), scope) == [{"type": "http.response.start", "status": 200}]


def test_the_two_step_kind_by_choice() -> None:
    """With `--interface asgi` a callable of one argument, whatever its name, can only be of the two-step kind."""

    def app(connection: Scope) -> Callable[[Receive, Send], Awaitable[None]]:
        return asgi2(connection)

    assert _sent(as_asgi3(app), {"type": "http"}) == [{"type": "http.response.start", "status": 200}]


@pytest.mark.parametrize("app", [asgi, asgi_anything, asgi_not_async, ASGI3Class, ASGIObject(), Opaque(asgi)])
def test_the_one_step_kind_stays_itself(app: object) -> None:
    assert as_asgi3(app) is app
