"""Looking through wrappers: what is found, in which order, and that nobody's code runs and no graph is too large."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest

from devserver.server.wrapping import MAX_ITEMS, MAX_LEVELS, MAX_OBJECTS, find_layers, levels


class App:
    """What is looked for."""

    def __init__(self, **held: object) -> None:
        self.held = held

    def __call__(self) -> None: ...

    def method(self) -> None: ...


class Holder:
    def __init__(self, *held: object) -> None:
        self.held = held


class Slots:
    __slots__ = ("empty", "held")

    def __init__(self, held: object) -> None:
        self.held = held


class Hostile:
    """Runs code at every look that is more than one at its type."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(name)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        raise AssertionError("__class__")

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        raise AssertionError("__dict__")

    def __eq__(self, other: object) -> bool:
        raise AssertionError("__eq__")

    __hash__ = None  # type: ignore[assignment]


class HostileDict(dict[str, object]):
    def values(self) -> Any:
        raise AssertionError("values")

    __iter__ = values


def _is_app(value: object) -> bool:
    return type(value) is App


def _closure(held: object) -> Callable[[], object]:
    def function() -> object:
        return held

    return function


def _unfilled_closure(held: object) -> Callable[[], object]:
    def function() -> object:
        return held, later

    if held is None:
        later = 1
    return function


def _wrapped(held: object) -> Callable[[], object]:
    def function() -> None: ...

    function.__wrapped__ = held  # type: ignore[attr-defined]
    return function


@pytest.mark.parametrize(
    "wrap",
    [
        lambda app: app,
        Holder,
        Slots,
        _closure,
        _unfilled_closure,
        _wrapped,
        lambda app: functools.partial(app),
        lambda app: functools.partial(print, app),
        lambda app: functools.partial(print, file=app),
        lambda app: app.method,
        lambda app: Slots([{"x": app}]),
        lambda app: Holder(OrderedDict(x=app)),
        lambda app: Holder(HostileDict(x=app)),
        lambda app: Holder({app}),
        lambda app: Holder(Hostile(), app),
        lambda app: Slots(Holder(_closure(functools.partial(print, _wrapped(app))))),
    ],
)
def test_an_app_is_found(wrap: Callable[[object], object]) -> None:
    app = App()
    assert list(find_layers(wrap(app), _is_app)) == [app]


@pytest.mark.parametrize("value", [None, 3, "text", App, functools, [], lambda: None])
def test_nothing_is_found(value: object) -> None:
    assert list(find_layers(value, _is_app)) == []


def test_a_strangers_code_does_not_run() -> None:
    assert list(find_layers(Hostile(), _is_app)) == []
    assert list(find_layers(HostileDict(x=App()), _is_app)) == []


GLOBAL_APP = App()


def calls_a_global(environ: object) -> None:
    GLOBAL_APP.method()


def decorated(environ: object) -> None:
    calls_a_global(environ)


def test_an_app_that_a_function_calls_by_its_name() -> None:
    assert list(find_layers(calls_a_global, lambda one: isinstance(one, App))) == [GLOBAL_APP]
    assert list(find_layers(decorated, lambda one: isinstance(one, App))) == [GLOBAL_APP]


def test_what_functions_deep_inside_name_is_not_looked_at() -> None:
    assert list(find_layers(Holder(calls_a_global), lambda one: isinstance(one, App))) == []


def test_nearest_first_and_each_once() -> None:
    near, far = App(), App()
    assert list(find_layers(Holder(Holder(Holder(far), near), near, Holder(far)), _is_app)) == [near, far]


def test_what_a_match_holds_is_not_looked_at() -> None:
    app = App(inner=App())
    assert list(find_layers(Holder(app), _is_app)) == [app]


def test_a_cycle_ends() -> None:
    holder = Holder()
    holder.held = (holder, Holder(holder))
    assert [len(level) for level in levels(holder)] == [1, 1]


def test_depth_is_limited() -> None:
    wrapped: object = App()
    for _ in range(MAX_LEVELS - 1):
        wrapped = Holder(wrapped)
    assert len(list(find_layers(wrapped, _is_app))) == 1
    assert list(find_layers(Holder(wrapped), _is_app)) == []


def test_width_is_limited() -> None:
    wide = Holder(*(Holder(*(Holder(*(Holder() for _ in range(20))) for _ in range(20))) for _ in range(20)))
    assert sum(map(len, levels(wide))) == MAX_OBJECTS


@pytest.mark.parametrize(("tables", "is_found"), [(1, True), (50, False)])
def test_large_tables_are_given_up(tables: int, is_found: bool) -> None:
    """However large the data that an app keeps, a restart does not wait for its inspection."""
    table = [list(range(MAX_ITEMS)) for _ in range(MAX_ITEMS)]
    holder = Holder()
    holder.held = ()
    vars(holder).update({f"table{number}": table for number in range(tables)}, app=App())
    assert bool(list(find_layers(holder, _is_app))) is is_found
