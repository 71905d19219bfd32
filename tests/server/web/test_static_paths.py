"""What may be served: names, symlinks, kinds of files; and the mounts that users write."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devserver.errors import UsageError
from devserver.server.integration import StaticMount
from devserver.server.web.static_mounts import folder_mount, parse_static_option
from devserver.server.web.static_paths import (
    FileFound,
    FolderFound,
    Located,
    NotServed,
    SlashMissing,
    as_not_served,
    decoded_path,
    locate,
    refused_name,
)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder to serve, beside one that must never be."""
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "site-private").mkdir()
    (tmp_path / "site-private" / "secret.txt").write_text("secret")
    site = tmp_path / "site"
    (site / "docs").mkdir(parents=True)
    (site / "app.css").write_text("css")
    (site / "docs" / "page.html").write_text("page")
    return site


def ask(mount: StaticMount, path: str) -> Located:
    return locate([mount], path)


def status(mount: StaticMount, path: str) -> int | None:
    located = ask(mount, path)
    return located.status if isinstance(located, NotServed) else None


# --- names ---


@pytest.mark.parametrize(
    "path",
    [
        "settings.py",
        "a/b/views.PY",
        "__pycache__/views.cpython-311.pyc",
        "settings.py~",
        "settings.py.bak",
        "settings.py.orig",
        "db.sqlite3",
        "db.sqlite3-journal",
        "db.sqlite3-wal",
        "data/App.DB",
        "tls/server.pem",
        "server.key",
        "server.key.old",
        "store.p12",
        "prod.env",
        "id_rsa",
        "keys/id_ed25519",
        ".env",
        ".git/config",
        "a/.hidden/b.txt",
        "..",
        ".",
        "a/../b",
        ".well-known/.env",
    ],
)
def test_refused_names(path: str) -> None:
    assert refused_name(path.split("/")) is not None


@pytest.mark.parametrize(
    "path",
    ["app.js", "py", "views.py.html", "python.png", "keyboard.js", "db/readme.txt", "id_rsa.pub", ".well-known/x.json"],
)
def test_names_that_only_look_alike(path: str) -> None:
    assert refused_name(path.split("/")) is None


# --- paths ---


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/docs/../../secret.txt",
        "/docs/../app.css",
        "/..",
        "/../",
        "/./app.css",
        "/../site-private/secret.txt",  # CVE-2023-29159: a sibling with the same prefix
        "//etc/passwd",  # absolute after the mount's slash
        "//host/share",
        "/docs//page.html",
        "/app.css/",
        "/app.css/x",
        "/missing",
        "/" + "a" * 5000,
        "/%2e%2e/secret.txt",  # what is still encoded after decoding once is a name
        "/file:/etc/passwd",
        "/C:/Windows/win.ini",
        "/" + "\udcff\udcfe",
        "/\ud800",  # a surrogate that no decoding of bytes gives
    ],
)
def test_paths_that_lead_nowhere(site: Path, path: str) -> None:
    assert status(folder_mount(site), path) == 404
    assert status(StaticMount("/", find=lambda rest: site / rest), path) == 404


@pytest.mark.parametrize("path", ["/\0", "/app.css\0.png", "/..\\secret.txt", "/\\\\host\\share", "/docs\\page.html"])
def test_nul_and_backslash_are_malformed(site: Path, path: str) -> None:
    assert status(folder_mount(site), path) == 400
    assert status(StaticMount("/", find=lambda rest: site / rest), path) == 400


def test_a_prefix_of_a_mount_is_not_the_mount(tmp_path: Path, site: Path) -> None:
    assert status(StaticMount("/static/", (site,)), "/static/../site-private/secret.txt") == 404


@pytest.mark.parametrize(
    "scope",
    [
        {"path": "/x", "raw_path": b"/caf%C3%A9%20%25.css"},
        {"path": "/café %.css"},
    ],
)
def test_the_path_is_decoded_once(scope: dict[str, object]) -> None:
    assert decoded_path(scope) == "/café %.css"


def test_undecodable_bytes_of_the_path_are_kept() -> None:
    assert os.fsencode(decoded_path({"path": "/\ufffd", "raw_path": b"/%ff%fe"})) == b"/\xff\xfe"
    assert decoded_path({"path": "", "raw_path": b"/%zz%"}) == "/%zz%"
    assert decoded_path({"path": "/\ud800"}) == "/?"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=300)
