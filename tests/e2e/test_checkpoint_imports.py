"""Ways to import that are out of the ordinary, with checkpoints in the middle of them: a resume finds what a fresh start would."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
import textwrap
from pathlib import Path

import pytest

from tests.e2e.chained import needs_checkpoints
from tests.e2e.harness import Serve, write
from tests.e2e.resuming import FILES, WEIGHT, Resuming, begin, parse

pytestmark = [pytest.mark.e2e, needs_checkpoints]


def after_weight(source: str) -> str:
    """The source of a module that takes long enough for a checkpoint before the next one."""
    return textwrap.dedent(WEIGHT) + textwrap.dedent(source)


def test_modules_that_import_each_other(resuming: Resuming) -> None:
    hen = """
        import before
        before.order = ["hen begins"]
        import egg
        before.order.append("hen ends")
        WORD = "hen"
    """
    egg = """
        import before, hen
        before.order.append("egg sees " + getattr(hen, "WORD", "no word"))
        WORD = "one"
    """
    hazard = """
        import before, hen, egg
        def state():
            return ", ".join([*before.order, hen.WORD, egg.WORD, str(hen.egg is egg and egg.hen is hen)])
    """
    resuming.put(hazard, {"hen.py": after_weight(hen), "egg.py": egg})
    expected = "hen begins, egg sees no word, hen ends, hen, one, True"
    assert resuming.ask("state") == expected
    for word in ("two", "three"):
        what = resuming.save("egg.py", egg.replace("one", word))
        assert resuming.ask("state") == expected.replace("one", word)
    # In the checkpoint stand two imports that wait for the egg: hazard's and the hen's.
    resumed = parse("egg.py", what, resuming.server.log)
    assert (resumed.ran, resumed.reason) == (3, ""), resuming.server.log  # egg, after, views


def test_a_module_that_the_load_reloads(resuming: Resuming) -> None:
    part = """
        import before
        before.runs = getattr(before, "runs", 0) + 1
        WORD = "one"
    """
    hazard = """
        import importlib, before, part
        importlib.reload(part)
        def state():
            return f"{part.WORD} {before.runs}"
    """
    resuming.put(hazard, {"part.py": part})
    assert resuming.ask("state") == "one 2"
    assert resuming.resume().is_whole, resuming.server.log
    assert resuming.ask("state") == "one 2"
    for word in ("two", "three"):
        resuming.save("part.py", part.replace("one", word))
        assert resuming.ask("state") == f"{word} 2"


def test_a_namespace_package_of_two_folders(resuming: Resuming) -> None:
    hazard = """
        import os, sys
        sys.path.append(os.path.abspath("more"))
        import space.one, space.two
        def state():
            return f"{space.one.WORD} {space.two.WORD} {len(list(space.__path__))}"
    """
    resuming.put(hazard, {"space/one.py": "WORD = 'one'", "more/space/two.py": "WORD = 'two'"})
    assert resuming.ask("state") == "one two 2"
    for word in ("zwei", "deux"):
        what = resuming.save("more/space/two.py", f"WORD = '{word}'")
        assert resuming.ask("state") == f"one {word} 2"
    assert not parse("more/space/two.py", what, resuming.server.log).reason
    assert resuming.resume().is_whole, resuming.server.log
    assert resuming.save("space/__init__.py", "") == "failed to load"  # now it is the only portion
    (resuming.project / "space/__init__.py").unlink()
    assert resuming.change_of("space.*").startswith("error fixed, resumed before ")
    assert resuming.ask("state") == "one deux 2"


def test_a_package_that_comes_before_a_module(resuming: Resuming) -> None:
    hazard = "import part\ndef state(): return part.WORD\n"
    resuming.put(hazard, {"part.py": "WORD = 'module'"})
    assert resuming.ask("state") == "module"
    for _ in range(2):
        resuming.save("part/__init__.py", "WORD = 'package'")
        assert resuming.ask("state") == "package"
        assert resuming.resume().is_whole, resuming.server.log
        shutil.rmtree(resuming.project / "part")
        resuming.change_of("part.*")
        assert resuming.ask("state") == "module"


def test_a_module_of_the_project_that_comes_before_one_of_the_standard_library(resuming: Resuming) -> None:
    resuming.put("import colorsys\ndef state(): return getattr(colorsys, 'WORD', 'library')\n")
    assert resuming.ask("state") == "library"
    resuming.save("colorsys.py", "WORD = 'project'")
    assert resuming.ask("state") == "project"
    (resuming.project / "colorsys.py").unlink()
    resuming.change_of("colorsys.py")
    assert resuming.ask("state") == "library"


def test_a_module_that_the_first_request_imports(resuming: Resuming) -> None:
    resuming.put("def state():\n    import late\n    return late.WORD\n", {"late.py": "WORD = 'one'"})
    assert resuming.ask("state") == "one"
    for word in ("two", "three"):
        resumed = parse("late.py", resuming.save("late.py", f"WORD = {word!r}"), resuming.server.log)
        assert resumed.ran <= 1, resuming.server.log  # it goes on at the end of the load, or before the views
        assert resuming.ask("state") == word
    assert resuming.resume().is_whole, resuming.server.log
    assert resuming.ask("state") == "three"


def test_a_module_that_makes_its_names_when_they_are_asked_for(resuming: Resuming) -> None:
    hazard = """
        asked = []
        def __getattr__(name):
            asked.append(name)
            if name == "made":
                import late
                return late.WORD
            raise AttributeError(name)
        def state():
            from hazard import made
            return made
        def names():
            return asked
    """
    resuming.put(hazard, {"late.py": "WORD = 'one'"})
    assert resuming.resume().is_whole, resuming.server.log
    assert resuming.ask("names") == "[]"  # nobody but the app has asked
    assert resuming.ask("state") == "one"
    resuming.save("late.py", "WORD = 'two'")
    assert resuming.ask("state") == "two"


def test_a_module_that_puts_something_else_in_its_place(resuming: Resuming) -> None:
    part = """
        import sys
        class Place:
            WORD = "one"
        sys.modules[__name__] = Place()
    """
    resuming.put("import part\ndef state(): return part.WORD\n", {"part.py": part})
    for word in ("two", "three"):
        resuming.save("part.py", part.replace("one", word))
        assert resuming.ask("state") == word
        assert resuming.resume().is_whole, resuming.server.log
        assert resuming.ask("state") == word


def test_a_module_that_a_thread_of_the_load_imports(resuming: Resuming) -> None:
    """There is no checkpoint in a thread: locks of imports that wait for it would never be given back."""
    hazard = """
        import threading
        def work():
            import heavy, part
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        import part
        def state():
            return part.WORD
    """
    resuming.put(hazard, {"part.py": "WORD = 'one'", "heavy.py": WEIGHT})
    for word in ("two", "three"):
        resuming.save("part.py", f"WORD = {word!r}")
        assert resuming.ask("state") == word
        assert resuming.resume().is_whole, resuming.server.log
        assert resuming.ask("state") == word


# --- extension modules ---

EXTENSION = """
    #include <Python.h>
    static long asked;
    static PyObject *ask(PyObject *self, PyObject *args) { return PyLong_FromLong(WORD + ++asked); }
    static PyMethodDef methods[] = {{"ask", ask, METH_NOARGS, NULL}, {NULL}};
    static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "tiny", NULL, -1, methods};
    PyMODINIT_FUNC PyInit_tiny(void) { return PyModule_Create(&module); }
