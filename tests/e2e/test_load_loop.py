"""No request is lost: clients that ask in a loop while the project is saved again and again."""

from __future__ import annotations

import http.client
import re
import threading
from collections import Counter
from dataclasses import dataclass, field

from tests.e2e.chained import HAS_CHECKPOINTS, WEIGHT
from tests.e2e.harness import APPS, DevServer, Serve

SAVES = {"wsgi": 100, "asgi": 200}


@dataclass
class Clients:
    """Three on new connections, two on keep-alive connections; every answer is checked."""

    server: DevServer
    stop: threading.Event = field(default_factory=threading.Event)
    problems: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    served: int = 0  # the newest version that is known to answer
    threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        loops = [self._new_connections] * 3 + [self._keep_alive] * 2
        self.threads = [threading.Thread(target=loop, daemon=True) for loop in loops]
        for thread in self.threads:
            thread.start()

    def end(self) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive(), f"a client got no answer\n{self.server.log}"

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.server.host, self.server.port, timeout=20)

    def _new_connections(self) -> None:
        while not self.stop.is_set():
            connection = self._connection()
            self._ask(connection, "new")
            connection.close()

    def _keep_alive(self) -> None:
        connection = self._connection()
        while not self.stop.is_set():
            if not self._ask(connection, "kept"):
                connection.close()
                connection = self._connection()
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection, kind: str) -> bool:
        at_least = self.served
        try:
            connection.request("GET", "/")
            response = connection.getresponse()
            body = response.read().decode()
        except (OSError, http.client.HTTPException) as error:
            self.problems.append(f"{kind}: {error!r}")
            return False
        self.counts[kind] += 1
        version = re.fullmatch(r"version (\d+)", body)
        if response.status != 200 or version is None:
            self.problems.append(f"{kind}: {response.status} {body[:200]}")
        elif int(version[1]) < at_least:
            self.problems.append(f"{kind}: {body} after version {at_least} had answered")
        return True


def test_nothing_is_lost_in_hundreds_of_saves(serve: Serve, kind: str) -> None:
    """The file that is saved is not the first of the load: from the second save on each continues right before it."""

    def source(version: int) -> str:
        return f'TEXT = "version {version}"\n'

    saves = SAVES[kind]
    files = {
        "app.py": APPS[kind].replace('TEXT = "one"', "import heavy\n    from views import TEXT"),
        "heavy.py": f"print('heavy runs')\nimport time\n{WEIGHT}",
        "views.py": source(0),
    }
    server = serve(files, "app:application", "--no-access-log")
    clients = Clients(server)
    clients.start()
    for version in range(1, saves + 1):
        server.edit("views.py", source(version))
        server.wait_for_text(f"version {version}")
        clients.served = version
    clients.end()
    assert clients.problems == []
    assert clients.counts["new"] > saves, clients.counts
    assert clients.counts["kept"] > saves, clients.counts
    if HAS_CHECKPOINTS:
        assert server.log.count("heavy runs") <= 2, server.log
        assert server.log.count("resumed before it, 1 of 3 modules ran again") >= saves - 1
    else:
        assert server.log.count("heavy runs") == saves + 1, server.log
