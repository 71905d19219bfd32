"""The browser follows: each framework, in Chromium, on a real server."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from tests.e2e import live_sites
from tests.e2e.browser import NEEDS_CHROMIUM, Tab, chromium, context, tab
from tests.e2e.harness import DevServer, Serve, write
from tests.e2e.live_sites import IMAGE, PAGES, STATIC, address, arguments, needs_code, project, save
from tests.e2e.test_reload_frameworks import DJANGO

__all__ = ["chromium", "context", "tab"]
pytestmark = [NEEDS_CHROMIUM, pytest.mark.e2e]

PAGE = """<!doctype html>
<html><head><meta charset="utf-8"><title>site</title><link rel="icon" href="data:,">
<link rel="stylesheet" href="/static/site.css"></head>
<body><h1 id="code">TEXT</h1><p id="template">template one</p><img id="image" src="/static/image.svg?v=1" alt=""></body></html>
"""
CSS = "h1 { color: rgb(1, 1, 1) }"


@dataclass(frozen=True)
class Site:
    """The same site, by one framework. `code` is the file that says TEXT, "" if there is none."""

    files: Mapping[str, str]
    arguments: tuple[str, ...]
    code: str
    template: str = "templates/page.html"
    static: str = "static"


def django(interface: str) -> Site:
    files = {
        **DJANGO,
        "site_one/settings.py": DJANGO["site_one/settings.py"].replace(
            '["blog"]', '["django.contrib.staticfiles", "blog"]\n    STATIC_URL = "/static/"'
        ),
        "blog/views.py": """
            from django.shortcuts import render

            def index(request):
                return render(request, "blog/page.html", {"text": "one"})
            hello = index
        """,
        "blog/templates/blog/page.html": PAGE.replace("TEXT", "{{ text }}"),
    }
    return Site(
        files,
        (f"site_one.{interface}:application",),
        "blog/views.py",
        "blog/templates/blog/page.html",
        "blog/static",
    )


FLASK = """
    from flask import Flask, render_template
    app = Flask(__name__)

    @app.get("/")
    def index():
        return render_template("page.html", text="one")
"""
FASTAPI = """
    from fastapi import FastAPI, Request
    from fastapi.staticfiles import StaticFiles
    from fastapi.templating import Jinja2Templates
    app = FastAPI()
    app.mount("/static", StaticFiles(directory="static"))
    templates = Jinja2Templates("templates")

    @app.get("/")
    async def index(request: Request):
        return templates.TemplateResponse(request, "page.html", {"text": "one"})
