"""What frameworks make of an error in the app: the page comes all the same, API clients get what they always get, and the
terminal shows each error once."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from textwrap import dedent

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.e2e.harness import DEADLINE_S, Answer, DevServer, Serve

pytestmark = pytest.mark.e2e

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
API = "application/json"
OURS = 'data-report="'

NUMBERED = """
    import itertools

    numbers = itertools.count(1)

    class MeantError(Exception):
        pass

    def fail():
        raise RuntimeError(f"broken, {next(numbers)}")
"""

DJANGO = """
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.urls import path

    settings.configure(DEBUG=DEBUGGING, ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x", MIDDLEWARE=["app.meant"])

    def meant(get_response):
        def middleware(request):
            return get_response(request)
        middleware.process_exception = answer_meant
        return middleware

    def answer_meant(request, error):
        return HttpResponse("meant so", status=500) if isinstance(error, MeantError) else None

    def broken(request):
        fail()

    def view_meant(request):
        raise MeantError

    def denied(request):
        from django.core.exceptions import PermissionDenied
        raise PermissionDenied

    def handler500(request):
        return HttpResponse("the project's own", status=500)

    urlpatterns = [path("broken", broken), path("meant", view_meant), path("denied", denied)]
    wsgi, asgi = get_wsgi_application(), get_asgi_application()
"""
FLASK = """
    from flask import Flask
    app = Flask(__name__)
    CONFIGURATION

    @app.get("/broken")
    def broken():
        fail()

    @app.get("/meant")
    def meant():
        raise MeantError

    @app.errorhandler(MeantError)
    def answer_meant(error):
        return "meant so", 500
"""
QUART = (
    FLASK.replace("flask", "quart").replace("Flask", "Quart").replace("def broken", "async def broken")
    + """
    @app.websocket("/socket")
    async def socket():
        fail()
"""
)
STARLETTE = """
    from starlette.applications import Starlette
    from starlette.background import BackgroundTask
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route, WebSocketRoute

    async def broken(request):
        fail()

    async def meant(request):
        raise MeantError

    async def background(request):
        return PlainTextResponse("done", background=BackgroundTask(fail))

    async def answer_meant(request, error):
        return PlainTextResponse("meant so", status_code=500)

    async def socket(websocket):
        await websocket.accept()
        fail()

    async def pass_on(request, call_next):
        return await call_next(request)

    app = Starlette(
        routes=[
            Route("/broken", broken), Route("/meant", meant), Route("/background", background),
            WebSocketRoute("/socket", socket),
        ],
        exception_handlers={MeantError: answer_meant},
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=pass_on)],
    )
"""
FASTAPI = """
    from fastapi import BackgroundTasks, FastAPI, WebSocket
    from fastapi.responses import JSONResponse, PlainTextResponse
    app = FastAPI()

    @app.get("/broken")
    async def broken():
        fail()

    @app.get("/meant")
    def meant():
        raise MeantError

    @app.get("/background")
    def background(tasks: BackgroundTasks):
        tasks.add_task(fail)
        return "done"

    @app.exception_handler(MeantError)
    async def answer_meant(request, error):
        return PlainTextResponse("meant so", status_code=500)

    @app.exception_handler(Exception)
    async def answer_all(request, error):
        return JSONResponse({"detail": "sorry"}, status_code=500)

    @app.websocket("/socket")
    async def socket(websocket: WebSocket):
        await websocket.accept()
        fail()
"""
LITESTAR = """
    from litestar import Litestar, MediaType, Response, get, websocket

    @get("/broken")
    async def broken() -> None:
        fail()

    @get("/meant")
    async def meant() -> None:
        raise MeantError

    def answer_meant(request, error):
        return Response("meant so", status_code=500, media_type=MediaType.TEXT)

    @websocket("/socket")
    async def socket(socket: "litestar.WebSocket") -> None:
        await socket.accept()
        fail()

    import litestar
    app = Litestar([broken, meant, socket], exception_handlers={MeantError: answer_meant})