@given(
    st.lists(
        st.sampled_from(
            ["..", ".", "", "docs", "app.css", "site-private", "secret.txt", "%2e%2e", "\\", "\0", "\udcff"]
        ),
        max_size=6,
    )
)
def test_no_path_leads_out(site: Path, parts: list[str]) -> None:
    located = ask(folder_mount(site), "/" + "/".join(parts))
    if isinstance(located, FileFound):
        assert located.real.startswith(f"{os.path.realpath(site)}/")
        assert "secret" not in located.real
    elif isinstance(located, FolderFound):
        assert located.real in (os.path.realpath(site), os.path.realpath(site / "docs"))


@settings(deadline=None)
@given(st.text())
def test_any_text_gets_an_outcome(path: str) -> None:
    located = ask(folder_mount(Path(__file__).parent), "/" + path)
    assert not isinstance(located, FileFound)  # there is nothing but Python beside this file


# --- symlinks ---


def test_symlinks_inside_the_root_are_followed(site: Path) -> None:
    (site / "current").symlink_to("docs")
    (site / "style.css").symlink_to("app.css")
    found = ask(folder_mount(site), "/current/page.html")
    assert found == FileFound(site / "current" / "page.html", os.path.realpath(site / "docs" / "page.html"))
    assert isinstance(ask(folder_mount(site), "/style.css"), FileFound)


def test_symlinks_out_of_the_root_are_not(tmp_path: Path, site: Path) -> None:
    (site / "secret.txt").symlink_to(tmp_path / "secret.txt")
    (site / "up").symlink_to("..")
    (site / "sibling").symlink_to(tmp_path / "site-private")
    (site / "indexed").mkdir()
    (site / "indexed" / "index.html").symlink_to(tmp_path / "secret.txt")
    for path in ("/secret.txt", "/up/secret.txt", "/up/", "/sibling/secret.txt", "/sibling/", "/sibling"):
        assert status(folder_mount(site), path) == 404
    assert isinstance(ask(folder_mount(site), "/indexed/"), FolderFound)  # as if the page were not there


def test_symlinks_to_refused_names_are_not(site: Path) -> None:
    (site / ".env").write_text("TOKEN=1")
    (site / "settings.py").write_text("KEY = 1")
    (site / "env.txt").symlink_to(".env")
    (site / "settings.txt").symlink_to("settings.py")
    assert status(folder_mount(site), "/env.txt") == 404
    assert status(folder_mount(site), "/settings.txt") == 404


def test_loops_and_dangling_links_are_not_found(site: Path) -> None:
    (site / "loop").symlink_to("loop")
    (site / "dangling").symlink_to("nowhere")
    assert status(folder_mount(site), "/loop") == 404
    assert status(folder_mount(site), "/dangling") == 404


def test_the_root_may_be_a_symlink_below_a_dotted_folder(tmp_path: Path, site: Path) -> None:
    (tmp_path / ".cache").mkdir()
    site.rename(tmp_path / ".cache" / "site")
    site.symlink_to(tmp_path / ".cache" / "site")
    assert isinstance(ask(folder_mount(site), "/app.css"), FileFound)


# --- kinds ---


