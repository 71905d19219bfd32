"""One definition per option: what is derived from it agrees, and importing it stays cheap."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from devserver.options import OPTIONS, Group, Options, options_page, options_table, static_folder

ROOT = Path(__file__).parents[1]


def test_every_field_is_an_option() -> None:
    assert [option.name for option in OPTIONS] == [field.name for field in fields(Options)]


def test_groups_stay_together_in_the_order_of_the_help() -> None:
    assert list(dict.fromkeys(option.group for option in OPTIONS)) == list(Group)
    order = list(Group)
    positions = [order.index(option.group) for option in OPTIONS]
    assert positions == sorted(positions)


def test_flags_variables_and_keys_follow_from_the_name() -> None:
    by_name = {option.name: option for option in OPTIONS}
    assert by_name["access_log"].flags == ("--access-log", "--no-access-log")
    assert by_name["access_log"].variable == "DEVSERVER_ACCESS_LOG"
    assert by_name["access_log"].key == "access-log"
    assert by_name["port"].flags == ("--port",)
    assert by_name["target"].flags == ("TARGET",)


def test_the_list_of_options_is_the_promised_one() -> None:
    assert {flag for option in OPTIONS for flag in option.flags if not flag.startswith("--no-")} == {
        "TARGET", "--reload", "--host", "--port", "--interface", "--factory", "--app-dir", "--static", "--reload-dir",
        "--reload-include", "--reload-exclude", "--checkpoints", "--poll", "--env-file", "--allowed-host", "--threads", "--grace",
        "--access-log", "--color", "--console", "--editor", "--framework-errors", "--full-tracebacks", "--slow-callbacks",
        "--livereload", "--browser-errors", "--static-files", "--checks", "--hoist",
    }  # fmt: skip


def test_defaults() -> None:
    options = Options()
    assert (options.host, options.port, options.reload, options.grace) == ("127.0.0.1", 8000, True, 2.0)


def test_each_default_is_what_its_own_reader_gives() -> None:
    for option in OPTIONS:
        default = getattr(Options(), option.name)
        if option.default and option.name not in ("target", "app_dir", "editor"):
            assert option.read(option.default, "/") == default, option.name


def test_docs_are_up_to_date() -> None:
    # `make docs` writes the page.
    assert (ROOT / "docs" / "options.md").read_text(encoding="utf-8") == options_page()


def test_running_the_module_prints_the_page() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "devserver.options"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert printed.stdout == options_page()


def test_table_is_well_formed() -> None:
    header, rule, *rows = options_table().splitlines()
    columns = header.count("|")
    assert rule.count("---") == columns - 1
    assert len(rows) == len(OPTIONS)
    for row in rows:
        assert row.replace("\\|", "").count("|") == columns


def test_importing_options_is_cheap() -> None:
    code = (
        "import sys; import devserver.options; print(*sorted("
        "{'click', 'pygments', 'tomllib', 'dotenv', 'watchfiles', 'pathlib', 'asyncio', 'socket'} & sys.modules.keys()))"
    )
    # -S: a .pth file of the environment may import anything
    ran = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout.split() == []


@pytest.mark.parametrize(
    ("mount", "expected"),
    [
        ("/static=/srv/files", ("/static/", "/srv/files")),
        ("/static/=/srv/files", ("/static/", "/srv/files")),
        ("/=/srv/files", ("/", "/srv/files")),
        ("/a/b=/srv/x=y", ("/a/b/", "/srv/x=y")),
    ],
)
def test_static_folder(mount: str, expected: tuple[str, str]) -> None:
    assert static_folder(mount) == expected
