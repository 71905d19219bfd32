"""What the server must survive, by real processes, for WSGI and ASGI."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import threading
import time
from textwrap import dedent

import pytest

from tests.e2e.harness import APPS, DevServer, Serve, alive


def broken(app: str) -> str:
    return app + "\n    def broken(:\n"


# --- 1. mistakes ---


@pytest.mark.either_kind
def test_a_typo_shows_and_heals(serve: Serve, app: str) -> None:
    server = serve({"app.py": app}, "app:application")
    server.wait_for_text("one")
    server.edit("app.py", broken(app))
    page = server.wait_for_text("SyntaxError", Accept="text/html")
    assert page.status == 500
    assert "app.py" in page.text
    assert "def broken(:" in re.sub(r"<[^>]+>", "", page.text)
    plain = server.get(Accept="*/*")
    assert plain.status == 500
    assert plain.headers["content-type"].startswith("text/plain")
    assert "app.py" in plain.text
    assert "def broken(:" in plain.text
    as_json = server.get(Accept="application/json")
    assert as_json.headers["content-type"].startswith("application/json")
    assert "SyntaxError" in json.dumps(json.loads(as_json.text))
    server.edit("app.py", app.replace("one", "two"))
    server.wait_for_text("two")
    server.wait_for_log("error fixed")


@pytest.mark.parametrize(
    ("mistake", "shown"),
    [
        ("import nowhere_to_be_found", "nowhere_to_be_found"),
        ("import sys; sys.exit('I leave')", "I leave"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
@pytest.mark.either_kind
def test_broken_at_the_first_start(serve: Serve, app: str, mistake: str, shown: str) -> None:
    server = serve({"app.py": f"{mistake}\n{dedent(app)}"}, "app:application")
    page = server.wait_for_text(shown, Accept="text/html")
    assert page.status == 500
    server.edit("app.py", app)
    server.wait_for_text("one")


@pytest.mark.either_kind
def test_an_error_in_a_view_has_its_place(serve: Serve, app: str) -> None:
    server = serve({"app.py": app.replace('TEXT = "one"', "")}, "app:application")
    page = server.wait_for_text("NameError", Accept="text/html")
    assert page.status == 500
    assert "TEXT" in page.text
    server.wait_for_log("NameError")
    server.edit("app.py", app)
    server.wait_for_text("one")


# --- 2. loads that do not end ---


@pytest.mark.parametrize(
    "hang",
    [
        "import threading; threading.Event().wait()",
        # In C code that holds the GIL for good.
        "import re; re.match(r'(a+)+$', 'a' * 60 + 'b')",
    ],
    ids=["waiting", "C code with the GIL"],
)
@pytest.mark.either_kind
def test_a_load_that_hangs_shows_where(serve: Serve, app: str, hang: str) -> None:
    server = serve({"app.py": app}, "app:application")
    server.edit("app.py", hang + "\n")
    page = server.wait_for_text("still loading", Accept="text/html")
    assert page.status == 503
    assert "app.py" in page.text
    server.edit("app.py", app.replace("one", "two"))
    server.wait_for_text("two")


@pytest.mark.either_kind
def test_a_slow_load_ends_its_page(serve: Serve, app: str, project: object) -> None:
    waiting = "import pathlib, time\nwhile not pathlib.Path('go.txt').exists(): time.sleep(0.01)\n"
    server = serve({"app.py": app}, "app:application")
    server.edit("app.py", waiting + dedent(app.replace("one", "two")))
    server.wait_for_text("still loading")
    server.edit("go.txt", "go")
    server.wait_for_text("two")


# --- 3. deaths ---


@pytest.mark.parametrize(
    ("death", "told"),
    [
        ("import os; os._exit(7)", "exited with code 7"),
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
    ],
)
@pytest.mark.either_kind
def test_a_death_in_a_request(serve: Serve, app: str, death: str, told: str) -> None:
    deadly = app.replace('if path == "/pid"', 'if path == "/pid" or die(path)').replace(
        'if scope["path"] == "/pid"', 'if scope["path"] == "/pid" or die(scope["path"])'
    )
    source = deadly + f"\n    def die(path):\n        if path == '/die':\n            {death}\n"
    server = serve({"app.py": source}, "app:application")
    pid = server.server_pid()
    thread, answers = ask_in_background(server, "/die")
    thread.join(30)
    assert answers in (["RemoteDisconnected"], ["ConnectionResetError"])
    assert server.server_pid() != pid
    server.wait_for_log(told)
    if "ctypes" in death:
        server.wait_for_log(r"app\.py:\d+ in die")


@pytest.mark.either_kind
def test_dying_again_and_again_at_start_waits_for_a_save(serve: Serve, app: str) -> None:
    server = serve({"app.py": f"import os; os._exit(9)\n{dedent(app)}"}, "app:application", wait=False)
    server.wait_for_log("keeps dying")
    assert server.log.count("exited with code 9") == 3
    server.edit("app.py", app)
    server.wait_for_address()
    server.wait_for_text("one")


@pytest.mark.either_kind
def test_the_page_tells_of_the_deaths(serve: Serve, app: str) -> None:
    server = serve({"app.py": app}, "app:application")
    server.edit("app.py", "import os; os._exit(9)\n")
    page = server.wait_for_text("exited with code 9", Accept="text/html")
    assert page.status >= 500
    server.edit("app.py", app)
    server.wait_for_text("one")


WRITES_TO_ALL = """
for fd in range(3, 100):
    try:
        os.write(fd, b"nonsense\\n")
    except OSError:
        pass
