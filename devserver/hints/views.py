"""Hints for the way from a URL to a view and back. Pure; runs in every process."""

from __future__ import annotations

import re

from devserver.hints.case import Case, close_name
from devserver.report import Advice
from devserver.source import package_of


def no_reverse_match(case: Case) -> Advice | None:
    """Django's `reverse()` and `{% url %}`."""
    known = [value for key, value in case.error.facts if key == "known"]
    if match := case.matched(r"^'([^']+)' is not a registered namespace"):
        if close := close_name(match[1], known):
            return Advice(f"No URLs are included as {match[1]}, but some are as {close}: check the spelling.")
        return Advice(
            f'The URLs have no namespace {match[1]}: set `app_name = "{match[1]}"` in the urls.py of that app,'
            f" include() it in the project's, or leave out `{match[1]}:`."
        )
    if match := case.matched(r"^Reverse for '([^']*)' not found\."):
        if not match[1]:
            return Advice("The name of the URL is empty: put it in quotes, as in `{% url 'name' %}`.")
        if close := close_name(match[1], known):
            return Advice(f"No URL is named {match[1]}, but one is named {close}: check the spelling.")
        return Advice(
            f'No URL is named {match[1]}: add `name="{match[1]}"` to its path(), or write `app_name:{match[1]}` if the'
            " app's urls.py sets app_name."
        )
    if match := case.matched(r"^Reverse for '([^']+)' with (.*) not found\. \d+ pattern\(s\) tried: \[(.*)\]"):
        return Advice(f"{_given(match[2])}, and the URL {match[1]} does not fit that: {_wanted(match[3])}.")
    return None


def _given(arguments: str) -> str:
    if arguments == "no arguments":
        return "No arguments are given"
    if "''" in arguments or "None" in arguments:
        return f"Of the {_short(arguments)} one is empty (was the object saved? is the variable's name right?)"
    return f"Given are {_short(arguments)}"


def _wanted(patterns: str) -> str:
    names = re.findall(r"\(\?P<(\w+)>", patterns.partition("', '")[0])
    return f"pass {' and '.join(names)}" if names else "pass what the pattern asks for"


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:79]}…"


def build_error(case: Case) -> Advice | None:
    """Flask's `url_for()`, in werkzeug's words."""
    if not (match := case.matched(r"^Could not build url for endpoint '([^']+)'")):
        return None
    endpoint = match[1]
    if values := case.matched(r"Did you forget to specify values \[([^\]]+)\]"):
        names = ", ".join(f"{name}=…" for name in re.findall(r"'(\w+)'", values[1]))
        return Advice(f"Give the parts of this URL: url_for({endpoint!r}, {names}).")
    suggested = case.matched(r"Did you mean '([^']+)' instead")
    if suggested and (suggested[1].endswith(f".{endpoint}") or close_name(endpoint, suggested.groups(), 0.6)):
        return Advice(f"There is no endpoint {endpoint}, but there is {suggested[1]}: write url_for({suggested[1]!r}).")
    return Advice(
        f"There is no endpoint {endpoint}: url_for() takes the name of the view function, in a blueprint with the blueprint's"
        " name before it (`blueprint.function`)."
    )


def no_match_found(case: Case) -> Advice | None:
    """Starlette's and FastAPI's `url_path_for()` and `url_for()`."""
    if not (match := case.matched(r'^No route exists for name "([^"]*)" and params "([^"]*)"')):
        return None
    name, known = match[1], [value for key, value in case.error.facts if key == "known"]
    if name in known:
        return Advice(
            f"The route {name} has other parameters ({match[2] or 'none'} given): pass what stands in {{}} in its path."
        )
    if close := close_name(name, known):
        return Advice(f"No route is named {name}, but one is named {close}: check the spelling.")
    return Advice(f'No route is named {name}: add `name="{name}"` to it, or take the name of its function.')


def arguments_of_view(case: Case) -> Advice | None:
    """The URL's parts are passed to a view that does not take them, or takes others."""
    caller = case.innermost
    if caller is None or caller.is_user or package_of(caller.display_path) not in {"django", "flask", "asgiref"}:
        return None
    if match := case.matched(r"(\w+)\(\) got an unexpected keyword argument '(\w+)'"):
        return Advice(
            f"The URL pattern passes {match[2]} to {match[1]}: add {match[2]} to its parameters, or rename one of both."
        )
    if match := case.matched(r"(\w+)\(\) missing \d+ required positional arguments?: (.+)"):
        return Advice(
            f"The URL pattern does not pass {match[2]} to {match[1]}: add it to the pattern, or give it a default."
        )
    if case.matched(r"\w\.__init__\(\) takes 1 positional argument but 2 were given"):
        return Advice("A class-based view is passed to path() by a call: write .as_view() behind the class in urls.py.")
    if match := case.matched(r"(\w+)\(\) takes 0 positional arguments but 1 was given"):
        return Advice(f"A view of Django is given the request first: write `def {match[1]}(request):`.")
    return None


def view_without_response(case: Case) -> Advice | None:
    if match := case.matched(r"The view (\S+) didn't return an HttpResponse object\. It returned None"):
        return Advice(f"The view {match[1].rpartition('.')[2]} ends without `return`: return a response on every path.")
    if match := case.matched(
        r"The view function for '([^']+)' did not return a valid response.*(?:None|return statement)"
    ):
        return Advice(f"The view {match[1]} ends without `return`: return a response on every path.")
    if case.matched(r"The view function did not return a valid response\. The return type"):
        return Advice(
            "A view of Flask returns a text, a dict, a list or a response: convert the value, e.g. by str(…)."
        )
    if case.matched(r"It returned an unawaited coroutine"):
        return Advice("The view is async, but is called as if it were not: await the call, or make the caller async.")
    return None
