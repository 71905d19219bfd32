"""The command line by real processes: targets, options and their sources, addresses, and the surroundings of the command."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from devserver import __version__
from devserver.supervisor.addresses import network_addresses
from tests.e2e.harness import DEADLINE_S, URL, WSGI_APP, DevServer, Serve, alive, write

pytestmark = pytest.mark.e2e

MODULE = [sys.executable, "-m", "devserver"]
SCRIPT = [os.path.join(sysconfig.get_path("scripts"), "devserver")]

FACTS = """
    import json, os, sys

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/json")])
        facts = {"threads": environ["wsgi.multithread"], "greeting": os.environ.get("GREETING"), "argv": sys.argv}
        return [json.dumps(facts).encode()]
"""
"""An app that answers with what it found."""


def saying(text: str, name: str = "application") -> str:
    """The source of an app that answers `text`."""
    return dedent(WSGI_APP).replace('"one"', repr(text)).replace("def application", f"def {name}")


FACTORY = f"def create_app(text='made'):\n    global TEXT\n    TEXT = text\n    return application\n{saying('x')}"


def environment(**changed: str | None) -> dict[str, str]:
    """The environment of a command; None leaves a variable out."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DEVSERVER_")}
    changes = {"PYTHONPATH": None, "NO_COLOR": None, "FORCE_COLOR": None, "VIRTUAL_ENV": None, **changed}
    return {name: value for name, value in {**kept, **changes}.items() if value is not None}


