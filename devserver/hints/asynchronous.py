"""Hints for async code: forgotten awaits, event loops, the interface of the app. Pure; runs in every process."""

from __future__ import annotations

from devserver.hints.case import Case
from devserver.report import Advice, Occasion
from devserver.source import is_ours


def wrong_interface(case: Case) -> Advice | None:
    """A WSGI app that is called as an ASGI app, or the other way round."""
    called_by_us = case.innermost is not None and is_ours(case.innermost.path)
    if case.matched(r"missing (?:1|2) required positional arguments?: (?:'receive' and )?'send'$"):
        if called_by_us:
            return Advice("This is an ASGI app, and is called as a WSGI app: run it with `--interface asgi`.")
        return Advice(
            "This is an ASGI app, and what wraps it is for WSGI apps: remove the wrapper, or take one for ASGI."
        )
    counts = case.matched(r"takes (\d) positional arguments but (\d) were given$")
    # (environ, start_response) against (scope, receive, send), with self or without
    too_many = counts is not None and counts.groups() in {("2", "3"), ("3", "4")}
    if called_by_us and (too_many or case.matched(r"can't be used in 'await' expression|can't be awaited$")):
        return Advice("This is a WSGI app, and is called as an ASGI app: run it with `--interface wsgi`.")
    return None


def forgotten_await(case: Case) -> Advice | None:
    if match := case.matched(r"^coroutine '([^']+)' was never awaited"):
        name = match[1].rpartition(".")[2]
        return Advice(f"{name} is async, so calling it does nothing yet: write `await {name}(…)`.")
    if not case.matched(r"['\"]coroutine['\"]|coroutine object$|of type coroutine is not JSON"):
        return None
    return Advice("An async function was called without await: write `await` before the call, within an `async def`.")


def needless_await(case: Case) -> Advice | None:
    if match := case.matched(r"^object (\w+) can't be used in 'await' expression|^'([\w.]+)' object can't be awaited"):
        return Advice(f"What is awaited is no coroutine but a {match[1] or match[2]}: remove `await` before this call.")
    return None


def wrong_protocol(case: Case) -> Advice | None:
    """`for` and `with` where their async forms are needed, or the other way round."""
    if case.matched(r"'async_generator' object is not (?:iterable|an iterator)"):
        return Advice("This is an async generator: write `async for` in place of `for`.")
    if case.matched(r"'async for' requires an object with __aiter__ method"):
        return Advice("This is not async: write `for` in place of `async for`.")
    if case.matched(r"'_?Async\w*' object does not support the context manager|mean to use 'async with'"):
        return Advice("This is an async context manager: write `async with` in place of `with`.")
    if case.matched(r"object does not support the asynchronous context manager protocol"):
        return Advice("This has no async form: write `with` in place of `async with`.")
    return None


def no_loop_at_import(case: Case) -> Advice | None:
    if case.report.occasion is not Occasion.LOAD or not case.matched(r"^no running event loop"):
        return None
    return Advice(
        "No event loop runs yet while the app is imported: do this in the startup part of the app's lifespan."
    )


def loop_already_running(case: Case) -> Advice | None:
    if case.matched(r"^asyncio\.run\(\) cannot be called from a running|^[Tt]his event loop is already running"):
        return Advice(
            "An event loop runs here already: make the function `async def`, and `await` the coroutine instead."
        )
    return None


def no_loop_in_thread(case: Case) -> Advice | None:
    if not case.matched(r"^There is no current event loop"):
        return None
    return Advice(
        "This thread has no event loop: run the coroutine by asyncio.run(…), or make the view async and await it."
    )


def another_loop(case: Case) -> Advice | None:
    if not case.matched(r"attached to a different loop|bound to a different event loop|^Event loop is closed"):
        return None
    return Advice(
        "It was made for another event loop: make it in the startup part of the app's lifespan, not at import or in asyncio.run()."
    )


def forgotten_task(case: Case) -> Advice | None:
    return Advice(
        "Keep the task in a variable that lives as long as it does, or in a set: the event loop alone does not keep it."
    )


def held_loop(case: Case) -> Advice | None:
    place = case.error.place
    if place is None or not place.is_user:
        return None
    return Advice(
        "No other request was answered meanwhile. `await asyncio.to_thread(…)` lets a call that blocks run in a thread;"
        " FastAPI and Starlette do so with a view that is a plain `def`."
    )
