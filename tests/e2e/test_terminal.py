"""What a person meets in a real terminal: keys, Ctrl-C, job control, and the debugger's prompt."""

from __future__ import annotations

import os
import re
import signal
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import APPS, Serve, alive, write
from tests.e2e.terminal import (
    BACKSPACE,
    CTRL_C,
    CTRL_D,
    CTRL_Q,
    CTRL_S,
    CTRL_Z,
    SHELL_PROMPT,
    UP,
    Background,
    TerminalServer,
    stopped,
)

pytestmark = [pytest.mark.e2e, pytest.mark.either_kind]

WSGI_VIEWS = """
    import os, time, threading

    def application(environ, start_response):
        view = VIEWS.get(environ["PATH_INFO"], lambda: TEXT)
        body = view()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [body.encode()]

    def stop():
        value = 40
        BREAK
        value += 1
        value += 1
        return f"{TEXT} {value}"

    def wait_for_file():
        open("waiting.txt", "w").close()
        while not os.path.exists("go.txt"):
            time.sleep(0.005)
        return stop()

    def spin():
        BREAK
        while True:
            pass

    def pid():
        return str(os.getpid())

    TEXT = "one"
    VIEWS = {"/stop": stop, "/pid": pid, "/wait": wait_for_file, "/spin": spin}
"""
ASGI_VIEWS = """
    import asyncio, os, time

    async def application(scope, receive, send):
        assert scope["type"] == "http"
        body = await VIEWS.get(scope["path"], text)()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": body.encode()})

    async def text():
        return TEXT

    async def stop():
        value = 40
        BREAK
        value += 1
        value += 1
        return f"{TEXT} {value}"

    async def wait_for_file():
        open("waiting.txt", "w").close()
        while not os.path.exists("go.txt"):
            await asyncio.sleep(0.005)
        return await stop()

    async def spin():
        BREAK
        while True:
            pass

    def stop_in_thread():
        BREAK
        return TEXT

    async def thread():
        return await asyncio.to_thread(stop_in_thread)

    async def pid():
        return str(os.getpid())

    TEXT = "one"
    VIEWS = {"/stop": stop, "/pid": pid, "/wait": wait_for_file, "/spin": spin, "/thread": thread}
"""
VIEWS = {"wsgi": WSGI_VIEWS, "asgi": ASGI_VIEWS}

Open = Callable[..., TerminalServer]


@pytest.fixture
def terminal(project: Path) -> Iterator[Open]:
    """Serve a project in a terminal of its own, which is closed afterwards."""
    with ExitStack() as stack:

        def start(files: dict[str, str], *arguments: str, **options: Any) -> TerminalServer:
            write(project, files)
            return stack.enter_context(TerminalServer(project, *arguments, **options))

        yield start


@pytest.fixture
def views(kind: str) -> str:
    """An app whose /stop reaches a breakpoint."""
    return VIEWS[kind].replace("BREAK", "breakpoint()")


def end(server: TerminalServer) -> int:
    """Ctrl-C; the exit code. Nothing may be left, and the terminal is as it was."""
    modes, below = server.modes, server.below()
    server.type(CTRL_C)
    code = server.wait_for_exit()
    server.wait_until_gone(below)
    assert server.modes == modes
    assert server.echoes
    return code


# --- the debugger's prompt ---


