"""Hints for FastAPI, Starlette and Pydantic. Pure; runs in every process."""

from __future__ import annotations

from devserver.hints.case import Case
from devserver.report import Advice

_USAGE = {
    "class-not-fully-defined": "Define or import the missing type above the model, or call model_rebuild() once it is there.",
    "model-field-missing-annotation": "Give the field a type: `name: int = 1` in place of `name = 1`.",
    "model-field-overridden": "Give the field its type in the subclass as well: `name: int = 1`.",
    "root-validator-pre-skip": 'Take `@model_validator(mode="after")` of Pydantic 2 in place of `@root_validator`.',
    "schema-for-unknown-type": "Take a type that Pydantic knows, or set `model_config = ConfigDict(arbitrary_types_allowed=True)`.",
    "undefined-annotation": "Define or import the missing type above the model, or call model_rebuild() once it is there.",
    "validator-field-config-info": "Pydantic 2 passes one `info` in place of `field` and `config`: take info.field_name.",
}
"""Pydantic's code of a wrong use → what to do."""


def invalid_response_field(case: Case) -> Advice | None:
    if not case.matched(r"^Invalid args for response field"):
        return None
    return Advice(
        "FastAPI can make no model of this type: annotate with a Pydantic model, or write response_model=None in the decorator"
        " if it is the type of the answer. A dependency (a session, a client) is declared by Depends(…)."
    )


def invalid_response(case: Case) -> Advice | None:
    if not case.matched(r"^\d+ validation errors?:"):
        return None
    place = case.matched(r"'loc': \('response'(?:, \d+)?, '(\w+)'")
    what = f"its field {place[1]}" if place else "each field"
    return Advice(f"The view returns what its response model does not allow: check {what}, or change the model.")


def invalid_model(case: Case) -> Advice | None:
    """A Pydantic model made from values that do not fit; Pydantic's settings, too."""
    match = case.matched(r"^\d+ validation errors? for (\S+)\n(\S+)\n  (Field required)?")
    if not match:
        return None
    if match[3] and case.error.type_name.endswith("ValidationError") and "settings" in match[1].lower():
        return Advice(f"Put {match[2].upper()}=… into .env, or name a file that has it by --env-file.")
    if match[3]:
        return Advice(
            f"Pass {match[2]} to {match[1]}, or give it a default in the model (`{match[2]}: … | None = None`)."
        )
    return Advice(f"Pass {match[1]} another value for {match[2]}, or change the type of that field.")


def pydantic_2(case: Case) -> Advice | None:
    """What Pydantic 2 has moved, renamed or removed."""
    if case.matched(r"BaseSettings` has been moved to the `pydantic-settings`"):
        return Advice(
            "Write `from pydantic_settings import BaseSettings`, and install that package.",
            case.install("pydantic-settings"),
        )
    if match := case.matched(r"^`pydantic[.:](?:[\w.]*:)?(\w+)` has been (?:removed|moved)"):
        return Advice(
            f"Pydantic 2 has no {match[1]} there: see its migration guide for what takes its place, and import that."
        )
    if match := case.matched(r"^`(\w+)` is removed\. use `(\w+)` instead"):
        return Advice(f"Pydantic 2 calls it {match[2]}: rename {match[1]}.")
    if case.matched(r"from_attributes=True"):
        return Advice("Set `model_config = ConfigDict(from_attributes=True)` in the model (orm_mode of Pydantic 1).")
    usage = _USAGE.get(case.error.fact("code"))
    return Advice(usage) if usage else None


def missing_middleware(case: Case) -> Advice | None:
    if match := case.matched(r"^(\w+Middleware) must be installed to access request\.(\w+)"):
        arguments = ', secret_key="…"' if match[1] == "SessionMiddleware" else ""
        return Advice(f"Add it where the app is made: app.add_middleware({match[1]}{arguments}).")
    return None


def missing_directory(case: Case) -> Advice | None:
    """StaticFiles of Starlette."""
    if not (match := case.matched(r"^Directory '([^']+)' does not exist")):
        return None
    if match[1].startswith("/"):
        return Advice(f"Make the folder {match[1]}, or correct the directory of StaticFiles.")
    folder = f" ({case.around.folder})" if case.around.folder else ""
    return Advice(
        f"{match[1]} is looked for in the working folder{folder}. Make it there, or write Path(__file__).parent / {match[1]!r}."
    )


def template_response(case: Case) -> Advice | None:
    if not case.matched(r"TemplateResponse\(\) missing 1 required positional argument: 'name'"):
        return None
    return Advice('Pass the request first: templates.TemplateResponse(request, "page.html", {…}).')
