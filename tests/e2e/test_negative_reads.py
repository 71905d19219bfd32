"""What a load looked for and did not find, listed, or wrote itself, behind checkpoints: the right answer, and the right depth.

The files matter to the second of three modules, unless a test says otherwise: a change runs it and what comes after it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.chained import again, chained, module
from tests.e2e.harness import Serve, write
from tests.e2e.test_reload_frameworks import DJANGO

SECOND = again("second", "third")
WITHIN_SECOND = (SECOND, again("third"))
"""A module that the second imports may have a checkpoint of its own, in the middle of the second."""


@dataclass(frozen=True)
class Case:
    """A way to look for something, and what somebody does about it."""

    lines: str  # of the second module
    steps: tuple[tuple[Callable[[Path], object], str], ...]  # each with what the answer then shows
    files: tuple[str, ...] = ()  # that are there at first, with a number as their content
    imports: bool = False  # what it looks for is a module


def writes(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: write(folder, {name: text})


def removes(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def becomes_a_package(folder: Path) -> None:
    write(folder, {"helper/__init__.py": "MORE = ' package'"})
    (folder / "helper.py").unlink()


def becomes_a_module(folder: Path) -> None:
    write(folder, {"helper.py": "MORE = ' module'"})
    shutil.rmtree(folder / "helper")


CASES = {
    "local settings": Case(
        """
        try:
            from local_settings import MORE
        except ImportError:
            MORE = " none"
        """,
        (
            (writes("local_settings.py", "MORE = ' local'"), "saved local third"),
            (writes("local_settings.py", "MORE = ' other'"), "saved other third"),
            (removes("local_settings.py"), "saved none third"),
        ),
        imports=True,
    ),
    "an optional module": Case(
        """
        import importlib.util
        MORE = " found" if importlib.util.find_spec("optional") else " missing"
        """,
        (
            (writes("optional/__init__.py", ""), "saved found third"),
            (lambda folder: shutil.rmtree(folder / "optional"), "saved missing third"),
            (writes("optional.py", ""), "saved found third"),
        ),
        imports=True,
    ),
    "a module becomes a package and back": Case(
        "from helper import MORE",
        ((becomes_a_package, "saved package third"), (becomes_a_module, "saved module third")),
        files=("helper.py",),
        imports=True,
    ),
    "a package comes before a module": Case(
        "from helper import MORE",
        (
            (writes("helper/__init__.py", "MORE = ' package'"), "saved package third"),
            (lambda folder: shutil.rmtree(folder / "helper"), "saved 0 third"),
        ),
        files=("helper.py",),
        imports=True,
    ),
    "exists": Case(
        """
        from pathlib import Path
        MORE = " " + str(Path(".env").exists())
        """,
        ((writes(".env", "A=1"), "saved True third"), (removes(".env"), "saved False third")),
    ),
    "a folder that is not there": Case(
        """
        import os
        MORE = " folder" if os.path.isdir("conf.d") else " none"
        """,
        (
            (lambda folder: (folder / "conf.d").mkdir(), "saved folder third"),
            (lambda folder: (folder / "conf.d").rmdir(), "saved none third"),
        ),
    ),
    "glob": Case(
        """
        from pathlib import Path
        MORE = " " + ",".join(sorted(path.stem for path in Path("plugins").glob("*.txt")))
        """,
        (
            (writes("plugins/b.txt", ""), "saved a,b third"),
            (lambda folder: (folder / "plugins/b.txt").rename(folder / "plugins/c.txt"), "saved a,c third"),
            (removes("plugins/a.txt"), "saved c third"),
        ),
        files=("plugins/a.txt",),
    ),
    "listdir": Case(
        """
        import os
        MORE = " " + ",".join(sorted(os.listdir("plugins")))
        """,
        ((writes("plugins/b.txt", ""), "saved a.txt,b.txt third"),),
        files=("plugins/a.txt",),
    ),
    "a file that may not be there": Case(
        """
        try:
            MORE = " " + open("data.txt").read()
        except FileNotFoundError:
            MORE = " none"
        """,
        (
            (writes("data.txt", "data"), "saved data third"),
            (writes("data.txt", "more"), "saved more third"),
            (removes("data.txt"), "saved none third"),
        ),
    ),
    "a file that the load writes if it is missing": Case(
        """
        import os
        if not os.path.exists("cache.txt"):
            with open("cache.txt", "w") as file:
                file.write("made")
        with open("cache.txt") as file:
            MORE = " " + file.read()
        """,
        ((writes("cache.txt", "edited"), "saved edited third"), (removes("cache.txt"), "saved made third")),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_the_load_looked_for(serve: Serve, name: str) -> None:
    case = CASES[name]
    files = {file: f"MORE = ' {number}'" for number, file in enumerate(case.files)}
    chain = chained(serve, "wsgi", files=files, lines={"second": case.lines})
    for act, shown in case.steps:
        ran = chain.ran(lambda act=act: act(chain.server.project))  # type: ignore[misc]
        assert chain.server.wait_for_text(shown).text == f"one second {shown} saved"
        if case.imports:  # several files change one after another: a load may be overtaken
            assert ran[-1:] == ["third"], chain.server.log
            assert set(ran) <= set(SECOND), chain.server.log
        else:
            assert ran == SECOND, chain.server.log
    assert chain.save("third", "3") == again("third")  # and the chain is whole again


WRITES = """
    with open("made.txt", "w") as file:
        file.write("made")