@pytest.mark.parametrize("statement", ["breakpoint()", "import pdb; pdb.set_trace()"])
def test_the_prompt_edits_lines_and_remembers_them(terminal: Open, kind: str, statement: str) -> None:
    server = terminal({"app.py": VIEWS[kind].replace("BREAK", statement)}, "app:application")
    modes = server.modes
    request = Background(lambda: server.get("/stop"))
    server.wait_for_prompt()
    server.ask("p 6*7", "p 6[*]7\n42\n")  # what is typed is echoed
    server.type("p 6*9" + BACKSPACE)
    server.ask("8", "\n48\n")
    server.type(UP + UP)
    server.ask("", "\n42\n")
    server.ask("n", "\n-> ")
    server.ask("n", "\n-> ")
    server.ask("TEXT", "\n'one'\n")
    server.enter("c")
    assert request.answer(server).text == "one 42"
    assert server.modes == modes
    server.enter("h")  # the keys are the server's again
    server.wait_for_log("R [+] Enter")
    assert end(server) == 0


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("breakpoint()\n{app}", "app:application"),
        ("{app}\ndef create_app():\n    breakpoint()\n    return application\n", "app:create_app()"),
    ],
    ids=["at import", "in a factory"],
)
def test_a_prompt_while_loading(terminal: Open, app: str, source: str, target: str) -> None:
    text = source.format(app=re.sub(r"^    ", "", app, flags=re.MULTILINE))
    server = terminal({"app.py": text}, target, wait=False)
    server.wait_for_prompt()
    server.ask("p 6*7", "\n42\n")
    server.type("half" + CTRL_C)
    server.wait_for_prompt(count=3)
    server.enter("c")
    server.wait_for_address()
    assert server.get().text == "one"
    assert end(server) == 0


def test_ctrl_c_at_the_prompt_begins_a_new_line(terminal: Open, views: str) -> None:
    server = terminal({"app.py": views}, "app:application")
    pid = server.server_pid()
    request = Background(lambda: server.get("/stop"))
    server.wait_for_prompt()
    for count in (2, 3):
        server.type("half" + CTRL_C)
        server.wait_for_prompt(count=count)
    server.ask("p value", "\n40\n")
    server.enter("c")
    assert request.answer(server).text == "one 42"
    assert server.server_pid() == pid
    assert end(server) == 0


def test_a_second_breakpoint_waits_for_the_first(terminal: Open) -> None:
    server = terminal({"app.py": WSGI_VIEWS.replace("BREAK", "breakpoint()")}, "app:application")
    requests = [Background(lambda: server.get("/stop")) for _ in range(2)]
    server.wait_for_prompt()
    server.ask("n", "\n-> ")
    server.ask("n", "\n-> ")
    server.ask("p threading.get_ident() and 6*7", "\n42\n")  # the other has not interfered
    server.enter("c")
    server.wait_for_prompt(count=5)
    server.enter("c")
    assert [request.answer(server).text for request in requests] == ["one 42"] * 2
    assert end(server) == 0


def test_breakpoints_in_a_thread_and_on_the_loop_take_turns(terminal: Open) -> None:
    """The loop's thread reads the lines of the others: while it waits for its own turn it must go on doing so."""
    server = terminal({"app.py": ASGI_VIEWS.replace("BREAK", "breakpoint()")}, "app:application")
    in_thread = Background(lambda: server.get("/thread"))
    server.wait_for_prompt()
    on_loop = Background(lambda: server.get("/stop"))
    server.ask("import time", "")
    # While this runs the loop is free and comes to the other breakpoint.
    server.ask("time.sleep(0.3)", "")
    server.ask("p 6*7", "\n42\n")
    server.enter("c")
    server.wait_for_log(r"\bstop\(\)\n")
    server.wait_for_prompt(count=5)
    server.ask("p value", "\n40\n")
    server.type("half" + CTRL_C)  # pdb's own handler was left behind by `c`
    server.wait_for_prompt(count=7)
    server.enter("c")
    assert in_thread.answer(server).text == "one"
    assert on_loop.answer(server).text == "one 42"
    again = Background(lambda: server.get("/thread"))
    server.wait_for_prompt(count=8)
    server.type("half" + CTRL_C)
    server.wait_for_prompt(count=9)
    server.enter("c")
    assert again.answer(server).text == "one"
    assert end(server) == 0


def test_a_save_at_the_prompt_waits(terminal: Open, views: str) -> None:
    server = terminal({"app.py": views}, "app:application")
    pid = server.server_pid()
    request = Background(lambda: server.get("/stop"))
    server.wait_for_prompt()
    server.type("p 6*")
    server.wait_for_log(r"\(Pdb\) p 6\*")
    server.edit("app.py", views.replace("one", "two"))
    server.wait_for_log(
        "a change is waiting until the debugger prompt is closed\n.*p 6[*]$"
    )  # shown again, with what was typed
    server.ask("7", "\n42\n")
    assert alive(pid)
    server.ask("n", "\n-> ")  # saved while stepping
    server.edit("app.py", views.replace("one", "three"))
    server.ask("n", "\n-> ")
    assert alive(pid)
    server.enter("c")
    assert request.answer(server).text == "one 42"
    server.wait_for_text("three")
    assert server.server_pid() != pid
    assert end(server) == 0


