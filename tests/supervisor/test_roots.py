"""Names of folders: roots and links."""

from __future__ import annotations

import pytest

from devserver.supervisor.links import NAME_LIMIT, Links
from devserver.supervisor.roots import Roots


def test_a_path_keeps_its_name() -> None:
    assert Links().names("/a/b") == {"/a/b"}


@pytest.mark.parametrize(
    ("links", "path", "names"),
    [
        ({"/p/lib": "/src/lib"}, "/src/lib/a.py", {"/src/lib/a.py", "/p/lib/a.py"}),
        ({"/p/lib": "/src/lib"}, "/src/lib", {"/src/lib", "/p/lib"}),
        ({"/p/lib": "/src/lib"}, "/src/library/a.py", {"/src/library/a.py"}),
        ({"/p/a.py": "/src/a.py"}, "/src/a.py", {"/src/a.py", "/p/a.py"}),
        ({"/p/x": "/src", "/p/y": "/src"}, "/src/a", {"/src/a", "/p/x/a", "/p/y/a"}),
        # a root given through a link that holds a link
        ({"/home/p": "/data/p", "/data/p/lib": "/src"}, "/src/a", {"/src/a", "/data/p/lib/a", "/home/p/lib/a"}),
    ],
)
def test_names_through_links(links: dict[str, str], path: str, names: set[str]) -> None:
    known = Links()
    for name, target in links.items():
        known.add(name, target)
    assert known.names(path) == names


def test_links_into_each_other_end() -> None:
    links = Links()
    links.add("/a/to_b", "/b")
    links.add("/b/to_a", "/a")
    assert {"/a/x", "/b/to_a/x"} <= links.names("/a/x")
    assert len(links.names("/a/x")) <= NAME_LIMIT


def test_links_are_forgotten() -> None:
    links = Links()
    links.add("/p/lib", "/old")
    links.add("/p/lib", "/new")
    links.add("/p/self", "/p/self")
    assert links.names("/old/a") == {"/old/a"}
    assert links.target("/p/lib") == "/new"
    assert "/p/self" not in links
    links.discard_all(["/p/lib", "/unknown"])
    assert links.items() == []
    assert links.names("/new/a") == {"/new/a"}


def test_nearest_root() -> None:
    roots = Roots()
    for given, real in {"/home/p": "/data/p", "/data/p/.venv/src": "/data/p/.venv/src"}.items():
        roots.add(given)
        assert roots.locate(given, real) is None
    assert roots.around("/data/p/app/a.py") == "/data/p"
    assert roots.around("/home/p/app/a.py") == "/home/p"
    assert roots.around("/data/p/.venv/src/lib") == "/data/p/.venv/src"
    assert roots.around("/data/project") is None
    assert roots.any_inside("/data")
    assert roots.any_inside("/")
    assert not roots.any_inside("/data/p/app")


def test_root_that_moves() -> None:
    roots = Roots()
    roots.add("/srv/current")
    roots.locate("/srv/current", "/srv/1")
    assert roots.locate("/srv/current", "/srv/2") == "/srv/1"
    assert roots.real == {"/srv/2"}
    assert not roots.any_inside("/srv/1")
    assert roots.locate("/srv/current", "/srv/2") == "/srv/2"
