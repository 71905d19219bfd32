"""The answers that functions have kept are found without asking them."""

from __future__ import annotations

from types import ModuleType

import pytest

from devserver.server.load.cached import cached_results

SOURCE = """
import functools

@functools.lru_cache{bounds}
def get(name="none", *, size=1):
    return [name, size]

@functools.cache
def settings():
    return "the settings"

class Shop:
    @staticmethod
    @functools.lru_cache{bounds}
    def find(number):
        return number * 2

class Odd:
    __hash__ = object.__hash__
    def __eq__(self, other): raise SystemExit("compared")
    def __repr__(self): raise SystemExit("told")

get("a"); get(size=3); settings(); Shop.find(21); get(Odd())
"""


@pytest.mark.parametrize("bounds", ["", "(maxsize=None)", "(maxsize=2)", "(typed=True)"])
def test_cached_results(bounds: str) -> None:
    module = ModuleType("app")
    exec(SOURCE.replace("{bounds}", bounds), vars(module))
    found = cached_results({"app": module})
    asked = vars(module)["get"].cache_info().currsize, vars(module)["Shop"].find.cache_info().currsize
    assert found["app.settings ()"] == "the settings"
    assert [value for title, value in found.items() if title.startswith("app.Shop.find")] == [42]
    results = [value for title, value in found.items() if title.startswith("app.get")]
    assert len(results) == asked[0] - 1, "not that of odd arguments"
    assert ["none", 3] in results
    assert vars(module)["get"].cache_info().currsize == asked[0], "nobody was asked"
