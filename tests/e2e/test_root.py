"""The root: what happens when it cannot start, and what time it is."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from textwrap import dedent

from tests.e2e.harness import DEADLINE_S, Serve, write

SITE = """
    import os, sys
    if "devserver.server" in sys.orig_argv:
        os._exit(3)
"""


def test_a_root_that_cannot_start_ends_the_command(serve: Serve, app: str, tmp_path: Path) -> None:
    write(tmp_path / "site", {"sitecustomize.py": SITE})
    path = str(tmp_path / "site")
    server = serve({"app.py": app}, "app:application", env={"PYTHONPATH": path}, wait=False)
    assert server.process.wait(DEADLINE_S) == 1
    server.wait_for_log("the root process ended")


def test_the_request_log_keeps_the_time_of_the_terminal(serve: Serve, app: str) -> None:
    zone = '\n    import os, time\n    os.environ["TZ"] = "Pacific/Kiritimati"\n    time.tzset()\n'
    server = serve({"app.py": app + zone}, "app:application", env={"TZ": "UTC"})
    before = time.time()
    server.get("/here")
    match = server.wait_for_log(r"(\d\d:\d\d:\d\d)  GET /here")
    seconds = range(int(before) - 1, int(time.time()) + 2)
    assert match[1] in {time.strftime("%H:%M:%S", time.gmtime(second)) for second in seconds}


MODULES = """
    import sys

    OURS = ("devserver", "uvicorn", "httptools", "uvloop", "websockets", "werkzeug", "pygments", "pdb", "bdb")
    before = set(sys.modules)

    def since():
        return sorted(name for name in set(sys.modules) - before if name.partition(".")[0] in OURS)

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"TEXT {since()}".encode()]
"""


def test_between_a_save_and_the_first_answer_nothing_of_ours_is_imported(serve: Serve) -> None:
    server = serve({"app.py": MODULES, "static/a.css": "a {}"}, "app:application", "--static", "/static=static")
    server.wait_for_text("TEXT")
    numbers = itertools.count()

    def saved() -> str:
        word = f"SAVE{next(numbers)}"
        server.edit("app.py", MODULES.replace("TEXT", word))
        return server.wait_for_text(word).text.removeprefix(word)

    server.wait_for(lambda: saved() == " []", "the root to have imported what the first server did without")
    assert server.get("/static/a.css").status == 200
    assert server.get().text.endswith(" []")


def test_what_is_imported_late_is_ours_whatever_files_lie_about(serve: Serve, app: str) -> None:
    """In the first server the error page and static files are imported behind the user's folder on the path."""
    names = ("werkzeug", "pygments", "websockets", "html", "difflib", "mimetypes", "textwrap", "pdb", "code")
    traps = {f"{name}.py": "raise RuntimeError('the user wrote this')" for name in names}
    source = dedent(app).replace('TEXT = "one"', "")
    server = serve({"app.py": source, "s/a.css": "a {}", **traps}, "app:application", "--static", "/s=s")
    assert server.get("/s/a.css").status == 200
    page = server.get(Accept="text/html")
    assert page.status == 500
    assert "NameError" in page.text
    assert "the user wrote this" not in page.text
