"""What pages about errors may ask for, who may ask, and that code runs for nobody else."""

from __future__ import annotations

import asyncio
import json
from contextvars import Context, ContextVar
from pathlib import Path
from typing import Any

import pytest

from devserver.messages import PinJudged
from devserver.report import Occasion
from devserver.server.asgi import Event, Receive, Scope, Send
from devserver.server.web import console
from devserver.server.web.error_api import MAX_BODY, ErrorAPI, Keys
from devserver.server.web.internal import InternalPages
from devserver.server.web.kept import FrameworkAnswer, KeptError, KeptErrors
from devserver.server.web.tools import Tools
from devserver.server.web.tracebacks import examine

TOKEN, GRANT = "the-token", "the-grant"
DEADLINE_S = 20.0


def failed() -> KeptError:
    def view(cart: list[int]) -> None:
        total = sum(cart)
        if total == 3:
            raise ValueError("too much")

    def outer() -> None:
        view([1, 2])

    try:
        outer()
    except ValueError as error:
        return examine(error, Occasion.REQUEST, user_roots=[str(Path(__file__).parent)])
    raise AssertionError


def _not_asked_for(*_arguments: object) -> None:
    raise AssertionError


class Desk:
    """One server's internal addresses, and what they had done."""

    def __init__(self, *, keys: Keys = Keys(TOKEN, GRANT), editor: bool = True) -> None:  # noqa: B008 - frozen
        self.error = failed()
        kept = KeptErrors()
        kept.keep(self.error)
        self.shown = 0
        self.tried: list[str] = []
        self.opened: list[tuple[str, int, int]] = []
        self.api = ErrorAPI(
            kept,
            keys,
            show_pin=self._show,
            judge=self._judge,
            edit=(lambda *place: self.opened.append(place)) if editor else None,
        )
        self._app = InternalPages(
            self._nobody, errors=self.api, stream_opened=_not_asked_for, browser_said=_not_asked_for
        )
        self.headers: list[tuple[bytes, bytes]] = []

    @property
    def inner(self) -> int:
        """The index of the innermost frame."""
        return len(self.error.report.errors[0].frames) - 1

    def _show(self) -> None:
        self.shown += 1

    async def _judge(self, pin: str) -> PinJudged:
        self.tried.append(pin)
        return PinJudged(GRANT, 10) if pin == "123" else PinJudged("", 9)

    async def _nobody(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("this was for the app")

    def ask(
        self,
        path: str,
        body: object = None,
        *headers: tuple[bytes, bytes],
        token: str = TOKEN,
        grant: str = "",
        client: str = "127.0.0.1",
        host: bytes = b"localhost:8000",
        method: str = "POST",
    ) -> tuple[int, Any]:
        """Status, and what the JSON says."""
        name, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": f"/__devserver__/{name}",
            "query_string": query.encode(),
            "scheme": "http",
            "client": (client, 5),
            "headers": [
                (b"host", host),
                *([(b"x-devserver-token", token.encode())] if token else []),
                *([(b"x-devserver-grant", grant.encode())] if grant else []),
                *headers,
            ],
        }
        sent: list[Event] = []

        async def receive() -> Event:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            return {"type": "http.request", "body": data, "more_body": False}

        async def send(event: Event) -> None:
            sent.append(event)

        asyncio.run(asyncio.wait_for(self._app(scope, receive, send), DEADLINE_S))
        self.headers = list(sent[0]["headers"])
        try:
            return sent[0]["status"], json.loads(sent[1]["body"])
        except ValueError:
            return sent[0]["status"], sent[1]["body"]

    def place(self, **more: object) -> dict[str, object]:
        return {"error": 0, "frame": self.inner, **more}

    def path(self, what: str) -> str:
        return f"errors/{self.error.report.id}/{what}"


@pytest.fixture
def desk() -> Desk:
    return Desk()


# --- what they do ---


def test_an_editor_is_asked_for_a_place(desk: Desk) -> None:
    assert desk.ask(desk.path("edit"), desk.place()) == (200, {})
    frame = desk.error.report.errors[0].frames[desk.inner]
    assert desk.opened == [(__file__, frame.line, (frame.column or 0) + 1)]


def test_a_prompt_sees_the_variables_and_remembers(desk: Desk) -> None:
    def run(code: str) -> str:
        status, said = desk.ask(desk.path("console"), desk.place(code=code), grant=GRANT)
        assert status == 200
        return str(said["output"])

    assert "3" in run("total")
    assert "NameError" in run("nonsense")
    run("more = [total * number for number in cart]")
    assert "9" in run("sum(more)")
    assert "&lt;b&gt;" in run("print('<b>')")
    assert "SystemExit" in run("exit()")
    assert "SyntaxError" in run("1 +")
    assert "KeyboardInterrupt" in run("raise KeyboardInterrupt")