def run(
    *arguments: str, cwd: Path, command: Sequence[str] = MODULE, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A command that is expected to end by itself."""
    return subprocess.run(
        [*command, *arguments],
        cwd=cwd,
        env=env or environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


class RawServer(DevServer):
    """`devserver run` as a process whose streams and environment are a test's own. What it says goes to a file."""

    def __init__(
        self, project: Path, log: Path, *arguments: str, command: Sequence[str] = MODULE, **popen: Any
    ) -> None:
        self.project, self.arguments = project, arguments
        self.host, self.port = "127.0.0.1", 0
        self.log_file = log
        with log.open("wb") as file:
            streams = {"stdin": subprocess.DEVNULL, "stdout": file, "stderr": file, **popen.pop("streams", {})}
            self.process = subprocess.Popen(
                [*command, "run", *arguments],
                cwd=project,
                start_new_session=True,
                **{"env": environment(), **streams, **popen},
            )

    @property
    def log(self) -> str:
        return self.log_file.read_bytes().decode(errors="replace")

    def end(self, signum: int = signal.SIGINT) -> int:
        """End it by a signal; the exit code. Nothing may be left."""
        below = self.below()
        self.process.send_signal(signum)
        code = self.process.wait(DEADLINE_S)
        self.wait_until_gone(below)
        return code


@pytest.fixture
def raw(project: Path, tmp_path: Path) -> Iterator[Callable[..., RawServer]]:
    """Start a command as a RawServer in the project's folder."""
    started: list[RawServer] = []

    def start(*arguments: str, **popen: Any) -> RawServer:
        given = () if "--port" in arguments else ("--port", "0")
        server = RawServer(project, tmp_path / f"log-{len(started)}.txt", *arguments, *given, **popen)
        started.append(server)
        return server

    yield start
    for server in started:
        if server.process.poll() is None:
            server.kill()


@pytest.fixture
def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


# --- targets ---

PACKAGE = {
    "web/__init__.py": "",
    "web/site.py": f"class config:\n    pass\n{saying('dotted')}config.app = application\n",
}


@pytest.mark.parametrize(
    ("files", "target", "label", "text"),
    [
        ({"shop.py": saying("one")}, "shop:application", "shop:application", "one"),
        (PACKAGE, "web.site:config.app", "web.site:config.app", "dotted"),
        ({"shop.py": FACTORY}, "shop:create_app()", "shop:create_app()", "made"),
        ({"shop.py": FACTORY}, "shop:create_app('to order')", "shop:create_app('to order')", "to order"),
        ({"shop.py": saying("found", "app")}, "shop", "shop:app", "found"),
        ({"shop.py": FACTORY.replace("application", "inner")}, "shop", "shop:create_app()", "made"),
        ({"web/shop.py": saying("a file")}, "web/shop.py", "shop:application", "a file"),
        ({"web/shop.py": saying("named", "other")}, "web/shop.py:other", "shop:other", "named"),
        ({"web/__init__.py": "", "web/app.py": saying("below")}, "web", "web.app:application", "below"),
        ({"site/index.html": "<h1>Hello</h1>"}, "site", "site/", "<h1>Hello</h1>"),
        ({"site/index.html": "<h1>Hello</h1>"}, "site/", "site/", "<h1>Hello</h1>"),
    ],
)
def test_every_form_of_target(serve: Serve, files: dict[str, str], target: str, label: str, text: str) -> None:
    server = serve(files, target)
    assert server.get().text == text
    assert f"devserver {__version__}  {label}  " in server.log


@pytest.mark.parametrize(
    ("files", "label", "reason"),
    [
        ({"app.py": saying("one")}, "app:application", "found app.py"),
        ({"main.py": saying("one", "app")}, "main:app", "found main.py"),
        # app.py holds no app, and so is not run
        (
            {"app.py": "raise SystemExit", "application.py": saying("one")},
            "application:application",
            "found application",
        ),
        ({"src/wsgi.py": saying("one")}, "wsgi:application", "found src/wsgi.py"),
        (
            {"pyproject.toml": "[tool.devserver]\ntarget = 'web/x.py'\n", "web/x.py": saying("one"), "app.py": ""},
            "x:application",
            "target in .*pyproject.toml",
        ),
    ],
)
def test_without_a_target_it_says_what_it_chose_and_why(
    serve: Serve, files: dict[str, str], label: str, reason: str
) -> None:
    server = serve(files)
    assert server.get().text == "one"
    assert re.search(rf"  {re.escape(label)}  WSGI app  \({reason}", server.log)


@pytest.mark.parametrize(
    ("target", "message", "hint"),
    [
        ("mysite.wsgi:app", "`mysite.wsgi` has `application`, not `app`", "devserver run mysite.wsgi:application"),
        ("mysite.wsgi:aplication", "`mysite.wsgi` has `application`, not `aplication`", "mysite.wsgi:application"),
        ("mysite.wgsi", "no module named `mysite.wgsi`", "did you mean `mysite.wsgi`?"),
        ("mysit.wsgi", "no module named `mysit.wsgi`", "did you mean `mysite.wsgi`?"),
        ("mysite/wsgy.py", "no file mysite/wsgy.py", "mysite/wsgi.py"),
        ("mysite.wsgi:", "nothing after the colon", "module:app"),
        ("0.0.0.0:8000", "`0.0.0.0:8000` is no module, file or folder", "devserver run --host 0.0.0.0 --port 8000"),
        ("mysite/page.html", "mysite/page.html cannot be imported as a Python file", "devserver run mysite/"),
        (None, "nothing to run in", "name it: devserver run module:app"),
    ],
)
def test_a_wrong_target_is_refused_with_the_close_matches(
    project: Path, target: str | None, message: str, hint: str
) -> None:
    files = {"mysite/__init__.py": "", "mysite/wsgi.py": saying("one"), "mysite/page.html": ""}
    write(project, files if target else {"notes.txt": ""})
    done = run("run", *([target] if target else []), cwd=project)
    assert done.returncode == 2
    assert done.stdout == ""
    first, second = done.stderr.splitlines()
    assert first.startswith(f"devserver: {message}")
    assert second.startswith("  hint: ")
    assert hint in second


def test_what_only_the_import_tells_is_shown_as_a_page(serve: Serve) -> None:
    """The source proves nothing here, so it is no wrong command line: the page stays until the module has the name."""
    source = "globals()['applicatiom'] = None\n"
    server = serve({"app.py": source}, "app:application")
    page = server.wait_for_text("app has no attribute `application`")
    assert page.status == 500
    assert "not loaded yet" in server.log
    server.edit("app.py", saying("one"))
    server.wait_for_text("one")


@pytest.mark.parametrize(
    ("beginning", "shown"),
    [
        ("import os, time\nwhile not os.path.exists('go.txt'): time.sleep(0.01)\n", "still loading"),
        ("import os\nif not os.path.exists('go.txt'): os._exit(3)\n", "exited with code 3"),
    ],
    ids=["hangs", "dies"],
)
def test_the_address_is_told_before_there_is_an_app(serve: Serve, beginning: str, shown: str) -> None:
    server = serve({"app.py": beginning + saying("one")})
    assert "not loaded yet: the page tells why" in server.log
    assert server.wait_for_text(shown).status >= 500
    server.edit("go.txt", "")
    server.wait_for_text("one")
    server.wait_for_log(r"app:application is loaded: serving, 1 module|go.txt changed: (?:restarted|resumed)")
    assert server.log.count(f"devserver {__version__}") == 1


# --- addresses ---


def test_a_port_in_use_is_told_with_its_holder(project: Path) -> None:
    write(project, {"app.py": saying("one")})
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        done = run("run", "--port", str(port), cwd=project)
    assert done.returncode == 1
    first, second = done.stderr.splitlines()
    assert re.fullmatch(rf"devserver: port {port} is in use by \S+ \(pid {os.getpid()}\)", first)
    assert second.endswith("run  devserver run … --port 0  to take any free port")


def test_two_devservers_on_one_port(serve: Serve, project: Path) -> None:
    first = serve({"app.py": saying("one")})
    second = run("run", "--port", str(first.port), cwd=project)
    assert second.returncode == 1
    assert f"port {first.port} is in use by devserver (pid {first.process.pid})" in second.stderr
    assert (
        f"another devserver still runs, started in {project}: stop it with  kill {first.process.pid}" in second.stderr
    )
    assert first.get().text == "one"


def test_the_address_that_is_printed_is_the_true_one(serve: Serve, free_port: int) -> None:
    server = serve({"app.py": saying("one")}, "--port", str(free_port))
    assert f"\n  http://127.0.0.1:{free_port}/\n" in server.log
    assert server.get().text == "one"


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_ipv6(serve: Serve) -> None:
    server = serve({"app.py": saying("one")}, "--host", "::1")
    assert f"\n  http://[::1]:{server.port}/\n" in server.log
    assert server.host == "::1"
    assert server.get(Host=f"[::1]:{server.port}").text == "one"


def test_localhost_is_both_families(serve: Serve) -> None:
    server = serve({"app.py": saying("one")}, "--host", "localhost", wait=False)
    server.port = int(server.wait_for_log(r"\n  http://localhost:(\d+)/\n")[1])
    for server.host in ["127.0.0.1", "::1"] if socket.has_ipv6 else ["127.0.0.1"]:
        assert server.get(Host=f"localhost:{server.port}").text == "one"


def test_all_addresses_are_printed_and_answer(serve: Serve) -> None:
    addresses = network_addresses(socket.AF_INET)
    if not addresses:
        pytest.skip("this machine has no address but loopback")
    server = serve({"app.py": saying("one")}, "--host", "0.0.0.0")
    assert server.host == "127.0.0.1"
    assert server.get().text == "one"
    shown = re.findall(r"\n  http://(\S+):(\d+)/  from other machines", server.log)
    assert shown == [(address, str(server.port)) for address in addresses]
    for server.host, _port in shown:
        assert server.get(Host=f"{server.host}:{server.port}").text == "one"
        assert server.get(Host=f"{socket.gethostname()}:{server.port}").text == "one"
        refused = server.get(Host="rebound.example")
        assert refused.status == 403
        assert "--allowed-host rebound.example" in refused.text


def test_on_loopback_no_other_machine_gets_in(serve: Serve) -> None:
    server = serve({"app.py": saying("one")})
    assert "from other machines" not in server.log
    for address in network_addresses(socket.AF_INET):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address, server.port), timeout=DEADLINE_S)


