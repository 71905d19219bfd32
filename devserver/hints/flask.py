"""Hints for Flask and its extensions. Pure; runs in every process."""

from __future__ import annotations

from devserver.hints.case import Case
from devserver.report import Advice


def outside_of_context(case: Case) -> Advice | None:
    if case.matched(r"^Working outside of application context"):
        return Advice("No app is active here: write `with app.app_context():` around it, or move it into a view.")
    if case.matched(r"^Working outside of request context"):
        return Advice(
            "request and session exist only while a request is answered: use them in a view, and pass on to threads and"
            " tasks the values, not request itself."
        )
    return None


def endpoint_twice(case: Case) -> Advice | None:
    if match := case.matched(r"overwriting an existing endpoint function: (\S+)"):
        name = match[1]
        return Advice(
            f"Two views are called {name}: rename one. If a decorator of yours stands between, give its inner function"
            " @functools.wraps(view)."
        )
    if match := case.matched(r"The name '([^']+)' is already registered for"):
        return Advice(f"Register the blueprint {match[1]} once, or give the second registration another name=….")
    return None


def late_setup(case: Case) -> Advice | None:
    if match := case.matched(r"^The setup method '(\w+)' can no longer be called"):
        return Advice(
            f"Call {match[1]} where the app or blueprint is made, before it is registered and answers requests."
        )
    return None


def no_secret_key(case: Case) -> Advice | None:
    if not case.matched(r"session is unavailable because no secret key|secret key is required to use CSRF"):
        return None
    return Advice(
        'Set app.secret_key, e.g. to os.environ["SECRET_KEY"] with a line SECRET_KEY=… in .env. This makes a value:',
        'python -c "import secrets; print(secrets.token_hex())"',
    )


def missing_form_field(case: Case) -> Advice | None:
    """`request.form["name"]` where nothing of that name was sent."""
    if not (key := case.error.fact("key")):
        return None
    return Advice(
        f'Nothing was sent as {key}: give the form\'s field name="{key}" and the form method="post", or take .get({key!r}).'
    )


def csrf(case: Case) -> Advice | None:
    """The refusal of Flask-WTF."""
    if case.matched(r"session token is missing|tokens do not match|has expired|token is invalid"):
        return Advice("Load the page of the form anew and send it again; if that fails, keep app.secret_key the same.")
    if case.matched(r"token is missing"):
        return Advice(
            "Put {{ form.hidden_tag() }} into the <form>; from JavaScript send the token in the header X-CSRFToken."
        )
    return None
