"""From a save to the new state painted, in headless Chromium, as a person at the page sees it."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Error, Page, sync_playwright

from tests.benchmarks import projects, servers
from tests.benchmarks.projects import Project
from tests.benchmarks.report import Better, Measure, Sample
from tests.benchmarks.servers import Case, Server
from tests.e2e.browser import CHROMIUM, arguments

PAINTED: Final = Measure(
    "painted",
    "From a save to the new state painted in the browser",
    "ms",
    Better.LOWER,
    "Headless Chromium shows the page. A constant in the view, or a colour in the style sheet, is changed 1 to 2 s after the "
    "change before. The time runs from just before the write to the frame after the one that first shows it (60 a second).",
)
ANSWERED: Final = Measure(
    "answered",
    "Of that: until the answer began to arrive",
    "ms",
    Better.LOWER,
    "The part of the server and of the word to the browser: from the write to the first byte of the new page, or of the new style "
    "sheet. The rest is the browser's.",
)
DEADLINE_S: Final = 5.0
_POLL_S: Final = 0.02
_WATCH: Final = """(() => {
  const seen = (window.seenAt = {});
  const frame = () => {
    const heading = document.querySelector("h1");
    if (heading) {
      const state = heading.textContent.trim() + " " + getComputedStyle(document.body).outlineColor;
      if (!(state in seen)) {
        seen[state] = 0;
        requestAnimationFrame(() => (seen[state] = performance.timeOrigin + performance.now()));
      }
    }
    requestAnimationFrame(frame);
  };
  frame();
})();"""
_PAINTED_AT: Final = "wanted => Object.entries(window.seenAt).find(([state]) => state.includes(wanted))?.[1]"
_ARRIVED_AT: Final = """sheet => {
  const entries = performance.getEntriesByType(sheet ? "resource" : "navigation").filter(({ name }) => name.includes(sheet));
  return performance.timeOrigin + entries.at(-1).responseStart;
}"""


@dataclass(frozen=True, slots=True)
class Contest:
    """One kind of save. The new page, or the style sheet with this name, is what the answer is."""

    name: str
    sheet: str  # its file name; "" for a save of the view
    contenders: tuple[tuple[Server, Project], ...]


_OURS: Final = (servers.ours(servers.DJANGO_WSGI), projects.DJANGO)
_RUNSERVER: Final = (
    Server("runserver + django-browser-reload", "python manage.py runserver 127.0.0.1:{port}"),
    projects.DJANGO_BROWSER_RELOAD,
)
_VITE: Final = (Server("vite", "vite --host 127.0.0.1 --port {port} --strictPort"), projects.PAGE)
CONTESTS: Final = (
    Contest("Small Django project, its view", "", (_OURS, _RUNSERVER)),
    Contest("A style sheet", "notes.css", (_OURS, _RUNSERVER, _VITE)),
)


def is_available() -> bool:
    return CHROMIUM is not None


def measure(rounds: int, only: frozenset[str]) -> Iterator[Sample]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments())
        for contest in CONTESTS:
            yield from _contest(chromium, contest, rounds, only)
        chromium.close()


def _contest(chromium: Browser, contest: Contest, rounds: int, only: frozenset[str]) -> Iterator[Sample]:
    pauses = random.Random(1)
    with ExitStack() as stack:
        shown: list[tuple[Server, Project, Path, Page]] = []
        for server, project in contest.contenders:
            if (only and server.name.split()[0] not in only) or not servers.is_installed(server):
                continue
            folders = stack.enter_context(servers.folders(Case(project, (server,))))
            up = stack.enter_context(servers.serving(server, folders[server]))
            up.wait_until_up()
            page = stack.enter_context(chromium.new_context()).new_page()
            page.add_init_script(_WATCH)
            page.goto(f"http://127.0.0.1:{up.port}/")
            shown.append((server, project, folders[server], page))
        for number in range(1, rounds + 1):
            for server, project, folder, page in shown[number % len(shown) :] + shown[: number % len(shown)]:
                time.sleep(pauses.uniform(1.0, 2.0))
                painted, answered = _time_save(contest, project, folder, page, number)
                yield Sample(PAINTED.key, contest.name, server.name, painted)
                yield Sample(ANSWERED.key, contest.name, server.name, answered)


def _time_save(
    contest: Contest, project: Project, folder: Path, page: Page, number: int
) -> tuple[float | None, float | None]:
    """Milliseconds until it was painted and until the answer began; None after the deadline."""
    saved = time.time()
    if contest.sheet:
        project.edit_sheet(folder, number)
        expected = f"rgb(1, 2, {number})"
    else:
        project.edit(folder, f"round {number}")
        expected = f"round {number} "
    while time.time() - saved < DEADLINE_S:
        time.sleep(_POLL_S)  # seldom enough not to be in the way of what is measured
        try:
            if painted := page.evaluate(_PAINTED_AT, expected):
                arrived = page.evaluate(_ARRIVED_AT, contest.sheet)
                return painted - saved * 1000, arrived - saved * 1000
        except Error:  # it is loading again at this very moment
            continue
    return None, None
