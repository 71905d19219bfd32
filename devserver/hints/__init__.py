"""What a beginner should do next, for each well-known error.

A table of pure functions from an error to an Advice; runs in every process. Rules that hold: an Advice is given only when
the error's own data shows that it applies, and says what to do rather than what is wrong; what is not in the Report (which
modules stand beside the missing one, what is installed where) comes in by `Surroundings`; nothing here raises on any Report.
"""

from __future__ import annotations

from devserver.hints import concurrency, frameworks, imports, language, machine
from devserver.hints.case import Case, Environment, Hint, Surroundings
from devserver.report import Advice, Report

__all__ = ["HINTS", "MAX_ADVICE", "Environment", "Surroundings", "advise"]

MAX_ADVICE = 3

HINTS: tuple[tuple[str, Hint], ...] = (
    ("ModuleNotFoundError", imports.not_a_package),
    ("ModuleNotFoundError", imports.missing_module),
    ("AttributeError", imports.shadowed_module),
    ("ImportError", imports.shadowed_module),
    ("AttributeError", imports.circular_import),
    ("ImportError", imports.circular_import),
    ("ImportError", imports.missing_name),
    ("IndentationError", language.indentation),
    ("SyntaxError", language.forgotten_colon),
    ("SyntaxError", language.forgotten_bracket),
    ("SyntaxError", language.unterminated_string),
    ("NameError", language.suggested_name),
    ("AttributeError", language.suggested_name),
    ("ImportError", language.suggested_name),
    ("RecursionError", language.endless_recursion),
    ("SystemExit", language.exit_at_import),
    ("bdb.BdbQuit", language.left_debugger),
    ("RuntimeError", language.no_loop_at_import),
    ("EOFError", language.nobody_to_ask),
    ("OSError", language.nobody_to_ask),
    ("sqlite3.OperationalError", frameworks.missing_table),
    ("django.db.utils.DatabaseError", frameworks.missing_table),
    ("sqlalchemy.exc.DBAPIError", frameworks.missing_table),
    ("django.core.exceptions.DisallowedHost", frameworks.disallowed_host),
    ("django.core.management.base.CommandError", frameworks.disallowed_host),
    ("django.template.exceptions.TemplateDoesNotExist", frameworks.missing_template),
    ("jinja2.exceptions.TemplateNotFound", frameworks.missing_template),
    ("django.core.exceptions.ImproperlyConfigured", frameworks.improperly_configured),
    ("ValueError", frameworks.view_without_response),
    ("TypeError", frameworks.view_without_response),
    ("ConnectionRefusedError", machine.connection_refused),
    ("django.db.utils.OperationalError", machine.refused_in_message),
    ("OSError", machine.address_in_use),
    ("signal", machine.death),
    ("exit", machine.death),
    ("hang", machine.hang),
    ("RuntimeWarning", concurrency.never_awaited),
    ("forgotten task", concurrency.forgotten_task),
    ("held loop", concurrency.held_loop),
)
"""Class name (also of a base) → hint. The first that has something to say for an error speaks for it."""


def advise(report: Report, around: Surroundings = Surroundings()) -> tuple[Advice, ...]:  # noqa: B008 - frozen
    """What to do next, the most likely first; at most MAX_ADVICE, often none."""
    found: dict[Hint, Advice] = {}  # each hint speaks once: a cause is often the same trouble in a library's words
    for error in report.errors:
        case = Case(error, report, around)
        for base, hint in HINTS:
            if base in error.bases and (advice := found.get(hint) or hint(case)):
                found[hint] = advice
                break
    return tuple(found.values())[:MAX_ADVICE]
