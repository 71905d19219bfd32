"""Kinds of statements that read, write, define, or leave something in another place. Pure."""

from __future__ import annotations

from tests.differential.statement import Place, Render, Statement

# --- data ---

_READS = (
    "open({path!r}).read()",
    "open(os.path.join(ledger.ROOT, {path!r}), encoding='utf-8').read()",
    "pathlib.Path(ledger.ROOT, {path!r}).read_text()",
    "json.loads(pathlib.Path({path!r}).read_bytes())",
    "io.open({path!r}, 'rb').read()",
    "open({path!r}, 'rb', buffering=0).readall()",
)
_LISTINGS = (
    "sorted(os.listdir({path!r}))",
    "sorted(entry.name for entry in os.scandir({path!r}))",
    "sorted(path.name for path in pathlib.Path(ledger.ROOT, {path!r}).iterdir())",
    "sorted(glob.glob({path!r} + '/*.txt'))",
    "sorted(path.name for path in pathlib.Path({path!r}).glob('*'))",
    "sorted(path.name for path in pathlib.Path({path!r}).rglob('*.txt'))",
    "[(sorted(folders), sorted(files)) for _, folders, files in os.walk({path!r})]",
)
_PROBES = (
    "os.path.exists({path!r})",
    "pathlib.Path(ledger.ROOT, {path!r}).exists()",
    "os.path.isfile({path!r})",
    "pathlib.Path({path!r}).is_dir()",
    "os.access({path!r}, os.R_OK)",
    "os.path.lexists({path!r})",
)
_MODULES = "import glob, io, json, os, pathlib, ledger"


def _expression(choices: tuple[str, ...]) -> Render:
    def render(s: Statement, place: Place) -> str:
        expression = choices[s.value % len(choices)].format(path=s.target)
        if s.value % 11 == 0:  # what is missing ends the load
            return f"{_MODULES}\nx_{s.number} = {expression}"
        return f"{_MODULES}\ntry:\n    x_{s.number} = {expression}\nexcept OSError:\n    x_{s.number} = None"

    return render


def _resource(s: Statement, place: Place) -> str:
    package, _, name = s.target.rpartition("/")
    package = package.replace("/", ".")
    if s.value % 2:
        read = f"pkgutil.get_data({package!r}, {name!r})"
    else:
        read = f"importlib.resources.files({package!r}).joinpath({name!r}).read_text()"
    return f"""
import importlib.resources, pkgutil
try:
    x_{s.number} = {read}
except (OSError, ImportError, TypeError):
    x_{s.number} = None
"""


# --- state in other places ---


def _registry(s: Statement, place: Place) -> str:
    return """
ITEMS = []
TABLE = {}
def register(function):
    ITEMS.append(function)
    TABLE[function.__name__] = function()
    return function
"""


def _append(s: Statement, place: Place) -> str:
    return f"import {s.target} as registry_{s.number}\nvars(registry_{s.number}).get('ITEMS', []).append({s.value})"


def _decorate(s: Statement, place: Place) -> str:
    return f"""
import {s.target} as registry_{s.number}
@vars(registry_{s.number}).get("register", lambda function: function)
def handler_{s.number}():
    return {s.value}
"""


def _patch(s: Statement, place: Place) -> str:
    return f"import {s.target} as patched_{s.number}\npatched_{s.number}.x_{s.number} = {s.value}"


def _setting(s: Statement, place: Place) -> str:
    return f"import os\nx_{s.number} = os.environ.get('SETTING_A')\nos.environ['SETTING_A'] = '{s.value}'"


def _seed(s: Statement, place: Place) -> str:
    return f"import ledger\nledger.seed({s.value})"


def _draw(s: Statement, place: Place) -> str:
    return f"import ledger\nx_{s.number} = ledger.draw()"


def _set_order(s: Statement, place: Place) -> str:
    # Made at run time: the order of a constant set differs between bytecode that was compiled and that was read.
    return f"x_{s.number} = list(set(('a{s.value}', 'b', 'c', 'd{s.value}')))"


