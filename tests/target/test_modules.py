"""Modules found by names of files, as importlib would, and nothing imported for it."""

from __future__ import annotations

import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES, PathFinder
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devserver.target.modules import Module, dotted_name, extends_its_path, find_installed, find_module, module_names


def make(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


@pytest.mark.parametrize(
    ("files", "name", "found"),
    [
        (["app.py"], "app", "app.py"),
        (["pkg/__init__.py"], "pkg", "pkg/__init__.py"),
        (["pkg/__init__.py", "pkg.py"], "pkg", "pkg/__init__.py"),
        (["pkg/inner.py", "pkg.py"], "pkg", "pkg.py"),
        (["pkg/__init__.py", "pkg/web/__init__.py", "pkg/web/app.py"], "pkg.web.app", "pkg/web/app.py"),
        (["space/app.py"], "space.app", "space/app.py"),
        (["app.pyc"], "app", "app.pyc"),
        ([f"app{EXTENSION_SUFFIXES[0]}", "app.py"], "app", f"app{EXTENSION_SUFFIXES[0]}"),
        (["my-app.py"], "my-app", "my-app.py"),
    ],
)
def test_found(tmp_path: Path, files: list[str], name: str, found: str) -> None:
    search = find_module(name, [make(tmp_path, *files)])
    assert search.module is not None
    assert search.module.path == tmp_path / found
    assert search.module.name == name


def test_a_folder_without_init_is_a_module_without_file(tmp_path: Path) -> None:
    module = find_module("space", [make(tmp_path, "space/app.py")]).module
    assert module == Module("space", None, (tmp_path / "space",))
    assert not module.is_source


@pytest.mark.parametrize(
    ("name", "parent", "missing", "names"),
    [
        ("mysit.wsgi", None, "mysit", ("mysite", "other")),
        ("mysite.wsg", "mysite", "wsg", ("settings", "wsgi")),
        ("mysite.wsgi.application", "mysite.wsgi", "application", ()),
    ],
)
def test_how_far_a_search_came(
    tmp_path: Path, name: str, parent: str | None, missing: str, names: tuple[str, ...]
) -> None:
    make(tmp_path, "mysite/__init__.py", "mysite/wsgi.py", "mysite/settings.py", "other.py", "notes.txt", ".hidden.py")
    search = find_module(name, [tmp_path])
    assert search.module is None
    assert (search.parent.name if search.parent else None) == parent
    assert search.missing == missing
    assert search.names == names


@given(
    st.sets(
        st.sampled_from(["a.py", "a/__init__.py", "a/b.py", "a/b/__init__.py", "a.pyc", "b.py", "b/c.py", "a/b/c.py"])
    ),
    st.sampled_from(["a", "b", "c"]),
)
def test_agrees_with_importlib(tmp_path_factory: pytest.TempPathFactory, files: set[str], name: str) -> None:
    folder = make(tmp_path_factory.mktemp("modules"), *files)
    spec = PathFinder.find_spec(name, [str(folder)])
    module = find_module(name, [folder]).module
    if spec is None:
        assert module is None
    else:
        assert module is not None
        assert (str(module.path) if module.path else None) == spec.origin


def test_module_names(tmp_path: Path) -> None:
    make(
        tmp_path,
        "a.py",
        "pkg/__init__.py",
        "space/x.txt",
        "b.pyc",
        "__init__.py",
        "not-a-package/x",
        "__pycache__/a.pyc",
    )
    make(tmp_path, "c.d.py", "__main__.py")
    assert module_names(tmp_path) == ["a", "b", "pkg", "space"]
    assert module_names(tmp_path / "missing") == []


@pytest.mark.parametrize(
    ("files", "path", "folder", "name"),
    [
        (["app.py"], "app.py", ".", "app"),
        (["web/app.py"], "web/app.py", "web", "app"),
        (["pkg/__init__.py", "pkg/web/__init__.py", "pkg/web/app.py"], "pkg/web/app.py", ".", "pkg.web.app"),
        (["pkg/__init__.py"], "pkg/__init__.py", ".", "pkg"),
        (["src/pkg/__init__.py", "src/pkg/app.py"], "src/pkg/app.py", "src", "pkg.app"),
        (["not-a-name/__init__.py", "not-a-name/app.py"], "not-a-name/app.py", "not-a-name", "app"),
    ],
)
def test_dotted_name(tmp_path: Path, files: list[str], path: str, folder: str, name: str) -> None:
    make(tmp_path, *files)
    assert dotted_name(tmp_path / path) == (tmp_path / folder, name)


@pytest.mark.parametrize(
    ("source", "expected"),
    [("", False), ("__path__ = extend_path(__path__, __name__)", True), ("sys.modules[__name__] = x", True)],
)
def test_packages_that_reach_elsewhere(tmp_path: Path, source: str, expected: bool) -> None:
    init = make(tmp_path, "pkg/__init__.py") / "pkg" / "__init__.py"
    init.write_text(source)
    assert extends_its_path(Module("pkg", init, (init.parent,))) is expected
    assert extends_its_path(Module("pkg", None, (init.parent,)))


def test_installed() -> None:
    found = find_installed("wsgiref.simple_server")
    assert found is not None
    assert found.module is not None
    assert found.module.path is not None
    assert found.module.path.name == "simple_server.py"
    top = find_installed("wsgiref")
    assert top is not None
    assert top.module is not None
    assert top.module.path is not None
    assert top.module.path.name == "__init__.py"
    undecided = find_installed("wsgiref.no_such_module")
    assert undecided is not None
    assert undecided.module is None
    assert find_installed("no_such_module_anywhere") is None


def test_installed_folders_without_init(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "space_of_names/app.py")
    monkeypatch.syspath_prepend(tmp_path)
    found = find_installed("space_of_names.app")
    assert found is not None
    assert found.module is not None
    assert found.module.path == tmp_path / "space_of_names" / "app.py"
    assert find_installed("space_of_names") is None  # a folder is nothing that can be served as a module
    assert find_installed("space_of_names.other") is None


def test_looking_for_an_installed_module_imports_nothing(tmp_path: Path) -> None:
    make(tmp_path, "loud/__init__.py", "loud/app.py")
    (tmp_path / "loud" / "__init__.py").write_text("print('imported')")
    code = "import sys; from devserver.target.modules import find_installed; print(find_installed('loud.app').module.path.name)"
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{code}"],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ran.stdout == "app.py\n"
