"""The recorder: what counts as a read, what does not, and that the app does not notice."""

from __future__ import annotations

import _io
import builtins
import bz2
import contextlib
import copy
import glob
import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
import inspect
import io
import os
import pickle
import shutil
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from devserver.readset import Read, ReadKind
from devserver.server.load import ownership
from devserver.server.load.ownership import is_users, is_watched_folder
from devserver.server.load.reads import Recorder
from devserver.signatures import ABSENT, PENDING, Aspect, Signer, sign_content, sign_details

SOURCE, FILE, ABSENT_READ, WRITTEN = ReadKind.SOURCE, ReadKind.FILE, ReadKind.ABSENT, ReadKind.WRITTEN


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "data.txt").write_bytes(b"data")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def recorder(app: Path) -> Iterator[Recorder]:
    recorder = Recorder()
    recorder.install()
    yield recorder
    recorder.stop()


def drained(recorder: Recorder, folder: Path, *kinds: ReadKind) -> list[tuple[ReadKind, str, str]]:
    """What was read in `folder` since the last call, of these kinds or of all but presences and look-ups."""
    return [
        (read.kind, os.path.relpath(read.path, folder), read.signature)
        for read in recorder.drain_reads()
        if read.path.startswith(f"{folder}")
        if read.kind in (kinds or set(ReadKind) - {ReadKind.PRESENT, ReadKind.LOOKUP})
    ]


DATA = sign_content(b"data")

READERS: dict[str, Callable[[Path], object]] = {
    "open": lambda path: open(path).close(),
    "open, relative": lambda path: open(path.name).close(),
    "open, bytes": lambda path: open(os.fsencode(path)).close(),
    "open by keyword": lambda path: open(file=path, mode="rb").close(),
    "str": lambda path: open(str(path)).close(),
    "os.open": lambda path: os.close(os.open(path, os.O_RDONLY)),
    "pathlib": lambda path: path.read_bytes(),
    "shutil": lambda path: shutil.copyfile(path, os.devnull),
    "unbuffered": lambda path: open(path, "rb", buffering=0).close(),
    "bz2": lambda path: bz2.open(path).close(),
    "with an opener": lambda path: open(path, opener=os.open).close(),
}


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS.keys())
def test_reading(recorder: Recorder, app: Path, reader: Callable[[Path], object]) -> None:
    reader(app / "data.txt")
    assert drained(recorder, app) == [(FILE, "data.txt", DATA)]


def test_reading_code(recorder: Recorder, app: Path) -> None:
    io.open_code(str(app / "data.txt")).close()
    # It opens by io.open in turn.
    assert drained(recorder, app) == [(SOURCE, "data.txt", DATA), (FILE, "data.txt", DATA)]


def test_dir_fd(recorder: Recorder, app: Path) -> None:
    folder = os.open(app, os.O_RDONLY | os.O_DIRECTORY)
    os.close(os.open("data.txt", os.O_RDONLY, dir_fd=folder))
    os.unlink("data.txt", dir_fd=folder)
    os.close(folder)
    assert drained(recorder, app) == [(FILE, "data.txt", DATA), (WRITTEN, "data.txt", PENDING)]


