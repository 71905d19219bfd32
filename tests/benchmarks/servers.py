"""How each server is started: a table of command lines, each as a user would type it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.benchmarks import environment, projects
from tests.benchmarks.process import Running, find_free_port, running
from tests.benchmarks.projects import Project
from tests.benchmarks.report import OURS


@dataclass(frozen=True, slots=True)
class Server:
    """`command` is a command line with the place `{port}`; its first word is looked up in the environment."""

    name: str
    command: str

    def arguments(self, port: int) -> list[str]:
        program, *rest = self.command.format(port=port).split()
        return [str(environment.FOLDER / "bin" / program), *rest]


@dataclass(frozen=True, slots=True)
class Case:
    """One project and the servers that are compared on it."""

    project: Project
    servers: tuple[Server, ...]

    def only(self, names: frozenset[str]) -> Case:
        """The servers whose first word is among `names`; all of them if there are none."""
        chosen = tuple(server for server in self.servers if not names or server.name.split()[0] in names)
        return Case(self.project, chosen)


def ours(target: str) -> Server:
    return Server(OURS, f"devserver run {target} --port {{port}}")


def _without(what: str, target: str) -> Server:
    return Server(f"{OURS} --no-{what}", f"devserver run {target} --no-{what} --port {{port}}")


DJANGO_WSGI: Final = "mysite.wsgi:application"
DJANGO_ASGI: Final = "mysite.asgi:application"
PLAIN: Final = "app:application"
_THREADED: Final = (
    Server(
        "gunicorn gthread",
        f"gunicorn --worker-class gthread --threads 32 --access-logfile - --bind 127.0.0.1:{{port}} {PLAIN}",
    ),
    Server("waitress (no log)", f"waitress-serve --listen 127.0.0.1:{{port}} {PLAIN}"),
)

RELOADING: Final = (
    Case(
        projects.DJANGO,
        (
            ours(DJANGO_WSGI),
            _without("hoist", DJANGO_WSGI),
            Server("runserver", "python manage.py runserver 127.0.0.1:{port}"),
            Server("granian --reload", f"granian --interface wsgi --reload --port {{port}} {DJANGO_WSGI}"),
            Server("gunicorn --reload", f"gunicorn --reload --bind 127.0.0.1:{{port}} {DJANGO_WSGI}"),
            Server("uvicorn --reload", f"uvicorn --reload --port {{port}} {DJANGO_ASGI}"),
        ),
    ),
    Case(
        projects.WSGI,
        (
            ours(PLAIN),
            Server("granian --reload", f"granian --interface wsgi --reload --port {{port}} {PLAIN}"),
            Server("gunicorn --reload", f"gunicorn --reload --bind 127.0.0.1:{{port}} {PLAIN}"),
        ),
    ),
    Case(
        projects.ASGI,
        (
            ours(PLAIN),
            Server("granian --reload", f"granian --interface asgi --reload --port {{port}} {PLAIN}"),
            Server("uvicorn --reload", f"uvicorn --reload --port {{port}} {PLAIN}"),
        ),
    ),
    Case(
        projects.FLASK_APP,
        (ours("app:app"), Server("flask run --debug", "flask --app app run --debug --port {port}")),
    ),
)

THROUGHPUT: Final = (
    Case(
        projects.WSGI,
        (
            ours(PLAIN),
            Server("werkzeug (run_simple)", "python serve_werkzeug.py {port}"),
            Server(
                "runserver", "python -m django runserver 127.0.0.1:{port} --settings runserver_settings --pythonpath ."
            ),
            *_THREADED,
        ),
    ),
    Case(
        projects.COPYING,
        (
            ours(PLAIN),
            *_THREADED,
        ),
    ),
    Case(
        projects.ASGI,
        (ours(PLAIN), Server("uvicorn", f"uvicorn --loop uvloop --http httptools --port {{port}} {PLAIN}")),
    ),
)

STARTING: Final = (
    Case(
        projects.ASGI,
        (ours(PLAIN), _without("checkpoints", PLAIN), Server("uvicorn", f"uvicorn --port {{port}} {PLAIN}")),
    ),
    Case(
        projects.DJANGO,
        (
            ours(DJANGO_ASGI),
            _without("checkpoints", DJANGO_ASGI),
            Server("uvicorn", f"uvicorn --port {{port}} {DJANGO_ASGI}"),
        ),
    ),
)

IDLE: Final = (
    Case(
        projects.DJANGO,
        (*RELOADING[0].servers, Server("uvicorn", f"uvicorn --port {{port}} {DJANGO_ASGI}")),
    ),
)


def is_installed(server: Server) -> bool:
    """Whether its program is in the environment: Vite is only where there is npm."""
    return Path(server.arguments(0)[0]).exists()


@contextmanager
def serving(server: Server, folder: Path) -> Iterator[Running]:
    """The server of the project in `folder`, on a port of its own; not yet up when this enters."""
    port = find_free_port()
    with running(server.arguments(port), port=port, folder=folder, environ=environment.environ()) as started:
        yield started


@contextmanager
def folders(case: Case) -> Iterator[dict[Server, Path]]:
    """A copy of the case's project for each server."""
    with tempfile.TemporaryDirectory(prefix="devserver-bench-") as top:
        found = {}
        for number, server in enumerate(case.servers):
            folder = Path(top, str(number))
            folder.mkdir()
            case.project.write(folder)
            found[server] = folder
        yield found


def rotated(case: Case, round_number: int) -> tuple[Server, ...]:
    """The servers in the order of this round: each begins one in turn, so that none profits from its place."""
    start = round_number % max(1, len(case.servers))
    return case.servers[start:] + case.servers[:start]
