"""The command as a whole: what starts when, what is printed where, which status it ends with."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from devserver.cli import execute, refuse_platform, starts_server
from devserver.errors import ListenError, PlatformError
from devserver.options import Options
from devserver.supervisor.process import RootProcess
from devserver.target import Target

ROOT = Path(__file__).parents[1]


class Root:
    """Stands in for the process that is spawned."""

    def __init__(self) -> None:
        self.abandoned = False

    def abandon(self) -> None:
        self.abandoned = True


class Supervisor:
    """Stands in for what runs until the end."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.root = Root()
        self.status: int | BaseException = 0
        self.options: Options | None = None
        self.target: Target | None = None
        self.argv: Sequence[str] = ()

    def spawn(self) -> RootProcess:
        self.log.append("spawned")
        return self.root  # type: ignore[return-value]

    def serve(self, options: Options, target: Target, argv: Sequence[str], root: RootProcess) -> int:
        assert id(root) == id(self.root)
        self.log.append("served")
        self.options, self.target, self.argv = options, target, argv
        if isinstance(self.status, BaseException):
            raise self.status
        return self.status


Run = Callable[..., int]


@pytest.fixture
def supervisor() -> Supervisor:
    return Supervisor()


@pytest.fixture
def run(supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("DEVSERVER_")]:
        monkeypatch.delenv(name)
    for name in ("NO_COLOR", "FORCE_COLOR", "DJANGO_SETTINGS_MODULE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    (tmp_path / "app.py").write_text("app = 1\n")
    (tmp_path / "pyproject.toml").write_text("")

    def run(*arguments: str, platform: str = "linux") -> int:
        return execute(["devserver", *arguments], platform=platform, spawn=supervisor.spawn, serve=supervisor.serve)

    return run


def test_run(run: Run, supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.status = 3
    assert run("run", "--port", "0") == 3
    assert supervisor.log == ["spawned", "served"]
    assert not supervisor.root.abandoned
    assert supervisor.options is not None
    assert supervisor.options.port == 0
    assert supervisor.target is not None
    assert supervisor.target.path == str(tmp_path / "app.py")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run"], True),
        (["run", "app:app"], True),
        (["run", "--help"], False),
        (["run", "app", "--version"], False),
        ([], False),
        (["--help"], False),
        (["runn"], False),
    ],
)
def test_what_starts_a_server_is_guessed_before_parsing(arguments: list[str], expected: bool) -> None:
    assert starts_server(["devserver", *arguments]) is expected


@pytest.mark.parametrize("arguments", [[], ["--help"], ["--version"], ["run", "--help"], ["run", "--version"]])
def test_help_and_version_spawn_nothing(run: Run, supervisor: Supervisor, arguments: list[str]) -> None:
    assert run(*arguments) == 0
    assert supervisor.log == []


