"""Which app a project's settings name."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from devserver.errors import TargetError
from devserver.options import InterfaceChoice, Options
from devserver.record import replace
from devserver.server.load.loading import load_module
from devserver.target import Target, TargetKind

_BUILT_IN = {
    "WSGI_APPLICATION": ("django.core.wsgi", "get_wsgi_application"),
    "ASGI_APPLICATION": ("django.core.asgi", "get_asgi_application"),
}


def named_app(target: Target, options: Options) -> Target:
    """What the settings name. Runs them. Raises TargetError, and what the settings raise."""
    _find_settings(target)
    module, attribute, is_factory = app_of_settings(options.interface)
    target = replace(target, kind=TargetKind.MODULE, path="", module=module, attribute=attribute)
    return replace(target, call=True, call_arguments="") if is_factory else target


def app_of_settings(choice: InterfaceChoice) -> tuple[str, str, bool]:
    """Module, attribute, and whether it is to be called: ASGI_APPLICATION where daphne or channels is installed, else
    WSGI_APPLICATION; what Django makes of settings that name none. Raises TargetError."""
    from django.conf import settings

    setting = _setting_for(choice, settings.INSTALLED_APPS, getattr(settings, "ASGI_APPLICATION", None))
    dotted = getattr(settings, setting, None)
    if not dotted:
        return (*_BUILT_IN[setting], True)
    module, _, attribute = str(dotted).rpartition(".")
    if not module:
        raise TargetError(
            f"{setting} in {os.environ['DJANGO_SETTINGS_MODULE']} is {dotted!r}, which names no module",
            hint='write it as  "mysite.wsgi.application"',
        )
    return module, attribute, False


def _find_settings(target: Target) -> None:
    """Makes the settings module known and runs it. Raises TargetError if it, or Django, is not there."""
    try:
        import django  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "django":
            raise
        raise TargetError(
            f"{target.label} needs Django, and {sys.executable} has none",
            hint="activate the project's virtual environment, or install it:  python -m pip install django",
        ) from None
    if target.module:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", target.module)
    settings_module = os.environ.get("DJANGO_SETTINGS_MODULE")
    if not settings_module:
        raise TargetError(
            f"{target.label} does not tell which settings to use",
            hint="set DJANGO_SETTINGS_MODULE, or name the app:  mysite.wsgi:application",
        )
    load_module(settings_module, folder=target.app_dir)


def _setting_for(choice: InterfaceChoice, installed: Sequence[str], asgi_application: object) -> str:
    if choice is InterfaceChoice.AUTO:
        packages = {app.partition(".")[0] for app in installed}
        is_asgi = bool(asgi_application) and not packages.isdisjoint({"daphne", "channels"})
    else:
        is_asgi = choice is InterfaceChoice.ASGI
    return "ASGI_APPLICATION" if is_asgi else "WSGI_APPLICATION"
