"""What every Django project has, as `django-admin startproject` writes it."""

from __future__ import annotations

_MANAGE = """
    import os, sys
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "PACKAGE.settings")
    if __name__ == "__main__":
        from django.core.management import execute_from_command_line
        execute_from_command_line(sys.argv)
"""
_INTERFACE = """
    import os
    from django.core.INTERFACE import get_INTERFACE_application
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "PACKAGE.settings")
    application = get_INTERFACE_application()
"""


def entry_points(package: str) -> dict[str, str]:
    """manage.py and the modules by which servers load a project of this name."""
    files = {"manage.py": _MANAGE, f"{package}/__init__.py": ""}
    files |= {f"{package}/{name}.py": _INTERFACE.replace("INTERFACE", name) for name in ("wsgi", "asgi")}
    return {name: text.replace("PACKAGE", package) for name, text in files.items()}