def test_a_file_that_cannot_be_opened(recorder: Recorder, app: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Path("nothing.txt").read_text()
    assert drained(recorder, app) == [(ABSENT_READ, "nothing.txt", ABSENT)]


def test_looking_for_distributions(recorder: Recorder, app: Path) -> None:
    """Who asks for entry points looks through each folder of sys.path; nothing else in it matters to them."""
    (app / "thing-1.dist-info").mkdir()
    assert len(list(importlib.metadata.distributions(name="thing", path=[str(app)]))) == 1
    found = [read for read in drained(recorder, app) if read[0] in (ReadKind.DISTRIBUTIONS, ReadKind.LISTING)]
    ((kind, path, signature),) = found
    assert (kind, path) == (ReadKind.DISTRIBUTIONS, ".")
    (app / "notes.txt").touch()
    assert Signer().sign(str(app), Aspect.DISTRIBUTIONS) == signature
    (app / "more-1.egg-info").touch()
    assert Signer().sign(str(app), Aspect.DISTRIBUTIONS) != signature


def test_told_once_for_each_content(recorder: Recorder, app: Path) -> None:
    for _ in range(3):
        (app / "data.txt").read_text()
    assert len(drained(recorder, app)) == 1
    Path("data.txt").write_text("other")
    (app / "data.txt").read_text()
    assert (FILE, "data.txt", sign_content(b"other")) in drained(recorder, app)


@pytest.mark.parametrize(
    "path", ["/proc/self/status", "/dev/null", os.__file__, ownership.__file__, "/usr/lib/os-release"]
)
def test_what_is_not_the_users(recorder: Recorder, path: str) -> None:
    if os.path.exists(path):
        open(path).close()
    assert path not in {read.path for read in recorder.drain_reads()}


def test_site_packages_are_not_the_users(recorder: Recorder, app: Path) -> None:
    package = app / ".venv/lib/python3.11/site-packages/lib"
    package.mkdir(parents=True)
    recorder.drain_reads()
    (package / "data").write_text("1")
    (package / "data").read_text()
    os.listdir(package)
    assert drained(recorder, app) == []


LISTERS: dict[str, Callable[[Path], object]] = {
    "os.listdir": os.fspath,
    "listdir": lambda path: os.listdir(path),
    "listdir of the working folder": lambda path: os.listdir(),
    "scandir": lambda path: os.scandir(path).close(),
    "scandir of the working folder": lambda path: os.scandir().close(),
    "walk": lambda path: list(os.walk(path)),
    "iterdir": lambda path: list(path.iterdir()),
    "Path.glob": lambda path: list(path.glob("*.txt")),
    "Path.rglob": lambda path: list(path.rglob("*.txt")),
    "glob": lambda path: glob.glob(f"{path}/*.txt"),
}
del LISTERS["os.listdir"]


@pytest.mark.parametrize("lister", LISTERS.values(), ids=LISTERS.keys())
def test_listing(recorder: Recorder, app: Path, lister: Callable[[Path], object]) -> None:
    lister(app)
    assert drained(recorder, app) == [(ReadKind.LISTING, ".", "l:data.txt")]


def test_a_listing_of_nothing(recorder: Recorder, app: Path) -> None:
    with pytest.raises(FileNotFoundError):
        os.listdir(app / "migrations")
    assert drained(recorder, app) == [(ReadKind.LISTING, "migrations", ABSENT)]


def test_imports_list_nothing(recorder: Recorder, app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (app / "imported_module.py").write_text("")
    recorder.drain_reads()
    monkeypatch.syspath_prepend(app)
    importlib.import_module("imported_module")
    del sys.modules["imported_module"]
    reads = drained(recorder, app, *ReadKind)
    assert (SOURCE, "imported_module.py", sign_content(b"")) in reads
    assert (ReadKind.LOOKUP, "imported_module", "m:imported_module.py") in reads
    assert not [read for read in reads if read[0] in (ReadKind.LISTING, FILE, WRITTEN)]
    assert recorder.source_count == 1


ASKERS: dict[str, Callable[[Path], object]] = {
    "Path.exists": lambda path: path.exists(),
    "Path.is_file": lambda path: path.is_file(),
    "os.path.exists": os.path.exists,
    "os.path.isdir": os.path.isdir,
    "os.path.lexists": os.path.lexists,
    "access": lambda path: os.access(path, os.R_OK),
    "relative": lambda path: os.path.exists(path.name),
    "a folder that is a file": lambda path: os.path.exists("data.txt/below") or os.path.exists(path),
}


@pytest.mark.parametrize("asker", ASKERS.values(), ids=ASKERS.keys())
def test_asking_for_what_is_not_there(recorder: Recorder, app: Path, asker: Callable[[Path], object]) -> None:
    assert not asker(app / ".env")
    assert (ABSENT_READ, ".env", ABSENT) in drained(recorder, app)


def test_asking_for_what_is_there(recorder: Recorder, app: Path) -> None:
    assert os.path.exists("data.txt")
    assert os.access(app, os.R_OK)
    assert drained(recorder, app, ReadKind.PRESENT) == [
        (ReadKind.PRESENT, "data.txt", "t:-"),
        (ReadKind.PRESENT, ".", "t:d"),
    ]


@pytest.mark.parametrize(
    "asker",
    [os.stat, os.path.getsize, os.path.getmtime, Path.stat, lambda path: path.lstat().st_size],
    ids=["os.stat", "getsize", "getmtime", "Path.stat", "Path.lstat"],
)
def test_asking_for_size_or_times(recorder: Recorder, app: Path, asker: Callable[[Path], object]) -> None:
    asker(app / "data.txt")
    signature = sign_details((app / "data.txt").stat())
    assert drained(recorder, app, ReadKind.DETAILS) == [(ReadKind.DETAILS, "data.txt", signature)]


def test_who_only_looks_whether_it_is_there_does_not_ask_for_size_or_times(recorder: Recorder, app: Path) -> None:
    path = app / "data.txt"
    for asks in (os.path.exists, os.path.isfile, os.path.realpath, Path.exists, Path.is_file, Path.resolve):
        asks(path)
    library = compile("import os\nos.path.getmtime(path)", "/x/site-packages/library.py", "exec")
    exec(library, {"path": path})
    os.stat(app)  # the times of a folder change with each file in it
    assert drained(recorder, app, ReadKind.DETAILS) == []


def test_a_link_to_nothing(recorder: Recorder, app: Path) -> None:
    (app / "link").symlink_to("nowhere")
    recorder.drain_reads()
    assert os.path.lexists("link")
    assert drained(recorder, app, *ReadKind) == [(ReadKind.LINK, "link", "k:nowhere")]
    assert not os.path.exists("link")
    assert drained(recorder, app, *ReadKind) == [(ABSENT_READ, "link", ABSENT)]


def test_asking_outside_the_project(recorder: Recorder, tmp_path: Path) -> None:
    os.path.exists(tmp_path / "config.toml")  # by the user's code: this file
    library = compile("import os\nos.path.exists(path)", "/x/site-packages/library.py", "exec")
    exec(library, {"path": str(tmp_path / "other" / "library.toml")})
    exec(library, {"path": os.path.abspath("inside.toml")})
    found = {os.path.relpath(read.path, tmp_path) for read in recorder.drain_reads() if read.kind is ABSENT_READ}
    assert found == {"config.toml", "app/inside.toml"}


LIBRARY = "/usr/lib/python3/dist-packages/dotenv.py"


def by_a_library(expression: str, **names: object) -> object:
    return eval(compile(expression, LIBRARY, "eval"), {"os": os, **names})


def test_what_is_looked_for_upwards(recorder: Recorder, app: Path, tmp_path: Path) -> None:
    """`.env` in the folder above, by a library: there it matters that it may come."""
    for folder in (tmp_path, tmp_path / "other"):
        by_a_library("os.path.exists(path)", path=folder / ".env")
    by_a_library("os.path.exists(path)", path=app)
    assert drained(recorder, tmp_path, ABSENT_READ) == [(ABSENT_READ, ".env", ABSENT)]


def test_presence_outside_counts_for_the_users_own_code(recorder: Recorder, tmp_path: Path) -> None:
    (tmp_path / "flag").touch()
    by_a_library("os.path.exists(path)", path=tmp_path / "flag")
    assert drained(recorder, tmp_path, ReadKind.PRESENT) == []
    assert os.path.exists(tmp_path / "flag")
    assert drained(recorder, tmp_path, ReadKind.PRESENT) == [(ReadKind.PRESENT, "flag", "t:-")]


def test_where_a_link_leads(recorder: Recorder, app: Path) -> None:
    (app / "one").mkdir()
    os.symlink("one", app / "current")
    (app / "current").resolve()
    assert (ReadKind.LINK, "current", "k:one") in drained(recorder, app, ReadKind.LINK)
    assert Signer().sign(str(app / "current"), ReadKind.LINK.aspect) == "k:one"


def test_upwards_from_behind_a_link(recorder: Recorder, app: Path) -> None:
    """The system goes up from where the link leads."""
    (app / "shared" / "package").mkdir(parents=True)
    (app / "shared" / "config").write_text("1")
    os.symlink("shared/package", app / "link")
    open(app / "link" / ".." / "config").close()
    assert (FILE, "shared/config", sign_content(b"1")) in drained(recorder, app)


def test_a_folder_where_a_file_was_wanted(recorder: Recorder, app: Path) -> None:
    (app / "config.yml").mkdir()
    with pytest.raises(IsADirectoryError):
        (app / "config.yml").read_text()
    assert drained(recorder, app, ReadKind.PRESENT) == [(ReadKind.PRESENT, "config.yml", "t:d")]


def test_what_is_there_already_is_not_made(recorder: Recorder, app: Path) -> None:
    os.makedirs(app, exist_ok=True)
    (app / "nothing").unlink(missing_ok=True)
    assert drained(recorder, app, WRITTEN) == []
    os.makedirs(app / "new", exist_ok=True)
    assert [name for _kind, name, _signature in drained(recorder, app, WRITTEN)] == ["new"]


def test_the_working_folder(recorder: Recorder, app: Path) -> None:
    (app / "sub").mkdir()
    recorder.drain_reads()
    os.chdir(app / "sub")
    assert drained(recorder, app, ReadKind.PRESENT) == [(ReadKind.PRESENT, "sub", "t:d")]


def test_who_has_read_while_serving(recorder: Recorder, app: Path) -> None:
    recorder.begin_serving()
    recorder.drain_reads()
    by_a_library("open(path).close()", path=app / "data.txt")
    assert [read.by_user for read in recorder.drain_reads()] == [False]
    open(app / "data.txt").close()
    open(app / "data.txt").close()
    assert [read.by_user for read in recorder.drain_reads()] == [True]


def test_asking_ends_with_the_load(recorder: Recorder, app: Path) -> None:
    kept = os.stat
    recorder.begin_serving()
    recorder.drain_reads()
    with pytest.raises(FileNotFoundError):
        kept(app / "a")
    assert not os.path.exists(app / "b")
    assert not hasattr(os.stat, "__wrapped__")
    assert recorder.drain_reads() == ()


def make_and_remove(path: Path) -> None:
    os.mkdir(path / "a")
    os.rmdir("a")


def make_and_remove_tree(path: Path) -> None:
    os.mkdir("a")
    (path / "a/b").touch()
    shutil.rmtree("a")


def write_atomically(path: Path) -> None:
    with open("temporary", "w") as file:
        file.write("1")
    os.replace("temporary", path / "new")


WRITERS: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "w": (lambda path: open(path / "new", "w").close(), ["new"]),
    "a": (lambda path: open(path / "new", "ab").close(), ["new"]),
    "x": (lambda path: open(path / "new", "x").close(), ["new"]),
    "w+": (lambda path: open(path / "new", "w+").close(), ["new"]),
    "os.open": (lambda path: os.close(os.open(path / "new", os.O_WRONLY | os.O_CREAT)), ["new"]),
    "write_text": (lambda path: (path / "new").write_text("1"), ["new"]),
    "touch": (lambda path: (path / "new").touch(), ["new"]),
    "rename": (lambda path: (path / "data.txt").rename(path / "new"), ["data.txt", "new"]),
    "replace": (lambda path: os.replace("data.txt", path / "new"), ["data.txt", "new"]),
    "remove": (lambda path: os.remove(path / "data.txt"), ["data.txt"]),
    "unlink": (lambda path: (path / "data.txt").unlink(), ["data.txt"]),
    "mkdir": (lambda path: os.makedirs(path / "a/b"), ["a", "a/b"]),
    "rmdir": (make_and_remove, ["a"]),
    "symlink": (lambda path: os.symlink("data.txt", path / "new"), ["new"]),
    "link": (lambda path: os.link("data.txt", path / "new"), ["new"]),
    "truncate": (lambda path: os.truncate(path / "data.txt", 0), ["data.txt"]),
    "rmtree": (make_and_remove_tree, ["a", "a/b"]),
    "temporary, then moved": (write_atomically, ["temporary", "new"]),
    "sqlite3": (
        lambda path: sqlite3.connect(path / "db").close(),
        ["db", "db-wal", "db-shm", "db-journal"],
    ),
    "sqlite3, URI": (
        lambda path: sqlite3.dbapi2.connect(f"file:{path}/a%20b?mode=rwc", uri=True).close(),
        ["a b", "a b-wal", "a b-shm", "a b-journal"],
    ),
    "sqlite3 in memory": (lambda path: sqlite3.connect(":memory:").close(), []),
}


@pytest.mark.parametrize(("writer", "expected"), WRITERS.values(), ids=WRITERS.keys())
@pytest.mark.parametrize("loading", [True, False])
def test_writing(
    recorder: Recorder, app: Path, writer: Callable[[Path], object], expected: list[str], loading: bool
) -> None:
    if not loading:
        recorder.begin_serving()
        recorder.drain_reads()
    writer(app)
    reads = [read for read in recorder.drain_reads() if read.kind is WRITTEN]
    assert [os.path.relpath(read.path, app) for read in reads] == expected
    assert {(read.signature, read.loading) for read in reads} <= {(PENDING, loading)}


def test_read_and_written(recorder: Recorder, app: Path) -> None:
    open("data.txt", "r+").close()
    assert drained(recorder, app) == [(WRITTEN, "data.txt", PENDING), (FILE, "data.txt", DATA)]


def test_what_the_load_wrote_is_signed_at_its_end(recorder: Recorder, app: Path) -> None:
    (app / "generated").write_text("1")
    (app / "generated").write_text("left")
    assert drained(recorder, app) == [(WRITTEN, "generated", PENDING)]
    recorder.begin_serving()
    (read,) = recorder.drain_reads()
    assert read == Read(WRITTEN, str(app / "generated"), sign_content(b"left"), loading=True, position=1)


def test_what_stays_open_may_change_at_any_time(recorder: Recorder, app: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(app)
    with open(tmp_path / "link/log", "a"), open("data.txt"):
        recorder.drain_reads()
        recorder.begin_serving()
        reads = [read for read in recorder.drain_reads() if read.kind is WRITTEN]
    serving = {read.path for read in reads if not read.loading}
    assert serving & {str(app / "log"), str(tmp_path / "link/log")}
    assert str(app / "data.txt") not in serving


@pytest.mark.parametrize("make", [tempfile.TemporaryFile, tempfile.SpooledTemporaryFile])
def test_a_file_without_a_name_is_nobodys(recorder: Recorder, app: Path, make: Callable[..., IO[bytes]]) -> None:
    with make(dir=app) as file:
        file.write(b"x")
        file.fileno()  # from now on it is on disk
        recorder.begin_serving()
        assert [read for read in recorder.drain_reads() if "#" in read.path or "deleted" in read.path] == []


def test_a_database_that_stays_open(app: Path) -> None:
    recorder = Recorder()
    recorder.install()
    try:
        connection = sqlite3.connect("db")
        connection.execute("create table t (x)")
        recorder.begin_serving()
        serving = {read.path for read in recorder.drain_reads() if not read.loading}
        connection.close()
    finally:
        recorder.stop()
    assert str(app / "db") in serving


def test_products_of_the_app_itself_are_no_reads(recorder: Recorder, tmp_path: Path) -> None:
    recorder.begin_serving()
    recorder.drain_reads()
    with tempfile.NamedTemporaryFile(dir=tmp_path) as file:
        file.write(b"upload")
        file.flush()
        Path(file.name).read_bytes()
    assert recorder.drain_reads() == ()


class TestServing:
    def test_reads_are_marked(self, recorder: Recorder, app: Path) -> None:
        recorder.begin_serving()
        recorder.drain_reads()
        (app / "data.txt").read_bytes()
        assert recorder.drain_reads() == (
            Read(FILE, str(app / "data.txt"), DATA, loading=False, position=1, by_user=True),
        )

    def test_who_imported_whom_while_it_loaded(
        self, recorder: Recorder, app: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (app / "edge_from.py").write_text("import edge_to")
        (app / "edge_to.py").write_text("")
        monkeypatch.syspath_prepend(app)
        importlib.import_module("edge_from")
        recorder.begin_serving()
        graph = recorder.take_import_graph()
        assert (graph.names, graph.imported) == (("edge_from", "edge_to"), ((1,), ()))
        assert graph.sources == (f"{app}/edge_from.py", f"{app}/edge_to.py")
        assert builtins.__import__.__module__ == "builtins"

    def test_static_files(self, recorder: Recorder, app: Path) -> None:
        recorder.begin_serving()
        recorder.drain_reads()
        recorder.sent_static(app / "data.txt")
        assert drained(recorder, app) == [(ReadKind.STATIC, "data.txt", DATA)]

    def test_devservers_own_reads(self, recorder: Recorder, app: Path) -> None:
        own = compile("open(path).close()\nos.listdir('.')", f"{os.path.dirname(ownership.__file__)}/x.py", "exec")
        exec(own, {"path": str(app / "data.txt"), "os": os})
        assert drained(recorder, app) == []


class TestPastTheFinder:
    @pytest.mark.parametrize("cached", [False, True])
    def test_a_loader_made_by_hand(self, recorder: Recorder, app: Path, cached: bool) -> None:
        (app / "byhand.py").write_text("")
        loader = importlib.machinery.SourceFileLoader("byhand", str(app / "byhand.py"))
        if cached:
            loader.get_code("byhand")
        recorder.drain_reads()
        recorder._seen.clear()
        loader.get_code("byhand")
        assert drained(recorder, app, SOURCE) == [(SOURCE, "byhand.py", sign_content(b""))]

    def test_bytecode_of_another_language(self, recorder: Recorder, app: Path) -> None:
        """Made of `lang.dsl` by a loader that translates: the name of the bytecode does not tell the source's."""
        (app / "lang.dsl").write_bytes(b"data")
        bytecode = app / "__pycache__" / f"lang.{sys.implementation.cache_tag}.pyc"
        bytecode.parent.mkdir()
        bytecode.touch()
        recorder.drain_reads()
        io.open_code(str(bytecode)).close()
        assert (SOURCE, "lang.dsl", DATA) in drained(recorder, app)

    def test_spec_from_file_location(self, recorder: Recorder, app: Path) -> None:
        (app / "byspec.py").write_text("")
        recorder.drain_reads()
        spec = importlib.util.spec_from_file_location("byspec", app / "byspec.py")
        assert spec is not None
        assert spec.loader is not None
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
        assert drained(recorder, app) == [(SOURCE, "byspec.py", sign_content(b""))]


class TestCalls:
    """`on_read`"""

    @pytest.fixture
    def calls(self) -> list[str]:
        return []

    @pytest.fixture
    def recorder(self, app: Path, calls: list[str]) -> Iterator[Recorder]:
        recorder = Recorder(on_read=lambda: calls.append(threading.current_thread().name))
        recorder.install()
        yield recorder
        recorder.stop()

    def test_once_until_drained(self, recorder: Recorder, calls: list[str]) -> None:
        for name in "abc":
            Path(name).touch()
        assert len(calls) == 1
        assert len(recorder.drain_reads()) == 3
        Path("d").touch()
        assert len(calls) == 2

    def test_not_for_what_was_told_before(self, recorder: Recorder, calls: list[str]) -> None:
        Path("data.txt").read_text()
        recorder.drain_reads()
        Path("data.txt").read_text()
        assert len(calls) == 1

    def test_before_the_app_reads(self, recorder: Recorder, calls: list[str]) -> None:
        with pytest.raises(FileNotFoundError):
            Path("nothing").read_text()
        assert len(calls) == 1

    def test_a_read_within_the_call(self, app: Path) -> None:
        seen: list[int] = []

        def on_read() -> None:
            Path("data.txt").read_text()
            seen.append(len(reentrant.drain_reads()))

        reentrant = Recorder(on_read=on_read)
        reentrant.install()
        try:
            Path("new").touch()
        finally:
            reentrant.stop()
        assert seen == [2]

    def test_a_call_that_raises(self, app: Path) -> None:
        def on_read() -> None:
            raise ConnectionError

        recorder = Recorder(on_read=on_read)
        recorder.install()
        try:
            assert Path("data.txt").read_text() == "data"
        finally:
            recorder.stop()
        assert len(recorder.drain_reads()) == 1

    def test_look_ups_wait_for_the_next_read(self, recorder: Recorder, calls: list[str]) -> None:
        os.path.exists("data.txt")
        assert calls == []
        os.path.exists("nothing")
        assert len(calls) == 1


def test_threads_lose_nothing(recorder: Recorder, app: Path) -> None:
    for number in range(200):
        (app / f"f{number}").write_text(str(number))
    recorder.drain_reads()
    found: list[Read] = []

    def read(part: int) -> None:
        for number in range(part, 200, 4):
            (app / f"f{number}").read_text()
            found.extend(recorder.drain_reads())

    threads = [threading.Thread(target=read, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    found.extend(recorder.drain_reads())
    assert sorted(read.path for read in found if read.kind is FILE) == sorted(str(app / f"f{n}") for n in range(200))


def test_a_forked_child_records_on(recorder: Recorder, app: Path) -> None:
    receiver, sender = os.pipe()
    pid = os.fork()
    if pid == 0:
        (app / "data.txt").read_text()
        os.write(sender, str(len(recorder.drain_reads())).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(receiver, 10) == b"1"
    os.close(receiver)
    os.close(sender)


def test_watched_folders(recorder: Recorder, app: Path, tmp_path: Path) -> None:
    assert recorder.watched_folders() == (str(app),)
    recorder.watch_folder(str(app / "inside"))
    recorder.watch_folder(str(tmp_path / "application"))
    assert recorder.watched_folders() == (str(app), str(tmp_path / "application"))
    recorder.watch_folder(str(tmp_path))
    assert recorder.watched_folders() == (str(tmp_path),)


REPLACED = [
    (module, name)
    for module, names in {
        builtins: ["open"],
        io: ["open", "open_code"],
        _io: ["open", "open_code"],
        bz2: ["_builtin_open"],
        os: [
            *("open", "listdir", "scandir", "stat", "lstat", "access", "mkdir", "rmdir", "remove", "unlink"),
            *("truncate", "link", "symlink", "rename", "replace"),
        ],
        sqlite3: ["connect"],
    }.items()
    for name in names
]


class TestUnnoticed:
    def test_everything_is_given_back(self, app: Path) -> None:
        originals = [getattr(module, name) for module, name in REPLACED]
        capable = [set(s) for s in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks)]
        recorder = Recorder()
        recorder.install()
        replaced = [getattr(module, name) for module, name in REPLACED]
        recorder.stop()
        assert [getattr(module, name) for module, name in REPLACED] == originals
        assert not [new for new, old in zip(replaced, originals, strict=True) if new is old]
        assert all(before <= set(s) for before, s in zip(capable, (os.supports_dir_fd, os.supports_fd), strict=False))

    def test_what_others_replaced_is_theirs(self, app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "listdir", os.listdir)  # in the end it is what it is now, not ours
        recorder = Recorder()
        recorder.install()
        ours = os.listdir

        def theirs(path: str = ".") -> list[str]:
            return ours(path)

        monkeypatch.setattr(os, "listdir", theirs)
        recorder.stop()
        assert os.listdir is theirs

    def test_the_library_kept_no_original(self, recorder: Recorder) -> None:
        """A Python that captures more of them makes the recorder blind there: find out here."""
        originals = {getattr(vars(m)[name], "__wrapped__", None): name for m, name in REPLACED if m is not sqlite3}
        known = {"posix", "tokenize", __name__}
        holders = {
            f"{module_name}.{name}"
            for module_name, module in list(sys.modules.items())
            if module_name.partition(".")[0] in sys.stdlib_module_names - known
            for name, value in list(vars(module).items())
            if inspect.isbuiltin(value) and value in originals
        }
        assert holders == set()

    def test_signatures_and_names(self, recorder: Recorder) -> None:
        assert open.__name__ == "open"
        assert str(inspect.signature(open)).startswith("(file, mode='r'")
        assert os.stat in os.supports_dir_fd
        assert os.stat in os.supports_follow_symlinks
        assert os.listdir in os.supports_fd
        assert io.open is open

    def test_kept_in_a_class(self, recorder: Recorder, app: Path) -> None:
        storage = type("Storage", (), {"opener": open})()
        with storage.opener("data.txt") as file:
            assert file.read() == "data"

    def test_copied_and_pickled(self, recorder: Recorder) -> None:
        assert copy.deepcopy(open) is open
        assert pickle.loads(pickle.dumps(os.listdir)) is os.listdir

    def test_errors_are_the_originals(self, recorder: Recorder) -> None:
        with pytest.raises(TypeError, match="open"):
            open()  # type: ignore[call-overload]  # noqa: SIM115
        with pytest.raises(ValueError, match="mode"):
            open("data.txt", "q")  # noqa: SIM115, PLW1501
        with pytest.raises(TypeError):
            os.stat(None)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="null"):
            open("a\0b")  # noqa: SIM115
        assert not os.path.exists("a\0b")

    def test_descriptors(self, recorder: Recorder, app: Path) -> None:
        fd = os.open("data.txt", os.O_RDONLY)
        recorder.drain_reads()
        assert os.stat(fd).st_size == 4
        assert os.listdir(os.open(app, os.O_RDONLY | os.O_DIRECTORY)) == ["data.txt"]
        with open(fd) as file:
            assert file.read() == "data"
        assert drained(recorder, app) == []


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("/home/me/project", True),
        ("/usr/src/app", True),
        ("/home/me/project/lib", True),
        ("/home/me/project/.venv/lib/python3.12/site-packages", False),
        ("/home/me/project/.venv/lib/python3.12/site-packages/django/conf", False),
        ("/usr/lib/python3/dist-packages", False),
        ("/home/me/project/my-site-packages", True),
        (os.path.dirname(os.__file__), False),
        (os.path.dirname(inspect.__file__) + "/json", False),
        ("/proc/self", False),
        ("/processes", True),
        (sys.prefix, True),
        (os.path.dirname(ownership.__file__), False),
    ],
)
def test_whose_a_folder_is(folder: str, expected: bool) -> None:
    assert is_watched_folder(folder) is expected
    assert is_users(f"{folder}/a") is expected


def test_a_folder_by_its_real_path(tmp_path: Path) -> None:
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "link").symlink_to("site-packages")
    assert not is_watched_folder(str(tmp_path / "link"))


# --- what is read before the request that would read it ---


def test_what_is_read_early_is_a_read_of_requests(recorder: Recorder, app: Path) -> None:
    template, other = app / "page.html", app / "other.html"
    template.write_text("page")
    recorder.drain_reads()
    with recorder.early():
        template.read_text()
        with pytest.raises(FileNotFoundError):
            other.read_text()
    assert recorder.drain_reads() == ()
    assert recorder.confirm_early() == ()
    found = recorder.drain_reads()
    assert {(read.kind, read.path, read.loading) for read in found} == {
        (ReadKind.FILE, str(template), False),
        (ReadKind.ABSENT, str(other), False),
    }
    assert recorder.confirm_early() == (), "once"
    template.read_text()
    assert [read.loading for read in recorder.drain_reads()] == [True], "the load reads it as well"


def test_what_was_read_early_and_changed(recorder: Recorder, app: Path) -> None:
    kept, changed, gone, made = (app / f"{name}.html" for name in ("kept", "changed", "gone", "made"))
    for path in (kept, changed, gone):
        path.write_text("before")
    with recorder.early():
        for path in (kept, changed, gone, made):
            with contextlib.suppress(FileNotFoundError):
                path.read_text()
    changed.write_text("after it")
    gone.unlink()
    made.write_text("new")
    recorder.drain_reads()
    assert set(recorder.confirm_early()) == {str(changed), str(gone), str(made)}
    assert [read.path for read in recorder.drain_reads() if not read.loading] == [str(kept)]


def test_other_threads_read_as_ever(recorder: Recorder, app: Path) -> None:
    path = app / "config.toml"
    path.write_text("")
    recorder.drain_reads()
    with recorder.early():
        reader = threading.Thread(target=path.read_text)
        reader.start()
        reader.join()
    assert [(read.path, read.loading) for read in recorder.drain_reads()] == [(str(path), True)]
