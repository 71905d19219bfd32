"""WSGI by the real command: PEP 3333 to the letter, streams, uploads, threads."""

from __future__ import annotations

import http.client
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.e2e.harness import DEADLINE_S, DevServer, Serve

VALIDATED = """
    import sys
    from wsgiref.validate import validator

    class Closing:
        def __init__(self, chunks):
            self.chunks = iter(chunks)
        def __iter__(self):
            return self
        def __next__(self):
            return next(self.chunks)
        def close(self):
            print("closed once", flush=True)

    def app(environ, start_response):
        path = environ["PATH_INFO"]
        text = [("Content-Type", "text/plain")]
        if path == "/echo":
            body = environ["wsgi.input"].read(10_000_000)
            start_response("200 OK", text)
            return [repr((environ["REQUEST_METHOD"], len(body), environ["QUERY_STRING"])).encode()]
        if path == "/204":
            start_response("204 No Content", [])
            return []
        if path == "/304":
            start_response("304 Not Modified", [("ETag", '"x"')])
            return []
        if path == "/write":
            write = start_response("200 OK", text)
            write(b"written ")
            return [b"and returned"]
        if path == "/empty":
            start_response("200 OK", text)
            return []
        if path == "/length":
            start_response("200 OK", [*text, ("Content-Length", "10")])
            return [b"" if environ["REQUEST_METHOD"] == "HEAD" else b"0123456789"]
        if path == "/error":
            try:
                start_response("200 OK", text)
                raise ValueError("x")
            except ValueError:
                start_response("503 Busy", text, sys.exc_info())
                return [b"replaced"]
        if path == "/closing":
            start_response("200 OK", text)
            return Closing([b"a", b"b"])
        raise KeyError(path)

    application = validator(app)
"""


def test_what_the_validator_of_the_standard_library_accepts(serve: Serve) -> None:
    server = serve({"app.py": VALIDATED}, "app:application")
    for method, path, body, status, content in [
        ("GET", "/echo?a=%20b", None, 200, b"('GET', 0, 'a=%20b')"),
        ("POST", "/echo", b"x" * 300_000, 200, b"('POST', 300000, '')"),
        ("POST", "/echo", b"", 200, b"('POST', 0, '')"),
        ("HEAD", "/length", None, 200, b""),
        ("GET", "/length", None, 200, b"0123456789"),
        ("GET", "/204", None, 204, b""),
        ("GET", "/304", None, 304, b""),
        ("GET", "/write", None, 200, b"written and returned"),
        ("GET", "/empty", None, 200, b""),
        ("GET", "/error", None, 503, b"replaced"),
        ("GET", "/closing", None, 200, b"ab"),
    ]:
        answer = server.request(method, path, body=body)
        assert (answer.status, answer.body) == (status, content), (path, answer.text)
        if path == "/length":
            assert answer.headers["content-length"] == "10"
        if status in (204, 304):
            assert "transfer-encoding" not in answer.headers
    server.wait_for_log("closed once")
    assert server.log.count("closed once") == 1
    assert "AssertionError" not in server.log
    # And it does complain where there is a reason: the test would see it.
    assert "KeyError" in server.get("/nowhere").text


STREAM = """
    import threading, time
    go = threading.Event()

    class Chunks:
        def __init__(self, path):
            self.path = path
        def __iter__(self):
            yield b"first"
            go.wait()
            yield b"second"
            if self.path == "/broken":
                raise ValueError("in the middle")
            while self.path == "/endless":
                yield b"x" * 1000
        def close(self):
            print(f"closed {self.path}", flush=True)

    def application(environ, start_response):
        path = environ["PATH_INFO"]
        if path == "/go":
            go.set()
            start_response("204 No Content", [])
            return []
        start_response("200 OK", [("Content-Type", "text/plain")])
        if path == "/started":
            raise ValueError("after start_response")
        return Chunks(path)
"""


@contextmanager
def asking(server: DevServer, path: str) -> Iterator[http.client.HTTPResponse]:
    with closing(http.client.HTTPConnection(server.host, server.port, timeout=DEADLINE_S)) as connection:
        connection.request("GET", path)
        with connection.getresponse() as response:
            yield response


def test_chunks_arrive_when_they_are_yielded(serve: Serve) -> None:
    server = serve({"app.py": STREAM}, "app:application")
    with asking(server, "/stream") as response:
        assert response.read(5) == b"first"  # the second is not made before somebody asks for /go
        server.get("/go")
        assert response.read() == b"second"
    server.wait_for_log("closed /stream")