@pytest.mark.parametrize(
    ("host", "message", "code"),
    [
        ("nowhere.invalid", "devserver: host nowhere.invalid cannot be resolved", 1),
        ("192.0.2.77", "devserver: 192.0.2.77 is not an address of this machine", 1),
        ("127.0.0.1:8000", "devserver: --host 127.0.0.1:8000: a host and a port", 2),
    ],
)
def test_an_unknown_host(project: Path, host: str, message: str, code: int) -> None:
    write(project, {"app.py": saying("one")})
    done = run("run", "--port", "0", "--host", host, cwd=project)
    assert done.returncode == code
    assert done.stderr.startswith(message)
    assert "\n  hint: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_browser_that_asks_for_https_is_told_of(serve: Serve) -> None:
    server = serve({"app.py": saying("one")})
    context = ssl.create_default_context()
    for _ in range(3):
        with server.connect() as sock, pytest.raises((ssl.SSLError, ConnectionError)):
            context.wrap_socket(sock, server_hostname="localhost")
    server.wait_for_log("the browser asked for https")
    assert server.get().text == "one"
    assert server.log.count("asked for https") == 1


# --- without reload ---


def test_no_reload_serves_and_ignores_saves(serve: Serve, project: Path) -> None:
    server = serve({"app.py": saying("one")}, "--no-reload")
    pid = server.server_pid()
    watches = [os.readlink(fd) for fd in Path(f"/proc/{server.process.pid}/fd").iterdir()]
    assert not any("inotify" in target for target in watches)
    server.edit("app.py", saying("two"))
    assert server.get().text == "one"
    assert server.server_pid() == pid
    assert "a saved change restarts it" not in server.log
    assert server.stop() == 0


