"""A real browser for what a person sees: Chromium, without a screen, driven by Playwright.

It is Debian's package (`make test` installs it where it may); Playwright brings a driver only. What any page of a test complains of
in its console, and which hosts it asks, is noted.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

DEADLINE_MS = 20_000
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
expect.set_options(timeout=DEADLINE_MS)
NEEDS_CHROMIUM = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: `make test` installs Debian's where it may")


@dataclass(slots=True)
class Tab:
    """One page, and what was wrong with it."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(DEADLINE_MS)
        self.page.on("console", lambda message: self._complain(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        self.page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))

    def _complain(self, text: str) -> None:
        if "the server responded with a status of 500" not in text:  # the page itself
            self.complaints.append(text)

    def open(self, url: str) -> Page:
        self.page.goto(url)
        return self.page

    def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


def arguments() -> list[str]:
    """A root may not have Chromium's sandbox; in small containers /dev/shm is too small."""
    return ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for the tests of a module."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments())
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context()
    yield context
    context.close()


@pytest.fixture
def tab(context: BrowserContext) -> Iterator[Tab]:
    """A page of a fresh profile, which may complain of nothing."""
    tab = Tab(context.new_page())
    yield tab
    assert not tab.complaints, f"the browser complains: {tab.complaints}"
