"""Lifespan as apps in the wild speak it, well and badly."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from devserver.server.asgi import Receive, Scope, Send
from devserver.server.web.lifespan import Lifespan, LifespanFailedError

DEADLINE_S = 20.0
Talk = Callable[[Scope, Receive, Send], Awaitable[None]]


def run(talk: Talk, main: Callable[[Lifespan], Awaitable[None]]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "lifespan"
        await talk(scope, receive, send)

    async def bounded() -> None:
        lifespan = Lifespan(app)
        try:
            await asyncio.wait_for(main(lifespan), DEADLINE_S)
        finally:
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

    asyncio.run(bounded())


async def startup(lifespan: Lifespan) -> None:
    await lifespan.startup()


async def both(lifespan: Lifespan) -> None:
    await lifespan.startup()
    await lifespan.shutdown()


def test_the_whole_of_it() -> None:
    async def talk(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["pool"] = "open"
        for word in ("startup", "shutdown"):
            assert await receive() == {"type": f"lifespan.{word}"}
            said.append(word)
            await send({"type": f"lifespan.{word}.complete"})

    async def main(lifespan: Lifespan) -> None:
        await lifespan.startup()
        assert said == ["startup"]
        assert lifespan.state == {"pool": "open"}
        await lifespan.shutdown()
        assert said == ["startup", "shutdown"]

    said: list[str] = []
    run(talk, main)


@pytest.mark.parametrize(
    "error", [NotImplementedError("x"), AssertionError("x"), ValueError("x"), SystemExit(1)], ids=repr
)
def test_an_app_that_raises_at_once_has_none(error: BaseException) -> None:
    async def talk(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    run(talk, both)


def test_an_app_that_returns_has_none() -> None:
    async def talk(scope: Scope, receive: Receive, send: Send) -> None: ...

    run(talk, both)


@pytest.mark.parametrize("error", [ConnectionError("no database"), SystemExit("no database")], ids=repr)
def test_an_app_that_raises_in_its_startup_has_failed(error: BaseException) -> None:
    async def talk(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        raise error

    with pytest.raises(type(error), match="no database"):
        run(talk, startup)


@pytest.mark.parametrize("afterwards", ["returns", "raises", "goes on"])
@pytest.mark.parametrize("word", ["startup", "shutdown"])
def test_an_app_that_says_that_it_failed(word: str, afterwards: str) -> None:
    """Its own exception is worth more than the message, which is often that exception's traceback as text."""

    async def talk(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != f"lifespan.{word}":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": f"lifespan.{word}.failed", "message": "my message"})
        if afterwards == "raises":
            raise LookupError("my error")
        if afterwards == "goes on":
            await receive()

    expected, text = (LookupError, "my error") if afterwards == "raises" else (LifespanFailedError, "my message")
    with pytest.raises(expected, match=text):
        run(talk, both)


@pytest.mark.parametrize("word", ["startup", "shutdown"])
def test_a_failure_without_a_message(word: str) -> None:
    async def talk(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != f"lifespan.{word}":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": f"lifespan.{word}.failed"})

    with pytest.raises(LifespanFailedError, match=f"its {word} failed"):
        run(talk, both)


def test_an_app_that_raises_in_its_shutdown() -> None:
    async def talk(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        raise LookupError("at the end")

    with pytest.raises(LookupError, match="at the end"):
        run(talk, both)


def test_an_app_that_ended_after_its_startup_has_no_shutdown() -> None:
    async def talk(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})

    async def main(lifespan: Lifespan) -> None:
        await lifespan.startup()
        await asyncio.sleep(0)
        await lifespan.shutdown()

    run(talk, main)


def test_an_app_that_takes_lifespan_for_a_request_has_none() -> None:
    """It answers whatever it is asked, and may well trip over what it does not find in the event."""

    async def talk(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x"})

    run(talk, both)


def test_shutdown_without_startup_does_nothing() -> None:
    async def talk(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("not called")

    async def main(lifespan: Lifespan) -> None:
        await lifespan.shutdown()

    run(talk, main)
