"""A pristine interpreter that answers for fresh ones: for each project that it is told of, a fork of it loads the app.

Runs as a program of its own, `python -B -P zygote.py`. A fork of it is as fresh as a new interpreter: it has imported nothing
but the standard library's modules below, has looked into no folder of a project, and neither reads bytecode of a project nor
writes it, so each source is compiled as it is. `test_fresh.py` compares the two.

One line in, the folder of a project; one line out, JSON: {"body": …} or {"error": …}.
"""

import builtins
import glob
import importlib.metadata
import importlib.resources
import importlib.util
import io
import json
import linecache
import os
import pathlib
import pkgutil
import random
import signal
import sys
import time
import traceback

USED = (builtins, glob, importlib, io, linecache, pathlib, pkgutil, random, time)
"""What projects import: in a fork it is there already, which nobody can tell from the answer."""
DEADLINE_S = 20


def main() -> None:
    """Answer until the input ends."""
    for line in sys.stdin:
        answer = load_in_a_fork(line.rstrip("\n"))
        sys.stdout.write(answer + "\n")
        sys.stdout.flush()


def load_in_a_fork(root: str) -> str:
    """What a fork finds in `root`; JSON."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        try:
            signal.alarm(DEADLINE_S)
            silence()
            data = json.dumps(load(root)).encode()
            while data:
                data = data[os.write(writer, data) :]
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read().decode()
    _, status = os.waitpid(pid, 0)
    return answer or json.dumps({"error": {"type": "", "message": f"it died: {status}", "frames": []}})


def silence() -> None:
    """What the project prints is of no interest."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)


def load(root: str) -> dict[str, object]:
    """Import the app of the project and ask it, in this process."""
    os.chdir(root)
    sys.path.insert(0, root)
    try:
        application = importlib.import_module("app").application
        answer = application({}, lambda status, headers: None)
        if not isinstance(answer, list):  # the source was cut in the middle
            return {"error": {"is_refused": True}}
        return {"body": b"".join(answer).decode()}
    except BaseException as error:
        return {"error": describe(error, root)}


def describe(error: BaseException, root: str) -> dict[str, object]:
    """The error, and where in the project it came by. `is_refused`: a server has words of its own for it, as there is
    no such target, or it is no app."""
    inside = os.path.join(root, "")
    frames = [
        [entry.filename, entry.name, entry.lineno]
        for entry in traceback.extract_tb(error.__traceback__)
        if entry.filename.startswith(inside)
    ]
    message = str(error)
    is_refused = not frames and (
        (isinstance(error, ModuleNotFoundError) and error.name == "app")
        or (isinstance(error, AttributeError) and error.name == "application")
    )
    if isinstance(error, SyntaxError):
        message = error.msg
        frames.append([error.filename, "", error.lineno])
    if isinstance(error, SystemExit):
        message = f"sys.exit({'' if error.code is None else repr(error.code)}) was called"
    for frame in frames:
        frame.append(linecache.getline(str(frame[0]), int(frame[2] or 0)).rstrip("\r\n"))
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return {"type": name, "message": message, "frames": frames, "is_refused": is_refused}


if __name__ == "__main__":
    main()
