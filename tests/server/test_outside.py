"""Where errors outside of requests happened, in words; and whose hooks stay."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import weakref

import pytest

from devserver.server.outside import calls_of, where_ignored, where_in_loop


class Thing:
    def __del__(self) -> None: ...

    def method(self) -> None: ...


def generator() -> object:
    yield


@pytest.mark.parametrize(
    ("message", "thing", "where"),
    [
        (None, Thing.__del__, "in __del__ of Thing"),
        (None, Thing.method, "in Thing.method"),
        (None, generator(), "in generator"),
        ("Exception ignored in atexit callback", print, "in print"),
        (None, weakref.ref(Thing), "in an object of ReferenceType"),
        ("Exception ignored in: the garbage collector", None, "ignored by Python in the garbage collector"),
        (None, None, "ignored by Python"),
    ],
)
def test_where_python_ignored_it(message: str | None, thing: object, where: str) -> None:
    assert where_ignored(message, thing) == where


def test_where_in_the_loop() -> None:
    async def notify() -> None: ...

    async def main() -> None:
        task = asyncio.create_task(notify(), name="mail")
        future = asyncio.get_running_loop().create_future()
        described = where_in_loop({"future": task})
        assert described == ("in a task that nobody awaited (mail running test_where_in_the_loop.<locals>.notify())")
        assert where_in_loop({"future": future}) == "in a future that nobody awaited"
        assert where_in_loop({"handle": object()}) == "in a callback of the event loop"
        assert where_in_loop({}) == "outside of a request"
        await task

    asyncio.run(main())


def test_errors_are_the_same_by_their_calls() -> None:
    def fail(depth: int) -> None:
        if depth:
            fail(depth - 1)
        raise ValueError(depth)

    found = []
    for depth in (1, 1, 2, 10_000):
        try:
            fail(depth)
        except (ValueError, RecursionError) as error:
            found.append(calls_of(error.__traceback__))
    assert found[0] == found[1] != found[2]
    assert len(found[3]) == 50


HOOKS = """
import sys, threading, warnings
{before}
from devserver.server.outside import Outside
told = []
outside = Outside(
    make_report=lambda error, where: (type(error).__name__, where),
    show=lambda report, once: told.append(report if isinstance(report, tuple) else report.title),
    notice=told.append, user_roots=["/nowhere"],
)
outside.install()
{after}
def run(work):
    thread = threading.Thread(target=work, name="worker")
    thread.start()
    thread.join()
class Foo:
    def __del__(self):
        raise KeyError
run(lambda: 1 / 0)
run(sys.exit)
Foo()
warnings.warn("careful")
outside.tell_rest()
print(told, flush=True)
"""
OURS = [
    ("ZeroDivisionError", 'in the thread "worker"'),
    ("KeyError", "in __del__ of Foo"),
    "UserWarning: careful",
]


@pytest.mark.parametrize(
    ("code", "left", "theirs"),
    [
        ("", OURS, ""),
        ("threading.excepthook = lambda args: print('theirs')", OURS[1:], "theirs\ntheirs\n"),
        ("sys.unraisablehook = lambda args: print('theirs')", [OURS[0], OURS[2]], "theirs\n"),
        ("warnings.showwarning = lambda *args: print('theirs')", OURS[:2], "theirs\n"),
        ("import logging; logging.captureWarnings(True)", OURS[:2], ""),
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_whoever_has_a_hook_keeps_it(code: str, left: list[object], theirs: str, when: str) -> None:
    program = HOOKS.format(**{"before": "", "after": "", when: code})
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == f"{theirs}{left}\n"


def test_what_cannot_be_reported_is_told_by_python() -> None:
    program = HOOKS.format(before="", after="outside._make_report = None; outside._user_roots = 1")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
    assert "Exception in thread worker" in done.stderr
    assert "Exception ignored in: <function Foo.__del__" in done.stderr
    assert "UserWarning: careful" in done.stderr


OWN_LOOP = """
import asyncio
async def fail():
    raise ValueError
async def main():
    HANDLER
    asyncio.create_task(fail(), name="mail")
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_exception_handler({"message": "something else"})
run(lambda: asyncio.run(main()))
print(told)
"""


@pytest.mark.parametrize(
    ("handler", "printed"),
    [
        ("", "[('ValueError', 'in a task that nobody awaited (mail running fail())')]\n"),
        (
            "asyncio.get_running_loop().set_exception_handler(lambda loop, context: print(context['message']))",
            "Task exception was never retrieved\nsomething else\n[]\n",
        ),
    ],
)
def test_loops_of_the_apps_own(handler: str, printed: str) -> None:
    program = HOOKS.format(before="", after="").partition("run(lambda")[0] + OWN_LOOP.replace("HANDLER", handler)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert sorted(done.stdout.splitlines()) == sorted(printed.splitlines())  # the task is told when it is collected
    assert done.stderr == ("" if handler else "something else\n")


CHILDREN = """
import os
sys.stderr = sys.stdout
pid = os.fork()
if not pid:
    run(lambda: 1 / 0)
    sys.stdout.flush()
    os._exit(0)
os.waitpid(pid, 0)
print(told, flush=True)
"""


def test_the_apps_children_have_pythons_hooks() -> None:
    program = HOOKS.format(before="", after="").partition("run(lambda")[0] + CHILDREN
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert "Exception in thread worker" in done.stdout
    assert done.stdout.endswith("[]\n")


def test_a_flood_is_counted() -> None:
    program = HOOKS.format(before="", after="").partition("run(lambda")[0]
    program += "for _ in range(50): run(lambda: 1 / 0)\noutside.tell_rest()\nprint(told)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    line = 'ZeroDivisionError in the thread "worker": the same again, 47 times'
    assert done.stdout == f"{[OURS[0]] * 3 + [line]}\n"
