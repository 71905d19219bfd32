"""Hints for mistakes in the language itself. Pure; runs in every process."""

from __future__ import annotations

import sys

from devserver.hints.case import Case
from devserver.report import Advice, Occasion


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


def suggested_name(case: Case) -> Advice | None:
    """The interpreter's own suggestion, as the next step."""
    if match := case.matched(r"Did you mean:? '([^']+)'\?"):
        return Advice(f"Perhaps {match[1]} is meant: check the spelling.")
    if match := case.matched(r"id you forget to import '([^']+)'"):
        return Advice(f"Add `import {match[1]}` at the top of the file.")
    if (match := case.matched(r"^name '(\w+)' is not defined")) and match[1] in sys.stdlib_module_names:
        return Advice(f"Add `import {match[1]}` at the top of the file.")
    return None


def endless_recursion(case: Case) -> Advice | None:
    place = case.error.place
    where = f" (see {place.function})" if place else ""
    return Advice(f"A function calls itself without end{where}: it needs a case in which it returns without calling.")


def no_loop_at_import(case: Case) -> Advice | None:
    if case.report.occasion is not Occasion.LOAD or not case.matched(r"^no running event loop"):
        return None
    return Advice(
        "No event loop runs yet while the app is imported: do this in the startup part of the app's lifespan."
    )


def nobody_to_ask(case: Case) -> Advice | None:
    """`input()` where nobody types: standard input is at its end, or belongs to the terminal's other processes."""
    frame = case.error.frames[-1] if case.error.frames else None
    if frame is None or not any("input(" in line.text for line in frame.source if line.number == frame.line):
        return None
    return Advice(
        "input() has nobody to ask in a server: take the value from a file, an environment variable or a form."
    )


def exit_at_import(case: Case) -> Advice | None:
    code = case.error.fact("code")
    how = f"sys.exit({code})" if code else "sys.exit()"
    if case.report.occasion is Occasion.LOAD:
        return Advice(
            f"The code called {how} while it was imported. What is to run only as a script belongs below"
            ' `if __name__ == "__main__":`.'
        )
    return Advice(f"The code called {how}: return a response or raise another exception instead.")


def left_debugger(case: Case) -> Advice | None:
    return Advice("You left the debugger with q, which ends the code at this line. With c (continue) it runs on.")
