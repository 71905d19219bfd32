"""What `runserver` would serve at STATIC_URL, found by the project's own finders."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from devserver.options import StaticChoice
from devserver.server.integration import StaticMount


def static_files(choice: StaticChoice) -> tuple[StaticMount | None, tuple[Path, ...], tuple[str, ...]]:
    """What runserver would serve: mount, folders, notices. Never is its --nostatic, always its --insecure."""
    from django.apps import apps
    from django.conf import settings

    if choice is StaticChoice.NEVER or not apps.is_installed("django.contrib.staticfiles"):
        return None, (), ()
    if choice is StaticChoice.AUTO and apps.is_installed("whitenoise.runserver_nostatic"):
        return None, (), ()
    if choice is StaticChoice.AUTO and not settings.DEBUG:
        if any(one.startswith("whitenoise.") for one in settings.MIDDLEWARE):
            return None, (), ()
        return None, (), ("DEBUG is False: static files are not served (--static-files always does)",)
    from django.contrib.staticfiles.utils import check_settings
    from django.core.exceptions import ImproperlyConfigured

    try:
        check_settings()
    except ImproperlyConfigured as error:
        return None, (), (f"static files are not served: {error}",)
    url = urlsplit(settings.STATIC_URL)
    if url.netloc:  # another server's
        return None, (), ()
    roots = tuple(_finders_folders())
    return StaticMount(url.path.rstrip("/") + "/", roots=roots, find=_finder()), roots, ()


def _finders_folders() -> Iterator[Path]:
    from django.contrib.staticfiles.finders import get_finders

    for finder in get_finders():
        for storage in getattr(finder, "storages", {}).values():
            yield Path(storage.location)


def _finder() -> Callable[[str], Path | None]:
    from django.contrib.staticfiles.finders import find
    from django.core.exceptions import SuspiciousFileOperation

    def find_static(path: str) -> Path | None:
        """`django.contrib.staticfiles.views.serve`, up to the file."""
        try:
            found = find(posixpath.normpath(path).lstrip("/"))
            return Path(found) if found and Path(found).is_file() else None
        except (SuspiciousFileOperation, ValueError):  # outside of the folders; a NUL
            return None

    return find_static
