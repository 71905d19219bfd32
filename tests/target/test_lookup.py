"""What the user wrote after `devserver run`, over real folders; nothing is imported to understand it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from devserver.errors import TargetError, UsageError
from devserver.target import Target, TargetKind
from devserver.target.lookup import find_target

MANAGE = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'mysite.settings')\n"
LOUD = "raise SystemExit('imported')\n"

DJANGO = {
    "manage.py": MANAGE,
    "mysite/__init__.py": "",
    "mysite/settings.py": "DEBUG = True",
    "mysite/wsgi.py": "application = get_wsgi_application()",
    "mysite/asgi.py": "application = get_asgi_application()",
    "mysite/api/__init__.py": "",
    "mysite/api/app.py": "from fastapi import FastAPI\napp = FastAPI()",
}

Find = Callable[..., Target]


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, source in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(source), encoding="utf-8")


@pytest.fixture
def find(tmp_path: Path) -> Find:
    def find(
        text: str | None,
        files: Mapping[str, str],
        cwd: str = "",
        environ: Mapping[str, str] | None = None,
        **more: object,
    ) -> Target:
        write(tmp_path, files)
        return find_target(text, cwd=str(tmp_path / cwd), environ=environ or {}, **more)  # type: ignore[arg-type]

    return find


def brief(target: Target, folder: Path) -> tuple[str, str, str]:
    """Label, path and app folder, relative to the project."""
    path = os.path.relpath(target.path, folder) if target.path else ""
    return target.label, path, os.path.relpath(target.app_dir, folder)


# --- modules ---


@pytest.mark.parametrize(
    ("text", "label", "path"),
    [
        ("mysite.wsgi:application", "mysite.wsgi:application", "mysite/wsgi.py"),
        (" mysite.wsgi : application ", "mysite.wsgi:application", "mysite/wsgi.py"),
        ("mysite.wsgi:application.inner", "mysite.wsgi:application.inner", "mysite/wsgi.py"),
        ("mysite.wsgi", "mysite.wsgi:application", "mysite/wsgi.py"),
        ("mysite.wsgi.application", "mysite.wsgi:application", "mysite/wsgi.py"),
        ("mysite.api.app", "mysite.api.app:app", "mysite/api/app.py"),
        ("mysite.api.app.app", "mysite.api.app:app", "mysite/api/app.py"),
        ("mysite", "mysite.wsgi:application", "mysite/wsgi.py"),
        ("mysite.api", "mysite.api.app:app", "mysite/api/app.py"),
        ("mysite:wsgi.application", "mysite:wsgi.application", "mysite/__init__.py"),
    ],
)
def test_modules(find: Find, tmp_path: Path, text: str, label: str, path: str) -> None:
    target = find(text, DJANGO)
    assert target.kind is TargetKind.MODULE
    assert brief(target, tmp_path) == (label, path, ".")
    assert f"{target.module}:{target.attribute}" == label


@pytest.mark.parametrize(
    ("source", "attribute", "call"),
    [
        ("app = 1\napplication = 2", "application", False),
        ("def create_app(): ...\napp = create_app()", "app", False),
        ("def create_app(): ...", "create_app", True),
        ("def make_app(config=None): ...", "make_app", True),
        ("from .site import create_app", "create_app", True),
        ("def app(): ...", "app", True),
        ("def app(environ, start_response): ...", "app", False),
        ("try:\n    from x import app\nexcept ImportError:\n    app = None", "app", False),
        ("@decorated\nasync def app(scope, receive, send): ...", "app", False),
        ("from x import *", "", False),
        ("from x import *\napp = 1", "app", False),
        ("def broken(:", "", False),
    ],
)
def test_the_attribute_is_found_in_the_source(find: Find, source: str, attribute: str, call: bool) -> None:
    target = find("web", {"web.py": source})
    assert (target.attribute, target.call) == (attribute, call)
    assert target.label == (f"web:{attribute}{'()' if call else ''}" if attribute else "web")


def test_factory_prefers_factories_and_calls(find: Find) -> None:
    source = {"web.py": "def create_app(config): ...\napp = create_app(1)\nbuild = 1"}
    target = find("web", source, factory=True)
    assert (target.attribute, target.call) == ("create_app", True)
    target = find("web:build", source, factory=True)
    assert (target.attribute, target.call, target.label) == ("build", True, "web:build")
    target = find("web", {"web.py": "from x import *"}, factory=True)
    assert (target.attribute, target.call) == ("", True)


def test_a_call_keeps_its_arguments(find: Find) -> None:
    target = find("web:create_app('dev', debug=True)", {"web.py": "def create_app(name, debug): ..."})
    assert (target.attribute, target.call, target.call_arguments) == ("create_app", True, "'dev', debug=True")
    assert target.label == "web:create_app('dev', debug=True)"


def test_a_function_without_arguments_can_only_be_a_factory(find: Find) -> None:
    assert find("web:build", {"web.py": "def build(): ..."}).call
    assert not find("web:build.app", {"web.py": "def build(): ..."}).call
    assert not find("web:serve", {"web.py": "def serve(environ, start_response): ..."}).call


def test_app_dir(find: Find, tmp_path: Path) -> None:
    target = find("web:app", {"src/web.py": "app = 1"}, app_dir=str(tmp_path / "src"))
    assert brief(target, tmp_path) == ("web:app", "src/web.py", "src")


def test_a_package_keeps_the_folder_it_was_named_from(find: Find, tmp_path: Path) -> None:
    files = {"outer/__init__.py": "", "outer/inner/__init__.py": "", "outer/inner/app.py": "app = 1"}
    target = find("inner", files, cwd="outer")
    assert brief(target, tmp_path) == ("inner.app:app", "outer/inner/app.py", "outer")


def test_installed_modules_are_left_to_the_server(find: Find, tmp_path: Path) -> None:
    target = find("wsgiref.simple_server:demo_app", {})
    assert target.path.endswith("simple_server.py")
    assert target.app_dir == str(tmp_path)
    target = find("wsgiref.no_such_module:app", {})
    assert (target.path, target.module, target.attribute) == ("", "wsgiref.no_such_module", "app")


def test_a_folder_that_shares_a_name_with_an_installed_package(find: Find) -> None:
    assert find("wsgiref.simple_server:demo_app", {"wsgiref/notes.txt": ""}).path.endswith("simple_server.py")


def test_a_package_that_extends_its_path_is_left_to_the_server(find: Find) -> None:
    init = "from pkgutil import extend_path\n__path__ = extend_path(__path__, __name__)\n"
    assert find("space.app:app", {"space/__init__.py": init}).path == ""


def test_nothing_is_imported(find: Find) -> None:
    before = set(sys.modules)
    find("loud.app:app", {"loud/__init__.py": LOUD, "loud/app.py": LOUD + "app = 1"})
    assert not {name for name in set(sys.modules) - before if name.startswith("loud")}


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("mysite.wsgi:app", "`mysite.wsgi` has `application`, not `app`", "devserver run mysite.wsgi:application"),
        ("mysite.wsgi:aplication", "`mysite.wsgi` has `application`, not `aplication`", "mysite.wsgi:application"),
        ("mysite.settings", "`mysite.settings` has no application, app, create_app or make_app", "name what to serve"),
        ("mysite.settings:app", "`mysite.settings` has no `app`", "mysite.settings:name"),
        ("mysit.wsgi:application", "no module named `mysit.wsgi`", "did you mean `mysite.wsgi:application`?"),
        ("mysite.wsg:application", "no module named `mysite.wsg`", "did you mean `mysite.wsgi:application`"),
        ("mysite.urls_of_nothing", "no module named `mysite.urls_of_nothing` in {tmp}/mysite", "there: api, asgi"),
        ("entirely_different", "no module named `entirely_different` in {tmp}", "there: manage, mysite"),
        ("mysite.wsgi.aplication", "`mysite.wsgi` is a module, not a package: it has no `aplication`", "mysite.wsgi:"),
        ("mysite.wsgi.x:y", "`mysite.wsgi` is a module, not a package: it has no `x`", None),
        (":app", "nothing before the colon in `:app`", "module:app"),
        ("mysite.wsgi:", "nothing after the colon in `mysite.wsgi:`", "module:app"),
        ("", "nothing before the colon in ``", "module:app"),
        ("mysite..wsgi", "`mysite..wsgi` is no module name", "mysite.wsgi:application"),
        ("mysite.wsgi:a:b", "`a:b` is not a name in a module", "create_app()"),
        ("8001", "`8001` is no module, file or folder", "devserver run --port 8001"),
        ("0.0.0.0:8001", "`0.0.0.0:8001` is no module, file or folder", "devserver run --host 0.0.0.0 --port 8001"),
        ("localhost:8001", "`localhost:8001` is no module, file or folder", "--host localhost --port 8001"),
        ("[::1]:8001", "`[::1]:8001` is no module, file or folder", "--host [::1] --port 8001"),
        ("http://localhost:8000", "`http://localhost:8000` is a URL", "module:app"),
    ],
)
def test_wrong_modules(find: Find, tmp_path: Path, text: str, message: str, hint: str | None) -> None:
    with pytest.raises(TargetError) as caught:
        find(text, DJANGO)
    assert caught.value.message == message.format(tmp=tmp_path)
    assert caught.value.exit_code == 2
    if hint is None:
        assert caught.value.hint is None
    else:
        assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "source", "message", "hint"),
    [
        ("web:app", 'x = 1\nif __name__ == "__main__":\n    app = x', "only under", "move it out of that block"),
        ("web", 'x = 1\nif __name__ == "__main__":\n    app = x', "has no application", "move it out of that block"),
        ("web", "api = FastAPI()", "has no application", "did you mean `api`?  devserver run web:api"),
        ("web:app", "api = FastAPI()", "has `api`, not `app`", "devserver run web:api"),
        ("web:application", "def create_app(): ...", "has `create_app`", "devserver run 'web:create_app()'"),
        ("web:serves", "serve = 1\napp = 2", "has `serve` and `app`, not `serves`", "devserver run web:serve"),
        ("web:app", "x = 1", "`web` has no `app`", "web:name"),
        ("web:app.x", "x = 1", "`web` has no `app.x`", "web:name"),
    ],
)
def test_wrong_attributes(find: Find, text: str, source: str, message: str, hint: str) -> None:
    with pytest.raises(TargetError) as caught:
        find(text, {"web.py": source})
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    "source",
    ["from x import *", "def __getattr__(name): ...", "def broken(:", "globals()['app'] = 1", "", "import x", "1 / 0"],
)
def test_what_cannot_be_proven_wrong_is_left_to_the_server(find: Find, source: str) -> None:
    assert find("web:app", {"web.py": source}).attribute == "app"
    assert find("web.app", {"web.py": "app = 1"}).label == "web:app"


def test_module_in_src_needs_app_dir(find: Find) -> None:
    with pytest.raises(TargetError) as caught:
        find("pkg.app:app", {"src/pkg/__init__.py": "", "src/pkg/app.py": "app = 1"})
    assert caught.value.hint == "it is in src: add  --app-dir src"


def test_folder_without_init_has_no_attribute(find: Find) -> None:
    with pytest.raises(TargetError) as caught:
        find("web:app", {"web/main.py": "app = 1"})
    assert caught.value.message == "`web` is a folder without __init__.py"
    assert caught.value.hint == "did you mean `web.main`?"


# --- files ---


@pytest.mark.parametrize(
    ("text", "cwd", "label", "path", "app_dir"),
    [
        ("mysite/wsgi.py", "", "mysite.wsgi:application", "mysite/wsgi.py", "."),
        ("./mysite/wsgi.py", "", "mysite.wsgi:application", "mysite/wsgi.py", "."),
        ("mysite/wsgi.py:application", "", "mysite.wsgi:application", "mysite/wsgi.py", "."),
        ("mysite/wsgi:application", "", "mysite.wsgi:application", "mysite/wsgi.py", "."),
        ("mysite/wsgi", "", "mysite.wsgi:application", "mysite/wsgi.py", "."),
        ("wsgi.py", "mysite", "mysite.wsgi:application", "mysite/wsgi.py", "."),
        ("app.py:app", "mysite/api", "mysite.api.app:app", "mysite/api/app.py", "."),
        ("../mysite/wsgi.py", "mysite", "mysite.wsgi:application", "mysite/wsgi.py", "."),
        ("mysite/api/__init__.py:app.app", "", "mysite.api:app.app", "mysite/api/__init__.py", "."),
        ("{tmp}/mysite/wsgi.py", "", "mysite.wsgi:application", "mysite/wsgi.py", "."),
        ("mysite/api/", "", "mysite.api.app:app", "mysite/api/app.py", "."),
    ],
)
def test_files(find: Find, tmp_path: Path, text: str, cwd: str, label: str, path: str, app_dir: str) -> None:
    target = find(text.format(tmp=tmp_path), DJANGO, cwd=cwd)
    assert target.kind is TargetKind.MODULE
    assert brief(target, tmp_path) == (label, path, app_dir)


def test_a_file_below_a_named_app_dir(find: Find, tmp_path: Path) -> None:
    files = {"backend/web/app.py": "app = 1"}  # no __init__.py: a namespace package
    target = find("backend/web/app.py", files, app_dir=str(tmp_path / "backend"))
    assert brief(target, tmp_path) == ("web.app:app", "backend/web/app.py", "backend")
    target = find("backend/web/app.py", files)
    assert brief(target, tmp_path) == ("app:app", "backend/web/app.py", "backend/web")
    target = find("web/app.py", files, app_dir=str(tmp_path / "backend"))
    assert brief(target, tmp_path) == ("web.app:app", "backend/web/app.py", "backend")


def test_a_linked_file_keeps_its_own_name(find: Find, tmp_path: Path) -> None:
    write(tmp_path, {"store/v1.py": "app = 1", "site/x": ""})
    (tmp_path / "site" / "web.py").symlink_to(tmp_path / "store" / "v1.py")
    assert brief(find("site/web.py", {}), tmp_path) == ("web:app", "site/web.py", "site")


def test_a_module_wins_over_a_file_of_its_name(find: Find) -> None:
    assert find("web", {"web": "#!/bin/sh", "web.py": "app = 1"}).label == "web:app"


def test_a_name_with_a_dash_can_be_served(find: Find) -> None:
    assert find("my-app.py", {"my-app.py": "app = 1"}).module == "my-app"
    assert find("my-app:app", {"my-app.py": "app = 1"}).module == "my-app"
    assert find("app10", {"app10.py": "app = 1"}).module == "app10"  # no port


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("mysite/wsgj.py", "no file mysite/wsgj.py", "did you mean mysite/wsgi.py"),
        ("mysit/wsgi.py", "no file mysit/wsgi.py", "did you mean mysite?"),
        ("manag.py", "no file manag.py", "did you mean manage.py?"),
        ("zzz.py", "no file zzz.py", "there is nothing like it"),
        ("mysite.wsgi.py", "no file mysite.wsgi.py", "did you mean mysite/wsgi.py or mysite.wsgi?"),
        ("mysite/wsgi.application", "no file mysite/wsgi.application", "did you mean mysite/wsgi.py:application?"),
        ("readme.txt", "readme.txt cannot be imported as a Python file", "name a module"),
        (
            "mysite/templates/x.html",
            "mysite/templates/x.html cannot be imported as a Python file",
            "to serve the files of its folder:  devserver run mysite/templates/",
        ),
        ("app.dev.py", "app.dev.py cannot be imported as a Python file", "rename it"),
        ("mysite/wsgi.py:app", "`mysite.wsgi` has `application`, not `app`", "mysite.wsgi:application"),
        ("mysite/templates/:app", "mysite/templates is a folder: it has no `app`", None),
    ],
)
def test_wrong_files(find: Find, text: str, message: str, hint: str | None) -> None:
    with pytest.raises(TargetError) as caught:
        find(text, {**DJANGO, "readme.txt": "", "app.dev.py": "", "mysite/templates/x.html": ""})
    assert caught.value.message == message
    if hint is None:
        assert caught.value.hint is None
    else:
        assert hint in (caught.value.hint or "")


# --- Django ---


@pytest.mark.parametrize(("text", "cwd"), [("manage.py", ""), (".", ""), ("../manage.py", "mysite"), (None, "")])
def test_manage_py(find: Find, tmp_path: Path, text: str | None, cwd: str) -> None:
    target = find(text, DJANGO, cwd=cwd)
    assert target.kind is TargetKind.DJANGO
    assert target.module == "mysite.settings"
    assert target.path == str(tmp_path / "manage.py")
    assert target.app_dir == str(tmp_path)
    assert "settings mysite.settings" in target.reason


def test_the_environment_names_the_settings(find: Find) -> None:
    assert find(None, DJANGO, environ={"DJANGO_SETTINGS_MODULE": "mysite.local"}).module == "mysite.local"


def test_a_manage_py_without_settings(find: Find) -> None:
    with pytest.raises(TargetError, match="names no settings"):
        find("manage.py", {"manage.py": "print('hello')"})
    assert find("manage.py", {"manage.py": "app = 1"}).kind is TargetKind.MODULE
    assert find("manage.py:cli", {"manage.py": "cli = 1"}).attribute == "cli"


def test_factory_does_not_go_with_django(find: Find) -> None:
    with pytest.raises(UsageError, match="--factory does not go with a Django project"):
        find("manage.py", DJANGO, factory=True)


def test_the_reason_of_a_target_from_elsewhere(find: Find) -> None:
    assert find("mysite.wsgi", DJANGO, reason="target in pyproject.toml").reason == "target in pyproject.toml"
