"""The editor that a person asks for from an error page: opened by the command, and never ended by it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import DEADLINE_S, DevServer, Serve, alive

# Says what an error page says when a frame is clicked at.
APP = """
    import os
    import sys

    from devserver.messages import EditorWanted

    def server_process():
        frame = sys._getframe()
        while type(frame.f_locals.get("self")).__name__ != "ServerProcess":
            frame = frame.f_back
        return frame.f_locals["self"]

    async def application(scope, receive, send):
        assert scope["type"] == "http"
        if scope["path"].startswith("/open/"):
            name = scope["path"].removeprefix("/open/")
            server_process()._send(EditorWanted(os.path.abspath(name), 3, 5))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": TEXT.encode()})

    TEXT = "one"
"""
STAYS = 'echo $$ > "$0.part"; mv "$0.part" "$0.pid"; exec sleep 600'
# As the commands of most editors with windows do.
LEAVES = f"setsid sh -c '{STAYS}' \"$0\" & exit 0"


class Editor:
    """A command `code` that is first on the path."""

    def __init__(self, folder: Path, script: str) -> None:
        self._command = folder / "code"
        self._command.write_text(f'#!/bin/sh\nprintf "%s|" "$@" >> "$0.arguments"\n{script}\n')
        self._command.chmod(0o755)
        self.environment = {"PATH": f"{folder}:{os.environ['PATH']}", "EDITOR": "code --wait"}

    @property
    def arguments(self) -> str:
        return Path(f"{self._command}.arguments").read_text()

    @property
    def pid(self) -> int:
        """Of the editor that stays; 0 before that."""
        file = Path(f"{self._command}.pid")
        return int(file.read_text()) if file.exists() else 0


@pytest.fixture(params=[STAYS, LEAVES], ids=["stays", "leaves"])
def editor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Editor]:
    editor = Editor(tmp_path, request.param)
    yield editor
    if editor.pid and alive(editor.pid):
        os.kill(editor.pid, signal.SIGKILL)


def open_app(server: DevServer, editor: Editor) -> None:
    server.get("/open/app.py")
    server.wait_for(lambda: editor.pid, "the editor")
    server.wait_for_log(r"opened app\.py:3 in vscode\n")


def test_an_editor_outlives_restarts_and_the_command(serve: Serve, editor: Editor, project: Path) -> None:
    server = serve({"app.py": APP}, "app:application", env=editor.environment)
    (root,) = server.below()[:1]
    open_app(server, editor)
    assert editor.arguments == f"--wait|--goto|{project}/app.py:3:5|"
    server.edit("app.py", APP.replace("one", "two"))
    server.wait_for_text("two")
    assert alive(editor.pid)
    os.kill(root, signal.SIGKILL)
    server.wait_for_log("the root process ended")
    server.wait_for_text("two")
    assert alive(editor.pid)
    below = [pid for pid in server.below() if pid != editor.pid]
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(DEADLINE_S) == 0
    server.wait_until_gone(below)
    assert alive(editor.pid)


def test_an_editor_that_ends_leaves_nothing_behind(serve: Serve, editor: Editor) -> None:
    server = serve({"app.py": APP}, "app:application", env=editor.environment)
    before = set(server.below())
    open_app(server, editor)
    os.kill(editor.pid, signal.SIGTERM)
    server.wait_for(lambda: set(server.below()) <= before, "the end of the launcher, zombies included")
    assert server.get().text == "one"


def test_what_cannot_be_opened_is_told(serve: Serve, tmp_path: Path) -> None:
    server = serve({"app.py": APP}, "app:application", env=Editor(tmp_path, "exit 3").environment)
    server.get("/open/app.py")
    server.wait_for_log(r"warning: app\.py:3 was not opened: vscode exited with code 3\n")
    server.get("/open/nothing.py")
    server.wait_for_log(r"not opened in the editor, no such file: .*/nothing\.py\n")
    assert server.get().text == "one"
