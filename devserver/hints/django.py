"""Hints for Django: settings, apps, models, forms. Pure; runs in every process."""

from __future__ import annotations

import re

from devserver.hints.case import Case, close_name
from devserver.report import Advice

_REQUEST_ATTRIBUTES = {
    "user": "django.contrib.auth.middleware.AuthenticationMiddleware",
    "session": "django.contrib.sessions.middleware.SessionMiddleware",
}
"""What a middleware adds to each request → that middleware."""


def disallowed_host(case: Case) -> Advice | None:
    match = case.matched(r"add '([^']+)' to ALLOWED_HOSTS")
    if match:
        return Advice(f'Add the name to the settings: ALLOWED_HOSTS = ["{match[1]}"], and to what is there already.')
    if case.matched(r"ALLOWED_HOSTS"):
        return Advice("With DEBUG = False the settings need ALLOWED_HOSTS; for development, set DEBUG = True.")
    return None


def improperly_configured(case: Case) -> Advice | None:
    if case.matched(r"settings are not configured"):
        return Advice(
            "Settings were used before Django knew them: run manage.py's project, e.g. `devserver run` beside it."
        )
    if case.matched(r"SECRET_KEY setting must not be empty"):
        return Advice(
            "Set SECRET_KEY in the settings; if it comes from the environment, put it into .env or --env-file."
        )
    if match := case.matched(r"Set the (\w+) environment variable"):
        return Advice(f"Put {match[1]}=… into .env, or name a file that has it by --env-file.")
    if case.matched(r"does not appear to have any patterns in it"):
        return Advice("The URLconf needs a list called urlpatterns; if it has one, look for a circular import.")
    if match := case.matched(r"AUTH_USER_MODEL refers to model '([\w.]+)' that has not been installed"):
        app, _, model = match[1].partition(".")
        return Advice(f'Add "{app}" to INSTALLED_APPS, and check that its models.py has the class {model}.')
    if case.matched(r"AUTH_USER_MODEL must be of the form"):
        return Advice('Write AUTH_USER_MODEL as "app.Model", with one dot: "accounts.User".')
    if case.matched(r"settings\.DATABASES is improperly configured"):
        return Advice('Give the database an ENGINE in the settings: "django.db.backends.sqlite3", for instance.')
    if match := case.matched(r"^'([\w.]+)' isn't an available database backend"):
        return Advice(f"Check the spelling of the ENGINE {match[1]}; the usual ones begin with django.db.backends.")
    if case.matched(r"[Ee]rror loading (?:psycopg|MySQLdb)"):
        package = "mysqlclient" if case.matched("MySQLdb") else "psycopg[binary]"
        return Advice(
            "The database driver is not installed.",
            case.install(package),
        )
    return None


def app_not_installed(case: Case) -> Advice | None:
    """A model or an app that INSTALLED_APPS does not list."""
    if case.aside:
        return None
    if match := case.matched(r"Model class ([\w.]+) doesn't declare an explicit app_label"):
        app = re.split(r"\.models\b", match[1])[0].removesuffix(f".{match[1].rpartition('.')[2]}")
        return Advice(f'Add "{app}" to INSTALLED_APPS, and import the model by that same name.')
    if match := case.matched(r"No installed app with label '(\w+)'\.(?: Did you mean '([\w.]+)'\?)?"):
        if match[2]:
            return Advice(f"No app is called {match[1]}, but one is called {match[2]}: check the spelling.")
        return Advice(f'Add "{match[1]}" to INSTALLED_APPS, or check the spelling of the app.')
    if match := case.matched(r"App '(\w+)' doesn't have a '(\w+)' model"):
        return Advice(f"Check the spelling of {match[2]}, and that the models.py of {match[1]} defines or imports it.")
    return None


def registry_not_ready(case: Case) -> Advice | None:
    if case.matched(r"translation infrastructure cannot be initialized"):
        return Advice("Take gettext_lazy in place of gettext for what is translated at import.")
    if not case.matched(r"(?:Apps|Models) aren't loaded yet"):
        return None
    return Advice(
        "Models are used before Django has loaded them: import them in the function that needs them or in AppConfig.ready(),"
        " not at the top of an __init__.py or apps.py. A script calls django.setup() first."
    )


def swapped_model(case: Case) -> Advice | None:
    if case.matched(r"Manager isn't available; '[\w.]+' has been swapped"):
        return Advice("The project has its own user model: take get_user_model() in place of importing User.")
    return None


def missing_middleware(case: Case) -> Advice | None:
    if match := case.matched(r"^'(?:WSGI|ASGI|Http)Request' object has no attribute '(user|session)'"):
        name = match[1]
        return Advice(f'Add "{_REQUEST_ATTRIBUTES[name]}" to MIDDLEWARE, before what uses request.{name}.')
    if match := case.matched(r"^You cannot add messages without installing ([\w.]+)"):
        return Advice(f'Add "{match[1]}" to MIDDLEWARE.')
    return None


