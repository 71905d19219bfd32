"""Errors that are kept for their pages."""

from __future__ import annotations

from devserver.report import Occasion, Report
from devserver.server.web.kept import FrameworkAnswer, KeptError, KeptErrors


def error(report_id: str) -> KeptError:
    return KeptError(Report(Occasion.REQUEST, "x", id=report_id))


def test_the_oldest_goes() -> None:
    kept = KeptErrors(limit=2)
    for name in "abc":
        kept.keep(error(name))
    assert len(kept) == 2
    assert kept.find("a") is None
    assert kept.find("b") is not None
    assert kept.find("") is None


def test_what_the_framework_answered_is_found_again() -> None:
    kept = KeptErrors()
    one = error("a")
    kept.keep(one)
    one.framework_answer = FrameworkAnswer(500, (), b"<p>")
    found = kept.find("a")
    assert found is not None
    assert found.framework_answer == FrameworkAnswer(500, (), b"<p>")
