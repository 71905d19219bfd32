"""Random edits: what becomes of a project, and the operations on files that do it.

Reads the project's folder to see what is there; changes nothing in it. Two sorts: an edit of the *model* changes what the
project is and writes what follows from it; *damage* changes files alone, and `heal` undoes it by writing what the model says.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.differential import disk, model
from tests.differential.answers import State
from tests.differential.model import Module, Project, module_path, random_statement, random_text
from tests.differential.operations import (
    How,
    Link,
    MakeFolder,
    Operation,
    Pause,
    Remove,
    Rename,
    Rewrite,
    Step,
    Touch,
    Write,
)

_BREAKS = (
    "def broken(:",
    "x_break = not_defined_anywhere",
    "import module_that_is_missing",
    "from ledger import name_that_is_missing",
    "import sys\nsys.exit(3)",
    "raise ValueError('broken')",
    "x_break = 1 / 0",
    "open('file_that_is_missing').read()",
    "    x_break = 1",
    "raise KeyboardInterrupt",
    "assert False, 'broken'",
)


_VALUED = model.WRITES | {
    *("constant", "function", "class", "set_order", "setting", "append", "decorate", "patch", "seed"),
}
"""Kinds of statements whose value makes a difference."""


class Editor:
    """Makes the steps for one project. `project` is what it would be without damage."""

    def __init__(self, rng: Random, project: Project, root: Path) -> None:
        self.project = project
        self._rng = rng
        self._root = root
        self._good = copy.deepcopy(project)
        self._loaded: frozenset[str] = frozenset()  # when it last loaded

    def step(self, state: State) -> Step:
        """The next step. `state`: what the project is served as now."""
        rng = self._rng
        if not state.loaded and rng.random() < 0.5:
            return self._heal(whole=rng.random() < 0.8)
        if state.loaded:
            self._good = copy.deepcopy(self.project)
            self._loaded = state.modules()
        roll = rng.random()
        count = 1 if roll < 0.78 else 2 if roll < 0.92 else rng.randint(3, 5)
        pauses = roll > 0.88
        meanings: list[str] = []
        operations: list[Operation] = []
        for index in range(count):
            meaning, done = self._edit()
            meanings.append(meaning)
            if meaning in _BEFORE_THE_LOAD:
                operations[:0] = done
                continue
            if pauses and index:
                operations.append(Pause(rng.choice((0.0, 0.002, 0.01, 0.02, 0.04))))
            operations += done
        return Step("; ".join(meanings), tuple(operations))

    # --- kinds of edits ---

    def _edit(self) -> tuple[str, list[Operation]]:
        edits = _MODEL_EDITS if self._rng.random() < 0.6 else _DAMAGES
        [edit] = self._rng.choices(list(edits), list(edits.values()))
        before = self.project.files()
        operations = edit(self)
        if edits is _MODEL_EDITS:
            operations = [*(operations or []), *self._written(before)]
        return edit.__name__.strip("_").replace("_", " "), list(operations or [])

    def _written(self, before: dict[str, str]) -> list[Operation]:
        """Write what differs in the model now."""
        now = self.project.files()
        gone: list[Operation] = [Remove(path) for path in before if path not in now]
        written: list[Operation] = [self._write(path, text) for path, text in now.items() if before.get(path) != text]
        self._rng.shuffle(written)
        return [*gone, *written] if self._rng.random() < 0.7 else [*written, *gone]

    def _write(self, path: str, text: str) -> Write:
        return Write(path, text, self._rng.choice(tuple(How)), keeps_time=self._rng.random() < 0.15)

    def _heal(self, *, whole: bool) -> Step:
        """Make the files what they were when the project last loaded; or only some of them."""
        self.project = copy.deepcopy(self._good)
        wanted = self.project.files()
        found = dict(disk.found(self._root))
        operations: list[Operation] = [Remove(path) for path in found if path not in wanted]
        operations += [self._write(path, text) for path, text in wanted.items() if found.get(path) != text]
        if not whole and operations:
            operations = [self._rng.choice(operations)]
        return Step("heal" if whole else "heal partly", tuple(operations))

    # --- edits of the model ---

    def _module(self) -> Module:
        """Generally one that was loaded: others make no difference."""
        modules = list(self.project.modules.values())
        loaded = [module for module in modules if module.name in self._loaded]
        return self._rng.choice(loaded if loaded and self._rng.random() < 0.9 else modules)

    def _change_a_value(self) -> None:
        """Two digits stay two digits: the file keeps its size."""
        found = [
            (module, index, statement)
            for module, index, statement in self.project.statements()
            if statement.kind in _VALUED and module.name in self._loaded
        ]
        if found:
            module, index, statement = self._rng.choice(found)
            value = 10 + (statement.value - 10 + self._rng.randint(1, 89)) % 90
            module.statements[index] = type(statement)(statement.kind, statement.number, statement.target, value)

    def _add_a_statement(self) -> None:
        module = self._module()
        at = self._rng.randint(0, len(module.statements))
        module.statements.insert(at, random_statement(self._rng, self.project, module))

    def _remove_a_statement(self) -> None:
        module = self._module()
        if module.statements:
            module.statements.pop(self._rng.randrange(len(module.statements)))

    def _move_a_statement(self) -> None:
        module = self._module()
        self._rng.shuffle(module.statements)

    def _add_a_module(self) -> None:
        rng, project = self._rng, self.project
        name = rng.choice((*model.OPTIONAL, f"m{project.number()}", f"{model.PLUGINS}.m{project.number()}"))
        if name in project.modules:
            return
        module = Module(name, project.rank(), is_package=rng.random() < 0.2)
        module.statements = [random_statement(rng, project, module) for _ in range(rng.randint(0, 3))]
        project.modules[name] = module
        if rng.random() < 0.5 and name not in model.OPTIONAL:
            project.eager.append(name)

    def _remove_a_module(self) -> None:
        """With what names it, or not."""
        module = self._module()
        if len(self.project.modules) < 4 or self._members(module):
            return
        del self.project.modules[module.name]
        if self._rng.random() < 0.6:
            self.project.eager = [name for name in self.project.eager if name != module.name]
            self.project.lazy = [name for name in self.project.lazy if name != module.name]
            for other in self.project.modules.values():
                other.statements = [each for each in other.statements if each.target != module.name]

    def _rename_a_module(self) -> list[Operation]:
        """With what names it, or not."""
        project, module = self.project, self._module()
        if self._members(module):
            return []
        old, old_path = module.name, module.path
        parent = old.rpartition(".")[0]
        module.name = f"{parent}.m{project.number()}" if parent else f"m{project.number()}"
        project.modules = {each.name: each for each in project.modules.values()}
        if self._rng.random() < 0.7:
            project.eager = [module.name if name == old else name for name in project.eager]
            project.lazy = [module.name if name == old else name for name in project.lazy]
            for other, index, each in list(project.statements()):
                if each.target == old:
                    other.statements[index] = type(each)(each.kind, each.number, module.name, each.value)
        return [Rename(old_path, module.path)] if self._rng.random() < 0.5 else []

    def _module_to_package(self) -> None:
        module = self._module()
        if not self._members(module):
            module.is_package = not module.is_package

    def _app_to_package(self) -> None:
        self.project.app_is_package = not self.project.app_is_package

    def _change_the_imports_of_the_app(self) -> None:
        names = list(self.project.modules)
        if len(self.project.eager) > 1 and self._rng.random() < 0.4:
            self.project.eager.pop(self._rng.randrange(len(self.project.eager)))
        elif (name := self._rng.choice(names)) not in self.project.eager:
            self.project.eager.insert(self._rng.randint(0, len(self.project.eager)), name)

    def _change_data(self) -> None:
        path = self._rng.choice((*model.DATA, *model.PROBED, *model.LIVE, "p0/table.txt"))
        if path.partition("/")[0] != "p0" or "p0" in self.project.modules:
            self.project.data[path] = random_text(self._rng, path)

    def _remove_data(self) -> None:
        if self.project.data:
            del self.project.data[self._rng.choice(list(self.project.data))]

    def _add_a_member_to_a_folder(self) -> None:
        name = f"{self._rng.choice(model.LISTED)}/{self._rng.choice('abcde')}.txt"
        self.project.data[name] = random_text(self._rng, name)

    def _members(self, module: Module) -> bool:
        return any(name.startswith(f"{module.name}.") for name in self.project.modules)

    # --- damage ---

    def _source(self) -> str:
        """The path of a source that is there, generally one that was loaded."""
        return self.project.app_path if self._rng.random() < 0.05 else self._module().path

    def _break_a_source(self) -> list[Operation]:
        path = self._source()
        blocks = self.project.files()[path].split("\n\n")
        at = self._rng.randint(1, max(1, len(blocks) - 1))
        blocks.insert(at, self._rng.choice(_BREAKS))
        return [self._write(path, "\n\n".join(blocks))]

    def _empty_a_source(self) -> list[Operation]:
        return [self._write(self._source(), "")]

    def _cut_a_source(self) -> list[Operation]:
        path = self._source()
        text = self.project.files()[path]
        return [self._write(path, text[: self._rng.randrange(len(text))])]

    def _remove_a_source(self) -> list[Operation]:
        return [Remove(self._source())]

    def _remove_a_file(self) -> list[Operation]:
        found = sorted(path for path, _ in disk.found(self._root) if path not in model.assets())
        return [Remove(self._rng.choice(found))]

    def _remove_what_the_load_wrote(self) -> list[Operation]:
        made = disk.made(self.project)
        return [Remove(self._rng.choice((*made, "made")))]

    def _change_what_the_load_wrote(self) -> list[Operation]:
        made = disk.made(self.project)
        if not made:
            return []
        path = self._rng.choice(made)
        number = self._rng.randint(10, 99)
        return [self._write(path, f"value = {number}" if path.endswith(".py") else f"{number}")]

    def _shadow(self) -> list[Operation]:
        """Another module of the same name, where imports look earlier or later."""
        rng, module = self._rng, self._module()
        text = f"import ledger\nledger.ran(__name__)\nvalue = 'shadow {rng.randint(10, 99)}'\n"
        if rng.random() < 0.5:
            folder = rng.choice(model.PATHS)
            return [self._write(f"{folder}/{module_path(module.name, is_package=rng.random() < 0.3)}", text)]
        return [self._write(module_path(module.name, is_package=not module.is_package), text)]

    def _folder_beside_a_module(self) -> list[Operation]:
        module = self._module()
        if module.is_package:
            return [Write(module_path(module.name, is_package=False), "value = 'never found'\n")]
        return [MakeFolder(module.name.replace(".", "/"))]

    def _regular_to_namespace(self) -> list[Operation]:
        packages = [module.path for module in self.project.modules.values() if module.is_package]
        return [Remove(self._rng.choice(packages))] if packages else []

    def _namespace_to_regular(self) -> list[Operation]:
        folders = {name.rpartition(".")[0] for name in self.project.modules} - {"", *self.project.modules}
        if not folders:
            return []
        path = module_path(self._rng.choice(sorted(folders)), is_package=True)
        return [self._write(path, "import ledger\nledger.ran(__name__)\n")]

    def _optional_module(self) -> list[Operation]:
        name = self._rng.choice(model.OPTIONAL)
        folder = self._rng.choice(("", "", "extra/", "late/"))
        path = folder + module_path(name, is_package=self._rng.random() < 0.3)
        if (self._root / path).exists():
            return [Remove(path)]
        return [self._write(path, f"import ledger\nledger.ran(__name__)\nvalue = {self._rng.randint(10, 99)}\n")]

    def _same_bytes(self) -> list[Operation]:
        return [Rewrite(self._any_path())]

    def _touch(self) -> list[Operation]:
        return [Touch(self._any_path(), self._rng.choice((None, None, 1_000_000_000)))]

    def _rename_and_back(self) -> list[Operation]:
        path = self._any_path()
        return [Rename(path, f"{path}.aside"), Rename(f"{path}.aside", path)]

    def _link_in_place_of_a_file(self) -> list[Operation]:
        path = self._any_path()
        return [Link(path, f"linked/{path.replace('/', '-')}")] if path not in model.assets() else []

    def _file_nobody_reads(self) -> list[Operation]:
        return [Write(self._rng.choice(("notes.md", "unused.py", "data/deep/unused.txt")), str(self._rng.random()))]

    def _save_twice(self) -> list[Operation]:
        """Broken, and right again before or while the load runs."""
        path = self._source()
        text = self.project.files()[path]
        pause = Pause(self._rng.choice((0.0, 0.005, 0.015, 0.03, 0.08)))
        return [self._write(path, text + self._rng.choice(_BREAKS) + "\n"), pause, self._write(path, text)]

    def _back_to_the_model(self) -> list[Operation]:
        return list(self._heal(whole=True).operations)

    def _any_path(self) -> str:
        return self._rng.choice(sorted(self.project.files()))


_MODEL_EDITS: dict[Callable[[Editor], list[Operation] | None], int] = {
    Editor._change_a_value: 30,
    Editor._add_a_statement: 14,
    Editor._remove_a_statement: 8,
    Editor._move_a_statement: 4,
    Editor._add_a_module: 7,
    Editor._remove_a_module: 3,
    Editor._rename_a_module: 4,
    Editor._module_to_package: 5,
    Editor._app_to_package: 1,
    Editor._change_the_imports_of_the_app: 3,
    Editor._change_data: 14,
    Editor._remove_data: 3,
    Editor._add_a_member_to_a_folder: 4,
}
_BEFORE_THE_LOAD = frozenset({"change what the load wrote", "remove what the load wrote"})
"""Not while a load runs: who wrote last, it or the person, nobody could tell then (docs/design.md)."""
_DAMAGES: dict[Callable[[Editor], list[Operation] | None], int] = {
    Editor._break_a_source: 10,
    Editor._empty_a_source: 2,
    Editor._cut_a_source: 2,
    Editor._remove_a_source: 3,
    Editor._remove_a_file: 3,
    Editor._remove_what_the_load_wrote: 4,
    Editor._change_what_the_load_wrote: 4,
    Editor._shadow: 7,
    Editor._folder_beside_a_module: 3,
    Editor._regular_to_namespace: 3,
    Editor._namespace_to_regular: 3,
    Editor._optional_module: 7,
    Editor._same_bytes: 3,
    Editor._touch: 3,
    Editor._rename_and_back: 3,
    Editor._link_in_place_of_a_file: 2,
    Editor._file_nobody_reads: 2,
    Editor._save_twice: 6,
    Editor._back_to_the_model: 12,
}
