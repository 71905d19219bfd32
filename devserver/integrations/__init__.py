"""The frameworks that devserver knows, each in a module of its own. Runs in the server process.

Nothing here imports a framework: whether one is in use is seen from `sys.modules` after the load. The server finds this
package at run time, by name, for it may not know who stands above it.
"""

from __future__ import annotations

from devserver.integrations.celery import CeleryIntegration
from devserver.integrations.daphne import DaphneIntegration
from devserver.integrations.django import DjangoIntegration
from devserver.integrations.falcon import FalconIntegration
from devserver.integrations.flask import FlaskIntegration, QuartIntegration
from devserver.integrations.greenthreads import GREEN_THREADS
from devserver.integrations.jinja2 import Jinja2Integration
from devserver.integrations.litestar import LitestarIntegration
from devserver.integrations.named import NAMED
from devserver.integrations.sqlalchemy import SQLAlchemyIntegration
from devserver.integrations.starlette import StarletteIntegration
from devserver.server.integration import Integration

INTEGRATIONS: tuple[Integration, ...] = (
    *GREEN_THREADS,
    DjangoIntegration(),
    DaphneIntegration(),
    FlaskIntegration(),
    QuartIntegration(),
    StarletteIntegration(),
    FalconIntegration(),
    LitestarIntegration(),
    *NAMED,
    Jinja2Integration(),
    SQLAlchemyIntegration(),
    CeleryIntegration(),
)
"""In the order in which they are asked."""