"""
FALCON = """
    import falcon

    class Broken:
        def on_get(self, request, response):
            fail()

    class Meant:
        def on_get(self, request, response):
            raise MeantError

    def answer_meant(request, response, error, params):
        response.status = 500
        response.text = "meant so"

    app = falcon.App()
    app.add_route("/broken", Broken())
    app.add_route("/meant", Meant())
    app.add_error_handler(MeantError, answer_meant)
"""
FALCON_ASYNC = (
    FALCON.replace("import falcon", "import falcon.asgi")
    .replace("    def ", "    async def ")
    .replace("falcon.App", "falcon.asgi.App")
    + """
    class Socket:
        async def on_websocket(self, request, ws):
            await ws.accept()
            fail()

    app.add_route("/socket", Socket())
"""
)
PYRAMID = """
    from pyramid.config import Configurator
    from pyramid.response import Response

    def broken(request):
        fail()

    def meant(request):
        raise MeantError

    def answer_meant(error, request):
        return Response("meant so", status=500)

    with Configurator() as config:
        config.add_route("broken", "/broken")
        config.add_route("meant", "/meant")
        config.add_view(broken, route_name="broken")
        config.add_view(meant, route_name="meant")
        config.add_exception_view(answer_meant, context=MeantError)
        app = config.make_wsgi_app()
"""


@dataclass(frozen=True)
class Framework:
    source: str
    target: str = "app:app"
    api: str = "Internal Server Error"  # what an API client gets of an error
    occasions: tuple[str, ...] = ()  # paths of other occasions
    logs_meant: bool = False  # an error that the app has a handler for, with its traceback

    def files(self) -> dict[str, str]:
        return {"app.py": NUMBERED + self.source}


FRAMEWORKS = {
    "Django": Framework(DJANGO.replace("DEBUGGING", "True"), "app:wsgi", api="RuntimeError at /broken"),
    "Django, async": Framework(DJANGO.replace("DEBUGGING", "True"), "app:asgi", api="RuntimeError at /broken"),
    "Flask": Framework(FLASK.replace("CONFIGURATION", ""), api='"type_name": "RuntimeError"'),
    "Flask, not propagating": Framework(
        FLASK.replace("CONFIGURATION", "app.config['PROPAGATE_EXCEPTIONS'] = False"),
        api="<h1>Internal Server Error</h1>",
    ),
    "Quart": Framework(QUART.replace("CONFIGURATION", ""), api="<h1>RuntimeError", occasions=("/socket",)),
    "Quart, debug off": Framework(
        QUART.replace("CONFIGURATION", "app.debug = False"),
        api="<h1>Internal Server Error</h1>",
        occasions=("/socket",),
    ),
    "Starlette": Framework(STARLETTE, occasions=("/background", "/socket")),
    "FastAPI": Framework(FASTAPI, api='{"detail":"sorry"}', occasions=("/background", "/socket")),
    "Litestar": Framework(LITESTAR, api='"status_code":500', occasions=("/socket",), logs_meant=True),
    "Falcon": Framework(FALCON, api='{"title": "500 Internal Server Error"}'),
    "Falcon, async": Framework(FALCON_ASYNC, api='{"title": "500 Internal Server Error"}', occasions=("/socket",)),
    "Pyramid": Framework(PYRAMID, api='"type_name": "RuntimeError"'),
}


def broken(server: DevServer, accept: str) -> Answer:
    answer = server.get("/broken", Accept=accept)
    assert answer.status == 500
    return answer


def socket_ends(server: DevServer) -> None:
    """Whether before or after the handshake is the framework's affair."""
    try:
        with connect(f"ws://127.0.0.1:{server.port}/socket", open_timeout=DEADLINE_S) as socket:
            socket.recv(DEADLINE_S)
    except (ConnectionClosed, InvalidStatus):
        pass