"""


@pytest.mark.parametrize("mistake", ["os.closerange(3, 1000)", WRITES_TO_ALL], ids=["closes", "writes"])
@pytest.mark.either_kind
def test_descriptors_that_are_not_the_apps(serve: Serve, app: str, mistake: str) -> None:
    server = serve({"app.py": f"import os\n{mistake}\n{dedent(app)}"}, "app:application", wait=False)
    server.wait_for_log("the app has cut its process off from devserver")
    server.edit("app.py", app)
    server.wait_for_address()
    server.wait_for_text("one")


# --- 4. to 7. what is still going on when a save comes ---


@pytest.mark.either_kind
def test_threads_started_at_import(serve: Serve, app: str) -> None:
    thread = "\n    import threading, time\n    threading.Thread(target=time.sleep, args=(1000,)).start()\n"
    server = serve({"app.py": app + thread}, "app:application")
    server.wait_for_text("one")
    server.edit("app.py", app.replace("one", "two") + thread)
    server.wait_for_text("two")
    assert server.stop() == 0


BUSY = {
    "wsgi": """
    import os, time
    def application(environ, start_response):
        if environ["PATH_INFO"] == "/slow":
            print("slow begins", flush=True)
            WORK
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [TEXT.encode()]
    TEXT = "one"
    """,
    "asgi": """
    import asyncio, os
    async def application(scope, receive, send):
        assert scope["type"] == "http"
        if scope["path"] == "/slow":
            print("slow begins", flush=True)
            WORK
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": TEXT.encode()})
    TEXT = "one"
    """,
}
SLOW = {
    "wsgi": BUSY["wsgi"].replace("WORK", "while not os.path.exists('go'): time.sleep(0.01)"),
    "asgi": BUSY["asgi"].replace("WORK", "while not os.path.exists('go'): await asyncio.sleep(0.01)"),
}
"""What comes from /slow is ready when there is a file `go`."""


def ask_in_background(server: DevServer, path: str) -> tuple[threading.Thread, list[str]]:
    """Ask on a connection of its own; the list gets the answer, or the name of the error."""
    answers: list[str] = []

    def ask() -> None:
        connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
        try:
            connection.request("GET", path)
            answers.append(connection.getresponse().read().decode())
        except (OSError, http.client.HTTPException) as error:
            answers.append(type(error).__name__)
        connection.close()

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    return thread, answers


def test_a_slow_request_ends_well_within_the_grace(serve: Serve, kind: str) -> None:
    server = serve({"app.py": SLOW[kind]}, "app:application", "--grace", "60")
    thread, answers = ask_in_background(server, "/slow")
    server.wait_for_log("slow begins")
    server.edit("app.py", SLOW[kind].replace('"one"', '"two"'))
    server.wait_for_text("two")
    assert answers == []  # new code answers while the old still works
    server.edit("go", "")
    thread.join(30)
    assert answers == ["one"]


def test_a_second_save_cuts_no_request_short(serve: Serve, kind: str) -> None:
    """A formatter that runs after each save, two files saved one after the other."""
    server = serve({"app.py": SLOW[kind]}, "app:application", "--grace", "60")
    thread, answers = ask_in_background(server, "/slow")
    server.wait_for_log("slow begins")
    for text in ("two", "three"):
        server.edit("app.py", SLOW[kind].replace('"one"', f'"{text}"'))
        server.wait_for_text(text)
    server.edit("go", "")
    thread.join(30)
    assert answers == ["one"]


def test_a_slow_request_is_cut_at_the_deadline(serve: Serve, kind: str) -> None:
    source = SLOW[kind]
    server = serve({"app.py": source}, "app:application", "--grace", "0.5")
    thread, answers = ask_in_background(server, "/slow")
    server.wait_for_log("slow begins")
    server.edit("app.py", source.replace('"one"', '"two"'))
    server.wait_for_text("two")
    thread.join(30)
    assert len(answers) == 1
    assert answers != ["one"]


def test_a_request_that_never_ends_does_not_hold_up_the_new_code(serve: Serve, kind: str) -> None:
    source = BUSY[kind].replace("WORK", "any(iter(int, 1))")
    server = serve({"app.py": source}, "app:application", "--grace", "0.5")
    thread, _answers = ask_in_background(server, "/slow")
    server.wait_for_log("slow begins")
    server.edit("app.py", source.replace('"one"', '"two"'))
    server.wait_for_log("app.py changed: ")  # before, the old server may accept a request and never get to it
    server.wait_for_text("two")
    thread.join(30)
    assert not thread.is_alive()


STREAM = {
    "wsgi": """
    import time
    def application(environ, start_response):
        if environ["PATH_INFO"] == "/events":
            start_response("200 OK", [("Content-Type", "text/event-stream")])
            return events()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [TEXT.encode()]
    def events():
        while True:
            yield b"data: x\\n\\n"
            time.sleep(0.05)
    TEXT = "one"
    """,
    "asgi": """
    import asyncio
    async def application(scope, receive, send):
        assert scope["type"] == "http"
        if scope["path"] == "/events":
            await send({"type": "http.response.start", "status": 200,
                        "headers": [(b"content-type", b"text/event-stream")]})
            while True:
                await send({"type": "http.response.body", "body": b"data: x\\n\\n", "more_body": True})
                await asyncio.sleep(0.05)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": TEXT.encode()})
    TEXT = "one"
    """,
}


def test_an_open_event_stream_delays_nothing(serve: Serve, kind: str) -> None:
    server = serve({"app.py": STREAM[kind]}, "app:application", "--grace", "30")
    connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
    connection.request("GET", "/events")
    response = connection.getresponse()
    assert response.read(9) == b"data: x\n\n"
    old = server.below()[-1:]  # the chain ends with the server
    server.edit("app.py", STREAM[kind].replace('"one"', '"two"'))
    server.wait_for_text("two")
    while response.read1(1000):  # it ends properly
        pass
    connection.close()
    server.wait_until_gone(old, deadline_s=10)  # long before the grace is over


# --- 9. and 10. files ---


@pytest.mark.either_kind
def test_a_module_that_comes_late(serve: Serve, app: str) -> None:
    server = serve({"app.py": "import late\n" + dedent(app)}, "app:application")
    server.wait_for_text("late")
    server.edit("late.py", "x = 1\n")
    server.wait_for_text("one")


@pytest.mark.either_kind
def test_a_module_that_goes(serve: Serve, app: str, project: object) -> None:
    server = serve({"app.py": "import other\n" + dedent(app), "other.py": "x = 1"}, "app:application")
    server.wait_for_text("one")
    (server.project / "other.py").unlink()
    server.wait_for_text("other")
    assert server.get().status == 500


@pytest.mark.either_kind
def test_a_package_takes_the_place_of_a_module(serve: Serve, app: str) -> None:
    source = "from other import TEXT\n" + dedent(app).replace('TEXT = "one"', "")
    server = serve({"app.py": source, "other.py": "TEXT = 'module'"}, "app:application")
    server.wait_for_text("module")
    server.edit("other/__init__.py", "TEXT = 'package'")
    server.wait_for_text("package")


@pytest.mark.either_kind
def test_what_changes_nothing_restarts_nothing(serve: Serve, app: str) -> None:
    server = serve({"app.py": app, "notes.txt": "x", "unused.py": "x = 1"}, "app:application")
    pid = server.server_pid()
    server.edit("app.py", app)  # the same bytes
    os.utime(server.project / "app.py")
    (server.project / "app.py").chmod(0o600)
    server.edit("notes.txt", "y")
    server.edit("unused.py", "x = 2")
    server.edit("new_unused.py", "x = 2")
    # A change that counts comes after the others: what they caused would have been seen by then.
    assert server.server_pid() == pid
    server.edit("app.py", app.replace("one", "two"))
    server.wait_for_text("two")
    server.wait_for_log(r"(?:restarted|resumed)")  # the line may come after the answer
    assert len(re.findall("restarted|resumed", server.log)) == 1
    assert server.server_pid() != pid


@pytest.mark.either_kind
def test_two_saves_of_equal_size_within_a_second(serve: Serve, app: str) -> None:
    server = serve({"app.py": app}, "app:application")
    stamp = time.time_ns()
    for text in ("two", "six", "ten"):
        server.edit("app.py", app.replace("one", text))
        os.utime(server.project / "app.py", ns=(stamp, stamp))  # as rsync -t and docker do
        server.wait_for_text(text)


# --- 11. and 12. processes ---

CHILD = """
    import subprocess, sys
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"], start_new_session=NEW)
    print("child", child.pid, flush=True)
