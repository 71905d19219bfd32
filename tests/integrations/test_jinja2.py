"""Where Jinja2 looks for templates, and that none of its caches outlives an edit."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import pytest

from devserver.integrations.jinja2 import Jinja2Integration, template_folders

Write = Callable[[str, str], Path]
Run = Callable[..., Any]


@pytest.mark.parametrize(
    ("loader", "folders"),
    [
        (None, []),
        (jinja2.DictLoader({"a": "searchpath"}), []),
        (jinja2.FunctionLoader(lambda name: None), []),
        (jinja2.FileSystemLoader("/a"), ["/a"]),
        (jinja2.FileSystemLoader(["/a", "/b"]), ["/a", "/b"]),
        (jinja2.ChoiceLoader([jinja2.FileSystemLoader("/a"), jinja2.DictLoader({})]), ["/a"]),
        (jinja2.PrefixLoader({"x": jinja2.ChoiceLoader([jinja2.FileSystemLoader("/a")])}), ["/a"]),
    ],
)
def test_folders_of_a_loader(loader: jinja2.BaseLoader | None, folders: list[str]) -> None:
    assert [str(folder) for folder in template_folders(jinja2.Environment(loader=loader))] == folders


def test_folder_of_a_package_loader(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("templated_package/__init__.py", "")
    write("templated_package/templates/a.html", "")
    monkeypatch.syspath_prepend(str(tmp_path))
    loader = jinja2.PackageLoader("templated_package")
    assert list(template_folders(loader)) == [tmp_path / "templated_package" / "templates"]


@pytest.mark.parametrize("cache_size", [400, -1, 0])
@pytest.mark.parametrize("auto_reload", [True, False])
def test_an_edited_template_is_not_stale(tmp_path: Path, cache_size: int, auto_reload: bool) -> None:
    template = tmp_path / "a.txt"
    template.write_text("old")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(tmp_path), cache_size=cache_size, auto_reload=auto_reload
    )
    overlay = environment.overlay(trim_blocks=True)
    assert [e.get_template("a.txt").render() for e in (environment, overlay)] == ["old", "old"]
    before = template.stat()
    template.write_text("new")
    os.utime(template, ns=(before.st_atime_ns, before.st_mtime_ns))
    Jinja2Integration().files_changed([template])
    assert [e.get_template("a.txt").render() for e in (environment, overlay)] == ["new", "new"]


def test_what_is_looked_for_and_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for loader_type in (jinja2.FileSystemLoader, jinja2.PackageLoader):
        monkeypatch.setattr(loader_type, "get_source", loader_type.get_source)  # to be put back
    missed: list[str] = []
    Jinja2Integration().serves(missed.append)
    first, second = tmp_path / "first", tmp_path / "second"
    second.mkdir()
    (second / "a.html").write_text("a")
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader([first, second]))
    assert environment.get_template("a.html").render() == "a"
    assert missed == [str(first / "a.html")]
    with pytest.raises(jinja2.TemplateNotFound):
        environment.get_template("deep/b.html")
    with pytest.raises(jinja2.TemplateNotFound):
        environment.get_template("../outside.html")
    assert missed[1:] == [str(first / "deep" / "b.html"), str(second / "deep" / "b.html")]


def test_environments_from_before_a_checkpoint_are_seen(run: Run) -> None:
    """gc.freeze hides them from the collector; they are frozen again afterwards."""
    assert run(
        "import jinja2\n"
        "from devserver.integrations.jinja2 import live_environments\n"
        "environment = jinja2.Environment(); gc.freeze(); before = gc.get_freeze_count()\n"
        "seen = [value is environment for value in gc.get_referrers(jinja2.Environment)]\n"
        "tell([any(seen), [e is environment for e in live_environments()], gc.get_freeze_count() >= before])"
    ) == [False, [True], True]


def test_live_environments_are_those_of_subclasses_too(run: Run) -> None:
    """What is not frozen stays so (3.12 begins with a few frozen objects)."""
    assert run(
        "import jinja2\n"
        "from devserver.integrations.jinja2 import live_environments\n"
        "class Mine(jinja2.Environment): pass\n"
        "mine = Mine(); was_frozen = gc.get_freeze_count() > 0\n"
        "tell([[e is mine for e in live_environments()], (gc.get_freeze_count() > 0) == was_frozen])"
    ) == [[True], True]


def test_an_app_that_imports_it_late(write: Write, run: Run) -> None:
    write("t/a.txt", "old")
    write(
        "late.py",
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [environment().get_template('a.txt').render().encode()]\n"
        "import functools\n@functools.cache\ndef environment():\n"
        "    import jinja2\n    return jinja2.Environment(loader=jinja2.FileSystemLoader('t'))\n",
    )
    assert run(
        "load('late'); late = 'jinja2' not in sys.modules; first = get()[1]\n"
        "edit('t/a.txt', 'new'); changed('t/a.txt'); tell([late, first, get()[1], found.name])"
    ) == [True, "old", "new", ""]
