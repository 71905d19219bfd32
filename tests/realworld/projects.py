"""Ten real projects, each as its users have it: its dependencies in an environment of its own, its source in a folder beside.

They come from the package index, and from GitHub where the project is not in its package. They are put up once, below `.projects/`;
to have one anew, remove its folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import venv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
TOP: Final = Path(__file__).resolve().parent / ".projects"
INSTALL_S: Final = 1800.0

# Tells in a header which save the process has loaded: a saved file says it by `builtins.saved`.
TELLING_WSGI: Final = """\
import builtins

builtins.saved = getattr(builtins, "saved", "")  # a server that looks at the URLconf first has it already

from {module} import application


def app(environ, start_response):
    def start(status, headers, exc_info=None):
        return start_response(status, [*headers, ("X-Saved", builtins.saved)], exc_info)

    return application(environ, start)
"""


class SetUpFailedError(Exception):
    """A project could not be put up; the message tells what was run and how it ended."""


@dataclass(frozen=True, slots=True)
class Project:
    """A real project. Paths are relative to its folder."""

    name: str
    kind: str
    requirements: tuple[str, ...]
    target: str
    copied: tuple[str, ...] = ()  # packages that are developed here: from the environment into the folder
    clone: str = ""  # owner/name on GitHub
    commands: tuple[str, ...] = ()  # run in the folder, after the rest; the first word is a program of the environment
    files: Mapping[str, str] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    inside: str = "."  # where the command is given
    url: str = "/"  # a page that takes little

    @property
    def top(self) -> Path:
        return TOP / self.name

    @property
    def folder(self) -> Path:
        return self.top / "project" / self.inside

    @property
    def python(self) -> Path:
        return self.top / "venv" / "bin" / "python"

    def variables(self) -> dict[str, str]:
        """The environment of its processes."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DEVSERVER_", "DJANGO"))
        }
        path = f"{self.python.parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
        return kept | {"PATH": path} | {name: value.format(folder=self.folder) for name, value in self.environ.items()}

    def put_up(self) -> None:
        """Install it if it is not there, and devserver's working tree beside it. Takes minutes the first time.

        Raises SetUpFailedError.
        """
        if not (self.top / "done").is_file():
            shutil.rmtree(self.top, ignore_errors=True)
            venv.create(self.top / "venv", with_pip=True)
            self.install(*self.requirements, str(ROOT))
            (self.top / "project").mkdir()
            if self.clone:
                url = f"https://github.com/{self.clone}"
                self._run("git", "clone", "--quiet", "--depth", "1", url, ".", inside=self.top / "project")
            for package in self.copied:
                (found,) = self.top.glob(f"venv/lib/python*/site-packages/{package}")
                shutil.copytree(found, self.folder / package, ignore=shutil.ignore_patterns("__pycache__"))
            for name, text in self.files.items():
                path = self.folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            for command in self.commands:
                self._run(*command.split(), inside=self.folder)
            (self.top / "done").touch()
        self.install("--force-reinstall", "--no-deps", str(ROOT))

    def install(self, *arguments: str) -> None:
        self._run(
            str(self.python), "-m", "pip", "--quiet", "--disable-pip-version-check", "install", *arguments, inside=ROOT
        )

    def run(self, *command: str, inside: Path, timeout_s: float) -> subprocess.CompletedProcess[str]:
        """A program of its environment; what it prints is one text. Raises OSError and TimeoutExpired."""
        program = shutil.which(command[0], path=self.variables()["PATH"]) or command[0]
        return subprocess.run(
            [program, *command[1:]],
            cwd=inside,
            env=self.variables(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )

    def _run(self, *command: str, inside: Path) -> None:
        try:
            done = self.run(*command, inside=inside, timeout_s=INSTALL_S)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SetUpFailedError(f"{' '.join(command)}: {error}") from error
        if done.returncode:
            raise SetUpFailedError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-800:]}")


