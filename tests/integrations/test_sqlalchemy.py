"""Idle connections of the user's engines are closed before a freeze, all others stay."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import QueuePool

from devserver.integrations.sqlalchemy import SQLAlchemyIntegration


@pytest.fixture
def module(tmp_path: Path) -> Iterator[ModuleType]:
    """A module of the user's."""
    module = ModuleType("users_database")
    module.__file__ = str(tmp_path / "users_database.py")
    sys.modules[module.__name__] = module
    yield module
    del sys.modules[module.__name__]
    for value in vars(module).values():
        if isinstance(value, Engine):
            value.dispose()


def opened(path: Path) -> bool:
    """Whether this process has the file open."""
    links = []
    for name in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:  # that of the listing
            continue
    return str(path) in links


def use(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("create table if not exists t (x integer)"))


def test_an_idle_connection_is_closed_and_another_opened_when_it_is_needed(tmp_path: Path, module: ModuleType) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/app.db")
    vars(module)["engine"] = engine
    use(engine)
    assert opened(tmp_path / "app.db")
    SQLAlchemyIntegration().before_freeze()
    assert not opened(tmp_path / "app.db")
    for _ in range(20):  # more than a pool holds
        use(engine)


def test_a_connection_in_use_stays(tmp_path: Path, module: ModuleType) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/app.db")
    vars(module)["engine"] = engine
    with engine.connect() as connection:
        SQLAlchemyIntegration().before_freeze()
        assert connection.execute(text("select 1")).scalar() == 1
        assert opened(tmp_path / "app.db")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///file:shared?mode=memory&cache=shared&uri=true"])
def test_a_database_in_memory_keeps_what_is_in_it(module: ModuleType, url: str) -> None:
    engine = create_engine(url, poolclass=None if url == "sqlite://" else QueuePool)
    vars(module)["engine"] = engine
    use(engine)
    SQLAlchemyIntegration().before_freeze()
    with engine.connect() as connection:
        assert connection.execute(text("select count(*) from t")).scalar() == 0


def test_engines_of_others_are_left_alone(tmp_path: Path, module: ModuleType) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/app.db")
    vars(module)["engine"] = engine
    module.__file__ = "/usr/lib/python3/dist-packages/library.py"
    use(engine)
    SQLAlchemyIntegration().before_freeze()
    assert opened(tmp_path / "app.db")
