"""Hints for templates of Django and Jinja2. Pure; runs in every process."""

from __future__ import annotations

import re

from devserver.hints.case import Case, close_name
from devserver.report import Advice

_LIBRARIES = {
    **dict.fromkeys(("static", "get_static_prefix", "get_media_prefix"), "static"),
    **dict.fromkeys(("trans", "translate", "blocktrans", "blocktranslate", "get_current_language"), "i18n"),
    **dict.fromkeys(("get_available_languages", "get_language_info", "language"), "i18n"),
    **dict.fromkeys(("localtime", "timezone", "get_current_timezone"), "tz"),
    **dict.fromkeys(("intcomma", "intword", "naturalday", "naturaltime", "ordinal", "apnumber"), "humanize"),
    **dict.fromkeys(("crispy", "crispy_field"), "crispy_forms_tags"),
    "cache": "cache",
    "localize": "l10n",
    "render_bundle": "webpack_loader",
}
"""Tags and filters of Django → the library that has them."""

_TAGS = (
    *("autoescape", "block", "comment", "csrf_token", "cycle", "debug", "elif", "else", "empty", "extends", "filter"),
    *("firstof", "for", "if", "ifchanged", "include", "load", "lorem", "now", "querystring", "regroup", "resetcycle"),
    *("spaceless", "templatetag", "url", "verbatim", "widthratio", "with"),
)

_ONLY_DJANGO = {
    "csrf_token": 'with Flask-WTF it is {{ form.hidden_tag() }} or <input name="csrf_token" value="{{ csrf_token() }}">',
    "load": "remove it",
    "static": "write {{ url_for('static', filename='…') }}",
    "url": "write {{ url_for('…') }}",
}
"""Tags that Jinja2 does not have → what takes their place."""


def missing_template(case: Case) -> Advice | None:
    name = case.error.message.splitlines()[0] if case.error.message else "the template"
    tried = [value for key, value in case.error.facts if key == "tried"]
    if tried:
        places = "\n".join(f"  {path}" for path in tried[:8])
        return Advice(f"No file of that name ({name}) in any template folder. Looked for:\n{places}")
    if case.is_a("jinja2"):
        return Advice(f"Put {name} into the templates folder beside the app's module, or check the spelling.")
    return Advice(
        f"Check the spelling of {name}, and that its folder is in TEMPLATES DIRS or its app in INSTALLED_APPS."
    )


def django_template_syntax(case: Case) -> Advice | None:
    if match := case.matched(r"^Invalid block tag on line (\d+): '(\w+)', expected (.+?)\. Did you forget"):
        if match[2].startswith("end"):
            return Advice(
                f"Line {match[1]} closes by {match[2]} what is still to be closed by {match[3]}: put that before it."
            )
        return _unknown_tag(match[2]) or Advice(f"Correct {match[2]} in line {match[1]}; allowed here: {match[3]}.")
    if match := case.matched(r"^Invalid block tag on line (\d+): '(\w+)'"):
        tag = match[2]
        if tag.removeprefix("end") in _TAGS and tag.startswith("end"):
            return Advice(
                f"Line {match[1]} closes a {tag[3:]} that is not open: remove it, or add the {{% {tag[3:]} … %}}."
            )
        return _unknown_tag(tag) or Advice(
            f"Check the spelling of {tag}, or {{% load … %}} the library that has it, at the top."
        )
    if match := case.matched(r"^Invalid filter: '(\w+)'"):
        return _unknown_tag(match[1]) or Advice(
            f"Check the spelling of the filter {match[1]}, or {{% load … %}} the library that has it, at the top."
        )
    if match := case.matched(r"^Unclosed tag on line (\d+): '(\w+)'"):
        return Advice(f"Close the {match[2]} of line {match[1]} by {{% end{match[2]} %}}.")
    if match := case.matched(r"^'([\w.]+)' is not a registered tag library\. Must be one of:([\s\w.]*)"):
        if close := close_name(match[1], match[2].split()):
            return Advice(f"There is no library {match[1]}, but there is {close}: check the spelling of the load.")
        return Advice(
            f"No app has a library {match[1]}: its file is {match[1].rpartition('.')[2]}.py in the folder templatetags of an app"
            " that stands in INSTALLED_APPS."
        )
    if match := case.matched(r"^Could not parse the remainder: '(.*?)' from '"):
        if match[1].startswith("("):
            return Advice(
                "Templates of Django call without parentheses: remove them; arguments need a filter or a tag."
            )
        if match[1] == "=":
            return Advice("Compare by ==, with a space on both sides.")
        return Advice(f"Correct what stands at {match[1].strip()!r}: a name, its attributes by dots, and filters by |.")
    return None


def _unknown_tag(name: str) -> Advice | None:
    if name in _LIBRARIES:
        return Advice(
            f"Put {{% load {_LIBRARIES[name]} %}} at the top of this template, below {{% extends %}} if there is one."
        )
    if close := close_name(name, (*_TAGS, *_LIBRARIES)):
        return Advice(f"There is no {name}; perhaps {close} is meant: check the spelling.")
    return None


def jinja_template_syntax(case: Case) -> Advice | None:
    if match := case.matched(r"The innermost block that needs to be closed is '(\w+)'"):
        return Advice(f"A {match[1]} is not closed: add {{% end{match[1]} %}}.")
    if match := case.matched(r"^Encountered unknown tag '(\w+)'"):
        tag = match[1]
        if tag in _ONLY_DJANGO:
            return Advice(f"{tag} is a tag of Django; this is Jinja2: {_ONLY_DJANGO[tag]}.")
        if tag.startswith("end") or tag in {"else", "elif"}:
            return Advice(f"Nothing is open that {tag} could belong to: remove it, or add what opens it.")
        return Advice(f"Jinja2 has no tag {tag}: check the spelling; for a function write {{{{ {tag}(…) }}}}.")
    if match := case.matched(r"^No (filter|test) named '(\w+)'"):
        return Advice(f"Check the spelling of the {match[1]} {match[2]}, or register it with the app.")
    if match := case.matched(r"^expected token '([^']+)', got '([^']+)'"):
        return Advice(
            f"Before {match[2]} there should be {match[1]}: something is missing there, or one word too many."
        )
    if match := case.matched(r"^unexpected '(.+)'"):
        return Advice(
            f"Check the brackets and quotes before {match[1]}: {{{{ … }}}} and {{% … %}} are closed as they are opened."
        )
    return None


def jinja_undefined(case: Case) -> Advice | None:
    if match := case.matched(r"^'([\w.]+)' is undefined"):
        return Advice(
            f"Pass {match[1]} to the template, as in `render_template(…, {match[1]}=…)`, or check the spelling."
        )
    if match := case.matched(r"^'(.+)' has no attribute '(\w+)'"):
        if re.search(r"\bNone\b", match[1]):
            return Advice(f"What stands before .{match[2]} is None: test for it in the template (`{{% if … %}}`).")
        return Advice(
            f"Check the spelling of {match[2]}: what stands before the dot ({match[1][:60]}) has no such attribute."
        )
    return None
