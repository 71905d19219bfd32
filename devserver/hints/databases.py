"""Hints for what databases say, in the words of their drivers. Pure; runs in every process."""

from __future__ import annotations

import shlex

from devserver.hints.case import Case, Hint
from devserver.report import Advice

_NO_COLUMN = r"no such column|has no column named|column \S+ (?:of relation \S+ )?does not exist|Unknown column '[^']*'"

_NO_TABLE = r"no such table|relation \"[^\"]*\" does not exist|Table '[^']*' doesn't exist"


def missing_table(case: Case) -> Advice | None:
    if not case.matched(f"{_NO_TABLE}|{_NO_COLUMN}"):
        return None
    what = "column" if case.matched(_NO_COLUMN) else "table"  # "column … of relation … does not exist" fits both
    if case.is_a("django"):
        return Advice(
            f"The database has no such {what} yet: make and apply the migrations.",
            f"{case.manage('makemigrations')} && {case.manage('migrate')}",
        )
    if what == "column":
        return Advice("The table has no such column: apply a migration that adds it (create_all() changes no table).")
    return Advice("The database has no such table yet: create the tables or apply the migrations of your project.")


def integrity(case: Case) -> Advice | None:
    """NOT NULL, UNIQUE and foreign keys, as SQLite, PostgreSQL and MySQL say it."""
    if match := case.matched(
        r"NOT NULL constraint failed: (\S+)|null value in column \"(\w+)\"|Column '(\w+)' cannot be null"
        r"|Field '(\w+)' doesn't have a default value"
    ):
        column = next(filter(None, match.groups())).rpartition(".")[2].rstrip(")")
        if case.is_a("django"):
            return Advice(
                f"Give {column} a value before saving; if it may be empty, add null=True to the field, and migrate."
            )
        return Advice(f"Give {column} a value before saving, or make the column nullable.")
    columns = case.matched(r"Key \(([^)]+)\)=\(.*\) already exists")  # PostgreSQL's detail, behind the constraint
    if match := columns or case.matched(
        r"UNIQUE constraint failed: ([\w., ]+)|Duplicate entry '.*' for key '([^']+)'"
        r"|violates unique constraint \"([^\"]+)\""
    ):
        column = next(filter(None, match.groups())).strip()
        way = "get_or_create(), or validate by a form" if case.is_a("django") else "look for it before saving"
        return Advice(f"There is a row with this {column} already: {way}.")
    if case.matched(r"FOREIGN KEY constraint failed|foreign key constraint"):
        return Advice("Save the row that is referred to first; or delete those that refer to this one before it.")
    return None


def locked(case: Case) -> Advice | None:
    if not case.matched(r"database (?:table )?is locked"):
        return None
    return Advice(
        "Another program or thread is writing to this SQLite file: close it (a shell, a database browser), and keep"
        " transactions short."
    )


def unable_to_open(case: Case) -> Advice | None:
    if case.matched(r"unable to open database file"):
        return Advice(
            "Make the folder of the SQLite file, and check that its path is right and that you may write there."
        )
    if case.matched(r"attempt to write a readonly database"):
        return Advice("You may not write to the SQLite file or its folder: see who owns them (`ls -l`).")
    return None


def refused_login(case: Case) -> Advice | None:
    match = case.matched(
        r"(?:password|[Pp]eer|[Ii]dent) authentication failed for user \"([^\"]+)\"|Access denied for user '([^']*)'"
        r"|role \"([^\"]+)\" does not exist"
    )
    if match:
        user = next(filter(None, match.groups()), "")
        if match[3]:
            return Advice(
                f"PostgreSQL has no user {user}: create it, or name another one in the settings.", _createuser(user)
            )
        return Advice(
            f"The database does not let {user or 'this user'} in: check user, password and host in the settings."
        )
    if case.matched(r"no password supplied|using password: NO"):
        return Advice(
            "The database wants a password: add it to the settings, best by an environment variable from .env."
        )
    return None


def _createuser(user: str) -> str:
    return f"createuser --pwprompt {shlex.quote(user)}"


def missing_database(case: Case) -> Advice | None:
    if match := case.matched(r"database \"([^\"]+)\" does not exist"):
        return Advice(f"PostgreSQL has no database {match[1]} yet: create it.", f"createdb {shlex.quote(match[1])}")
    if match := case.matched(r"Unknown database '([^']+)'"):
        return Advice(f"MySQL has no database {match[1]} yet: create it, by `CREATE DATABASE {match[1]};`.")
    return None


HINTS: tuple[Hint, ...] = (missing_table, integrity, locked, unable_to_open, refused_login, missing_database)

ERRORS = (
    "sqlite3.Error",
    "django.db.utils.Error",
    "sqlalchemy.exc.DBAPIError",
    "psycopg.Error",
    "psycopg2.Error",
    "MySQLdb.Error",
    "mysql.connector.errors.Error",
    "pymysql.err.Error",
)
"""What the drivers and those who wrap them raise."""
