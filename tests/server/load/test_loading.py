"""From a target to an app: small projects on disk, imported into this process and forgotten again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from devserver.errors import TargetError
from devserver.messages import Interface
from devserver.options import InterfaceChoice, Options
from devserver.record import replace
from devserver.server.integration import Integration
from devserver.server.load.loading import Loaded, load_module, load_target, prepare_path
from devserver.target import Target, TargetKind

WSGI_APP = "def {}(environ, start_response): return [b'{}']\n"
ASGI_APP = "async def {}(scope, receive, send): ...\n"

Load = Callable[..., Loaded]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A folder; what is imported from it is forgotten after the test."""
    path, modules, writes = list(sys.path), set(sys.modules), sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    yield tmp_path
    sys.path[:] = path
    sys.dont_write_bytecode = writes
    for name in set(sys.modules) - modules:
        file = getattr(sys.modules[name], "__file__", None) or next(
            iter(getattr(sys.modules[name], "__path__", [])), ""
        )
        if file.startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def write(project: Path) -> Callable[[str, str], Path]:
    def write(name: str, text: str) -> Path:
        file = project / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    return write


Write = Callable[[str, str], Path]


@pytest.fixture
def load(project: Path) -> Load:
    def load(expression: str, *integrations: Integration, path: str = "", **options: Any) -> Loaded:
        """`expression` as people write it; parsing it is `devserver.target`'s affair."""
        module, _, attribute = expression.partition(":")
        attribute, parenthesis, arguments = attribute.partition("(")
        target = Target(
            TargetKind.MODULE,
            label=expression,
            path=path,
            app_dir=str(project),
            module=module,
            attribute=attribute,
            call=bool(parenthesis),
            call_arguments=arguments.removesuffix(")"),
        )
        prepare_path(target)
        return load_target(target, Options(**options), integrations)

    return load


# --- what is found ---


def test_an_app_in_a_package(write: Write, load: Load) -> None:
    write("myproject/__init__.py", "")
    write("myproject/wsgi.py", WSGI_APP.format("application", "hello"))
    loaded = load("myproject.wsgi:application")
    assert loaded.app is sys.modules["myproject.wsgi"].application
    assert loaded == Loaded(loaded.app, Interface.WSGI, "myproject.wsgi:application", "myproject.wsgi")


def test_a_dotted_attribute(write: Write, load: Load) -> None:
    write(
        "dashboard.py", "class Dash:\n def server(self, environ, start_response): return []\nclass x: dash = Dash()\n"
    )
    loaded = load("dashboard:x.dash.server")
    assert (loaded.interface, loaded.name) == (Interface.WSGI, "dashboard:x.dash.server")


def test_a_file_whose_name_is_no_identifier(write: Write, load: Load) -> None:
    write("my-app.py", ASGI_APP.format("app"))
    assert load("my-app:app").interface is Interface.ASGI


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (WSGI_APP.format("app", 1) + WSGI_APP.format("application", 2), "application"),
        (WSGI_APP.format("app", 1) + "def create_app(): raise AssertionError", "app"),
        ("application = None\n" + WSGI_APP.format("app", 1), "app"),
        ("application = 'a name'\n" + WSGI_APP.format("app", 1), "app"),
        (
            "import json as app\ndef create_app(config=None): return application_\n"
            + WSGI_APP.format("application_", 1),
            "create_app()",
        ),
        ("def make_app(*args, **kw): return app_\n" + WSGI_APP.format("app_", 1), "make_app()"),
        ("def create_app(name): ...\ndef make_app(): return app_\n" + WSGI_APP.format("app_", 1), "make_app()"),
        (
            "def __getattr__(name):\n if name == 'app': return app_\n raise AttributeError(name)\n"
            + WSGI_APP.format("app_", 1),
            "app",
        ),
    ],
)
def test_the_usual_names(write: Write, load: Load, source: str, name: str) -> None:
    write("site_.py", source)
    loaded = load("site_")
    assert (loaded.interface, loaded.name) == (Interface.WSGI, f"site_:{name}")


