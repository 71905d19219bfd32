"""Errors that a framework turns into an answer of its own: how they reach the error capture all the same.

Runs in the server process, on its loop and in threads. The capture opens a `Slot` for each request, integrations fill it from
where their framework tells of an error. The slot is found through the context of whoever asks: tasks and threads of
frameworks have copies of that of the request, which refer to the same slot. Rule that holds: after the end of its request a slot
takes nothing, for nobody would look into it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from contextvars import Context, ContextVar, copy_context
from typing import NamedTuple

MAX_QUERIES = 100
"""Of what a request asked of databases, so much is kept: the last."""
MAX_CHAIN = 32
"""Errors that are followed from one to what led to it: a chain can be a ring."""


class Query(NamedTuple):
    """Of a database."""

    text: str
    seconds: float


class Slot:
    """What one request's framework kept to itself."""

    __slots__ = ("context", "error", "if_failed", "is_open", "is_replaceable", "queries", "session")

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.is_replaceable = False  # the framework's answer to it; else that is what the user wrote
        self.if_failed = False  # it is none if the answer is below 500
        self.session: Mapping[str, object] | None = None  # where the framework has one, and the request has loaded it
        self.queries: deque[Query] | None = None
        self.context: Context | None = None  # as it was when the framework told: it has the request at hand
        self.is_open = True

    def close(self) -> None:
        """The request is over. What was in it is let go of: its frames hold much."""
        self.is_open = False
        self.error = self.session = self.context = self.queries = None


current: ContextVar[Slot | None] = ContextVar("devserver_swallowed", default=None)
"""The slot of the request that is answered in this context."""


def swallowed(
    error: BaseException,
    *,
    replace: bool = True,
    if_failed: bool = False,
    session: Mapping[str, object] | None = None,
) -> bool:
    """The framework makes an answer of `error`; with `replace` an error page may stand in its place, which shows `session`.

    `if_failed`: the user's code has answered it, so it counts only if that answer is a server error.

    Whether it will be reported. The first of a request is, unless a later one came of it.
    """
    slot = current.get()
    if slot is None or not slot.is_open:
        return False
    if slot.error is None or (slot.error is not error and led_to(slot.error, error)):
        slot.error = error
        slot.is_replaceable = replace
        slot.if_failed = if_failed
        slot.session = session
        slot.context = copy_context()
    return led_to(error, slot.error)


def queried(text: str, seconds: float) -> None:
    """The request of this context has asked a database for this."""
    slot = current.get()
    if slot is not None and slot.is_open:
        if slot.queries is None:
            slot.queries = deque(maxlen=MAX_QUERIES)
        slot.queries.append(Query(text, seconds))


def is_reported(error: BaseException) -> bool:
    """Whether `error` is, or led to, the one that will be reported for the request of this context."""
    slot = current.get()
    return slot is not None and slot.is_open and slot.error is not None and led_to(error, slot.error)


def led_to(first: BaseException, later: BaseException) -> bool:
    """Whether `later` is `first`, or has it for a cause or context."""
    error: BaseException | None = later
    for _ in range(MAX_CHAIN):
        if error is None or error is first:
            break
        error = error.__cause__ or error.__context__
    return error is first
