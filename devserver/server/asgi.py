"""The names of ASGI 3.0's moving parts, for annotations. Runs in the server process.

Keys and values of a scope and of an event are described by the specification, not by types.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

LEAVE = "devserver.leave"
"""An extension of the scope of requests for event streams of ours: a function that takes the connection away from the engine and
returns its descriptor. Raises OSError if no more files may be opened."""