"""


@pytest.mark.parametrize("act", [removes("made.txt"), writes("made.txt", "edited")], ids=["deleted", "changed"])
def test_a_file_that_the_load_wrote_is_written_again(serve: Serve, act: Callable[[Path], object]) -> None:
    """Nobody reads it, so nothing happens at once; but nothing continues from where it is held to be there."""
    chain = chained(serve, "wsgi", lines={"second": WRITES})
    made = chain.server.project / "made.txt"
    assert chain.save("third", "3") == again("third")
    act(chain.server.project)
    assert chain.save("third", "33") == SECOND
    assert made.read_text() == "made"
    assert chain.save("third", "333") == again("third")


def test_data_read_early_and_late(serve: Serve) -> None:
    def reads(name: str) -> str:
        return f'MORE = " " + open("{name}.txt").read()'

    chain = chained(
        serve,
        "wsgi",
        files={"early.txt": "early", "late.txt": "late"},
        lines={"second": reads("early"), "third": reads("late")},
    )

    def edit(name: str, text: str) -> list[str]:
        return chain.ran(lambda: chain.server.edit(f"{name}.txt", text))

    assert edit("late", "l") == again("third")
    assert edit("early", "e") == SECOND
    assert edit("late", "ll") == again("third")
    assert chain.server.wait_for_text("ll").text == "one second saved e third saved ll"


def test_what_is_looked_for_behind_the_last_checkpoint(serve: Serve) -> None:
    """In a request: all is loaded, and nothing has to run but the request."""
    source = """
        import os
        from pathlib import Path
        print("app runs")
        import first, second, third

        def application(environ, start_response):
            body = str(os.getpid())
            if environ["PATH_INFO"] != "/pid":
                body = f"{first.TEXT} {second.TEXT} {third.TEXT} {local()}"
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [body.encode()]

        def local():
            try:
                import late
            except ImportError:
                return "none"
            return late.TEXT
    """
    chain = chained(serve, "wsgi", files={"app.py": source})
    chain.server.wait_for_text("third saved none")
    ran = chain.ran(lambda: chain.server.edit("late.py", "TEXT = 'came late'"))
    assert chain.server.wait_for_text("came late").status == 200
    assert ran in ([], again("third")), "whether there is a checkpoint behind the third follows from its cost"
    ran = chain.ran(lambda: chain.server.edit("late.py", "TEXT = 'changed'"))
    assert chain.server.wait_for_text("changed").status == 200
    assert ran in ([], again("third"))


def test_a_package_on_the_path_that_comes_to_be(serve: Serve) -> None:
    """A folder on the path that is not there when imports search it."""
    lines = """
        import sys
        sys.path.insert(0, "vendor")
        try:
            from vendored import MORE
        except ImportError:
            MORE = " none"
    """
    chain = chained(serve, "wsgi", lines={"second": lines})
    ran = chain.ran(lambda: write(chain.server.project, {"vendor/vendored.py": "MORE = ' vendored'"}))
    assert chain.server.wait_for_text("vendored").text == "one second saved vendored third saved"
    assert ran == SECOND


def test_a_mistake_in_what_was_looked_for(serve: Serve) -> None:
    chain = chained(serve, "wsgi", lines={"second": CASES["local settings"].lines})
    chain.ran(lambda: write(chain.server.project, {"local_settings.py": "def broken(:"}))
    assert chain.server.wait_for_text("SyntaxError").status == 500
    ran = chain.ran(lambda: write(chain.server.project, {"local_settings.py": "MORE = ' local'"}))
    assert ran in WITHIN_SECOND
    chain.server.wait_for_text("saved local third")


def test_the_module_itself_is_removed_and_comes_back(serve: Serve) -> None:
    chain = chained(serve, "wsgi")
    ran = chain.ran(lambda: (chain.server.project / "second.py").unlink())
    assert "No module named 'second'" in chain.server.wait_for_text("ModuleNotFoundError").text
    assert ran == again()[:2]
    ran = chain.ran(lambda: chain.server.edit("second.py", module("second", "back")))
    assert chain.server.wait_for_text("back").text == "one back third saved"
    assert ran == SECOND


# --- Django ---

MIGRATIONS = """
    from django.apps import AppConfig

    class BlogConfig(AppConfig):
        name = "blog"

        def ready(self):
            from django.db.migrations.loader import MigrationLoader
            names = sorted(name for app, name in MigrationLoader(None, ignore_no_migrations=True).disk_migrations)
            print("migrations:", ",".join(names))
"""
MIGRATION = """
    from django.db import migrations

    class Migration(migrations.Migration):
        operations = []
"""


def test_a_django_migration_is_added(serve: Serve) -> None:
    files = {**DJANGO, "blog/apps.py": MIGRATIONS, "blog/migrations/__init__.py": ""}
    files["blog/migrations/0001_initial.py"] = MIGRATION
    server = serve(files, "site_one.wsgi:application", "--no-access-log")

    def wait_for_migrations(names: str) -> None:
        server.wait_for(lambda: re.findall(r"(?m)^migrations: (.*)$", server.log)[-1:] == [names], names)
        server.wait_for_text("index one")

    wait_for_migrations("0001_initial")
    server.edit("blog/migrations/0002_more.py", MIGRATION)
    wait_for_migrations("0001_initial,0002_more")
    (server.project / "blog/migrations/0002_more.py").unlink()
    wait_for_migrations("0001_initial")


def test_a_django_template_folder_is_added(serve: Serve, kind: str) -> None:
    """Django looks once, at its start, which apps have such a folder."""
    files = {name: text for name, text in DJANGO.items() if "templates/" not in name}
    server = serve(files, f"site_one.{kind}:application", "--no-access-log")
    server.wait_for_text("TemplateDoesNotExist")
    write(server.project, {"blog/templates/blog/index.html": "in a new folder"})
    server.wait_for_text("in a new folder")
    shutil.rmtree(server.project / "blog/templates")
    server.wait_for_text("TemplateDoesNotExist")
    write(server.project, {"templates/blog/index.html": "in the project's folder"})
    server.wait_for_text("in the project's folder")
