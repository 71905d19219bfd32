"""`python manage.py runserver` with devserver among the project's apps: Django's words, our server."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import pytest

from tests.e2e.harness import DevServer, Serve
from tests.e2e.test_reload_frameworks import DJANGO

pytestmark = pytest.mark.e2e

MANAGE = """
    import os, sys
    if __name__ == "__main__":
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_one.settings")
        from django.core.management import execute_from_command_line
        execute_from_command_line(sys.argv)
"""
SETTINGS = DJANGO["site_one/settings.py"].replace(
    '["blog"]', '["devserver.django", "django.contrib.staticfiles", "blog"]\n    STATIC_URL = "/static/"'
)
PROJECT = {
    **DJANGO,
    "manage.py": MANAGE,
    "site_one/settings.py": SETTINGS,
    "blog/static/blog/site.css": "h1 {}",
}


def runserver(serve: Serve, *arguments: str, files: Mapping[str, str] = PROJECT, **more: object) -> DevServer:
    server: DevServer = serve(files, command=[sys.executable, "manage.py", "runserver", *arguments], **more)
    return server


def test_it_is_devserver(serve: Serve) -> None:
    server = runserver(serve, "0")
    assert "for development only" in server.log
    assert server.get("/").text == "base one index one"
    assert server.get("/static/blog/site.css").text == "h1 {}"
    server.edit("blog/views.py", DJANGO["blog/views.py"].replace('gettext("Hello")', '"two"'))
    server.wait_for_text("two", "/hello")
    server.edit("blog/views.py", "def broken(:")
    server.wait_for_text("SyntaxError", "/hello")
    assert server.stop() == 0


@pytest.mark.parametrize(
    ("address", "host"),
    [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1"), ("0:0", "127.0.0.1")],
)
def test_addresses(serve: Serve, address: str, host: str) -> None:
    server = runserver(serve, address)
    assert server.host == host
    assert server.get("/").status == 200


@pytest.mark.parametrize(
    ("arguments", "told"), [(["localhost:0"], r"http://localhost:\d+/"), (["-6"], r"http://\[::1\]:8000/")]
)
def test_names(serve: Serve, arguments: list[str], told: str) -> None:
    server = runserver(serve, *arguments, wait=False)
    server.wait_for_log(f"{told}|port 8000 is in use")


def test_its_options(serve: Serve) -> None:
    debug_off = SETTINGS.replace("DEBUG = True", "DEBUG = False")
    server = runserver(serve, "0", "--noreload", "--insecure", files={**PROJECT, "other.py": debug_off},
                       env={"DJANGO_SETTINGS_MODULE": "other"})  # fmt: skip
    assert server.get("/static/blog/site.css").text == "h1 {}"
    assert "a saved change restarts it" not in server.log
    server.stop()
    server = runserver(serve, "0", "--nostatic")
    assert server.get("/static/blog/site.css").status == 404


def test_settings_and_paths_of_the_command_line(serve: Serve) -> None:
    """manage.py names other settings than were asked for, and only --pythonpath finds them."""
    settings = "from site_one.settings import *\nROOT_URLCONF = 'other_urls'\n"
    urls = """
        from django.http import HttpResponse
        from django.urls import path
        urlpatterns = [path("", lambda request: HttpResponse("other"))]
    """
    files = {**PROJECT, "elsewhere/other_settings.py": settings, "elsewhere/other_urls.py": urls}
    forced = MANAGE.replace(
        '.setdefault("DJANGO_SETTINGS_MODULE", "site_one.settings")', '["DJANGO_SETTINGS_MODULE"] = "site_one.settings"'
    )
    server = runserver(
        serve, "0", "--settings", "other_settings", "--pythonpath", "elsewhere", files={**files, "manage.py": forced}
    )
    assert server.get("/").text == "other"


def test_what_django_refuses_is_refused(serve: Serve) -> None:
    server = runserver(serve, "nonsense", wait=False)
    server.wait_for_log("is not a valid port number")
    assert server.process.wait(20) == 1


def test_the_app_is_too_far_down(serve: Serve) -> None:
    swapped = SETTINGS.replace(
        '"devserver.django", "django.contrib.staticfiles"', '"django.contrib.staticfiles", "devserver.django"'
    )
    server = serve({**PROJECT, "site_one/settings.py": swapped})
    server.wait_for_log(r'Put "devserver\.django" above "django\.contrib\.staticfiles" in\s+INSTALLED_APPS')