KINTO: Final = """\
import kinto

MEMORY = {f"kinto.{kind}_backend": f"kinto.core.{kind}.memory" for kind in ("storage", "permission", "cache")}
app = kinto.main({}, **MEMORY, **{"kinto.userid_hmac_secret": "probe", "multiauth.policies": "basicauth"})
"""
DATASETTE: Final = """\
from datasette.app import Datasette

app = Datasette(memory=True).app()
"""
PGADMIN: Final = """\
import builtins

builtins.SERVER_MODE = False

from pgAdmin4 import app
"""
PGADMIN_CONFIG: Final = """\
from pathlib import Path

DATA_DIR = str(Path(__file__).parent / "data")
SERVER_MODE = False
"""

OSCAR: Final = Project(
    "oscar",
    "Django",
    (
        "django-environ",
        "django-debug-toolbar",
        "django-extensions",
        "easy-thumbnails",
        "sorl-thumbnail",
        "whitenoise",
        "whoosh",
        "psycopg[binary]",
    ),
    "serve:app",
    clone="django-oscar/django-oscar",
    inside="sandbox",
    files={"serve.py": TELLING_WSGI.format(module="wsgi")},
    commands=("pip install --quiet --editable ..", "python manage.py migrate --verbosity 0"),
    url="/robots.txt",
)
PRETIX: Final = Project(
    "pretix",
    "Django",
    ("pretix",),
    "serve:app",
    copied=("pretix",),
    files={"serve.py": TELLING_WSGI.format(module="pretix.wsgi"), "data/.keep": ""},
    environ={
        "DJANGO_SETTINGS_MODULE": "pretix.settings",
        "PRETIX_DJANGO_SECRET": "probe",
        "PRETIX_PRETIX_URL": "http://127.0.0.1:8000",
        "DATA_DIR": "{folder}/data",
    },
    commands=("python -m pretix migrate --verbosity 0",),
    url="/healthcheck/",
)
WAGTAIL: Final = Project(
    "wagtail",
    "Django",
    ("wagtail",),
    "serve:app",
    files={"serve.py": TELLING_WSGI.format(module="mysite.wsgi")},
    commands=("wagtail start mysite .", "python manage.py migrate --verbosity 0"),
    url="/robots.txt",
)
PROJECTS: Final = (
    OSCAR,
    PRETIX,
    WAGTAIL,
    Project("mezzanine", "Django", ("mezzanine",), "blog.wsgi:application", commands=("mezzanine-project blog .",)),
    Project(
        "pgadmin",
        "Flask",
        ("pgadmin4",),
        "pgadmin4/serve.py:app",
        copied=("pgadmin4",),
        files={"pgadmin4/serve.py": PGADMIN, "pgadmin4/config_local.py": PGADMIN_CONFIG},
    ),
    Project("mlflow", "FastAPI and Flask", ("mlflow",), "mlflow.server:app", copied=("mlflow",)),
    Project("titiler", "FastAPI", ("titiler.application",), "titiler.application.main:app", copied=("titiler",)),
    Project(
        "datasette", "plain ASGI", ("datasette",), "serve:app", copied=("datasette",), files={"serve.py": DATASETTE}
    ),
    Project("kinto", "Pyramid", ("kinto",), "serve:app", copied=("kinto",), files={"serve.py": KINTO}),
    Project("radicale", "plain WSGI", ("radicale",), "radicale:application", copied=("radicale",)),
)


def named(names: str) -> tuple[Project, ...]:
    """Those of this comma-separated list; all if it is empty. Raises ValueError."""
    wanted = [name for name in names.split(",") if name]
    known = {project.name: project for project in PROJECTS}
    if unknown := [name for name in wanted if name not in known]:
        raise ValueError(f"no project {unknown[0]!r}; there are {', '.join(known)}")
    return tuple(known[name] for name in wanted) or PROJECTS
