"""Errors that are kept for their pages."""

from __future__ import annotations

import sys

from devserver.report import Occasion, Report, RequestFacts
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


def at(address: str, report_id: str) -> KeptError:
    request = RequestFacts("GET", address, "1.1", "", ())
    return KeptError(Report(Occasion.REQUEST, "x", id=report_id, request=request), {(0, 0): sys._getframe()})


def test_who_asks_again_has_left_the_page() -> None:
    kept = KeptErrors()
    for address, name in (("/a", "1"), ("/b", "2"), ("/a", "3")):
        kept.keep(at(address, name))
    assert [name for name in "123" if kept.find(name)] == ["2", "3"]


def test_a_page_that_is_left_lets_its_frames_go() -> None:
    kept = KeptErrors()
    kept.keep(at("/a", "1"))
    kept.page_left("1")
    kept.page_left("2")
    found = kept.find("1")
    assert found is not None
    assert found.frames == {}


def test_what_goes_may_run_anything() -> None:
    """The last reference to a user's object, whose `__del__` fails again."""
    kept = KeptErrors(limit=1)

    class Owner:
        def __del__(self) -> None:
            kept.keep(error("from within"))

    one = error("a")
    one.prompts[0, 0] = Owner()  # type: ignore[assignment]
    kept.keep(one)
    del one
    kept.keep(error("b"))
    assert kept.find("from within") is not None
