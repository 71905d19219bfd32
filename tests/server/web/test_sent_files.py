"""Files and the addresses at which browsers know them."""

from __future__ import annotations

from pathlib import Path

from devserver.server.integration import StaticMount
from devserver.server.web import sent_files
from devserver.server.web.sent_files import SentFiles


def test_what_the_static_handler_sent() -> None:
    files = SentFiles()
    files.sent(Path("/p/shop/static/app.css"), "/static/app.css")
    files.sent(Path("/p/shop/static/app.css"), "/media/app.css")
    files.answered("/other/app.css")
    assert files.urls_of("/p/shop/static/app.css") == ("/static/app.css", "/media/app.css")
    assert files.file_of("/static/app.css") == "/p/shop/static/app.css"
    assert files.file_of("/static/other.css") == ""


def test_what_the_app_sent_is_known_by_how_its_address_ends() -> None:
    files = SentFiles()
    for url in ("/assets/site/app.css", "/assets/admin/app.css", "/assets/site/other.css", "/robots.txt"):
        assert files.about_to_send(url) == ""
        files.answered(url)
    assert files.urls_of("/p/static/site/app.css") == ("/assets/site/app.css",)
    assert files.urls_of("/p/robots.txt") == ("/robots.txt",)
    assert files.urls_of("/p/templates/icons/app.css") == (), "a name alone says little"
    assert files.urls_of("/p/templates/index.html") == ()


def test_what_a_framework_sends_from_a_root_is_known_by_file(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "app.css").touch()
    (tmp_path.parent / "secret.css").touch()
    files = SentFiles()
    files.roots = (str(tmp_path),)
    expected = str(tmp_path / "site" / "app.css")
    assert files.about_to_send("/assets/site/app.css") == expected
    assert files.about_to_send("/site/app.css") == expected
    assert files.urls_of(expected) == ("/assets/site/app.css", "/site/app.css")
    for elsewhere in ("/assets/missing.css", "/assets/../secret.css", "/assets/site/", "/a\0b.css"):
        assert files.about_to_send(elsewhere) == ""


def test_what_is_missing_is_known_by_the_files_that_it_might_be(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    (other / "css").mkdir(parents=True)
    (other / "css" / "there.css").touch()
    files = SentFiles()
    files.roots = (str(one), str(other))
    missed = files.missed("/static/css/there.css")
    assert set(missed) == {
        str(root / name)
        for root in (one, other)
        for name in ("static/css/there.css", "css/there.css", "there.css")
        if (root, name) != (other, "css/there.css")
    }
    assert files.urls_of(str(one / "css" / "there.css")) == ("/static/css/there.css",)
    assert files.urls_of(str(one / "css" / "else.css")) == ()
    assert files.missed("/static/../there.css") == ()


def test_who_asks_for_everything_fills_nothing(tmp_path: Path) -> None:
    files = SentFiles()
    files.roots = (str(tmp_path),)
    missed = [path for number in range(2 * sent_files.MAX_MISSED) for path in files.missed(f"/{number}.php")]
    assert len(missed) == sent_files.MAX_MISSED


def test_what_a_mount_misses(tmp_path: Path) -> None:
    files = SentFiles()
    files.roots = ("/finders",)
    files.mounts = (StaticMount("/s/", (tmp_path,)), StaticMount("/d/", (tmp_path,), index=True), StaticMount("/f/"))
    assert files.missed("/s/a/b.css") == (str(tmp_path / "a" / "b.css"),)
    assert files.missed("/d/a/") == (str(tmp_path / "a"), str(tmp_path / "a" / "index.html"))
    assert files.missed("/f/a.css") == ("/finders/a.css",)
    assert files.missed("/s//etc/no/such") == (str(tmp_path / "etc" / "no" / "such"),)


def test_a_url_may_come_to_mean_another_file() -> None:
    files = SentFiles()
    files.sent(Path("/p/a.css"), "/static/a.css")
    files.sent(Path("/q/a.css"), "/static/a.css")
    assert files.urls_of("/p/a.css") == ()
    assert files.urls_of("/q/a.css") == ("/static/a.css",)


def test_it_does_not_grow_for_ever() -> None:
    files = SentFiles()
    for number in range(sent_files.MAX_URLS + 10):
        files.sent(Path(f"/p/{number}.css"), f"/{number}.css")
    assert files.urls_of("/p/0.css") == ()
    assert files.urls_of(f"/p/{sent_files.MAX_URLS}.css") == (f"/{sent_files.MAX_URLS}.css",)
