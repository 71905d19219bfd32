"""Event streams end at a restart, whoever sends them, and nobody waits for theirs who do not read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from devserver.server.asgi import Event, Receive, Scope, Send
from devserver.server.web.streams import END_S, EventStreams

DEADLINE_S = 20.0
SCOPE = {"type": "http", "path": "/"}
START: Event = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"Content-Type", b"Text/Event-Stream; charset=utf-8")],
}
CHUNK: Event = {"type": "http.response.body", "body": b"data: x\n\n", "more_body": True}
END: Event = {"type": "http.response.body", "body": b"", "more_body": False}


class Client:
    """The engine's side of one request."""

    def __init__(self) -> None:
        self.sent: list[Event] = []
        self.got = asyncio.Event()

    async def send(self, event: Event) -> None:
        self.sent.append(event)
        self.got.set()

    async def receive(self) -> Event:
        await asyncio.Event().wait()
        raise AssertionError

    def call(self, streams: EventStreams, scope: Scope | None = None) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(streams(scope or SCOPE, self.receive, self.send))

    async def has(self, count: int) -> None:
        while len(self.sent) < count:
            self.got.clear()
            await self.got.wait()


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(main(), DEADLINE_S))


def test_a_stream_ends_properly_and_its_app_sees_a_disconnect() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send(CHUNK)
        seen.append(await receive())
        await send(CHUNK)  # too late: nobody hears it

    seen: list[Event] = []

    async def main() -> None:
        streams, client = EventStreams(app), Client()
        task = client.call(streams)
        await client.has(2)
        assert not streams.was_stream(task)
        await streams.end_all()
        await task
        assert seen == [{"type": "http.disconnect"}]
        assert client.sent == [START, CHUNK, END]
        assert streams.was_stream(task)
        assert streams.ended_some

    run(main)


def test_a_stream_that_is_sent_from_another_task() -> None:
    """As Starlette does. The request's own task is the one that nobody waits for."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def produce() -> None:
            await send(START)
            while True:
                await send(CHUNK)
                await asyncio.sleep(0)

        async with asyncio.TaskGroup() as group:
            group.create_task(produce())

    async def main() -> None:
        streams, client = EventStreams(app), Client()
        task = client.call(streams)
        await client.has(2)
        await streams.end_all()
        assert streams.was_stream(task)
        assert client.sent[-1] == END
        count = len(client.sent)
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(client.sent) == count
        task.cancel()
        await asyncio.wait([task])

    run(main)


def test_a_client_that_does_not_read_holds_up_nobody() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await asyncio.Event().wait()

    class Stuck(Client):
        async def send(self, event: Event) -> None:
            await super().send(event)
            if event == END:
                await asyncio.Event().wait()

    async def main() -> None:
        streams, stuck, other = EventStreams(app), Stuck(), Client()
        tasks = [stuck.call(streams), other.call(streams)]
        await stuck.has(1)
        await other.has(1)
        await asyncio.wait_for(streams.end_all(), DEADLINE_S * END_S)
        assert other.sent == [START, END]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    run(main)


def test_a_client_that_left_meanwhile_is_no_error() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await asyncio.Event().wait()

    class Gone(Client):
        async def send(self, event: Event) -> None:
            await super().send(event)
            if event == END:
                raise OSError("gone")

    async def main() -> None:
        streams, client = EventStreams(app), Gone()
        task = client.call(streams)
        await client.has(1)
        await streams.end_all()
        task.cancel()
        await asyncio.wait([task])

    run(main)


@pytest.mark.parametrize(
    "start",
    [
        {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]},
        {"type": "http.response.start", "status": 200},
    ],
)
def test_other_answers_are_left_alone(start: Event) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start)
        await go.wait()
        await send(CHUNK)
        await send(END)

    go = asyncio.Event()

    async def main() -> None:
        streams, client = EventStreams(app), Client()
        task = client.call(streams)
        await client.has(1)
        await streams.end_all()
        assert not streams.ended_some
        go.set()
        await task
        assert client.sent == [start, CHUNK, END]
        assert not streams.was_stream(task)

    run(main)


def test_a_stream_that_ended_by_itself_is_waited_for() -> None:
    """Its answer is whole; what it still does (background tasks) has the grace of any request."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send(END)
        await go.wait()

    go = asyncio.Event()

    async def main() -> None:
        streams, client = EventStreams(app), Client()
        task = client.call(streams)
        await client.has(2)
        await streams.end_all()
        assert not streams.was_stream(task)
        assert client.sent == [START, END]
        go.set()
        await task

    run(main)


def test_an_error_before_the_stream_began_comes_out() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("mine")

    async def main() -> None:
        with pytest.raises(ValueError, match="mine"):
            await Client().call(EventStreams(app))

    run(main)


def test_what_the_client_sends_comes_through() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        seen.append(await receive())
        await send(END)

    seen: list[Event] = []

    class Sender(Client):
        async def receive(self) -> Event:
            return {"type": "http.request", "body": b"x", "more_body": False}

    async def main() -> None:
        await Sender().call(EventStreams(app))
        assert seen == [{"type": "http.request", "body": b"x", "more_body": False}]

    run(main)


def test_other_scopes_pass() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.close"})

    async def main() -> None:
        client = Client()
        await client.call(EventStreams(app), {"type": "websocket"})
        assert client.sent == [{"type": "websocket.close"}]

    run(main)
