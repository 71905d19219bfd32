"""The project's tree: what lies at its top, and that what the docs say is so."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pytest

from devserver.options import OPTIONS

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.glob("*.md")])
FENCE = re.compile(
    r"^(?:<!-- from (?P<origin>\S+) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<to>[^)\s]+)\)")
HEADING = re.compile(r"^#+ (?P<text>.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page; `origin` is the file under docs/ that it shows, "" if none was named."""

    page: str
    language: str
    text: str
    origin: str


def blocks(*languages: str) -> Iterator[Block]:
    for page in PAGES:
        for found in FENCE.finditer(page.read_text()):
            if found["language"] in languages:
                yield Block(page.name, found["language"], found["text"], found["origin"] or "")


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True, timeout=30)
    return [name for name in listed.stdout.split("\0") if name]


def make(*arguments: str) -> str:
    # What `make test` was called with must not reach the make under test.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"}
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=ROOT,
        env=environ,
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    ).stdout


def test_the_top_holds_nothing_but_what_is_agreed() -> None:
    top = {name.partition("/")[0] for name in tracked()}
    assert {name for name in top if not name.startswith(".")} == {
        "LICENSE",
        "Makefile",
        "README.md",
        "devserver",
        "docs",
        "pyproject.toml",
        "tests",
    }


def test_readme_names_exactly_two_commands_of_set_up() -> None:
    section = (ROOT / "README.md").read_text().partition("\n## Working on devserver\n")[2].partition("\n## ")[0]
    (block,) = FENCE.finditer(section)
    assert block["text"].splitlines() == ["$ make run", "$ make test"]


def test_every_target_of_make_is_listed_in_its_help() -> None:
    text = (ROOT / "Makefile").read_text()
    phony = {name for line in re.findall(r"^\.PHONY: (.+)$", text, re.MULTILINE) for name in line.split()}
    listed = set(re.findall(r"^  make (\S+)\s+\S", make("help"), re.MULTILINE))
    assert {
        *("install", "run", "test", "test-all", "coverage", "lint", "types", "bench", "docs", "check", "clean")
    } <= listed
    assert {name for name in phony - listed if not name.startswith("debian-")} == set()
    assert make() == make("help")


def test_every_run_time_dependency_has_its_reason_in_the_design() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    section = (DOCS / "design.md").read_text().partition("\n## Run-time dependencies")[2].partition("\n## ")[0]
    header, *rows = re.findall(r"^\| ([^|]+) \|", section, re.MULTILINE)
    assert header == "package"
    named = {name.lower() for row in rows for name in row.split(", ")}
    assert named == {re.split(r"[^\w-]", requirement)[0] for requirement in declared}


def test_an_installed_environment_is_not_installed_again(tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    (environment / "bin").mkdir(parents=True)
    python = environment / "bin" / "python"
    python.touch()
    stamp = environment / ".dev-installed"
    stamp.touch()
    plan = make("--dry-run", "lint", f"VENV={environment}")
    assert "ruff check" in plan
    assert "pip" not in plan
    stamp.unlink()
    assert "pip install" in make("--dry-run", "lint", f"VENV={environment}")
    python.unlink()
    assert "-m venv" in make("--dry-run", "lint", f"VENV={environment}")


def test_ci_calls_what_people_call() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    lines = [line for line in script.read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "set -eu"
    assert lines[-2:] == ["make check", "make test"]
    assert not re.search(r"&|(?<!\S)/", script.read_text()), "a background process, or a path of one machine"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_inside_the_project_lead_somewhere(page: Path) -> None:
    broken = []
    for found in LINK.finditer(FENCE.sub("", page.read_text())):
        path, _, fragment = unquote(found["to"]).partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (fragment and fragment not in anchors(target)):
            broken.append(found["to"])
    assert broken == []


def anchors(page: Path) -> set[str]:
    """The fragments that GitHub gives to the headings of a page."""
    headings = [found["text"].lower() for found in HEADING.finditer(FENCE.sub("", page.read_text()))]
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


def test_every_page_is_in_the_index() -> None:
    index = {Path(found["to"]).name for found in LINK.finditer((DOCS / "index.md").read_text())}
    assert {page.name for page in DOCS.glob("*.md")} - {"index.md"} <= index


def test_code_in_the_docs_is_the_code_of_the_examples() -> None:
    shown = [block for block in blocks("python") if block.origin]
    assert {block.origin for block in shown} >= {"examples/flask_app/app.py", "examples/fastapi_app/main.py"}
    for block in shown:
        assert block.text == (DOCS / block.origin).read_text(), f"{block.page} shows another {block.origin}"


@pytest.mark.parametrize(
    "block", list(blocks("python", "json", "toml")), ids=lambda block: f"{block.page}-{block.language}"
)
def test_code_in_the_docs_is_well_formed(block: Block) -> None:
    match block.language:
        case "python":
            ast.parse(block.text)
        case "json":
            json.loads(block.text)
        case _:
            keys = tomllib.loads(block.text).get("tool", {}).get("devserver", {})
            assert set(keys) <= {option.key for option in OPTIONS}


def test_flags_in_the_docs_exist() -> None:
    known = {flag for option in OPTIONS for flag in option.flags} | {"--help", "--version"}
    commands = [
        command
        for page in PAGES
        for command in re.findall(r"\bdevserver run[^`|\n]*", FENCE.sub(_only_commands, page.read_text()))
    ]
    assert len(commands) > 20
    used = {flag for command in commands for flag in re.findall(r"(?<!\S)--[a-z][a-z-]*", command)}
    assert used - known == set()


def _only_commands(block: re.Match[str]) -> str:
    return block["text"] if block["language"] == "console" else ""
