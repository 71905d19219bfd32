"""Live exceptions as reports. The code that fails is real: it is written to files and imported."""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from types import MappingProxyType

import pytest

from devserver.errors import TargetError
from devserver.messages import LoadFailed, decode, encode
from devserver.report import Advice, ErrorInfo, Frame, Local, Occasion, Report, RequestFacts
from devserver.server.web import tracebacks
from devserver.server.web.reprs import HIDDEN
from devserver.server.web.tracebacks import examine, report_from_exception
from devserver.server.web.variables import MAX_LOCALS, patiently

Fail = Callable[..., Report]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to import from; what was imported from it is forgotten afterwards."""
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.chdir(root)
    before = set(sys.modules)
    yield root
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def fail(project: Path) -> Fail:
    """Writes the files, imports `app`, and gives the report of what that raised."""

    def fail(app: str, files: Mapping[str, str] = MappingProxyType({})) -> Report:
        for name, source in {"app.py": app, **files}.items():
            file = project / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(dedent(source), encoding="utf-8")
        importlib.invalidate_caches()
        try:
            importlib.import_module("app")
        except BaseException as error:
            return report_from_exception(error, Occasion.LOAD, user_roots=[str(project)], target="app:app")
        raise AssertionError("nothing was raised")

    return fail


def test_an_error_of_ours_has_its_instructions_and_no_place_in_our_code() -> None:
    def raises() -> None:
        raise TargetError("app:application is a class", hint="add parentheses")

    path = str(Path(__file__).parent)
    for roots, frames in (([], 0), ([path], 2)):
        try:
            raises()
        except TargetError as error:
            report = report_from_exception(error, Occasion.LOAD, user_roots=roots, target="app:app")
        assert report.advice == (Advice("add parentheses"),)
        assert len(report.errors[0].frames) == frames
        assert report.title.endswith("app:application is a class")
        assert report.title.startswith("devserver.errors.TargetError: ") is bool(frames)


def test_a_hint_that_is_a_note_is_given_once(fail: Fail) -> None:
    report = fail("""
        from devserver.server.web.wsgi_headers import WSGIError
        raise WSGIError("wrong", hint="write it so")
    """)
    assert report.advice == ()
    assert report.errors[0].notes == ("hint: write it so",)


def marked(frame: Frame) -> str:
    """The text that the frame's columns point at."""
    line = next(line for line in frame.source if line.number == frame.line)
    start, end = frame.marked(line)
    return line.text[start:end]


def place(error: ErrorInfo) -> Frame:
    frame = error.place
    assert frame is not None
    return frame


# --- frames ---


def test_columns_are_characters(fail: Fail) -> None:
    report = fail(app='d = {"日本": 1}\nprint("é", d["日本"], d["東"])\n')
    frame = place(report.errors[0])
    assert (frame.display_path, frame.line, frame.function, frame.is_user) == ("app.py", 2, "<module>", True)
    assert marked(frame) == 'd["東"]'
    assert report.title == "KeyError: '東'"
    assert report.detail == "while loading app:app"
    assert report.versions[0][0] == "Python"


def test_the_users_code_comes_first_and_ours_never(fail: Fail) -> None:
    report = fail("import helper", {"helper.py": "import json\njson.loads('{')\n"})
    paths = [frame.display_path for frame in report.errors[0].frames]
    assert not any("importlib._bootstrap" in path or "devserver" in path for path in paths)
    assert [path for path in paths if path in {"app.py", "helper.py"}] == ["app.py", "helper.py"]
    assert paths[-1] == "json/decoder.py"
    assert place(report.errors[0]).display_path == "helper.py"


def test_lines_are_read_anew(fail: Fail, project: Path) -> None:
    fail(app="x = 1\nraise ValueError('first')\n")
    sys.modules.pop("app", None)
    report = fail(app="# a line more\nx = 22\nraise ValueError('second')\n")
    assert marked(place(report.errors[0])) == "raise ValueError('second')"


def test_source_begins_within_a_docstring(fail: Fail) -> None:
    report = fail(
        app='def f():\n    """One\n    a\n    b\n    c\n    d\n    """\n    x = 1\n    raise ValueError\nf()\n'
    )
    frame = place(report.errors[0])
    assert frame.source[0].number == 4
    assert frame.within == '"""'


def test_code_without_a_file(fail: Fail) -> None:
    report = fail(app='exec("1 / 0")')
    frame = report.errors[0].frames[-1]
    assert (frame.path, frame.source, frame.is_user) == ("<string>", (), False)


