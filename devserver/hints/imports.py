"""Hints for what goes wrong while modules are imported. Pure; runs in every process."""

from __future__ import annotations

import difflib
import re
import shlex
import sys

from devserver.hints.case import Case
from devserver.report import Advice, Occasion

_DISTRIBUTIONS = {
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "Crypto": "pycryptodome",
    "cv2": "opencv-python",
    "corsheaders": "django-cors-headers",
    "crispy_forms": "django-crispy-forms",
    "dateutil": "python-dateutil",
    "debug_toolbar": "django-debug-toolbar",
    "decouple": "python-decouple",
    "django_filters": "django-filter",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "email_validator": "email-validator",
    "environ": "django-environ",
    "flask_cors": "flask-cors",
    "flask_login": "flask-login",
    "flask_migrate": "flask-migrate",
    "flask_sqlalchemy": "flask-sqlalchemy",
    "flask_wtf": "flask-wtf",
    "fitz": "pymupdf",
    "github": "PyGithub",
    "jose": "python-jose",
    "jwt": "pyjwt",
    "magic": "python-magic",
    "memcache": "python-memcached",
    "multipart": "python-multipart",
    "mysqldb": "mysqlclient",
    "MySQLdb": "mysqlclient",
    "OpenSSL": "pyopenssl",
    "PIL": "pillow",
    "pkg_resources": "setuptools",
    "psycopg2": "psycopg2-binary",
    "psycopg": "psycopg[binary]",
    "rest_framework": "djangorestframework",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "slugify": "python-slugify",
    "socketio": "python-socketio",
    "telegram": "python-telegram-bot",
    "yaml": "pyyaml",
    "zmq": "pyzmq",
}
"""Import names whose distribution has another name."""

_WELL_KNOWN = (
    *("aiohttp", "asgiref", "boto3", "celery", "channels", "django", "fastapi", "flask", "gunicorn", "httpx", "jinja2"),
    *("matplotlib", "numpy", "openai", "pandas", "pydantic", "pytest", "redis", "requests", "scipy", "selenium"),
    *("sqlalchemy", "sqlmodel", "starlette", "uvicorn", "werkzeug", "whitenoise"),
)
"""Packages that people mistype, so that the mistyped name is not taken for one to install."""

_PYTHON_2_NAMES = {
    "ConfigParser": "configparser",
    "cPickle": "pickle",
    "httplib": "http.client",
    "Queue": "queue",
    "StringIO": "io",
    "urllib2": "urllib.request",
    "urlparse": "urllib.parse",
}

_REMOVED_FROM_LIBRARY = {
    "asynchat": "3.12",
    "asyncore": "3.12",
    "cgi": "3.13",
    "cgitb": "3.13",
    "crypt": "3.13",
    "distutils": "3.12",
    "imghdr": "3.13",
    "imp": "3.12",
    "pipes": "3.13",
    "telnetlib": "3.13",
}


_EXTRAS = (
    (r'"python-multipart" to be installed', "python-multipart"),
    (r"email-validator is not installed|Install 'email_validator'", "email-validator"),
    (r"Install Flask with the 'async' extra", "flask[async]"),
    (r"Cannot use ImageField because Pillow is not installed", "pillow"),
    (r"jinja2 must be installed to use Jinja2Templates", "jinja2"),
    (r"testclient module requires the httpx package", "httpx"),
    (r"'cryptography' package is required", "cryptography"),
)
"""What libraries say about a package that only a part of them needs → its distribution."""

_LOAD_AGAIN = " After the command below the app is loaded again by itself."


