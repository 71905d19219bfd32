"""The PIN of the console against who tries: over restarts of the server, from elsewhere, and without a page of ours."""

from __future__ import annotations

import json
import re

from tests.e2e.harness import DevServer, Serve

APP = """
    def application(environ, start_response):
        secret = "in the frame"
        raise ValueError("TEXT")
"""


def ask(server: DevServer, path: str, token: str, body: object, **headers: str) -> tuple[int, dict[str, object]]:
    answer = server.request(
        "POST",
        f"/__devserver__/{path}",
        body=json.dumps(body).encode(),
        headers={"X-Devserver-Token": token, **{name.replace("_", "-"): value for name, value in headers.items()}},
    )
    is_json = answer.headers["content-type"] == "application/json"
    return answer.status, json.loads(answer.text) if is_json else {}


def page(server: DevServer, text: str) -> tuple[str, str]:
    """The page's token and the id of its error."""
    html = server.wait_for_text(f"<title>ValueError: {text}", Accept="text/html").text
    token = re.search(r'data-token="(\w+)"', html)
    report = re.search(r'data-report="([\w-]+)"', html)
    assert token, html
    assert report, html
    return token[1], report[1]


def test_wrong_tries_are_counted_over_restarts(serve: Serve) -> None:
    server = serve({"app.py": APP.replace("TEXT", "one")}, "app:application")
    token, _ = page(server, "one")
    ask(server, "pin/show", token, {})
    pin = server.wait_for_log(r"PIN of the console in error pages: (\d{3}-\d{3}-\d{3})")[1]
    wrong = "111-111-111" if pin != "111-111-111" else "111-111-112"
    for left in (9, 8, 7, 6, 5):
        assert ask(server, "pin/try", token, {"pin": wrong}) == (403, {"grant": "", "left": left})
    server.edit("app.py", APP.replace("TEXT", "two"))
    again, _ = page(server, "two")
    assert again == token
    for left in (4, 3, 2, 1, 0):
        assert ask(server, "pin/try", token, {"pin": wrong}) == (403, {"grant": "", "left": left})
    server.wait_for_log(r"the console of error pages is locked: 10 wrong PINs; restart devserver")
    server.edit("app.py", APP.replace("TEXT", "three"))
    page(server, "three")
    assert ask(server, "pin/try", token, {"pin": pin}) == (403, {"grant": "", "left": 0}), "too late"


def test_the_right_pin_opens_prompts_also_after_a_restart(serve: Serve) -> None:
    server = serve({"app.py": APP.replace("TEXT", "one")}, "app:application")
    token, report = page(server, "one")
    code = {"error": 0, "frame": 0, "code": "secret"}
    assert ask(server, f"errors/{report}/console", token, code)[0] == 401
    ask(server, "pin/show", token, {})
    pin = server.wait_for_log(r"PIN of the console in error pages: (\d{3}-\d{3}-\d{3})")[1]
    status, said = ask(server, "pin/try", token, {"pin": pin})
    assert status == 200
    grant = str(said["grant"])
    status, said = ask(server, f"errors/{report}/console", token, code, X_Devserver_Grant=grant)
    assert status == 200
    assert "in the frame" in str(said["output"])
    server.edit("app.py", APP.replace("TEXT", "two"))
    token, report = page(server, "two")
    assert ask(server, f"errors/{report}/console", token, code, X_Devserver_Grant=grant)[0] == 200
    assert ask(server, f"errors/{report}/console", token, code, X_Devserver_Grant=grant, Origin="null")[0] == 403
    assert (
        ask(server, f"errors/{report}/console", token, code, X_Devserver_Grant=grant, X_Forwarded_For="10.0.0.1")[0]
        == 403
    )


def test_pages_for_others_hold_no_token(serve: Serve) -> None:
    server = serve({"app.py": APP.replace("TEXT", "one")}, "app:application", "--host", "0.0.0.0")
    for headers in ({}, {"X-Forwarded-For": "10.0.0.1"}, {"Host": "192.168.1.5"}):
        html = server.request("GET", "/", headers={"Accept": "text/html", **headers}).text
        assert "data-console" not in html
        assert ('data-token=""' in html) is bool(headers)


def test_a_console_that_is_off(serve: Serve) -> None:
    server = serve({"app.py": APP.replace("TEXT", "one")}, "app:application", "--no-console")
    html = server.get("/", Accept="text/html").text
    assert "data-console" not in html
    assert "data-editor" in html


FLASK = """
    from flask import Flask, request

    app = Flask(__name__)

    @app.get("/shop")
    def shop():
        raise ValueError("TEXT")
"""


def test_the_request_is_at_hand_in_the_prompt(serve: Serve) -> None:
    """Flask has it in the context, which is gone when the request is."""
    server = serve({"app.py": FLASK}, "app:app")
    html = server.get("/shop?size=9", Accept="text/html").text
    token, report = (re.search(rf'data-{name}="([\w-]+)"', html) for name in ("token", "report"))
    assert token
    assert report
    ask(server, "pin/show", token[1], {})
    pin = server.wait_for_log(r"PIN of the console in error pages: (\d{3}-\d{3}-\d{3})")[1]
    grant = str(ask(server, "pin/try", token[1], {"pin": pin})[1]["grant"])
    answer = server.get(f"/__devserver__/errors/{report[1]}/variables?error=0&frame=0").text
    assert "variables" in answer
    frames = len(json.loads(server.get("/shop", Accept="application/json").text)["errors"][0]["frames"])
    code = {"error": 0, "frame": frames - 1, "code": "request.args['size']"}
    _, said = ask(server, f"errors/{report[1]}/console", token[1], code, X_Devserver_Grant=grant)
    assert "9" in str(said["output"]).partition("\n")[2]
