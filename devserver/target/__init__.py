"""What to run, as plain data: found by `lookup` in the supervisor, told to the root."""

from __future__ import annotations

from enum import StrEnum

from devserver.record import Record


class TargetKind(StrEnum):
    MODULE = "module"  # import `module`, take `attribute`
    DJANGO = "django"  # a manage.py: the settings module in `module` names the application
    FOLDER = "folder"  # serve the files of `path`


class Target(Record):
    kind: TargetKind
    label: str  # as the user would write it: `mysite.wsgi:application`
    path: str  # absolute: the file it was found in, or the folder to serve; "" if the module was not found as a file
    app_dir: str  # absolute: goes to the front of sys.path
    module: str = ""  # dotted name
    attribute: str = ""  # dotted expression; "" searches application, app, create_app, make_app
    call: bool = False  # the attribute is a factory to be called
    call_arguments: str = ""  # source of literal arguments of the call, "" for none
    reason: str = ""  # why it was chosen, when the user did not say: one clause for the terminal
