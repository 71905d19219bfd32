"""The root: what happens when it cannot start, and what time it is."""

from __future__ import annotations

import time
from pathlib import Path

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
