"""Real frameworks have global state (settings, environment, registries): each of their tests runs in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import devserver

DEADLINE_S = 60

PRELUDE = """\
import gc, json, os, sys
from pathlib import Path
from devserver.errors import TargetError
from devserver.integrations import INTEGRATIONS
from devserver.options import InterfaceChoice, Options
from devserver.server.integration import applicable, integrate
from devserver.server.load.loading import load_target, prepare_path
from devserver.target import Target, TargetKind

HERE = os.getcwd()

def load(expression=None, **options):
    '''As the server does it. Without an expression: a project with a manage.py.'''
    global loaded, chosen, found, app
    if expression is None:
        target = Target(TargetKind.DJANGO, "manage.py", HERE + "/manage.py", HERE, "mysite.settings")
    else:
        module, _, attribute = expression.partition(":")
        target = Target(TargetKind.MODULE, expression, "", HERE, module, attribute)
    prepare_path(target)
    for integration in INTEGRATIONS:
        integration.prepare()
    loaded = load_target(target, Options(**options), INTEGRATIONS)
    app = loaded.app
    chosen = applicable(app, INTEGRATIONS, sys.modules)
    found = integrate(app, chosen, Options(**options))

def changed(*paths):
    for integration in chosen:
        integration.files_changed([Path(path).absolute() for path in paths])

def get(path="/", application=None):
    '''One request to a WSGI app: status and text.'''
    from wsgiref.util import setup_testing_defaults
    environ, answer = {"PATH_INFO": path}, []
    setup_testing_defaults(environ)
    chunks = (application or app)(environ, lambda status, headers, exc_info=None: answer.append(status))
    try:
        text = b"".join(chunks).decode()
    finally:
        getattr(chunks, "close", lambda: None)()
    return [int(answer[0].split()[0]), text]

def edit(path, text):
    '''Keeps size and times as they were, so that nobody notices by a stat.'''
    before = os.stat(path)
    assert len(text.encode()) == before.st_size
    Path(path).write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

def relative(paths):
    return [os.path.relpath(path, HERE) for path in paths]

def tell(value):
    print(json.dumps(value))
"""

Write = Callable[[str, str], Path]
Run = Callable[..., Any]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, text: str) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    return write


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs code after the prelude, in the project's folder; gives back what it told."""

    def run(code: str, **environment: str) -> Any:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("FLASK", "QUART", "DJANGO", "LITESTAR", "RUN_"))
        }
        environ = (
            kept
            | {"PYTHONPATH": str(Path(devserver.__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}
            | environment
        )
        done = subprocess.run(
            [sys.executable, "-P", "-W", "ignore::DeprecationWarning", "-c", f"{PRELUDE}\n{textwrap.dedent(code)}"],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run