def test_a_factory_is_looked_for_first_if_one_is_wanted(write: Write, load: Load) -> None:
    write("site_.py", WSGI_APP.format("app", 1) + "def create_app(): return app\n")
    assert load("site_", factory=True).name == "site_:create_app()"
    assert load("site_").name == "site_:app"


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("site_:build()", "site_:build()"),
        ("site_:build", "site_:build()"),
        ("site_:build('x', debug=True)", "site_:build('x', debug=True)"),
        ("site_:build({'a': [1, None]})", "site_:build({'a': [1, None]})"),
        ("site_:Made", "site_:Made()"),
        ("site_:partial", "site_:partial()"),
    ],
)
def test_a_factory(write: Write, load: Load, expression: str, name: str) -> None:
    write(
        "site_.py",
        "import functools\n"
        "class App:\n"
        "  def __init__(self, *args): self.args = args\n"
        "  def __call__(self, environ, start_response): return []\n"
        "class Made(App):\n"
        "  def __init__(self): ...\n"
        "def build(config=None, debug=False): return App(config, debug)\n"
        "partial = functools.partial(build, 'p')\n",
    )
    loaded = load(expression)
    assert (loaded.interface, loaded.name) == (Interface.WSGI, name)


def test_a_class_that_takes_anything_is_called_only_if_asked_to(write: Write, load: Load) -> None:
    write("site_.py", "class App:\n def __init__(self, *a): ...\n def __call__(self, environ, start_response): ...\n")
    with pytest.raises(TargetError, match="is a class"):
        load("site_:App")
    assert load("site_:App", factory=True).interface is Interface.WSGI


def test_literal_arguments_arrive(write: Write, load: Load) -> None:
    write("site_.py", "def build(*args, **kw):\n def app(environ, start_response): return [args, kw]\n return app\n")
    app: Any = load("site_:build(-1, 'é', (1,), path=None)").app
    assert app({}, None) == [(-1, "é", (1,)), {"path": None}]


def test_a_two_step_app_is_served_as_asgi_3(write: Write, load: Load) -> None:
    write(
        "chat.py", "def app(scope):\n async def instance(receive, send): await send(scope['type'])\n return instance\n"
    )
    loaded = load("chat")
    assert loaded.interface is Interface.ASGI
    assert loaded.app is not sys.modules["chat"].app


def test_the_interface_can_be_chosen(write: Write, load: Load) -> None:
    write("site_.py", "def app(*args): ...\n")
    with pytest.raises(TargetError, match="site_:app is a WSGI or an ASGI app"):
        load("site_:app")
    assert load("site_:app", interface=InterfaceChoice.ASGI).interface is Interface.ASGI
    assert load("site_:app", interface=InterfaceChoice.WSGI).interface is Interface.WSGI


def test_a_folder(project: Path) -> None:
    target = Target(TargetKind.FOLDER, "public/", str(project), str(project))
    assert load_target(target, Options()) == Loaded(None, Interface.STATIC, "public/", "")


# --- what is wrong with the target ---


def _write_shop(write: Write) -> None:
    write("shop/__init__.py", "")
    write("shop/wsgi.py", WSGI_APP.format("application", 1) + "helper = 1\n")
    write("shop/asgi.py", ASGI_APP.format("application"))
    write("shop/views.py", "def index(request): ...\ndef create_app(name): ...\nclass Index: ...\n")
    write("shop/broken.py", "import shop.nowhere\n")
    write("shop/sub/__init__.py", "import notthere\n")
    write("single.py", WSGI_APP.format("app", 1) + "aplication = 3\n")
    write("empty.py", "")
    write(
        "nothing.py", "async def create_app(): ...\ndef returns_nothing(): ...\ndef coroutine(): return create_app()\n"
    )
    write("lazy.py", "def __getattr__(name): raise AttributeError(name)\n")
    write("namespace/inner.py", WSGI_APP.format("app", 1))