# --- definitions ---


def _constant(s: Statement, place: Place) -> str:
    return f"x_{s.number} = {s.value}"


def _function(s: Statement, place: Place) -> str:
    body = f"return [argument * {s.value} for argument in arguments]"
    return f"def function_{s.number}(*arguments):\n    {body}\nx_{s.number} = function_{s.number}(2, 3)"


def _class(s: Statement, place: Place) -> str:
    return f"class Class{s.number}:\n    size = {s.value}\n    def grow(self):\n        self.size += {s.value}"


def _comment(s: Statement, place: Place) -> str:
    return f"# note {s.value}"


def _slow(s: Statement, place: Place) -> str:
    return f"import time\ntime.sleep({s.value / 1000})"


# --- what the load writes ---


def made_path(number: int) -> str:
    """The file that the statement of that number writes."""
    return f"made/{number}.txt"


def _overwrite(s: Statement, place: Place) -> str:
    return f"""
import os, ledger
os.makedirs(os.path.join(ledger.ROOT, "made"), exist_ok=True)
with open(os.path.join(ledger.ROOT, "{made_path(s.number)}"), "w") as file:
    file.write("{s.value}")
x_{s.number} = open(os.path.join(ledger.ROOT, "{made_path(s.number)}")).read()
"""


def _create(s: Statement, place: Place) -> str:
    return f"""
import os, pathlib, ledger
made_{s.number} = pathlib.Path(ledger.ROOT, "{made_path(s.number)}")
made_{s.number}.parent.mkdir(exist_ok=True)
if not made_{s.number}.exists():
    made_{s.number}.write_text("{s.value}")
x_{s.number} = made_{s.number}.read_text()
made_{s.number} = None
"""


def _append_once(s: Statement, place: Place) -> str:
    return f"""
import os, ledger
os.makedirs(os.path.join(ledger.ROOT, "made"), exist_ok=True)
with open(os.path.join(ledger.ROOT, "{made_path(s.number)}"), "a+") as file:
    file.seek(0)
    if "{s.value};" not in file.read():
        file.write("{s.value};")
x_{s.number} = open(os.path.join(ledger.ROOT, "{made_path(s.number)}")).read()
"""


def _write_module(s: Statement, place: Place) -> str:
    return f"""
import importlib, pathlib, ledger
made_{s.number} = pathlib.Path(ledger.ROOT, "made/module_{s.number}.py")
made_{s.number}.parent.mkdir(exist_ok=True)
if not made_{s.number}.is_file() or made_{s.number}.read_text() != "value = {s.value}":
    made_{s.number}.write_text("value = {s.value}")
made_{s.number} = None
importlib.invalidate_caches()
x_{s.number} = importlib.import_module("made.module_{s.number}")
"""


def _read_made(s: Statement, place: Place) -> str:
    """Reads what the module `target` writes, if that module is through."""
    return f"""
import os, ledger, {s.target} as maker_{s.number}
if "value" in vars(maker_{s.number}):
    try:
        x_{s.number} = open(os.path.join(ledger.ROOT, "{made_path(s.value)}")).read()
    except OSError:
        x_{s.number} = None
"""


KINDS: dict[str, Render] = {
    "read": _expression(_READS),
    "list": _expression(_LISTINGS),
    "probe": _expression(_PROBES),
    "resource": _resource,
    "registry": _registry,
    "append": _append,
    "decorate": _decorate,
    "patch": _patch,
    "setting": _setting,
    "seed": _seed,
    "draw": _draw,
    "set_order": _set_order,
    "constant": _constant,
    "function": _function,
    "class": _class,
    "comment": _comment,
    "slow": _slow,
    "overwrite": _overwrite,
    "create": _create,
    "append_once": _append_once,
    "write_module": _write_module,
    "read_made": _read_made,
}
