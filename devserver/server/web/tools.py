"""What a page about an error can do beside showing it. Plain data; runs in the server."""

from __future__ import annotations

from devserver.record import Record


class Tools(Record):
    """For one client and one error. `token` is what the page sends with all that acts: who may not act gets none."""

    token: str = ""
    editor: bool = False
    console: bool = False
    framework: str = ""  # whose own page about the error is kept; "" for none


NO_TOOLS = Tools()
