"""A random project as plain data, and the files it is made of.

Pure but for `assets`, which reads the two modules that are part of each project. Rules that hold: modules have a rank, and
statements that run a module again name only modules of a higher rank, so that no project runs for ever; everything random
comes from the generator that is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random

from tests.differential.statement import Place, Statement
from tests.differential.statements import source_of

TARGET = "app:application"
FIXED = frozenset({"app", "ledger", "fingerprint"})
PATHS = ("extra", "late")
"""Folders that may become entries of `sys.path`, not all of them there at first."""
DATA = ("data/a.txt", "data/b.json", "data/deep/c.txt", "data/list/one.txt", "data/list/two.txt", "data/list/sub/x.txt")
PROBED = (".env", "data/flag", "data/list/three.txt", "local/settings.txt")
LISTED = ("data/list", "data", "data/list/sub", "local")
OPTIONAL = ("opt_a", "opt_b", "p0.opt_c", "p1.opt_d")
PLUGINS = "plugins"
LIVE = ("data/live.txt", ".env")

_WEIGHTS = {
    "import": 10,
    "from": 10,
    "relative": 10,
    "from_value": 8,
    "star": 4,
    "import_module": 5,
    "dunder_import": 2,
    "in_function": 4,
    "optional": 8,
    "find_spec": 3,
    "lazy_names": 3,
    "use_lazy": 3,
    "path_first": 2,
    "path_last": 2,
    "plugins": 4,
    "read": 12,
    "list": 7,
    "probe": 7,
    "resource": 4,
    "registry": 4,
    "append": 5,
    "decorate": 5,
    "patch": 3,
    "setting": 4,
    "seed": 3,
    "draw": 6,
    "set_order": 3,
    "constant": 15,
    "function": 6,
    "class": 5,
    "comment": 2,
    "slow": 1,
    "overwrite": 3,
    "create": 3,
    "append_once": 2,
    "write_module": 3,
    "read_made": 4,
}
_AGAIN = {"reload": 2, "forget": 2, "from_location": 3}
_MAX_AGAIN = 3
WRITES = frozenset({"overwrite", "create", "append_once", "write_module"})
# While it serves, the server neither sees questions for presence nor minds what the app wrote: both by design.
_NOT_WHILE_SERVING = WRITES | {"probe", "read_made"}
_BACKWARDS = frozenset({"import", "from", "relative", "in_function", "import_module", "append", "decorate", "patch"})
_NAMES_MODULE = _BACKWARDS | {"from_value", "star", "dunder_import", "lazy_names", "use_lazy"}


@dataclass(slots=True)
class Module:
    name: str  # dotted
    rank: int
    is_package: bool
    statements: list[Statement] = field(default_factory=list)

    @property
    def path(self) -> str:
        return module_path(self.name, is_package=self.is_package)

    def source(self) -> str:
        place = Place(self.name, self.is_package)
        blocks = ["import ledger\nledger.ran(__name__)", *(source_of(each, place) for each in self.statements)]
        return "\n\n".join((*blocks, "value = ledger.mix(globals())")) + "\n"


@dataclass(slots=True)
class Project:
    """What the project is while nobody has damaged it."""

    modules: dict[str, Module]
    data: dict[str, str]  # files that are no modules of the model: path → text
    eager: list[str]  # modules that the app imports
    lazy: list[str]  # modules that are imported in the request
    ranks: int = 0
    numbers: int = 0
    app_is_package: bool = False

    @property
    def has_lazy(self) -> bool:
        return bool(self.lazy)

    @property
    def app_path(self) -> str:
        return module_path("app", is_package=self.app_is_package)

    def files(self) -> dict[str, str]:
        """All files, path → text."""
        written = {module.path: module.source() for module in self.modules.values()}
        return {**assets(), **self.data, **written, self.app_path: self._app()}

    def _app(self) -> str:
        lines = ["import importlib, fingerprint, ledger\nledger.ran(__name__)"]
        lines += [f"import {name}" for name in self.eager]
        lines += [
            f"""
def application(environ, start_response):
    for name in {self.lazy!r}:
        importlib.import_module(name)
    body = fingerprint.take({list(LIVE)!r})
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
""".strip()
        ]
        return "\n\n".join(lines) + "\n"

    # --- to draw from ---

    def ranked(self, *, above: int = -1) -> list[Module]:
        return [module for module in self.modules.values() if module.rank > above]

    def number(self) -> int:
        self.numbers += 1
        return self.numbers

    def rank(self) -> int:
        self.ranks += 1
        return self.ranks

    def statements(self) -> Iterator[tuple[Module, int, Statement]]:
        for module in self.modules.values():
            for index, statement in enumerate(module.statements):
                yield module, index, statement


def module_path(name: str, *, is_package: bool) -> str:
    return name.replace(".", "/") + ("/__init__.py" if is_package else ".py")


@cache
def assets() -> dict[str, str]:
    """The modules that each project has."""
    folder = Path(__file__).parent / "project"
    return {name: (folder / name).read_text() for name in ("ledger.py", "fingerprint.py")}


def small_project(loads: str, others: Mapping[str, str], *, asked: str = "pass") -> dict[str, str]:
    """The files of a project by hand: what its app does when it is loaded, and when it is asked; all other files."""
    return {**assets(), **others, "app.py": _SMALL_APP.format(loads=loads, asked=asked)}


_SMALL_APP = """
import fingerprint, ledger

