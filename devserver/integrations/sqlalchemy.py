"""SQLAlchemy: connections that wait in a pool are closed before a freeze; the pool opens others when they are needed.

Runs in the server process. `Base.metadata.create_all(engine)` at import is in every tutorial, and leaves a connection behind that
two processes must not share. Rules that hold: only the user's own engines are touched, found among the globals of their modules; a
connection that somebody holds stays open, and is a barrier; a database that lives in its connections (SQLite's in memory) is left
alone.
"""

from __future__ import annotations

import sys
from collections.abc import Container, Iterable, Iterator
from typing import TYPE_CHECKING

from devserver.integrations.registries import registries_of
from devserver.options import Options
from devserver.server.integration import Integrated, Integration
from devserver.server.load.ownership import is_users

if TYPE_CHECKING:
    from sqlalchemy import Engine


class SQLAlchemyIntegration(Integration):
    name = "SQLAlchemy"

    def applies(self, app: object, modules: Container[str]) -> bool:
        return "sqlalchemy.engine.base" in modules

    def loaded(self, app: object, options: Options) -> Integrated:
        return Integrated(name="")  # the banner names what serves

    def registries(self, app: object) -> Iterable[tuple[str, object]]:
        return registries_of("sqlalchemy", self.name)

    def before_freeze(self) -> None:
        """Close what is idle."""
        if "sqlalchemy.engine.base" not in sys.modules:
            return
        from sqlalchemy.pool import QueuePool

        for engine in _engines():
            if engine.url.get_backend_name() == "sqlite" and _is_in_memory(engine):
                continue
            pool = engine.pool
            # By type: pools of other classes keep a connection because there must be no other, or keep none.
            if type(pool) is QueuePool and pool.checkedin():
                pool.dispose()


def _is_in_memory(engine: Engine) -> bool:
    database = engine.url.database
    return not database or ":memory:" in database or "mode=memory" in str(engine.url)


def _engines() -> Iterator[Engine]:
    from sqlalchemy import Engine

    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", {})  # what stands there need not be a module
        if not is_users(str(names.get("__file__") or "/lib/")):
            continue
        for value in list(names.values()):
            # By type: to ask a stranger for its class may run its code.
            if type(value) is Engine:
                yield value
            elif type(value).__module__.partition(".")[0] == "flask_sqlalchemy":
                yield from _engines_of_extension(value)


def _engines_of_extension(extension: object) -> Iterator[Engine]:
    """Flask-SQLAlchemy keeps the engines of each app by their bind key."""
    from sqlalchemy import Engine

    for engines in dict(vars(extension).get("_app_engines") or {}).values():
        yield from (engine for engine in dict(engines).values() if type(engine) is Engine)