def test_endless_recursion_is_cut_in_the_middle(fail: Fail) -> None:
    report = fail(app="def f(n):\n    return f(n + 1)\n\nf(0)\n")
    frames = report.errors[0].frames
    assert len(frames) == tracebacks.MAX_FIRST_FRAMES + tracebacks.MAX_LAST_FRAMES
    (gap,) = [frame for frame in frames if frame.skipped]
    assert frames.index(gap) == tracebacks.MAX_FIRST_FRAMES
    assert gap.skipped > 500
    assert "calls itself" in report.advice[0].text


# --- the chain ---


def test_cause_and_context(fail: Fail) -> None:
    report = fail(
        app="""
        def first():
            raise KeyError("one")

        try:
            try:
                first()
            except KeyError as error:
                raise ValueError("two") from error
        except ValueError:
            raise TypeError("three")
        """
    )
    assert [(error.type_name, error.link, error.parent) for error in report.errors] == [
        ("TypeError", "", None),
        ("ValueError", "context", 0),
        ("KeyError", "cause", 1),
    ]
    assert place(report.errors[2]).function == "first"


def test_suppressed_context_is_not_shown(fail: Fail) -> None:
    report = fail(app="try:\n    1 / 0\nexcept ZeroDivisionError:\n    raise ValueError from None\n")
    assert [error.type_name for error in report.errors] == ["ValueError"]


def test_groups_and_notes(fail: Fail) -> None:
    report = fail(
        app="""
        inner = ExceptionGroup("inner", [KeyError(1)])
        group = ExceptionGroup("outer", [inner, OSError(2)])
        group.add_note("a note")
        raise group from TypeError("cause")
        """
    )
    assert [(error.type_name, error.link, error.parent) for error in report.errors] == [
        ("ExceptionGroup", "", None),
        ("ExceptionGroup", "group", 0),
        ("KeyError", "group", 1),
        ("OSError", "group", 0),
        ("TypeError", "cause", 0),
    ]
    assert report.errors[0].notes == ("a note",)


def test_a_chain_in_a_circle_ends(project: Path) -> None:
    first, second = ValueError(1), KeyError(2)
    first.__context__, second.__context__ = second, first
    report = report_from_exception(first, Occasion.LOAD, user_roots=[str(project)])
    assert [error.type_name for error in report.errors] == ["ValueError", "KeyError"]


def test_a_long_chain_is_cut(project: Path) -> None:
    errors = [ValueError(number) for number in range(1000)]
    for error, cause in pairwise(errors):
        error.__cause__ = cause
    report = report_from_exception(errors[0], Occasion.LOAD, user_roots=[str(project)])
    assert len(report.errors) == tracebacks.MAX_ERRORS
    assert "not shown" in report.errors[-1].notes[-1]


# --- syntax errors ---


@pytest.mark.parametrize(
    ("source", "line", "text", "advice"),
    [
        ("x = 1\ndef f()\n    pass\n", 2, "", "A colon is missing"),
        ("x = (1,\ny = 2\n", 1, "(", "has no )"),
        ("print('é' , )  x\n", 1, "x", None),
        ("é = '日本' é\n", 1, "é", None),
        ("'é'; é = (1,\n", 1, "(", "has no )"),
        ("'é'; return 1\n", 1, "return 1", None),
        ("'é'; x = 1__0\n", 1, "_", None),
        ("if 1:\npass\n", 2, "pass", "The line before opens a block"),
        ("s = 'abc\n", 1, "'", "closing quote"),
        ("é = 'abc\n", 1, "'", "closing quote"),
    ],
)
def test_syntax_errors_point_at_their_place(fail: Fail, source: str, line: int, text: str, advice: str | None) -> None:
    report = fail(app=source)
    frame = report.errors[0].frames[-1]
    assert (frame.display_path, frame.line, frame.is_user, frame.function) == ("app.py", line, True, "")
    assert marked(frame) == text
    if advice is not None:
        assert advice in report.advice[0].text


def test_a_missing_colon_is_marked_after_the_line(fail: Fail) -> None:
    frame = fail(app="def f()\n    pass\n").errors[0].frames[-1]
    assert frame.marked(frame.source[0]) == (7, 8)


def test_an_expression_in_an_f_string(fail: Fail) -> None:
    frame = fail(app='x = 1\nname = f"hello {a b}"\n').errors[0].frames[-1]
    assert frame.line == 2
    assert marked(frame).strip("{}") == "a b"


def test_a_source_that_cannot_be_decoded(fail: Fail, project: Path) -> None:
    (project / "latin.py").write_bytes(b"x = 1\ny = '\xe9'\n")
    report = fail(app="import latin")
    assert report.errors[0].type_name == "SyntaxError"
    assert "codec can't decode" in report.title


