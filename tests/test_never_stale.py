"""The promise, over random projects and edits: where a fresh load would give something else, the planner never says nothing.

Recorder, read-set and planner together, in one process: a load is recorded, files are edited, a fresh load is compared.
"""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from devserver.readset import Read, ReadSet, observe, verify_all
from devserver.server.load.reads import Recorder
from devserver.supervisor.plan import Nothing, Resume, Rules, decide

MODULES = ["aa", "bb", "pp.cc"]
FILES = [
    "aa.py",
    "bb.py",
    "aa/__init__.py",
    "bb/__init__.py",
    "pp/__init__.py",
    "pp/cc.py",
    "data.txt",
    "dir/x.txt",
    "dir/y.txt",
]

IMPORT = """
try:
    import {} as module
    state += [list(getattr(module, "state", ["namespace"]))]
except ImportError:
    state += [None]
"""
READ = """
try:
    with open({!r}) as file:
        state += [file.read()]
except OSError as error:
    state += [type(error).__name__]
"""
ASK = """
state += [os.path.exists({!r})]
"""
LIST = """
try:
    state += [sorted(set(os.listdir({!r})) - {{"__pycache__"}})]
except OSError:
    state += [None]
"""
statements = st.one_of(
    st.sampled_from(MODULES).map(IMPORT.format),
    st.sampled_from(["data.txt", "dir/x.txt"]).map(READ.format),
    st.sampled_from(["data.txt", "dir", "dir/y.txt"]).map(ASK.format),
    st.sampled_from(["dir", "pp"]).map(LIST.format),
    st.integers(0, 2).map("state += [{}]".format),
)
sources = st.lists(statements, max_size=3).map(lambda parts: "\n".join(["import os", "state = []", *parts]) + "\n")


@dataclass(frozen=True)
class Edit:
    path: str
    text: str | None  # None: delete

    def apply(self, folder: Path) -> list[str]:
        """Carry it out; the paths that a watcher would report."""
        path = folder / self.path
        if self.text is None:
            if path.is_dir():
                shutil.rmtree(path)
            elif path.exists():
                path.unlink()
            return [str(path)]
        created = [str(parent) for parent in path.parents if not parent.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            return []
        path.write_text(self.text)
        return [*created, str(path)]


def contents(path: str) -> st.SearchStrategy[str]:
    return sources if path.endswith(".py") else st.sampled_from(["1", "2"])


writes = st.sampled_from(FILES).flatmap(lambda path: st.builds(Edit, st.just(path), contents(path)))
deletes = st.sampled_from([*FILES, "aa", "pp", "dir"]).map(lambda path: Edit(path, None))


@contextmanager
def recorded_load(folder: Path) -> Iterator[tuple[object, tuple[Read, ...]]]:
    """What loading the project comes to, and what it read, as if by a fresh interpreter."""
    before = set(sys.modules)
    working_folder = os.getcwd()
    sys.path.insert(0, str(folder))
    os.chdir(folder)
    recorder = Recorder()
    recorder.install()
    try:
        try:
            state: object = importlib.import_module("main").state
        except Exception as error:
            state = type(error).__name__
        recorder.begin_serving()
        yield state, recorder.drain_reads()
    finally:
        recorder.stop()
        sys.path.remove(str(folder))
        sys.path_importer_cache.pop(str(folder), None)
        os.chdir(working_folder)
        for name in set(sys.modules) - before:
            del sys.modules[name]


def load(folder: Path) -> tuple[object, tuple[Read, ...]]:
    with recorded_load(folder) as (state, reads):
        return state, reads


@settings(max_examples=150, deadline=None)
@given(sources, st.lists(writes, max_size=5), st.lists(writes | deletes, min_size=1, max_size=4))
def test_never_stale(main: str, project: Sequence[Edit], edits: Sequence[Edit]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        (folder / "main.py").write_text(main)
        for edit in project:
            edit.apply(folder)
        served, reads = load(folder)
        chain = [ReadSet(), ReadSet(reads)]
        assert verify_all(chain) == (), "what was just read is as it was read"

        events = [path for edit in edits for path in edit.apply(folder)]
        by_events = decide(observe(events, chain), chain, Rules())
        by_rescan = decide(verify_all(chain), chain, Rules())
        fresh, _ = load(folder)
        if fresh != served:
            assert isinstance(by_events, Resume), (served, fresh)
            assert isinstance(by_rescan, Resume), (served, fresh)
        assert isinstance(by_events, Nothing) == isinstance(by_rescan, Nothing)