@pytest.mark.parametrize(
    ("expression", "message", "hint"),
    [
        ("shop.wsgi:app", "shop.wsgi has no attribute `app`", "it has `application`:  shop.wsgi:application"),
        ("shop.views:indx", "shop.views has no attribute `indx`", "shop.views:create_app"),
        ("single:app.wsgi_app", "single:app has no attribute `wsgi_app`", None),
        ("empty:app", "empty has no attribute `app`", "is empty: was it saved?"),
        (
            "empty",
            "empty has no application, app, create_app or make_app",
            "name what is to be served:  empty:attribute",
        ),
        ("shop.views", "shop.views:create_app is a factory that needs arguments", "shop.views:create_app(…)"),
        ("shop.views:create_app()", "shop.views:create_app can't be called with ()", "literal values"),
        ("shop.views:create_app(1, 2)", "too many positional arguments", "literal values"),
        ("shop.views:create_app(name)", "are not literals", "numbers, strings"),
        ("shop.views:create_app(**{})", "are not literals", "numbers, strings"),
        ("shop.views:create_app(1)", "shop.views:create_app(1) returned None", "`return` of the app"),
        ("shop.wsgi:helper()", "shop.wsgi:helper is an int, not a factory", None),
        ("shop.wsgi:helper", "shop.wsgi:helper is an int, not an app", None),
        ("shop.views:index", "shop.views:index is neither a WSGI nor an ASGI app: it takes a request", "--interface"),
        ("nothing:create_app()", "nothing:create_app is an async function", "plain function"),
        ("nothing:create_app", "nothing:create_app is an async function", "plain function"),
        ("nothing:coroutine()", "nothing:coroutine gave a coroutine", "plain function"),
        ("nothing:returns_nothing", "nothing:returns_nothing() returned None", "`return` of the app"),
        ("shop.wgsi:application", "there is no module wgsi in the package shop", "`shop.wsgi`"),
        ("shp.wsgi:application", "there is no module shp in {folder}", "did you mean `shop.wsgi`?"),
        ("namespce.inner:app", "there is no module namespce in {folder}", "did you mean `namespace.inner`?"),
        ("wsgi:application", "there is no module wsgi in {folder}", "--app-dir names another folder"),
        ("single.app", "single is a file, not a package", "comes after a colon:  single:app"),
        (":app", "'' is not the name of a module", "package.module:application"),
        ("single.:app", "'single.' is not the name of a module", "package.module:application"),
        (".single:app", "'.single' is not the name of a module", "package.module:application"),
        ("lazy:ap", "lazy has no attribute `ap`", None),
    ],
)
def test_what_is_wrong_with_a_target_is_said(
    *, project: Path, write: Write, load: Load, expression: str, message: str, hint: str | None
) -> None:
    _write_shop(write)
    with pytest.raises(TargetError) as caught:
        load(expression)
    assert message.replace("{folder}", str(project)) in caught.value.message
    if hint is not None:
        assert hint in (caught.value.hint or "")
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("expression", "missing"),
    [("shop.broken:app", "shop.nowhere"), ("shop.sub:app", "notthere"), ("shop.sub.deeper:app", "notthere")],
)
def test_a_module_missing_inside_is_the_users_error(write: Write, load: Load, expression: str, missing: str) -> None:
    _write_shop(write)
    with pytest.raises(ModuleNotFoundError) as caught:
        load(expression)
    assert caught.value.name == missing


def test_the_target_missing_inside_of_itself(write: Write, load: Load) -> None:
    """The name is the target's, and yet it is the user's line that failed."""
    write("shop/__init__.py", "import importlib, sys\nimportlib.import_module('shop.wsgi')\n")
    with pytest.raises(ModuleNotFoundError, match=r"shop\.wsgi"):
        load("shop.wsgi:app")
    write("alone.py", "raise ModuleNotFoundError('gone', name='alone')\n")
    with pytest.raises(ModuleNotFoundError, match="gone"):
        load("alone:app")


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import sys; sys.exit(3)", SystemExit),
        ("1 / 0", ZeroDivisionError),
        ("def f(:", SyntaxError),
        ("raise KeyboardInterrupt", KeyboardInterrupt),
        ("raise ValueError('mine')", ValueError),
        ("def create_app(): raise TypeError('mine')", TypeError),
        ("def create_app(): return undefined", NameError),
        ("def __getattr__(name): return [].nothing", AttributeError),
        ("def __getattr__(name): raise RuntimeError('mine')", RuntimeError),
        ("class A:\n @property\n def app(self): return self.x.y\na = A()", AttributeError),
    ],
)
def test_what_the_users_code_raises_propagates(
    write: Write, load: Load, source: str, error: type[BaseException]
) -> None:
    write("bad.py", source)
    with pytest.raises(error) as caught:
        load("bad:a.app" if source.startswith("class") else "bad")
    assert not isinstance(caught.value, TargetError)
    if error is AttributeError:
        assert "has no attribute 'nothing'" in str(caught.value) or "has no attribute 'x'" in str(caught.value)