def test_the_grace_of_old_code_stands_still_at_its_prompt(terminal: Open, views: str) -> None:
    grace_s = 3
    server = terminal({"app.py": views}, "app:application", "--grace", str(grace_s))
    request = Background(lambda: server.get("/wait"))
    server.wait_for_log("http://")
    pid = server.server_pid()
    server.edit("app.py", views.replace("one", "two"))
    server.wait_for_text("two")
    server.edit("go.txt", "go")
    server.wait_for_prompt()
    opened = time.monotonic()
    # The deadlines have to pass: the request's, and the supervisor's for the process.
    server.wait_for(lambda: time.monotonic() > opened + grace_s + 1.2, "the deadlines")
    server.ask("n", "\n-> ")
    assert server.get().text == "two"
    assert alive(pid)
    server.enter("c")
    assert request.answer(server).text == "one 42"
    server.wait_until_gone([pid])
    assert end(server) == 0


@pytest.mark.parametrize("leave", ["q\r", CTRL_D])
def test_after_q_the_page_says_what_happened(terminal: Open, views: str, leave: str) -> None:
    server = terminal({"app.py": views}, "app:application")
    request = Background(lambda: server.get("/stop", Accept="text/html"))
    server.wait_for_prompt()
    server.type(leave)
    page = request.answer(server)
    assert page.status == 500
    assert "BdbQuit" in page.text
    assert "left the debugger" in page.text
    server.wait_for_log("left the debugger")
    assert server.get().text == "one"
    assert end(server) == 0


def test_a_server_killed_at_its_prompt_leaves_the_terminal_in_order(terminal: Open, views: str) -> None:
    server = terminal({"app.py": views}, "app:application")
    modes, pid = server.modes, server.server_pid()
    Background(lambda: server.get("/stop"))
    server.wait_for_prompt()
    assert server.modes != modes
    os.kill(pid, signal.SIGKILL)
    server.wait_for_log("SIGKILL")
    server.wait_for(lambda: server.modes == modes, "the terminal's settings")
    server.wait_for_text("one")
    server.enter("h")
    server.wait_for_log("R [+] Enter")
    assert end(server) == 0


def test_sigterm_ends_all_at_a_prompt(terminal: Open, views: str) -> None:
    server = terminal({"app.py": views}, "app:application", "--grace", "0")
    modes = server.modes
    Background(lambda: server.get("/stop"))
    server.wait_for_prompt()
    below = server.below()
    server.process.send_signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
    server.wait_until_gone(below)
    assert server.modes == modes


def test_ctrl_c_between_two_prompts_interrupts_the_code(terminal: Open, views: str) -> None:
    server = terminal({"app.py": views}, "app:application")
    request = Background(lambda: server.get("/spin"))
    server.wait_for_prompt()
    server.enter("until 9999")  # runs on
    server.wait_for(lambda: server.echoes, "the end of line editing")
    server.type(CTRL_C)
    # Where the debugger traces the line it stops once more; where not, the interrupted request is over.
    again = re.compile(r"\^C[^^]*\(Pdb\) $")
    server.wait_for(lambda: request.done or again.search(server.log) is not None, "the interrupt")
    if not request.done:
        server.enter("q")
    assert request.answer(server).status == 500
    server.enter("h")  # the session is over either way
    server.wait_for_log("R [+] Enter")
    assert end(server) == 0


def test_code_that_does_not_come_back_to_the_prompt_can_be_ended(terminal: Open) -> None:
    server = terminal({"app.py": WSGI_VIEWS.replace("BREAK", "breakpoint()")}, "app:application", "--grace", "0")
    Background(lambda: server.get("/stop"))
    server.wait_for_prompt()
    below = server.below()
    server.enter("print(6*7); threading.Event().wait()")  # a lock: no exception gets in
    server.wait_for_log("\n42\n")
    pressed: list[float] = []

    def is_given_up() -> bool:
        if "Ctrl-C again ends the server" in server.log:
            return True
        if not pressed or time.monotonic() > pressed[-1] + 0.5:  # as a person would: signals that come at once are one
            pressed.append(time.monotonic())
            server.type(CTRL_C)
        return False

    server.wait_for(is_given_up, "the prompt to be given up")
    assert len(pressed) >= 2
    server.type(CTRL_C)
    assert server.wait_for_exit() == 0
    server.wait_until_gone(below)