def missing_module(case: Case) -> Advice | None:
    """No module of that name: misspelt, installed elsewhere, or not installed."""
    name = case.error.fact("name")
    top, _, below = name.partition(".")
    if not re.fullmatch(r"[\w.-]+", name) or case.matched(r"is not a package$"):
        return None
    siblings = set(case.around.siblings)
    if below and (close := difflib.get_close_matches(name, siblings, n=1, cutoff=0.7)):
        return Advice(f"There is no module {name}, but there is {close[0]}: {_spelling(case)}.")
    if below:
        return Advice(f"{top} was found, but has no part {below}: check the spelling, and that the file exists.")
    if top in _PYTHON_2_NAMES:
        return Advice(f"{top} is a name of Python 2; in Python 3 it is {_PYTHON_2_NAMES[top]}.")
    for environment in case.around.environments:
        if top in environment.modules:
            return Advice(
                f"{top} is installed in another environment of this project: run devserver with that one.",
                f"{shlex.quote(environment.python)} -m devserver run",
            )
    known = siblings | case.around.installed | (sys.stdlib_module_names - {"antigravity", "this"})
    install = Advice(
        f"{top} is not installed in the environment in use.{_LOAD_AGAIN if case.report.occasion is Occasion.LOAD else ''}",
        case.install(_DISTRIBUTIONS.get(top, top)),
    )
    if top in _DISTRIBUTIONS:
        return install
    if top in _REMOVED_FROM_LIBRARY:
        return Advice(f"{top} left the standard library with Python {_REMOVED_FROM_LIBRARY[top]}.")
    if not top.startswith("_") and (close := difflib.get_close_matches(top, sorted(known), n=1, cutoff=0.75)):
        # no pip command here: to install a misspelt name is how people get malware
        return Advice(f"There is no module {top}, but there is {close[0]}: {_spelling(case)}.")
    if close := difflib.get_close_matches(top.lower(), _WELL_KNOWN, n=1, cutoff=0.8):
        if close[0] == top:
            return install
        return Advice(
            f"There is no module {top}. If {close[0]} is meant, correct the import; it is not installed yet.",
            case.install(close[0]),
        )
    return install


def missing_extra(case: Case) -> Advice | None:
    """A library that asks for another one in words of its own."""
    for pattern, distribution in _EXTRAS:
        if case.matched(pattern):
            return Advice(f"{distribution} is not installed: install it.", case.install(distribution))
    return None


def _spelling(case: Case) -> str:
    """Where the wrong name stands: Django imports what the settings list."""
    importers = [frame.display_path for frame in case.error.frames if not frame.display_path.startswith("importlib/")]
    if importers[-1:] == ["django/apps/config.py"]:
        return "check the spelling in INSTALLED_APPS of the settings"
    return "check the spelling of the import"


def missing_name(case: Case) -> Advice | None:
    """`from package import nmae`, with a module or a name like it there."""
    match = case.matched(r"cannot import name '(\w+)' from '([\w.]+)'")
    if not match:
        return None
    wanted, source = match[1], match[2]
    names = [name.rpartition(".")[2] for name in case.around.siblings if name.rpartition(".")[0] == source]
    if close := difflib.get_close_matches(wanted, names, n=1, cutoff=0.7):
        return Advice(f"{source} has no {wanted}, but it has {close[0]}: check the spelling of the import.")
    return None


def not_a_package(case: Case) -> Advice | None:
    """`import email.message` with an email.py of the user's in the way."""
    if not (match := case.matched(r"'([\w.]+)' is not a package")):
        return None
    own = dict(case.around.own_files).get(match[1])
    return _rename(match[1], own) if own else Advice(f"{match[1]} is a single file: it has no modules below it.")


def shadowed_module(case: Case) -> Advice | None:
    """A user's file bears the name of a standard module or an installed package."""
    name, path = case.error.fact("module") or case.error.fact("name"), case.error.fact("path")
    match = case.matched(r"(?:partially initialized )?module '([\w.]+)'|cannot import name '\w+' from '([\w.]+)'")
    name = name or (match and (match[1] or match[2])) or ""
    if not name or "." in name or name not in (sys.stdlib_module_names | case.around.installed):
        return None
    if case.is_user_file(path):
        return _rename(name, path)
    own = dict(case.around.own_files).get(name)
    if own:
        kind = "the standard library's" if name in sys.stdlib_module_names else "the installed"
        return Advice(f"{name} is {kind} module here, not your {_file_name(own)}: give your file another name.")
    return None


def circular_import(case: Case) -> Advice | None:
    """Two modules import each other, and one is not done when the other needs it."""
    if not case.matched(r"most likely due to a circular import|partially initialized module"):
        return None
    files = [frame.display_path for frame in case.error.frames if frame.is_user and frame.function == "<module>"]
    cycle = list(dict.fromkeys(files))
    way = f" ({' → '.join([*cycle, cycle[0]])})" if len(cycle) > 1 else ""
    return Advice(
        f"Modules import each other in a circle{way}. Move one of the imports into the function that needs it,"
        " or move what both need into a third module."
    )


def _rename(name: str, path: str) -> Advice:
    kind = "a module of the standard library" if name in sys.stdlib_module_names else "an installed package"
    file = _file_name(path)
    return Advice(f"Your file {file} has the name of {kind} and is imported in its place: rename it.")


def _file_name(path: str) -> str:
    folder, _, file = path.rpartition("/")
    return f"{folder.rpartition('/')[2]}/{file}" if file == "__init__.py" else file