@pytest.mark.parametrize("name", ["email", "json", "sys", "pytest"])
@pytest.mark.parametrize("is_package", [False, True])
def test_a_name_that_is_taken(write: Write, load: Load, name: str, is_package: bool) -> None:
    file = write(f"{name}/wsgi.py" if is_package else f"{name}.py", WSGI_APP.format("app", 1))
    with pytest.raises(TargetError, match=rf"has a module named {name}, and it is loaded already") as caught:
        load(f"{name}.wsgi:app" if is_package else f"{name}:app", path=str(file))
    whose = "a library that devserver uses" if name == "pytest" else "the standard library"
    assert whose in caught.value.message


def test_a_module_that_was_loaded_already_is_not_a_taken_name(write: Write, load: Load) -> None:
    file = write("again.py", WSGI_APP.format("app", 1))
    assert load("again:app", path=str(file)).app is load("again:app", path=str(file)).app
    package = write("pack/wsgi.py", WSGI_APP.format("app", 1))  # a namespace package
    assert load("pack.wsgi:app", path=str(package)).app is load("pack.wsgi", path=str(package)).app


def test_an_installed_module_can_be_a_target(load: Load) -> None:
    assert load("wsgiref.simple_server:demo_app").interface is Interface.WSGI


# --- the path ---


def test_the_apps_folder_comes_first_once(project: Path) -> None:
    target = Target(TargetKind.MODULE, "x", "", str(project), "x")
    before = list(sys.path)
    prepare_path(target)
    prepare_path(target)
    assert sys.path == [str(project), *before]


def test_what_is_on_the_path_already_moves_to_the_front(project: Path) -> None:
    sys.path.append(str(project))
    prepare_path(Target(TargetKind.MODULE, "x", "", str(project), "x"))
    assert sys.path[0] == str(project)


# --- integrations ---


class Resolving(Integration):
    name = "Resolving"

    def __init__(self, module: str | None) -> None:
        self.module = module
        self.asked: list[tuple[Target, Options]] = []

    def resolve(self, target: Target, options: Options) -> Target | None:
        self.asked.append((target, options))
        if self.module is None:
            return None
        return replace(target, kind=TargetKind.MODULE, module=self.module, attribute="application")


def _manage_py(project: Path) -> Target:
    return Target(TargetKind.DJANGO, "manage.py", str(project / "manage.py"), str(project), "shop.settings")


def test_an_integration_says_what_a_project_runs(project: Path, write: Write) -> None:
    _write_shop(write)
    target, options = _manage_py(project), Options()
    silent, first, second = Resolving(None), Resolving("shop.wsgi"), Resolving("shop.asgi")
    prepare_path(target)
    assert load_target(target, options, [silent, first, second]).name == "shop.wsgi:application"
    assert silent.asked == first.asked == [(target, options)]
    assert second.asked == []


def test_a_project_that_no_integration_knows(project: Path) -> None:
    with pytest.raises(TargetError, match=r"what to run for manage\.py"):
        load_target(_manage_py(project), Options(), [Resolving(None)])


def test_load_module_names_its_own_folder(project: Path, write: Write) -> None:
    write("config/settings.py", "")
    sys.path.insert(0, str(project))
    with pytest.raises(TargetError) as caught:
        load_module("config.setings", folder=str(project))
    assert caught.value.hint == "did you mean `config.settings`?"
