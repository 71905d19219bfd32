"""The command `devserver`: argv, environment and pyproject.toml → Options → supervisor; its exit status.

Runs in the process that becomes the supervisor. Rules that hold: the root is spawned before click or anything else that is
slow is imported, and is given up again if the command line turns out to be wrong; every error that a person is meant
to read looks the same, click's included.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys

from devserver.errors import DevServerError, PlatformError

TYPE_CHECKING = False  # importing typing for it would hold up the spawn of the root
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from devserver.configuration import Configuration
    from devserver.options import Options
    from devserver.supervisor.process import RootProcess
    from devserver.target import Target

    Spawn = Callable[[], RootProcess]
    Serve = Callable[[Options, Target, Sequence[str], RootProcess], int]


def main() -> NoReturn:
    """Run the command of `sys.argv` and exit with its status."""
    gc.disable()  # nothing that is imported becomes garbage
    _open_closed_streams()
    _exit(execute(sys.argv))


def refuse_platform(platform: str) -> None:
    """Raise PlatformError if devserver does not work on `platform` (as `sys.platform` names it)."""
    if platform in ("win32", "cygwin", "msys"):
        raise PlatformError(
            "Windows is not supported: devserver needs fork and Unix sockets",
            hint="use WSL (https://learn.microsoft.com/windows/wsl/install) and run devserver there",
        )


def starts_server(argv: Sequence[str]) -> bool:
    """Will this command line most probably start a server? Decided without a parser: a wrong guess costs a process."""
    return argv[1:2] == ["run"] and not {"--help", "--version"} & set(argv)


def app_argv(command: str, target: Target) -> list[str]:
    """`sys.argv` for the app, without arguments of ours: a parser that looks at it on import would refuse them.

    A Django project finds what it has under `manage.py runserver`: apps start their schedulers by it.
    """
    from devserver.target import TargetKind

    return [target.path, "runserver"] if target.kind is TargetKind.DJANGO else [command]


def execute(
    argv: Sequence[str],
    *,
    platform: str = sys.platform,
    spawn: Spawn | None = None,
    serve: Serve | None = None,
) -> int:
    """Run the command and return its exit status. `argv` as `sys.argv`."""
    spawn, serve = spawn or _spawn_root, serve or _serve
    root: RootProcess | None = None
    color = _has_color("never" if os.environ.get("NO_COLOR") else "auto")
    try:
        refuse_platform(platform)
        if starts_server(argv):
            root = spawn()
        from devserver.command import parse

        cwd = _working_folder()
        flags = parse(argv[1:])
        if flags is None:  # --help, --version
            return 0
        from devserver.configuration import configure

        configuration = configure(flags, os.environ, cwd)
        color = _has_color(configuration.options.color)
        target = _target(configuration, cwd)
        _warn_of_environment(configuration, target, cwd, color=color)
        root = root or spawn()
        return serve(configuration.options, target, app_argv(argv[0], target), root)
    except DevServerError as error:
        _print_error(error, color=color)
        status = error.exit_code
    except KeyboardInterrupt:
        status = 0
    except BaseException:
        _abandon(root)
        raise
    _abandon(root)
    return status


def _exit(status: int) -> NoReturn:
    """End as the interpreter does, but leave its modules and objects to the kernel: to take them apart one by one would be most of
    the wait from Ctrl-C to the prompt."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # nobody reads any more
            pass
    os._exit(status)


def _open_closed_streams() -> None:
    """Put /dev/null where a standard stream was closed (`devserver run <&-`): else our sockets get its number, and output."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            fd = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: its own, for those below are open
            os.set_inheritable(fd, True)
            setattr(sys, name, open(fd, mode, closefd=False))  # noqa: SIM115


def _target(configuration: Configuration, cwd: str) -> Target:
    from devserver.configuration import Origin, read_env_file
    from devserver.target.lookup import find_target

    options = configuration.options
    environ = dict(os.environ)
    if options.env_file is not None:
        environ |= read_env_file(options.env_file, environ)
    reason = ""
    match configuration.origins.get("target"):
        case Origin.PYPROJECT if configuration.pyproject is not None:
            cwd, reason = os.path.dirname(configuration.pyproject), f"target in {configuration.pyproject}"
        case Origin.VARIABLE:
            reason = "DEVSERVER_TARGET"
    return find_target(
        options.target, cwd=cwd, environ=environ, app_dir=options.app_dir, factory=options.factory, reason=reason
    )


def _warn_of_environment(configuration: Configuration, target: Target, cwd: str, *, color: bool) -> None:
    from devserver.environment import check_environment
    from devserver.terminal import Style, warning_line

    folders = [target.app_dir, cwd]
    if configuration.pyproject is not None:
        folders.append(os.path.dirname(configuration.pyproject))
    warning = check_environment(sys.prefix, os.environ, folders)
    if warning is not None:
        sys.stderr.write(warning_line(warning, Style(color=color)) + "\n")
        sys.stderr.flush()


def _working_folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise DevServerError("the current folder does not exist any more", hint="cd to one that does") from None


def _has_color(choice: str) -> bool:
    if choice == "auto":
        return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    return choice == "always"


def _print_error(error: DevServerError, *, color: bool) -> None:
    from devserver.terminal import Style, error_text

    sys.stderr.write(error_text(error, Style(color=color)) + "\n")
    sys.stderr.flush()


def _abandon(root: RootProcess | None) -> None:
    if root is not None:
        root.abandon()


def _spawn_root() -> RootProcess:
    from devserver.supervisor.process import spawn_root

    return spawn_root()


def _serve(options: Options, target: Target, argv: Sequence[str], root: RootProcess) -> int:
    from devserver.supervisor.loop import run

    gc.freeze()
    gc.enable()
    return run(options, target, argv, root)
