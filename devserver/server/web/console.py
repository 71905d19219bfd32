"""The prompt in a frame of an error page: werkzeug's console, run in a thread.

Runs in the server. Rules that hold: code comes here only from who may have it run (`error_api.py`); what it prints goes to the
page and not to the terminal; code that does not end holds nothing up but its own prompt; nothing that it raises ends the server.
"""

from __future__ import annotations

import asyncio
import contextvars
import html
import threading
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING

from devserver.server.deferred import ours_first
from devserver.server.web.aside import in_thread

if TYPE_CHECKING:
    from werkzeug.debug.console import Console

PATIENCE_S = 10.0
MAX_CODE = 20_000
MAX_OUTPUT = 100_000


@dataclass(slots=True)
class Prompt:
    """A console in one frame, with what was typed before."""

    console: Console
    context: contextvars.Context
    lock: threading.Lock = field(default_factory=threading.Lock)


def open_prompt(frame: FrameType, context: contextvars.Context | None = None) -> Prompt:
    """A console that sees the frame's variables, in `context`. What it assigns stays in the console."""
    with ours_first():
        from werkzeug.debug.console import Console

    console = Console(dict(frame.f_globals), dict(frame.f_locals))
    # From 3.13 on Python names the source too, which werkzeug's method (as of 3.1) does not take.
    show = console._ipy.showsyntaxerror
    vars(console._ipy)["showsyntaxerror"] = lambda filename=None, **_: show(filename)
    return Prompt(console, (context or contextvars.Context()).copy())


async def evaluate(prompt: Prompt, code: str, patience_s: float = PATIENCE_S) -> str:
    """What the code answers, as werkzeug's markup. Ends after `patience_s` at the latest; the code may run on."""
    if len(code) > MAX_CODE:
        return html.escape(f"The code is too long ({len(code)} characters).")
    try:
        return await asyncio.wait_for(in_thread(lambda: _run(prompt, code)), patience_s)
    except TimeoutError:
        return html.escape(
            f"No answer after {patience_s:g} s: the code runs on, and this prompt answers when it has ended."
        )


def _run(prompt: Prompt, code: str) -> str:
    if not prompt.lock.acquire(blocking=False):
        return html.escape("The code before still runs.")
    try:
        output = prompt.context.run(prompt.console.eval, code)
    except BaseException as error:  # exit() and quit() are for terminals
        output = html.escape(f">>> {code}\n{type(error).__name__}: {error}")
    finally:
        prompt.lock.release()
    return output if len(output) <= MAX_OUTPUT else html.escape(f"{len(output)} characters: too much to show.")