{loads}

def application(environ, start_response):
    {asked}
    body = fingerprint.take([])
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body]
"""


def random_project(rng: Random) -> Project:
    """A project of 5 to 40 modules. Most of them load: not one that asks for a file that is not there."""
    data = {path: random_text(rng, path) for path in DATA if rng.random() < 0.9}
    data[LIVE[0]] = "live"
    project = Project({}, data, [], [])
    for name, is_package in _names(rng):
        project.modules[name] = Module(name, project.rank(), is_package)
    for package in ("p0", "p1"):
        if package in project.modules:
            data[f"{package}/table.txt"] = random_text(rng, "")
    for module in project.modules.values():
        for _ in range(rng.randint(1, 6)):
            module.statements.append(random_statement(rng, project, module))
    names = list(project.modules)
    lowest = names[: max(3, len(names) // 2)]  # what they import comes with them
    project.eager = [name for name in lowest if rng.random() < 0.8] or names[:1]
    if rng.random() < 0.2:
        project.lazy = rng.sample(names, k=min(3, len(names)))
        _restrict(project)
    return project


def _names(rng: Random) -> list[tuple[str, bool]]:
    """Names of modules, in the order of their ranks, and whether each is a package. A namespace package is none."""
    wanted = rng.randint(5, 40)
    names = {"p0": True, "p1": True} if wanted > 7 else {}
    folders = ["", *names]
    for index in range(len(names), wanted):
        folder = rng.choice(folders)
        prefix = f"{folder}." if folder else ""
        roll = rng.random()
        if roll < 0.12 and folder.count(".") < 2:
            names[f"{prefix}p{index}"] = True
            folders.append(f"{prefix}p{index}")
        elif roll < 0.18 and folder.count(".") < 2:
            folders.append(f"{prefix}n{index}")
            names[f"{prefix}n{index}.m{index}"] = False
        elif roll < 0.28:
            names[f"{PLUGINS}.m{index}"] = False
        else:
            names[f"{prefix}m{index}"] = False
    found = list(names.items())
    rng.shuffle(found)
    return found


def random_text(rng: Random, path: str) -> str:
    number = rng.randint(10, 99)
    return f'{{"number": {number}}}' if path.endswith(".json") else f"{number}"


def random_statement(rng: Random, project: Project, module: Module) -> Statement:
    """A statement for `module`."""
    weights = dict(_WEIGHTS)
    if sum(statement.kind in _AGAIN for _, _, statement in project.statements()) < _MAX_AGAIN:
        weights |= _AGAIN
    if project.has_lazy:
        weights = {kind: weight for kind, weight in weights.items() if kind not in _NOT_WHILE_SERVING}
    [kind] = rng.choices(list(weights), list(weights.values()))
    return _statement(rng, project, module, kind)


def _statement(rng: Random, project: Project, module: Module, kind: str) -> Statement:
    number, value = project.number(), rng.randint(10, 99)
    higher = project.ranked(above=module.rank)
    if kind in _NAMES_MODULE:
        candidates = higher
        if kind in _BACKWARDS and rng.random() < 0.06:
            candidates = [other for other in project.modules.values() if other is not module]
        if not candidates:
            return Statement("constant", number, value=value)
        return Statement(kind, number, _choose_near(rng, module, candidates).name, value)
    if kind in ("reload", "forget") and higher:
        return Statement(kind, number, rng.choice(higher).name, value)
    if kind == "from_location" and higher:
        return Statement(kind, number, rng.choice(higher).path, value)
    if kind == "read_made":
        makers = [
            (other, made)
            for other, _, made in project.statements()
            if other.rank > module.rank and made.kind in ("overwrite", "create", "append_once")
        ]
        if makers:
            other, made = rng.choice(makers)
            return Statement(kind, number, other.name, made.number)
    targets: dict[str, tuple[str, ...]] = {
        "optional": OPTIONAL,
        "find_spec": (*OPTIONAL, *project.modules),
        "path_first": PATHS[:1],
        "path_last": PATHS[1:],
        "plugins": (PLUGINS,) if not module.name.startswith(PLUGINS) else (),
        "read": (*DATA, *PROBED),
        "list": LISTED,
        "probe": (*PROBED, *DATA, *LISTED),
        "resource": ("p0/table.txt", "p1/table.txt"),
    }
    if kind in targets:
        if targets[kind]:
            return Statement(kind, number, rng.choice(targets[kind]), value)
        kind = "constant"
    if kind in (*_AGAIN, "read_made"):
        kind = "constant"
    return Statement(kind, number, value=rng.choice((5, 10, 20)) if kind == "slow" else value)


def _choose_near(rng: Random, module: Module, candidates: list[Module]) -> Module:
    """Mostly a module of the same package: relative imports are for those."""
    package = module.name.partition(".")[0]
    near = [other for other in candidates if other.name.startswith(f"{package}.")]
    return rng.choice(near if near and rng.random() < 0.5 else candidates)


def _restrict(project: Project) -> None:
    for module in project.modules.values():
        module.statements = [each for each in module.statements if each.kind not in _NOT_WHILE_SERVING]
