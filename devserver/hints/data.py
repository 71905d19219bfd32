"""Hints for what is read and written: files, encodings, JSON, TOML. Pure; runs in every process."""

from __future__ import annotations

import posixpath

from devserver.hints.case import Case
from devserver.report import Advice
from devserver.source import package_of


def undecodable(case: Case) -> Advice | None:
    match = case.matched(r"'([\w-]+)' codec can't decode bytes? (?:0x([0-9a-f]{2}) )?in position (\d+)")
    if not match or case.aside:
        return None
    if not match[1].startswith("utf"):
        return Advice(f'The text is not {match[1]}; most files are UTF-8: open it with `encoding="utf-8"`.')
    if match[3] == "0" and match[2] in {"ff", "fe"}:
        return Advice('This looks like UTF-16: read it with `encoding="utf-16"`; if it is no text, open it with "rb".')
    return Advice(
        'The bytes are not UTF-8: save the file as UTF-8, or read it in its own encoding (`encoding="cp1252"` for many from'
        ' Windows). What is no text, e.g. an image, is opened with "rb".'
    )


def unencodable(case: Case) -> Advice | None:
    match = case.matched(r"'([\w-]+)' codec can't encode")
    if not match or match[1].startswith("utf"):
        return None
    return Advice(f'{match[1]} has no such character: write with `encoding="utf-8"`.')


def invalid_json(case: Case) -> Advice | None:
    known = any(name == "doc" for name, _ in case.error.facts)
    text = case.error.fact("doc").strip()
    if known and not text:
        return Advice(
            "The text is empty: look whether the sender has sent anything (status and body) before it is parsed."
        )
    if text.startswith("<"):
        return Advice(
            "HTML came in place of JSON, often an error or login page: look at the address, and print what came."
        )
    if case.matched(r"property name enclosed in double quotes|trailing comma"):
        return Advice("JSON wants names and texts in double quotes, and no comma behind the last item.")
    if case.matched(r"^Extra data"):
        return Advice("Behind the first value comes another: put both into a list, or parse line by line.")
    if match := case.matched(r"line (\d+) column (\d+)"):
        return Advice(
            f"Correct the JSON at line {match[1]}, column {match[2]}; print the text if it comes from elsewhere."
        )
    return None


def invalid_toml(case: Case) -> Advice | None:
    if case.matched(r"File must be opened in binary mode"):
        return Advice('Open the TOML file with "rb": `open(path, "rb")`.')
    match = case.matched(r"\(at (?:line (\d+), column \d+|end of document)\)$")
    if not match or not case.error.type_name.endswith("TOMLDecodeError"):
        return None
    place = f"line {match[1]} of the TOML" if match[1] else "the end of the TOML"
    if case.matched(r"^Cannot (?:overwrite|declare|mutate)|^Duplicate"):
        return Advice(f"Remove one of the two definitions of the same name; the second is at {place}.")
    return Advice(f"Correct {place}: texts stand in quotes, true and false are lower case, a list ends with ].")


def missing_file(case: Case) -> Advice | None:
    path = case.error.fact("filename")
    if not path or case.aside:
        return None
    if case.innermost and package_of(case.innermost.display_path) == "subprocess" and "/" not in path:
        return Advice(f"There is no program {path}: install it, or check the spelling.")
    if path.startswith("~"):
        return Advice("open() does not know ~: write Path(…).expanduser().")
    if posixpath.isabs(path):
        return Advice(f"There is no {path}: check the spelling, and make the folder if the file is to be written.")
    folder = f" ({case.around.folder})" if case.around.folder else ""
    return Advice(
        f"{path} is looked for in the working folder{folder}. If it stands beside the code, write"
        f" Path(__file__).parent / {path!r}."
    )


def folder_for_file(case: Case) -> Advice | None:
    path = case.error.fact("filename")
    return Advice(f"{path} is a folder: add the name of a file in it.") if path and not case.aside else None


def not_permitted(case: Case) -> Advice | None:
    path = case.error.fact("filename")
    if case.aside:
        return None
    if path:
        return Advice(
            f"You may not do this with {path}: see who owns it (`ls -l`), or take a place below your project."
        )
    if "bind(" in case.line or case.matched(r"attempting to bind on address"):
        return Advice("Ports below 1024 are the system's: take a higher one, e.g. 8000.")
    return None
