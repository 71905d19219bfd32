"""Flask and Quart, for real: switches, templates, folders, errors."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

Write = Callable[[str, str], Path]
Run = Callable[..., Any]

APP = """\
from flask import Flask, render_template
app = Flask(__name__)
{config}

@app.get("/")
def index():
    return render_template("index.html")

@app.get("/broken")
def broken():
    return 1 / 0
"""


@pytest.fixture
def project(write: Write) -> Callable[..., None]:
    def project(config: str = "") -> None:
        write("shop.py", APP.format(config=config))
        write("templates/index.html", "old")
        write("static/style.css", "")

    return project


@pytest.mark.parametrize(
    ("config", "environment", "debug"),
    [
        ("", {}, True),
        ("", {"FLASK_DEBUG": "0"}, False),
        ("", {"FLASK_DEBUG": "1"}, True),
        ("app.config['DEBUG'] = False", {}, False),
        ("app.config.from_mapping(DEBUG=True)", {"FLASK_DEBUG": "0"}, True),
        ("app.debug = False", {}, False),
        ("app.config['DEBUG'] = None", {"FLASK_DEBUG": "0"}, True),
    ],
)
def test_debug_is_on_unless_the_user_said_something(
    *, project: Callable[..., None], run: Run, config: str, environment: dict[str, str], debug: bool
) -> None:
    project(config)
    assert run("load('shop'); tell(app.debug)", **environment) is debug


def test_debug_is_on_while_the_app_is_made(project: Callable[..., None], run: Run) -> None:
    project("WAS = app.debug")
    assert run("load('shop'); tell(sys.modules['shop'].WAS)") is True


def test_an_error_leaves_the_app(project: Callable[..., None], run: Run) -> None:
    project()
    code = "load('shop')\ntry: get('/broken')\nexcept ZeroDivisionError as e: tell(type(e).__name__)\nelse: tell('answered')"
    assert run(code) == "ZeroDivisionError"


@pytest.mark.parametrize("config", ["app.config['PROPAGATE_EXCEPTIONS'] = False", "app.debug = False"])
def test_an_error_stays_inside_if_the_user_wants_it(project: Callable[..., None], run: Run, config: str) -> None:
    project(config)
    assert run("load('shop'); tell(get('/broken')[0])") == 500


def test_flasks_own_debugger_is_not_there(project: Callable[..., None], run: Run) -> None:
    project()
    assert run("load('shop'); tell('werkzeug.debug' in sys.modules)") is False


@pytest.mark.parametrize(
    "config", ["", "app.debug = False", "app.config['TEMPLATES_AUTO_RELOAD'] = False", "app.jinja_env"]
)
def test_an_edited_template_is_not_stale(project: Callable[..., None], run: Run, config: str) -> None:
    """Though its times are those of the old one."""
    project(config)
    told = run(
        "load('shop'); first = get()[1]; edit('templates/index.html', 'new'); changed('templates/index.html')\n"
        "tell([first, get()[1], app.config['TEMPLATES_AUTO_RELOAD'], app.jinja_env.auto_reload])"
    )
    assert told[:2] == ["old", "new"]
    is_kept = "AUTO_RELOAD" in config
    assert told[2:] == [not is_kept, not is_kept]


def test_what_is_found(project: Callable[..., None], write: Write, run: Run) -> None:
    project(
        "from flask import Blueprint\n"
        "app.register_blueprint(Blueprint('blog', 'shop', template_folder='blog/templates', static_folder='blog/static',"
        " static_url_path='/b'))\n"
        "app.register_blueprint(Blueprint('bare', 'shop', url_prefix='/bare'))"
    )
    name, static, templates, mounts, versions = run(
        "load('shop')\n"
        "tell([found.name, relative(found.static_roots), relative(found.template_roots), len(found.static), found.versions])"
    )
    flask, werkzeug = version("flask"), version("werkzeug")
    assert name == f"Flask {flask}"
    assert static == ["static", "blog/static"]
    assert templates == ["templates", "blog/templates"]
    assert mounts == 0  # Flask sends them itself
    assert versions == [["Flask", flask], ["Werkzeug", werkzeug]]


@pytest.mark.parametrize(
    "wrapping",
    [
        "from werkzeug.middleware.proxy_fix import ProxyFix\napp.wsgi_app = ProxyFix(app.wsgi_app)",
        "from werkzeug.middleware.proxy_fix import ProxyFix\nserved = ProxyFix(app)",
        "def served(environ, start_response): return app(environ, start_response)",
        "def wrap(app):\n def inner(*a): return app(*a)\n return inner\nserved = wrap(app)",
        "from werkzeug.middleware.dispatcher import DispatcherMiddleware\nserved = DispatcherMiddleware(None, {'/x': app})",
        "from asgiref.wsgi import WsgiToAsgi\nserved = WsgiToAsgi(app)",
    ],
)
def test_a_wrapped_app_is_known(project: Callable[..., None], write: Write, run: Run, wrapping: str) -> None:
    project()
    write("served.py", f"from shop import app\n{wrapping}\n")
    attribute = "served" if "served" in wrapping else "app"
    assert run(f"load('served:{attribute}'); tell(found.name)").startswith("Flask 3")


def test_an_app_run_at_the_end_of_the_module_does_nothing(project: Callable[..., None], write: Write, run: Run) -> None:
    """Without `if __name__ == "__main__"`: it would serve on port 5000 and never let the load end."""
    project()
    write("serving.py", "from shop import app\napp.run(port=0)\nAFTER = True\n")
    assert run("load('serving'); tell(sys.modules['serving'].AFTER)") is True


def test_other_frameworks_do_not_import_flask(write: Write, run: Run) -> None:
    write("plain.py", "def app(environ, start_response): ...\n")
    assert run(
        "load('plain'); tell([found.name, sorted({'flask', 'django', 'jinja2', 'starlette'} & set(sys.modules))])"
    ) == ["", []]


# --- Quart ---

QUART = """\
from quart import Quart, render_template
app = Quart(__name__)
{config}

@app.get("/")
async def index():
    return await render_template("index.html")
"""

ASK = """\
import asyncio
load('shop')
async def main():
    client = app.test_client()
    first = await (await client.get('/')).get_data(as_text=True)
    edit('templates/index.html', 'new'); changed('templates/index.html')
    second = await (await client.get('/')).get_data(as_text=True)
    return [first, second, app.debug]
tell(asyncio.run(main()) + [found.name.partition(' ')[0], relative(found.static_roots), relative(found.template_roots)])
"""


@pytest.mark.parametrize(
    ("config", "environment", "debug"),
    [
        ("", {}, True),
        ("", {"QUART_DEBUG": "0"}, False),
        ("", {"QUART_DEBUG": "1"}, True),
        ("app.config['DEBUG'] = False", {}, False),
        ("", {"FLASK_DEBUG": "0"}, False),
    ],
)
def test_quart(*, write: Write, run: Run, config: str, environment: dict[str, str], debug: bool) -> None:
    write("shop.py", QUART.format(config=config))
    write("templates/index.html", "old")
    write("static/style.css", "")
    assert run(ASK, **environment) == ["old", "new", debug, "Quart", ["static"], ["templates"]]
