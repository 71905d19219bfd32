"""Hints for what web frameworks and their databases raise. Pure; runs in every process."""

from __future__ import annotations

import shlex

from devserver.hints.case import Case
from devserver.report import Advice


def missing_table(case: Case) -> Advice | None:
    if not case.matched(r"no such (?:table|column)|relation \"[^\"]*\" does not exist|Table '[^']*' doesn't exist"):
        return None
    if any(base.startswith("django.") for base in case.error.bases):
        python = shlex.quote(case.around.python)
        what = "column" if case.matched("no such column") else "table"
        return Advice(
            f"The database has no such {what} yet: make and apply the migrations.",
            f"{python} manage.py makemigrations && {python} manage.py migrate",
        )
    return Advice("The database has no such table yet: create the tables or apply the migrations of your project.")


def disallowed_host(case: Case) -> Advice | None:
    match = case.matched(r"add '([^']+)' to ALLOWED_HOSTS")
    if match:
        return Advice(f'Add the name to the settings: ALLOWED_HOSTS = ["{match[1]}"], and to what is there already.')
    if case.matched(r"ALLOWED_HOSTS"):
        return Advice("With DEBUG = False the settings need ALLOWED_HOSTS; for development, set DEBUG = True.")
    return None


def missing_template(case: Case) -> Advice | None:
    name = case.error.message.splitlines()[0] if case.error.message else "the template"
    tried = [value for key, value in case.error.facts if key == "tried"]
    if tried:
        places = "\n".join(f"  {path}" for path in tried[:8])
        return Advice(f"No file of that name ({name}) in any template folder. Looked for:\n{places}")
    if any(base.startswith("jinja2.") for base in case.error.bases):
        return Advice(f"Put {name} into the templates folder beside the app's module, or check the spelling.")
    return Advice(
        f"Check the spelling of {name}, and that its folder is in TEMPLATES DIRS or its app in INSTALLED_APPS."
    )


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
    if case.matched(r"[Ee]rror loading (?:psycopg|MySQLdb)"):
        package = "mysqlclient" if case.matched("MySQLdb") else "psycopg[binary]"
        return Advice(
            "The database driver is not installed.",
            f"{shlex.quote(case.around.python)} -m pip install {shlex.quote(package)}",
        )
    return None


def view_without_response(case: Case) -> Advice | None:
    if match := case.matched(r"The view (\S+) didn't return an HttpResponse object\. It returned None"):
        return Advice(f"The view {match[1].rpartition('.')[2]} ends without `return`: return a response on every path.")
    if match := case.matched(
        r"The view function for '([^']+)' did not return a valid response.*(?:None|return statement)"
    ):
        return Advice(f"The view {match[1]} ends without `return`: return a response on every path.")
    if case.matched(r"It returned an unawaited coroutine"):
        return Advice("The view is async, but is called as if it were not: await the call, or make the caller async.")
    return None