def test_a_server_that_was_not_guessed_starts_too(run: Run, supervisor: Supervisor) -> None:
    assert run("--", "run") == 0
    assert supervisor.log == ["spawned", "served"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--prot", "1"], "devserver: no option --prot\n  hint: did you mean --port?\n"),
        (["run", "--port", "x"], "devserver: --port x: not a number\n  hint: give a whole number from 0 to 65535\n"),
        (["run", "ap:app"], "devserver: no module named `ap`\n  hint: did you mean `app:app`?\n"),
        (["run", "app:ap"], "devserver: `app` has `app`, not `ap`\n  hint: devserver run app:app\n"),
    ],
)
def test_usage_errors(
    run: Run, supervisor: Supervisor, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run(*arguments) == 2
    assert supervisor.log == ["spawned"]
    assert supervisor.root.abandoned
    captured = capsys.readouterr()
    assert captured.err == message
    assert captured.out == ""


def test_errors_of_the_start(run: Run, supervisor: Supervisor, capsys: pytest.CaptureFixture[str]) -> None:
    supervisor.status = ListenError("port 8000 is in use", hint="stop it")
    assert run("run") == 1
    assert supervisor.root.abandoned
    assert capsys.readouterr().err == "devserver: port 8000 is in use\n  hint: stop it\n"


def test_ctrl_c_during_the_start_is_no_error(
    run: Run, supervisor: Supervisor, capsys: pytest.CaptureFixture[str]
) -> None:
    supervisor.status = KeyboardInterrupt()
    assert run("run") == 0
    assert supervisor.root.abandoned
    assert capsys.readouterr().err == ""


def test_our_own_bugs_are_shown_whole(run: Run, supervisor: Supervisor) -> None:
    supervisor.status = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        run("run")
    assert supervisor.root.abandoned


@pytest.mark.parametrize(
    ("arguments", "environ", "colored"),
    [
        ([], {}, False),
        (["--color", "always"], {}, True),
        ([], {"FORCE_COLOR": "1"}, True),
        (["--color", "never"], {"FORCE_COLOR": "1"}, False),
    ],
)
def test_errors_have_colour_as_wished(
    run: Run,
    supervisor: Supervisor,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    environ: Mapping[str, str],
    colored: bool,
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    supervisor.status = ListenError("no")
    run("run", *arguments)
    assert ("\x1b[" in capsys.readouterr().err) is colored


def test_the_app_finds_no_arguments_of_ours(run: Run, supervisor: Supervisor) -> None:
    assert run("run", "--threads", "3", "app:app") == 0
    assert supervisor.argv == ["devserver"]


def test_a_django_project_finds_the_arguments_of_runserver(run: Run, supervisor: Supervisor, tmp_path: Path) -> None:
    (tmp_path / "manage.py").write_text("import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site.dev')\n")
    assert run("run") == 0
    assert supervisor.argv == [str(tmp_path / "manage.py"), "runserver"]


@pytest.mark.parametrize("platform", ["win32", "cygwin", "msys"])
def test_windows_is_refused(
    run: Run, supervisor: Supervisor, capsys: pytest.CaptureFixture[str], platform: str
) -> None:
    with pytest.raises(PlatformError):
        refuse_platform(platform)
    assert run("run", platform=platform) == 1
    assert supervisor.log == []
    assert "WSL" in capsys.readouterr().err


@pytest.mark.parametrize("platform", ["linux", "darwin", "freebsd14"])
def test_others_are_not_refused(run: Run, platform: str) -> None:
    assert run("run", platform=platform) == 0


# --- where the target comes from ---


def test_target_of_pyproject_starts_in_its_folder(
    run: Run, supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.devserver]\ntarget = "web/site.py"\n')
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "site.py").write_text("app = 1\n")
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    assert run("run") == 0
    assert supervisor.target is not None
    assert supervisor.target.path == str(tmp_path / "web" / "site.py")
    assert supervisor.target.reason == f"target in {tmp_path / 'pyproject.toml'}"


def test_target_of_the_environment(run: Run, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVSERVER_TARGET", "app:app")
    assert run("run") == 0
    assert supervisor.target is not None
    assert (supervisor.target.label, supervisor.target.reason) == ("app:app", "DEVSERVER_TARGET")


def test_settings_may_stand_in_the_env_file(run: Run, supervisor: Supervisor, tmp_path: Path) -> None:
    (tmp_path / "manage.py").write_text("import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site.dev')\n")
    (tmp_path / ".env").write_text("DJANGO_SETTINGS_MODULE=site.local\n")
    assert run("run", "--env-file", ".env") == 0
    assert supervisor.target is not None
    assert supervisor.target.module == "site.local"


def test_another_virtual_environment_gets_one_line(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "pyvenv.cfg").touch()
    monkeypatch.delenv("VIRTUAL_ENV")
    assert run("run") == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"devserver: warning: the virtual environment {tmp_path}/.venv is not in use")


def test_a_folder_that_was_removed(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    assert run("run") == 1
    assert "the current folder does not exist any more" in capsys.readouterr().err


# --- as a process ---


def command(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_python_m_devserver() -> None:
    ran = command("-m", "devserver", "--version")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("devserver ")
    ran = command("-m", "devserver", "runn")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "devserver: no command `runn`\n  hint: did you mean  devserver run  ?\n"


def test_nothing_slow_is_imported_before_the_root_is_spawned(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("app = 1\n")
    code = """
import sys
from devserver import cli
slow = {"click", "pygments", "watchfiles", "werkzeug", "uvicorn", "asyncio", "dotenv", "tomllib", "devserver.options"}
def spawn():
    print(sorted(slow & sys.modules.keys()))
    raise SystemExit(7)
sys.exit(cli.execute(["devserver", "run"], spawn=spawn))
"""
    ran = command("-c", code, cwd=tmp_path)
    assert (ran.stdout, ran.stderr, ran.returncode) == ("[]\n", "", 7)


def test_spawning_itself_is_cheap() -> None:
    code = "import sys; import devserver.supervisor.process; print('click' in sys.modules, 'watchfiles' in sys.modules)"
    assert command("-c", code).stdout == "False False\n"


def test_output_into_a_closed_pipe_is_quiet() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "devserver", "run", "--help"],
            cwd=ROOT,
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writer)
    assert ran.stderr == ""