def test_each_frame_has_a_prompt_of_its_own(desk: Desk) -> None:
    status, said = desk.ask(desk.path("console"), {"error": 0, "frame": desk.inner - 1, "code": "total"}, grant=GRANT)
    assert status == 200
    assert "NameError" in said["output"]


def test_code_that_does_not_end(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "PATIENCE_S", 0.05)
    frame = desk.error.frames[0, desk.inner]
    prompt = console.open_prompt(frame)
    code = "import threading; gate = threading.Event(); gate.wait()"
    assert "runs on" in asyncio.run(console.evaluate(prompt, code, 0.05))
    assert "still runs" in asyncio.run(console.evaluate(prompt, "1"))
    prompt.console._ipy.locals["gate"].set()


def test_much_code_and_much_output(desk: Desk) -> None:
    prompt = console.open_prompt(desk.error.frames[0, desk.inner])
    assert "too long" in asyncio.run(console.evaluate(prompt, "x" * 100_000))
    assert "too much to show" in asyncio.run(console.evaluate(prompt, "print('x' * 1_000_000)"))


def test_variables_are_told_when_asked_for(desk: Desk) -> None:
    status, said = desk.ask(desk.path(f"variables?error=0&frame={desk.inner}"), method="GET", token="")
    assert (status, said) == (200, {"variables": [["cart", "[1, 2]"], ["total", "3"]], "left": 0})


def test_the_frameworks_own_page(desk: Desk) -> None:
    assert desk.ask(desk.path("framework"), method="GET")[0] == 404
    headers = ((b"content-type", b"text/html"), (b"set-cookie", b"a=b"), (b"content-length", b"99"))
    desk.error.framework_answer = FrameworkAnswer(500, headers, b"<h1>Django</h1>")
    assert desk.ask(desk.path("framework"), method="GET") == (500, b"<h1>Django</h1>")
    assert (b"content-type", b"text/html") in desk.headers
    assert not any(name == b"set-cookie" for name, _ in desk.headers)
    assert [value for name, value in desk.headers if name == b"content-length"] == [b"15"]


def test_pins(desk: Desk) -> None:
    assert desk.ask("pin/show", {}) == (200, {})
    assert desk.shown == 1
    assert desk.ask("pin/try", {"pin": "1"}) == (403, {"grant": "", "left": 9})
    assert desk.ask("pin/try", {"pin": "123"}) == (200, {"grant": GRANT, "left": 10})
    assert desk.ask("pin/try", {}) == (403, {"grant": "", "left": 9})
    assert desk.tried == ["1", "123", ""]


# --- who may not ---

ACTS = ("edit", "console", "pin/show", "pin/try")
EVIL = (b"origin", b"http://evil.example")


def act(desk: Desk, what: str, *headers: tuple[bytes, bytes], **how: Any) -> int:
    path = what if "/" in what else desk.path(what)
    body = desk.place(code="import os; os._exit(1)", pin="123")
    return desk.ask(path, body, *headers, grant=GRANT, **how)[0]


def assert_nothing_happened(desk: Desk) -> None:
    assert (desk.shown, desk.tried, desk.opened, desk.error.prompts) == (0, [], [], {})


@pytest.mark.parametrize("what", ACTS)
@pytest.mark.parametrize(
    ("headers", "how"),
    [
        ((), {"token": ""}),
        ((), {"token": "a-token"}),
        ((), {"token": TOKEN + "x"}),
        ((), {"client": "192.168.1.7"}),
        ((), {"client": "::ffff:192.168.1.7"}),
        ((), {"host": b"evil.example"}),
        ((), {"host": b"192.168.1.5:8000"}),
        ((EVIL,), {}),
        (((b"origin", b"null"),), {}),
        (((b"origin", b"http://localhost:9000"),), {}),
        (((b"sec-fetch-site", b"cross-site"),), {}),
        (((b"sec-fetch-site", b"same-site"),), {}),
        (((b"x-forwarded-for", b"127.0.0.1"),), {}),
        (((b"x-devserver-token", TOKEN.encode()),), {}),  # twice
    ],
)
def test_who_may_not(desk: Desk, what: str, headers: tuple[tuple[bytes, bytes], ...], how: dict[str, Any]) -> None:
    assert act(desk, what, *headers, **how) == 403
    assert_nothing_happened(desk)


