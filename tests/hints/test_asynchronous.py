"""Advice on async code: awaits, event loops, interfaces."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

import devserver
from devserver.hints import advise
from devserver.report import Advice, ErrorInfo, Frame, Occasion, Report
from tests.hints.raised import text_on


@pytest.fixture(autouse=True)
def _never_awaited() -> Iterator[None]:
    """The mistakes made here leave coroutines behind."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
        gc.collect()  # and not in the middle of another test


async def user() -> None: ...


async def users() -> AsyncIterator[int]:
    yield 1


@contextlib.asynccontextmanager
async def session() -> AsyncIterator[None]:
    yield


get_user: Any = user
get_users: Any = users
get_session: Any = session


def within(fails: Callable[[], Coroutine[Any, Any, object]]) -> Callable[[], object]:
    return lambda: asyncio.run(fails())


@pytest.mark.parametrize(
    "fails",
    [
        lambda: get_user().name,
        lambda: get_user()[0],
        lambda: list(get_user()),
        lambda: len(get_user()),
        lambda: get_user()(),
        lambda: get_user() + 1,
        lambda: "a" + get_user(),
        lambda: 1 in get_user(),
        lambda: json.dumps(get_user()),
    ],
)
def test_forgotten_await(fails: Callable[[], object]) -> None:
    assert "write `await` before the call" in text_on(fails)


def test_never_awaited() -> None:
    def fails() -> None:
        raise RuntimeWarning("coroutine 'Shop.price' was never awaited")

    assert "write `await price(…)`" in text_on(fails)


def test_needless_await() -> None:
    async def fails() -> None:
        await [1]  # type: ignore[misc]

    assert "no coroutine but a list" in text_on(within(fails))


async def _for_without_async() -> None:
    for _ in get_users():
        pass


async def _async_for_over_list() -> None:
    async for _ in [1]:  # type: ignore[attr-defined]
        pass


async def _with_without_async() -> None:
    with get_session():
        pass


async def _async_with_file() -> None:
    async with open(__file__):  # type: ignore[attr-defined]
        pass


@pytest.mark.parametrize(
    ("fails", "part"),
    [
        (_for_without_async, "`async for` in place of `for`"),
        (_async_for_over_list, "`for` in place of `async for`"),
        (_with_without_async, "`async with` in place of `with`"),
        (_async_with_file, "`with` in place of `async with`"),
    ],
)
def test_protocols(fails: Callable[[], Coroutine[Any, Any, object]], part: str) -> None:
    assert part in text_on(within(fails))


def test_a_loop_runs_already() -> None:
    async def again() -> None:
        asyncio.run(user())

    async def by_the_loop() -> None:
        asyncio.get_running_loop().run_until_complete(user())

    assert "`await` the coroutine instead" in text_on(within(again))
    assert "`await` the coroutine instead" in text_on(within(by_the_loop))


def test_no_loop_in_a_thread() -> None:
    def fails() -> None:
        raise RuntimeError("There is no current event loop in thread 'devserver-wsgi_0'.")

    assert "asyncio.run(…)" in text_on(fails)


def test_another_loop() -> None:
    loop = asyncio.new_event_loop()
    future = loop.create_future()
    loop.close()

    async def fails() -> None:
        await future

    assert "another event loop" in text_on(within(fails))
    assert "another event loop" in text_on(lambda: loop.run_until_complete(get_user()))


# --- the interface ---


def called_by(path: str, fails: Callable[[], object]) -> tuple[Advice, ...]:
    """The advice on the TypeError of `fails`, called from `path`."""
    with pytest.raises(TypeError) as caught:
        fails()
    frame = Frame(path, path, "call", 1, None, None, None, is_user=False, source=())
    error = ErrorInfo("TypeError", str(caught.value), (frame,), bases=("TypeError", "Exception"))
    return advise(Report(Occasion.REQUEST, "", (error,)))


OURS = str(Path(devserver.__file__).parent / "server" / "web" / "wsgi_exchange.py")


def apps(kind: str) -> list[Any]:
    from django.core.handlers.asgi import ASGIHandler
    from django.core.handlers.wsgi import WSGIHandler
    from flask import Flask
    from starlette.applications import Starlette

    if kind == "wsgi":
        return [Flask("shop"), object.__new__(WSGIHandler), lambda environ, start_response: []]
    return [Starlette(), object.__new__(ASGIHandler)]


@pytest.mark.parametrize("number", range(3))
def test_wsgi_app_called_as_asgi(number: int) -> None:
    app = apps("wsgi")[number]
    (advice,) = called_by(OURS, lambda: app({}, None, None))
    assert "`--interface wsgi`" in advice.text
    assert called_by("/shop/app.py", lambda: app({}, None, None)) == ()


@pytest.mark.parametrize("number", range(2))
def test_asgi_app_called_as_wsgi(number: int) -> None:
    app = apps("asgi")[number]
    (advice,) = called_by(OURS, lambda: app({}, None))
    assert "`--interface asgi`" in advice.text
    (advice,) = called_by("/shop/middleware.py", lambda: app({}, None))
    assert "remove the wrapper" in advice.text


def test_wsgi_app_that_takes_anything_called_as_asgi() -> None:
    async def call(app: Callable[..., Any]) -> None:
        await app()

    def app(*args: object) -> list[bytes]:
        return []

    (advice,) = called_by(OURS, lambda: asyncio.run(call(app)))
    assert "`--interface wsgi`" in advice.text