def test_who_steps_out_of_a_view_is_let_go(terminal: Open, views: str) -> None:
    server = terminal({"app.py": views}, "app:application")
    request = Background(lambda: server.get("/stop"))
    server.wait_for_prompt()
    while not request.done and "GET /stop" not in server.log:
        server.step()
    assert "devserver/server" not in server.log
    assert request.answer(server).text == "one 42"
    assert server.get().text == "one"  # nor is the next request stopped
    server.enter("h")
    server.wait_for_log("R [+] Enter")
    assert end(server) == 0


def test_without_a_terminal_a_breakpoint_is_an_error(serve: Serve, views: str) -> None:
    server = serve({"app.py": views}, "app:application")
    page = server.get("/stop")
    assert page.status == 500
    assert "no terminal" in page.text
    server.wait_for_log("no terminal")
    assert server.get().text == "one"


def test_a_breakpoint_in_a_child_of_the_app_is_an_error(terminal: Open) -> None:
    forks = WSGI_VIEWS.replace("BREAK", "return fork()") + FORK
    server = terminal({"app.py": forks}, "app:application")
    assert server.get("/stop").text == "NoTerminalError"
    assert end(server) == 0


FORK = """
    def fork():
        read, write = os.pipe()
        pid = os.fork()
        if not pid:
            try:
                breakpoint()
            except Exception as error:
                os.write(write, type(error).__name__.encode())
            os._exit(0)
        os.waitpid(pid, 0)
        os.close(write)
        with open(read) as pipe:
            return pipe.read()
"""


# --- input() ---


def test_input_at_import_is_answered_at_the_terminal(terminal: Open, app: str) -> None:
    source = f"name = input('your name? ')\nprint('hello', name)\n{textwrap.dedent(app)}"
    server = terminal({"app.py": source}, "app:application", wait=False)
    server.wait_for_log(r"your name\? ")
    server.enter("Ada")
    server.wait_for_log("hello Ada")
    server.wait_for_address()
    server.enter("x")  # the keys are devserver's again
    server.wait_for_log("no such key: x")
    assert "no such key: Ada" not in server.log
    assert end(server) == 0


def test_input_in_a_view_is_answered_at_the_terminal(terminal: Open, kind: str) -> None:
    server = terminal(
        {"app.py": VIEWS[kind].replace("BREAK", "global TEXT; TEXT = input('text? ')")}, "app:application"
    )
    request = Background(lambda: server.get("/stop"))
    server.wait_for_log(r"text\? ")
    server.enter("Ada")
    assert request.answer(server).text == "Ada 42"
    assert end(server) == 0


def test_ctrl_c_ends_after_the_app_took_a_line(terminal: Open, app: str) -> None:
    """What a child process of the app reads is gone when the supervisor wants to read it."""
    child = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'print(\"first\", input(\"? \"))'])\n"
    server = terminal({"app.py": child + textwrap.dedent(app)}, "app:application", wait=False)
    server.wait_for_log(r"\? ")
    for count in range(1, 20):  # whoever is faster gets a line
        server.enter("line")
        if server.wait_for_log("(first|no such key:) ", count=count)[1] == "first":
            break
    server.wait_for_address()
    assert end(server) == 0


# --- keys ---


def test_keys(terminal: Open, app: str) -> None:
    server = terminal({"app.py": app}, "app:application")
    first, root = server.server_pid(), server.below()[0]
    server.enter("r")
    server.wait_for_log("asked for a restart: restarted")
    second = server.server_pid()
    assert second != first
    assert server.below()[0] == root
    server.enter("R")
    server.wait_for_log("asked for a restart: restarted", count=2)
    assert server.server_pid() != second
    server.wait_until_gone([root])
    server.process.send_signal(signal.SIGUSR1)
    server.wait_for_log("asked for a restart: restarted", count=3)
    server.enter("x")
    server.wait_for_log("no such key: x")
    server.enter("h")
    for key in "rRq":
        server.wait_for_log(rf"\n  {key} \+ Enter  ")
    below = server.below()
    server.enter("q")
    assert server.wait_for_exit() == 0
    server.wait_until_gone(below)


