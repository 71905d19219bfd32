"""One site for all that live reload does, by each framework and as a folder of HTML.

A site is the same pages for each of them: what its answers are is said once. `make test-all` runs the tests of live reload for all
(`DEVSERVER_SITES=all`), `make test` for the plainest one.
"""

from __future__ import annotations

import os
import re
from textwrap import dedent

import pytest

from tests.e2e.harness import DevServer, write

IMAGE = '<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"><rect width="9" height="9"/></svg>'
STATIC = {
    "static/outer.css": "@import 'inner.css'; .outer { color: rgb(1, 1, 1) }",
    "static/inner.css": ".inner { color: rgb(1, 1, 1) } .imported { background: url(image.svg) }",
    "static/inline.css": ".inline { color: rgb(1, 1, 1) }",
    "static/shadow.css": "i { color: rgb(1, 1, 1) }",
    "static/site.js": "const value = 'one';",
    "static/faulty.js": "// first line\nnothingOfThatName();\n",
    "static/image.svg": IMAGE,
}
_HEAD = "<!doctype html><link rel=icon href=data:,>"
_VERSION = "<h1>version VERSION</h1>"
PAGES = {
    "/": f"{_HEAD}<title>one</title>{_VERSION}<p>some text",
    "/fields": f"{_HEAD}<title>one</title>{_VERSION}"
    "<form><input id=name name=name><input id=secret type=password autocomplete=off><textarea id=more></textarea>"
    "<input type=checkbox id=agree><select id=choice><option>a<option>b</select></form>"
    "<div id=inner style='height: 40px; overflow: auto'><div style='height: 900px'>x</div></div>"
    "<div style='height: 3000px'></div>",
    "/framed-fields": f"{_HEAD}{_VERSION}<input id=name><iframe src=/fields></iframe>",
    "/waits": f"{_HEAD}{_VERSION}<input id=name>",
    "/images": f"{_HEAD}{_VERSION}<link rel=stylesheet href='/static/outer.css'>"
    "<style>:root { --image: url(/static/image.svg) } .custom { background: var(--image) }</style>"
    "<i class=imported></i><i class=custom></i><object data=/static/image.svg></object>",
    "/styled": f"{_HEAD}<title>s</title><link rel=stylesheet href='/static/outer.css?v=3'>"
    "<style>@import '/static/inline.css';</style><style>p { background: url('/static/image.svg') }</style>"
    "<h1 class=outer>a</h1><h2 class=inner>b</h2><h3 class=inline>c</h3><p>d<div id=host></div><script>"
    "document.getElementById('host').attachShadow({mode: 'open'}).innerHTML = "
    "'<link rel=stylesheet href=/static/shadow.css><i>shadow</i>'</script>",
    "/scripted": f"{_HEAD}<link rel=stylesheet href=/static/outer.css>"
    "<script src=/static/site.js></script><p id=out class=outer></p>"
    "<script>document.getElementById('out').textContent = value</script>",
    "/faulty": f"{_HEAD}<script src=/static/faulty.js></script>"
    "<script>Promise.reject(new Error('nobody cares'))</script><img src=/missing.png>",
    "/form": f"{_HEAD}<form method=post><button>send</button></form>{_VERSION}",
    "/fragment": "<b>part</b>",
    "/slow": f"{_HEAD}{_VERSION}<a href=/arrives>follow</a>",
    "/arrives": f"{_HEAD}<title>arrived</title>",
    "/framed": f"{_HEAD}{_VERSION}<iframe src=/styled></iframe>",
    "/moving": f"{_HEAD}{_VERSION}<form><input id=name><input id=other value=kept></form><script>"
    "addEventListener('load', () => document.forms[0].insertAdjacentHTML('afterbegin', '<input id=late>'))</script>",
    "/deadly": f"{_HEAD}{_VERSION}<script>fetch('/die')</script>",
    "/nonce": f"{_HEAD}{_VERSION}",
    "/forbidden": f"{_HEAD}{_VERSION}",
    "/opted-out": f"{_HEAD}{_VERSION}",
}

