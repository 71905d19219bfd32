"""Where templates and catalogs lie, and what is forgotten of them when one is edited."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path


def forget(paths: Sequence[Path]) -> None:
    """The next request sees these, which may be templates or catalogs, as they are now."""
    if "django.template" not in sys.modules:
        return
    from django.template import autoreload
    from django.utils.translation.reloader import translation_file_changed

    for path in paths:
        translation_file_changed(sender=None, file_path=path)  # looks at catalogs (.mo) alone
    if any(path.suffix != ".mo" for path in paths):
        autoreload.reset_loaders()
        _reset_form_renderer()


def _reset_form_renderer() -> None:
    """Django does so itself from 5.0 on."""
    from django.forms.renderers import get_default_renderer

    backend = getattr(get_default_renderer(), "engine", None)
    for loader in getattr(getattr(backend, "engine", None), "template_loaders", ()):
        loader.reset()


def template_folders() -> Iterator[Path]:
    """Builds every template engine; the folders in which they look, Django's own aside."""
    from django.template import engines
    from django.utils.autoreload import is_django_path

    for backend in engines.all():
        engine = getattr(backend, "engine", None)
        getattr(engine, "template_context_processors", None)  # imports them
        loaders = getattr(engine, "template_loaders", ())
        inner = [one for loader in loaders for one in getattr(loader, "loaders", (loader,))]
        folders = [
            *backend.template_dirs,
            *(folder for one in inner if hasattr(one, "get_dirs") for folder in one.get_dirs()),
        ]
        for folder in folders:
            path = Path(folder).absolute()
            if not is_django_path(path):
                yield path


def catalog_folders() -> Iterator[Path]:
    """Where catalogs of the project's and its apps' may lie. Looks for all that are there: the first request of a language
    asks for its own once, and nobody would see one that is compiled later."""
    from django.apps import apps
    from django.conf import settings
    from django.utils.autoreload import is_django_path

    if not settings.USE_I18N:
        return
    for folder in (*settings.LOCALE_PATHS, *(Path(app.path) / "locale" for app in apps.get_app_configs())):
        path = Path(folder).absolute()
        if not is_django_path(path):
            for _ in path.glob("*/LC_MESSAGES/*.mo"):
                pass
            if path.is_dir():
                yield path
