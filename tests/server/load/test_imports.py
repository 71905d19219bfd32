"""The path hook: what the standard machinery would find and load, never stale, and all of it told."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.resources
import importlib.util
import inspect
import linecache
import os
import pkgutil
import runpy
import subprocess
import sys
import time
import traceback
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from devserver.server.deferred import ours_first
from devserver.server.load.imports import PathHook, WatchedFinder, WatchedLoader, forget_listings
from devserver.signatures import ABSENT, MAX_HASHED, sign_content, sign_file, sign_module


class Log:
    def __init__(self) -> None:
        self.sources: list[tuple[str, str]] = []
        self.modules: list[tuple[str, str]] = []
        self.absent: list[str] = []
        self.folders: list[str] = []
        self.searches: list[tuple[str, int]] = []  # what is about to be searched, and how much was told by then

    def record_source(self, path: str, signature: str, module: str = "") -> None:
        self.sources.append((path, signature))

    def record_module(self, path: str, signature: str) -> None:
        self.modules.append((path, signature))

    def about_to_search(self, path: str) -> None:
        self.searches.append((path, len(self.modules)))

    def record_absent(self, path: str) -> None:
        self.absent.append(path)

    def watch_folder(self, folder: str) -> None:
        self.folders.append(folder)

    def found_in(self, folder: Path) -> dict[str, str]:
        """What the searches in `folder` found, by name; each as the disk says it."""
        found = {
            os.path.basename(path): signature
            for path, signature in self.modules
            if os.path.dirname(path) == str(folder)
        }
        assert found == {name: sign_module(str(folder / name)) for name in found}
        return found


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "app"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    # Not syspath_prepend's way alone: what a test imports has to be gone for the next.
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    return folder


@pytest.fixture
def hook(log: Log, app: Path) -> Iterator[PathHook]:
    before = set(sys.modules)
    hook = PathHook(log)
    hook.install()
    yield hook
    hook.remove()
    for name in set(sys.modules) - before:
        if str(app.parent) in str(getattr(sys.modules[name], "__spec__", "")):
            del sys.modules[name]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def new_import(name: str) -> ModuleType:
    sys.modules.pop(name, None)
    importlib.invalidate_caches()
    return importlib.import_module(name)


def pyc_of(source: Path) -> Path:
    return Path(importlib.util.cache_from_source(str(source)))


@pytest.mark.usefixtures("hook")
class TestSources:
    def test_the_executed_bytes_are_signed(self, app: Path, log: Log) -> None:
        path = write(app / "m1.py", "value = 1\n")
        assert new_import("m1").value == 1
        assert log.sources == [(str(path), sign_content(b"value = 1\n"))]
        assert log.found_in(app)["m1"] == "m:m1.py"

    @pytest.mark.parametrize("text", ["1/0\n", "def broken(:\n", "raise SystemExit(3)\n", "x = '\0'\n"])
    def test_told_also_when_the_load_raises(self, app: Path, log: Log, text: str) -> None:
        path = write(app / "m2.py", text)
        with pytest.raises((ArithmeticError, SyntaxError, SystemExit, ValueError)):
            new_import("m2")
        assert log.sources == [(str(path), sign_content(text.encode()))]

    def test_told_when_it_cannot_be_read(self, app: Path, log: Log) -> None:
        path = write(app / "m3.py", "")
        spec = importlib.util.find_spec("m3")
        assert spec is not None
        assert isinstance(spec.loader, WatchedLoader)
        path.unlink()
        with pytest.raises(FileNotFoundError):
            spec.loader.get_code("m3")
        assert log.sources == [(str(path), ABSENT)]

    def test_told_before_it_runs(self, app: Path, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "test_log", log, raising=False)
        write(app / "m4.py", "import sys\nseen = list(sys.test_log.sources)\n")
        assert [path for path, _ in new_import("m4").seen] == [str(app / "m4.py")]

    def test_large_sources_are_signed_as_files_are(self, app: Path, log: Log) -> None:
        path = write(app / "m5.py", "#" * MAX_HASHED)
        new_import("m5")
        assert log.sources == [(str(path), sign_file(str(path)))]

    def test_reload(self, app: Path, log: Log) -> None:
        path = write(app / "m6.py", "value = 1\n")
        module = new_import("m6")
        path.write_text("value = 2\n")
        assert importlib.reload(module).value == 2
        assert [signature for _, signature in log.sources] == [
            sign_content(b"value = 1\n"),
            sign_content(b"value = 2\n"),
        ]


@pytest.mark.usefixtures("hook")
class TestBytecode:
    def test_two_saves_of_equal_size_within_a_second(self, app: Path) -> None:
        path = write(app / "b1.py", "value = 1\n")
        for value in range(2, 8):
            path.write_text(f"value = {value}\n")
            assert new_import("b1").value == value

    def test_a_preserved_mtime(self, app: Path) -> None:
        path = write(app / "b2.py", "value = 1\n")
        os.utime(path, (1_500_000_000, 1_500_000_000))
        assert new_import("b2").value == 1
        path.write_text("value = 2\n")
        os.utime(path, (1_500_000_000, 1_500_000_000))
        assert new_import("b2").value == 2

    def test_stale_bytecode_of_another_python(self, app: Path) -> None:
        """The standard loader falls for it; this keeps the test honest."""
        path = write(app / "b3.py", "value = 1\n")
        os.utime(path, (1_500_000_000, 1_500_000_000))
        importlib.machinery.SourceFileLoader("b3", str(path)).get_code("b3")
        path.write_text("value = 2\n")
        os.utime(path, (1_500_000_000, 1_500_000_000))
        code = importlib.machinery.SourceFileLoader("b3", str(path)).get_code("b3")
        assert code is not None
        assert 1 in code.co_consts
        assert 2 not in code.co_consts
        assert new_import("b3").value == 2

    def test_checked_hash_bytecode_is_written_and_used(self, app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = write(app / "b4.py", "value = 1\n")
        path.chmod(0o640)
        new_import("b4")
        data = pyc_of(path).read_bytes()
        assert data[4:8] == b"\x03\0\0\0"
        assert pyc_of(path).stat().st_mode & 0o777 == 0o640
        monkeypatch.setattr(WatchedLoader, "source_to_code", None)  # it would have to be called to compile
        assert new_import("b4").value == 1

    def test_other_pythons_read_what_is_written(self, app: Path) -> None:
        path = write(app / "b5.py", "value = 1\n")
        new_import("b5")
        before = pyc_of(path).stat().st_mtime_ns
        command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(app)!r}); import b5; print(b5.value)"]
        assert subprocess.run(command, capture_output=True, check=True, timeout=60).stdout == b"1\n"
        assert pyc_of(path).stat().st_mtime_ns == before, "it had to compile"

    def test_old_timestamp_bytecode_is_used(self, app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = write(app / "b6.py", "value = 1\n")
        importlib.machinery.SourceFileLoader("b6", str(path)).get_code("b6")
        later = time.time() + 10
        os.utime(pyc_of(path), (later, later))
        monkeypatch.setattr(WatchedLoader, "source_to_code", None)
        assert new_import("b6").value == 1

    def test_none_is_written_where_python_would_not(self, app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        path = write(app / "b7.py", "value = 1\n")
        assert new_import("b7").value == 1
        assert not pyc_of(path).exists()

    def test_the_prefix_is_honoured(self, app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "cache"))
        path = write(app / "b8.py", "value = 1\n")
        assert new_import("b8").__cached__ == str(pyc_of(path))
        assert pyc_of(path).is_relative_to(tmp_path / "cache")
        assert pyc_of(path).exists()

    def test_a_folder_that_cannot_be_written(self, app: Path) -> None:
        write(app / "b9.py", "value = 1\n")
        write(app / "__pycache__", "a file is in the way")
        assert new_import("b9").value == 1

    def test_damaged_bytecode(self, app: Path) -> None:
        path = write(app / "b10.py", "value = 1\n")
        new_import("b10")
        pyc_of(path).write_bytes(pyc_of(path).read_bytes()[:30])
        assert new_import("b10").value == 1

    def test_a_moved_project(self, app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write(app / "b11.py", "def f(): pass\n")
        new_import("b11")
        app.rename(tmp_path / "moved")
        monkeypatch.syspath_prepend(tmp_path / "moved")
        assert new_import("b11").f.__code__.co_filename == str(tmp_path / "moved/b11.py")


@pytest.mark.usefixtures("hook")
class TestLookups:
    def test_names_that_are_not_found(self, app: Path, log: Log) -> None:
        with pytest.raises(ModuleNotFoundError):
            new_import("no_such_module_anywhere")
        assert log.found_in(app) == {"no_such_module_anywhere": ABSENT}

    def test_names_found_behind_the_folder(self, app: Path, log: Log) -> None:
        importlib.machinery.PathFinder.find_spec("this")
        assert log.found_in(app) == {"this": ABSENT}

    def test_packages(self, app: Path, log: Log) -> None:
        write(app / "pk1/__init__.py", "from . import child\n")
        write(app / "pk1/child.py", "try:\n    from . import nothing\nexcept ImportError: pass\n")
        write(app / "pk1.py", "raise AssertionError('a package comes first')\n")
        new_import("pk1")
        assert log.found_in(app)["pk1"] == "m:pk1/__init__.py"
        assert log.found_in(app / "pk1") == {"child": "m:child.py", "nothing": ABSENT}

    def test_namespace_packages(self, app: Path, tmp_path: Path, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
        write(app / "ns1/a.py", "value = 'a'\n")
        write(tmp_path / "second/ns1/b.py", "value = 'b'\n")
        assert new_import("ns1.a").value == "a"
        monkeypatch.syspath_prepend(tmp_path / "second")  # portions are searched anew
        assert new_import("ns1.b").value == "b"
        assert log.found_in(app)["ns1"] == "m:ns1/"
        assert log.found_in(tmp_path / "second")["ns1"] == "m:ns1/"
        assert log.found_in(tmp_path / "second/ns1") == {"b": "m:b.py"}

    def test_a_path_that_a_package_extends(self, app: Path, log: Log) -> None:
        write(app / "pk2/__init__.py", "import os\n__path__.append(os.path.join(__path__[0], 'more'))\n")
        write(app / "pk2/more/late.py", "value = 1\n")
        assert new_import("pk2.late").value == 1
        assert log.found_in(app / "pk2/more") == {"late": "m:late.py"}

    def test_a_relative_entry(self, app: Path, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
        write(app / "sub/rel.py", "value = 1\n")
        monkeypatch.chdir(app)
        monkeypatch.syspath_prepend("sub")
        assert new_import("rel").__file__ == str(app / "sub/rel.py")
        assert log.found_in(app / "sub")["rel"] == "m:rel.py"

    def test_an_entry_that_is_not_there(self, tmp_path: Path, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.syspath_prepend(tmp_path / "vendor")
        with pytest.raises(ModuleNotFoundError):
            new_import("no_such_module_anywhere")
        assert set(log.absent) == {str(tmp_path / "vendor")}  # by as many threads as import something meanwhile

    def test_bytecode_without_a_source(self, app: Path, log: Log) -> None:
        source = write(app / "bare.py", "value = 1\n")
        new_import("bare")
        pyc_of(source).rename(app / "bare.pyc")
        source.unlink()
        log.sources.clear()
        assert new_import("bare").value == 1
        assert log.found_in(app)["bare"] == "m:bare.pyc"
        assert log.sources == [(str(app / "bare.pyc"), sign_file(str(app / "bare.pyc")))]

    def test_extension_modules(self, app: Path, log: Log) -> None:
        path = write(app / f"ext{importlib.machinery.EXTENSION_SUFFIXES[0]}", "no shared object")
        spec = importlib.util.find_spec("ext")
        assert spec is not None
        assert isinstance(spec.loader, importlib.machinery.ExtensionFileLoader)
        with pytest.raises(ImportError):
            importlib.import_module("ext")
        assert (str(path), sign_content(b"no shared object")) in log.sources


@pytest.mark.usefixtures("hook")
class TestFaithful:
    def test_attributes_of_a_module(self, app: Path) -> None:
        path = write(app / "f1.py", "")
        module = new_import("f1")
        assert module.__spec__ is not None
        assert (module.__file__, module.__cached__) == (str(path), str(pyc_of(path)))
        assert module.__spec__.has_location
        assert isinstance(module.__loader__, importlib.machinery.SourceFileLoader)
        assert module.__spec__.origin == str(path)

    def test_sources_for_tools(self, app: Path) -> None:
        write(app / "f2.py", "def function():\n    return 1\n")
        module = new_import("f2")
        assert inspect.getsource(module.function) == "def function():\n    return 1\n"
        assert module.__loader__ is not None
        assert module.__loader__.get_source("f2") == "def function():\n    return 1\n"  # type: ignore[attr-defined]
        assert linecache.getline(str(app / "f2.py"), 2, module.__dict__) == "    return 1\n"

    def test_resources_and_walking(self, app: Path) -> None:
        write(app / "f3/__init__.py", "")
        write(app / "f3/sub/__init__.py", "")
        write(app / "f3/mod.py", "")
        write(app / "f3/data.txt", "data")
        package = new_import("f3")
        assert importlib.resources.files("f3").joinpath("data.txt").read_text() == "data"
        assert pkgutil.get_data("f3", "data.txt") == b"data"
        assert sorted(info.name for info in pkgutil.iter_modules(package.__path__)) == ["mod", "sub"]

    @pytest.mark.parametrize("place", ["before the standard one", "first", "instead of ours"])
    def test_a_hook_registered_by_others(self, app: Path, log: Log, place: str) -> None:
        """beartype puts one there, for a loader that changes the code; it reads the names of all hooks."""

        class Changing(importlib.machinery.SourceFileLoader):
            def source_to_code(self, data: Any, path: Any, **_: Any) -> Any:  # type: ignore[override]
                return compile("changed = True", path, "exec")

        names = [hook.__qualname__ for hook in sys.path_hooks]
        (standard,) = (number for number, name in enumerate(names) if name.endswith("path_hook_for_FileFinder"))
        theirs = importlib.machinery.FileFinder.path_hook((Changing, [".py"]))
        path = write(app / "f9.py", "changed = False\n")
        before = list(sys.path_hooks)
        if place == "instead of ours":
            sys.path_hooks[:] = [theirs]
        else:
            sys.path_hooks.insert(standard if "standard" in place else 0, theirs)
        sys.path_importer_cache.pop(str(app), None)
        try:
            assert new_import("f9").changed
            with pytest.raises(ImportError):
                new_import("f9_missing")
        finally:
            sys.path_hooks[:] = before
        assert log.sources == [(str(path), sign_file(str(path)))]
        assert log.found_in(app) == {"f9": "m:f9.py", "f9_missing": ABSENT}
        assert str(app / "f9") in [searched for searched, _told in log.searches]

    def test_runpy(self, app: Path, log: Log) -> None:
        write(app / "f4.py", "value = __name__\n")
        assert runpy.run_module("f4")["value"] == "f4"
        assert [path for path, _ in log.sources] == [str(app / "f4.py")]

    def test_archives(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with zipfile.ZipFile(tmp_path / "lib.zip", "w") as archive:
            archive.writestr("zipped.py", "value = 1\n")
        monkeypatch.syspath_prepend(tmp_path / "lib.zip")
        assert new_import("zipped").value == 1

    def test_a_syntax_error_shows_no_machinery(self, app: Path) -> None:
        write(app / "f5.py", "def broken(:\n")
        write(app / "f6.py", "import f5\n")
        with pytest.raises(SyntaxError) as caught:
            new_import("f6")
        files = [frame.filename for frame in traceback.extract_tb(caught.value.__traceback__)]
        assert files[-1] == str(app / "f6.py")

    def test_installed_folders_keep_the_standard_finder(self, tmp_path: Path) -> None:
        (tmp_path / "site-packages").mkdir()
        for folder in (os.path.dirname(os.__file__), str(tmp_path / "site-packages")):
            sys.path_importer_cache.pop(folder, None)
            finder = pkgutil.get_importer(folder)
            assert type(finder) is importlib.machinery.FileFinder
        assert isinstance(pkgutil.get_importer(str(tmp_path)), WatchedFinder)

    def test_a_loader_made_by_its_type(self, app: Path) -> None:
        path = write(app / "f7.py", "value = 1\n")
        made_by_finder = new_import("f7").__loader__
        assert isinstance(made_by_finder, WatchedLoader)
        assert type(made_by_finder)("other", str(path)).get_code("other") is not None


@pytest.mark.usefixtures("hook")
class TestLocations:
    """`spec_from_file_location` comes past the path hooks."""

    def load(self, path: Path) -> ModuleType:
        spec = importlib.util.spec_from_file_location("located", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def test_never_stale_and_told(self, tmp_path: Path, log: Log) -> None:
        path = write(tmp_path / "located.py", "value = 1\n")
        for value in range(2, 5):
            path.write_text(f"value = {value}\n")
            assert self.load(path).value == value
        assert log.sources == [(str(path), sign_content(f"value = {value}\n".encode())) for value in range(2, 5)]

    def test_installed_sources_have_the_standard_loader(self, tmp_path: Path) -> None:
        path = write(tmp_path / "site-packages/located.py", "value = 1\n")
        assert type(self.load(path).__loader__) is importlib.machinery.SourceFileLoader


def test_removed_without_a_trace(app: Path, log: Log) -> None:
    hooks, meta_path = list(sys.path_hooks), list(sys.meta_path)
    standard = vars(importlib.machinery.PathFinder)["find_spec"]
    hook = PathHook(log)
    hook.install()
    assert sys.meta_path == meta_path
    assert isinstance(pkgutil.get_importer(str(app)), WatchedFinder)
    hook.remove()
    assert sys.path_hooks == hooks
    assert vars(importlib.machinery.PathFinder)["find_spec"] is standard
    assert type(pkgutil.get_importer(str(app))) is importlib.machinery.FileFinder
    spec = importlib.util.spec_from_file_location("x", str(app / "x.py"))
    assert spec is not None
    assert type(spec.loader) is importlib.machinery.SourceFileLoader


def test_folders_that_are_not_there_yet_are_told_at_once(log: Log, app: Path) -> None:
    absent = str(app / "later")
    sys.path.append(absent)
    hook = PathHook(log)
    try:
        hook.install()
        assert log.absent == [absent]
    finally:
        hook.remove()
        sys.path.remove(absent)


def test_an_import_of_ours_does_not_look_among_the_users_files(log: Log, hook: PathHook, app: Path) -> None:
    (app / "of_the_user.py").write_text("")
    absent = str(app / "absent")
    sys.path.insert(0, absent)
    try:
        with ours_first():
            assert importlib.util.find_spec("of_the_user") is None
            with pytest.raises(ModuleNotFoundError):
                importlib.import_module("of_the_user")
        assert absent not in sys.path_importer_cache
        assert not log.absent
        assert not log.found_in(app)
        importlib.import_module("of_the_user")
        assert log.absent == [absent]
    finally:
        sys.path.remove(absent)
        sys.path_importer_cache.pop(absent, None)


def test_a_search_is_announced_before_it_and_finds_what_is_there_then(log: Log, hook: PathHook, app: Path) -> None:
    asked: list[str] = []

    def become_a_package(path: str) -> None:
        asked.append(path)
        if path == f"{app}/shape":
            (app / "shape.py").unlink()
            (app / "shape").mkdir()
            (app / "shape/__init__.py").write_text("KIND = 'package'\n")
            forget_listings()

    (app / "shape.py").write_text("KIND = 'module'\n")
    log.about_to_search = become_a_package  # type: ignore[method-assign]
    assert importlib.import_module("shape").KIND == "package"
    assert asked == [f"{app}/shape"]
    assert (f"{app}/shape", "m:shape/__init__.py") in log.modules
