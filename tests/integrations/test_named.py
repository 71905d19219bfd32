"""Frameworks that are only named, and how a release is told."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from devserver.integrations.releases import release_of, titled

Write = Callable[[str, str], Path]
Run = Callable[..., Any]


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import falcon; app = falcon.App()", f"Falcon {version('falcon')}"),
        ("import falcon.asgi; app = falcon.asgi.App()", f"Falcon {version('falcon')}"),
        (
            "from pyramid.config import Configurator; app = Configurator().make_wsgi_app()",
            f"Pyramid {version('pyramid')}",
        ),
        ("from litestar import Litestar; app = Litestar([])", f"Litestar {version('litestar')}"),
        ("import falcon\ndef app(environ, start_response): ...", ""),
    ],
)
def test_a_framework_is_named(write: Write, run: Run, source: str, name: str) -> None:
    write("main.py", source)
    told = run("load('main'); tell([found.name, found.versions])")
    assert told == [name, [name.split(" ")] if name else []]


@pytest.mark.parametrize(("said", "debug"), [({}, True), ({"LITESTAR_DEBUG": "0"}, False)])
def test_litestars_debug_switch_is_on_unless_the_user_said_no(
    write: Write, run: Run, said: dict[str, str], debug: bool
) -> None:
    write("main.py", "from litestar import Litestar; app = Litestar([])")
    assert run("load('main'); tell(app.debug)", **said) is debug


def _module(name: str, file: Path | None, **attributes: object) -> ModuleType:
    module = ModuleType(name)
    module.__file__ = str(file) if file else None
    vars(module).update(attributes)
    return module


@pytest.mark.parametrize(
    ("folders", "distribution", "release"),
    [
        (["my_lib-1.2.dist-info"], None, "1.2"),
        (["My.Lib-1.2rc1.post2+local.dist-info"], None, "1.2rc1.post2+local"),
        (["other_name-3.dist-info", "my_lib-1.dist-info"], "Other-Name", "3"),
        (["my_lib_extra-9.dist-info"], None, ""),
        (["my_lib-1.dist-info", "my_lib-2.dist-info"], None, ""),  # a broken upgrade: nobody knows
        ([], None, ""),
    ],
)
def test_a_release_is_told_by_the_folder_beside_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folders: list[str], distribution: str | None, release: str
) -> None:
    for folder in folders:
        (tmp_path / folder).mkdir()
    monkeypatch.setitem(sys.modules, "my_lib", _module("my_lib", tmp_path / "my_lib" / "__init__.py"))
    assert release_of("my_lib", distribution) == release


def test_a_release_is_told_by_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "my_lib", _module("my_lib", None, __version__="4.5"))
    assert release_of("my_lib") == "4.5"
    monkeypatch.setitem(sys.modules, "my_lib", _module("my_lib", None, __version__=(4, 5)))
    assert release_of("my_lib") == ""
    assert release_of("not_loaded_at_all") == ""


def test_titles() -> None:
    assert (titled("Django", "5.2"), titled("Django", "")) == ("Django 5.2", "Django")