def test_ctrl_d_ends_nothing(terminal: Open, app: str) -> None:
    server = terminal({"app.py": app}, "app:application")
    server.type(CTRL_D)
    assert server.get().text == "one"
    server.enter("h")
    server.wait_for_log(r"R \+ Enter")
    assert end(server) == 0


# --- ends ---


def test_ctrl_c_waits_for_requests_and_a_second_one_does_not(terminal: Open) -> None:
    server = terminal({"app.py": WSGI_VIEWS.replace("BREAK", "pass")}, "app:application", "--grace", "60")
    Background(lambda: server.get("/wait"))
    server.wait_for((server.project / "waiting.txt").exists, "the request that waits")
    below = server.below()
    server.type(CTRL_C)
    server.wait_for_log("Ctrl-C again ends at once")
    server.type(CTRL_C)
    assert server.wait_for_exit() == 0
    server.wait_until_gone(below)
    assert server.echoes


def test_what_follows_ctrl_c_begins_a_line(terminal: Open, app: str) -> None:
    server = terminal({"app.py": app}, "app:application", shell=True)
    server.enter(f"{server.command}; echo ended with $?")
    server.wait_for_address()
    server.type(CTRL_C)
    server.wait_for_log(r"\^C\n(devserver: finishing .*\n)?ended with 0\n")


@pytest.mark.parametrize("shell", [False, True])
def test_a_closed_window_leaves_no_process(terminal: Open, app: str, shell: bool) -> None:
    server = terminal({"app.py": app}, "app:application", shell=shell)
    if shell:
        server.enter(server.command)
        server.wait_for_address()
    below = [server.process.pid, *server.below()]
    assert len(below) >= 3
    server.hang_up()
    server.process.wait(10)
    server.wait_until_gone(below)


# --- job control ---


def test_ctrl_z_stops_the_command_but_not_the_server(terminal: Open, app: str) -> None:
    server = terminal({"app.py": app}, "app:application", shell=True)
    server.enter(server.command)
    server.wait_for_address()
    supervisor = server.below()[0]
    server.type(CTRL_Z)
    server.wait_for_log("Stopped")
    server.wait_for_log(re.escape(SHELL_PROMPT), count=2)
    assert stopped(supervisor)
    assert server.get().text == "one"
    server.edit("app.py", app.replace("one", "two"))
    server.foreground(supervisor)
    server.wait_for_text("two")
    server.enter("h")
    server.wait_for_log("R [+] Enter")
    server.type(CTRL_C)
    server.wait_for_log(re.escape(SHELL_PROMPT), count=3)
    server.wait_until_gone([supervisor])


def test_in_the_background_the_keys_are_the_shells(terminal: Open, app: str) -> None:
    server = terminal({"app.py": app}, "app:application", shell=True)
    server.enter(f"{server.command} &")
    server.wait_for_address()
    supervisor = server.below()[0]
    for count in range(3):
        server.enter(f"echo $(({count} + 40))")
        server.wait_for_log(f"\n{count + 40}\n")
    assert not stopped(supervisor)
    server.edit("app.py", app.replace("one", "two"))
    server.wait_for_text("two")
    assert "no such key" not in server.log
    server.foreground(supervisor)

    def has_keys() -> bool:
        server.enter("h")
        return "R + Enter" in server.log

    server.wait_for(has_keys, "the keys in the foreground")
    server.type(CTRL_C)
    server.wait_until_gone([supervisor])


