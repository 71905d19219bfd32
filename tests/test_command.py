"""The command line taken apart: help as people see it, mistakes as instructions."""

from __future__ import annotations

import re
import sys
from dataclasses import fields
from textwrap import dedent

import pytest

from devserver import __version__
from devserver.command import parse
from devserver.configuration import configure
from devserver.errors import UsageError
from devserver.options import OPTIONS, Options

HELP = """\
Usage: devserver [OPTIONS] COMMAND …

  A development server that reloads, for Python web apps. Not for production.

Options:
  --version  Show the version and exit.
  --help     Show this message and exit.

Commands:
  run  Serve an app, and reload it when its code changes.

  devserver run --help  lists all options.
"""

RUN_HELP = """\
Usage: devserver run [OPTIONS] [TARGET]

  Serve TARGET, and reload it when its code changes. For development only.

  TARGET can be
    mysite.wsgi:application  a module and the app in it, or 'shop:create_app()'
    mysite.wsgi              one with application, app, create_app or make_app
    web/app.py               a file, or web/app.py:app
    site/                    a folder of HTML files
  Without it: what pyproject.toml says, manage.py, app.py, wsgi.py, asgi.py,
  main.py or application.py.

What to run:
  --interface auto|wsgi|asgi  How to call the app.  [auto]
  --factory                   TARGET is what makes the app: call it.
  --app-dir DIR               Where TARGET is; first on sys.path.  [.]
  --env-file FILE             Variables for the app; those already set stay.

Reloading:
  --[no-]reload               Restart when code that was loaded changes.  [on]
  --reload-dir DIR            Watch this folder too.  [repeatable]
  --reload-include GLOB       Restart for these, read or not.  [repeatable]
  --reload-exclude GLOB       Do not watch these.  [repeatable]
  --[no-]checkpoints          Keep the load in steps to restart from.  [on]
  --[no-]hoist                Import first what an edit does not concern.  [on]
  --[no-]livereload           Pages in browsers follow each change.  [on]
  --poll                      Find changes by polling, for network mounts.

Address:
  --host HOST                 0.0.0.0 lets other machines in.  [127.0.0.1]
  --port PORT                 0 takes a free one.  [8000]
  --allowed-host HOST         Answer to this Host header too.  [repeatable]

Serving:
  --static /URL=DIR           Serve the files of DIR below /URL.  [repeatable]
  --static-files WHEN         Django's own: always, never, auto (DEBUG).  [auto]
  --[no-]checks               Django's system checks and migrations.  [on]
  --threads N                 WSGI requests at a time.  [64]
  --grace SECONDS             Time to finish for requests in flight.  [2]

Errors:
  --[no-]console              A prompt in error pages, on loopback only.  [on]
  --editor EDITOR             Opens the code that error pages show.  [found]
  --framework-errors          The framework's error page comes first.
  --[no-]browser-errors       Print the errors of pages in the terminal.  [on]
  --full-tracebacks           List the calls in libraries too.
  --slow-callbacks SECONDS    Name what holds up the event loop longer.  [0]

Output:
  --[no-]access-log           One line per request.  [on]
  --color auto|always|never   auto honours NO_COLOR, FORCE_COLOR.  [auto]

Other:
  --version                   Show the version and exit.
  --help                      Show this message and exit.

  Each option can also be a variable (--port: DEVSERVER_PORT) or a key of
  [tool.devserver] in pyproject.toml.
"""


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "82")  # click keeps two columns free


