"""Which editor is chosen, and how it is called: tables."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pytest

from devserver.editors import (
    EDITORS,
    Launch,
    NeedsTerminal,
    Outcome,
    Place,
    Surroundings,
    Unavailable,
    expand,
    is_off,
    look_around,
    names_from_ps,
    names_of_process,
    plan,
)
from tests.waiting import eventually

PLACE = Place("/app/shop/views.py", 12, 5)
COLONS = "/app/shop/views.py:12:5"
VIM = ("+call cursor(12, 5)", PLACE.path)
EVERYWHERE = {command for editor in EDITORS for command in editor.commands} | {"tmux", "myed"}


def around(*, running: Collection[str] = (), installed: Collection[str] = EVERYWHERE, **environ: str) -> Surroundings:
    def which(name: str) -> str | None:
        if os.sep in name:
            return name if name in installed else None
        return f"/bin/{name}" if name in installed else None

    return Surroundings(environ, running, which)


def argv(outcome: Outcome) -> tuple[str, ...]:
    assert isinstance(outcome, Launch), outcome
    return outcome.argv


def chosen(surroundings: Surroundings, option: str | None = None) -> str:
    outcome = plan(option, PLACE, surroundings)
    return "" if isinstance(outcome, Unavailable) else outcome.editor


# --- how each is called ---


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("code", ("code", "--goto", COLONS)),
        ("vscode", ("code", "--goto", COLONS)),
        ("codium", ("codium", "--goto", COLONS)),
        ("code-insiders", ("code-insiders", "--goto", COLONS)),
        ("cursor", ("cursor", "--goto", COLONS)),
        ("windsurf", ("windsurf", "--goto", COLONS)),
        ("positron", ("positron", "--goto", COLONS)),
        ("zed", ("zed", COLONS)),
        ("subl", ("subl", COLONS)),
        ("sublime", ("subl", COLONS)),
        ("pycharm", ("pycharm", "--line", "12", "--column", "4", PLACE.path)),
        ("charm", ("charm", "--line", "12", "--column", "4", PLACE.path)),
        ("idea", ("idea", "--line", "12", "--column", "4", PLACE.path)),
        ("kate", ("kate", "-l", "12", "-c", "5", PLACE.path)),
        ("gedit", ("gedit", "+12:5", PLACE.path)),
        ("gnome-text-editor", ("gnome-text-editor", "+12:5", PLACE.path)),
        ("emacs", ("emacs", "+12:5", PLACE.path)),
        ("emacsclient", ("emacsclient", "+12:5", PLACE.path)),
        ("gvim", ("gvim", *VIM)),
        ("mvim", ("mvim", *VIM)),
        ("mate", ("mate", "--line", "12:5", PLACE.path)),
        ("bbedit", ("bbedit", "+12", PLACE.path)),
        ("code --new-window", ("code", "--new-window", "--goto", COLONS)),
        ("emacsclient -c", ("emacsclient", "-c", "+12:5", PLACE.path)),
        ("myed", ("myed", PLACE.path)),
        ("myed -x", ("myed", "-x", PLACE.path)),
        ("myed --at {line} {file}", ("myed", "--at", "12", PLACE.path)),
        ("myed '{file} at {line},{column}'", ("myed", f"{PLACE.path} at 12,5")),
        ("code -r --goto {file}", ("code", "-r", "--goto", PLACE.path)),
    ],
)
def test_editors_with_windows(option: str, expected: tuple[str, ...]) -> None:
    command, *arguments = expected
    assert argv(plan(option, PLACE, around())) == (f"/bin/{command}", *arguments)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("vim", ("vim", *VIM)),
        ("nvim", ("nvim", *VIM)),
        ("vi", ("vi", "+12", PLACE.path)),
        ("nano", ("nano", "+12,5", PLACE.path)),
        ("micro", ("micro", "+12:5", PLACE.path)),
        ("hx", ("hx", COLONS)),
        ("helix", ("helix", COLONS)),
        ("kak", ("kak", "+12:5", PLACE.path)),
        ("emacs -nw", ("emacs", "-nw", "+12:5", PLACE.path)),
        ("emacsclient -t", ("emacsclient", "-t", "+12:5", PLACE.path)),
        ("vim +{line} {file}", ("vim", "+12", PLACE.path)),
    ],
)
def test_editors_in_a_terminal_open_a_window_of_tmux(option: str, expected: tuple[str, ...]) -> None:
    command, *arguments = expected
    outcome = plan(option, PLACE, around(TMUX="/tmp/tmux-1000/default,1,0"))
    assert argv(outcome) == ("/bin/tmux", "new-window", "--", f"/bin/{command}", *arguments)


@pytest.mark.parametrize(
    ("option", "command"),
    [
        ("vim", "vim '+call cursor(12, 5)' '/app/a b.py'"),
        ("/opt/bin/nvim", "/opt/bin/nvim '+call cursor(12, 5)' '/app/a b.py'"),
        ("nano -w", "nano -w +12,5 '/app/a b.py'"),
    ],
)
def test_without_tmux_they_are_a_line_to_paste(option: str, command: str) -> None:
    outcome = plan(option, Place("/app/a b.py", 12, 5), around(installed={*EVERYWHERE, "/opt/bin/nvim"}))
    assert isinstance(outcome, NeedsTerminal)
    assert outcome.command == command


def test_tmux_has_to_be_there_for_that() -> None:
    outcome = plan("vim", PLACE, around(installed={"vim"}, TMUX="/tmp/tmux-1000/default,1,0"))
    assert isinstance(outcome, NeedsTerminal)


def test_a_file_is_one_argument_whatever_it_is_called() -> None:
    place = Place("/app/{line} $(rm) '\"; .py", 3, 4)
    assert argv(plan("myed {file} {line}", place, around())) == ("/bin/myed", place.path, "3")
    assert argv(plan("code", place, around()))[-1] == f"{place.path}:3:4"


def test_what_is_no_placeholder_stays() -> None:
    assert expand(("{files}", "{}", "{line", "{line}{line}"), PLACE) == ("{files}", "{}", "{line", "1212")


# --- which one ---


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("none", "none"),
        (" None ", "none"),
        ("elsewhere --at {line} {file}", "no command elsewhere"),
        ("/opt/bin/code", "no command /opt/bin/code"),
        ("code 'x", "not a command"),
        (" ", "not a command"),
    ],
)
def test_what_was_named_is_not_replaced(option: str, reason: str) -> None:
    outcome = plan(option, PLACE, around(running={"zed"}, EDITOR="subl"))
    assert isinstance(outcome, Unavailable)
    assert reason in outcome.reason


def test_off() -> None:
    assert is_off("none")
    assert not is_off("code")
    assert not is_off(None)


def test_a_command_may_be_called_otherwise_elsewhere() -> None:
    assert argv(plan("zed", PLACE, around(installed={"zeditor"}))) == ("/bin/zeditor", COLONS)
    assert argv(plan("pycharm", PLACE, around(installed={"charm"})))[0] == "/bin/charm"


def test_on_macos_the_command_may_be_in_the_application() -> None:
    code = "/Applications/Visual Studio Code.app/Contents/Resources/app/bin/code"
    assert argv(plan("code", PLACE, around(installed={code})))[0] == code
    assert argv(plan(None, PLACE, around(installed={code}, running={"Visual Studio Code"})))[0] == code


VSCODE = {"TERM_PROGRAM": "vscode"}
JETBRAINS = {"TERMINAL_EMULATOR": "JetBrains-JediTerm"}


@pytest.mark.parametrize(
    ("environ", "running", "expected"),
    [
        ({}, (), ""),
        ({"EDITOR": "subl -w"}, (), "sublime"),
        ({"VISUAL": "code --wait", "EDITOR": "subl"}, (), "vscode"),
        ({"VISUAL": "vim", "EDITOR": "subl"}, (), "sublime"),
        ({"EDITOR": "subl"}, {"code"}, "sublime"),
        ({"EDITOR": "vim"}, {"code"}, "vscode"),
        ({"EDITOR": "vim"}, {"bash", "firefox"}, "vim"),
        ({"VISUAL": "nvim", "EDITOR": "vim"}, (), "nvim"),
        ({"EDITOR": "emacs -nw"}, {"kate"}, "kate"),
        ({"EDITOR": "ed"}, (), ""),
        ({"EDITOR": "'"}, (), ""),
        ({"EDITOR": ""}, {"sublime_text"}, "sublime"),
        ({}, {"code", "cursor"}, "vscode"),
        ({}, {"zed-editor"}, "zed"),
        ({}, {"java", "PyCharmCE"}, "pycharm"),
        ({}, {"emacs", "gedit"}, "gedit"),
        ({}, {"emacs"}, "emacsclient"),
        ({}, {"vim", "nano"}, ""),
        (VSCODE, {"pycharm"}, "vscode"),
        (VSCODE | {"EDITOR": "vim"}, (), "vscode"),
        (VSCODE | {"VISUAL": "subl"}, (), "sublime"),
        (VSCODE | {"CURSOR_TRACE_ID": "1"}, (), "cursor"),
        (VSCODE | {"VSCODE_GIT_ASKPASS_NODE": "/usr/share/code/code"}, (), "vscode"),
        (VSCODE | {"VSCODE_GIT_ASKPASS_NODE": "/usr/share/cursor/cursor"}, (), "cursor"),
        (VSCODE | {"VSCODE_GIT_ASKPASS_NODE": "/opt/Windsurf/windsurf"}, (), "windsurf"),
        (VSCODE | {"VSCODE_GIT_ASKPASS_NODE": "/usr/share/codium/codium"}, (), "vscodium"),
        (VSCODE | {"VSCODE_GIT_ASKPASS_NODE": "/usr/share/code-insiders/code-insiders"}, (), "vscode-insiders"),
        (JETBRAINS, {"code"}, "pycharm"),
        (JETBRAINS, {"code", "goland"}, "goland"),
        ({"ZED_TERM": "true"}, {"code"}, "zed"),
    ],
)
def test_which_is_found(environ: dict[str, str], running: Collection[str], expected: str) -> None:
    assert chosen(around(running=running, **environ)) == expected


@pytest.mark.parametrize(
    ("environ", "installed", "expected"),
    [
        (VSCODE, {"subl", "kate"}, "kate"),
        (JETBRAINS, {"webstorm", "kate"}, "webstorm"),
        ({"EDITOR": "subl"}, {"kate"}, "kate"),
        ({"EDITOR": "vim"}, {"vim"}, "vim"),
        ({}, {"vim"}, ""),
    ],
)
def test_what_is_not_there_is_passed_over(environ: dict[str, str], installed: Collection[str], expected: str) -> None:
    assert chosen(around(running={"code", "kate"}, installed=installed, **environ)) == expected


def test_words_are_of_one_editor_each() -> None:
    words = [word for editor in EDITORS for word in {editor.name, *editor.commands}]
    assert len(set(words)) == len(words)


# --- what runs ---


@pytest.mark.parametrize(
    ("comm", "exe", "arguments", "expected"),
    [
        ("code", "/usr/share/code/code", [], {"code"}),
        ("gnome-text-edit", "/usr/bin/gnome-text-editor", [], {"gnome-text-edit", "gnome-text-editor"}),
        ("zed-editor", "/opt/zed/libexec/zed-editor (deleted)", [], {"zed-editor"}),
        ("less", "/usr/bin/less", ["less", "code"], {"less"}),
        ("java", "/opt/pycharm/jbr/bin/java", ["java", "-Didea.paths.selector=PyCharm2024.1"], {"java", "PyCharm"}),
        ("bash", "/bin/bash", ["bash", "-Didea.paths.selector=PyCharm2024.1"], {"bash"}),
    ],
)
def test_names_of_a_process(comm: str, exe: str, arguments: list[str], expected: set[str]) -> None:
    assert names_of_process(comm, exe, arguments) == expected


def test_names_on_macos() -> None:
    listing = """
/Applications/Visual Studio Code.app/Contents/MacOS/Electron
/Applications/Visual Studio Code.app/Contents/Frameworks/Code Helper.app/Contents/MacOS/Code Helper
/Applications/PyCharm.app/Contents/MacOS/pycharm
-zsh
"""
    names = names_from_ps(listing)
    assert {"Visual Studio Code", "Electron", "PyCharm", "pycharm", "-zsh"} <= names
    assert chosen(around(running=names)) == "vscode"
    assert names_from_ps("") == frozenset()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_process_of_the_user_is_seen(tmp_path: Path) -> None:
    (tmp_path / "sublime_text").symlink_to("/bin/sleep")
    with subprocess.Popen([str(tmp_path / "sublime_text"), "60"]) as process:
        try:  # a name comes a moment after the program
            assert eventually(lambda: "sublime_text" in look_around().running)
        finally:
            process.kill()


def test_importing_it_is_cheap() -> None:
    code = "import sys, devserver.editors; print(*{'subprocess', 'pathlib', 'socket', 'asyncio'} & sys.modules.keys())"
    ran = subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ran.stdout.split() == []