"""


@pytest.mark.parametrize("own_session", [False, True])
@pytest.mark.either_kind
def test_children_of_the_app_end_with_it(serve: Serve, app: str, own_session: bool) -> None:
    source = app + CHILD.replace("NEW", str(own_session))
    server = serve({"app.py": source}, "app:application")
    child = int(server.wait_for_log(r"child (\d+)")[1])
    assert alive(child)
    server.edit("app.py", source.replace("one", "two"))
    server.wait_for_text("two")
    server.wait_until_gone([child])
    second = int(server.wait_for_log(r"child (\d+)", count=2)[1])
    assert alive(second)
    server.stop()
    server.wait_until_gone([second])


def port_is_free(port: int) -> bool:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@pytest.mark.parametrize("own_session", [False, True])
@pytest.mark.either_kind
def test_a_killed_supervisor_leaves_nothing_while_serving(serve: Serve, app: str, own_session: bool) -> None:
    server = serve({"app.py": app + CHILD.replace("NEW", str(own_session))}, "app:application")
    server.wait_for_text("one")
    below = server.below()
    assert len(below) >= 3
    server.process.kill()
    server.process.wait(5)
    server.wait_until_gone(below, deadline_s=5)
    assert port_is_free(server.port)


@pytest.mark.parametrize(
    "hang", ["import time; time.sleep(1000)", "import re; re.match(r'(a+)+$', 'a' * 60 + 'b')"], ids=["asleep", "GIL"]
)
@pytest.mark.either_kind
def test_a_killed_supervisor_leaves_nothing_while_loading(serve: Serve, app: str, hang: str) -> None:
    server = serve({"app.py": f"print('begins', flush=True)\n{hang}\n{dedent(app)}"}, "app:application", wait=False)
    server.wait_for_log("begins")
    below = server.below()
    server.process.kill()
    server.process.wait(5)
    server.wait_until_gone(below)


def test_a_killed_supervisor_leaves_nothing_while_draining(serve: Serve, kind: str) -> None:
    source = SLOW[kind]
    server = serve({"app.py": source}, "app:application", "--grace", "60")
    thread, _answers = ask_in_background(server, "/slow")
    server.wait_for_log("slow begins")
    server.edit("app.py", source.replace('"one"', '"two"'))
    server.wait_for_text("two")
    below = server.below()
    server.process.kill()
    server.process.wait(5)
    server.wait_until_gone(below)
    thread.join(10)
    assert port_is_free(server.port)


@pytest.mark.either_kind
def test_a_killed_server_comes_back(serve: Serve, app: str) -> None:
    server = serve({"app.py": app}, "app:application")
    pid = server.server_pid()
    os.kill(pid, signal.SIGKILL)
    server.wait_for_log("SIGKILL")
    assert server.server_pid() != pid


@pytest.mark.either_kind
def test_a_killed_root_comes_back(serve: Serve, app: str) -> None:
    server = serve({"app.py": app}, "app:application")
    old = server.below()
    root, *_ = server.below()
    os.kill(root, signal.SIGKILL)
    server.wait_for_log(r"root process ended: (?:restarted|resumed)")
    server.wait_for_text("one")
    server.wait_until_gone(old)


EXCLUSIVE = {
    "port": "import socket\nheld = socket.create_server(('127.0.0.1', PORT))\n",
    "lock": "import fcntl\nheld = open('lockfile', 'w')\nfcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
}


@pytest.mark.parametrize("what", list(EXCLUSIVE))
@pytest.mark.either_kind
def test_an_app_that_holds_something_of_its_own_restarts(serve: Serve, app: str, what: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    source = EXCLUSIVE[what].replace("PORT", str(port)) + dedent(app)
    server = serve({"app.py": source}, "app:application")
    for text in ("two", "three"):
        server.edit("app.py", source.replace("one", text))
        assert server.wait_for_text(text).status == 200
    assert "OSError" not in server.log


# --- 13. names ---


@pytest.mark.parametrize(
    "name",
    ["websockets.py", "click.py", "random.py", "email/__init__.py", "uvicorn.py", "asyncio.py", "pygments/__init__.py"],
)
@pytest.mark.either_kind
def test_files_with_the_names_of_modules_kill_nothing(serve: Serve, app: str, name: str) -> None:
    server = serve({"app.py": app, name: "raise RuntimeError('the user wrote this')\n"}, "app:application")
    server.wait_for_text("one")


# --- the end ---


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_everything(serve: Serve, kind: str, signum: int) -> None:
    server = serve({"app.py": APPS[kind]}, "app:application")
    server.wait_for_text("one")
    assert server.stop(signum) == 0
    assert port_is_free(server.port)


def test_a_second_interrupt_ends_at_once(serve: Serve, kind: str) -> None:
    source = SLOW[kind]
    server = serve({"app.py": source}, "app:application", "--grace", "600")
    thread, _answers = ask_in_background(server, "/slow")
    server.wait_for_log("slow begins")
    below = server.below()
    server.process.send_signal(signal.SIGINT)
    server.wait_for_log("Ctrl-C again ends at once")
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(10) == 0
    server.wait_until_gone(below)
    thread.join(10)
