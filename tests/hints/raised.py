"""Real exceptions, for the advice on them."""

from __future__ import annotations

import os
from collections.abc import Callable

from devserver.report import Advice, Occasion
from devserver.server.web.tracebacks import report_from_exception

ROOT = os.path.dirname(__file__)


def advice_on(fails: Callable[[], object], occasion: Occasion = Occasion.REQUEST) -> tuple[Advice, ...]:
    """The advice on what `fails` raises; the tests are the user's code."""
    try:
        fails()
    except BaseException as error:
        return report_from_exception(error, occasion, user_roots=[ROOT]).advice
    raise AssertionError("nothing was raised")


def text_on(fails: Callable[[], object], occasion: Occasion = Occasion.REQUEST) -> str:
    """The text of the only advice on what `fails` raises; empty without one."""
    (advice,) = advice_on(fails, occasion) or (Advice(""),)
    return advice.text
