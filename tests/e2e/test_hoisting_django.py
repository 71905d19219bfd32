"""What first requests build of a Django project is there before them, and is never older than its files."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.chained import needs_checkpoints
from tests.e2e.django_project import entry_points
from tests.e2e.harness import Serve
from tests.e2e.hoisting import WEIGHT, Hoisting

pytestmark = [pytest.mark.either_kind, needs_checkpoints]

SETTINGS = """
    from pathlib import Path
    BASE_DIR = Path(__file__).resolve().parent.parent
    SECRET_KEY, DEBUG, ALLOWED_HOSTS, ROOT_URLCONF = "s", True, ["*"], "mysite.urls"
    INSTALLED_APPS = ["shop"]
    TEMPLATES = [{
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "first", BASE_DIR / "second"],
        "APP_DIRS": True,
    }]
"""
URLS = """
    from django.urls import path
    from shop import views, heavy
    urlpatterns = [path("", views.page)]
"""
TAGS = """
    import os
    from django import template

    register = template.Library()

    class Parsed(template.Node):
        def __init__(self):
            self.pid = os.getpid()

        def render(self, context):
            return "parsed now" if self.pid == os.getpid() else "parsed before"

    @register.tag
    def parsed(parser, token):
        IMPORTS
        return Parsed()
"""


def view(text: str, *_lines: str) -> str:
    return f"""
        from django.shortcuts import render

        def page(request):
            return render(request, "page.html", {{"text": "{text}"}})
    """


@pytest.fixture
def start(serve: Serve) -> Callable[..., Hoisting]:
    def start(imports: str = "pass", lazy: str = "") -> Hoisting:
        sources = {
            **entry_points("mysite"),
            "mysite/settings.py": SETTINGS,
            "mysite/urls.py": URLS,
            "shop/__init__.py": "",
            "shop/views.py": view("first"),
            "shop/heavy.py": WEIGHT,
            "shop/lazy.py": lazy,
            "shop/templatetags/__init__.py": "",
            "shop/templatetags/shop_tags.py": TAGS.replace("IMPORTS", imports),
            "second/base.html": "{% block all %}{% endblock %} base",
            "second/page.html": '{% extends "base.html" %}{% load shop_tags %}'
            "{% block all %}{{ text }} {% parsed %}{% endblock %}",
            "first/.keep": "",
        }
        return Hoisting(serve(sources, "--no-access-log"), "shop/views.py", view)

    return start


def test_templates_are_parsed_before(start: Callable[..., Hoisting]) -> None:
    project = start()
    project.hoisted()
    project.still()  # now it is known what the first requests have built
    project.save()
    project.still()
    assert "hoisted" in project.save()
    assert project.server.get().text.endswith("parsed before base")


def test_an_edit_of_such_a_template_is_seen(start: Callable[..., Hoisting]) -> None:
    project = hoisted_with_templates(start)
    project.server.edit("second/base.html", "{% block all %}{% endblock %} edited")
    project.server.wait_for_text("edited")
    assert "hoisted" in project.save()
    project.server.wait_for_text("edited")


def test_an_edit_while_nothing_served_it(start: Callable[..., Hoisting]) -> None:
    """The template and the view are saved at once, as by a checkout: the process that continues looks at what it holds."""
    project = hoisted_with_templates(start)
    project.server.edit("second/base.html", "{% block all %}{% endblock %} edited")
    project.save()
    project.server.wait_for_text("edited")


def test_a_template_that_stands_before_another_from_now_on(start: Callable[..., Hoisting]) -> None:
    project = hoisted_with_templates(start)
    project.server.edit("first/base.html", "{% block all %}{% endblock %} shadows")
    project.server.wait_for_text("shadows")
    project.save()
    project.server.wait_for_text("shadows")


@pytest.mark.parametrize(("lazy", "expected"), [("", "before"), ("import shop.views", "now")])
def test_a_template_that_needs_a_module_to_be_parsed(start: Callable[..., Hoisting], lazy: str, expected: str) -> None:
    """If that one depends on what is held back, requests parse for themselves."""
    project = start("import shop.lazy", lazy)
    project.hoisted()
    project.still()
    project.save()
    project.still()
    assert "hoisted" in project.save()
    assert project.server.get().text.endswith(f"parsed {expected} base")
    assert "exact order" not in project.server.log


def hoisted_with_templates(start: Callable[..., Hoisting]) -> Hoisting:
    project = start()
    project.hoisted()
    for _ in range(4):
        if project.server.get().text.endswith("parsed before base"):
            return project
        project.still()
        project.save()
    raise AssertionError(project.server.log)
