"""The app's configuration, and a check that its command is the one that Django finds."""

from __future__ import annotations

from collections.abc import Iterable

from django.apps import AppConfig, apps
from django.core.checks import CheckMessage, Warning, register  # noqa: A004 - Django's name


class DevserverConfig(AppConfig):  # type: ignore[misc]  # Django has no types
    name = "devserver.django"
    label = "devserver"
    verbose_name = "devserver"

    def ready(self) -> None:
        register(other_runserver)


def other_runserver(**_arguments: object) -> Iterable[CheckMessage]:
    """Does `manage.py runserver` start another app's server? The first in INSTALLED_APPS has the command."""
    from django.core.management import get_commands

    owner = get_commands().get("runserver")
    if owner != DevserverConfig.name and apps.is_installed(str(owner)):
        yield Warning(
            f"python manage.py runserver starts the server of {owner}, not devserver.",
            hint=f'Put "{DevserverConfig.name}" above "{owner}" in INSTALLED_APPS.',
            id="devserver.W001",
        )
