"""Django's system checks and migrations: after the app serves, a page for what is serious, once for each change that matters."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.harness import DevServer, Serve
from tests.e2e.test_reload_frameworks import DJANGO

pytestmark = [pytest.mark.e2e, pytest.mark.either_kind]

SETTINGS = DJANGO["site_one/settings.py"].replace(
    '["blog"]',
    """["blog"]
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
    DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
    """,
)
MODELS = """
    from django.core import checks
    from django.db import models

    class Post(models.Model):
        title = models.CharField(max_length=10)
        OTHER

    @checks.register
    def of_yours(**arguments):
        RAISES
        return [one for one in [FOUND] if one]
"""
Start = Callable[..., DevServer]
LOST = 'author = models.ForeignKey("nobody.Nothing", models.CASCADE)'


def models(*, other: str = "", found: str = "", raises: str = "") -> str:
    return MODELS.replace("OTHER", other).replace("FOUND", found).replace("RAISES", raises)


def warning(text: str) -> str:
    return f'checks.Warning("{text}", id="x.W1")'


@pytest.fixture
def start(serve: Serve, kind: str) -> Start:
    def start(source: str, *arguments: str, **more: object) -> DevServer:
        files = {**DJANGO, "site_one/settings.py": SETTINGS, "blog/models.py": source}
        server: DevServer = serve(files, f"site_one.{kind}:application", *arguments, **more)
        return server

    return start


def test_what_is_serious_is_a_page_until_it_is_mended(start: Start) -> None:
    server = start(models(other=LOST))
    server.wait_for_log("SystemCheckError: Django checked the project and found 2 errors")
    answer = server.get("/")
    assert answer.status == 500
    assert "blog.Post.author" in answer.text
    assert "blog/models.py:7 in Post" in answer.text
    server.edit("blog/models.py", models(other=LOST).replace("class Post", "LIMIT = 10\n\n    class Post"))
    server.wait_for_log("the project still fails its checks")
    assert server.log.count("SystemCheckError") == 1
    server.edit("blog/models.py", models())
    server.wait_for_log("the project passes its checks again")
    assert server.get("/").text == "base one index one"


def test_warnings_are_told_when_they_are_new(start: Start) -> None:
    server = start(models(found=warning("first")))
    server.wait_for_log("x.W1: first")
    server.edit("blog/models.py", models(found=f"{warning('first')}, {warning('second')}"))
    server.wait_for_log("x.W1: second")
    assert server.log.count("x.W1: first") == 1
    server.edit("blog/models.py", models(found=warning("third")))
    server.wait_for_log("x.W1: third")
    server.edit("blog/models.py", models(found=warning("first")))
    server.wait_for_log("x.W1: first", count=2)
    assert server.get("/").status == 200


def test_checks_that_raise_are_told(start: Start) -> None:
    server = start(models(raises='raise LookupError("while checking")'))
    server.wait_for_log("LookupError: while checking")
    server.wait_for_log(r"in the checks of the project \(--no-checks\)")
    assert server.get("/").status == 200


@pytest.mark.parametrize("checks", ["--checks", "--no-checks"])
def test_without_checks(start: Start, checks: str) -> None:
    later = 'import threading; threading.Timer(2.0, print, ["later"]).start()'  # than checks, which wait for 0.3 s
    server = start(models(other=later, found='print("was checked")'), checks)
    server.wait_for_log("later")
    assert ("was checked" in server.log) == (checks == "--checks")


def test_without_reload_serious_errors_end_the_command(start: Start) -> None:
    server = start(models(other=LOST), "--no-reload")
    assert server.process.wait(20) == 1
    server.wait_for_log("SystemCheckError")


def test_migrations(start: Start) -> None:
    server = start(models())
    server.edit("blog/migrations/__init__.py", "")
    server.edit("blog/migrations/0001_initial.py", MIGRATION)
    server.edit("blog/views.py", DJANGO["blog/views.py"] + "\n")
    server.wait_for_log(r"1 migration is not applied \(blog\): python manage\.py migrate")


MIGRATION = """
    from django.db import migrations

    class Migration(migrations.Migration):
        initial = True
"""