def test_only_regular_files(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(site / "fifo")
    (site / "null").symlink_to("/dev/null")
    monkeypatch.chdir(site)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        for mount in (folder_mount(site), StaticMount("/", find=lambda rest: site / rest)):
            assert [status(mount, path) for path in ("/fifo", "/socket", "/null")] == [404, 404, 404]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_folders_are_forbidden(site: Path) -> None:
    (site / "docs").chmod(0)
    try:
        assert status(folder_mount(site), "/docs/page.html") == 403
    finally:
        (site / "docs").chmod(0o755)


@pytest.mark.parametrize(
    ("number", "expected"),
    [(errno.ENOENT, 404), (errno.ENAMETOOLONG, 404), (errno.EACCES, 403), (errno.EMFILE, None), (errno.EIO, None)],
)
def test_only_errors_about_the_path_become_answers(number: int, expected: int | None) -> None:
    reason = as_not_served(OSError(number, "x"))
    assert (reason.status if reason else None) == expected


def test_folders(site: Path) -> None:
    real_site = os.path.realpath(site)
    assert ask(folder_mount(site), "/") == FolderFound(real_site, real_site)
    assert ask(folder_mount(site), "/docs") == SlashMissing()
    assert isinstance(ask(folder_mount(site), "/docs/"), FolderFound)
    (site / "docs" / "index.html").write_text("index")
    assert ask(folder_mount(site), "/docs/") == FileFound(
        site / "docs" / "index.html", os.path.realpath(site / "docs" / "index.html")
    )
    without_index = StaticMount("/s/", (site,))
    assert [status(without_index, path) for path in ("/s/", "/s/docs", "/s/docs/")] == [404, 404, 404]
    assert ask(StaticMount("/s/", (site,), index=True), "/s") == SlashMissing()


def test_a_file_with_any_name_is_found(site: Path) -> None:
    names = [b"caf\xc3\xa9.css", b"\xff\xfe.bin", b"a b+c&d=e;f.txt", b"100%25.txt", b"new\nline.txt", b"q?#.txt"]
    for name in names:
        (site / os.fsdecode(name)).write_bytes(name)
        path = decoded_path({"path": "/?", "raw_path": b"/" + quote(name).encode()})
        found = ask(folder_mount(site), path)
        assert isinstance(found, FileFound)
        assert Path(found.real).read_bytes() == name


# --- mounts ---


def test_roots_are_asked_in_order(tmp_path: Path) -> None:
    for root in ("a", "b"):
        (tmp_path / root).mkdir()
        (tmp_path / root / f"{root}.txt").write_text(root)
        (tmp_path / root / "both.txt").write_text(root)
    mount = StaticMount("/s/", (tmp_path / "gone", tmp_path / "a", tmp_path / "b"))
    found = [ask(mount, f"/s/{name}.txt") for name in ("a", "b", "both")]
    assert [one.path.parent.name for one in found if isinstance(one, FileFound)] == ["a", "b", "a"]


def test_the_next_mount_is_asked_and_the_first_reason_kept(tmp_path: Path, site: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "own.css").write_text("own")
    mounts = [StaticMount("/s/", (tmp_path / "own",)), StaticMount("/s/", (site,))]
    found = locate(mounts, "/s/app.css")
    assert isinstance(found, FileFound)
    assert found.path == site / "app.css"
    refused = locate(mounts, "/s/settings.py")
    assert isinstance(refused, NotServed)
    assert "Python" in refused.reason


def test_a_framework_decides_itself(tmp_path: Path, site: Path) -> None:
    (site / "main.py").write_text("print()")  # PyScript
    (site / "linked.txt").symlink_to(tmp_path / "secret.txt")
    (site / ".hidden").write_text("no")
    asked: list[str] = []

    def find(rest: str) -> Path | None:
        asked.append(rest)
        return site / rest if (site / rest).exists() else None

    mount = StaticMount("/static/", find=find)
    assert isinstance(ask(mount, "/static/main.py"), FileFound)
    assert isinstance(ask(mount, "/static/linked.txt"), FileFound)
    assert status(mount, "/static/docs") == 404
    assert status(mount, "/static/missing") == 404
    asked.clear()
    assert [status(mount, f"/static/{rest}") for rest in (".hidden", "a/../b", "", "docs/")] == [404] * 4
    assert not asked  # it is not bothered with what nobody may have


# --- what users write ---


@pytest.mark.parametrize(
    ("text", "url", "folder"),
    [
        ("/assets=build", "/assets/", "build"),
        ("/assets/=build/", "/assets/", "build"),
        ("/a/b=./build/../build", "/a/b/", "build"),
        ("/my files=build", "/my files/", "build"),
        ("/eq=with=equals", "/eq/", "with=equals"),
    ],
)
def test_static_options(tmp_path: Path, text: str, url: str, folder: str) -> None:
    (tmp_path / folder).mkdir()
    assert parse_static_option(text, tmp_path) == StaticMount(url, (tmp_path / folder,), index=True)


def test_a_static_option_may_name_an_absolute_folder_or_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "x").mkdir()
    assert parse_static_option(f"/x={tmp_path}/x", Path("/")).roots == (tmp_path / "x",)
    assert parse_static_option("/x=~/x", Path("/")).roots == (tmp_path / "x",)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("assets", "form /url=dir", "--static /assets="),
        ("=build", "form /url=dir", "--static /assets="),
        ("/assets=", "form /url=dir", "--static /assets="),
        ("assets=build", "does not begin with /", "--static /assets=build"),
        ("/=build", "hide the whole app", "devserver run build"),
        ("//=build", "hide the whole app", "devserver run build"),
        ("//host/share=build", "not a URL path", "--static"),
        ("/a//b=build", "not a URL path", "--static"),
        ("/a/../b=build", "not a URL path", "--static"),
        ("/.git=build", "not a URL path", "--static"),
        ("/a?b=build", "not a URL path", "--static"),
        ("/a\\b=build", "not a URL path", "--static"),
        ("/__devserver__/x=build", "own", "another URL"),
        ("/assets=missing", "does not exist", "relative folders"),
        ("/assets=file", "is not a folder", "relative folders"),
        ("/assets=nul\0", "does not exist", "relative folders"),
    ],
)
def test_wrong_static_options_say_what_is_right(tmp_path: Path, text: str, message: str, hint: str) -> None:
    (tmp_path / "build").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(UsageError) as raised:
        parse_static_option(text, tmp_path)
    assert message in raised.value.message
    assert hint in (raised.value.hint or "")
