"""The error page as a person meets it: in Chromium, on a real server."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, expect

from tests.e2e.browser import NEEDS_CHROMIUM, Tab, chromium, context, tab
from tests.e2e.harness import DevServer, Serve, write

__all__ = ["chromium", "context", "tab"]
pytestmark = NEEDS_CHROMIUM

SHOP = """
    class Cart:
        def __init__(self, owner):
            self.owner, self.names = owner, []

        def add(self, name, price):
            self.names.append(name)

    class Loud:
        def __repr__(self):
            return "<script>alert('repr')</script>"
"""
APP = """
    import json
    from shop import Cart, Loud

    PRICES = {"shoes": 59}

    def checkout():
        cart, loud, api_key = Cart("ann"), Loud(), "sk-123456"
        for name in ("shoes", "hat"):
            cart.add(name, PRICES[name])

    def evil():
        text = "<img src=x onerror=alert('message')>"
        raise ValueError(text + "<script>alert(1)</script>")

    def deep(left=60):
        texts = {f"t{n}": "x" * 1_000_000 for n in range(3)}
        values = [str(n) * 300 for n in range(30)]
        more, still, again = list(values), list(values), list(values)
        return deep(left - 1) + 1 if left else json.loads("{")

    VIEWS = {"/checkout": checkout, "/evil": evil, "/deep": deep}

    def application(environ, start_response):
        view = VIEWS.get(environ["PATH_INFO"], lambda: None)
        view()
        start_response("200 OK", [("Content-Type", "text/html")])
        return [b"<h1>all is well</h1>"]
