"""What this server has to do with browsers beside answering: who they are to hear from, what they show, what they say.

Runs in the server process, on its loop. The supervisor tells them of changes (`supervisor/browsers.py`); here their connections are
handed over to it, and files are turned into the addresses by which they know them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from devserver.messages import Configure, FilesRefreshed, Noticed, StreamOpened
from devserver.server.asgi import ASGIApp
from devserver.server.web import browser_errors
from devserver.server.web.browser_errors import BrowserErrors
from devserver.server.web.lines import LineWriter
from devserver.server.web.livereload import LiveReload
from devserver.server.web.sent_files import SentFiles


class Browsers:
    """`send` is the way to the supervisor. `lines` is set, once there is a loop, by who owns this."""

    def __init__(self, configure: Configure, send: Callable[..., None]) -> None:
        self._options = configure.options
        self._send = send
        self._sent = SentFiles()
        self._errors = BrowserErrors(configure.style, self._sent.file_of)
        self.lines: LineWriter | None = None

    def stream_opened(self, fd: int) -> None:
        """A browser wants to hear of changes. Takes the descriptor of its connection over."""
        self._send(StreamOpened(), [fd])

    def said(self, body: bytes, client: str) -> None:
        """A page at `client`'s tells of an error."""
        said = browser_errors.parse(body) if self._options.browser_errors else None
        text = self._errors.line(said, client, time.monotonic()) if said else ""
        if text and self.lines is not None:
            self.lines.write(text)

    def static_sent(self, path: Path, url: str) -> None:
        """The static handler has sent this file. From any thread."""
        self._sent.sent(path, url)

    def refreshed(self, paths: Sequence[str]) -> None:
        """Nothing of these files is cached any more: browsers may ask for them."""
        urls = {path: self._sent.urls_of(path) for path in paths}
        known = dict.fromkeys(url for each in urls.values() for url in each)
        self._send(FilesRefreshed(tuple(known), not all(urls.values())))

    def following(self, app: ASGIApp, run: int) -> ASGIApp:
        """`app`, with the client in its pages, which then are of the server with this number; `app` itself without live reload."""
        if not (self._options.livereload and self._options.reload):
            return app
        return LiveReload(
            app,
            run=run,
            sent=self._sent,
            notice=lambda text: self._send(Noticed(text, once=True)),
            is_quiet=not self._options.browser_errors,
        )