def test_code_compiled_from_a_string_shows_its_own_line(fail: Fail) -> None:
    frame = fail(app='compile("a = 1\\nb = = 2", "<input>", "exec")').errors[0].frames[-1]
    assert [line.text for line in frame.source] == ["b = = 2"]
    assert frame.line == 2


# --- messages ---


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("length = 1\nprint(lenth)", "name 'lenth' is not defined. Did you mean: 'length'?"),
        ("[].apend(1)", "'list' object has no attribute 'apend'. Did you mean: 'append'?"),
        ("import sys; sys.exit(3)", "sys.exit(3) was called"),
        ("import sys; sys.exit()", "sys.exit() was called"),
        ("raise KeyError('x')", "'x'"),
        ("raise ValueError", ""),
    ],
)
def test_messages(fail: Fail, source: str, message: str) -> None:
    assert fail(app=source).errors[0].message == message


def test_names_of_types(fail: Fail) -> None:
    report = fail(app="class Own(LookupError):\n    class Inner(KeyError): pass\nraise Own.Inner(1)")
    assert report.errors[0].type_name == "app.Own.Inner"
    assert report.errors[0].bases[:3] == ("app.Own.Inner", "KeyError", "LookupError")


def test_exceptions_that_do_harm(fail: Fail) -> None:
    report = fail(
        app="""
        class Bad(AttributeError):
            __notes__ = [5, "x" * 100_000]

            def __str__(self):
                raise RuntimeError

            def __getattribute__(self, name):
                if name in ("obj", "tried", "path"):
                    raise RuntimeError
                return super().__getattribute__(name)

        raise Bad
        """
    )
    error = report.errors[0]
    assert error.message == "<its str() raised RuntimeError>"
    assert error.notes[0] == "5"
    assert len(error.notes[1]) == tracebacks.MAX_MESSAGE


def test_a_module_level_dir_that_raises(fail: Fail) -> None:
    report = fail(app="class C:\n    def __dir__(self): raise RuntimeError\nC().missing")
    assert report.errors[0].message.startswith("'C' object has no attribute 'missing'")


def test_megabytes_in_a_message_are_cut(fail: Fail) -> None:
    report = fail(app="raise ValueError('m' * 5_000_000)")
    assert len(report.errors[0].message) <= tracebacks.MAX_MESSAGE
    assert len(report.title) <= 200


# --- locals ---


def test_locals(fail: Fail) -> None:
    report = fail(
        app="""
        import os
        setting = {"API_KEY": "abc", "debug": True}

        class Cart:
            def __repr__(self):
                raise RuntimeError("half made")

        def view(request, password):
            cart, big = Cart(), "b" * 1_000_000
            raise ValueError

        view({"id": 5}, "hunter2")
        """
    )
    module, view = report.errors[0].frames[-2:]
    assert {local.name: local.value for local in view.locals} == {
        "request": "{'id': 5}",
        "password": HIDDEN,
        "cart": "<Cart: its repr raised RuntimeError>",
        "big": view.locals[3].value,
    }
    assert view.locals[3].value.endswith("(1000000 characters)")
    assert [(local.name, local.value) for local in module.locals] == [
        ("setting", "{'API_KEY': ‹hidden›, 'debug': True}")
    ]
    assert "hunter2" not in repr(report.errors[0].frames[-1].locals)


def test_many_locals_are_counted(fail: Fail) -> None:
    report = fail(app="".join(f"v{number} = {number}\n" for number in range(100)) + "1 / 0\n")
    frame = report.errors[0].frames[-1]
    assert len(frame.locals) == MAX_LOCALS
    assert frame.unmade == 100 - MAX_LOCALS


def test_the_users_innermost_frames_come_first(fail: Fail) -> None:
    calls = "".join(
        f"def call{number}():\n    texts = {{n: 'x' * 200 for n in range(20)}}; more = dict(texts)\n    call{number + 1}()\n"
        for number in range(59)
    )
    report = fail(app=f"{calls}def call59():\n    inner = 1\n    1 / 0\ncall0()\n")
    frames = report.errors[0].frames
    assert frames[-1].locals == (Local("inner", "1"),)
    assert frames[-2].unmade == 0
    outermost = next(frame for frame in frames if frame.function == "call0")
    assert outermost.locals == ()
    assert outermost.unmade == 2


def test_frames_are_kept_alive(fail: Fail) -> None:
    def view(cart: str) -> None:
        raise ValueError(cart)

    try:
        view("full")
    except ValueError as error:
        examined = examine(error, Occasion.REQUEST, user_roots=[str(Path(__file__).parent)])
    places = {examined.report.errors[i].frames[j].function: frame for (i, j), frame in examined.frames.items()}
    qualname = "test_frames_are_kept_alive.<locals>.view"
    assert places[qualname].f_locals["cart"] == "full"
    assert len(examined.report.id) == 12


