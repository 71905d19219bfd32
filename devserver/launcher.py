"""The process that opens an editor, one for each time that a person asks for it.

The supervisor adopts and at its end kills all that is below it, and an editor has to outlive it. So this process stands between:
the supervisor spares it and what is below it; as a subreaper it adopts what the editor's command leaves behind. It goes when
nothing is left below it, or when the supervisor has gone; what is left belongs to init then. Rule that holds: it says one
line, once it is known whether the editor came up.
"""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from typing import assert_never

from devserver import editors, processes
from devserver.channel import Channel
from devserver.lastwords import describe_status
from devserver.messages import LaunchEditor, Noticed
from devserver.source import display_path
from devserver.terminal import escape_control

QUICK_S = 2.0
"""An editor that runs so long has come up; one that ends with an error before that has not."""


def main() -> None:
    """Carry out the one order of the supervisor."""
    processes.become_subreaper()
    os.set_inheritable(processes.CHANNEL_FD, False)
    channel = Channel(socket.socket(fileno=processes.CHANNEL_FD))
    order = _receive_order(channel)
    if order is None:
        return
    label = f"{escape_control(display_path(order.path))}:{order.line}"
    outcome = editors.plan(order.editor, editors.Place(order.path, order.line, order.column), editors.look_around())
    match outcome:
        case editors.Launch():
            _launch(outcome, label, channel)
        case editors.NeedsTerminal(editor=editor, command=command):
            channel.send(Noticed(f"{editor} needs a terminal of its own; in another one:  {command}"))
        case editors.Unavailable(reason=reason):
            channel.send(_not_opened(label, reason))
        case _:
            assert_never(outcome)


def _receive_order(channel: Channel) -> LaunchEditor | None:
    while not channel.closed:
        channel.readable(None)
        for message, _fds in channel.receive():
            assert isinstance(message, LaunchEditor), message
            return message
    return None


def _launch(launch: editors.Launch, label: str, channel: Channel) -> None:
    devnull = subprocess.DEVNULL
    try:
        process = subprocess.Popen(launch.argv, stdin=devnull, stdout=devnull, stderr=devnull, start_new_session=True)
    except OSError as error:
        channel.send(_not_opened(label, f"{launch.argv[0]}: {error.strerror}"))
        return
    threading.Thread(target=_end_with_supervisor, args=(channel,), daemon=True).start()
    try:
        status = process.wait(QUICK_S)
    except subprocess.TimeoutExpired:
        status = 0
    if status:
        channel.send(_not_opened(label, f"{launch.editor} {'was ' if status < 0 else ''}{describe_status(status)}"))
    else:
        channel.send(Noticed(f"opened {label} in {launch.editor}"))
    _wait_for_all()


def _not_opened(label: str, reason: str) -> Noticed:
    return Noticed(f"{label} was not opened: {reason}", warning=True)


def _end_with_supervisor(channel: Channel) -> None:
    while not channel.closed:
        channel.readable(None)
        channel.receive()
    os._exit(0)


def _wait_for_all() -> None:
    """Reap the editor, and what its command left behind, as they end."""
    try:
        while True:
            os.wait()
    except ChildProcessError:
        pass


if __name__ == "__main__":
    main()
