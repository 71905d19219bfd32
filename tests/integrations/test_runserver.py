"""What `manage.py runserver` was asked for, as a command line of devserver."""

from __future__ import annotations

from pathlib import Path

import pytest

from devserver.django.handover import Project, arguments

DEFAULTS = {
    "addrport": None,
    "use_ipv6": False,
    "use_threading": True,
    "use_reloader": True,
    "use_static_handler": True,
    "insecure_serving": False,
    "skip_checks": False,
    "traceback": False,
    "no_color": False,
    "force_color": False,
    "verbosity": 1,
    "settings": None,
    "pythonpath": None,
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    script = tmp_path / "manage.py"
    script.write_text("import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site.settings')\n")
    return Project(str(script), "site.settings", str(tmp_path / "site/settings.py"), "site.wsgi:application")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, []),
        ({"use_reloader": False}, ["--no-reload"]),
        ({"use_threading": False}, ["--threads", "1"]),
        ({"skip_checks": True}, ["--no-checks"]),
        ({"use_static_handler": False}, ["--static-files", "never"]),
        ({"insecure_serving": True}, ["--static-files", "always"]),
        ({"use_static_handler": False, "insecure_serving": True}, ["--static-files", "never"]),
        ({"traceback": True}, ["--full-tracebacks"]),
        ({"no_color": True}, ["--color", "never"]),
        ({"force_color": True}, ["--color", "always"]),
        ({"verbosity": 3}, []),
    ],
)
def test_options(project: Project, asked: dict[str, object], expected: list[str]) -> None:
    assert arguments(DEFAULTS | asked, "", "", project) == [project.script, *expected]


def test_without_the_staticfiles_app(project: Project) -> None:
    missing = {
        name: value for name, value in DEFAULTS.items() if name not in ("use_static_handler", "insecure_serving")
    }
    assert arguments(missing, "", "", project) == [project.script]


def test_address(project: Project) -> None:
    assert arguments(DEFAULTS, "::1", "8001", project)[1:] == ["--host", "::1", "--port", "8001"]


@pytest.mark.parametrize(
    ("script", "settings", "path", "folder"),
    [
        ("run.py", "site.settings", "site/settings.py", "."),
        ("manage.py", "site.other", "site/other.py", "."),
        ("manage.py", "settings", "settings.py", "."),
        ("manage.py", "config.settings", "config/settings/__init__.py", "."),
        ("manage.py", "config.settings.local", "src/config/settings/local.py", "src"),
    ],
)
def test_another_script_or_other_settings(
    *, tmp_path: Path, script: str, settings: str, path: str, folder: str
) -> None:
    (tmp_path / script).write_text("import os\nos.environ['DJANGO_SETTINGS_MODULE'] = 'site.settings'\n")
    known = Project(str(tmp_path / script), settings, str(tmp_path / path), "site.wsgi:make", is_factory=True)
    expected = ["site.wsgi:make", "--app-dir", str(tmp_path / folder), "--factory"]
    assert arguments(DEFAULTS, "", "", known) == expected