"""
JINJA = {"templates/page.html": PAGE.replace("TEXT", "{{ text }}")}
SITES = {
    "Django": django("wsgi"),
    "Django, ASGI": django("asgi"),
    "Flask": Site({**JINJA, "app.py": FLASK}, ("app:app",), "app.py"),
    "FastAPI": Site({**JINJA, "app.py": FASTAPI}, ("app:app",), "app.py"),
    "files": Site({"index.html": PAGE.replace("TEXT", "one")}, (".",), "", "index.html"),
}


def mark(page: Page) -> None:
    """Remember this very document."""
    page.evaluate("window.marked = true")


def follow(server: DevServer) -> None:
    """Wait until the page hears of changes; one that has missed one loads again."""
    server.wait_for(lambda: server.streams() == 1, "the stream of the page")


def loaded(server: DevServer, path: str, times: int) -> None:
    """So often and no more: the log comes a moment after the page."""
    line = f"GET {urlsplit(address(server, path)).path}  200"
    server.wait_for(lambda: server.log.count(line) >= times, f"{times} × {line}")
    assert server.log.count(line) == times


def is_marked(page: Page) -> bool:
    return bool(page.evaluate("window.marked === true"))


def forgive(tab: Tab) -> None:
    """What Chromium says of answers that are errors (a broken app is asked for its style sheet), and of a server that is gone."""
    said = ("Failed to load resource", "Refused to apply style")
    tab.complaints = [one for one in tab.complaints if not any(words in one for words in said)]


@pytest.mark.parametrize("name", list(SITES))
def test_the_page_follows(serve: Serve, tab: Tab, name: str) -> None:
    site = SITES[name]
    static = {f"{site.static}/site.css": CSS, f"{site.static}/image.svg": IMAGE}
    server = serve({**site.files, **static}, *site.arguments)
    page = tab.open(address(server))
    heading = page.locator("#code")
    expect(heading).to_have_css("color", "rgb(1, 1, 1)")

    follow(server)
    mark(page)
    server.edit(f"{site.static}/site.css", CSS.replace("1, 1, 1", "2, 2, 2"))
    expect(heading).to_have_css("color", "rgb(2, 2, 2)")
    server.edit(f"{site.static}/image.svg", IMAGE.replace('width="10"', 'width="30"'))
    expect(page.locator("#image")).to_have_js_property("naturalWidth", 30)
    assert is_marked(page), "style sheets and images are exchanged in the page"

    server.edit(site.template, site.files[site.template].replace("template one", "template two"))
    expect(page.locator("#template")).to_have_text("template two")
    assert not is_marked(page)
    if site.code:
        source = site.files[site.code]
        server.edit(site.code, source.replace('"one"', '"two"'))
        expect(heading).to_have_text("two")
        server.edit(site.code, source.replace('"one"', '"three'))
        expect(page.locator("h1")).to_contain_text("SyntaxError")
        server.edit(site.code, source.replace('"one"', '"four"'))
        expect(heading).to_have_text("four")
        # The new server knows what the page shows, although it was asked for nothing but whether that is still the same.
        server.edit(f"{site.static}/site.css", CSS.replace("1, 1, 1", "3, 3, 3"))
        expect(heading).to_have_css("color", "rgb(3, 3, 3)")
    forgive(tab)


# --- one site, by every framework: `live_sites.py` ---


@pytest.fixture(params=live_sites.SITES)
def plain(serve: Serve, request: pytest.FixtureRequest) -> DevServer:
    site: str = request.param
    return serve(project(site), *arguments(site))


def see(page: Page, version: int) -> None:
    expect(page.locator("h1")).to_have_text(f"version {version}")


def test_what_a_person_did_survives(plain: DevServer, tab: Tab) -> None:
    page = tab.open(address(plain, "/fields"))
    page.locator("#name").fill("typed")
    page.locator("#secret").fill("secret")
    page.locator("#agree").check()
    page.locator("#choice").select_option("b")
    page.locator("#more").fill("a\nlonger text")
    page.evaluate("""() => {
        document.getElementById("more").setSelectionRange(2, 5);
        document.getElementById("inner").scrollTop = 77;
        scrollTo(0, 600);
    }""")
    save(plain, 2)
    see(page, 2)
    expect(page.locator("#name")).to_have_value("typed")
    expect(page.locator("#more")).to_have_value("a\nlonger text")
    expect(page.locator("#agree")).to_be_checked()
    expect(page.locator("#choice")).to_have_value("b")
    expect(page.locator("#secret")).to_have_value("")
    expect(page.locator("#more")).to_be_focused()
    assert page.evaluate("document.getElementById('more').selectionStart") == 2
    assert page.evaluate("document.getElementById('inner').scrollTop") == 77
    page.wait_for_function("scrollY === 600")
    assert "secret" not in page.evaluate("JSON.stringify(sessionStorage)")
    # What the server says otherwise now is the newer word.
    says = PAGES["/fields"].replace("<input id=name name=name>", "<input id=name name=name value=new>")
    save(plain, 3, pages={**PAGES, "/fields": says})
    see(page, 3)
    expect(page.locator("#name")).to_have_value("new")
    expect(page.locator("#more")).to_have_value("a\nlonger text")


def test_what_a_person_did_survives_an_error(plain: DevServer, tab: Tab) -> None:
    """The page of the error in between has nothing to put the text into, and scrolls by itself."""
    needs_code(plain)
    page = tab.open(address(plain, "/fields"))
    page.locator("#more").fill("a long text")
    page.evaluate("scrollTo(0, 600)")
    for version in (2, 3):
        plain.edit("app.py", f"1 / 0  # {version}")
        expect(page.locator("h1")).to_contain_text("ZeroDivisionError")
        save(plain, version)
        see(page, version)
        expect(page.locator("#more")).to_have_value("a long text")
        expect(page.locator("#more")).to_be_focused()
        page.wait_for_function("scrollY === 600")


def test_fields_are_found_again_where_others_come_and_go(plain: DevServer, tab: Tab) -> None:
    form = (
        "<form>{more}<input type=radio name=size value=s><input type=radio name=size value=m>"
        "<input name=title>{optional}<select id=many multiple><option>a<option>b<option>c</select>"
        "<details id=details><summary>s</summary>d</details></form>"
    )

    def put(version: int, **parts: str) -> None:
        page = PAGES["/fields"].partition("<form>")[0] + form.format(**{"more": "", "optional": "", **parts})
        save(plain, version, pages={**PAGES, "/fields": page})

    optional = "<textarea name=optional></textarea>"
    put(2, optional=optional)
    page = tab.open(address(plain, "/fields"))
    see(page, 2)
    page.locator("[name=title]").fill("title")
    page.locator("[name=optional]").fill("optional")
    page.locator("[value=m]").check()
    page.locator("#many").select_option(["a", "c"])
    page.locator("summary").click()
    more = "<input name=new><textarea name=other></textarea><input type=radio name=size value=xs>"
    put(3, more=more)
    see(page, 3)
    expect(page.locator("[name=title]")).to_have_value("title")
    expect(page.locator("[name=new]")).to_have_value("")
    expect(page.locator("[name=other]")).to_have_value("")
    expect(page.locator("[value=m]")).to_be_checked()
    expect(page.locator("#many")).to_have_values(["a", "c"])
    expect(page.locator("#details")).to_have_js_property("open", True)
    put(4, more=more, optional=optional)
    see(page, 4)
    expect(page.locator("[name=optional]")).to_have_value("optional")


def test_what_is_typed_in_a_frame_survives(plain: DevServer, tab: Tab) -> None:
    page = tab.open(address(plain, "/framed-fields"))
    inner = page.frame_locator("iframe")
    inner.locator("#more").fill("inner")
    page.locator("#name").fill("outer")
    save(plain, 2)
    see(page, 2)
    expect(page.locator("#name")).to_have_value("outer")
    expect(inner.locator("h1")).to_have_text("version 2")
    expect(inner.locator("#more")).to_have_value("inner")


def test_what_is_typed_until_the_new_page_comes_survives(plain: DevServer, tab: Tab) -> None:
    needs_code(plain)
    page = tab.open(address(plain, "/waits"))
    page.locator("#name").focus()
    save(plain, 2)
    plain.wait_for_log("slow begins")
    page.keyboard.type("typed meanwhile")
    (plain.project / "go").touch()
    see(page, 2)
    expect(page.locator("#name")).to_have_value("typed meanwhile")


def test_what_is_typed_into_a_page_that_is_still_coming_survives(serve: Serve, tab: Tab) -> None:
    source = """
        import os, time
        def application(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/html")])
            yield b"<!doctype html><link rel=icon href=data:,><h1>version 1</h1><input id=first><input id=second>"
            while not os.path.exists("go"):
                time.sleep(0.01)
            yield b"<p>end"
    """
    server = serve({"app.py": source}, "app:application", "--grace", "0.1")
    page = tab.page
    page.goto(address(server), wait_until="commit")
    for version, name in ((2, "first"), (3, "second")):
        page.locator(f"#{name}").fill(name)
        server.edit("app.py", source.replace("version 1", f"version {version}"))
        see(page, version)
    (server.project / "go").touch()
    expect(page.locator("p")).to_have_text("end")
    expect(page.locator("#first")).to_have_value("first")
    expect(page.locator("#second")).to_have_value("second")
    tab.complaints.clear()


def test_images_wherever_they_are_used(plain: DevServer, tab: Tab) -> None:
    page = tab.open(address(plain, "/images"))
    follow(plain)
    mark(page)
    seen = """() => [
        ...[...document.querySelectorAll("i")].map((one) => getComputedStyle(one).backgroundImage),
        document.querySelector("object").data,
    ]"""
    before = page.evaluate(seen)
    plain.edit("static/image.svg", IMAGE.replace("10", "20"))
    page.wait_for_function(f"before => ({seen})().every((url, at) => url !== before[at])", arg=before)
    assert is_marked(page)


def test_of_two_exchanges_the_last_one_stays(plain: DevServer, tab: Tab) -> None:
    """The first one is answered after the second one, or never."""
    page = tab.open(address(plain, "/styled"))
    follow(plain)
    mark(page)
    held: list[Route] = []
    page.route("**/outer.css?*devserver*", lambda route: held.append(route))
    for count, number in enumerate(("2, 2, 2", "3, 3, 3"), start=1):
        plain.edit("static/outer.css", STATIC["static/outer.css"].replace("1, 1, 1", number))
        page.wait_for_function(
            "count => document.querySelectorAll('link[href*=outer]').length === count + 1", arg=count
        )
    while len(held) < 2:
        page.wait_for_timeout(10)
    held[1].continue_()
    expect(page.locator(".outer")).to_have_css("color", "rgb(3, 3, 3)")
    expect(page.locator("link[href*=outer]")).to_have_count(1)
    assert is_marked(page)


def test_style_sheets_wherever_they_come_from(plain: DevServer, tab: Tab) -> None:
    page = tab.open(address(plain, "/styled"))
    follow(plain)
    mark(page)
    for name, selector in (("outer", ".outer"), ("inner", ".inner"), ("inline", ".inline"), ("shadow", "i")):
        expect(page.locator(selector)).to_have_css("color", "rgb(1, 1, 1)")
        for number in ("2, 2, 2", "3, 3, 3"):  # more than once
            plain.edit(f"static/{name}.css", STATIC[f"static/{name}.css"].replace("1, 1, 1", number))
            expect(page.locator(selector)).to_have_css("color", f"rgb({number})")
    before = page.locator("p").evaluate("one => getComputedStyle(one).backgroundImage")
    plain.edit("static/image.svg", IMAGE.replace("10", "20"))
    expect(page.locator("p")).not_to_have_css("background-image", before)
    expect(page.locator("link[rel=stylesheet]")).to_have_count(2)  # one of them in the shadow
    assert is_marked(page)
    # Two saves at once: the last one counts, and one sheet is left.
    plain.edit("static/outer.css", STATIC["static/outer.css"].replace("1, 1, 1", "4, 4, 4"))
    plain.edit("static/outer.css", STATIC["static/outer.css"].replace("1, 1, 1", "5, 5, 5"))
    expect(page.locator(".outer")).to_have_css("color", "rgb(5, 5, 5)")
    expect(page.locator("link[rel=stylesheet]")).to_have_count(2)


def test_a_script_loads_the_page_anew_where_it_is_used(plain: DevServer, tab: Tab, context: BrowserContext) -> None:
    page = tab.open(address(plain, "/scripted"))
    other = Tab(context.new_page()).open(address(plain))
    expect(page.locator("#out")).to_have_text("one")
    follow(plain)
    mark(other)
    plain.edit("static/site.js", STATIC["static/site.js"].replace("one", "two"))
    expect(page.locator("#out")).to_have_text("two")
    assert is_marked(other), "a page without it stays"


def test_a_style_sheet_and_a_script_saved_at_once(plain: DevServer, tab: Tab) -> None:
    page = tab.open(address(plain, "/scripted"))
    follow(plain)
    css, script = (STATIC[f"static/{name}"] for name in ("outer.css", "site.js"))
    write(
        plain.project,
        {"static/outer.css": css.replace("1, 1, 1", "2, 2, 2"), "static/site.js": script.replace("one", "two")},
    )
    expect(page.locator("#out")).to_have_text("two")
    expect(page.locator("#out")).to_have_css("color", "rgb(2, 2, 2)")


def test_what_was_missing_is_made(plain: DevServer, tab: Tab) -> None:
    page = PAGES["/"] + "<link rel=stylesheet href=/static/new.css><img src=/static/new.svg>"
    save(plain, 2, pages={**PAGES, "/": page})
    shown = tab.open(address(plain))
    see(shown, 2)
    follow(plain)
    mark(shown)
    write(plain.project, {"static/new.css": "h1 { color: rgb(2, 2, 2) }", "static/new.svg": IMAGE})
    expect(shown.locator("h1")).to_have_css("color", "rgb(2, 2, 2)")
    expect(shown.locator("img")).to_have_js_property("naturalWidth", 10)
    # What the client keeps says why it has loaded the page.
    assert is_marked(shown), shown.evaluate("JSON.stringify(sessionStorage)") + plain.log
    forgive(tab)


def test_a_page_that_was_missing_is_made(serve: Serve, tab: Tab) -> None:
    server = serve({"empty/other.html": "x"}, ".")
    for path, file in (("/about.html", "about.html"), ("/empty/", "empty/index.html"), ("/new/", "new/index.html")):
        page = tab.open(address(server, path))
        follow(server)
        write(server.project, {file: f"{PAGES['/'].replace('VERSION', file)}"})
        expect(page.locator("h1")).to_have_text(f"version {file}")
    forgive(tab)


@pytest.mark.parametrize("name", ["Django", "Flask", "FastAPI"])
def test_a_template_that_was_missing_is_made(serve: Serve, tab: Tab, name: str) -> None:
    site = SITES[name]
    folder = site.template.rpartition("/")[0]
    part = '{% include "NAME" %}'.replace("NAME", "blog/part.html" if name == "Django" else "part.html")
    files = {
        **site.files,
        "static/site.css": CSS,
        site.template: site.files[site.template].replace("template one", part),
    }
    server = serve(files, *site.arguments)
    page = tab.open(address(server))
    expect(page.locator("h1")).to_contain_text("Template")
    follow(server)
    write(server.project, {f"{folder}/part.html": "part one"})
    expect(page.locator("#template")).to_have_text("part one")
    (server.project / folder / "part.html").unlink()
    expect(page.locator("h1")).to_contain_text("Template")
    write(server.project, {f"{folder}/part.html": "part two"})
    expect(page.locator("#template")).to_have_text("part two")
    forgive(tab)


def test_what_nobody_saw_refreshes_nobody(plain: DevServer, tab: Tab) -> None:
    page = tab.open(address(plain))
    plain.edit("static/outer.css", "h1 { color: red }")
    plain.edit("notes.txt", "nobody reads this")
    plain.edit("static/new.css", "")
    save(plain, 2)  # the order of events: what came before has been decided
    see(page, 2)
    assert not re.search(r"(outer\.css|notes\.txt|new\.css).* changed", plain.log)


def test_ten_tabs_hold_one_stream(plain: DevServer, context: BrowserContext) -> None:
    tabs = [Tab(context.new_page()) for _ in range(10)]
    for each in tabs:
        see(each.open(address(plain)), 1)
    plain.wait_for(lambda: plain.streams() == 1, "one stream for all tabs")
    for version in (2, 3):
        save(plain, version)
        for each in tabs:
            see(each.page, version)
    plain.wait_for(lambda: plain.streams() == 1, "one stream for all tabs")
    loaded(plain, "/", 30)
    for each in tabs:
        assert each.complaints == []


def test_each_save_loads_once(plain: DevServer, tab: Tab) -> None:
    page = tab.open(address(plain))
    for version in range(2, 7):
        save(plain, version)
        see(page, version)
    loaded(plain, "/", 6)


def test_without_a_shared_worker(plain: DevServer, context: BrowserContext) -> None:
    needs_code(plain)
    context.add_init_script("delete window.SharedWorker")
    page = Tab(context.new_page()).open(address(plain))
    save(plain, 2)
    see(page, 2)
    plain.edit("app.py", "1 / 0")
    expect(page.locator("h1")).to_contain_text("ZeroDivisionError")
    save(plain, 3)
    see(page, 3)


def test_who_slept_connects_again(plain: DevServer, context: BrowserContext) -> None:
    context.add_init_script("delete window.SharedWorker")
    page = context.new_page()
    page.clock.install()
    page.goto(address(plain))
    plain.wait_for(lambda: plain.streams() == 1, "a stream")
    with page.expect_request("**/__devserver__/events"):
        page.clock.fast_forward(60_000)
    plain.wait_for(lambda: plain.streams() == 1, "one stream")
    save(plain, 2)
    see(page, 2)


def test_two_browsers_on_two_addresses(serve: Serve, chromium: Browser) -> None:
    """As in a classroom: the teacher's at this machine, the other one's over the network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent: it tells the address that would be used
        except OSError:
            pytest.skip("this machine has no network address")
        network = probe.getsockname()[0]
    server = serve(project("WSGI"), *arguments("WSGI"), "--host", "0.0.0.0")
    contexts = [chromium.new_context(), chromium.new_context()]
    teacher, pupil = (each.new_page() for each in contexts)
    teacher.goto(f"http://127.0.0.1:{server.port}/")
    pupil.goto(f"http://{network}:{server.port}/")
    for version in (2, 3):
        save(server, version)
        see(teacher, version)
        see(pupil, version)
    server.edit("app.py", "1 / 0")
    for page in (teacher, pupil):
        expect(page.locator("h1")).to_contain_text("ZeroDivisionError")
    save(server, 4)
    for page in (teacher, pupil):
        see(page, 4)
        page.goto(page.url + "styled")
    server.edit("static/outer.css", STATIC["static/outer.css"].replace("1, 1, 1", "2, 2, 2"))
    for page in (teacher, pupil):
        expect(page.locator(".outer")).to_have_css("color", "rgb(2, 2, 2)")
    server.wait_for(lambda: server.streams() == 2, "a stream for each browser")
    for each in contexts:
        each.close()


def test_what_a_person_has_asked_for_is_not_thrown_away(plain: DevServer, tab: Tab) -> None:
    """A link that was followed while the server restarts is answered by the new one, and that is where the person wants to be."""
    needs_code(plain)
    page = tab.open(address(plain, "/slow"))
    page.get_by_role("link").click(no_wait_after=True)
    plain.wait_for_log("slow begins")
    save(plain, 2)
    plain.wait_for_log("app.py changed")
    (plain.project / "go").touch()
    expect(page).to_have_title("arrived")
    # The old server had begun to answer; its page is loaded again. A context that is closed in the middle of that may never be.
    loaded(plain, "/arrives", 2)
    expect(page).to_have_title("arrived")
    page.wait_for_load_state()
    tab.complaints.clear()


def test_a_frame_follows_with_its_page(plain: DevServer, tab: Tab) -> None:
    page = tab.open(address(plain, "/framed"))
    inner = page.frame_locator("iframe")
    expect(inner.locator(".outer")).to_have_css("color", "rgb(1, 1, 1)")
    follow(plain)
    mark(page)
    plain.edit("static/outer.css", STATIC["static/outer.css"].replace("1, 1, 1", "2, 2, 2"))
    expect(inner.locator(".outer")).to_have_css("color", "rgb(2, 2, 2)")
    assert is_marked(page)
    save(plain, 2)
    see(page, 2)
    loaded(plain, "/framed", 2)


def test_fields_that_a_script_moves_keep_their_places(plain: DevServer, tab: Tab) -> None:
    page = tab.open(address(plain, "/moving"))
    page.locator("#name").fill("typed")
    save(plain, 2)
    see(page, 2)
    expect(page.locator("#name")).to_have_value("typed")
    expect(page.locator("#late")).to_have_value("")
    expect(page.locator("#other")).to_have_value("kept")


def test_a_page_whose_script_kills_the_server_is_not_loaded_for_ever(plain: DevServer, tab: Tab) -> None:
    needs_code(plain)
    page = tab.open(address(plain, "/deadly"))
    plain.wait_for_log("the server process ended")
    plain.wait_for(lambda: plain.streams() == 1, "the stream goes on")
    save(plain, 2)  # the order of events: a reload would have come before
    see(page, 2)
    loaded(plain, "/deadly", 2)
    tab.complaints.clear()


def test_an_answer_to_a_form_asks_first(plain: DevServer, tab: Tab) -> None:
    needs_code(plain)
    page = tab.open(address(plain, "/form"))
    page.locator("button").click()
    page.wait_for_load_state()
    save(plain, 2)
    link = page.get_by_role("link", name="The code has changed")
    expect(link).to_be_visible()
    see(page, 1)
    link.click()
    see(page, 2)


def test_pages_with_policies(plain: DevServer, tab: Tab) -> None:
    needs_code(plain)
    page = tab.open(address(plain, "/nonce"))
    save(plain, 2)
    see(page, 2)
    for _ in range(2):
        tab.open(address(plain, "/forbidden"))
        assert page.locator("script").count() == 0
    assert len(re.findall(r"no live reload in pages whose .* \(default-src\)", plain.log)) == 1
    tab.complaints = [one for one in tab.complaints if "Content Security Policy" not in one]


def test_what_gets_no_client(plain: DevServer, tab: Tab) -> None:
    needs_code(plain)
    page = tab.open(address(plain, "/opted-out"))
    assert page.locator("script").count() == 0
    tab.open(address(plain))
    assert page.evaluate("fetch('/fragment').then(answer => answer.text())") == "<b>part</b>"
    assert plain.get("/fragment").text == "<b>part</b>"


def test_errors_of_the_page_are_told_in_the_terminal(plain: DevServer, tab: Tab) -> None:
    tab.open(address(plain, "/faulty?a=1"))
    plain.wait_for_log(
        r"browser  Uncaught ReferenceError: nothingOfThatName is not defined\n +static/faulty.js:2:1  on /faulty(\.html)?\?a=1"
    )
    plain.wait_for_log(r"browser  Unhandled rejection: Error: nobody cares\n +/?faulty(\.html)?:1:\d+  on")
    plain.wait_for_log(r"browser  <img> could not be loaded\n +/missing.png  on")
    tab.complaints.clear()


def test_it_can_be_turned_off(serve: Serve, tab: Tab) -> None:
    server = serve(project("WSGI"), *arguments("WSGI"), "--no-livereload", "--no-browser-errors")
    page = tab.open(address(server, "/faulty"))
    assert page.locator("script").count() == 2
    server.edit("app.py", "1 / 0")
    server.wait_for_text("ZeroDivisionError")
    tab.open(address(server))
    expect(page.locator("h1")).to_contain_text("ZeroDivisionError")
    save(server, 2)
    see(page, 2)  # our own page heals
    assert "browser  " not in server.log
    tab.complaints.clear()


def test_devserver_stopped_and_started(serve: Serve, tab: Tab) -> None:
    first = serve(project("WSGI"), *arguments("WSGI"))
    page = tab.open(address(first))
    see(page, 1)
    port = str(first.port)
    first.stop()
    save(first, 2)
    server = serve({}, *arguments("WSGI"), "--port", port)
    see(page, 2)
    save(server, 3)
    see(page, 3)
    forgive(tab)


def test_a_stream_is_for_own_pages(plain: DevServer, tab: Tab, serve: Serve) -> None:
    page = tab.open(address(plain))
    heard = """url => new Promise(resolve => {
        const source = new EventSource(url);
        source.onopen = () => resolve("open");
        source.onerror = () => resolve("refused");
    })"""
    assert page.evaluate(heard, "/__devserver__/events") == "open"
    tab.open(address(plain).replace("127.0.0.1", "localhost"))
    assert page.evaluate(heard, address(plain, "/__devserver__/events")) == "refused"
    tab.complaints.clear()
