"""Which folders and files never matter to a reload.

Pure: names and patterns only, no file is touched. Runs in the supervisor. Rules that hold: a rule judges a path by
itself, not by what lies above it, because whoever walks a tree has pruned that already (`ignores_inside` is for those who
have not walked); a folder that was asked for by name, a root, is never put to the rules.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from devserver.errors import UsageError
from devserver.record import Record

IGNORED_FOLDERS = frozenset(
    {
        *(".git", ".hg", ".svn", ".bzr", ".jj"),
        *(".venv", "venv", ".tox", ".nox", ".eggs", "__pycache__", "__pypackages__"),
        *("node_modules", "bower_components", ".pnpm-store", ".yarn", ".parcel-cache", ".sass-cache", ".turbo"),
        *(".next", ".nuxt", ".svelte-kit", ".terraform", ".direnv", ".cache"),
        *(".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".pytype", ".ipynb_checkpoints"),
        *(".idea", ".vscode", ".vs", ".fleet"),
    }
)

# An entry that says what the folder around it is: a virtual environment, a conda environment, a cache directory
# (https://bford.info/cachedir/).
MARKERS = frozenset({"pyvenv.cfg", "conda-meta", "CACHEDIR.TAG"})

# What editors leave beside the file that is being saved. `4913` is Vim's probe of whether it may create a file.
_DROPPINGS = re.compile(
    r".*~ | \.\#.* | \#.*\# | .*\.sw[nopx] | 4913 | \.goutputstream-.* | .*___jb_(?:tmp|old|bak)___ | .*\.kate-swp"
    r" | \.~lock\..*\# | .*\.crswap | \.DS_Store | \.nfs[0-9a-f]+",
    re.DOTALL | re.VERBOSE,
)


class Pattern(Record):
    """One glob of `--reload-include` or `--reload-exclude`.

    Without a slash it is compared with the name of a file or folder at any depth. With one it is a path, relative to the
    base unless absolute, and means that path and all below it. `*`, `?` and `[…]` stay within one name; `**` stands for
    any number of folders, none included. A slash at the end: folders only.
    """

    expression: re.Pattern[str]
    by_name: bool
    folders_only: bool

    @classmethod
    def parse(cls, glob: str, base: Path, *, below: bool = True) -> Pattern:
        """Raises UsageError for a glob that is empty, is the root of the file system or cannot be read. Without `below` a path does
        not mean what is below it."""
        folders_only = glob.endswith("/")
        written = os.path.expanduser(glob.strip())
        path = re.sub(r"^(?:\./+)+", "", written).rstrip("/")
        if path in ("", ".", "**"):
            raise UsageError(f"the pattern {glob!r} would mean everything", hint="name a file, a folder or a glob")
        by_name = "/" not in path
        try:
            if by_name:
                source = _segment(path)
            else:
                source = _path_expression(path, base) + (r"(?:/.*)?" if below else "")
            return cls(re.compile(source, re.DOTALL), by_name, folders_only)
        except re.error as error:
            raise UsageError(f"the pattern {glob!r} cannot be read: {error}") from error

    def matches(self, path: str, *, folder: bool) -> bool:
        """Whether the glob means this absolute path; `folder` says what the path is."""
        above, _, name = path.rpartition("/")
        if self.by_name:
            return (folder or not self.folders_only) and self.expression.fullmatch(name) is not None
        # A file is meant by a glob for folders if the folder around it is.
        subject = path if folder or not self.folders_only else above
        return self.expression.fullmatch(subject) is not None


def fixed_part(glob: str) -> str:
    """The file or folder at which whoever looks for an absolute glob begins. What is escaped in it is text."""
    parts = glob.split("/")
    fixed = list(itertools.takewhile(lambda part: not _has_magic(part), parts))
    return "/".join(re.sub(r"\[([*?[])\]", r"\1", part) for part in fixed) or "/"


def _has_magic(part: str) -> bool:
    """Does this part of a glob stand for more than one name?"""
    return re.search(r"[*?[]", re.sub(r"\[[*?[]\]", "", part)) is not None


def _path_expression(path: str, base: Path) -> str:
    if path.startswith("**/"):
        literal, segments = "", path.split("/")
    elif path.startswith("/"):
        literal, segments = "", path.lstrip("/").split("/")
    else:
        segments = path.split("/")
        above = 0
        while above < len(segments) and segments[above] == "..":
            above += 1
        literal = os.path.normpath(os.path.join(base, *segments[:above])).rstrip("/")
        segments = segments[above:]
    parts = [re.escape(literal)]
    for index, segment in enumerate(segments):
        if segment in ("", "."):
            continue
        if segment != "**":
            parts.append("/" + _segment(segment))
        elif index < len(segments) - 1:  # at the end it adds nothing: a path means all below it already
            parts.append(r"(?:/[^/]+)*")
    return "".join(parts)


def _segment(glob: str) -> str:
    parts: list[str] = []
    at = 0
    while at < len(glob):
        char = glob[at]
        at += 1
        if char == "*":
            parts.append("[^/]*")
        elif char == "?":
            parts.append("[^/]")
        elif char == "[" and (end := glob.find("]", at + (2 if glob[at : at + 1] == "!" else 1))) != -1:
            negated = glob[at] == "!"
            members = glob[at + negated : end]
            escaped = re.sub(r"([\\\[\]^&~|])", r"\\\1", members)
            parts.append(f"[{'^/' if negated else ''}{escaped}]")
            at = end + 1
        else:
            parts.append(re.escape(char))
    return "".join(parts)


class IgnoreRules(Record):
    """The defaults, what `--reload-exclude` adds and what `--reload-include` brings back.

    An include beats an exclude and both beat the defaults. A folder that is ignored is not entered, so a
    file below it can't be brought back by an include; `--reload-dir` names such a folder as a root of its own.
    """

    include: tuple[Pattern, ...] = ()
    exclude: tuple[Pattern, ...] = ()

    @classmethod
    def from_options(cls, reload_include: Sequence[str], reload_exclude: Sequence[str], base: Path) -> IgnoreRules:
        """The rules of these options; `base` is what relative paths in them are relative to. Raises UsageError."""
        return cls(
            tuple(Pattern.parse(glob, base) for glob in reload_include),
            tuple(Pattern.parse(glob, base) for glob in reload_exclude),
        )

    def ignores_folder(self, path: str) -> bool:
        """Whether the folder at this absolute path is not entered."""
        if _any_matches(self.include, path, folder=True):
            return False
        return path.rpartition("/")[2] in IGNORED_FOLDERS or _any_matches(self.exclude, path, folder=True)

    def ignores_file(self, path: str) -> bool:
        """Whether the file at this absolute path never matters."""
        if _any_matches(self.include, path, folder=False):
            return False
        name = path.rpartition("/")[2]
        return _DROPPINGS.fullmatch(name) is not None or _any_matches(self.exclude, path, folder=False)

    def includes_file(self, path: str) -> bool:
        """Whether an include names the file at this absolute path: its changes count even if nobody has read it."""
        return _any_matches(self.include, path, folder=False)

    def ignores_contents(self, path: str, names: Collection[str]) -> bool:
        """Whether what lies in the folder says that it is not the user's: a virtual environment, a cache."""
        return not MARKERS.isdisjoint(names) and not _any_matches(self.include, path, folder=True)

    def ignores_inside(self, path: str, root: str) -> bool:
        """Whether the file, or a folder between it and the root, is ignored. The root itself is not judged."""
        if self.ignores_file(path):
            return True
        return any(self.ignores_folder(folder) for folder in folders_between(path, root))


def folders_between(path: str, root: str) -> Iterable[str]:
    """The folders that hold `path`, from the deepest up to but without `root`; none if `path` is not below it."""
    prefix = root.rstrip("/") + "/"
    folder = path.rpartition("/")[0]
    while folder.startswith(prefix):
        yield folder
        folder = folder.rpartition("/")[0]


def _any_matches(patterns: Iterable[Pattern], path: str, *, folder: bool) -> bool:
    return any(pattern.matches(path, folder=folder) for pattern in patterns)
