"""One file is saved: what makes a restart and what doesn't, by real processes, for WSGI and ASGI."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from tests.e2e.harness import APPS, Serve
from tests.e2e.reloading import ARGUMENTS, EDITORS, MARK, PausedTooLongError, Save, app_with, reload

pytestmark = pytest.mark.either_kind

# --- the ways of editors ---


@pytest.mark.parametrize("save", EDITORS, ids=lambda save: save.__name__)
def test_a_save_is_one_restart_whatever_the_editor_does(serve: Serve, app: str, save: Save) -> None:
    reloading = reload(serve, {"app.py": app})
    server = reloading.server
    for text in ("first", "second", "third", "fourth"):
        loads, log = reloading.loads(), server.log
        try:
            save(reloading.project / "app.py", dedent(app).replace("one", text))
        except PausedTooLongError:
            server.wait_for_text(text)
            reloading.settle()
            continue
        server.wait_for_text(text)
        reloading.settle()
        assert "Error" not in server.log.removeprefix(log)
        assert reloading.loads() == loads + 1
        assert "app.py: restarted, 1 module" in reloading.lines()
        return
    pytest.skip("this machine is too busy to save in one go")


def test_an_emptied_module_is_acted_on(serve: Serve) -> None:
    """Empty is a state like any other, once it lasts."""
    reloading = reload(
        serve,
        {
            "app.py": app_with(APPS["wsgi"], "import part", text="vars(part).get('TEXT', 'empty')"),
            "part.py": "TEXT = 'full'",
        },
    )
    reloading.restarts(lambda: reloading.server.edit("part.py", ""), "empty")
    reloading.restarts(lambda: reloading.server.edit("part.py", "TEXT = 'full again'"), "full again")


@pytest.mark.parametrize("what", ["file", "folder"])
def test_sources_behind_symbolic_links(serve: Serve, app: str, tmp_path: Path, project: Path, what: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "parts").mkdir(parents=True)
    (elsewhere / "parts/__init__.py").touch()
    real = elsewhere / "parts/text.py"
    real.write_text("TEXT = 'one'")
    if what == "folder":
        (project / "parts").symlink_to(elsewhere / "parts")
    else:
        (project / "parts").mkdir()
        (project / "parts/__init__.py").touch()
        (project / "parts/text.py").symlink_to(real)
    reloading = reload(serve, {"app.py": app_with(app, "from parts import text", text="text.TEXT")})
    reloading.restarts(lambda: real.write_text("TEXT = 'two'"), "two")
    reloading.restarts(lambda: (project / "parts/text.py").write_text("TEXT = 'three'"), "three")
    other = elsewhere / "other"
    shutil.copytree(elsewhere / "parts", other)
    (other / "text.py").write_text("TEXT = 'four'")
    link, target = (project / "parts", other) if what == "folder" else (project / "parts/text.py", other / "text.py")

    def lead_elsewhere() -> None:
        new = project / "new-link"
        new.symlink_to(target)
        new.replace(link)

    reloading.restarts(lead_elsewhere, "four")
    reloading.restarts(lambda: (other / "text.py").write_text("TEXT = 'five'"), "five")


def test_a_project_reached_through_a_link(serve: Serve, app: str, tmp_path: Path, project: Path) -> None:
    real = tmp_path / "real"
    project.rename(real)
    project.symlink_to(real)
    reloading = reload(serve, {"app.py": app})
    line = reloading.restarts(lambda: (real / "app.py").write_text(dedent(app).replace("one", "two")), "two")
    assert line == "app.py: restarted, 1 module"


# --- what is no change ---


def _replace_by_same(path: Path) -> None:
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data)


def _rename_and_back(path: Path) -> None:
    path.rename(path.with_name("aside.txt"))
    path.with_name("aside.txt").rename(path)


NO_CHANGES: dict[str, Callable[[Path], object]] = {
    "same bytes": lambda path: path.write_bytes(path.read_bytes()),
    "touch": lambda path: path.touch(),
    "chmod": lambda path: path.chmod(0o600),
    "other time": lambda path: os.utime(path, (1, 1)),
    "deleted and created": _replace_by_same,
    "renamed and back": _rename_and_back,
    "hard link": lambda path: os.link(path, path.with_name("link.txt")),
    "read": lambda path: path.read_bytes(),
    "bytecode": lambda path: path.with_name("other.pyc").write_bytes(b"x"),
    "backup": lambda path: path.with_name("app.py~").write_text("other"),
    "swap file": lambda path: path.with_name(".app.py.swp").write_text("other"),
    "a module nobody imports": lambda path: path.with_name("unused.py").write_text("x = 1"),
    "a text nobody reads": lambda path: path.with_name("notes.md").write_text("x"),
    "a folder": lambda path: path.with_name("folder").mkdir(),
}


def test_what_is_no_change(serve: Serve, app: str) -> None:
    reloading = reload(serve, {"app.py": app})
    reloading.restarts(lambda: reloading.server.edit("app.py", app.replace("one", "two")), "two")
    for name, act in NO_CHANGES.items():
        assert reloading.after(lambda act=act: act(reloading.project / "app.py")) == [], name  # type: ignore[misc]
    assert reloading.loads() == 1


# --- saves while a load runs ---


def _slow(app: str, text: str) -> str:
    """An app whose load says `began` and waits for a file; nothing of the wait is recorded."""
    wait = """
        import os, time, sys
        here = os.path.dirname(os.path.abspath(__file__))
        print("began", flush=True)
        while "go" not in os.popen("ls " + here).read().split(): time.sleep(0.01)
    """
    return app_with(app, wait, text=repr(text))


def test_a_save_during_a_load_is_acted_on_at_once(serve: Serve, app: str) -> None:
    reloading = reload(serve, {"app.py": app})
    server = reloading.server
    server.edit("app.py", _slow(app, "never"))
    server.wait_for_log("began")
    server.edit("app.py", app.replace("one", "two"))
    server.wait_for_text("two")
    server.wait_for(reloading.lines, "the line")
    assert reloading.lines() == ["app.py: restarted, 1 module"]


def test_a_file_saved_after_it_was_read_and_before_the_load_ended(serve: Serve, app: str) -> None:
    files = {"app.py": app, "part.py": "TEXT = 'part one'"}
    reloading = reload(serve, files)
    server = reloading.server
    server.edit("app.py", "import part\n" + _slow(app, "x").replace("TEXT = 'x'", "TEXT = part.TEXT"))
    server.wait_for_log("began")  # part.py has been read
    server.edit("part.py", "TEXT = 'part two'")
    server.wait_for_log("began", count=2)
    server.edit("go", "")
    server.wait_for_text("part two")


def test_a_save_during_the_first_load(serve: Serve, app: str, project: Path) -> None:
    server = serve({MARK: "b {}", "app.py": _slow(app, "never")}, *ARGUMENTS, wait=False)
    server.wait_for_log("began")
    server.edit("app.py", app.replace("one", "two"))
    server.wait_for_address()
    server.wait_for_text("two")


def test_twenty_saves_in_quick_succession_end_in_the_last_state(serve: Serve, app: str) -> None:
    reloading = reload(serve, {"app.py": app})
    for number in range(20):
        reloading.server.edit("app.py", app.replace("one", f"save {number:02}"))
    reloading.server.wait_for_text("save 19")
    reloading.settle()
    assert reloading.server.get().text == "save 19"
    assert reloading.loads() <= 20


def test_saves_all_the_time_do_not_starve_the_answer(serve: Serve, app: str) -> None:
    """An agent that writes without a pause: each load is overtaken, but what is not read holds up nothing."""
    reloading = reload(serve, {"app.py": app})
    stop = threading.Event()

    def write_on() -> None:
        while not stop.is_set():
            (reloading.project / "notes.txt").write_text(str(time.monotonic()))

    writer = threading.Thread(target=write_on)
    writer.start()
    try:
        reloading.server.edit("app.py", app.replace("one", "two"))
        reloading.server.wait_for_text("two")
    finally:
        stop.set()
        writer.join()


# --- stale bytecode ---


def test_equal_size_and_equal_time(serve: Serve, app: str, project: Path) -> None:
    files = {"app.py": app_with(app, "import part", text="part.TEXT"), "part.py": "TEXT = 'one'"}
    reloading = reload(serve, files)
    part = project / "part.py"
    status = part.stat()

    def save(text: str) -> None:
        part.write_text(f"TEXT = {text!r}")
        os.utime(part, ns=(status.st_atime_ns, status.st_mtime_ns))

    for text in ("two", "six", "ten"):
        reloading.restarts(lambda text=text: save(text), text)  # type: ignore[misc]


def test_a_file_from_the_past(serve: Serve, app: str, tmp_path: Path, project: Path) -> None:
    """`cp -p`, `rsync -t`, a synchronised folder: the new content is older than the old one."""
    reloading = reload(serve, {"app.py": app})
    old = tmp_path / "old.py"
    old.write_text(dedent(app).replace("one", "two"))
    os.utime(old, (1_000_000_000, 1_000_000_000))
    reloading.restarts(lambda: shutil.copy2(old, project / "app.py"), "two")
    old.write_text(dedent(app).replace("one", "six"))
    os.utime(old, (1_000_000_000, 1_000_000_000))
    reloading.restarts(lambda: shutil.copy2(old, project / "app.py"), "six")


def test_stale_bytecode_from_before_the_start(serve: Serve, app: str, project: Path) -> None:
    """Bytecode of another source, which importlib would take: time and size match."""
    import py_compile

    part = project / "part.py"
    part.write_text("TEXT = 'old'")
    os.utime(part, (1_600_000_000, 1_600_000_000))
    py_compile.compile(str(part), doraise=True)
    part.write_text("TEXT = 'new'")
    os.utime(part, (1_600_000_000, 1_600_000_000))
    reloading = reload(serve, {"app.py": app_with(app, "import part", text="part.TEXT")})
    assert reloading.server.get().text == "new"


# --- the line in the terminal ---


def test_the_words_of_the_change_line(serve: Serve, app: str) -> None:
    reloading = reload(
        serve,
        {
            "app.py": app_with(app, "from pkg import part", text="part.TEXT"),
            "pkg/__init__.py": "",
            "pkg/part.py": "TEXT = 'one'",
        },
    )
    server, project = reloading.server, reloading.project
    assert reloading.restarts(lambda: server.edit("pkg/part.py", "TEXT = 'two'"), "two") == (
        "pkg/part.py: restarted, 3 modules"
    )
    server.edit("pkg/part.py", "TEXT = ")
    server.wait_for_log("SyntaxError")
    assert reloading.lines()[1:] == ["pkg/part.py: failed to load"]
    server.edit("pkg/part.py", "TEXT = 'three'")
    server.wait_for_text("three")
    server.wait_for(lambda: len(reloading.lines()) == 3, "the line")
    assert reloading.lines()[2:] == ["pkg/part.py: error fixed, restarted, 3 modules"]
    server.get("/marks/mark.css")
    server.edit(MARK, "b { color: red }")
    server.wait_for(lambda: len(reloading.lines()) == 4, "the line")
    assert reloading.lines()[3:] == [f"{MARK}: refreshed"]
    (project / "pkg/part.py").unlink()
    server.wait_for_log("ImportError")
    assert reloading.lines()[4:] == ["pkg/part.py: failed to load"]
    server.edit("pkg/part/__init__.py", "TEXT = 'four'")
    server.wait_for_text("four")
    server.wait_for(lambda: len(reloading.lines()) == 6, "the line")
    assert reloading.lines()[5:] == ["pkg/part/__init__.py: error fixed, restarted, 3 modules"]


def test_a_stylesheet_is_refreshed_and_nothing_else(serve: Serve, app: str) -> None:
    reloading = reload(serve, {"app.py": app})
    pid = reloading.server.server_pid()
    reloading.server.get(f"/{MARK}")
    reloading.server.edit(MARK, "b { color: blue }")
    reloading.server.wait_for_log("mark.css changed: refreshed")
    assert reloading.server.get("/marks/mark.css").text == "b { color: blue }"
    assert reloading.server.server_pid() == pid
