"""What the source of a module proves about its names."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from devserver.target.bindings import Binding, Bindings, parse_source, read_bindings


def bindings(folder: Path, source: str) -> Bindings:
    path = folder / "module.py"
    path.write_text(dedent(source), encoding="utf-8")
    found = read_bindings(path)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("app = 1", ["app"]),
        ("app: object = 1", ["app"]),
        ("app: object", []),
        ("a = b = app = 1", ["a", "b", "app"]),
        ("a, (b, *app) = x", ["a", "b", "app"]),
        ("x.app = x['app'] = 1", []),
        ("def app(environ, start_response): inner = 1", ["app"]),
        ("async def app(scope, receive, send): ...", ["app"]),
        ("class app:\n    attribute = 1", ["app"]),
        ("import app", ["app"]),
        ("import app.routes.all", ["app"]),
        ("import flask as app", ["app"]),
        ("from x import app", ["app"]),
        ("from x import y as app", ["app"]),
        ("from .x import (a, b as app)", ["a", "app"]),
        ("if x:\n    app = 1\nelif y:\n    b = 1\nelse:\n    c = 1", ["app", "b", "c"]),
        ("try:\n    a = 1\nexcept E as e:\n    b = 1\nelse:\n    c = 1\nfinally:\n    d = 1", ["a", "b", "c", "d"]),
        ("try:\n    a = 1\nexcept* E:\n    b = 1", ["a", "b"]),
        ("for app in x:\n    b = 1\nelse:\n    c = 1", ["app", "b", "c"]),
        ("while x:\n    app = 1", ["app"]),
        ("with x as app, y as (b, c):\n    d = 1", ["app", "b", "c", "d"]),
        (
            "match x:\n    case [app, *rest]:\n        b = 1\n    case {'k': c, **d}:\n        pass",
            ["app", "rest", "b", "c"],
        ),
        ("print(app := 1)", ["app"]),
        ("def make():\n    global app\n    app = 1", ["make", "app"]),
        ("if TYPE_CHECKING:\n    from x import app\nelse:\n    b = 1", ["b"]),
        ("if typing.TYPE_CHECKING:\n    app = 1", []),
    ],
)
def test_names(tmp_path: Path, source: str, names: list[str]) -> None:
    found = bindings(tmp_path, source)
    assert list(found.names) == names
    assert found.complete


@pytest.mark.parametrize("guard", ['__name__ == "__main__"', '"__main__" == __name__'])
def test_what_runs_only_as_a_script_binds_nothing(tmp_path: Path, guard: str) -> None:
    found = bindings(tmp_path, f"def create(): ...\nif {guard}:\n    app = create()\n    create = 1\n")
    assert list(found.names) == ["create"]
    assert found.script_only == {"app"}


@pytest.mark.parametrize("guard", ['__name__ != "__main__"', '__name__ == "x"', "__name__", "a == b == c"])
def test_other_conditions_may_bind(tmp_path: Path, guard: str) -> None:
    found = bindings(tmp_path, f"if {guard}:\n    app = 1\n")
    assert "app" in found.names
    assert found.script_only == frozenset()


@pytest.mark.parametrize(
    "source",
    [
        "from x import *",
        "if y:\n    from x import *",
        "def __getattr__(name): ...",
        "globals()['app'] = 1",
        "globals().update(x)",
        "exec('app = 1')",
        "vars()['app'] = 1",
        "locals()['app'] = 1",
        "import sys\nsetattr(sys.modules[__name__], 'app', 1)",
    ],
)
def test_more_names_may_come_to_be(tmp_path: Path, source: str) -> None:
    assert not bindings(tmp_path, source).complete


def test_vars_of_an_object_binds_nothing_here(tmp_path: Path) -> None:
    assert bindings(tmp_path, "x = vars(object)\n").complete


@pytest.mark.parametrize(
    ("source", "binding"),
    [
        ("def app(): ...", Binding.FACTORY),
        ("def app(config=None, *, debug=False): ...", Binding.FACTORY),
        ("async def app(): ...", Binding.FACTORY),
        ("def app(**options): ...", Binding.FACTORY),
        ("def app(environ, start_response): ...", Binding.OTHER),
        ("def app(environ, /): ...", Binding.OTHER),
        ("def app(*args): ...", Binding.OTHER),
        ("def app(*, config): ...", Binding.OTHER),
        ("@wsgi\ndef app(): ...", Binding.OTHER),
        ("class app: ...", Binding.OTHER),
        ("app = Flask(__name__)", Binding.APP),
        ("app: object = fastapi.FastAPI()", Binding.APP),
        ("app = get_wsgi_application()", Binding.APP),
        ("app = thing()", Binding.OTHER),
        ("app = Flask", Binding.OTHER),
        ("app = Flask(__name__)\napp = wrap(app)", Binding.OTHER),
        ("if x:\n    app = Flask(__name__)\nelse:\n    app = Quart(__name__)", Binding.APP),
        ("def app(): ...\napp = app()", Binding.OTHER),
    ],
)
def test_kinds(tmp_path: Path, source: str, binding: Binding) -> None:
    found = bindings(tmp_path, source)
    assert found.names["app"] is binding
    assert found.apps() == (["app"] if binding is Binding.APP else [])


@pytest.mark.parametrize("content", [b"def app(:", b"app = '\0'", b"# coding: nonsense\napp = 1", b"app = '\xff'"])
def test_broken_sources_are_left_to_the_server(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "module.py"
    path.write_bytes(content)
    assert read_bindings(path) is None


def test_missing_and_deep_sources_are_left_to_the_server(tmp_path: Path) -> None:
    assert parse_source(tmp_path / "missing.py") is None
    deep = tmp_path / "deep.py"
    deep.write_text("x = " + "(" * 5000 + ")" * 5000)
    assert parse_source(deep) is None


def test_declared_encodings_and_warnings(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_bytes("# coding: latin-1\nname = 'é\\d'\napp = 1\n".encode("latin-1"))  # \d: a SyntaxWarning
    found = read_bindings(path)
    assert found is not None
    assert list(found.names) == ["name", "app"]