def told_once(server: DevServer, errors: int, tracebacks: int = 0) -> None:
    """Each error is in the terminal as ours, and never a second time."""
    for number in range(1, errors + 1):
        server.wait_for_log(rf"RuntimeError: broken, {number}\n")
    assert server.stop() == 0
    for number in range(1, errors + 1):
        assert len(re.findall(rf"RuntimeError: broken, {number}\b", server.log)) == 1, server.log
    assert server.log.count("Traceback (most recent call last)") == tracebacks


@pytest.mark.parametrize("name", list(FRAMEWORKS))
def test_an_error_in_a_view(serve: Serve, name: str) -> None:
    framework = FRAMEWORKS[name]
    server = serve(framework.files(), framework.target)
    page = broken(server, BROWSER)
    assert OURS in page.text
    assert "RuntimeError" in page.text
    api = broken(server, API)
    assert framework.api in api.text
    assert OURS not in api.text
    meant = server.get("/meant", Accept=BROWSER)
    assert (meant.status, meant.text) == (500, "meant so")
    if "/background" in framework.occasions:
        assert "done" in server.get("/background").text
        server.wait_for_log(r"broken, 3\n  after GET http://127\.0\.0\.1:\d+/background was answered\n")
    if "/socket" in framework.occasions:
        socket_ends(server)
    told_once(server, 2 + len(framework.occasions), tracebacks=int(framework.logs_meant))


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("Django", "<h2>Django"),
        ("Quart", "<h1>RuntimeError"),
        ("FastAPI", '{"detail":"sorry"}'),
        ("Flask, not propagating", "<h1>Internal Server Error</h1>"),
    ],
)
def test_the_frameworks_page_first(serve: Serve, name: str, first: str) -> None:
    framework = FRAMEWORKS[name]
    server = serve(framework.files(), framework.target, "--framework-errors")
    answer = broken(server, BROWSER)
    assert OURS not in answer.text
    if name == "Django":
        assert "Request information" in answer.text
    else:
        assert first in answer.text
    told_once(server, 1)


@pytest.mark.parametrize("target", ["app:wsgi", "app:asgi"])
def test_what_a_django_project_answers_itself_stays(serve: Serve, target: str) -> None:
    """Without DEBUG the project's handler500 is what is looked at."""
    server = serve({"app.py": NUMBERED + DJANGO.replace("DEBUGGING", "False")}, target)
    assert broken(server, BROWSER).text == "the project's own"
    denied = server.get("/denied", Accept=BROWSER)
    assert denied.status == 403
    assert OURS not in denied.text
    told_once(server, 1)


def test_a_log_file_gets_what_the_console_does_not(serve: Serve) -> None:
    source = DJANGO.replace("DEBUGGING", "True").replace("settings.configure(", "settings.configure(LOGGING=LOGGING, ")
    logging = """
    LOGGING = {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {
            "console": {"class": "logging.StreamHandler"},
            "file": {"class": "logging.FileHandler", "filename": "errors.log"},
        },
        "root": {"handlers": ["console", "file"]},
    }
    """
    server = serve({"app.py": NUMBERED + logging + source}, "app:wsgi")
    broken(server, BROWSER)
    assert "RuntimeError: broken, 1" in (server.project / "errors.log").read_text()
    assert server.get("/nowhere", Accept=BROWSER).status == 404
    server.wait_for_log("Not Found: /nowhere")
    told_once(server, 1)


def test_a_flask_handler_for_every_error_stays(serve: Serve) -> None:
    handler = """
    @app.errorhandler(500)
    def answer_all(error):
        return {"detail": "sorry"}, 500
    """
    source = FLASK.replace("CONFIGURATION", "app.config['PROPAGATE_EXCEPTIONS'] = False") + handler
    server = serve({"app.py": NUMBERED + source})
    assert "sorry" in broken(server, BROWSER).text
    told_once(server, 1)