"""


def build(folder: Path, word: int) -> Path:
    """The extension module, built in `folder`."""
    source, built = folder / "tiny.c", folder / f"tiny{sysconfig.get_config_var('EXT_SUFFIX')}"
    source.write_text(textwrap.dedent(EXTENSION).replace("WORD", str(word)))
    include = sysconfig.get_path("include")
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O0", f"-I{include}", str(source), "-o", str(built)], check=True, timeout=60
    )
    return built


@pytest.mark.skipif(
    shutil.which("cc") is None or not Path(sysconfig.get_path("include"), "Python.h").exists(),
    reason="no C compiler, or no headers of Python",
)
def test_an_extension_module_keeps_its_state_and_is_exchanged_when_it_is_built_anew(
    resuming: Resuming, tmp_path: Path
) -> None:
    built = build(tmp_path, 100)
    shutil.copy(built, resuming.project / built.name)
    resuming.put("import tiny\ntiny.ask()\nstate = tiny.ask\n")
    assert [resuming.ask("state") for _ in range(2)] == ["102", "103"]
    assert resuming.resume().is_whole, resuming.server.log
    assert resuming.ask("state") == "102"  # as the load had left it
    for number, word in enumerate((200, 300), 1):
        build(tmp_path, word).replace(resuming.project / built.name)
        resuming.server.wait_for_log(rf"{built.name} changed: resumed before it", count=number)
        resuming.change_of(built.name)
        assert resuming.ask("state") == f"{word + 2}"
        assert resuming.resume().is_whole, resuming.server.log


# --- sources outside the project ---

SITE = """
    import site
    site.addsitedir("FOLDER")
"""
EDITABLE_FINDER = """
    import sys
    from importlib.util import spec_from_file_location
    class Finder:
        @classmethod
        def find_spec(cls, name, path=None, target=None):
            if name == "edited":
                return spec_from_file_location(name, "SOURCES/edited/__init__.py", submodule_search_locations=["SOURCES/edited"])
    def install():
        sys.meta_path.append(Finder)
"""


def test_sources_that_are_installed_as_editable(serve: Serve, tmp_path: Path) -> None:
    """By a path in a `.pth` file, and by a finder that one installs."""
    installed, sources, flat = tmp_path / "installed", tmp_path / "sources", tmp_path / "flat"
    files = {
        "sitecustomize.py": SITE.replace("FOLDER", str(installed)),
        "finder_of_edited.py": EDITABLE_FINDER.replace("SOURCES", str(sources)),
        "flat.pth": f"{flat}\n",
        "edited.pth": "import finder_of_edited; finder_of_edited.install()\n",
    }
    write(installed, files)
    write(sources, {"edited/__init__.py": "WORD = 'one'\n", "edited/part.py": after_weight("WORD = 'one'\n")})
    write(flat, {"laid.py": "WORD = 'one'\n"})
    app = {**FILES, "hazard.py": ""}
    server = serve(app, "app:application", "--no-access-log", env={"PYTHONPATH": str(installed)})
    resuming = Resuming(server)
    begin(resuming)
    resuming.put(
        "import edited, edited.part, laid\ndef state(): return f'{edited.WORD} {edited.part.WORD} {laid.WORD}'\n"
    )
    assert resuming.ask("state") == "one one one"
    for path in (flat / "laid.py", sources / "edited/part.py", sources / "edited/__init__.py"):
        for word in ("two", "three"):
            before = resuming.ask("state")
            path.write_text(path.read_text().replace("one", word).replace("two", word))
            what = resuming.change_of(str(path))
            assert not parse(path.name, what, server.log).reason
            assert resuming.ask("state") != before
            assert resuming.resume().is_whole, server.log
    assert resuming.ask("state") == "three three three"
