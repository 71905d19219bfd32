"""Hints for source that Python cannot compile. Pure; runs in every process."""

from __future__ import annotations

import re
import unicodedata

from devserver.hints.case import Case
from devserver.report import Advice

_QUOTES = frozenset("“”„‟«»‘’‚‛´`")

_DASHES = frozenset("‐‑‒–—―−")


def merge_markers(case: Case) -> Advice | None:
    """What git leaves in a file where two changes met."""
    lines = case.innermost.source if case.innermost else ()
    if not any(re.match(r"(?:<{7}|>{7}) ", line.text) for line in lines) and case.line.rstrip() != "=" * 7:
        return None
    return Advice(
        "A merge of git left both versions here: keep what is right, and remove the lines <<<<<<<, ======= and >>>>>>>."
    )


def indentation(case: Case) -> Advice | None:
    if "TabError" in case.error.bases:
        return Advice("Tabs and spaces are mixed in this block: use four spaces everywhere (editors can convert).")
    message = case.error.message
    if "expected an indented block" in message:
        return Advice(
            "The line before opens a block: indent what belongs to it by four spaces (`pass` if it is empty)."
        )
    if "unindent does not match" in message:
        return Advice("This line is indented less than the one above, but not as far as any block before: align it.")
    return Advice("This line is indented without a block that it could belong to: align it with the line above.")


def forgotten_colon(case: Case) -> Advice | None:
    if case.matched(r"^expected ':'"):
        return Advice("A colon is missing at the end of this line (`if …:`, `for …:`, `def …():`, `class …:`).")
    return None


def forgotten_bracket(case: Case) -> Advice | None:
    if match := case.matched(r"'([(\[{])' was never closed"):
        closing = {"(": ")", "[": "]", "{": "}"}[match[1]]
        return Advice(f"The {match[1]} marked here has no {closing}: close it where its contents end.")
    if match := case.matched(r"closing parenthesis '(.)' does not match opening parenthesis '(.)'"):
        return Advice(f"A {match[2]} is closed by a {match[1]}: one of the two is wrong, or one in between is missing.")
    if match := case.matched(r"unmatched '(.)'"):
        return Advice(f"This {match[1]} closes nothing: remove it, or add the bracket that should open before it.")
    return None


def unterminated_string(case: Case) -> Advice | None:
    if case.matched(r"unterminated (?:triple-quoted |f-string |triple-quoted f-string )?(?:string )?literal"):
        return Advice("A text begins here and never ends: add the closing quote.")
    return None


def forgotten_comma(case: Case) -> Advice | None:
    if case.matched(r"Perhaps you forgot a comma"):
        return Advice("Two values stand side by side here: put a comma between them, or the operator that is missing.")
    return None


def assignment_in_condition(case: Case) -> Advice | None:
    if case.matched(r"Maybe you meant '==' or ':=' instead of '='"):
        return Advice("= assigns, == compares: write == here.")
    if case.matched(r"Maybe you meant '==' instead of '='"):
        return Advice("Only a name can stand left of =: write == to compare, or `name = …` to keep the value.")
    return None


def pasted_character(case: Case) -> Advice | None:
    """Typographic quotes and the like, from a web page or a text document."""
    if not (match := case.matched(r"invalid (?:character '(.)' \(|non-printable character )U\+([0-9A-F]{4,6})")):
        return None
    character = match[1] or ""
    if character in _QUOTES:
        return Advice(f"{character} is a typographic quote, as text documents have it: type \" or ' in its place.")
    if character in _DASHES:
        return Advice(f"{character} is a dash, as text documents have it: type - (minus) in its place.")
    name = _character_name(match[2])
    return Advice(f"This line has a character that is no part of Python ({name}): delete it, and type it anew.")


def _character_name(code: str) -> str:
    number = int(code, 16)
    return unicodedata.name(chr(number), f"U+{code}").lower() if number < 0x110000 else f"U+{code}"


def python_2(case: Case) -> Advice | None:
    if match := case.matched(r"Missing parentheses in call to '(\w+)'"):
        return Advice(f"This is Python 2; in Python 3 {match[1]} is a function: put what follows it into parentheses.")
    if case.matched(r"multiple exception types must be parenthesized"):
        return Advice(
            "Write `except (A, B):` for two exceptions; what was `except A, e:` in Python 2 is `except A as e:`."
        )
    return None


def misplaced_statement(case: Case) -> Advice | None:
    if case.matched(r"'await' outside function"):
        return Advice("`await` works only within `async def`: move the line into an async function.")
    if match := case.matched(r"'(await|async \w+)' outside async function"):
        return Advice(f"`{match[1]}` works only within `async def`: make the function around it async.")
    if case.matched(r"asynchronous comprehension outside of an asynchronous function"):
        return Advice("`async for` works only within `async def`: make the function around it async.")
    if match := case.matched(r"'(return|yield)' outside function"):
        return Advice(f"`{match[1]}` works only within a function: indent the line as far as its function's body.")
    return None