# --- advice that looks at the folders ---


POLLS = {"polls/__init__.py": "", "polls/views.py": ""}


def test_a_misspelt_module_beside(fail: Fail) -> None:
    report = fail("import polls.veiws", POLLS)
    assert "but there is polls.views" in report.advice[0].text


def test_a_misspelt_name_of_a_package(fail: Fail) -> None:
    report = fail("from polls import viewz", POLLS)
    assert "it has views" in report.advice[0].text


def test_a_file_in_the_way_of_a_standard_module(fail: Fail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "this", raising=False)
    report = fail("import this\nthis.zen", {"this.py": ""})
    assert report.advice[0].text.startswith("Your file this.py has the name of a module of the standard library")


def test_the_users_email_py_was_not_imported(fail: Fail) -> None:
    importlib.import_module("email")
    report = fail("from email import send_invoice", {"email.py": "def send_invoice(): pass"})
    assert "not your email.py" in report.advice[0].text


def test_circular_import(fail: Fail) -> None:
    report = fail(
        "import polls.a",
        {"polls/__init__.py": "", "polls/a.py": "import polls.b\nx = 1", "polls/b.py": "from polls.a import x"},
    )
    assert "polls/a.py → polls/b.py" in report.advice[0].text


def test_another_environment_has_it(fail: Fail, project: Path) -> None:
    packages = project / ".venv" / "lib" / "python3.11" / "site-packages" / "obscurelib"
    packages.mkdir(parents=True)
    (project / ".venv" / "pyvenv.cfg").touch()
    report = fail(app="import obscurelib")
    assert report.advice[0].command == f"{project}/.venv/bin/python -m devserver run"


def test_an_environment_in_use_is_not_another_one(fail: Fail, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / ".venv" / "lib" / "python3.11" / "site-packages" / "obscurelib").mkdir(parents=True)
    (project / ".venv" / "pyvenv.cfg").touch()
    monkeypatch.setattr(sys, "prefix", str(project / ".venv"))
    monkeypatch.setenv("VIRTUAL_ENV", str(project / ".venv"))
    report = fail(app="import obscurelib")
    assert report.advice[0].command == "python -m pip install obscurelib"


def test_advice_survives_a_folder_that_is_gone() -> None:
    error = ModuleNotFoundError("No module named 'nothing'", name="nothing")
    report = report_from_exception(error, Occasion.LOAD, user_roots=[os.sep + "no such folder"])
    assert "not installed" in report.advice[0].text


# --- as a message ---


def test_a_report_travels(fail: Fail) -> None:
    report = fail(app="try:\n    {}['é']\nexcept KeyError as error:\n    raise ExceptionGroup('g', [error])")
    message = LoadFailed(report, 3.0)
    assert decode(encode(message)) == message


def test_facts_that_hints_ask_for(fail: Fail) -> None:
    assert fail('{}["price"]').errors[0].fact("key") == "price"
    assert fail("{}[1]").errors[0].fact("key") == ""
    assert fail("import json\njson.loads('<html>')").errors[0].fact("doc") == "<html>"


def test_routes_that_a_router_knew(fail: Fail) -> None:
    source = """\
        from starlette.routing import Route, Router
        router = Router([Route("/", print, name="home"), Route("/shop", print, name="shop")])
        router.url_path_for("hoem")
    """
    assert [value for name, value in fail(source).errors[0].facts if name == "known"] == ["home", "shop"]


def test_the_request_is_named_in_the_report() -> None:
    facts = RequestFacts("POST", "http://localhost:8000/x?page=2", "1.1", "", ())
    report = report_from_exception(ValueError("x"), Occasion.REQUEST, request=facts, user_roots=[])
    assert report.detail.startswith("while answering POST http://localhost:8000/x?page=2")


def test_a_message_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()

    class SlowError(Exception):
        def __str__(self) -> str:
            gate.wait()
            return "late"

    monkeypatch.setattr(tracebacks, "patiently", lambda work, otherwise: patiently(work, otherwise, 0.05))
    report = report_from_exception(SlowError(), Occasion.REQUEST, user_roots=[])
    gate.set()
    assert report.errors[0].message == "‹its str() takes too long›"


def test_without_variables_no_repr_is_asked_for() -> None:
    class Telling:
        asked = 0

        def __repr__(self) -> str:
            Telling.asked += 1
            return "asked"

    def view(thing: Telling) -> None:
        raise ValueError("x")

    try:
        view(Telling())
    except ValueError as error:
        examine(error, Occasion.BACKGROUND, user_roots=[], with_variables=False)
    assert Telling.asked == 0
