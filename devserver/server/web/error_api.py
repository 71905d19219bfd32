"""What error pages ask for: the variables of a frame, the framework's own page, an editor, a prompt.

Runs in the server, on its loop. Rules that hold (the design's security chapter): what only tells is for pages of this server
(`internal.py` has checked that); what acts is a POST of JSON from this machine, with the token that only our own pages hold; code
runs only for who has given the PIN as well, which the supervisor judges. Whoever asks names a frame by its number, never by a path.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple
from urllib.parse import parse_qs

from devserver.messages import PinJudged
from devserver.record import Record, as_dict
from devserver.report import Frame, Report
from devserver.server.asgi import Scope
from devserver.server.deferred import ours_first
from devserver.server.web.access import GRANT_HEADER, TOKEN_HEADER, has_secret, is_local
from devserver.server.web.aside import in_thread
from devserver.server.web.kept import KeptError, KeptErrors, Place
from devserver.server.web.tools import Tools
from devserver.server.web.variables import MAX_LOCALS, texts, variables

MAX_BODY = 64_000


class Reply(NamedTuple):
    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class Keys(Record):
    """What opens what; the same for all servers of one run of devserver."""

    token: str  # that our own pages send; "" turns off all that acts
    grant: str  # what opens prompts; "" turns the console off


class ErrorAPI:
    """`show_pin` prints the PIN in the terminal, `judge` asks the supervisor about one; `edit` opens a file at line and column."""

    def __init__(
        self,
        kept: KeptErrors,
        keys: Keys,
        *,
        show_pin: Callable[[], None],
        judge: Callable[[str], Awaitable[PinJudged]],
        edit: Callable[[str, int, int], None] | None,
    ) -> None:
        self._kept = kept
        self._keys = keys
        self._show_pin = show_pin
        self._judge = judge
        self._edit = edit
        self.framework = "The framework"  # by name, once it is known

    def tools(self, report: Report, scope: Scope) -> Tools:
        """What the page about `report` can do for this client."""
        error = self._kept.find(report.id)
        framework = self.framework if error is not None and error.framework_answer is not None else ""
        if error is None or not self._may_act(scope):
            return Tools(framework=framework)
        console = bool(self._keys.grant and error.frames)
        return Tools(self._keys.token, editor=self._edit is not None, console=console, framework=framework)

    def _may_act(self, scope: Scope) -> bool:
        return bool(self._keys.token) and is_local(scope)

    async def told(self, name: str, scope: Scope) -> Reply | None:
        """The answer to GET `name`; None if there is no such thing."""
        match name.split("/"):
            case ["errors", report_id, "framework"]:
                error = self._kept.find(report_id)
                if error is None or error.framework_answer is None:
                    return _gone()
                answer = error.framework_answer
                return Reply(answer.status, _content_headers(answer.headers), answer.body)
            case ["errors", report_id, "variables"]:
                asked = parse_qs(scope["query_string"].decode("latin-1"))
                return await self._variables(report_id, {name: values[-1] for name, values in asked.items()})
        return None

    async def act(self, name: str, scope: Scope, body: bytes) -> Reply | None:
        """The answer to POST `name`; None if there is no such thing."""
        path = name.split("/")
        if len(path) == 3 and path[0] == "errors" and path[2] == "left":  # harmless, and a beacon brings no headers
            self._kept.page_left(path[1])
            return _json(200, {})
        if path not in (["pin", "show"], ["pin", "try"]) and not (
            len(path) == 3 and path[0] == "errors" and path[2] in {"edit", "console"}
        ):
            return None
        if not (self._may_act(scope) and has_secret(scope, TOKEN_HEADER, self._keys.token)):
            return _json(403, {"error": "This is for pages of this server in a browser on the same machine."})
        try:
            asked = json.loads(body)
        except ValueError:
            asked = None
        if not isinstance(asked, dict):
            return _json(400, {"error": "Not a JSON object."})
        if path[-1] == "edit":
            return self._open(path[1], asked)
        if not self._keys.grant:
            return _json(403, {"error": "The console is off."})
        if path == ["pin", "show"]:
            self._show_pin()
            return _json(200, {})
        if path == ["pin", "try"]:
            judged = await self._judge(str(asked.get("pin", ""))[:40])
            return _json(200 if judged.grant else 403, as_dict(judged))
        return await self._evaluate(path[1], scope, asked)

    # --- each of them ---

    async def _variables(self, report_id: str, asked: Mapping[str, object]) -> Reply:
        found = self._find(report_id, asked)
        if found is None or found[2] not in found[0].frames:
            return _gone()
        frame = found[0].frames[found[2]]
        those = variables(frame.f_locals, frame.f_code)
        texts_of_all = await in_thread(lambda: list(texts(those[: MAX_LOCALS * 5])))
        made = [one for one in texts_of_all if one is not None]
        return _json(200, {"variables": [[one.name, one.value] for one in made], "left": len(those) - len(made)})

    def _open(self, report_id: str, asked: Mapping[str, object]) -> Reply:
        found = self._find(report_id, asked)
        if found is None:
            return _gone()
        if self._edit is None:
            return _json(403, {"error": "Editors are off (--editor none)."})
        frame = found[1]
        self._edit(frame.path, frame.line, (frame.column or 0) + 1)
        return _json(200, {})

    async def _evaluate(self, report_id: str, scope: Scope, asked: Mapping[str, object]) -> Reply:
        if not has_secret(scope, GRANT_HEADER, self._keys.grant):
            return _json(401, {"error": "The console wants its PIN: it stands in the terminal."})
        found = self._find(report_id, asked)
        if found is None or found[2] not in found[0].frames:
            return _gone()
        with ours_first():
            from devserver.server.web import console
        error, _, place = found
        if place not in error.prompts:
            error.prompts[place] = console.open_prompt(error.frames[place], error.context)
        output = await console.evaluate(error.prompts[place], str(asked.get("code", "")))
        return _json(200, {"output": output})

    def _find(self, report_id: str, asked: Mapping[str, object]) -> tuple[KeptError, Frame, Place] | None:
        error = self._kept.find(report_id)
        try:
            place = int(str(asked.get("error"))), int(str(asked.get("frame")))
        except ValueError:
            return None
        if error is None or min(place) < 0:
            return None
        try:
            return error, error.report.errors[place[0]].frames[place[1]], place
        except IndexError:
            return None


def _json(status: int, value: Mapping[str, object]) -> Reply:
    return Reply(status, ((b"content-type", b"application/json"),), json.dumps(value).encode())


def _gone() -> Reply:
    return _json(404, {"error": "This error is no longer kept: reload the page."})


def _content_headers(headers: tuple[tuple[bytes, bytes], ...]) -> tuple[tuple[bytes, bytes], ...]:
    """What says how to read a body, without what says what else to do: cookies, lengths, connections."""
    wanted = {b"content-type", b"content-encoding", b"content-language", b"content-security-policy"}
    return tuple((name, value) for name, value in headers if name.lower() in wanted)
