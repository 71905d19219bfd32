"""Advice on errors of Flask, Werkzeug, Jinja2, FastAPI, Starlette and Pydantic: each is raised by them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI, Form
from flask import Blueprint, Flask, current_app, flash, jsonify, request, url_for
from jinja2 import Environment, StrictUndefined
from pydantic import BaseModel, Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

from tests.hints.raised import advice_on, text_on


class Price(BaseModel):
    amount: int
    currency: str


class Handle:
    """Nothing that Pydantic knows."""


# --- Flask ---


def shop() -> Flask:
    app = Flask("shop")
    app.testing = True
    app.add_url_rule("/", "index", lambda: "")
    app.add_url_rule("/item/<name>", "item", lambda name: name)
    blueprint = Blueprint("cart", "shop")
    blueprint.add_url_rule("/cart", "content", lambda: "")
    app.register_blueprint(blueprint)
    return app


def in_request(fails: Callable[[], object]) -> Callable[[], object]:
    def inner() -> None:
        with shop().test_request_context("/"):
            fails()

    return inner


def test_outside_of_context() -> None:
    assert "app.app_context()" in text_on(lambda: current_app.name)
    assert "app.app_context()" in text_on(lambda: jsonify(1))
    assert "pass on to threads" in text_on(lambda: request.args)


def test_endpoint_twice() -> None:
    assert "Two views are called index" in text_on(lambda: shop().add_url_rule("/other", "index", lambda: "other"))

    def blueprint_twice() -> None:
        app = shop()
        app.register_blueprint(Blueprint("cart", "shop"))

    assert "Register the blueprint cart once" in text_on(blueprint_twice)


def test_late_setup() -> None:
    def fails() -> None:
        app = shop()
        app.test_client().get("/")
        app.add_url_rule("/late", "late", lambda: "")

    assert "Call add_url_rule where the app" in text_on(fails)


def test_no_secret_key() -> None:
    (advice,) = advice_on(in_request(lambda: flash("saved")))
    assert "app.secret_key" in advice.text
    assert "token_hex" in advice.command


def test_flask_form() -> None:
    assert 'name="amount"' in text_on(in_request(lambda: request.form["amount"]))


@pytest.mark.parametrize(
    ("endpoint", "part"),
    [
        ("indx", "write url_for('index')"),
        ("content", "write url_for('cart.content')"),
        ("item", "url_for('item', name=…)"),
        ("zzzz", "the blueprint's name before it"),
    ],
)
def test_build_error(endpoint: str, part: str) -> None:
    assert part in text_on(in_request(lambda: url_for(endpoint)))


def all_items() -> str:
    return ""


def one_item(name: str) -> str:
    return name


@pytest.mark.parametrize(
    ("view", "part"),
    [
        (lambda: None, "ends without `return`"),
        (lambda: 1, "convert the value"),
        (one_item, "add it to the pattern"),
    ],
)
def test_views_of_flask(view: Callable[..., Any], part: str) -> None:
    def fails() -> None:
        app = Flask("shop")
        app.testing = True
        app.add_url_rule("/", "index", view)
        app.test_client().get("/")

    assert part in text_on(fails)


def test_view_without_a_parameter_for_the_url() -> None:
    def fails() -> None:
        app = Flask("shop")
        app.testing = True
        app.add_url_rule("/<name>", "index", all_items)
        app.test_client().get("/a")

    assert "add name to its parameters" in text_on(fails)


def test_csrf_of_flask_wtf() -> None:
    from werkzeug.exceptions import BadRequest

    refusal = type("CSRFError", (BadRequest,), {"__module__": "flask_wtf.csrf"})

    def fails(reason: str) -> Callable[[], object]:
        def inner() -> None:
            raise refusal(reason)

        return inner

    assert "form.hidden_tag()" in text_on(fails("The CSRF token is missing."))
    assert "app.secret_key the same" in text_on(fails("The CSRF tokens do not match."))
    assert "app.secret_key the same" in text_on(fails("The CSRF session token is missing."))
    assert text_on(fails("The referrer header is missing.")) == ""


# --- Jinja2 ---


@pytest.mark.parametrize(
    ("template", "part"),
    [
        ("{% if a %}", "add {% endif %}"),
        ("{% for a in b %}{% endif %}", "add {% endfor %}"),
        ("{% endif %}", "Nothing is open"),
        ("{% csrf_token %}", "form.hidden_tag()"),
        ("{% load static %}", "remove it"),
        ("{% url 'a' %}", "url_for('…')"),
        ("{% flash %}", "{{ flash(…) }}"),
        ("{{ a|intcoma }}", "spelling of the filter intcoma"),
        ("{% for a on b %}{% endfor %}", "there should be in"),
        ("{{ a }", "are closed as they are opened"),
        ("{{ a.b }}", "Pass a to the template"),
        ("{{ user.name.first }}", "Check the spelling of name"),
        ("{{ nothing.name.first }}", "What stands before .name is None"),
    ],
)
def test_jinja2(template: str, part: str) -> None:
    assert part in text_on(lambda: Environment().from_string(template).render(user=SimpleNamespace(), nothing=None))


def test_jinja2_strict() -> None:
    strict = Environment(undefined=StrictUndefined)
    assert "Pass a to the template" in text_on(lambda: strict.from_string("{{ a }}").render())


# --- Starlette ---


async def user(request: Request) -> None: ...


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("usre", "but one is named user"),
        ("user", "has other parameters (none given)"),
        ("home", 'add `name="home"`'),
    ],
)
def test_no_match_found(name: str, part: str) -> None:
    app = Starlette(routes=[Route("/user/{id}", user, name="user")])
    assert part in text_on(lambda: app.url_path_for(name))


def test_starlette() -> None:
    assert "app.add_middleware(SessionMiddleware, secret_key" in text_on(lambda: Request({"type": "http"}).session)
    assert "add_middleware(AuthenticationMiddleware)" in text_on(lambda: Request({"type": "http"}).user)
    assert "Path(__file__).parent / 'no'" in text_on(lambda: StaticFiles(directory="no"))
    assert "Make the folder /no" in text_on(lambda: StaticFiles(directory="/no"))


def test_template_response() -> None:
    from starlette.templating import Jinja2Templates

    respond: Any = Jinja2Templates("templates").TemplateResponse
    assert "TemplateResponse(request" in text_on(lambda: respond("page.html"))


# --- FastAPI and Pydantic ---


def test_form_needs_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_multipart", None)
    monkeypatch.setitem(sys.modules, "multipart", None)

    def fails() -> None:
        def pay(amount: int = Form()) -> None: ...

        FastAPI().post("/")(pay)

    (advice,) = advice_on(fails)
    assert advice.command.endswith(" -m pip install python-multipart")


def test_mail_addresses_need_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    from pydantic import EmailStr

    monkeypatch.setitem(sys.modules, "email_validator", None)
    (advice,) = advice_on(lambda: type("User", (BaseModel,), {"__annotations__": {"mail": EmailStr}}))
    assert advice.command.endswith(" -m pip install email-validator")


def test_invalid_response_field() -> None:
    def fails() -> None:
        def handle() -> Handle:
            return Handle()

        FastAPI().get("/")(handle)

    assert "response_model=None" in text_on(fails)


def test_invalid_response() -> None:
    def fails() -> None:
        def price() -> object:
            return {"amount": "a", "currency": "EUR"}

        app = FastAPI()
        app.get("/", response_model=Price)(price)
        get(app)

    assert "check its field amount" in text_on(fails)


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"currency": "EUR"}, "Pass amount to Price"),
        ({"amount": "a", "currency": "EUR"}, "another value for amount"),
    ],
)
def test_invalid_model(values: dict[str, Any], part: str) -> None:
    assert part in text_on(lambda: Price(**values))


def test_settings_from_the_environment() -> None:
    settings = type("Settings", (BaseModel,), {"__annotations__": {"secret_key": str}})
    assert "Put SECRET_KEY=… into .env" in text_on(lambda: settings())


def get(app: Any) -> None:
    """A GET of / to an ASGI app."""
    scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"", "headers": []}

    async def receive() -> dict[str, object]:
        return {"type": "http.request"}

    async def send(message: object) -> None: ...

    asyncio.run(app(scope, receive, send))


def model(**body: Any) -> Callable[[], object]:
    return lambda: type("Shop", (BaseModel,), body)


def removed(name: str) -> Callable[[], object]:
    import pydantic

    return lambda: getattr(pydantic, name)


def regex() -> object:
    old: Any = Field
    return old(regex="a")


@pytest.mark.parametrize(
    ("fails", "part"),
    [
        (removed("BaseSettings"), "from pydantic_settings import BaseSettings"),
        (removed("ConstrainedStr"), "Pydantic 2 has no ConstrainedStr"),
        (regex, "Pydantic 2 calls it pattern: rename regex"),
        (model(amount=1), "`name: int = 1`"),
        (model(__annotations__={"handle": Handle}), "arbitrary_types_allowed=True"),
        (lambda: Price.model_construct().from_orm(object()), "ConfigDict(from_attributes=True)"),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_pydantic_2(fails: Callable[[], object], part: str) -> None:
    assert part in text_on(fails)