@pytest.mark.parametrize(
    ("arguments", "text"),
    [([], HELP), (["--help"], HELP), (["run", "--help"], RUN_HELP), (["run", "x", "--help"], RUN_HELP)],
)
def test_help(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert parse(arguments) is None
    assert capsys.readouterr().out == text


def test_help_lists_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    parse(["run", "--help"])
    shown = capsys.readouterr().out
    for option in OPTIONS:
        assert option.flags[0].removeprefix("--") in shown
        assert option.metavar in shown


@pytest.mark.parametrize("arguments", [["--version"], ["run", "--version"], ["run", "--port", "x", "--version"]])
def test_version(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert parse(arguments) is None
    assert capsys.readouterr().out.startswith(f"devserver {__version__} (Python {sys.version.split()[0]}, ")


def test_nothing_given_is_nothing_set() -> None:
    flags = parse(["run"])
    assert flags is not None
    assert set(flags) == {field.name for field in fields(Options)}
    assert configure(flags, {}, "/").options == Options()


def test_all_given(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("all")
    (folder / ".env").touch()
    line = dedent(
        """
        run shop.wsgi:app --interface wsgi --factory --app-dir . --env-file .env --no-reload --reload-dir . --reload-dir .
        --reload-include *.po --reload-exclude *.log --poll --host ::1 --port 0 --allowed-host shop.test --static /s=.
        --threads 4 --grace 0.5 --no-access-log --color never
        """
    )
    flags = parse(line.split())
    assert flags is not None
    assert configure(flags, {}, str(folder)).options == Options(
        target="shop.wsgi:app",
        interface="wsgi",  # type: ignore[arg-type]  # equal to its text
        factory=True,
        app_dir=str(folder),
        env_file=str(folder / ".env"),
        reload=False,
        reload_dir=(str(folder), str(folder)),
        reload_include=("*.po",),
        reload_exclude=("*.log",),
        poll=True,
        host="::1",
        port=0,
        allowed_host=("shop.test",),
        static=(f"/s={folder}",),
        threads=4,
        grace=0.5,
        access_log=False,
        color="never",  # type: ignore[arg-type]
    )


def test_switches_both_ways() -> None:
    for switch in ("reload", "access-log", "factory", "poll"):
        name = switch.replace("-", "_")
        on, off = parse(["run", f"--{switch}"]), parse(["run", f"--no-{switch}"])
        assert on is not None
        assert off is not None
        assert (on[name], off[name]) == (True, False)


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("runn", "no command `runn`", "did you mean  devserver run  ?"),
        ("rum --port 1", "no command `rum`", "did you mean  devserver run --port 1  ?"),
        ("serve app", "no command `serve`", "did you mean  devserver run app  ?"),
        ("runserver", "no command `runserver`", "did you mean  devserver run  ?"),
        ("mysite.wsgi:application", "no command `mysite.wsgi:application`", "devserver run mysite.wsgi:application"),
        ("app:create_app()", "no command `app:create_app()`", "devserver run 'app:create_app()'"),
        ("run.py --port 1", "no command `run.py`", "devserver run run.py --port 1"),
        ("--port 8000", "--port is an option of run", "devserver run --port 8000"),
        ("--no-reload app", "--no-reload is an option of run", "devserver run --no-reload app"),
        ("--prot 8000", "no option --prot", "did you mean --port?"),
        ("--xyzzy", "no option --xyzzy", "devserver --help  shows how"),
        ("run --prot 8000", "no option --prot", "did you mean --port?"),
        ("run --no-relaod", "no option --no-relaod", "did you mean --no-reload or --no-livereload?"),
        ("run --xyzzy 4", "no option --xyzzy", "devserver run --help  lists all options"),
        ("run --workers 4", "no option --workers", "leave it out: one process serves"),
        ("run -p 80", "no option -p", "it is written  --port"),
        ("run --app flaskr", "no option --app", "the app needs no option:  devserver run module:app"),
        ("run -b :80", "no option -b", "it is written  --host ADDRESS --port PORT"),
        ("run --port", "option '--port' requires an argument", "devserver run --help  lists all options"),
        ("run --reload=1", "option '--reload' does not take a value", "devserver run --help  lists all options"),
        ("run a b", "got unexpected extra argument (b)", "one TARGET at a time; options begin with two dashes"),
        ("run app.py 8001", "got unexpected extra argument (8001)", "devserver run app.py --port 8001"),
        ("run manage.py runserver", "got unexpected extra argument (runserver)", "devserver run manage.py"),
        (
            "run --grace 3 manage.py runserver 8001",
            "got unexpected extra arguments (runserver 8001)",
            "devserver run --grace 3 manage.py --port 8001",
        ),
        ("run a b c", "got unexpected extra arguments (b c)", "one TARGET at a time; options begin with two dashes"),
    ],
)
def test_mistakes(line: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(line.split())
    assert caught.value.message == message
    assert hint in (caught.value.hint or "")
    assert caught.value.exit_code == 2


def test_a_target_that_exists_is_no_typing_mistake(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))
    with open("serve.py", "w"):
        pass
    with pytest.raises(UsageError) as caught:
        parse(["serve"])
    assert caught.value.hint == "to serve it:  devserver run serve"


def test_help_fits_into_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    parse(["run", "--help"])
    for line in capsys.readouterr().out.splitlines():
        assert len(line) <= 80
        assert not re.search(r"\s$", line)
