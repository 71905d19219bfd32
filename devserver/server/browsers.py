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
from devserver.server.integration import Integrated, StaticMount
from devserver.server.web import browser_errors
from devserver.server.web.browser_errors import BrowserErrors
from devserver.server.web.client import Edition, client_tag
from devserver.server.web.lines import LineWriter
from devserver.server.web.livereload import LiveReload
from devserver.server.web.sent_files import SentFiles


class Browsers:
    """`send` is the way to the supervisor, `record` notes that a static file was sent. `lines` is set, once there is a loop, by who
    owns this."""

    def __init__(self, configure: Configure, send: Callable[..., None], record: Callable[[str], None]) -> None:
        self._options = configure.options
        self._send = send
        self._record = record
        self._sent = SentFiles()
        self._template_roots: tuple[str, ...] = ()
        self.edition = Edition()
        """Of what is answered now."""
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
        self._record(str(path))

    def refreshed(self, paths: Sequence[str], number: int) -> None:
        """Nothing of these files is cached any more: browsers may ask for them. What is answered from now on has seen it."""
        self.edition = Edition(self.edition.run, number)
        urls = {path: self._sent.urls_of(path) for path in paths}
        known = dict.fromkeys(url for each in urls.values() for url in each)
        page = not all(urls.values()) or any(f"{path}/".startswith(self._template_roots) for path in paths)
        self._send(FilesRefreshed(tuple(known), page, number))

    def following(self, app: ASGIApp, integrated: Integrated, mounts: Sequence[StaticMount]) -> ASGIApp:
        """`app`, with the client in its pages; `app` itself without live reload.

        Of files below `mounts` the static handler tells.
        """
        if not (self._options.livereload and self._options.reload):
            return app
        self._sent.roots = tuple(map(str, integrated.static_roots))
        self._template_roots = tuple(f"{root}/" for root in integrated.template_roots)
        self._sent.mounts = tuple(mounts)
        return LiveReload(app, tag=self._tag, files=self, notice=self._notice_once)

    def _tag(self, nonce: str, *, is_repeatable: bool) -> str:
        return client_tag(self.edition, nonce, is_repeatable=is_repeatable)

    def _notice_once(self, text: str) -> None:
        self._send(Noticed(text, once=True))

    def about_to_send(self, url: str) -> bool:
        """Whether the app is asked for a static file, which is signed before it is read."""
        if any(url.startswith(mount.url) for mount in self._sent.mounts):  # told in a thread, when it is sent
            return False
        if file := self._sent.about_to_send(url):
            self._record(file)  # as the static handler's files: a change of it refreshes browsers
        return bool(file)

    def answered(self, url: str) -> None:
        self._sent.answered(url)

    def missed(self, url: str) -> None:
        """What is asked for by this path of a URL is not there. Should it be made, whoever shows the gap wants to know."""
        for file in self._sent.missed(url):
            self._record(file)