"""
FILES = {"app.py": APP, "shop.py": SHOP}


@pytest.fixture
def server(serve: Serve) -> DevServer:
    """One whose files a test may change."""
    return serve(FILES, "app:application")


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    """One for all tests that change nothing."""
    project = tmp_path_factory.mktemp("standing")
    write(project, FILES)
    server = DevServer(project, "app:application")
    yield server
    server.stop()
    assert server.process.stdout is not None
    server.process.stdout.close()


def address(server: DevServer, path: str, host: str = "127.0.0.1") -> str:
    return f"http://{host}:{server.port}{path}"


def pin_of(server: DevServer) -> str:
    return server.wait_for_log(r"PIN of the console in error pages: (\d{3}-\d{3}-\d{3})")[1]


def test_what_is_seen_first(standing: DevServer, tab: Tab) -> None:
    page = tab.open(address(standing, "/checkout"))
    expect(page).to_have_title("KeyError: 'hat'")
    expect(page.locator("h1")).to_have_text("KeyError: 'hat'")
    frame = page.locator(".frame.own").first
    expect(frame.locator(".hit .marked")).to_have_text("PRICES[name]")
    variables = frame.locator(".locals")
    expect(variables).to_contain_text("'hat'")
    expect(variables).to_contain_text("‹hidden›")
    assert "sk-123456" not in variables.inner_text()
    assert tab.hosts == {f"127.0.0.1:{standing.port}"}


def test_frames_open_and_close_by_keyboard(standing: DevServer, tab: Tab) -> None:
    page = tab.open(address(standing, "/checkout"))
    outer = page.locator(".frame.own").nth(1)
    expect(outer.locator(".code")).to_be_visible()
    outer.locator("summary").first.focus()
    page.keyboard.press("Enter")
    expect(outer.locator(".code")).not_to_be_visible()
    page.keyboard.press("Space")
    expect(outer.locator(".code")).to_be_visible()


def test_the_prompt_wants_the_pin_and_sees_the_frame(server: DevServer, tab: Tab) -> None:
    page = tab.open(address(server, "/checkout"))
    frame = page.locator(".frame.own").first
    frame.get_by_role("button", name="Prompt").click()
    pin = frame.get_by_label("PIN from the terminal")
    right = pin_of(server)
    pin.fill("000-000-000" if right != "000-000-000" else "1")
    pin.press("Enter")
    expect(frame.locator(".output")).to_contain_text("9 more may be tried")
    pin.fill(right)
    pin.press("Enter")
    code = frame.get_by_label("Python code")
    for typed, answered in {
        "[*cart.names, name]": "['shoes', 'hat']",
        "loud": "<script>alert('repr')</script>",
        "1 / 0": "ZeroDivisionError: division by zero",
    }.items():
        code.fill(typed)
        code.press("Enter")
        expect(frame.locator(".output")).to_contain_text(answered)
    code.press("ArrowUp")
    expect(code).to_have_value("1 / 0")
    # Other frames, and pages after it, need no PIN again.
    page.reload()
    page.locator(".frame.own").nth(1).get_by_role("button", name="Prompt").click()
    expect(page.get_by_label("Python code")).to_be_visible()
    assert server.log.count("PIN of the console") == 1
    tab.complaints = [one for one in tab.complaints if "status of 40" not in one]  # the wrong PIN


def test_the_grant_outlives_a_restart(server: DevServer, tab: Tab) -> None:
    page = tab.open(address(server, "/checkout"))
    page.get_by_role("button", name="Prompt").first.click()
    page.get_by_label("PIN from the terminal").fill(pin_of(server))
    page.keyboard.press("Enter")
    expect(page.get_by_label("Python code")).to_be_visible()
    server.edit("app.py", APP.replace('"hat"', '"cap"'))
    expect(page.locator("h1")).to_have_text("KeyError: 'cap'")
    page.get_by_role("button", name="Prompt").first.click()
    page.get_by_label("Python code").fill("name")
    page.keyboard.press("Enter")
    expect(page.locator(".output")).to_contain_text("'cap'")
    tab.complaints = [one for one in tab.complaints if "ERR_CONNECTION" not in one and "status of 401" not in one]


@pytest.mark.parametrize("form", ["markdown", "text", "curl"])
def test_copying(standing: DevServer, context: BrowserContext, tab: Tab, form: str) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = tab.open(address(standing, "/checkout?size=9"))
    page.get_by_role("button", name=f"Copy as {form}", exact=False).click()
    expect(page.get_by_role("status")).to_have_text("Copied.")
    copied = page.evaluate("navigator.clipboard.readText()")
    expected = {
        "markdown": r"^## KeyError: 'hat'\n[\s\S]*\n```python\n[\s\S]*\^{12}",
        "text": r"^KeyError: 'hat'\n[\s\S]*> 10 │",
        "curl": r"^curl 'http://127\.0\.0\.1:\d+/checkout\?size=9' ",
    }
    assert re.search(expected[form], copied), copied


def test_copying_where_browsers_have_no_clipboard(serve: Serve, tab: Tab) -> None:
    """Plain http on an address of the network is no secure context."""
    server = serve(FILES, "app:application", "--host", "0.0.0.0")
    tab.page.add_init_script(
        "Object.defineProperty(navigator, 'clipboard', {value: undefined});"
        "document.addEventListener('copy', () => { window.copied = document.activeElement.value; });"
    )
    page = tab.open(address(server, "/checkout"))
    page.get_by_role("button", name="Copy as Markdown").click()
    expect(page.get_by_role("status")).to_have_text("Copied.")
    assert page.evaluate("window.copied").startswith("## KeyError")
    # Others can reach this server: there is no prompt.
    expect(page.get_by_role("button", name="Prompt")).to_have_count(0)


def test_a_frame_is_opened_in_the_editor(serve: Serve, tab: Tab, tmp_path: Path) -> None:
    command = tmp_path / "code"
    command.write_text('#!/bin/sh\nprintf "%s|" "$@" > "$0.part" && mv "$0.part" "$0.arguments"\n')
    command.chmod(0o755)
    server = serve(FILES, "app:application", "--editor", "vscode", env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    page = tab.open(address(server, "/checkout"))
    page.get_by_role("button", name="Open in editor").first.click()
    expect(page.get_by_role("status")).to_contain_text("Asked the editor")
    arguments = tmp_path / "code.arguments"
    server.wait_for(arguments.exists, "the editor")
    assert arguments.read_text() == f"--goto|{server.project}/app.py:10:24|"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1920])
def test_sizes_and_schemes(standing: DevServer, chromium: Browser, scheme: str, width: int) -> None:
    context = chromium.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})  # type: ignore[arg-type]
    tab = Tab(context.new_page())
    page = tab.open(address(standing, "/checkout"))
    page.locator(".more summary").first.click()
    assert tab.overflow() <= 0
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    light = sum(map(int, re.findall(r"\d+", ground)[:3])) / 3
    assert light > 200 if scheme == "light" else light < 60
    found = Axe().run(page)
    serious = [one for one in found.response["violations"] if one["impact"] in ("serious", "critical")]
    assert serious == [], found.generate_report()
    assert tab.complaints == []
    context.close()


def test_nothing_of_an_error_becomes_markup(serve: Serve, tab: Tab) -> None:
    name = "<img src=x onerror=alert(2)>"
    server = serve({**FILES, f"{name}.py": "1 / 0"}, "app:application")
    server.edit(
        "app.py",
        APP.replace("def evil():", f"def evil():\n        import importlib; importlib.import_module({name!r})"),
    )
    tab.page.set_extra_http_headers({"X-Evil": "<script>alert('header')</script>"})
    page = tab.open(address(server, "/evil?<script>alert('path')</script>"))
    expect(page.locator("h1")).to_contain_text("ZeroDivisionError")
    expect(page.locator(".frame.own").first).to_contain_text(name)
    page.locator(".more summary").first.click()
    expect(page.locator(".more")).to_contain_text("alert('header')")
    assert page.locator("img").count() == 0
    server.edit("app.py", APP)
    expect(page.locator("h1")).to_contain_text("<script>alert(1)</script>")
    assert page.locator("img").count() == 0
    tab.complaints = [one for one in tab.complaints if "ERR_CONNECTION" not in one]


def test_variables_that_had_no_room_come_when_they_are_asked_for(standing: DevServer, tab: Tab) -> None:
    page = tab.open(address(standing, "/deep"))
    locals_ = page.locator(".locals[data-unmade]", has_text="6 variables").last
    locals_.evaluate(
        "locals => { for (let at = locals.parentElement; at; at = at.parentElement) at.open = at.tagName === 'DETAILS'; }"
    )
    expect(locals_.locator("tbody tr")).to_have_count(0)
    locals_.locator("summary").click()
    expect(locals_.locator("tbody tr")).to_have_count(6)
    expect(locals_.locator(".unmade")).to_have_text("")


def test_the_page_heals(server: DevServer, tab: Tab) -> None:
    page = tab.open(address(server, "/checkout"))
    server.edit("app.py", APP.replace('("shoes", "hat")', '("shoes",)'))
    expect(page.locator("h1")).to_have_text("all is well")
    tab.complaints = [one for one in tab.complaints if "ERR_CONNECTION" not in one]


def test_without_scripts(standing: DevServer, chromium: Browser) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = Tab(context.new_page()).open(address(standing, "/checkout"))
    expect(page.locator(".frame.own").first).to_contain_text("PRICES[name]")
    expect(page.get_by_role("button")).to_have_count(0)
    context.close()
