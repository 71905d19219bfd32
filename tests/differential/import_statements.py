"""Kinds of statements that import, look modules up, or change what imports find. Pure."""

from __future__ import annotations

from tests.differential.statement import Place, Render, Statement


def _import(s: Statement, place: Place) -> str:
    return f"import {s.target} as x_{s.number}"


def _from(s: Statement, place: Place) -> str:
    parent, _, name = s.target.rpartition(".")
    return f"from {parent} import {name} as x_{s.number}" if parent else _import(s, place)


def _relative_name(target: str, place: Place) -> tuple[str, str] | None:
    """As in `from dots-and-parent import name`; None where the two have no package in common."""
    parent, _, name = target.rpartition(".")
    above, dots = place.package, "."
    while above:
        if f"{parent}.".startswith(f"{above}."):
            return dots + parent.removeprefix(above).lstrip("."), name
        above, dots = above.rpartition(".")[0], dots + "."
    return None


def _relative(s: Statement, place: Place) -> str:
    relative = _relative_name(s.target, place)
    return f"from {relative[0]} import {relative[1]} as x_{s.number}" if relative else _from(s, place)


def _from_value(s: Statement, place: Place) -> str:
    relative = _relative_name(s.target, place)
    if relative is None:
        return f"from {s.target} import value as x_{s.number}"
    origin = relative[0] + ("" if relative[0].endswith(".") else ".") + relative[1]
    return f"from {origin} import value as x_{s.number}"


def _star(s: Statement, place: Place) -> str:
    return f"from {s.target} import *"


def _import_module(s: Statement, place: Place) -> str:
    return f"import importlib\nx_{s.number} = importlib.import_module({s.target!r})"


def _dunder_import(s: Statement, place: Place) -> str:
    return f"x_{s.number} = __import__({s.target!r}, fromlist=['value'])"


def _in_function(s: Statement, place: Place) -> str:
    return f"def load_{s.number}():\n    import {s.target} as found\n    return found\nx_{s.number} = load_{s.number}()"


def _optional(s: Statement, place: Place) -> str:
    return f"try:\n    {_relative(s, place)}\nexcept ImportError:\n    x_{s.number} = None"


def _find_spec(s: Statement, place: Place) -> str:
    return f"""
import importlib.util
try:
    x_{s.number} = importlib.util.find_spec({s.target!r}) is not None
except ImportError:
    x_{s.number} = None
"""


def _reload(s: Statement, place: Place) -> str:
    return f"import importlib, {s.target}\nx_{s.number} = importlib.reload(importlib.import_module({s.target!r}))"


def _forget(s: Statement, place: Place) -> str:
    return f"import sys\nsys.modules.pop({s.target!r}, None)\nimport {s.target} as x_{s.number}"


def _from_location(s: Statement, place: Place) -> str:
    register = f"sys.modules[spec_{s.number}.name] = x_{s.number}\n" if s.value % 2 else ""
    return f"""
import importlib.util, os, sys, ledger
path_{s.number} = os.path.join(ledger.ROOT, {s.target!r})
spec_{s.number} = importlib.util.spec_from_file_location("located_{s.number}", path_{s.number})
x_{s.number} = importlib.util.module_from_spec(spec_{s.number})
{register}spec_{s.number}.loader.exec_module(x_{s.number})
"""


def _lazy_names(s: Statement, place: Place) -> str:
    return f"""
def __getattr__(name):
    if name != "lazy":
        raise AttributeError(name)
    import {s.target} as found
    return {s.value}, vars(found).get("value")
"""


def _use_lazy(s: Statement, place: Place) -> str:
    return f"import {s.target} as used_{s.number}\nx_{s.number} = getattr(used_{s.number}, 'lazy', None)"


def _path_first(s: Statement, place: Place) -> str:
    return f"import ledger\nx_{s.number} = ledger.add_to_path({s.target!r}, 0)"


def _path_last(s: Statement, place: Place) -> str:
    return f"import ledger, sys\nx_{s.number} = ledger.add_to_path({s.target!r}, len(sys.path))"


def _plugins(s: Statement, place: Place) -> str:
    if s.value % 2:
        names = "sorted(name for _, name, _ in pkgutil.iter_modules([folder_{n}]))"
    else:
        names = "sorted(name[:-3] for name in os.listdir(folder_{n}) if name.endswith('.py'))"
    return f"""
import importlib, os, pkgutil, ledger
folder_{s.number} = os.path.join(ledger.ROOT, {s.target.replace(".", "/")!r})
if os.path.isdir(folder_{s.number}):
    x_{s.number} = [importlib.import_module(f"{s.target}.{{name}}") for name in {names.format(n=s.number)}]
"""


KINDS: dict[str, Render] = {
    "import": _import,
    "from": _from,
    "relative": _relative,
    "from_value": _from_value,
    "star": _star,
    "import_module": _import_module,
    "dunder_import": _dunder_import,
    "in_function": _in_function,
    "optional": _optional,
    "find_spec": _find_spec,
    "reload": _reload,
    "forget": _forget,
    "from_location": _from_location,
    "lazy_names": _lazy_names,
    "use_lazy": _use_lazy,
    "path_first": _path_first,
    "path_last": _path_last,
    "plugins": _plugins,
}