@pytest.mark.parametrize("mistake", ["1 / 0", "def broken(:", "import sys; sys.exit(5)"])
def test_no_reload_ends_with_a_traceback(project: Path, mistake: str) -> None:
    write(project, {"app.py": f"{mistake}\n{saying('one')}"})
    done = run("run", "app:application", "--no-reload", "--port", "0", cwd=project)
    assert done.returncode == 1
    assert "app.py:1" in done.stderr
    assert mistake in done.stderr
    assert "http://" not in done.stdout


# --- options and where they are written ---


def test_factory(serve: Serve) -> None:
    source = f"def build():\n    return application\n{saying('built')}"
    assert serve({"shop.py": source}, "shop:build", "--factory").get().text == "built"


def test_app_dir(serve: Serve) -> None:
    server = serve(
        {"code/shop.py": "import beside\n" + saying("far"), "code/beside.py": ""}, "shop", "--app-dir", "code"
    )
    assert server.get().text == "far"


def test_env_file_gives_variables_and_a_change_of_it_restarts(serve: Serve) -> None:
    server = serve({"app.py": FACTS, "dev.env": "GREETING=hello\n"}, "--env-file", "dev.env")
    assert json.loads(server.get().text)["greeting"] == "hello"
    server.edit("dev.env", "GREETING='good day'\n")
    server.wait_for_text("good day")


def test_static_folder_beside_the_app(serve: Serve) -> None:
    files = {"app.py": saying("one"), "public/a.css": "a {}", "more/b.js": "1"}
    server = serve(files, "app:application", "--static", "/assets=public", "--static", "/js=more")
    answer = server.get("/assets/a.css")
    assert (answer.text, answer.headers["content-type"]) == ("a {}", "text/css; charset=utf-8")
    assert server.get("/js/b.js").text == "1"
    assert server.get("/assets/none.css").status == 404
    assert server.get("/").text == "one"


def test_allowed_host(serve: Serve) -> None:
    server = serve({"app.py": saying("one")}, "app:application", "--allowed-host", "shop.example", env={"X": "1"})
    assert server.get(Host="shop.example:1234").text == "one"
    assert server.get(Host="other.example").status == 403
    server.wait_for_log(r"GET /  403")


def test_threads_1_is_one_request_at_a_time(serve: Serve) -> None:
    assert json.loads(serve({"app.py": FACTS}, "--threads", "1").get().text)["threads"] is False
    assert json.loads(serve({"app.py": FACTS}, "--threads", "2").get().text)["threads"] is True


def test_no_access_log(serve: Serve) -> None:
    server = serve({"app.py": saying("one")}, "--no-access-log")
    server.get("/quiet")
    server.edit("app.py", saying("two"))
    server.wait_for_text("two")
    server.wait_for_log(r"(?:restarted|resumed)")
    assert "GET " not in server.log


def test_the_app_sees_no_arguments_of_ours(serve: Serve) -> None:
    server = serve({"app.py": FACTS}, "--threads", "3", "app:application")
    (argument,) = json.loads(server.get().text)["argv"]
    assert Path(argument).parent.name == "devserver"