def test_an_error_in_mid_stream_truncates_the_answer_and_is_told(serve: Serve) -> None:
    server = serve({"app.py": STREAM}, "app:application")
    with asking(server, "/broken") as response:
        assert response.read(5) == b"first"
        server.get("/go")
        with pytest.raises(http.client.IncompleteRead):
            response.read()
    server.wait_for_log("ValueError: in the middle")
    server.wait_for_log("closed /broken")
    assert server.get("/started").status == 500
    server.wait_for_log("ValueError: after start_response")


def test_a_client_that_leaves_ends_the_stream(serve: Serve) -> None:
    server = serve({"app.py": STREAM}, "app:application")
    server.get("/go")
    with asking(server, "/endless") as response:
        assert response.read(5) == b"first"
    server.wait_for_log("closed /endless")
    assert server.log.count("closed /endless") == 1


UPLOAD = """
    import os

    def application(environ, start_response):
        size = 0
        if environ["PATH_INFO"] == "/upload":
            while chunk := environ["wsgi.input"].read(1 << 16):
                size += len(chunk)
        with open("/proc/self/status") as file:
            peak = next(line for line in file if line.startswith("VmHWM")).split()[1]
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{size} {peak}".encode()]
"""
MIB = 1 << 20


@pytest.mark.parametrize("chunked", [False, True])
def test_an_upload_needs_no_memory(serve: Serve, chunked: bool) -> None:
    server = serve({"app.py": UPLOAD}, "app:application")
    total = 200 * MIB
    before = int(server.get().text.split()[1])
    block = bytes(MIB)
    with closing(http.client.HTTPConnection(server.host, server.port, timeout=60)) as connection:
        headers = {} if chunked else {"Content-Length": str(total)}
        body = (block for _ in range(total // MIB))
        connection.request("POST", "/upload", body=body, headers=headers, encode_chunked=chunked)
        size, peak = connection.getresponse().read().split()
    assert int(size) == total
    assert int(peak) - before < 64 * 1024


ENVIRON = """
    import contextvars, threading
    seen = contextvars.ContextVar("seen", default="nothing")

    def application(environ, start_response):
        before = seen.get()
        seen.set(environ["PATH_INFO"])
        names = ["REQUEST_URI", "RAW_URI", "PATH_INFO", "SCRIPT_NAME", "HTTP_X_GOOD", "HTTP_X_BAD", "SERVER_PROTOCOL"]
        facts = [environ.get(name, "-") for name in names]
        facts += [before, environ["wsgi.multithread"], environ["wsgi.multiprocess"], environ["wsgi.url_scheme"]]
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [repr(facts).encode()]
"""


def test_the_environ(serve: Serve) -> None:
    server = serve({"app.py": ENVIRON}, "app:application")
    answer = server.request("GET", "/a%20b/%C3%BC?q=%20", headers={"X-Good": "1", "X_Bad": "2"})
    assert eval(answer.text) == [
        "/a%20b/%C3%BC?q=%20", "/a%20b/%C3%BC?q=%20", "/a b/\xc3\xbc", "", "1", "-", "HTTP/1.1",
        "nothing", True, False, "http",
    ]  # fmt: skip
    with server.connect() as client:  # what curl sends when somebody types it
        client.sendall("GET /ü HTTP/1.0\r\n\r\n".encode())
        answer_bytes = b""
        while data := client.recv(65536):
            answer_bytes += data
    content = eval(answer_bytes.partition(b"\r\n\r\n")[2])
    assert content[2] == "/\xc3\xbc"
    assert content[7] == "nothing"  # nothing is left of the request before
    assert eval(server.get("/x", X_Good="1").text)[4] == "1"


SLOW = """
    import threading, time
    release = threading.Event()
    active = peak = 0
    lock = threading.Lock()

    def application(environ, start_response):
        global active, peak
        with lock:
            active += 1
            peak = max(peak, active)
        print(f"in {environ['PATH_INFO']} {environ['wsgi.multithread']}", flush=True)
        if environ["PATH_INFO"] == "/wait":
            while not __import__("os").path.exists("go"):
                time.sleep(0.01)
        with lock:
            active -= 1
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(peak).encode()]
"""


@pytest.mark.parametrize("threads", [1, 3])
def test_no_more_requests_at_a_time_than_threads_and_a_warning(serve: Serve, threads: int) -> None:
    server = serve({"app.py": SLOW}, "app:application", "--threads", str(threads))
    answers: list[str] = []
    asking = [
        threading.Thread(target=lambda: answers.append(server.get("/wait").text), daemon=True)
        for _ in range(threads + 2)
    ]
    for thread in asking:
        thread.start()
    word = "the only WSGI thread is busy" if threads == 1 else f"all {threads} WSGI threads are busy"
    server.wait_for_log(word)
    assert server.log.count("in /wait") == threads
    (server.project / "go").touch()
    for thread in asking:
        thread.join(DEADLINE_S)
    assert len(answers) == threads + 2
    assert max(map(int, answers)) == threads
    assert server.log.count(word) == 1
    assert f"in /wait {threads > 1}" in server.log


def test_an_exit_in_a_view_is_an_error_of_the_request(serve: Serve) -> None:
    source = """
        import os, sys
        def application(environ, start_response):
            if environ["PATH_INFO"] == "/exit":
                sys.exit("I leave")
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [str(os.getpid()).encode()]
    """
    server = serve({"app.py": source}, "app:application")
    pid = server.server_pid()
    answer = server.get("/exit")
    assert answer.status == 500
    assert "SystemExit: sys.exit('I leave') was called" in answer.text
    assert server.server_pid() == pid
    server.wait_for_log("SystemExit: ")


def test_a_default_timeout_of_sockets_changes_nothing(serve: Serve) -> None:
    source = """
        import os, socket
        socket.setdefaulttimeout(600)
        held = socket.create_server(("127.0.0.1", 0))
        held.settimeout(None)
        def application(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [str(os.get_blocking(held.fileno())).encode()]
    """
    server = serve({"app.py": source}, "app:application")
    for _ in range(3):
        assert server.get().text == "True"  # and what the app has open is as it was
    server.edit("app.py", source.replace("str(os.get_blocking(held.fileno()))", "'new'"))
    server.wait_for_text("new")


@pytest.mark.parametrize(("library", "patch"), [("gevent.monkey", "patch_all"), ("eventlet", "monkey_patch")])
def test_green_threads_get_an_error_that_heals(serve: Serve, app: str, library: str, patch: str) -> None:
    pytest.importorskip(library, exc_type=ImportError)
    plain = re.sub(r"(?m)^    ", "", app)
    server = serve(
        {"app.py": f"import {library}; {library}.{patch}()\n{plain}"},
        "app:application",
        env={"PYTHONWARNINGS": "ignore"},
    )
    for accept in ("*/*", "text/html"):
        page = server.get(Accept=accept)
        assert page.status == 500
        assert "has replaced the threads" in page.text
        assert f"{patch}() out of the app" in page.text
    server.edit("app.py", plain)
    server.wait_for_text("one")


def test_options_of_the_interpreter(serve: Serve, app: str) -> None:
    """Development mode tells what is leaked or deprecated: nothing of ours. -W error must not end us."""
    server = serve(
        {"app.py": app}, "app:application", env={"PYTHONDEVMODE": "1", "PYTHONWARNINGS": "error", "PYTHONHASHSEED": "7"}
    )
    server.wait_for_text("one")
    server.edit("app.py", app.replace("one", "two"))
    server.wait_for_text("two")
    assert server.stop() == 0
    assert "Warning" not in server.log
    assert "Traceback" not in server.log


LOGGING = """
    import logging, logging.config
    early = logging.getLogger("early")
    logging.config.dictConfig({
        "version": 1,
        "disable_existing_loggers": True,
        "formatters": {"plain": {"format": "LOG %(name)s %(message)s"}},
        "handlers": {"file": {"class": "logging.FileHandler", "filename": "app.log", "formatter": "plain"}},
        "root": {"level": "DEBUG", "handlers": ["file"]},
    })

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/error":
            raise ValueError("mine")
        logging.getLogger("mine").info("asked %s", environ["PATH_INFO"])
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [TEXT.encode()]
    TEXT = "one"
"""


def test_the_logging_of_the_user_is_left_alone(serve: Serve) -> None:
    server = serve({"app.py": LOGGING}, "app:application")
    assert server.get("/a").text == "one"
    assert server.get("/error").status == 500
    server.wait_for_log("ValueError: mine")
    with server.connect() as client:
        client.sendall(b"nonsense\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 400")
    server.edit("app.py", LOGGING.replace('"one"', '"two"'))
    server.wait_for_text("two", "/b")
    assert server.stop() == 0
    lines = Path(server.project, "app.log").read_text().splitlines()
    assert "LOG mine asked /a" in lines
    assert "LOG mine asked /b" in lines
    assert [line for line in lines if not line.startswith("LOG mine ")] == []


def test_a_port_is_not_held_by_idle_clients(serve: Serve, app: str) -> None:
    """Connections on which nothing happens end with the command."""
    server = serve({"app.py": app}, "app:application")
    with server.connect() as silent, server.connect() as kept:
        assert asked(kept, b"one")
        server.edit("app.py", app.replace("one", "two"))
        server.wait_for_text("two")
        assert asked(kept, b"two")
        assert asked(silent, b"two")
        assert server.stop() == 0
        assert kept.recv(10) == b""


def asked(client: socket.socket, text: bytes) -> bytes:
    """A request on an open connection, answered with `text`."""
    client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = b""
    while text not in answer:
        data = client.recv(65536)
        assert data, answer
        answer += data
    return answer