_ANSWER = """
    import os, time
    VERSION = THE_VERSION
    PAGES = THE_PAGES

    def answer(path):
        '''Status, headers and body.'''
        if path == "/die":
            if VERSION == 1:
                os._exit(7)
            path = "/fragment"
        if path == "/arrives" or (path == "/waits" and VERSION > 1):
            print("slow begins", flush=True)
            while not os.path.exists("go"):
                time.sleep(0.01)
        if path not in PAGES:
            return 404, {"Content-Type": "text/plain"}, "nothing"
        headers = {"Content-Type": "text/html; charset=utf-8"}
        if path == "/nonce":
            headers["Content-Security-Policy"] = "default-src 'none'; script-src 'nonce-x1'; connect-src 'self'"
        if path == "/forbidden":
            headers["Content-Security-Policy"] = "default-src 'none'"
        if path == "/opted-out":
            headers["X-Devserver-Livereload"] = "off"
        return 200, headers, PAGES[path].replace("VERSION", str(VERSION))
"""
_DJANGO = """
    from django.conf import settings
    settings.configure(DEBUG=True, ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="x")
    from django.core.INTERFACE import get_INTERFACE_application
    from django.http import HttpResponse
    from django.urls import re_path

    def view(request):
        status, headers, body = answer(request.path)
        return HttpResponse(body, status=status, headers=headers)

    urlpatterns = [re_path("", view)]
    application = get_INTERFACE_application()
"""
_CALLED_BY = {
    "WSGI": """
        def application(environ, start_response):
            status, headers, body = answer(environ["PATH_INFO"])
            start_response(f"{status} {'OK' if status == 200 else 'Not Found'}", list(headers.items()))
            return [body.encode()]
    """,
    "Django": _DJANGO.replace("INTERFACE", "wsgi"),
    "Django, ASGI": _DJANGO.replace("INTERFACE", "asgi"),
    "Flask": """
        from flask import Flask, Response
        application = Flask(__name__, static_folder=None)

        @application.route("/", defaults={"path": ""}, methods=["GET", "POST"])
        @application.route("/<path:path>", methods=["GET", "POST"])
        def view(path):
            status, headers, body = answer(f"/{path}")
            return Response(body, status, headers)
    """,
    "FastAPI": """
        from fastapi import FastAPI, Response
        application = FastAPI()

        @application.api_route("/{path:path}", methods=["GET", "POST"])
        def view(path: str):
            status, headers, body = answer(f"/{path}")
            return Response(body, status, headers)
    """,
}
FOLDER = "folder"
SITES = (*_CALLED_BY, FOLDER) if os.environ.get("DEVSERVER_SITES") == "all" else ("WSGI",)
_NOTE = ".site"


def files(site: str, version: int = 1, *, pages: dict[str, str] | None = None) -> dict[str, str]:
    """The files of a site that says `version`, its static files aside."""
    pages = PAGES if pages is None else pages
    if site == FOLDER:
        texts = {_file(path): text.replace("VERSION", str(version)) for path, text in pages.items()}
        return {name: re.sub(r"<iframe src=/([\w-]+)", r"<iframe src=/\1.html", text) for name, text in texts.items()}
    source = _ANSWER.replace("THE_VERSION", str(version)).replace("THE_PAGES", repr(pages))
    return {"app.py": dedent(source) + dedent(_CALLED_BY[site])}


def project(site: str) -> dict[str, str]:
    """All files of a site at its first version."""
    return {**files(site), **STATIC, _NOTE: site}


def arguments(site: str) -> tuple[str, ...]:
    """What serves it."""
    return (".",) if site == FOLDER else ("app:application", "--static", "/static=static")


def address(server: DevServer, path: str = "/") -> str:
    """Where a page of the site is, in a folder by the name of its file."""
    page, question, rest = path.partition("?")
    if site_of(server) == FOLDER and page in PAGES and page != "/":
        path = f"{page}.html{question}{rest}"
    return f"http://{server.host}:{server.port}{path}"


def save(server: DevServer, version: int, *, pages: dict[str, str] | None = None) -> None:
    """Save the site with another version, or other pages."""
    write(server.project, files(site_of(server), version, pages=pages))


def needs_code(server: DevServer) -> None:
    """Skip the test where there is none."""
    if site_of(server) == FOLDER:
        pytest.skip("a folder of files has no code")


def site_of(server: DevServer) -> str:
    note = server.project / _NOTE
    return note.read_text() if note.exists() else ""


def _file(path: str) -> str:
    return "index.html" if path == "/" else f"{path[1:]}.html"