@pytest.mark.parametrize(
    ("arguments", "variables", "greeting"),
    [
        ((), {}, "file"),
        ((), {"DEVSERVER_ENV_FILE": "variable.env"}, "variable"),
        (("--env-file", "flag.env"), {"DEVSERVER_ENV_FILE": "variable.env"}, "flag"),
    ],
)
def test_flag_beats_variable_beats_file(
    serve: Serve, arguments: tuple[str, ...], variables: dict[str, str], greeting: str
) -> None:
    files = {f"{name}.env": f"GREETING={name}" for name in ("file", "variable", "flag")}
    files |= {"app.py": FACTS, "pyproject.toml": "[tool.devserver]\nenv-file = 'file.env'\n"}
    assert json.loads(serve(files, *arguments, env=variables).get().text)["greeting"] == greeting


@pytest.mark.parametrize(
    ("files", "arguments", "variables", "message"),
    [
        ({}, ["--prot", "1"], {}, "no option --prot\n  hint: did you mean --port?"),
        ({}, ["--no-relaod"], {}, "no option --no-relaod\n  hint: did you mean --no-reload"),
        ({}, ["-p", "80"], {}, "no option -p\n  hint: it is written  --port"),
        ({}, ["--port", "x"], {}, "--port x: not a number"),
        ({}, [], {"DEVSERVER_PORT": "x"}, "DEVSERVER_PORT=x: not a number"),
        ({"pyproject.toml": "[tool.devserver]\nport = 70000\n"}, [], {}, "port = 70000 in "),
        ({"pyproject.toml": "[tool.devserver]\nprot = 1\n"}, [], {}, "unknown key `prot` in [tool.devserver] of "),
        ({"pyproject.toml": "[tool.devserver\n"}, [], {}, ""),
        ({}, ["--env-file", "none.env"], {}, "--env-file none.env: no such file"),
        ({}, ["--static", "assets"], {}, "--static assets: not of the form /url=folder"),
    ],
)
def test_wrong_options(
    project: Path, files: dict[str, str], arguments: list[str], variables: dict[str, str], message: str
) -> None:
    write(project, {"app.py": saying("one"), **files})
    done = run("run", *arguments, cwd=project, env=environment(**variables))
    assert done.returncode == 2
    assert done.stderr.startswith(f"devserver: {message}")
    assert "Traceback" not in done.stderr


def test_forgotten_run(project: Path) -> None:
    write(project, {"app.py": saying("one")})
    done = run("app:application", "--port", "1", cwd=project)
    assert (done.returncode, done.stderr) == (
        2,
        "devserver: no command `app:application`\n  hint: to serve it:  devserver run app:application --port 1\n",
    )


# --- the command ---


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"], [], ["run", "--prot"]])
def test_the_module_is_the_command(tmp_path: Path, arguments: list[str]) -> None:
    first, second = (run(*arguments, cwd=tmp_path, command=command) for command in (MODULE, SCRIPT))
    assert (first.returncode, first.stdout, first.stderr) == (second.returncode, second.stdout, second.stderr)


def test_version_and_help(tmp_path: Path) -> None:
    version = run("--version", cwd=tmp_path)
    assert version.stdout.startswith(f"devserver {__version__} (Python {sys.version.split()[0]}, ")
    assert "--reload-exclude GLOB" in run("run", "--help", cwd=tmp_path).stdout


