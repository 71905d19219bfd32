"""Which editor opens a place in a file, and how it is called.

`plan` decides from the option, the variables and the names of running processes; `look_around` gathers these. Runs in the
launcher. Rules that hold: but for `look_around` everything is pure; a file is always one argument, and never passes through a
shell; lines and columns count from 1.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from devserver.record import Record

OFF = "none"
"""The value of `Options.editor` that turns it off."""

_COLONS = ("{file}:{line}:{column}",)
_GOTO = ("--goto", *_COLONS)
_PLUS = ("+{line}:{column}", "{file}")
_CURSOR = ("+call cursor({line}, {column})", "{file}")
_LINE_AND_COLUMN = ("--line", "{line}", "--column", "{column0}", "{file}")  # JetBrains: columns count from 0
_PLACEHOLDER = re.compile(r"\{(file|line|column0?)\}")
_EMACS_IN_TERMINAL = {"-nw", "--no-window-system", "-t", "--tty"}
_SELECTOR = re.compile(r"-Didea\.paths\.selector=([A-Za-z]+)")


class Editor(Record):
    """One that is known. Words in braces in `arguments` stand for the place."""

    name: str
    commands: tuple[str, ...]  # the usual one first
    arguments: tuple[str, ...]
    processes: tuple[str, ...] = ()  # what it is called while it runs
    in_terminal: bool = False
    bundle: str = ""  # macOS: its command, from the folder of applications on

    def runs(self, running: Collection[str]) -> bool:
        app = self.bundle.partition(".app/")[0]
        return any(name in running for name in (*self.processes, *([app] if app else [])))


def _code(name: str, command: str, app: str) -> Editor:
    """VS Code, or a fork of it."""
    return Editor(name, (command,), _GOTO, (command,), bundle=f"{app}.app/Contents/Resources/app/bin/{command}")


def _jetbrains(name: str, commands: tuple[str, ...], selectors: tuple[str, ...], app: str) -> Editor:
    """An IDE of JetBrains. Where it runs as `java`, its selector tells which it is."""
    bundle = f"{app}.app/Contents/MacOS/{name}"
    return Editor(name, (name, *commands, f"{name}.sh"), _LINE_AND_COLUMN, (name, *selectors), bundle=bundle)


_JETBRAINS = (
    _jetbrains("pycharm", ("charm", "pycharm-professional", "pycharm-community"), ("PyCharm", "PyCharmCE"), "PyCharm"),
    _jetbrains(
        "idea", ("intellij-idea-ultimate", "intellij-idea-community"), ("IntelliJIdea", "IdeaIC"), "IntelliJ IDEA"
    ),
    _jetbrains("webstorm", ("wstorm",), ("WebStorm",), "WebStorm"),
    _jetbrains("phpstorm", ("pstorm",), ("PhpStorm",), "PhpStorm"),
    _jetbrains("rubymine", ("mine",), ("RubyMine",), "RubyMine"),
    _jetbrains("goland", (), ("GoLand",), "GoLand"),
    _jetbrains("clion", (), ("CLion",), "CLion"),
    _jetbrains("rider", (), ("Rider",), "Rider"),
    _jetbrains("rustrover", (), ("RustRover",), "RustRover"),
    _jetbrains("dataspell", (), ("DataSpell",), "DataSpell"),
)

EDITORS = (
    _code("vscode", "code", "Visual Studio Code"),
    _code("cursor", "cursor", "Cursor"),
    _code("windsurf", "windsurf", "Windsurf"),
    _code("positron", "positron", "Positron"),
    _code("vscodium", "codium", "VSCodium"),
    _code("vscode-insiders", "code-insiders", "Visual Studio Code - Insiders"),
    *_JETBRAINS,
    Editor("zed", ("zed", "zeditor"), _COLONS, ("zed", "zed-editor", "zeditor"), bundle="Zed.app/Contents/MacOS/cli"),
    Editor(
        "sublime",
        ("subl", "sublime_text"),
        _COLONS,
        ("sublime_text",),
        bundle="Sublime Text.app/Contents/SharedSupport/bin/subl",
    ),
    Editor("textmate", ("mate",), ("--line", "{line}:{column}", "{file}"), bundle="TextMate.app/Contents/MacOS/mate"),
    Editor("bbedit", ("bbedit",), ("+{line}", "{file}"), bundle="BBEdit.app/Contents/Helpers/bbedit_tool"),
    Editor("kate", ("kate",), ("-l", "{line}", "-c", "{column}", "{file}"), ("kate",)),
    Editor("gnome-text-editor", ("gnome-text-editor",), _PLUS, ("gnome-text-editor",)),
    Editor("gedit", ("gedit",), _PLUS, ("gedit",)),
    Editor("gvim", ("gvim",), _CURSOR, ("gvim",)),
    Editor("macvim", ("mvim",), _CURSOR, bundle="MacVim.app/Contents/bin/mvim"),
    Editor("emacsclient", ("emacsclient",), _PLUS, ("emacs", "emacs-gtk", "emacs-pgtk", "Emacs")),
    Editor("emacs", ("emacs",), _PLUS),
    Editor("vim", ("vim",), _CURSOR, in_terminal=True),
    Editor("nvim", ("nvim",), _CURSOR, in_terminal=True),
    Editor("vi", ("vi",), ("+{line}", "{file}"), in_terminal=True),
    Editor("nano", ("nano",), ("+{line},{column}", "{file}"), in_terminal=True),
    Editor("micro", ("micro",), _PLUS, in_terminal=True),
    Editor("helix", ("hx", "helix"), _COLONS, in_terminal=True),
    Editor("kakoune", ("kak",), _PLUS, in_terminal=True),
)
"""The more common first: where several run, that one is guessed."""

_BY_WORD = {word: editor for editor in reversed(EDITORS) for word in (editor.name, *editor.commands)}
_APPLICATIONS = ("/Applications", os.path.expanduser("~/Applications"))


class Place(Record):
    path: str  # absolute
    line: int = 1
    column: int = 1


class Surroundings(Record):
    """What the choice depends on beside the option."""

    environ: Mapping[str, str]
    running: Collection[str]  # names of the user's processes
    which: Callable[[str], str | None]  # as shutil.which


class Launch(Record):
    """Run `argv`."""

    editor: str
    argv: tuple[str, ...]


class NeedsTerminal(Record):
    """A person has to run `command`, a line for a shell: the terminal is taken."""

    editor: str
    command: str


class Unavailable(Record):
    reason: str


Outcome = Launch | NeedsTerminal | Unavailable


def is_off(option: str | None) -> bool:
    """Whether the user wants no editor to be opened."""
    return option is not None and option.strip().lower() == OFF


def plan(option: str | None, place: Place, around: Surroundings) -> Outcome:
    """How to open `place`: by the option, else by the editor that the surroundings tell of."""
    if is_off(option):
        return Unavailable("no editor is wanted (--editor none)")
    call = _Call.read(option) if option else _found(around)
    if call is None:
        if option:
            return Unavailable(f"not a command: {option}")
        return Unavailable("no editor found; name one with --editor")
    command = _locate(call, around.which)
    if command is None:
        return Unavailable(f"no command {call.words[0]}")
    arguments = (*call.words[1:], *expand(call.arguments, place))
    if not call.in_terminal:
        return Launch(call.name, (command, *arguments))
    tmux = around.which("tmux") if around.environ.get("TMUX") else None
    if tmux is not None:
        return Launch(call.name, (tmux, "new-window", "--", command, *arguments))
    written = call.words[0] if os.sep in call.words[0] else os.path.basename(command)
    return NeedsTerminal(call.name, shlex.join((written, *arguments)))


def expand(arguments: Sequence[str], place: Place) -> tuple[str, ...]:
    """`arguments` with the place filled in."""
    values = {"file": place.path, "line": place.line, "column": place.column, "column0": place.column - 1}
    return tuple(_PLACEHOLDER.sub(lambda match: str(values[match[1]]), argument) for argument in arguments)


# --- the choice ---


class _Call(Record):
    """How an editor is called: `words` as they are, then `arguments` with the place filled in."""

    name: str
    words: tuple[str, ...]
    arguments: tuple[str, ...]
    in_terminal: bool = False
    editor: Editor | None = None  # where it is one that is known

    @classmethod
    def read(cls, text: str) -> _Call | None:
        """What a person wrote: the name of an editor or a command, with flags or as a template; None if it cannot be read."""
        try:
            words = tuple(shlex.split(text))
        except ValueError:  # a quote that is not closed
            return None
        if not words:
            return None
        name = os.path.basename(words[0])
        editor = _BY_WORD.get(name)
        in_terminal = editor is not None and _needs_terminal(editor, words)
        if any(_PLACEHOLDER.search(word) for word in words[1:]):
            return cls(name, words[:1], words[1:], in_terminal, editor)
        if editor is None:
            return cls(name, words, ("{file}",))
        return cls(editor.name, words, editor.arguments, in_terminal, editor)

    @classmethod
    def of(cls, editor: Editor) -> _Call:
        return cls(editor.name, editor.commands[:1], editor.arguments, editor.in_terminal, editor)


def _needs_terminal(editor: Editor, words: Sequence[str]) -> bool:
    return editor.in_terminal or (editor.name.startswith("emacs") and not _EMACS_IN_TERMINAL.isdisjoint(words))


def _found(around: Surroundings) -> _Call | None:
    """The editor that nobody named, if there is one.

    One with windows beats one in a terminal, which is what `$EDITOR` is for most: git asks for it.
    """
    named = list(_named(around.environ))
    windowed = [call for call in named if not call.in_terminal]
    told = [*_of_terminal(around), *(editor for editor in EDITORS if editor.runs(around.running))]
    candidates = [*windowed, *map(_Call.of, told), *(call for call in named if call.in_terminal)]
    return next((call for call in candidates if _locate(call, around.which) is not None), None)


def _named(environ: Mapping[str, str]) -> Iterator[_Call]:
    """What the variables name. One that is not known is passed over: it may want the terminal."""
    for variable in ("VISUAL", "EDITOR"):
        call = _Call.read(environ.get(variable, ""))
        if call is not None and call.editor is not None:
            yield call


def _of_terminal(around: Surroundings) -> list[Editor]:
    """The editors whose terminal this may be, the likeliest first."""
    environ = around.environ
    if "ZED_TERM" in environ:
        return [_BY_WORD["zed"]]
    if environ.get("TERM_PROGRAM") == "vscode":
        return [_BY_WORD[_fork_of_code(environ)]]
    if environ.get("TERMINAL_EMULATOR") == "JetBrains-JediTerm":
        return sorted(_JETBRAINS, key=lambda editor: not editor.runs(around.running))
    return []


def _fork_of_code(environ: Mapping[str, str]) -> str:
    """All forks call themselves vscode; the path of the program that asks for git's passwords lies in the fork's folder."""
    if "CURSOR_TRACE_ID" in environ:
        return "cursor"
    path = environ.get("VSCODE_GIT_ASKPASS_NODE", "").lower()
    signs = {"cursor": "cursor", "windsurf": "windsurf", "positron": "positron", "codium": "vscodium"}
    signs |= {"insiders": "vscode-insiders"}
    return next((name for sign, name in signs.items() if sign in path), "vscode")


def _locate(call: _Call, which: Callable[[str], str | None]) -> str | None:
    """The path of its command: as it was written, else as the editor is called elsewhere."""
    names = list(call.words[:1])
    if call.editor is not None and os.sep not in names[0]:
        names += call.editor.commands
        names += [os.path.join(folder, call.editor.bundle) for folder in _APPLICATIONS if call.editor.bundle]
    return next((path for name in names if (path := which(name)) is not None), None)


# --- what runs ---


def look_around() -> Surroundings:
    """The surroundings of this process."""
    running = names_from_ps(_list_processes()) if sys.platform == "darwin" else frozenset(_names_in_proc(os.getuid()))
    return Surroundings(os.environ, running, shutil.which)


def names_from_ps(listing: str) -> frozenset[str]:
    """The names in what `ps x -o comm=` prints on macOS: of the programs, and of the applications that they belong to.

    Untested on a Mac.
    """
    names = set()
    for line in listing.splitlines():
        path = line.strip()
        names.add(os.path.basename(path))
        app, inside, _ = path.partition(".app/Contents/MacOS/")
        if inside:
            names.add(os.path.basename(app))
    return frozenset(names)


def names_of_process(comm: str, exe: str, arguments: Iterable[str]) -> frozenset[str]:
    """What a process is called: by the kernel, which cuts names short, by its file, by the product that runs in its Java."""
    names = {comm, os.path.basename(exe.removesuffix(" (deleted)"))}
    if "java" in names:
        names |= {match[1] for argument in arguments if (match := _SELECTOR.match(argument))}
    return frozenset(names)


def _names_in_proc(uid: int) -> Iterator[str]:
    for pid in os.listdir("/proc"):
        if not pid.isdigit():
            continue
        folder = f"/proc/{pid}"
        try:
            if os.stat(folder).st_uid != uid:
                continue
            comm = _read(f"{folder}/comm").strip()
            exe = os.readlink(f"{folder}/exe")
            arguments = _read(f"{folder}/cmdline").split("\0")
        except OSError:  # it ended, or hides
            continue
        yield from names_of_process(comm, exe, arguments)


def _read(path: str) -> str:
    with open(path, errors="replace") as file:
        return file.read()


def _list_processes() -> str:
    import subprocess

    try:
        return subprocess.run(
            ["ps", "x", "-o", "comm="], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=2, check=False
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
