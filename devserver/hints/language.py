"""Hints for mistakes that show when the code runs: names, calls, types. Pure; runs in every process."""

from __future__ import annotations

import builtins
import re
import sys

from devserver.hints.case import Case
from devserver.report import Advice, Occasion

_NONE = (
    r"^'NoneType' object (?:is not (?:subscriptable|iterable|an iterator|callable)|does not support)"
    r"|^argument of type 'NoneType'|^object of type 'NoneType'|non-iterable NoneType"
)
"""What the interpreter says where a value was expected and None came."""

_TO_JSON = {
    **dict.fromkeys(("datetime", "date", "time"), ".isoformat()"),
    **dict.fromkeys(("set", "frozenset", "dict_keys", "dict_values", "map", "filter", "generator"), "list(…)"),
    **dict.fromkeys(("Decimal", "UUID", "PosixPath"), "str(…)"),
    **dict.fromkeys(("int32", "int64", "float32", "float64", "bool_"), ".item()"),
    "bytes": ".decode()",
    "ndarray": ".tolist()",
    "QuerySet": "list(….values())",
    "DataFrame": '.to_dict(orient="records")',
}
"""Kinds of values → how a plain one is made of them."""


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


def nobody_to_ask(case: Case) -> Advice | None:
    """`input()` where nobody types: standard input is at its end, or belongs to the terminal's other processes."""
    if "input(" not in case.line:
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


def local_before_assignment(case: Case) -> Advice | None:
    if not (match := case.matched(r"local variable '(\w+)'")):
        return None
    return Advice(
        f"A function that assigns {match[1]} has its own {match[1]}: give it a value before this line on every path,"
        f" or, if the module's is meant, begin the function with `global {match[1]}`."
    )


def none_value(case: Case) -> Advice | None:
    """None where a value was expected."""
    if not case.in_user_code:
        return None
    if match := case.matched(r"^'NoneType' object has no attribute '(\w+)'"):
        owner = case.expression.removesuffix(f".{match[1]}")
        what = owner if owner != case.expression and len(owner) <= 40 else f"What stands before .{match[1]}"
        if match[1] in {"group", "groups", "groupdict", "span"}:
            return Advice(f"{what} is None, for the pattern did not match: test for that first (`if match:`).")
        return Advice(f"{what} is None here: look where it gets its value, or test for it (`if … is not None:`).")
    if case.matched(r"^'NoneType' object is not callable"):
        return Advice("What is called here is None: look where the name before the parentheses gets its value.")
    if not case.matched(_NONE):
        return None
    return Advice(
        "A value is None here: look where it comes from. A function without `return` gives None, and so do"
        " list.sort() and list.append()."
    )


def not_callable(case: Case) -> Advice | None:
    if not case.in_user_code or not (match := case.matched(r"^'([\w.]+)' object is not callable")):
        return None
    name = re.match(r"\w+(?=\()", case.expression)
    called = name[0] if name else ""
    if match[1] == "module":
        return Advice(
            f"{called or 'This'} is a module: name what is meant in it, as in `from {called or 'x'} import {called or 'x'}`."
        )
    if hasattr(builtins, called):
        return Advice(
            f"The name {called} was given to another value (a {match[1]}): rename that variable or parameter."
        )
    return Advice(
        f"This is a {match[1]} and no function: remove the parentheses behind it, or rename what hides the function."
    )


def wrong_arguments(case: Case) -> Advice | None:
    """A call that does not fit the function."""
    if not case.in_user_code:
        return None
    if match := case.matched(r"(\w+)\(\) missing 1 required positional argument: 'self'"):
        return Advice(f"{match[1]} is called on the class: make an instance first, as in `Name().{match[1]}()`.")
    if match := case.matched(r"(\w+)\(\) missing \d+ required (?:positional|keyword-only) arguments?: (.+)"):
        return Advice(f"Give {match[1]} also {match[2]} in this call, or give the parameter a default in its `def`.")
    if match := case.matched(r"(>\.)?\b(\w+\.)?(\w+)\(\) takes (\d+) positional arguments? but (\d+)"):
        method, takes, given = match[2] and not match[1], int(match[4]), int(match[5])
        if method and takes == 0:
            return Advice(f"A method is given its object first: write `def {match[3]}(self):`.")
        if method and given == takes + 1:
            return Advice(
                f"Check that the `def` of {match[3]} begins with self; if it does, give one argument less here."
            )
        return Advice(
            f"{match[3]} takes {takes} argument{'s' * (takes != 1)}, {given} are given: make call and `def` agree."
        )
    if match := case.matched(r"(\w+)\(\) got an unexpected keyword argument '(\w+)'(?:\. Did you mean '(\w+)')?"):
        if match[3]:
            return Advice(f"{match[1]} has no parameter {match[2]}: perhaps {match[3]} is meant.")
        return Advice(f"{match[1]} has no parameter {match[2]}: check the spelling, or add it to its `def`.")
    return None


