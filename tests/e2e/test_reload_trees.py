"""Many files and whole folders: checkouts, renames, what is ignored, what is asked for, names that are no text, polling."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import venv
from pathlib import Path

import pytest

from devserver.supervisor.installed import installed_folders
from tests.e2e.harness import APPS, DevServer, Serve, write
from tests.e2e.reloading import app_with, git, reload

pytestmark = pytest.mark.either_kind

WHOLE = """
    import importlib, pkgutil, pkg
    names = sorted(module.name for module in pkgutil.iter_modules(pkg.__path__))
    parts = [importlib.import_module("pkg." + name).TEXT for name in names]
"""
"""Imports all of a package; the answer tells how many there are and which texts they hold."""
ANSWER = "f'{len(parts)} {sorted(set(parts))}'"


def _package(count: int, text: str) -> dict[str, str]:
    return {"pkg/__init__.py": "", **{f"pkg/m{number}.py": f"TEXT = {text!r}" for number in range(count)}}


def test_300_files_at_once(serve: Serve, kind: str) -> None:
    reloading = reload(serve, {"app.py": app_with(APPS[kind], WHOLE, text=ANSWER), **_package(300, "one")})
    assert reloading.server.get().text == "300 ['one']"
    write(reloading.project, _package(300, "two"))
    reloading.server.wait_for_text("300 ['two']")
    reloading.settle()


# --- git ---


def _repository(project: Path, on_main: dict[str, str], on_other: dict[str, str]) -> None:
    git(project, "init", "-q", "-b", "main")
    (project / ".gitignore").write_text("__pycache__\nmarks\n")
    write(project, on_main)
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", "main")
    git(project, "checkout", "-q", "-b", "other")
    for name in on_main.keys() - on_other.keys():
        (project / name).unlink()
    write(project, on_other)
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", "other")
    git(project, "checkout", "-q", "main")


@pytest.mark.parametrize("count", [300, 5000])
def test_a_checkout_is_one_or_two_restarts(serve: Serve, project: Path, count: int) -> None:
    app = app_with(APPS["wsgi"], WHOLE, text=ANSWER)
    extra = {f"data/{folder}/{number}.txt": "one" for folder in range(20) for number in range((count - 300) // 20)}
    main = {"app.py": app, **_package(299, "main"), **extra}
    other = {"app.py": app + "\n# other\n", **_package(250, "other"), **dict.fromkeys(extra, "two")}
    _repository(project, main, other)
    reloading = reload(serve, {})
    server = reloading.server
    assert server.get().text == "299 ['main']"
    for branch, text in (("other", "250 ['other']"), ("main", "299 ['main']")):
        before = reloading.loads()
        git(project, "checkout", "-q", branch)
        server.wait_for_text(text)
        reloading.settle()
        assert server.get().text == text
        assert before < reloading.loads() <= before + 2
    assert "failed to load" not in server.log


def test_stash_and_pop(serve: Serve, project: Path, kind: str) -> None:
    app = app_with(APPS[kind], "import part", text="part.TEXT")
    _repository(project, {"app.py": app, "part.py": "TEXT = 'one'"}, {"app.py": app, "part.py": "TEXT = 'other'"})
    reloading = reload(serve, {})
    reloading.restarts(lambda: reloading.server.edit("part.py", "TEXT = 'two'"), "two")
    reloading.restarts(lambda: git(project, "stash", "-q"), "one")
    reloading.restarts(lambda: git(project, "stash", "pop", "-q"), "two")
    reloading.stays(
        lambda: (git(project, "add", "-A"), git(project, "commit", "-q", "-m", "two"), git(project, "gc", "-q"))
    )


# --- packages and folders that move ---


def test_a_package_is_renamed(serve: Serve, app: str) -> None:
    files = {
        "app.py": app_with(app, "from old.deep import part", text="part.TEXT"),
        "old/__init__.py": "",
        "old/deep/__init__.py": "",
        "old/deep/part.py": "TEXT = 'one'",
    }
    reloading = reload(serve, files)
    server, project = reloading.server, reloading.project
    (project / "old").rename(project / "new")
    server.wait_for_log("failed to load")
    server.wait_for_text("ModuleNotFoundError")
    reloading.restarts(lambda: server.edit("app.py", files["app.py"].replace("old.deep", "new.deep")), "one")
    reloading.restarts(lambda: server.edit("new/deep/part.py", "TEXT = 'two'"), "two")
    (project / "new/deep").rename(project / "new/other")
    server.wait_for_log("failed to load", count=2)
    reloading.restarts(lambda: (project / "new/other").rename(project / "new/deep"), "two")
    reloading.restarts(lambda: server.edit("new/deep/part.py", "TEXT = 'three'"), "three")


def test_namespace_packages(serve: Serve, app: str, tmp_path: Path) -> None:
    """One package in two places; a portion and a module that come later; a regular package that shadows it."""
    elsewhere = tmp_path / "elsewhere"
    write(elsewhere, {"space/far.py": "TEXT = 'far'"})
    load = "import importlib.util, space.near, space.far\nlate = importlib.util.find_spec('space.late')"
    source = app_with(app, load, text="space.near.TEXT + space.far.TEXT + str(late is not None)")
    files = {"app.py": source, "space/near.py": "TEXT = 'near'"}
    reloading = reload(serve, files, env={"PYTHONPATH": str(elsewhere)})
    server, project = reloading.server, reloading.project
    assert server.get().text == "nearfarFalse"
    reloading.restarts(lambda: (elsewhere / "space/far.py").write_text("TEXT = 'FAR'"), "nearFARFalse")
    reloading.restarts(lambda: server.edit("space/near.py", "TEXT = 'NEAR'"), "NEARFARFalse")
    reloading.restarts(lambda: (elsewhere / "space/late.py").touch(), "NEARFARTrue")
    server.edit("space/__init__.py", "")
    server.wait_for_log("failed to load")
    server.wait_for_text("ModuleNotFoundError")
    reloading.restarts(lambda: (project / "space/__init__.py").unlink(), "NEARFARTrue")


def test_the_project_folder_is_replaced(serve: Serve, app: str, tmp_path: Path, project: Path) -> None:
    """As by a deployment, or a checkout into a fresh folder that then takes the place of the old one."""
    reloading = reload(
        serve,
        {
            "app.py": app_with(app, "from pkg import part", text="part.TEXT"),
            "pkg/__init__.py": "",
            "pkg/part.py": "TEXT = 'one'",
        },
    )
    shutil.copytree(project / "pkg", tmp_path / "fresh")
    (tmp_path / "fresh/part.py").write_text("TEXT = 'two'")

    def exchange() -> None:
        (project / "pkg").rename(tmp_path / "aside")
        (tmp_path / "fresh").rename(project / "pkg")

    exchange()
    reloading.server.wait_for_text("two")
    reloading.settle()
    reloading.stays(lambda: (tmp_path / "aside/part.py").write_text("TEXT = 'not this'"))
    reloading.restarts(lambda: reloading.server.edit("pkg/part.py", "TEXT = 'three'"), "three")


def test_new_folders_are_watched(serve: Serve, app: str) -> None:
    reloading = reload(serve, {"app.py": app})
    files = {f"{folder}/__init__.py": "" for folder in ("a", "a/b", "a/b/c")}

    def add() -> None:
        write(reloading.project, {**files, "a/b/c/part.py": "TEXT = 'two'"})
        reloading.server.edit("app.py", app_with(app, "from a.b.c import part", text="part.TEXT"))

    reloading.restarts(add, "two")
    reloading.restarts(lambda: reloading.server.edit("a/b/c/part.py", "TEXT = 'three'"), "three")


# --- what is ignored, and what is asked for ---


def watched_folders(server: DevServer) -> int:
    """How many inotify watches the supervisor holds, those of installed software aside."""
    infos = Path(f"/proc/{server.process.pid}/fdinfo")
    watched: list[str] = []
    for path in infos.iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            watched += re.findall(r"inotify wd:\w+ ino:(\w+)", path.read_text())
    installed = {f"{os.stat(folder).st_ino:x}" for folder in installed_folders() if os.path.isdir(folder)}
    return sum(ino not in installed for ino in watched)


@pytest.mark.skipif(sys.platform != "linux", reason="counts the watches of inotify")
def test_ignored_folders_take_no_watch(serve: Serve, kind: str, project: Path) -> None:
    source = app_with(APPS[kind], "import part", text="part.TEXT")
    venv.create(project / "surroundings", with_pip=False)
    ignored = [
        f"{top}/{number}/lib"
        for top in ("node_modules", ".venv", ".git", ".tox", ".mypy_cache")
        for number in range(30)
    ]
    files = {f"{folder}/file.py": "" for folder in ignored}
    reloading = reload(serve, {"app.py": source, "part.py": "TEXT = 'one'", "deep/er/x.txt": "", **files})
    server = reloading.server
    server.wait_for(lambda: watched_folders(server) >= 4, "the watches")
    reloading.restarts(lambda: server.edit("part.py", "TEXT = 'two'"), "two")
    assert watched_folders(server) <= 6  # the project, marks, deep, er; a few more would be no harm

    def change_all() -> None:
        write(project, dict.fromkeys(files, "changed"))
        write(project, {"surroundings/lib/python3/site-packages/x.py": "", "node_modules/new/a/b/c.js": ""})
        shutil.rmtree(project / ".tox")

    reloading.stays(change_all)
    venv.create(project / "later", with_pip=False)
    reloading.stays(lambda: write(project, {"later/lib/x/y.py": ""}))
    server.wait_for(lambda: watched_folders(server) <= 6, "the end of the watches of an environment that came later")


def test_reload_dir(serve: Serve, app: str, tmp_path: Path) -> None:
    """What is read is watched wherever it lies; --reload-dir adds what nobody has read yet to what may matter."""
    other, third = tmp_path / "other", tmp_path / "third"
    write(other, {"page.html": "one"})
    write(third, {"page.html": "one"})
    reloading = reload(
        serve, {"app.py": app, "unread.html": ""}, "--reload-dir", str(other), "--reload-include", "*.html"
    )
    reloading.restarts(lambda: (other / "page.html").write_text("two"))
    reloading.restarts(lambda: reloading.server.edit("unread.html", "x"))
    reloading.stays(lambda: (third / "page.html").write_text("two"))
    reloading.stays(lambda: (other / "page.txt").write_text("two"))
    reloading.restarts(lambda: reloading.server.edit("app.py", app.replace("one", "two")), "two")


def test_reload_include_and_exclude(serve: Serve, app: str, project: Path) -> None:
    load = """
        import generated.a, pkg.gen.b, out.c, top
        from pathlib import Path
        text = generated.a.TEXT + pkg.gen.b.TEXT + out.c.TEXT + top.TEXT + Path("data.json").read_text()
    """
    sources = dict.fromkeys(("generated/a.py", "pkg/gen/b.py", "out/c.py", "top.py"), "TEXT = '1'")
    reloading = reload(
        serve,
        {"app.py": app_with(app, load, text="text"), **sources, "data.json": "1", "pages/page.html": ""},
        *("--reload-include", "*.html", "--reload-exclude", "generated", "--reload-exclude", str(project / "out")),
        *("--reload-exclude", "**/gen/*", "--reload-exclude", "*.json"),
    )
    server = reloading.server
    assert server.get().text == "11111"
    for name in ("generated/a.py", "pkg/gen/b.py", "out/c.py"):
        reloading.stays(lambda name=name: server.edit(name, "TEXT = '2'"))  # type: ignore[misc]
    reloading.stays(lambda: server.edit("data.json", "2"))
    line = reloading.restarts(lambda: server.edit("pages/page.html", "never read"), "22212")  # the excluded come along
    assert line.startswith("pages/page.html: restarted")
    reloading.stays(lambda: server.edit("pages/page.html", "never read"))
    reloading.restarts(lambda: (project / "pages/page.html").unlink())
    reloading.restarts(lambda: server.edit("top.py", "TEXT = '3'"), "22232")


# --- names and folders that cause trouble ---


def test_names_that_are_not_utf8(serve: Serve, app: str, project: Path) -> None:
    strange = os.fsdecode(b"caf\xe9")
    source = app_with(app, "import part", text="part.TEXT")
    reloading = reload(serve, {"app.py": source, "part.py": "TEXT = 'one'", "pkg/x.txt": ""})
    server = reloading.server
    (project / f"pkg/{strange}.txt").write_text("x")
    reloading.restarts(lambda: server.edit("part.py", "TEXT = 'two'"), "two")
    (project / f"{strange}.txt").write_text("x")  # beside the sources: its folder is polled from now on
    server.edit("part.py", "TEXT = 'three'")
    server.wait_for_text("three")
    server.wait_for_log("not UTF-8")
    write(project, {f"{strange}/__init__.py": "TEXT = 'four'"})
    server.edit("app.py", app_with(app, f"part = __import__({strange!r})", text="part.TEXT"))
    server.wait_for_text("four")
    write(project, {f"{strange}/__init__.py": "TEXT = 'five'"})
    server.wait_for_text("five")


def test_links_in_circles_and_pipes(serve: Serve, app: str, project: Path) -> None:
    (project / "circle").mkdir(parents=True)
    (project / "circle/self").symlink_to(".")
    (project / "circle/up").symlink_to("..")
    (project / "circle/none").symlink_to("none")
    os.mkfifo(project / "pipe")
    reloading = reload(serve, {"app.py": app})
    reloading.restarts(lambda: reloading.server.edit("app.py", app.replace("one", "two")), "two")
    reloading.stays(lambda: os.mkfifo(project / "circle/pipe"))


# --- polling ---


def test_polling_sees_the_same(serve: Serve, kind: str, project: Path) -> None:
    load = "import part, os; from pathlib import Path; found = Path('.env').exists()"
    source = app_with(APPS[kind], load, text="part.TEXT + str(found) + ' '.join(sorted(os.listdir('posts')))")
    files = {"app.py": source, "part.py": "TEXT = 'one'", "posts/a": "", "node_modules/x/y.js": ""}
    reloading = reload(serve, files, "--poll")
    server = reloading.server
    reloading.stays(lambda: server.edit("node_modules/x/y.js", "x"))
    reloading.stays(lambda: (project / "part.py").touch())
    reloading.restarts(lambda: server.edit("part.py", "TEXT = 'two'"), "twoFalsea")
    reloading.restarts(lambda: (project / ".env").touch(), "twoTruea")
    reloading.restarts(lambda: (project / "posts/b").touch(), "twoTruea b")
    reloading.restarts(lambda: write(project, {"part/__init__.py": "TEXT = 'package'"}), "packageTruea b")
    if sys.platform == "linux":
        assert watched_folders(server) == 0


def test_a_folder_elsewhere_that_was_listed(serve: Serve, app: str, tmp_path: Path) -> None:
    """It may be the home folder: its names matter, what lies below it does not."""
    home = tmp_path / "home"
    write(home, {"one": "", "a/b/c": ""})
    source = app_with(app, f"import os; names = sorted(os.listdir({str(home)!r}))", text="' '.join(names)")
    reloading = reload(serve, {"app.py": source})
    assert reloading.server.get().text == "a one"
    reloading.stays(lambda: write(home, {"a/b/d": "", "a/new": ""}))
    reloading.restarts(lambda: write(home, {"two": ""}), "a one two")
    if sys.platform == "linux":
        assert watched_folders(reloading.server) <= 5  # nothing below it; what is installed is watched too
