"""Hints for coroutines, tasks and the event loop. Pure; runs in every process."""

from __future__ import annotations

from devserver.hints.case import Case
from devserver.report import Advice


def never_awaited(case: Case) -> Advice | None:
    if match := case.matched(r"^coroutine '(?:.*\.)?(\w+)' was never awaited"):
        return Advice(f"The call alone does nothing: write `await {match[1]}(…)`.")
    return None


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
