"""Python's warnings as reports, and which of them are shown."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from devserver.report import Occasion
from devserver.server.warned import UsersModules, report_from_warning
from devserver.terminal_report import report_text


def test_a_warning_has_its_place(tmp_path: Path) -> None:
    file = tmp_path / "views.py"
    file.write_text("def index():\n    old()\n")
    report = report_from_warning("old() goes", DeprecationWarning, (str(file), 2, "index"), [str(tmp_path)])
    assert report.occasion is Occasion.WARNING
    assert report.errors[0].bases == ("DeprecationWarning", "Warning", "Exception", "BaseException")
    assert report_text(report) == dedent(
        """\
        DeprecationWarning: old() goes

          views.py:2 in index
          > 2 │     old()"""
    )


def test_a_coroutine_has_the_place_where_it_was_made(tmp_path: Path) -> None:
    file = tmp_path / "views.py"
    file.write_text("async def index():\n    notify()\n")
    text = (
        "coroutine 'Mail.notify' was never awaited\nCoroutine created at (most recent call last)\n"
        f'  File "{file}", line 2, in index\n    notify()'
    )
    report = report_from_warning(text, RuntimeWarning, ("/lib/gc.py", 9, "collect"), [str(tmp_path)])
    assert report_text(report) == dedent(
        """\
        RuntimeWarning: coroutine 'Mail.notify' was never awaited
          it was made here

          views.py:2 in index
          > 2 │     notify()

          hint: notify is async, so calling it does nothing yet: write
                `await notify(…)`."""
    )


def test_a_library_category_has_its_module() -> None:
    category = type("OldWarning", (UserWarning,), {"__module__": "shop.warnings"})
    assert report_from_warning("x", category, ("<string>", 1, ""), []).title == "shop.warnings.OldWarning: x"


def test_the_users_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = type(sys)("shop")
    module.__file__ = str(tmp_path / "shop.py")
    monkeypatch.setitem(sys.modules, "shop", module)
    modules = pickle.loads(pickle.dumps(UsersModules([str(tmp_path)])))
    assert modules.match("shop")
    assert modules.match(str(tmp_path / "compiled"))
    assert not modules.match("json")
    assert not modules.match("sys")
    assert not modules.match("<string>")


WARNING_PROGRAM = """
import sys, warnings
sys.path.insert(0, {folder!r})
from devserver.server.warned import show_deprecations
show_deprecations([{folder!r}])
{code}
import users_module
warnings.warn("of a library", DeprecationWarning)
"""


@pytest.mark.parametrize(
    ("options", "code", "is_shown"),
    [
        ([], "", True),
        (["-Wignore"], "", False),
        (["-Wignore::DeprecationWarning"], "", False),
        (["-Wignore::UserWarning"], "", True),
        (["-Xdev"], "", True),
        ([], "warnings.simplefilter('ignore')", False),
        ([], "warnings.filterwarnings('ignore', message='of the user')", False),
        ([], "warnings.resetwarnings(); warnings.simplefilter('ignore', DeprecationWarning)", False),
    ],
)
def test_deprecations_of_the_users_code(options: list[str], code: str, is_shown: bool, tmp_path: Path) -> None:
    (tmp_path / "users_module.py").write_text('import warnings\nwarnings.warn("of the user", DeprecationWarning)\n')
    program = f"exec(compile({WARNING_PROGRAM.format(folder=str(tmp_path), code=code)!r}, 'lib', 'exec'), {{'__name__': 'lib'}})"
    done = subprocess.run(
        [sys.executable, *options, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert ("of the user" in done.stderr) is is_shown
    assert ("of a library" in done.stderr) is ("-Xdev" in options)
