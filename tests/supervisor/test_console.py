"""What the console may write to a stream."""

from __future__ import annotations

import socket

import pytest

from devserver.options import ColorChoice
from devserver.supervisor.console import _style


@pytest.fixture(autouse=True)
def kitty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that shows links, on this machine."""
    monkeypatch.setenv("TERM", "xterm-kitty")
    for name in ("FORCE_COLOR", "FORCE_HYPERLINK", "INSIDE_EMACS", "NO_COLOR", "SSH_CONNECTION", "SSH_TTY", "TMUX"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("choice", "is_terminal", "color", "links"),
    [
        (ColorChoice.AUTO, True, True, True),
        (ColorChoice.AUTO, False, False, False),
        (ColorChoice.ALWAYS, False, True, False),
        (ColorChoice.NEVER, True, False, False),
    ],
)
def test_links_are_for_terminals_that_may_have_colour(
    choice: ColorChoice, is_terminal: bool, color: bool, links: bool
) -> None:
    style = _style(choice, is_terminal=is_terminal)
    assert (style.color, style.links) == (color, links)


def test_no_escape_sequence_in_a_file_by_any_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_HYPERLINK", "1")
    style = _style(ColorChoice.AUTO, is_terminal=False)
    assert (style.color, style.links) == (False, False)


def test_over_ssh_links_name_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _style(ColorChoice.AUTO, is_terminal=True).link_host == ""
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.1 5 10.0.0.2 22")
    assert _style(ColorChoice.AUTO, is_terminal=True).link_host == socket.gethostname()