def mixed_types(case: Case) -> Advice | None:
    """Text and numbers, paths and text in one expression."""
    pair = case.matched(r"for (?:\+|\+=): '(\w+)' and '(\w+)'$|^can only concatenate (\w+) \(not \"(\w+)\"\)")
    kinds = {kind for kind in pair.groups() if kind} if pair and case.in_user_code else set()
    if kinds and "NoneType" in kinds:
        return Advice("One of the two is None: look where it gets its value, or test for it (`if … is not None:`).")
    if kinds == {"str", "PosixPath"}:
        return Advice('A path and a text are joined by /, not by +: `folder / "name"`.')
    if "str" in kinds and kinds <= {"str", "int", "float", "Decimal", "bool"}:
        return Advice('Text and a number: write f"…{number}" to get a text, or int(text) to calculate.')
    if kinds == {"str", "bytes"}:
        return Advice("Text and bytes: turn the bytes into text by .decode(), or the text into bytes by .encode().")
    compared = case.matched(r"^'[<>]=?' not supported between instances of '(\w+)' and '(\w+)'")
    if compared and case.in_user_code and {compared[1], compared[2]} in ({"str", "int"}, {"str", "float"}):
        return Advice("A text and a number are compared: turn the text into a number first, by int(…) or float(…).")
    return None


def mixed_times(case: Case) -> Advice | None:
    if not case.matched(r"offset-naive and offset-aware"):
        return None
    return Advice(
        "One of the two times has no time zone: take django.utils.timezone.now() or datetime.now(timezone.utc) for now,"
        " and give the other a tzinfo."
    )


def datetime_module(case: Case) -> Advice | None:
    """The module datetime and its class of the same name."""
    if match := case.matched(
        r"^module 'datetime' has no attribute '(now|today|utcnow|strptime|fromisoformat|combine)'"
    ):
        return Advice(f"Write `datetime.datetime.{match[1]}`, or import the class: `from datetime import datetime`.")
    if match := case.matched(
        r"^type object 'datetime\.datetime' has no attribute '(datetime|timedelta|timezone|date)'"
    ):
        name = match[1]
        return Advice(
            f"Here datetime is the class: import {name} beside it (`from datetime import {name}`), and use it alone."
        )
    return None


def missing_environment_variable(case: Case) -> Advice | None:
    frame, name = case.innermost, case.error.fact("key")
    if frame is None or not name or not frame.function.endswith("_Environ.__getitem__"):
        return None
    return Advice(f"The environment has no {name}: put {name}=… into .env, or name a file that has it by --env-file.")


def missing_key(case: Case) -> Advice | None:
    key = case.error.fact("key")
    if not case.in_user_code or not key:
        return None
    return Advice(f"There is no key {key!r}: check the spelling, or use .get({key!r}) if it may be missing.")


def index_out_of_range(case: Case) -> Advice | None:
    if not case.in_user_code:
        return None
    if match := case.matched(r"^(list|tuple|string|range object)(?: assignment)? index out of range"):
        return Advice(f"The {match[1]} has fewer items: check its len() first. The first item has the index 0, not 1.")
    if case.matched(r"^pop from (?:an )?empty"):
        return Advice("Nothing is left to take: test first whether there are items (`if items:`).")
    return None


def changed_while_iterated(case: Case) -> Advice | None:
    if match := case.matched(
        r"(dictionary|Set|deque|OrderedDict) (?:changed size|keys changed|mutated) during iteration"
    ):
        kind = "set" if match[1] == "Set" else match[1]
        return Advice(f"The loop changes the {kind} that it runs over: loop over a copy, `for … in list(…):`.")
    return None


def not_a_json_value(case: Case) -> Advice | None:
    if not (match := case.matched(r"Object of type (\w+) is not JSON serializable")):
        return None
    way = _TO_JSON.get(match[1])
    if way:
        return Advice(f"JSON has no {match[1]}: convert it first, by {way}.")
    return Advice(f"JSON has no {match[1]}: make a dict of its plain values first (text, numbers, lists).")
