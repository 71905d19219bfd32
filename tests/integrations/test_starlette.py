"""Starlette and FastAPI, for real."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

Write = Callable[[str, str], Path]
Run = Callable[..., Any]

APP = """\
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates
from {package}.applications import {name}

templates = Jinja2Templates(directory="templates")
def index(request): return templates.TemplateResponse(request, "index.html")
routes = [
    Route("/", index),
    Mount("/static", StaticFiles(directory="static")),
    Mount("/deep", routes=[Mount("/er", StaticFiles(directory="more", check_dir=False))]),
]
app = {name}(routes=routes)
wrapped = lambda *args: app(*args)
"""


@pytest.fixture
def project(write: Write) -> Callable[[str, str], None]:
    def project(package: str, name: str) -> None:
        write("main.py", APP.format(package=package, name=name))
        write("templates/index.html", "old")
        write("static/style.css", "")

    return project


@pytest.mark.parametrize(("package", "name"), [("starlette", "Starlette"), ("fastapi", "FastAPI")])
def test_what_is_found(project: Callable[[str, str], None], run: Run, package: str, name: str) -> None:
    project(package, name)
    told = run(
        "load('main:app')\n"
        "tell([found.name, relative(found.static_roots), relative(found.template_roots), found.versions, loaded.interface])"
    )
    versions = [["Starlette", version("starlette")]]
    if name == "FastAPI":
        versions = [["FastAPI", version("fastapi")], *versions, ["Pydantic", version("pydantic")]]
    assert told == [f"{name} {version(package)}", ["static", "more"], ["templates"], versions, "asgi"]


def test_an_edited_template_is_not_stale(project: Callable[[str, str], None], run: Run) -> None:
    """Though its times are those of the old one."""
    project("fastapi", "FastAPI")
    assert run(
        "load('main:app')\n"
        "from starlette.testclient import TestClient\n"
        "client = TestClient(app); texts = [client.get('/').text]\n"
        "edit('templates/index.html', 'new'); texts.append(client.get('/').text)\n"
        "changed('templates/index.html'); texts.append(client.get('/').text)\n"
        "tell(texts)"
    ) == ["old", "old", "new"]  # the one in the middle is why


def test_a_wrapped_app_is_known(project: Callable[[str, str], None], write: Write, run: Run) -> None:
    project("fastapi", "FastAPI")
    write(
        "outer.py",
        "from main import app as inner\nfrom starlette.middleware.cors import CORSMiddleware\napp = CORSMiddleware(inner)\n",
    )
    assert run("load('outer:app'); tell(found.name)") == f"FastAPI {version('fastapi')}"


def test_two_frameworks_in_one(write: Write, run: Run) -> None:
    write(
        "main.py",
        "from fastapi import FastAPI\nfrom flask import Flask\nfrom asgiref.wsgi import WsgiToAsgi\n"
        "app = FastAPI()\napp.mount('/old', WsgiToAsgi(Flask('main')))\n",
    )
    assert run("load('main'); tell(found.name)") == f"Flask {version('flask')} + FastAPI {version('fastapi')}"
