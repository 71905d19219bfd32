"""Advice, error by error. The messages are those that interpreter and frameworks raise."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devserver import hints
from devserver.hints import HINTS, MAX_ADVICE, Environment, Surroundings, advise
from devserver.hints.case import Case, Hint
from devserver.record import replace
from devserver.report import Advice, ErrorInfo, Frame, Occasion, Report, SourceLine

ROOT = "/project"


def error(
    type_name: str, message: str, *bases: str, user_files: tuple[str, ...] = (), link: str = "", **facts: str
) -> ErrorInfo:
    frames = tuple(
        Frame(f"{ROOT}/{name}", name, "<module>", 1, None, None, None, is_user=True, source=()) for name in user_files
    )
    return ErrorInfo(type_name, message, frames, link=link, bases=(type_name, *bases), facts=tuple(facts.items()))


def advice_for(
    first: ErrorInfo, *others: ErrorInfo, around: Surroundings | None = None, occasion: Occasion = Occasion.LOAD
) -> tuple[Advice, ...]:
    return advise(Report(occasion, "", (first, *others)), around or Surroundings(user_roots=(ROOT,)))


def raised_in(first: ErrorInfo, *files: str, line: str = "") -> ErrorInfo:
    """The error with a frame in each file, the outermost first; the outermost is the user's, `line` the innermost's source."""
    source = (SourceLine(1, line),) if line else ()
    frames = [
        Frame(f"/{name}", name, "f", 1, None, None, None, is_user=name == files[0], source=source) for name in files
    ]
    return replace(first, frames=tuple(frames))


def only(advice: tuple[Advice, ...]) -> Advice:
    (single,) = advice
    return single


def not_found(name: str) -> ErrorInfo:
    return error("ModuleNotFoundError", f"No module named {name!r}", "ImportError", name=name)


# --- imports ---


@pytest.mark.parametrize(
    ("name", "distribution"),
    [
        ("yaml", "pyyaml"),
        ("PIL", "pillow"),
        ("cv2", "opencv-python"),
        ("sklearn", "scikit-learn"),
        ("bs4", "beautifulsoup4"),
        ("dotenv", "python-dotenv"),
        ("rest_framework", "djangorestframework"),
        ("psycopg", "'psycopg[binary]'"),
        ("flask", "flask"),
        ("obscurelib", "obscurelib"),
        ("_private", "_private"),
    ],
)
def test_not_installed(name: str, distribution: str) -> None:
    around = Surroundings(python="/v/bin/python", installed=frozenset({"flas", "yam"} - {name}))
    if name == "flask":
        around = Surroundings(python="/v/bin/python")
    advice = only(advice_for(not_found(name), around=around))
    assert advice.command == f"/v/bin/python -m pip install {distribution}"
    assert "loaded again by itself" in advice.text


@pytest.mark.parametrize(
    ("name", "siblings", "installed", "meant"),
    [
        ("polls.veiws", ("polls.views", "polls.urls"), frozenset[str](), "polls.views"),
        ("veiws", ("views", "urls"), frozenset[str](), "views"),
        ("djnago", (), frozenset({"django"}), "django"),
        ("colections", (), frozenset[str](), "collections"),
    ],
)
def test_misspelt(name: str, siblings: tuple[str, ...], installed: frozenset[str], meant: str) -> None:
    advice = only(advice_for(not_found(name), around=Surroundings(siblings=siblings, installed=installed)))
    assert f"but there is {meant}:" in advice.text
    assert advice.command == ""  # never tell anyone to install a misspelt name


def test_misspelt_in_the_settings_of_django() -> None:
    first = raised_in(not_found("pols"), "mysite/wsgi.py", "django/apps/config.py", "importlib/__init__.py")
    advice = only(advice_for(first, around=Surroundings(siblings=("polls", "mysite"))))
    assert (
        advice.text
        == "There is no module pols, but there is polls: check the spelling in INSTALLED_APPS of the settings."
    )


def test_misspelt_and_not_installed() -> None:
    advice = only(advice_for(not_found("requets")))
    assert "If requests is meant" in advice.text
    assert advice.command == "python -m pip install requests"


def test_missing_part_of_a_package() -> None:
    assert "has no part forms" in only(advice_for(not_found("polls.forms"))).text


def test_wrong_environment() -> None:
    around = Surroundings(environments=(Environment("/p/.venv/bin/python", frozenset({"django"})),))
    advice = only(advice_for(not_found("django"), around=around))
    assert "another environment" in advice.text
    assert advice.command == "/p/.venv/bin/python -m devserver run"


@pytest.mark.parametrize(("name", "part"), [("urllib2", "urllib.request"), ("cgi", "left the standard library")])
def test_names_of_another_python(name: str, part: str) -> None:
    assert part in only(advice_for(not_found(name))).text


@pytest.mark.parametrize(
    "first",
    [
        error("AttributeError", "module 'random' has no attribute 'choice'", module="random", path=f"{ROOT}/random.py"),
        error(
            "AttributeError",
            "partially initialized module 'random' has no attribute 'choice' (most likely due to a circular import)",
            module="random",
            path=f"{ROOT}/random.py",
        ),
        error(
            "ImportError",
            "cannot import name 'choice' from 'random' (/project/random.py)",
            name="random",
            path=f"{ROOT}/random.py",
        ),
    ],
)
def test_file_with_the_name_of_a_standard_module(first: ErrorInfo) -> None:
    advice = only(advice_for(first))
    assert advice.text.startswith("Your file random.py has the name of a module of the standard library")


def test_file_with_the_name_of_an_installed_package() -> None:
    around = Surroundings(installed=frozenset({"flask"}), user_roots=(ROOT,))
    first = error("ImportError", "cannot import name 'Flask' from 'flask'", name="flask", path=f"{ROOT}/flask.py")
    assert "has the name of an installed package" in only(advice_for(first, around=around)).text


def test_standard_module_where_the_users_file_was_meant() -> None:
    around = Surroundings(own_files=(("email", f"{ROOT}/email/__init__.py"),), user_roots=(ROOT,))
    first = error(
        "ImportError", "cannot import name 'send'", name="email", path="/usr/lib/python3.11/email/__init__.py"
    )
    assert "not your email/__init__.py" in only(advice_for(first, around=around)).text


def test_submodule_of_a_file_in_the_way() -> None:
    around = Surroundings(own_files=(("email", f"{ROOT}/email.py"),))
    message = "No module named 'email.message'; 'email' is not a package"
    first = error("ModuleNotFoundError", message, "ImportError", name="email.message")
    assert "Your file email.py" in only(advice_for(first, around=around)).text
    assert "single file" in only(advice_for(first)).text


def test_a_standard_modules_own_attribute_error_is_left_alone() -> None:
    first = error("AttributeError", "module 'json' has no attribute 'lods'", module="json", path="/usr/lib/json.py")
    assert advice_for(first) == ()


def test_circular_import() -> None:
    message = "cannot import name 'Poll' from partially initialized module 'polls.models' (most likely due to a circular import)"
    first = error("ImportError", message, user_files=("polls/models.py", "polls/views.py", "polls/models.py"))
    text = only(advice_for(first)).text
    assert "(polls/models.py → polls/views.py → polls/models.py)" in text


def test_misspelt_name_of_a_module() -> None:
    around = Surroundings(siblings=("polls.views", "polls.urls"))
    first = error("ImportError", "cannot import name 'viewz' from 'polls' (/project/polls/__init__.py)", name="polls")
    assert "it has views" in only(advice_for(first, around=around)).text
    assert advice_for(error("ImportError", "cannot import name 'q' from 'polls'"), around=around) == ()


# --- the language ---


@pytest.mark.parametrize(
    ("type_name", "message", "part"),
    [
        ("IndentationError", "expected an indented block after 'if' statement on line 1", "by four spaces"),
        ("IndentationError", "unexpected indent", "without a block"),
        ("IndentationError", "unindent does not match any outer indentation level", "align it"),
        ("TabError", "inconsistent use of tabs and spaces in indentation", "Tabs and spaces"),
        ("SyntaxError", "expected ':'", "A colon is missing"),
        ("SyntaxError", "'(' was never closed", "has no )"),
        ("SyntaxError", "closing parenthesis ']' does not match opening parenthesis '('", "A ( is closed by a ]"),
        ("SyntaxError", "unmatched ')'", "closes nothing"),
        ("SyntaxError", "unterminated string literal (detected at line 1)", "closing quote"),
        ("SyntaxError", "unterminated triple-quoted string literal (detected at line 3)", "closing quote"),
        ("SyntaxError", "unterminated f-string literal (detected at line 1)", "closing quote"),
        ("NameError", "name 'lenth' is not defined. Did you mean: 'length'?", "length"),
        ("NameError", "name 'json' is not defined. Did you forget to import 'json'?", "`import json`"),
        ("NameError", "name 'json' is not defined", "`import json`"),
        ("AttributeError", "'list' object has no attribute 'apend'. Did you mean: 'append'?", "append"),
        ("RecursionError", "maximum recursion depth exceeded", "calls itself"),
    ],
)
def test_language(type_name: str, message: str, part: str) -> None:
    bases = ("IndentationError", "SyntaxError") if type_name in {"TabError", "IndentationError"} else ()
    assert part in only(advice_for(error(type_name, message, *bases))).text


@pytest.mark.parametrize("message", ["invalid syntax", "cannot assign to literal"])
def test_no_advice_rather_than_an_empty_one(message: str) -> None:
    assert advice_for(error("SyntaxError", message)) == ()


def test_left_debugger() -> None:
    assert "c (continue)" in only(advice_for(error("bdb.BdbQuit", ""))).text


def test_exit_at_import() -> None:
    first = error("SystemExit", "sys.exit(3) was called", code="3")
    assert '__name__ == "__main__"' in only(advice_for(first)).text
    assert "return a response" in only(advice_for(first, occasion=Occasion.REQUEST)).text


# --- frameworks ---


def test_missing_table_of_django_is_advised_once() -> None:
    wrapped = error("django.db.utils.OperationalError", "no such table: polls_poll", "django.db.utils.Error")
    cause = error("sqlite3.OperationalError", "no such table: polls_poll", "sqlite3.Error", link="cause")
    advice = only(advice_for(wrapped, cause))
    assert advice.command == "python manage.py makemigrations && python manage.py migrate"


@pytest.mark.parametrize(
    ("type_name", "base", "message"),
    [
        ("sqlite3.OperationalError", "sqlite3.Error", "no such table: x"),
        ("sqlalchemy.exc.ProgrammingError", "sqlalchemy.exc.DBAPIError", 'relation "x" does not exist'),
    ],
)
def test_missing_table_elsewhere(type_name: str, base: str, message: str) -> None:
    assert "no such table" in only(advice_for(error(type_name, message, base))).text


@pytest.mark.parametrize(
    ("type_name", "message", "part"),
    [
        (
            "django.core.exceptions.DisallowedHost",
            "Invalid HTTP_HOST header: 'a.test'. You may need to add 'a.test' to ALLOWED_HOSTS.",
            'ALLOWED_HOSTS = ["a.test"]',
        ),
        (
            "django.core.management.base.CommandError",
            "You must set settings.ALLOWED_HOSTS if DEBUG is False.",
            "DEBUG = True",
        ),
        ("django.template.exceptions.TemplateDoesNotExist", "polls/index.html", "polls/index.html"),
        ("django.core.exceptions.ImproperlyConfigured", "The SECRET_KEY setting must not be empty.", "SECRET_KEY"),
        ("django.core.exceptions.ImproperlyConfigured", "Set the DATABASE_URL environment variable", "DATABASE_URL=…"),
        (
            "django.core.exceptions.ImproperlyConfigured",
            "The included URLconf 'x' does not appear to have any patterns in it.",
            "urlpatterns",
        ),
        (
            "django.core.exceptions.ImproperlyConfigured",
            "Requested setting DEBUG, but settings are not configured.",
            "before Django knew them",
        ),
        ("django.core.exceptions.ImproperlyConfigured", "Error loading psycopg2 or psycopg module", "driver"),
        (
            "ValueError",
            "The view polls.views.index didn't return an HttpResponse object. It returned None instead.",
            "The view index ends without `return`",
        ),
        (
            "TypeError",
            "The view function for 'index' did not return a valid response. The function either returned None or ended …",
            "The view index ends without `return`",
        ),
    ],
)
def test_frameworks(type_name: str, message: str, part: str) -> None:
    assert part in only(advice_for(error(type_name, message))).text


def test_templates() -> None:
    first = error("jinja2.exceptions.TemplateNotFound", "index.html")
    assert "templates folder" in only(advice_for(first)).text
    first = error("django.template.exceptions.TemplateDoesNotExist", "a.html", tried="/project/templates/a.html")
    assert "  /project/templates/a.html" in only(advice_for(first)).text


def test_no_loop_at_import() -> None:
    first = error("RuntimeError", "no running event loop")
    assert "lifespan" in only(advice_for(first)).text
    assert advice_for(first, occasion=Occasion.REQUEST) == ()


@pytest.mark.parametrize(("type_name", "line"), [("EOFError", "name = input('name? ')"), ("OSError", "input()")])
def test_input_has_nobody_to_ask(type_name: str, line: str) -> None:
    first = raised_in(error(type_name, "EOF when reading a line"), "app.py", line=line)
    assert "nobody to ask" in only(advice_for(first)).text
    assert advice_for(raised_in(error(type_name, "EOF"), "app.py", line="data = load(file)")) == ()


# --- the machine ---


@pytest.mark.parametrize(
    ("files", "server"),
    [
        (("app.py", "uvicorn/main.py", "asyncio/runners.py"), "uvicorn"),
        (("app.py", "quart/app.py", "asyncio/runners.py"), "quart"),
        (("app.py", "bottle.py", "wsgiref/simple_server.py", "socketserver.py"), "bottle"),
    ],
)
def test_a_load_that_runs_a_server(files: tuple[str, ...], server: str) -> None:
    advice = only(advice_for(raised_in(error("hang", ""), *files), occasion=Occasion.HANG))
    assert advice.text.startswith(f"app.py, line 1, starts a server of its own ({server})")


def test_a_load_that_waits_for_something_else() -> None:
    advice = only(advice_for(raised_in(error("hang", ""), "app.py", "requests/api.py"), occasion=Occasion.HANG))
    assert advice.text.startswith("The load is at app.py, line 1.")


@pytest.mark.parametrize(
    ("type_name", "base", "message", "part"),
    [
        ("ConnectionRefusedError", "OSError", "[Errno 111] Connection refused", "Nothing listens at the address"),
        ("ConnectionRefusedError", "OSError", "[Errno 111] Connect call failed ('127.0.0.1', 6379)", "start Redis"),
        (
            "django.db.utils.OperationalError",
            "django.db.utils.Error",
            'connection to server at "127.0.0.1", port 5432 failed: Connection refused',
            "start PostgreSQL",
        ),
        (
            "redis.exceptions.ConnectionError",
            "redis.exceptions.RedisError",
            "Error 111 connecting to localhost:6379. Connection refused.",
            "start Redis",
        ),
    ],
)
def test_connection_refused(type_name: str, base: str, message: str, part: str) -> None:
    assert part in only(advice_for(error(type_name, message, base))).text


def test_address_in_use() -> None:
    first = error("OSError", "[Errno 98] Address already in use", errno="98")
    assert "port that is taken" in only(advice_for(first)).text
    assert advice_for(error("OSError", "[Errno 2] No such file", errno="2")) == ()


# --- the table ---


def test_at_most_three() -> None:
    errors = [
        error("NameError", "name 'json' is not defined"),
        error("SyntaxError", "expected ':'"),
        error("RecursionError", ""),
        error("SystemExit", ""),
    ]
    assert len(advice_for(*errors)) == MAX_ADVICE


def patterns() -> list[str]:
    """The regular expressions that hints match messages with."""
    folder = Path(hints.__file__).parent
    calls = [
        node
        for file in folder.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "matched"
    ]
    found = [call.args[0].value for call in calls if isinstance(call.args[0], ast.Constant)]
    return sorted(pattern for pattern in found if isinstance(pattern, str))


TEXTS = st.text(st.sampled_from("ab '()\n.:/~<1"), max_size=30)
MESSAGES = TEXTS | st.sampled_from(patterns()).flatmap(st.from_regex)
FACTS = ("name", "path", "module", "code", "errno", "signal", "key", "doc", "filename", "tried", "known")


@st.composite
def frames(draw: st.DrawFn) -> tuple[Frame, ...]:
    line = draw(TEXTS)
    path = draw(st.sampled_from([f"{ROOT}/app.py", "<frozen os>", "<string>", "/v/django/core/handlers/base.py", ""]))
    columns = draw(st.none() | st.integers(0, 30)), draw(st.none() | st.integers(0, 30))
    source = (SourceLine(1, line),) if draw(st.booleans()) else ()
    frame = Frame(path, path.removeprefix("/v/"), "f", 1, 1, *columns, is_user=draw(st.booleans()), source=source)
    return (frame,) * draw(st.integers(0, 2))


@given(
    st.lists(st.sampled_from(sorted({base for base, _ in HINTS})), min_size=1, max_size=3),
    MESSAGES,
    st.dictionaries(st.sampled_from(FACTS), TEXTS),
    frames(),
    st.sampled_from(["", "context", "cause"]),
    st.sampled_from(Occasion),
)
def test_nothing_raises(
    bases: list[str], message: str, facts: dict[str, str], where: tuple[Frame, ...], link: str, occasion: Occasion
) -> None:
    first = replace(
        error(bases[0], message, *bases[1:], "Exception", link=link), frames=where, facts=tuple(facts.items())
    )
    for advice in advise(Report(occasion, "", (first,))):
        assert advice.text
        assert "\n" not in advice.command


@given(st.sampled_from(HINTS), MESSAGES, st.dictionaries(st.sampled_from(FACTS), TEXTS), frames())
def test_no_hint_raises(entry: tuple[str, Hint], message: str, facts: dict[str, str], where: tuple[Frame, ...]) -> None:
    """Also for those behind the first that speaks."""
    base, hint = entry
    first = replace(error(base, message), frames=where, facts=tuple(facts.items()))
    advice = hint(Case(first, Report(Occasion.REQUEST, "", (first,)), Surroundings()))
    assert advice is None or advice.text
