"""What a project answers, from either side, in one form that can be compared and read.

Pure. The state of a project that loads is the app's own answer; of one that does not, the error: type, message, and the
frames in the project with the lines they are at. Paths are those of the project, wherever it is.
"""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass
from typing import cast

_ROOT = "<project>"
_SUGGESTION = re.compile(r"\.? Did you mean:? .*\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class State:
    """What is served. Equal states are equal in all that a project can show."""

    loaded: bool
    text: str  # JSON, with the project's folder as `<project>`

    def modules(self) -> frozenset[str]:
        """The names of the project's modules that were loaded; none if the load failed."""
        return frozenset(json.loads(self.text)["modules"]) if self.loaded else frozenset()

    def readable(self) -> list[str]:
        return json.dumps(json.loads(self.text), indent=1).splitlines()


_REFUSED = State(False, json.dumps({"error": "the target is not there, or no app"}))


def from_server(status: int, body: bytes, root: str) -> State:
    """The state behind an answer of devserver's to `Accept: application/json`."""
    text = body.decode().replace(root, _ROOT)
    if status == 200:
        return State(True, text)
    try:
        report = json.loads(text)
        error = report["errors"][0]
        frames = [
            [frame["path"], frame["function"], frame["line"], _line_of(frame)]
            for frame in error["frames"]
            if frame["path"].startswith(f"{_ROOT}/")
        ]
        if not error["type_name"]:  # devserver's own words
            return _REFUSED
        return _failed(error["type_name"], error["message"], frames)
    except (ValueError, LookupError):
        return State(False, json.dumps({"status": status, "answer": text}))


def from_fresh(answer: str, root: str) -> State:
    """The state behind a line of the zygote's."""
    told = json.loads(answer.replace(root, _ROOT))
    if "body" in told:
        return State(True, told["body"])
    error = told["error"]
    if error.get("is_refused"):
        return _REFUSED
    return _failed(error["type"], error["message"], error["frames"])


def difference(expected: State, found: State) -> str:
    """A readable diff: `-` a fresh start, `+` the server."""
    lines = difflib.unified_diff(expected.readable(), found.readable(), "fresh start", "devserver", n=6, lineterm="")
    return "\n".join(lines)


def _failed(type_name: str, message: str, frames: list[list[object]]) -> State:
    error = {"type": type_name, "message": _SUGGESTION.sub("", message), "frames": frames}
    return State(False, json.dumps(error))


def _line_of(frame: dict[str, object]) -> str:
    lines = cast("list[dict[str, object]]", frame["source"])
    return next((str(line["text"]) for line in lines if line["number"] == frame["line"]), "")
