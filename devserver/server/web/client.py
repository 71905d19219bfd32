"""The client in pages (`assets/client.js`): its address and its tag. Runs in the server."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from devserver.server.web.access import PREFIX

CLIENT = "client.js"
OPT_OUT_HEADER = "x-devserver-livereload"
"""With the value `off` a response stays as it is. Our own pages, which hold the client already, say so too."""
_PATH = Path(__file__).parent / "assets" / CLIENT
_NONCE = re.compile(r"[A-Za-z0-9+/_-]+=*")
_SPACES = re.compile(r"""("[^"]*"|`[^`]*`)| *([^\w\s"`]) *""")  # around signs, where they say nothing; not in strings


@cache
def client_source() -> str:
    """As it is sent: without comments on lines of their own, indentation, and spaces and ends of lines that say nothing."""
    lines = [line.strip() for line in _PATH.read_text("utf-8").splitlines()]
    code = (_SPACES.sub(r"\1\2", line) for line in lines if line and not line.startswith("//"))
    return "".join(line if line[-1] in "{;,(" else f"{line}\n" for line in code)


@cache
def client_url() -> str:
    """Another one for each version, so that browsers may keep it."""
    version = hashlib.sha256(client_source().encode()).hexdigest()[:12]
    return f"{PREFIX}{CLIENT}?v={version}"


class Edition(NamedTuple):
    """By what a page knows whether it is the newest."""

    run: int = 0  # the number of the server that made it
    seen: int = 0  # how many refreshes there had been


def client_tag(edition: Edition, nonce: str = "", *, is_repeatable: bool = True) -> str:
    """The tag of the client in a page. ASCII.

    A page that is not `is_repeatable`, the answer to a form, does not load itself again: a person is asked.
    """
    said = f' nonce="{nonce}"' if _NONCE.fullmatch(nonce) else ""
    ask = "" if is_repeatable else " data-ask"
    return f'<script src="{client_url()}"{said} data-run="{edition.run}" data-seen="{edition.seen}"{ask}></script>'
