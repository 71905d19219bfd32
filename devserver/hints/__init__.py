"""What a beginner should do next, for each well-known error.

A table of pure functions from an error to an Advice; runs in every process. Rules that hold: an Advice is given only when
the error's own data shows that it applies, and says what to do rather than what is wrong; what is not in the Report (which
modules stand beside the missing one, what is installed where) comes in by `Surroundings`; nothing here raises on any Report.
"""

from __future__ import annotations

from devserver.hints import (
    asynchronous,
    data,
    databases,
    django,
    fastapi,
    flask,
    imports,
    language,
    machine,
    syntax,
    templates,
    views,
)
from devserver.hints.case import Case, Environment, Hint, Surroundings
from devserver.record import replace
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
    ("pydantic.errors.PydanticErrorMixin", fastapi.pydantic_2),
    ("SyntaxError", syntax.merge_markers),
    ("IndentationError", syntax.indentation),
    ("SyntaxError", syntax.forgotten_colon),
    ("SyntaxError", syntax.forgotten_bracket),
    ("SyntaxError", syntax.unterminated_string),
    ("SyntaxError", syntax.forgotten_comma),
    ("SyntaxError", syntax.assignment_in_condition),
    ("SyntaxError", syntax.pasted_character),
    ("SyntaxError", syntax.python_2),
    ("SyntaxError", syntax.misplaced_statement),
    ("TypeError", asynchronous.wrong_interface),
    ("RuntimeWarning", asynchronous.forgotten_await),
    ("TypeError", asynchronous.forgotten_await),
    ("AttributeError", asynchronous.forgotten_await),
    ("TypeError", asynchronous.needless_await),
    ("TypeError", asynchronous.wrong_protocol),
    ("RuntimeError", asynchronous.no_loop_at_import),
    ("RuntimeError", asynchronous.loop_already_running),
    ("RuntimeError", asynchronous.no_loop_in_thread),
    ("RuntimeError", asynchronous.another_loop),
    ("django.urls.exceptions.NoReverseMatch", views.no_reverse_match),
    ("werkzeug.routing.exceptions.BuildError", views.build_error),
    ("starlette.routing.NoMatchFound", views.no_match_found),
    ("ValueError", views.view_without_response),
    ("TypeError", views.view_without_response),
    ("TypeError", views.arguments_of_view),
    ("django.template.exceptions.TemplateDoesNotExist", templates.missing_template),
    ("jinja2.exceptions.TemplateNotFound", templates.missing_template),
    ("django.template.exceptions.TemplateSyntaxError", templates.django_template_syntax),
    ("jinja2.exceptions.TemplateSyntaxError", templates.jinja_template_syntax),
    ("jinja2.exceptions.UndefinedError", templates.jinja_undefined),
    ("django.core.exceptions.DisallowedHost", django.disallowed_host),
    ("django.core.management.base.CommandError", django.disallowed_host),
    ("django.core.exceptions.ImproperlyConfigured", django.improperly_configured),
    ("RuntimeError", django.app_not_installed),
    ("LookupError", django.app_not_installed),
    ("django.core.exceptions.AppRegistryNotReady", django.registry_not_ready),
    ("AttributeError", django.swapped_model),
    ("AttributeError", django.missing_middleware),
    ("django.contrib.messages.api.MessageFailure", django.missing_middleware),
    ("django.core.exceptions.FieldError", django.unknown_field),
    ("TypeError", django.unknown_field),
    ("django.core.exceptions.ObjectDoesNotExist", django.wrong_count),
    ("django.core.exceptions.MultipleObjectsReturned", django.wrong_count),
    ("ValueError", django.wrong_value),
    ("django.core.exceptions.SynchronousOnlyOperation", django.sync_only),
    ("TypeError", django.view_not_callable),
    ("django.utils.datastructures.MultiValueDictKeyError", django.missing_form_field),
    ("ValueError", django.missing_static_file),
    ("RuntimeError", flask.outside_of_context),
    ("AssertionError", flask.endpoint_twice),
    ("ValueError", flask.endpoint_twice),
    ("AssertionError", flask.late_setup),
    ("RuntimeError", flask.no_secret_key),
    ("werkzeug.exceptions.BadRequestKeyError", flask.missing_form_field),
    ("flask_wtf.csrf.CSRFError", flask.csrf),
    ("fastapi.exceptions.FastAPIError", fastapi.invalid_response_field),
    ("fastapi.exceptions.ResponseValidationError", fastapi.invalid_response),
    ("pydantic_core._pydantic_core.ValidationError", fastapi.invalid_model),
    ("AssertionError", fastapi.missing_middleware),
    ("RuntimeError", fastapi.missing_directory),
    ("TypeError", fastapi.template_response),
    *((base, hint) for base in databases.ERRORS for hint in (*databases.HINTS, *machine.IN_MESSAGES)),
    ("redis.exceptions.ConnectionError", machine.refused_in_message),
    ("ConnectionRefusedError", machine.connection_refused),
    ("OSError", machine.address_in_use),
    ("OSError", machine.certificate),
    ("OSError", machine.unknown_host),
    ("OSError", machine.timed_out),
    ("OSError", machine.disk_full),
    ("OSError", machine.too_many_files),
    ("UnicodeDecodeError", data.undecodable),
    ("UnicodeEncodeError", data.unencodable),
    ("json.decoder.JSONDecodeError", data.invalid_json),
    ("ValueError", data.invalid_toml),
    ("TypeError", data.invalid_toml),
    ("FileNotFoundError", data.missing_file),
    ("IsADirectoryError", data.folder_for_file),
    ("PermissionError", data.not_permitted),
    ("NameError", language.local_before_assignment),
    ("AttributeError", language.none_value),
    ("TypeError", language.none_value),
    ("AttributeError", language.datetime_module),
    ("NameError", language.suggested_name),
    ("AttributeError", language.suggested_name),
    ("ImportError", language.suggested_name),
    ("TypeError", language.not_callable),
    ("TypeError", language.wrong_arguments),
    ("TypeError", language.mixed_types),
    ("TypeError", language.mixed_times),
    ("TypeError", language.not_a_json_value),
    ("KeyError", language.missing_environment_variable),
    ("KeyError", language.missing_key),
    ("IndexError", language.index_out_of_range),
    ("RuntimeError", language.changed_while_iterated),
    ("RecursionError", language.endless_recursion),
    ("SystemExit", language.exit_at_import),
    ("bdb.BdbQuit", language.left_debugger),
    ("EOFError", language.nobody_to_ask),
    ("OSError", language.nobody_to_ask),
    ("Exception", imports.missing_extra),
    ("signal", machine.death),
    ("exit", machine.death),
    ("hang", machine.hang),
    ("forgotten task", asynchronous.forgotten_task),
    ("held loop", asynchronous.held_loop),
)
"""Class name (also of a base) → hint. The first that has something to say for an error speaks for it."""


def advised(report: Report) -> Report:
    """`report` with what there is to say of it."""
    return replace(report, advice=advise(report))


def advise(report: Report, around: Surroundings = Surroundings()) -> tuple[Advice, ...]:  # noqa: B008 - frozen
    """What to do next, the most likely first; at most MAX_ADVICE, often none."""
    found: dict[Hint, Advice] = {}  # each hint speaks once: a cause is often the same trouble in a library's words
    for error in report.errors:
        case = Case(error, report, around)
        for base, hint in HINTS:
            if base in error.bases and (advice := found.get(hint) or hint(case)):
                found[hint] = advice
                break
    distinct = {advice.command or advice.text: advice for advice in reversed(found.values())}  # the first of equals
    return tuple(reversed(distinct.values()))[:MAX_ADVICE]
