"""What the tests of checkpoints share: a project whose modules weigh enough to be frozen between, and a view of its chain.

Each module says when its body runs. The supervisor's change line comes through the same pipe after it, so what ran for a change is
known when its line is there. Depth is told by what ran; it is not asked for where the tests run without checkpoints.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from textwrap import dedent

import pytest

from devserver import processes
from tests.e2e.harness import DevServer, Serve

HAS_CHECKPOINTS = os.environ.get("DEVSERVER_CHECKPOINTS", "1") not in ("0", "false", "no", "off")
needs_checkpoints = pytest.mark.skipif(not HAS_CHECKPOINTS, reason="asks how deep a resume goes")

WEIGHT = "time.sleep(0.1)\n"
"""So much of a load is worth a checkpoint. It counts by the clock: the tests beside this one keep the processor."""

WSGI_APP = """
    import os, time
    print("app runs")
    import first, second, third

    def application(environ, start_response):
        path = environ["PATH_INFO"]
        if path == "/die":
            os._exit(7)
        if path == "/slow":
            print("slow begins")
            while not os.path.exists("go"):
                time.sleep(0.01)
        body = str(os.getpid()) if path == "/pid" else f"{first.TEXT} {second.TEXT} {third.TEXT}"
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [body.encode()]
"""
ASGI_APP = """
    import asyncio, os
    print("app runs")
    import first, second, third

    async def application(scope, receive, send):
        assert scope["type"] == "http"
        path = scope["path"]
        if path == "/die":
            os._exit(7)
        if path == "/slow":
            print("slow begins")
            while not os.path.exists("go"):
                await asyncio.sleep(0.01)
        body = str(os.getpid()) if path == "/pid" else f"{first.TEXT} {second.TEXT} {third.TEXT}"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": body.encode()})
"""
APPS = {"wsgi": WSGI_APP, "asgi": ASGI_APP}
"""Each answers the texts of its three modules; its pid at /pid, dies at /die, and waits at /slow for a file `go`."""

_CHANGE = re.compile(
    r"^(?P<names>.*) (?:changed|ended|asked for a restart): (?P<outcome>(?!refreshed).*)$", re.MULTILINE
)
_RUNS = re.compile(r"^([\w.]+) runs$", re.MULTILINE)


def again(*names: str) -> list[str]:
    """What runs for a change that concerns these modules: with checkpoints no more than they, else the whole load."""
    return list(names) if HAS_CHECKPOINTS else ["app", "first", "second", "third"]


def module(name: str, text: str, *lines: str) -> str:
    """The source of a module with this TEXT, that says when it runs. `lines` come before; what they call MORE is added."""
    return "\n".join(
        [
            "import time",
            f'print("{name} runs")',
            *map(dedent, lines),
            f"TEXT = {text!r} + globals().get('MORE', '')",
            WEIGHT,
        ]
    )


class Chained:
    """A served project, and what ran for each change."""

    def __init__(self, server: DevServer) -> None:
        self.server = server

    def changes(self) -> list[re.Match[str]]:
        """The change lines so far, those of refreshes aside."""
        return list(_CHANGE.finditer(self.server.log))

    def ran(self, act: Callable[[], object], *, until: int = 1) -> list[str]:
        """Do something that leads to `until` changes being told; the modules that ran, in their order."""
        told, seen = len(self.changes()), len(self.server.log)
        act()
        self.server.wait_for(lambda: len(self.changes()) >= told + until, "a change line")
        end = self.changes()[told + until - 1].start()
        return _RUNS.findall(self.server.log[seen:end])

    def save(self, name: str, text: str, *lines: str, answer: str | None = None) -> list[str]:
        """Save the module with another TEXT, wait for it in the answer; the modules that ran."""
        ran = self.ran(lambda: self.server.edit(f"{name}.py", module(name, text, *lines)))
        self.server.wait_for_text(text if answer is None else answer)
        return ran

    def line(self) -> list[int]:
        """Wait until the processes below the command are one line, from the root to the server; their pids.

        Then each checkpoint has one child, nothing drains, and nothing that was discarded is left.
        """

        def found() -> list[int] | None:
            below = self.server.below()
            of = self.server.process.pid
            line = []
            while len(children := [pid for pid, _start in processes.children(of)]) == 1:
                line.append(of := children[0])
            return line if len(line) == len(below) >= 2 and not children else None

        return self.server.wait_for(found, "the processes to be one line")


def chained(
    serve: Serve,
    kind: str,
    *arguments: str,
    files: Mapping[str, str] | None = None,
    lines: Mapping[str, str] | None = None,
) -> Chained:
    """Serve the project, after one save of each module that is not the first: so each has a checkpoint right before it.

    `lines` of the modules, by their names, come with each save.
    """
    texts, lines = {"first": "one", "second": "two", "third": "three"}, lines or {}
    sources = {f"{name}.py": module(name, text, lines.get(name, "")) for name, text in texts.items()}
    # In the order of the load: what is hoisted has tests of its own.
    options = ("--no-access-log", "--no-hoist", *arguments)
    server = serve({"app.py": APPS[kind], **sources, **(files or {})}, "app:application", *options)
    project = Chained(server)
    server.wait_for_text("three")
    for name in ("second", "third"):
        project.save(name, f"{name} saved", lines.get(name, ""))
    return project