SESSIONS = {
    "Flask": """
        from flask import Flask, request, session

        app = Flask(__name__)
        app.secret_key = "x"

        @app.post("/broken")
        def broken():
            session["cart"] = [7]
            raise RuntimeError(request.form["size"])
    """,
    "Django": """
        from django.conf import settings
        from django.core.wsgi import get_wsgi_application
        from django.urls import path

        settings.configure(
            DEBUG=True, ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x",
            SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
            MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
        )

        def broken(request):
            request.session["cart"] = [7]
            raise RuntimeError(request.POST["size"])

        urlpatterns = [path("broken", broken)]
        app = get_wsgi_application()
    """,
    "Starlette": """
        import itsdangerous
        from starlette.applications import Starlette
        from starlette.middleware import Middleware
        from starlette.middleware.sessions import SessionMiddleware
        from starlette.routing import Route

        async def broken(request):
            request.session["cart"] = [7]
            raise RuntimeError(len(await request.body()))

        middleware = [Middleware(SessionMiddleware, secret_key="x")]
        app = Starlette(routes=[Route("/broken", broken, methods=["POST"])], middleware=middleware)
    """,
}


@pytest.mark.parametrize("name", list(SESSIONS))
def test_form_and_session_are_in_the_page(serve: Serve, name: str) -> None:
    server = serve({"app.py": SESSIONS[name]}, "app:app")
    headers = {"Accept": API, "Content-Type": "application/x-www-form-urlencoded"}
    if name != "Flask":  # their own answer is for clients of an API
        headers["Accept"] = BROWSER
    answer = server.request("POST", "/broken", body=b"size=9&password=hunter2", headers=headers)
    assert answer.status == 500
    assert "hunter2" not in answer.text
    if name == "Flask":
        request = json.loads(answer.text)["request"]
        assert request["form"] == [["size", "9"], ["password", "‹hidden›"]]
        assert request["session"] == [["cart", "[7]"]]
    else:
        for row in (("size", "9"), ("password", "‹hidden›"), ("cart", "[7]")):
            assert '<tr><th scope="row">{}</th><td>{}</td></tr>'.format(*row) in answer.text


def test_the_frameworks_own_page_is_one_click_away(serve: Serve) -> None:
    server = serve({"app.py": NUMBERED + DJANGO.replace("DEBUGGING", "True")}, "app:wsgi")
    page = broken(server, BROWSER).text
    link = re.search(r'<a href="(/__devserver__/errors/[\w-]+/framework)">What Django [\d.]+ answered</a>', page)
    assert link, page
    answer = server.get(link[1])
    assert answer.status == 500
    assert "Request information" in answer.text
    assert server.request("GET", link[1], headers={"Origin": "http://evil.example"}).status == 403


HANDLED = """
    class NoSuchShoeError(Exception):
        pass

    @app.errorhandler(NoSuchShoeError)
    def answer_missing(error):
        return {"detail": "no such shoe"}, 404

    @app.errorhandler(Exception)
    def answer_all(error):
        return {"detail": "sorry"}, 500

    @app.get("/missing")
    def missing():
        raise NoSuchShoeError
"""


@pytest.mark.parametrize("framework", ["flask import Flask", "quart import Quart"])
def test_an_error_that_a_handler_answers_is_not_silent(serve: Serve, framework: str) -> None:
    name = framework.rpartition(" ")[2]
    source = f"from {framework}\napp = {name}(__name__)\n@app.get('/broken')\ndef broken():\n    fail()\n"
    server = serve({"app.py": dedent(NUMBERED) + source + dedent(HANDLED)}, "app:app")
    assert "sorry" in broken(server, BROWSER).text
    assert "no such shoe" in server.get("/missing").text
    server.wait_for_log("RuntimeError: broken, 1")
    assert server.stop() == 0
    assert "NoSuchShoeError" not in server.log
