"""Work beside the event loop. Runs in the server."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")


class Job(Generic[T]):
    """Work for a thread; `done` is of the loop on which this was made, and gets what `work` returns or raises.

    `context` is where it runs: a copy of this one if none is given.
    """

    def __init__(self, work: Callable[[], T], context: contextvars.Context | None = None) -> None:
        self._work = work
        self._context = context or contextvars.copy_context()
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[T] = self._loop.create_future()

    def run(self) -> None:
        """In the thread. Raises nothing."""
        try:
            result = self._context.run(self._work)
        except BaseException as error:  # SystemExit too: who waits would wait for ever
            self._tell(self.done.set_exception, error)
        else:
            self._tell(self.done.set_result, result)

    def drop(self) -> None:
        """On the loop: it will not be run."""
        self.done.cancel()

    def _tell(self, call: Callable[[U], None], outcome: U) -> None:
        def tell() -> None:
            if not self.done.done():
                call(outcome)

        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(tell)


async def in_thread(work: Callable[[], T]) -> T:
    """What `work` returns or raises, from a daemon thread of its own. Who stops waiting leaves it running."""
    job = Job(work)
    threading.Thread(target=job.run, name="devserver-aside", daemon=True).start()
    return await job.done
