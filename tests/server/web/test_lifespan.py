"""The lifespan of an app: what it says and raises at startup and shutdown."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

import pytest

from devserver.server.asgi import Receive, Scope, Send
from devserver.server.web.lifespan import Lifespan, LifespanFailedError


def run(coroutine: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 20))


async def begin_and_end(lifespan: Lifespan) -> None:
    await lifespan.startup()
    await lifespan.shutdown()


def test_startup_and_shutdown_with_state() -> None:
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for what in ("startup", "shutdown"):
            seen.append((await receive())["type"])
            scope["state"][what] = True
            await send({"type": f"lifespan.{what}.complete"})

    lifespan = Lifespan(app)
    run(begin_and_end(lifespan))
    assert seen == ["lifespan.startup", "lifespan.shutdown"]
    assert lifespan.state == {"startup": True, "shutdown": True}


def test_an_app_without_lifespan_is_no_error() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError(scope["type"])  # as Channels' ProtocolTypeRouter does

    run(begin_and_end(Lifespan(app)))


@pytest.mark.parametrize("fails", ["startup", "shutdown"])
def test_the_error_that_an_app_lets_out_is_the_error(fails: str) -> None:
    """Starlette says that it failed, with the traceback as the message, and then raises."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for what in ("startup", "shutdown"):
            await receive()
            if what == fails:
                await send({"type": f"lifespan.{what}.failed", "message": "Traceback …"})
                raise ZeroDivisionError
            await send({"type": f"lifespan.{what}.complete"})

    with pytest.raises(ZeroDivisionError):
        run(begin_and_end(Lifespan(app)))


@pytest.mark.parametrize("fails", ["startup", "shutdown"])
@pytest.mark.parametrize("ends", [True, False])
def test_a_failure_without_an_error_has_the_message(fails: str, ends: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for what in ("startup", "shutdown"):
            await receive()
            outcome = "failed" if what == fails else "complete"
            await send({"type": f"lifespan.{what}.{outcome}", "message": "no database"})
        if not ends:
            await receive()  # which never comes

    with pytest.raises(LifespanFailedError, match="no database"):
        run(begin_and_end(Lifespan(app)))


@pytest.mark.parametrize("fails", ["startup", "shutdown"])
def test_an_app_that_raises_without_an_answer(fails: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if fails == "shutdown":
            await send({"type": "lifespan.startup.complete"})
            await receive()
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        run(begin_and_end(Lifespan(app)))
