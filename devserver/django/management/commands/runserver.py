"""Django's `runserver` by name and options; what serves is `devserver run`, in place of this process."""

from __future__ import annotations

import os
import socket
import sys
from importlib import import_module
from typing import Any, NoReturn

from django.apps import apps
from django.conf import settings
from django.core.management.base import CommandError

from devserver.django.handover import Project, arguments
from devserver.errors import TargetError
from devserver.integrations.django.targets import app_of_settings
from devserver.options import InterfaceChoice

if apps.is_installed("django.contrib.staticfiles"):
    from django.contrib.staticfiles.management.commands.runserver import Command as RunserverCommand
else:
    from django.core.management.commands.runserver import Command as RunserverCommand


class Command(RunserverCommand):  # type: ignore[misc]  # Django has no types
    help = "Starts devserver, a development server that restarts and refreshes by itself."

    def run(self, **options: Any) -> NoReturn:
        """Called by `handle`, which has parsed the address."""
        port = self.port if options["addrport"] else ""
        host = self._host(port) if self._names_host(options) else ""
        try:
            module, attribute, is_factory = app_of_settings(InterfaceChoice.AUTO)
        except TargetError as error:
            raise CommandError(f"{error}; {error.hint}") from None
        name = settings.SETTINGS_MODULE
        project = Project(
            sys.argv[0], name, str(import_module(name).__file__), f"{module}:{attribute}", is_factory=is_factory
        )
        # What only this process has in its sys.path: what Django was told to put there, and the folder of the script.
        folders = [options.get("pythonpath"), project.script_folder, os.environ.get("PYTHONPATH")]
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, folders))
        command = [sys.executable, *_interpreter_flags(), "-m", "devserver", "run"]
        self.stdout.flush()
        self.stderr.flush()
        os.execv(sys.executable, [*command, *arguments(options, host, port, project)])

    def _names_host(self, options: dict[str, Any]) -> bool:
        return bool(options["use_ipv6"]) or ":" in (options["addrport"] or "")

    def _host(self, port: str) -> str:
        """The address as devserver takes it. A name that is to be an IPv6 address is looked up here."""
        if self.addr == "0":
            return "0.0.0.0"
        if self.use_ipv6 and not self._raw_ipv6:
            try:
                found = socket.getaddrinfo(self.addr, port, socket.AF_INET6, socket.SOCK_STREAM)
            except OSError as error:
                raise CommandError(f'"{self.addr}" has no IPv6 address: {error.strerror or error}') from None
            return str(found[0][4][0])
        return str(self.addr)


def _interpreter_flags() -> list[str]:
    """-O, -W and -X of this interpreter."""
    options = [key if value is True else f"{key}={value}" for key, value in sys._xoptions.items()]
    optimize = ["-" + "O" * sys.flags.optimize] if sys.flags.optimize else []
    return optimize + [f"-W{one}" for one in sys.warnoptions] + [f"-X{one}" for one in options]