def unknown_field(case: Case) -> Advice | None:
    if match := case.matched(r"Cannot resolve keyword '(\w+)' into field\. Choices are: (.+)"):
        if close := close_name(match[1], match[2].split(", ")):
            return Advice(f"The model has no field {match[1]}, but it has {close}: check the spelling.")
        return Advice(f"The model has no field {match[1]}: take one that the message lists, or add it and migrate.")
    if match := case.matched(r"Unsupported lookup '(\w+)' for (\w+)"):
        return Advice(
            f"{match[2]} has no lookup {match[1]}: check what stands behind the last __ (exact, icontains, gte, …)."
        )
    if match := case.matched(r"^(\w+)\(\) got unexpected keyword arguments: '(\w+)'"):
        return Advice(f"{match[1]} has no field {match[2]}: check the spelling, or add it to the model and migrate.")
    if match := case.matched(r"(?:Invalid field name\(s\)|Non-relational field) given in select_related: '(\w+)'"):
        return Advice(f"select_related() takes the names of ForeignKey fields: check {match[1]}.")
    return None


def wrong_count(case: Case) -> Advice | None:
    """`get()` that found nothing, or more than one."""
    if match := case.matched(r"^(\w+) matching query does not exist"):
        name = match[1]
        return Advice(
            f"No {name} fits the query: in a view take get_object_or_404({name}, …), which answers 404; elsewhere"
            " .filter(…).first(), and test for None."
        )
    if match := case.matched(r"get\(\) returned more than one (\w+)"):
        return Advice(
            f"More than one {match[1]} fits: narrow the query to one, e.g. by its pk, or take .filter(…) for all."
        )
    return None


def wrong_value(case: Case) -> Advice | None:
    if match := case.matched(r"^Field '(\w+)' expected an? (\w+) but got "):
        return Advice(f"{match[1]} takes a {match[2]}: check what is passed for it; in a URL pattern write <int:…>.")
    if case.matched(r"needs to have a value for field \"\w+\" before this many-to-many"):
        return Advice("Save the object first: only .save() gives it the id that a many-to-many relation needs.")
    return None


def sync_only(case: Case) -> Advice | None:
    if not case.matched(r"cannot call this from an async context"):
        return None
    return Advice(
        "In async code take the methods of the ORM that begin with a (`await Model.objects.aget(…)`) and `async for`; wrap"
        " other sync code in sync_to_async()."
    )


def view_not_callable(case: Case) -> Advice | None:
    if match := case.matched(r"^view must be a callable, pass (\w+)\.as_view\(\)"):
        return Advice(f"A class-based view is passed to path() by a call: write {match[1]}.as_view().")
    if case.matched(r"^view must be a callable or a list/tuple"):
        return Advice("Pass the view itself to path(): `from . import views`, then views.name, without quotes.")
    return None


def missing_form_field(case: Case) -> Advice | None:
    """`request.POST["name"]` where nothing of that name was sent."""
    if not (key := case.error.fact("key")):
        return None
    place = case.error.place
    source = next((line.text for line in place.source if line.number == place.line), "") if place else ""
    found = re.search(r"\.(GET|POST|FILES)\b", source)
    match found[1] if found else "POST":
        case "GET":
            return Advice(f"The URL has no ?{key}=…: take request.GET.get({key!r}), which gives None then.")
        case "FILES":
            return Advice(f'Give the form enctype="multipart/form-data" and its file field name="{key}".')
    return Advice(f'Nothing was sent as {key}: give the form\'s field name="{key}", or take request.POST.get({key!r}).')


def missing_static_file(case: Case) -> Advice | None:
    if match := case.matched(r"Missing staticfiles manifest entry for '([^']+)'"):
        return Advice(
            f"{match[1]} is not among the collected files: check its name, then collect them anew.",
            case.manage("collectstatic"),
        )
    return None


def csrf(reason: str) -> Advice:
    """What to do about Django's refusal of a form, which is a page and no exception.

    `reason` is what CSRF_FAILURE_VIEW is given and what the logger django.security.csrf says.
    """
    if match := re.search(r"checking failed - (\S+) does not match any trusted origins", reason):
        scheme, _, rest = match[1].partition("://")
        origin = f"{scheme}://{rest.partition('/')[0]}"
        return Advice(
            f'Add the address of the page, with its scheme, to the settings: CSRF_TRUSTED_ORIGINS = ["{origin}"].'
        )
    if "Referer" in reason:
        return Advice(
            "The browser must tell from which page the form came: remove `no-referrer` (a header or a <meta>)."
        )
    if "cookie not set" in reason:
        return Advice(
            "The browser sent no CSRF cookie: load the page of the form anew, and over http keep CSRF_COOKIE_SECURE = False."
        )
    if "token missing" in reason:
        return Advice(
            'Put {% csrf_token %} into the <form method="post">; from JavaScript send the token in the header X-CSRFToken.'
        )
    return Advice(
        "Load the page of the form anew and send it again: its token is cut off, or older than the last login."
    )