@pytest.mark.parametrize(
    ("arguments", "variables", "colored"),
    [
        ([], {}, False),
        (["--color", "always"], {}, True),
        (["--color", "always"], {"NO_COLOR": "1"}, True),
        ([], {"FORCE_COLOR": "1"}, True),
        ([], {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        (["--color", "never"], {"FORCE_COLOR": "1"}, False),
        ([], {"DEVSERVER_COLOR": "always"}, True),
    ],
)
def test_color(
    raw: Callable[..., RawServer], project: Path, arguments: list[str], variables: dict[str, str], colored: bool
) -> None:
    write(project, {"app.py": saying("one")})
    server = raw(*arguments, env=environment(**variables))
    server.wait_for_address()
    assert server.get().text == "one"
    server.wait_for_log("GET /")
    assert ("\x1b[" in server.log) is colored
    assert server.end() == 0


def test_lines_in_a_file_come_at_once(raw: Callable[..., RawServer], project: Path) -> None:
    write(project, {"app.py": "print('loaded by the app')\n" + saying("one")})
    server = raw()
    server.wait_for_address()
    assert "loaded by the app\n" in server.log
    server.get("/asked")
    server.wait_for_log(r"GET /asked  200")
    server.edit("app.py", saying("two"))
    server.wait_for_log(r"app.py changed: (?:restarted|resumed)")
    assert "\x1b" not in server.log
    assert server.process.poll() is None
    assert server.end() == 0


@pytest.mark.parametrize("active", [True, False])
def test_another_virtual_environment_gets_one_line(raw: Callable[..., RawServer], project: Path, active: bool) -> None:
    write(project, {"app.py": saying("one"), ".venv/pyvenv.cfg": ""})
    folder = str(project / ".venv")
    server = raw(env=environment(VIRTUAL_ENV=folder if active else None))
    server.wait_for_address()
    (line,) = [line for line in server.log.splitlines() if "virtual environment" in line]
    assert f"{folder} is not in use" in line
    assert sys.prefix in line
    assert f"{folder}/bin/python -m pip install devserver" in line


def test_the_environment_in_use_gets_no_line(raw: Callable[..., RawServer], project: Path) -> None:
    write(project, {"app.py": saying("one"), ".venv/pyvenv.cfg": ""})
    server = raw(env=environment(VIRTUAL_ENV=sys.prefix))
    server.wait_for_address()
    assert "virtual environment" not in server.log


# --- interrupted ---


def test_interrupted_while_loading(serve: Serve) -> None:
    server = serve({"app.py": f"print('begins')\nimport time; time.sleep(1000)\n{saying('x')}"}, wait=False)
    server.wait_for_log("begins")
    assert server.stop() == 0
    assert "Traceback" not in server.log


def test_interrupted_before_there_is_a_server(raw: Callable[..., RawServer], project: Path) -> None:
    """The command reads an --env-file that nobody writes to."""
    write(project, {"app.py": saying("one")})
    os.mkfifo(project / "slow.env")
    server = raw("--env-file", "slow.env")
    writer = Writer(project / "slow.env")
    server.wait_for(writer.is_open, "the command to open its file")
    try:
        assert server.end() == 0
    finally:
        writer.close()
    assert server.log == ""


class Writer:
    """The writing end of a FIFO, opened as soon as somebody reads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def is_open(self) -> bool:
        try:
            self._fd = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # ENXIO: nobody reads yet
            return False
        return True

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)


# --- surroundings ---


@pytest.mark.parametrize("closed", [[0], [1], [2], [0, 1], [0, 1, 2]])
def test_closed_streams(raw: Callable[..., RawServer], project: Path, free_port: int, closed: list[int]) -> None:
    """A socket must not get the number of a stream, and so what is meant for a person."""
    write(project, {"app.py": "import sys\nprint('out')\nprint('err', file=sys.stderr)\n" + saying("one")})
    redirections = " ".join(f"{fd}<&-" for fd in closed)
    shell = ["/bin/sh", "-c", f'exec "$@" {redirections}', "sh", *MODULE]
    server = raw("--port", str(free_port), command=shell)
    server.port = free_port
    server.wait_for(lambda: answers(server), "an answer")
    assert server.get().text == "one"
    server.edit("app.py", saying("two"))
    server.wait_for_text("two")
    assert server.end() == 0
    assert "Traceback" not in server.log
    assert ("out\n" in server.log) is (1 not in closed)
    assert ("err\n" in server.log) is (2 not in closed)


def answers(server: DevServer) -> bool:
    try:
        socket.create_connection((server.host, server.port), timeout=DEADLINE_S).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_reader_that_leaves_ends_nothing(raw: Callable[..., RawServer], project: Path) -> None:
    """`devserver run | head -1`"""
    write(project, {"app.py": "print('first line')\n" + saying("one")})
    server = raw(streams={"stdout": subprocess.PIPE})
    assert server.process.stdout is not None
    assert server.process.stdout.readline() == b"first line\n"
    text = b""
    while (match := URL.search(text.decode())) is None:
        text += server.process.stdout.readline()
    server.port = int(match[2])
    server.process.stdout.close()
    assert server.get().text == "one"
    server.edit("app.py", saying("two"))
    server.wait_for_text("two")
    assert server.end() == 0
    assert server.log == ""


def test_a_folder_that_was_removed(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = ["/bin/sh", "-c", 'rmdir "$PWD"; exec "$@"', "sh", *MODULE]
    done = run("run", "--port", "0", cwd=gone, command=script)
    assert done.returncode == 1
    assert done.stderr == "devserver: the current folder does not exist any more\n  hint: cd to one that does\n"


def test_a_folder_that_goes_and_comes_back(serve: Serve, project: Path) -> None:
    server = serve({"app.py": saying("one")})
    assert server.get().text == "one"
    shutil.rmtree(project)
    page = server.wait_for_text("there is no module app")
    assert page.status == 500
    project.mkdir()
    server.edit("app.py", saying("two"))
    server.wait_for_text("two")
    server.edit("app.py", saying("three"))
    server.wait_for_text("three")
    assert server.stop() == 0
    assert "Traceback" not in server.log


_WITHOUT_PRIVILEGE = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE: root writes where it pleases
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="drops a capability of Linux")
def test_a_project_that_cannot_be_written_to(raw: Callable[..., RawServer], project: Path) -> None:
    probe = "import os\ntry:\n    open('probe', 'w')\nexcept OSError as error:\n    print('not writable')\n"
    write(project, {"app.py": probe + "import helper\n" + saying("one"), "helper.py": ""})
    project.chmod(0o555)
    try:
        server = raw(command=[sys.executable, "-ISc", _WITHOUT_PRIVILEGE, *MODULE])
        server.wait_for_address()
        server.wait_for_log("not writable")
        assert server.get().text == "one"
        server.edit("helper.py", "x = 1\n")
        server.wait_for_log(r"helper.py changed: (?:restarted|resumed)")
        assert server.get().text == "one"
        assert server.end() == 0
        assert "Traceback" not in server.log
        assert not (project / "__pycache__").exists()
    finally:
        project.chmod(0o755)


@pytest.mark.parametrize(
    "variables",
    [
        {"HOME": None},
        {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": None},
        {"TERM": None, "PATH": None, "USER": None, "SHELL": None, "COLUMNS": "x"},
    ],
    ids=["no HOME", "ascii", "C locale", "hardly any"],
)
def test_poor_surroundings(raw: Callable[..., RawServer], project: Path, variables: dict[str, str | None]) -> None:
    broken = "x = 'ünï' → 1\n" + saying("one")
    write(project, {"app.py": broken})
    server = raw("app:application", env=environment(**variables))
    server.wait_for_address()
    assert "→" in server.get().text
    server.wait_for_log("SyntaxError")
    server.edit("app.py", saying("öne"))
    server.wait_for_text("öne", "/%C3%A4")
    server.wait_for_log(r"error fixed, (?:restarted|resumed)")
    assert server.end() == 0
    assert "Traceback" not in server.log


def test_flags_of_the_interpreter_reach_the_app(raw: Callable[..., RawServer], project: Path) -> None:
    """And its development mode, which shows what is left open, has nothing to show of ours."""
    source = "import sys\nprint(f'{sys.flags.dev_mode=} {sys.flags.optimize=} {sys.warnoptions=}')\n"
    write(project, {"app.py": source + saying("one")})
    server = raw(command=[sys.executable, "-X", "dev", "-O", "-W", "always::ResourceWarning", "-m", "devserver"])
    server.wait_for_address()
    assert "sys.flags.dev_mode=True sys.flags.optimize=1" in server.log
    assert "'always::ResourceWarning']" in server.log
    server.edit("app.py", source + saying("two"))
    server.wait_for_text("two")
    assert server.end() == 0
    assert "Warning: " not in server.log


def test_many_clients_at_once(serve: Serve) -> None:
    """A classroom on one server: each on a connection of its own that is kept."""
    server = serve({"app.py": saying("one")})
    answers: list[str] = []

    def ask() -> None:
        with closing_connection(server) as connection:
            for _ in range(20):
                connection.request("GET", "/")
                answers.append(connection.getresponse().read().decode())

    clients = [threading.Thread(target=ask, daemon=True) for _ in range(30)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(DEADLINE_S)
    assert answers == ["one"] * 600


@contextmanager
def closing_connection(server: DevServer) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=DEADLINE_S)
    try:
        yield connection
    finally:
        connection.close()


def test_every_process_has_ended_by_then(serve: Serve) -> None:
    server = serve({"app.py": saying("one")})
    below = server.below()
    assert len(below) >= 2  # the root and the server; a checkpoint, where the machine was busy
    assert server.stop() == 0
    assert not any(alive(pid) for pid in below)
