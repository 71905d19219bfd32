"""What was read decides: data files, look-ups, listings, what the app writes itself, sources from elsewhere, environment files."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.harness import APPS, Serve, write
from tests.e2e.reloading import app_with, reload

pytestmark = pytest.mark.either_kind

HERE = "from pathlib import Path; here = Path(__file__).parent"

# --- what the load reads and asks for ---

READS: dict[str, tuple[str, dict[str, str], Callable[[Path], object], str, str]] = {
    # expression at import, files, change, answers before and after
    "open": (
        "open(here / 'data.txt').read()",
        {"data.txt": "a"},
        lambda at: (at / "data.txt").write_text("b"),
        "a",
        "b",
    ),
    "read_text": (
        "(here / 'data.txt').read_text()",
        {"data.txt": "a"},
        lambda at: (at / "data.txt").write_text("b"),
        "a",
        "b",
    ),
    "relative": ("open('data.txt').read()", {"data.txt": "a"}, lambda at: (at / "data.txt").write_text("b"), "a", "b"),
    "bytes path": (
        "open(b'data.txt').read()",
        {"data.txt": "a"},
        lambda at: (at / "data.txt").write_text("b"),
        "a",
        "b",
    ),
    "os.open": (
        "__import__('os').read(__import__('os').open('data.txt', 0), 9).decode()",
        {"data.txt": "a"},
        lambda at: (at / "data.txt").write_text("b"),
        "a",
        "b",
    ),
    "exists": (
        "str((here / '.env').exists())",
        {},
        lambda at: (at / ".env").touch(),
        "False",
        "True",
    ),
    "os.path.isfile": (
        "str(__import__('os').path.isfile('.env'))",
        {".env": ""},
        lambda at: (at / ".env").unlink(),
        "True",
        "False",
    ),
    "is_dir": ("str((here / 'media').is_dir())", {}, lambda at: (at / "media").mkdir(), "False", "True"),
    "exists far below": (
        "str((here / 'a/b/c.txt').exists())",
        {},
        lambda at: write(at, {"a/b/c.txt": ""}),
        "False",
        "True",
    ),
    "open in try": (
        "next(iter(here.glob('local.tx[t]')), here / 'data.txt').read_text()",
        {"data.txt": "a"},
        lambda at: (at / "local.txt").write_text("b"),
        "a",
        "b",
    ),
    "os.listdir": (
        "' '.join(sorted(__import__('os').listdir('posts')))",
        {"posts/a.md": ""},
        lambda at: (at / "posts/b.md").touch(),
        "a.md",
        "a.md b.md",
    ),
    "glob": (
        "' '.join(sorted(path.name for path in here.glob('posts/**/*.md')))",
        {"posts/a.md": "", "posts/deep/b.md": ""},
        lambda at: (at / "posts/deep/c.md").touch(),
        "a.md b.md",
        "a.md b.md c.md",
    ),
    "scandir": (
        "' '.join(sorted(entry.name for entry in __import__('os').scandir('posts')))",
        {"posts/a.md": "", "posts/b.md": ""},
        lambda at: (at / "posts/b.md").unlink(),
        "a.md b.md",
        "a.md",
    ),
    "iter_modules": (
        "' '.join(module.name for module in __import__('pkgutil').iter_modules(['plugins']))",
        {"plugins/a.py": ""},
        lambda at: (at / "plugins/b.py").touch(),
        "a",
        "a b",
    ),
    "missing module": (
        "getattr(__import__('importlib').util.find_spec('local_settings'), 'name', 'none')",
        {},
        lambda at: (at / "local_settings.py").touch(),
        "none",
        "local_settings",
    ),
}


@pytest.mark.parametrize("how", READS)
def test_what_the_load_read_restarts(serve: Serve, how: str) -> None:
    expression, files, change, before, after = READS[how]
    source = app_with(APPS["wsgi"], HERE, "import importlib.util", text=expression)
    reloading = reload(serve, {"app.py": source, **files})
    assert reloading.server.get().text == before
    reloading.restarts(lambda: change(reloading.project))
    reloading.server.wait_for(lambda: reloading.server.get().text == after, repr(after))


def test_an_import_that_was_caught(serve: Serve, app: str) -> None:
    source = app_with(
        app,
        """
        try:
            from local_settings import TEXT as found
        except ImportError:
            found = "default"
        """,
        text="found",
    )
    reloading = reload(serve, {"app.py": source})
    assert reloading.server.get().text == "default"
    reloading.restarts(lambda: reloading.server.edit("local_settings.py", "TEXT = 'local'"), "local")
    reloading.restarts(lambda: (reloading.project / "local_settings.py").unlink(), "default")


def test_a_failed_load_heals_when_what_it_missed_appears(serve: Serve, app: str) -> None:
    source = app_with(app, HERE, text="(here / 'missing.txt').read_text()")
    reloading = reload(serve, {"app.py": source})
    reloading.server.wait_for_text("FileNotFoundError")
    reloading.restarts(lambda: reloading.server.edit("missing.txt", "found"), "found")


def test_what_a_request_reads_and_the_app_keeps(serve: Serve, kind: str) -> None:
    """Read once, at the first request, and kept for good."""
    source = app_with(
        APPS[kind].replace("else TEXT", "else text()"),
        """
        import functools
        @functools.cache
        def text():
            return open('data.txt').read()
        """,
    )
    reloading = reload(serve, {"app.py": source, "data.txt": "one", "other.txt": "one"})
    reloading.stays(lambda: reloading.server.edit("data.txt", "two"))  # nobody has read it yet
    assert reloading.server.get().text == "two"
    reloading.restarts(lambda: reloading.server.edit("data.txt", "three"), "three")
    reloading.stays(lambda: reloading.server.edit("other.txt", "two"))


def test_a_module_that_a_request_imports(serve: Serve, kind: str) -> None:
    source = APPS[kind].replace("else TEXT", "else __import__('lazy').TEXT")
    reloading = reload(serve, {"app.py": source, "lazy.py": "TEXT = 'one'"})
    reloading.stays(lambda: reloading.server.edit("lazy.py", "TEXT = 'two'"))
    assert reloading.server.get().text == "two"
    reloading.restarts(lambda: reloading.server.edit("lazy.py", "TEXT = 'three'"), "three")


# --- what the app writes itself ---

WRITES = {
    "log": "import logging; logging.basicConfig(filename='app.log', level='INFO', force=True); logging.info('x')",
    "upload": "open(f'upload-{len(os.listdir())}.bin', 'wb').write(b'x')",
    "upload into a new folder": "os.makedirs('media/new', exist_ok=True); open('media/new/x', 'a').write('x')",
    "read back": "open('note.txt', 'a').write('x'); open('note.txt').read()",
    "cache by rename": "open('cache.tmp', 'w').write(os.urandom(4).hex()); os.replace('cache.tmp', 'cache'); open('cache').read()",
    "sqlite": (
        "import sqlite3; base = sqlite3.connect('db.sqlite3'); base.execute('create table if not exists t (x)');"
        " base.execute('insert into t values (1)'); base.commit(); base.close()"
    ),
    "sqlite with a log": (
        "import sqlite3; base = sqlite3.connect('wal.sqlite3'); base.execute('pragma journal_mode=wal');"
        " base.execute('create table if not exists t (x)'); base.execute('insert into t values (1)'); base.commit();"
        " base.close()"
    ),
    "counter": (
        "count = int(open('count').read()) if os.path.exists('count') else 0; open('count', 'w').write(str(count + 1))"
    ),
    "listed folder": "os.makedirs('spool', exist_ok=True); os.listdir('spool'); open(f'spool/{os.urandom(4).hex()}', 'w').close()",
    "deleted": "open('temporary', 'w').close(); os.stat('temporary'); os.remove('temporary')",
    "pickle": "import pickle, shelve; shelf = shelve.open('shelf'); shelf['x'] = os.urandom(4); shelf.close()",
}


def test_what_requests_write_never_restarts(serve: Serve, kind: str) -> None:
    source = app_with(
        APPS[kind]
        .replace("else TEXT", "else work(path)")
        .replace("body = str(os.getpid()) if scope", 'path = scope["path"]; body = str(os.getpid()) if scope'),
        f"import os\nWRITES = {WRITES!r}",
        """
        def work(path):
            exec(WRITES[path.lstrip('/').replace('-', ' ')], globals())
            return "done"
        """,
    )
    reloading = reload(serve, {"app.py": source})
    for name in WRITES:
        for _ in range(2):

            def ask(name: str = name) -> None:
                assert reloading.server.get("/" + name.replace(" ", "-")).text == "done", reloading.server.log

            assert reloading.after(ask) == [], name
    assert reloading.loads() == 0


LOAD_WRITES = {
    "the project's folder": "os.listdir()",
    "log": WRITES["log"],
    "sqlite": WRITES["sqlite"],
    "counter": WRITES["counter"],
    "cache": "open('cache', 'w').write(os.urandom(4).hex()); open('cache').read()",
    "generated module": "open('generated.py', 'w').write(f'X = {os.getpid()}'); import generated; generated.X",
    "marker": "os.path.exists('marker') or open('marker', 'w').close()",
    "listed": "os.makedirs('out', exist_ok=True); os.listdir('out'); open(f'out/{os.getpid()}', 'w').close()",
}


def test_what_the_load_writes_does_not_load_again(serve: Serve, kind: str) -> None:
    source = app_with(APPS[kind], "import os", *(f"exec({code!r})" for code in LOAD_WRITES.values()))
    reloading = reload(serve, {"app.py": source})
    for _ in range(2):
        reloading.stays(lambda: None)
    reloading.restarts(lambda: reloading.server.edit("app.py", source.replace('"one"', '"two"')), "two")
    reloading.stays(lambda: None)


def test_a_generated_module_that_a_person_edits(serve: Serve, app: str) -> None:
    make = """
        import os
        if not os.path.exists('generated.py'):
            open('generated.py', 'w').write("TEXT = 'generated'")
        import generated
    """
    reloading = reload(serve, {"app.py": app_with(app, make, text="generated.TEXT")})
    assert reloading.server.get().text == "generated"
    reloading.restarts(lambda: reloading.server.edit("generated.py", "TEXT = 'edited'"), "edited")
    reloading.restarts(lambda: (reloading.project / "generated.py").unlink(), "generated")


# --- sources from elsewhere ---


def _library(folder: Path, text: str = "one") -> Path:
    write(folder, {"library/__init__.py": "from library.part import TEXT", "library/part.py": f"TEXT = {text!r}"})
    return folder


def test_sources_by_python_path(serve: Serve, app: str, tmp_path: Path) -> None:
    folder = _library(tmp_path / "elsewhere")
    reloading = reload(
        serve, {"app.py": app_with(app, "import library", text="library.TEXT")}, env={"PYTHONPATH": str(folder)}
    )
    line = reloading.restarts(lambda: (folder / "library/part.py").write_text("TEXT = 'two'"), "two")
    assert line == f"{folder}/library/part.py: restarted, 3 modules"
    reloading.restarts(lambda: (folder / "library/part.py").write_text("TEXT = 'three'"), "three")
    reloading.stays(lambda: (folder / "other.txt").write_text("x"))


def test_sources_that_the_app_puts_on_the_path(serve: Serve, app: str, tmp_path: Path) -> None:
    folder = _library(tmp_path / "elsewhere")
    source = app_with(app, f"import sys; sys.path.append({str(folder)!r}); import library", text="library.TEXT")
    reloading = reload(serve, {"app.py": source})
    reloading.restarts(lambda: (folder / "library/part.py").write_text("TEXT = 'two'"), "two")


def test_an_editable_install(serve: Serve, app: str, tmp_path: Path) -> None:
    """Of both kinds: a .pth file that names a folder, and one that installs a finder of its own."""
    by_folder, by_finder = _library(tmp_path / "by_folder"), tmp_path / "by_finder/src/found"
    write(by_finder, {"__init__.py": "from found.part import TEXT", "part.py": "TEXT = 'one'"})
    site = tmp_path / "site"
    write(
        site,
        {
            "library.pth": str(by_folder),
            "found.pth": "import _found_finder",
            "_found_finder.py": f"""
                import sys
                from importlib.machinery import PathFinder
                from importlib.util import spec_from_file_location

                class Finder:
                    @classmethod
                    def find_spec(cls, name, path=None, target=None):
                        if name == "found":
                            return spec_from_file_location(name, {str(by_finder / "__init__.py")!r})

                sys.meta_path.append(Finder)
            """,
            "sitecustomize.py": f"import site; site.addsitedir({str(site)!r})",
        },
    )
    source = app_with(app, "import library, found", text="library.TEXT + ' ' + found.TEXT")
    reloading = reload(serve, {"app.py": source}, env={"PYTHONPATH": str(site)})
    assert reloading.server.get().text == "one one"
    reloading.restarts(lambda: (by_folder / "library/part.py").write_text("TEXT = 'two'"), "two one")
    reloading.restarts(lambda: (by_finder / "part.py").write_text("TEXT = 'two'"), "two two")
    reloading.restarts(lambda: (by_finder / "__init__.py").write_text("TEXT = 'three'"), "two three")


def test_a_module_loaded_by_path(serve: Serve, app: str, tmp_path: Path) -> None:
    inside, outside = "plugins/inside.plugin.py", tmp_path / "outside.py"
    outside.write_text("TEXT = 'one'")
    load = f"""
        from importlib.util import module_from_spec, spec_from_file_location

        def load(name, path):
            spec = spec_from_file_location(name, path)
            module = module_from_spec(spec)
            spec.loader.exec_module(module)
            return module.TEXT

        text = load("inside", {inside!r}) + " " + load("outside", {str(outside)!r})
    """
    reloading = reload(serve, {"app.py": app_with(app, load, text="text"), inside: "TEXT = 'one'"})
    reloading.restarts(lambda: reloading.server.edit(inside, "TEXT = 'two'"), "two one")
    reloading.restarts(lambda: outside.write_text("TEXT = 'two'"), "two two")


def test_code_run_from_a_file(serve: Serve, app: str) -> None:
    run = "import runpy; found = runpy.run_path('scripts/run.py')['TEXT'] + open('scripts/exec.py').read()"
    files = {"app.py": app_with(app, run, text="found"), "scripts/run.py": "TEXT = 'one'", "scripts/exec.py": "1"}
    reloading = reload(serve, files)
    reloading.restarts(lambda: reloading.server.edit("scripts/run.py", "TEXT = 'two'"), "two1")
    reloading.restarts(lambda: reloading.server.edit("scripts/exec.py", "2"), "two2")


# --- environment files ---


@pytest.mark.parametrize("name", ["settings.env", "../outside.env"])
def test_an_environment_file(serve: Serve, kind: str, name: str) -> None:
    source = app_with(APPS[kind], "import os", text="' '.join(os.environ.get(n, '-') for n in ('ONE', 'TWO'))")
    reloading = reload(serve, {"app.py": source, name: "ONE=1\nTWO=2\n"}, "--env-file", name)
    server = reloading.server
    assert server.get().text == "1 2"
    line = reloading.restarts(lambda: server.edit(name, "ONE=11\n"), "11 -")  # what is gone from the file is gone
    assert line.startswith(
        str((reloading.project / name).resolve()).removeprefix(f"{reloading.project}/") + ": restarted"
    )
    reloading.stays(lambda: (reloading.project / name).touch())
    reloading.restarts(lambda: server.edit("app.py", source + "\n"), "11 -")  # by a save of something else
    reloading.restarts(lambda: server.edit(name, "ONE=1\nTWO=2\n"), "1 2")  # as it was at first
    reloading.restarts(lambda: (reloading.project / name).unlink(), "- -")
    reloading.restarts(lambda: server.edit(name, "TWO=2\n"), "- 2")


def test_an_editable_install_by_pip(serve: Serve, app: str, tmp_path: Path) -> None:
    """By the real tools, into an environment of its own."""
    package = _library(tmp_path / "package")
    write(
        package, {"pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'}
    )
    write(
        package,
        {
            "backend.py": """
                import zipfile

                def build_editable(folder, settings=None, metadata=None):
                    name = "library-1-py3-none-any.whl"
                    info = "library-1.dist-info"
                    files = {
                        "library.pth": __file__.rpartition("/")[0],
                        f"{info}/METADATA": "Metadata-Version: 2.1\\nName: library\\nVersion: 1\\n",
                        f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
                        f"{info}/RECORD": "",
                    }
                    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
                        for path, text in files.items():
                            wheel.writestr(path, text)
                    return name
            """
        },
    )
    target = tmp_path / "site"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-build-isolation", "--no-index", "--no-deps"]
    done = subprocess.run(
        [*command, "--target", target, "-e", package], check=False, capture_output=True, text=True, timeout=120
    )
    if done.returncode:
        pytest.skip(f"pip cannot install here: {done.stderr[-300:]}")
    write(target, {"sitecustomize.py": f"import site; site.addsitedir({str(target)!r})"})
    reloading = reload(
        serve, {"app.py": app_with(app, "import library", text="library.TEXT")}, env={"PYTHONPATH": str(target)}
    )
    reloading.restarts(lambda: (package / "library/part.py").write_text("TEXT = 'two'"), "two")
