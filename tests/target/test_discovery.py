"""What is run when the user did not say."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from devserver.errors import TargetError, UsageError
from devserver.target import Target, TargetKind
from devserver.target.lookup import find_target

MANAGE = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'mysite.settings')\n"
APP = "app = 1\n"

Find = Callable[..., Target]


@pytest.fixture
def find(tmp_path: Path) -> Find:
    def find(files: Mapping[str, str], text: str | None = None, cwd: str = "", **more: object) -> Target:
        for name, source in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source, encoding="utf-8")
        return find_target(text, cwd=str(tmp_path / cwd), environ={}, **more)  # type: ignore[arg-type]

    return find


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"manage.py": MANAGE, "app.py": APP}, "manage.py"),
        ({"manage.py": "print()", "app.py": APP}, "app.py"),
        ({"app.py": APP, "wsgi.py": APP, "main.py": APP}, "app.py"),
        ({"wsgi.py": APP, "asgi.py": APP}, "wsgi.py"),
        ({"asgi.py": APP, "main.py": APP}, "asgi.py"),
        ({"main.py": APP, "application.py": APP}, "main.py"),
        ({"application.py": APP}, "application.py"),
        ({"main.py": "print('a script')", "application.py": APP}, "application.py"),
        ({"app.py": "from shop import *", "main.py": APP}, "main.py"),
        ({"app.py": "from shop import *", "main.py": "print()"}, "app.py"),
        ({"app.py": "app = 1\ndef broken(:", "wsgi.py": APP}, "app.py"),
        ({"app.py": "x = 1\ndef broken(:", "wsgi.py": APP}, "wsgi.py"),
        ({"app.py": "x = 1\ndef broken(:"}, "app.py"),
        ({"app.py": APP, "inner/manage.py": MANAGE}, "app.py"),
        ({"mysite/manage.py": MANAGE, "flaskr/__init__.py": "def create_app(): ..."}, "mysite/manage.py"),
        ({"src/manage.py": MANAGE}, "src/manage.py"),
        ({"src/site/manage.py": MANAGE}, "src/site/manage.py"),
        ({"src/app.py": APP, "pkg/__init__.py": APP}, "src/app.py"),
        ({"flaskr/__init__.py": "def create_app(): ..."}, "flaskr/__init__.py"),
        ({"src/pkg/__init__.py": "", "src/pkg/main.py": APP}, "src/pkg/main.py"),
        ({"app/__init__.py": "", "app/main.py": APP}, "app/main.py"),
        ({"pkg/__init__.py": "", "pkg/app.py": APP, "tests/__init__.py": "", "tests/app.py": APP}, "pkg/app.py"),
        ({"pkg/__init__.py": "", "pkg/app.py": APP, "env/pyvenv.cfg": "", "env/__init__.py": APP}, "pkg/app.py"),
        ({"pkg/__init__.py": "", "pkg/app.py": APP, ".hidden/__init__.py": APP}, "pkg/app.py"),
    ],
)
def test_order(find: Find, tmp_path: Path, files: Mapping[str, str], found: str) -> None:
    target = find(files)
    assert os.path.relpath(target.path, tmp_path) == found
    assert found in target.reason


@pytest.mark.parametrize(
    ("files", "cwd", "label", "app_dir"),
    [
        ({"mysite/manage.py": MANAGE}, "", "mysite/manage.py", "mysite"),
        ({"src/pkg/__init__.py": "", "src/pkg/main.py": APP}, "", "pkg.main:app", "src"),
        ({"flaskr/__init__.py": "def create_app(x=None): ..."}, "", "flaskr:create_app()", "."),
        ({"flaskr/__init__.py": "def create_app(x=None): ..."}, "flaskr", "flaskr:create_app()", "."),
        ({"mysite/__init__.py": "", "mysite/wsgi.py": APP}, "mysite", "mysite.wsgi:app", "."),
    ],
)
def test_labels(find: Find, tmp_path: Path, files: Mapping[str, str], cwd: str, label: str, app_dir: str) -> None:
    target = find(files, cwd=cwd)
    assert (target.label, os.path.relpath(target.app_dir, tmp_path)) == (label, app_dir)


def test_app_dir_is_searched(find: Find, tmp_path: Path) -> None:
    target = find({"app.py": APP, "inner/app.py": APP}, app_dir=str(tmp_path / "inner"))
    assert target.path == str(tmp_path / "inner" / "app.py")
    assert target.app_dir == str(tmp_path / "inner")


@pytest.mark.parametrize(
    ("files", "commands"),
    [
        ({"a/manage.py": MANAGE, "b/manage.py": MANAGE}, ["devserver run a/manage.py", "devserver run b/manage.py"]),
        (
            {"a/__init__.py": APP, "b/__init__.py": "", "b/main.py": APP},
            ["devserver run a/__init__.py", "devserver run b/main.py"],
        ),
    ],
)
def test_several(find: Find, files: Mapping[str, str], commands: list[str]) -> None:
    with pytest.raises(TargetError, match=r"several apps in .*: say which") as caught:
        find(files)
    assert caught.value.hint == ", ".join(commands)


@pytest.mark.parametrize(
    ("files", "hint"),
    [
        ({}, "name it: devserver run module:app   (looked for manage.py, app.py"),
        ({"hello.py": "app = Flask(__name__)"}, "did you mean  devserver run hello.py  ?"),
        ({"hello.py": "api = FastAPI()"}, "did you mean  devserver run hello.py:api  ?"),
        ({"main.py": "api = FastAPI()"}, "did you mean  devserver run main.py:api  ?"),
        ({"hello.py": "def create_app(config): ..."}, "did you mean  devserver run 'hello.py:create_app()'  ?"),
        ({"script.py": "print()"}, "name it"),
        ({"manage.py": "print()"}, "manage.py names no settings: set DJANGO_SETTINGS_MODULE"),
        ({"index.html": ""}, "to serve the files of this folder:  devserver run ."),
        ({"about.html": ""}, "to serve the files of this folder:  devserver run ."),
    ],
)
def test_nothing(find: Find, tmp_path: Path, files: Mapping[str, str], hint: str) -> None:
    with pytest.raises(TargetError) as caught:
        find(files)
    assert caught.value.message == f"nothing to run in {tmp_path}"
    assert (caught.value.hint or "").startswith(hint)
    assert caught.value.exit_code == 2


# --- folders ---


@pytest.mark.parametrize(
    ("files", "text", "kind", "label"),
    [
        ({"site/index.html": ""}, "site", TargetKind.FOLDER, "site/"),
        ({"site/index.html": ""}, "site/", TargetKind.FOLDER, "site/"),
        ({"site/index.html": ""}, "./site", TargetKind.FOLDER, "site/"),
        ({"index.html": ""}, ".", TargetKind.FOLDER, "."),
        ({"site/style.css": ""}, "site", TargetKind.FOLDER, "site/"),
        ({"site/build.py": "print()"}, "site", TargetKind.FOLDER, "site/"),
        ({"site/index.html": "", "site/app.py": APP}, "site", TargetKind.FOLDER, "site/"),
        ({"site/app.py": APP}, "site", TargetKind.MODULE, "app:app"),
        ({"app.py": APP}, ".", TargetKind.MODULE, "app:app"),
        ({"site/manage.py": MANAGE}, "site", TargetKind.DJANGO, "site/manage.py"),
        ({"site/manage.py": MANAGE, "site/index.html": ""}, "site", TargetKind.DJANGO, "site/manage.py"),
        ({"mysite/manage.py": MANAGE}, ".", TargetKind.DJANGO, "mysite/manage.py"),
        ({"wsgiref/index.html": ""}, "wsgiref", TargetKind.FOLDER, "wsgiref/"),  # before an installed module
        ({"site.d/index.html": ""}, "site.d", TargetKind.FOLDER, "site.d/"),
    ],
)
def test_folders(find: Find, files: Mapping[str, str], text: str, kind: TargetKind, label: str) -> None:
    target = find(files, text)
    assert (target.kind, target.label) == (kind, label)


def test_a_folder_of_files_says_so(find: Find, tmp_path: Path) -> None:
    target = find({"site/index.html": ""}, "site")
    assert (target.path, target.module, target.reason) == (str(tmp_path / "site"), "", "its index.html")
    target = find({"site/app.py": APP}, "site")
    assert target.reason == "its index.html; for the app:  devserver run site/app.py"


def test_factory_does_not_go_with_files(find: Find) -> None:
    with pytest.raises(UsageError, match="--factory does not go with a folder of files"):
        find({"site/index.html": ""}, "site", factory=True)


def test_several_apps_in_a_named_folder(find: Find) -> None:
    with pytest.raises(TargetError, match="several apps"):
        find({"a/manage.py": MANAGE, "b/manage.py": MANAGE}, ".")
