"""The place in a Django template, from Django's own note."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

import pytest

from devserver.report import Occasion
from devserver.server.web.templates import template_place
from devserver.server.web.tracebacks import report_from_exception

SOURCE = "<ul>\n  <li>{% url 'nope'\n %}</li>\n"
NOTE = MappingProxyType({"line": 2, "before": "  <li>", "during": "{% url 'nope'\n %}"})


def noted(path: Path, **changes: object) -> ValueError:
    error = ValueError("x")
    error.template_debug = {"name": str(path), **NOTE, **changes}  # type: ignore[attr-defined]
    return error


@pytest.fixture
def template(tmp_path: Path) -> Path:
    path = tmp_path / "list.html"
    path.write_text(SOURCE)
    return path


def test_the_tag(template: Path) -> None:
    place = template_place(noted(template))
    assert place is not None
    assert (place.path, place.line, place.column, place.end_column) == (str(template), 2, 6, 19)


def test_it_is_the_innermost_frame_of_the_report(template: Path) -> None:
    report = report_from_exception(noted(template), Occasion.REQUEST, user_roots=[str(template.parent)])
    place = report.errors[0].place
    assert place is not None
    assert (place.path, place.line, place.function, place.is_user) == (str(template), 2, "", True)
    assert [line.text for line in place.source] == SOURCE.splitlines()


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"before": "gone"}, (2, None)),
        ({"during": ""}, (2, None)),
        ({"line": 99}, None),
        ({"line": "2"}, None),
        ({"name": None}, None),
        ({"name": "/nowhere/x.html"}, None),
    ],
)
def test_notes_that_are_wrong(template: Path, changes: dict[str, object], found: tuple[int, int | None] | None) -> None:
    place = template_place(noted(template, **changes))
    assert (place and (place.line, place.column)) == found


def test_errors_without_a_note() -> None:
    error = ValueError("x")
    assert template_place(error) is None
    error.template_debug = "?"  # type: ignore[attr-defined]
    assert template_place(error) is None
