"""daphne's server runs when somebody wants it, not because the AppConfig imports it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Write = Callable[[str, str], Path]
Run = Callable[..., Any]
APP = "def app(environ, start_response): ...\n"


def test_the_app_config_starts_no_event_loop(write: Write, run: Run) -> None:
    write("main.py", f"import daphne.apps\n{APP}")
    assert run("load('main:app'); tell(sorted({'daphne.apps', 'twisted'} & {*sys.modules}))") == ["daphne.apps"]


@pytest.mark.parametrize(
    "line",
    [
        "from daphne.server import Server",
        "import daphne.server; Server = daphne.server.Server",
        "import daphne.server as server; Server = server.Server",
        "from daphne import server; Server = server.Server",
        "from daphne.management.commands.runserver import Server",
        "import daphne.apps, daphne; Server = daphne.server.Server",
        "from daphne.apps import daphne; Server = daphne.server.Server",
        "from importlib import import_module; Server = import_module('daphne.server').Server",
    ],
)
def test_whoever_wants_the_server_has_it(write: Write, run: Run, line: str) -> None:
    write("main.py", f"{line}\n{APP}")
    told = run(
        "load('main:app'); import main, daphne\n"
        "from twisted.internet import reactor\n"
        "tell([main.Server.__module__, main.Server.__name__, type(reactor).__name__, daphne.__version__])"
    )
    assert told[:3] == ["daphne.server", "Server", "AsyncioSelectorReactor"]
    assert told[3]


def test_a_daphne_of_the_users_own_runs_where_it_is_imported(write: Write, run: Run) -> None:
    write("daphne/__init__.py", "ran = ['package']")
    write("daphne/server.py", "import daphne; daphne.ran.append('server')")
    write("main.py", f"import daphne.server\nran = list(vars(daphne)['ran'])\n{APP}")
    assert run("load('main:app'); import main; tell(main.ran)") == ["package", "server"]
