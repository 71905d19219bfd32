"""Settings are read from manage.py as running it would find them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from devserver.target.managepy import settings_module

STARTPROJECT = '''#!/usr/bin/env python
"""Django's command-line utility for administrative tasks."""
import os
import sys


def main():
    """Run administrative tasks."""
    os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'mysite.settings')
    try:
        from django.core.management import execute_from_command_line
    except ImportError as exc:
        raise ImportError("Couldn't import Django.") from exc
    execute_from_command_line(sys.argv)


if __name__ == '__main__':
    main()
'''

FOR_TESTS_TOO = """
if 'test' in sys.argv:
    os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'a.test')
else:
    os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'a.dev')
"""


@pytest.mark.parametrize(
    ("source", "environ", "expected"),
    [
        (STARTPROJECT, {}, "mysite.settings"),
        (STARTPROJECT, {"DJANGO_SETTINGS_MODULE": "mysite.prod"}, "mysite.prod"),
        (STARTPROJECT, {"DJANGO_SETTINGS_MODULE": ""}, "mysite.settings"),
        ("from os import environ\nenviron.setdefault('DJANGO_SETTINGS_MODULE', 'a.b')", {}, "a.b"),
        ("os.environ['DJANGO_SETTINGS_MODULE'] = 'a.b'", {}, "a.b"),
        ("os.environ['DJANGO_SETTINGS_MODULE'] = 'a.b'", {"DJANGO_SETTINGS_MODULE": "c"}, "a.b"),
        ("S = 'a.b'\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', S)", {}, "a.b"),
        ("os.environ.setdefault('DJANGO_SETTINGS_MODULE', os.getenv('S', 'a.b'))", {}, "a.b"),
        ("os.environ.setdefault('DJANGO_SETTINGS_MODULE', os.getenv('S', 'a.b'))", {"S": "c"}, "c"),
        ("os.environ.setdefault('DJANGO_SETTINGS_MODULE', os.environ.get('S') or 'a.b')", {}, "a.b"),
        ("E = 'dev'\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', f'a.{E}')", {}, "a.dev"),
        ("os.environ.setdefault('DJANGO_SETTINGS_MODULE', f'a.{unknown}')", {}, None),
        ("os.environ.setdefault('DJANGO_SETTINGS_MODULE', compute())", {}, None),
        ("os.environ.setdefault('DJANGO_SETTINGS_MODULE', compute())", {"DJANGO_SETTINGS_MODULE": "c"}, "c"),
        (FOR_TESTS_TOO, {}, "a.dev"),
        ("os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'a.test')", {}, "a.test"),
        ("os.environ.setdefault('OTHER', 'x')\nos.environ['OTHER'] = 'x'", {}, None),
        ("", {}, None),
        ("", {"DJANGO_SETTINGS_MODULE": "c"}, "c"),
        (STARTPROJECT + "def broken(:\n", {}, "mysite.settings"),
        ("os.environ['DJANGO_SETTINGS_MODULE'] = 'a.b'\ndef broken(:\n", {}, "a.b"),
        ("def broken(:\n", {}, None),
    ],
)
def test_settings(tmp_path: Path, source: str, environ: Mapping[str, str], expected: str | None) -> None:
    path = tmp_path / "manage.py"
    path.write_text(source, encoding="utf-8")
    assert settings_module(path, environ) == expected


def test_unreadable(tmp_path: Path) -> None:
    assert settings_module(tmp_path / "manage.py", {}) is None