def test_a_breakpoint_in_the_background_waits_for_the_foreground(terminal: Open, views: str) -> None:
    server = terminal({"app.py": views}, "app:application", shell=True)
    server.enter(f"{server.command} &")
    server.wait_for_address()
    supervisor = server.below()[0]
    request = Background(lambda: server.get("/stop"))
    server.wait_for_log("a breakpoint waits until devserver is in the foreground")
    server.enter("echo $((6*7))")
    server.wait_for_log("\n42\n")
    server.foreground(supervisor)
    server.wait_for_prompt()
    server.ask("p value", "\n40\n")
    server.type(CTRL_Z)
    server.wait_for_log(r"Ctrl-Z works again .*\n\(Pdb\) $")
    server.ask("p value + 3", "\n43\n")
    server.enter("c")
    assert request.answer(server).text == "one 42"
    server.type(CTRL_Z)
    server.wait_for_log("Stopped")
    server.foreground(supervisor)
    server.type(CTRL_C)
    server.wait_until_gone([supervisor])


# --- the screen ---


def test_a_halted_terminal_halts_nothing_and_loses_nothing(terminal: Open, kind: str) -> None:
    app = APPS[kind]
    server = terminal({"app.py": app}, "app:application")
    server.get("/before")
    server.wait_for_log("/before")
    server.type(CTRL_S)
    for number in range(300):
        assert server.get(f"/request-{number:03}").status == 200
    for text in ("two", "three"):
        server.edit("app.py", app.replace("one", text))
        server.wait_for_text(text)
    server.edit("app.py", "1 / 0\n")
    server.wait_for_text("ZeroDivisionError")
    assert "request-" not in server.log
    server.type(CTRL_Q)
    server.wait_for_log("ZeroDivisionError")
    shown = [int(number) for number in re.findall(r"request-(\d+)", server.log)]
    assert shown == list(range(300))
    assert end(server) == 0


def test_a_halted_terminal_does_not_hold_up_the_end(terminal: Open, app: str) -> None:
    server = terminal({"app.py": app}, "app:application")
    server.type(CTRL_S)
    assert server.get().text == "one"
    below = server.below()
    server.edit("app.py", app.replace("one", "two"))
    server.wait_for_text("two")
    server.process.send_signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
    server.wait_until_gone(below)


def test_prints_stand_in_order_with_the_requests(terminal: Open, kind: str) -> None:
    printing = APPS[kind].replace("body = str", 'print("printed for", PATH, end=END); body = str', 1)
    path = {"wsgi": "path", "asgi": 'scope["path"]'}[kind]
    app = printing.replace("PATH,", f"{path},").replace("END)", f'"" if {path}.endswith("half") else "\\n")')
    # Half a line stands in order where Python writes it at once; else it comes with its end, as always.
    server = terminal({"app.py": app}, "app:application", env={"PYTHONUNBUFFERED": "1"})
    paths = [f"/{number}{'half' if number % 2 else ''}" for number in range(20)]
    for path in paths:
        server.get(path)
    server.wait_for_log(f"GET {paths[-1]} ")
    said = re.findall(r"(printed for|GET) (/\d+(?:half)?)", server.log)
    assert said == [(verb, path) for path in paths for verb in ("printed for", "GET")]
    assert end(server) == 0


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=["NO_COLOR", "dumb"])
def test_no_escape_sequence_where_none_is_wanted(terminal: Open, app: str, env: dict[str, str]) -> None:
    server = terminal({"app.py": app}, "app:application", env=env)
    server.get()
    server.edit("app.py", "1 / 0\n")
    server.wait_for_log("ZeroDivisionError")
    assert "\x1b" not in server.raw
    assert end(server) == 0


def test_the_width_follows_the_window(terminal: Open, app: str) -> None:
    broken = "x = 1  # " + "long " * 60 + "\n" + "1 / 0  # " + "long " * 60 + "\n"
    server = terminal({"app.py": app}, "app:application", columns=60)
    server.edit("app.py", broken)
    server.wait_for_log("ZeroDivisionError")
    server.wait_for_log("\n\n")
    assert not [line for line in server.log.splitlines() if len(line) > 60], server.raw
    server.resize(140)
    before = len(server.log)
    server.edit("app.py", "\n" + broken)
    server.wait_for(lambda: "ZeroDivisionError" in server.log[before:], "the error")
    wide = max(len(line) for line in server.log[before:].splitlines())
    assert 100 < wide <= 140, server.raw
    assert end(server) == 0
