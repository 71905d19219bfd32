"""Pictures of error pages for the docs: `make screenshots` writes docs/images/. To be looked at before they are committed."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.e2e.browser import CHROMIUM, arguments
from tests.e2e.harness import DevServer, write

IMAGES = Path(__file__).parents[2] / "docs" / "images"

SHOP = """
    from flask import Flask, request
    from shop.cart import Cart

    app = Flask(__name__)
    PRICES = {"shoes": 59.0, "socks": 4.5}

    @app.get("/checkout")
    def checkout():
        cart = Cart(owner=request.args.get("user", "ann"))
        api_key = "sk-3f6c2b"
        for name in ("shoes", "socks", "hat"):
            cart.add(name, PRICES[name])
        return {"total": cart.total}

    @app.get("/import")
    def import_prices():
        errors = []
        for line in ("shoes;59", "socks;4,5", "hat"):
            try:
                name, price = line.split(";")
                PRICES[name] = float(price)
            except ValueError as error:
                error.add_note(f"in the line {line!r}")
                errors.append(error)
        raise ExceptionGroup("the price list has mistakes", errors)
"""
CART = """
    class Cart:
        def __init__(self, owner):
            self.owner = owner
            self.lines = []

        def add(self, name, price):
            self.lines.append((name, price))

        @property
        def total(self):
            return sum(price for _, price in self.lines)
"""
LOAD = """
    from flask import Flask

    app = Flask(__name__)

    @app.get("/")
    def index()
        return "Hello"
"""
DJANGO = """
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.shortcuts import render
    from django.urls import path

    settings.configure(
        DEBUG=True, ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x",
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": ["templates"]}],
    )

    def index(request):
        return render(request, "polls/index.html", {"polls": [{"id": 1, "question": "What's new?"}]})

    urlpatterns = [path("", index, name="index"), path("<int:poll>/", index, name="detail")]
    application = get_wsgi_application()
"""
TEMPLATE = """
    <h1>Polls</h1>
    <ul>
      {% for poll in polls %}
      <li><a href="{% url 'details' poll.id %}">{{ poll.question }}</a></li>
      {% endfor %}
    </ul>
"""


@dataclass(frozen=True, slots=True)
class Picture:
    name: str
    files: Mapping[str, str]
    target: str
    path: str
    scheme: str = "light"
    width: int = 1100
    height: int = 820


VIEW = {"app.py": SHOP, "shop/__init__.py": "", "shop/cart.py": CART}
PICTURES = (
    Picture("view-light", VIEW, "app:app", "/checkout?user=ben"),
    Picture("view-dark", VIEW, "app:app", "/checkout?user=ben", scheme="dark"),
    Picture("view-phone", VIEW, "app:app", "/checkout?user=ben", width=375, height=760),
    Picture("load", {"app.py": LOAD}, "app:app", "/", height=560),
    Picture("group", VIEW, "app:app", "/import", height=1100),
    Picture("template", {"app.py": DJANGO, "templates/polls/index.html": TEMPLATE}, "app:application", "/", height=760),
)


def take(browser: Browser, picture: Picture, folder: Path) -> None:
    write(folder, picture.files)
    server = DevServer(folder, picture.target)
    try:
        context = browser.new_context(
            color_scheme=picture.scheme,  # type: ignore[arg-type]
            viewport={"width": picture.width, "height": picture.height},
        )
        page: Page = context.new_page()
        page.goto(f"http://127.0.0.1:{server.port}{picture.path}")
        page.locator("#watch.live").wait_for()
        page.screenshot(path=IMAGES / f"error-{picture.name}.png", animations="disabled")
        context.close()
    finally:
        server.stop()


def main() -> None:
    if CHROMIUM is None:
        sys.exit("no Chromium: `make test` installs Debian's where it may")
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments())
        for picture in PICTURES:
            with tempfile.TemporaryDirectory() as folder:
                take(browser, picture, Path(folder))
        browser.close()


if __name__ == "__main__":
    main()