@pytest.mark.parametrize("what", ACTS)
def test_nothing_acts_by_get(desk: Desk, what: str) -> None:
    assert act(desk, what, method="GET") == 404
    assert act(desk, what, method="PUT") == 405
    assert_nothing_happened(desk)


@pytest.mark.parametrize("grant", ["", "wrong", GRANT + "x"])
def test_no_code_without_the_grant(desk: Desk, grant: str) -> None:
    status, said = desk.ask(desk.path("console"), desk.place(code="1"), grant=grant)
    assert status == 401
    assert "PIN" in said["error"]
    assert desk.error.prompts == {}


@pytest.mark.parametrize("what", ["console", "pin/show", "pin/try"])
def test_a_console_that_is_off(what: str) -> None:
    desk = Desk(keys=Keys(TOKEN, ""))
    assert act(desk, what) == 403
    assert_nothing_happened(desk)
    assert act(desk, "edit") == 200


def test_an_editor_that_is_off() -> None:
    assert act(Desk(editor=False), "edit") == 403


def test_without_keys_nothing_acts() -> None:
    desk = Desk(keys=Keys("", ""))
    for what in ACTS:
        assert act(desk, what, token="") == act(desk, what) == 403
    assert_nothing_happened(desk)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"1", b"\xff", b'"x"'])
def test_what_is_no_json_object(desk: Desk, body: bytes) -> None:
    assert desk.ask(desk.path("edit"), body)[0] == 400


def test_a_large_body_is_not_read(desk: Desk) -> None:
    assert desk.ask(desk.path("edit"), b"x" * (MAX_BODY + 1))[0] == 413


@pytest.mark.parametrize(
    "place",
    [{}, {"error": 0, "frame": 99}, {"error": -1, "frame": 0}, {"error": 0, "frame": "x"}, {"error": None, "frame": 0}],
)
def test_a_place_that_is_none(desk: Desk, place: dict[str, object]) -> None:
    assert desk.ask(desk.path("edit"), place)[0] == 404
    assert desk.ask(desk.path("console"), {**place, "code": "1"}, grant=GRANT)[0] == 404
    query = "&".join(f"{name}={value}" for name, value in place.items())
    assert desk.ask(desk.path(f"variables?{query}"), method="GET")[0] == 404


def test_an_error_that_nobody_knows(desk: Desk) -> None:
    assert desk.ask("errors/nothing/edit", desk.place())[0] == 404
    assert desk.ask("errors/nothing/framework", method="GET")[0] == 404
    assert desk.ask("errors/../edit", desk.place())[0] == 404
    assert desk.ask("errors/x/y/edit", desk.place())[0] == 405


# --- what a page may show of it ---


def local(client: str = "127.0.0.1") -> dict[str, Any]:
    return {"client": (client, 5), "headers": [(b"host", b"localhost:8000")]}


def test_tools_of_a_page(desk: Desk) -> None:
    report = desk.error.report
    assert desk.api.tools(report, local()) == Tools(TOKEN, editor=True, console=True)
    assert desk.api.tools(report, local("192.168.1.7")) == Tools()
    desk.error.framework_answer = FrameworkAnswer(500, (), b"")
    desk.api.framework = "Django 5.2"
    assert desk.api.tools(report, local("192.168.1.7")) == Tools(framework="Django 5.2")
    assert Desk(keys=Keys(TOKEN, "")).api.tools(report, local()) == Tools(), "an error of another desk"


def test_an_error_without_frames_has_no_console(desk: Desk) -> None:
    desk.error.frames = {}
    assert desk.api.tools(desk.error.report, local()) == Tools(TOKEN, editor=True, console=False)


def test_a_page_that_is_left_needs_no_token_to_say_so(desk: Desk) -> None:
    assert desk.ask(desk.path("left"), b"", EVIL, token="")[0] == 403
    assert desk.error.frames
    assert desk.ask(desk.path("left"), b"", token="") == (200, {})
    assert desk.error.frames == {}


def test_a_prompt_runs_in_the_context_of_the_request(desk: Desk) -> None:
    variable: ContextVar[str] = ContextVar("request")
    context = Context()
    context.run(variable.set, "the request")
    desk.error.context = context
    desk.error.frames[0, desk.inner].f_globals["variable"] = variable
    try:
        status, said = desk.ask(desk.path("console"), desk.place(code="variable.get()"), grant=GRANT)
    finally:
        del desk.error.frames[0, desk.inner].f_globals["variable"]
    assert status == 200
    assert "the request" in said["output"]
