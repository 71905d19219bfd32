"""Flag beats variable beats pyproject.toml beats default, and every wrong value names its source."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devserver.configuration import Origin, configure, find_pyproject, read_env_file
from devserver.errors import UsageError
from devserver.options import OPTIONS, ColorChoice, InterfaceChoice, Option, Options


def pyproject(folder: Path, text: str) -> Path:
    path = folder / "pyproject.toml"
    path.write_text(text, encoding="utf-8")
    return path


def options(folder: Path, flags: Mapping[str, object] | None = None, **environ: str) -> Options:
    return configure(flags or {}, environ, str(folder)).options


def test_defaults_without_any_source(tmp_path: Path) -> None:
    configuration = configure({}, {}, str(tmp_path))
    assert configuration.options == Options()
    assert configuration.origins == {}


@pytest.mark.parametrize(
    ("flag", "variable", "file", "expected", "origin"),
    [
        ("1", "2", "3", 1, Origin.FLAG),
        (None, "2", "3", 2, Origin.VARIABLE),
        (None, None, "3", 3, Origin.PYPROJECT),
        (None, "", "3", 3, Origin.PYPROJECT),
        (None, None, None, 8000, None),
        ("1", "not read", "3", 1, Origin.FLAG),
    ],
)
def test_precedence(
    tmp_path: Path, flag: str | None, variable: str | None, file: str | None, expected: int, origin: Origin | None
) -> None:
    pyproject(tmp_path, f"[tool.devserver]\n{'' if file is None else f'port = {file}'}\n")
    environ = {} if variable is None else {"DEVSERVER_PORT": variable}
    configuration = configure({"port": flag}, environ, str(tmp_path))
    assert configuration.options.port == expected
    assert configuration.origins.get("port") == origin


def test_a_switch_can_be_turned_off_by_a_flag(tmp_path: Path) -> None:
    pyproject(tmp_path, "[tool.devserver]\npoll = true\nreload = false\n")
    assert options(tmp_path).poll
    assert not options(tmp_path).reload
    assert not options(tmp_path, {"poll": False}).poll
    assert options(tmp_path, DEVSERVER_RELOAD="1").reload


def test_lists_replace_and_do_not_merge(tmp_path: Path) -> None:
    pyproject(tmp_path, '[tool.devserver]\nreload-exclude = ["a", "b"]\n')
    assert options(tmp_path).reload_exclude == ("a", "b")
    assert options(tmp_path, DEVSERVER_RELOAD_EXCLUDE="c, d,").reload_exclude == ("c", "d")
    assert options(tmp_path, {"reload_exclude": ("e",)}, DEVSERVER_RELOAD_EXCLUDE="c").reload_exclude == ("e",)
    assert options(tmp_path, {"reload_exclude": ()}).reload_exclude == ("a", "b")


def test_a_single_string_is_a_list_of_one(tmp_path: Path) -> None:
    pyproject(tmp_path, '[tool.devserver]\nallowed-host = "Shop.Test"\n')
    assert options(tmp_path).allowed_host == ("shop.test",)


def test_paths_start_where_they_were_written(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    for folder in (tmp_path / "public", inner / "public"):
        folder.mkdir(parents=True)
    pyproject(tmp_path, '[tool.devserver]\nstatic = ["/s=public"]\nreload-dir = ["public"]\napp-dir = "."\n')
    from_file = options(inner)
    assert from_file.static == (f"/s={tmp_path / 'public'}",)
    assert from_file.reload_dir == (str(tmp_path / "public"),)
    assert from_file.app_dir == str(tmp_path)
    assert options(inner, {"static": ("/s=public",)}).static == (f"/s={inner / 'public'}",)
    assert options(inner, {}, DEVSERVER_APP_DIR=".").app_dir == str(inner)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.po", "*.po"),
        ("media/", "media/"),
        ("media/uploads", "{base}/media/uploads"),
        ("./media/", "./media/"),
        ("a/b/", "{base}/a/b/"),
        ("**/build/*.js", "**/build/*.js"),
        ("/srv/data", "/srv/data"),
    ],
)
def test_globs(tmp_path: Path, pattern: str, expected: str) -> None:
    if pattern == "./media/":
        expected = f"{tmp_path}/media/"
    got = options(tmp_path, {"reload_exclude": (pattern,)}).reload_exclude
    assert got == (expected.format(base=tmp_path),)


def test_the_nearest_pyproject_counts(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    pyproject(tmp_path, "[tool.devserver]\nport = 1\n")
    assert find_pyproject(str(inner)) == str(tmp_path / "pyproject.toml")
    assert options(inner).port == 1
    nearer = pyproject(tmp_path / "a", "[project]\nname = 'x'\n")
    assert find_pyproject(str(inner)) == str(nearer)
    assert options(inner).port == 8000


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("reload", "no", False),
        ("reload", " ON ", True),
        ("port", "0", 0),
        ("port", "65535", 65535),
        ("grace", "0", 0.0),
        ("grace", "1.5", 1.5),
        ("threads", "1", 1),
        ("interface", "ASGI", InterfaceChoice.ASGI),
        ("host", "[::1]", "::1"),
        ("host", "::1", "::1"),
        ("host", "localhost", "localhost"),
        ("allowed_host", "[::1]", ("::1",)),
        ("editor", " code -n ", "code -n"),
        ("editor", "myed '{file} {line}'", "myed '{file} {line}'"),
    ],
)
def test_values(tmp_path: Path, name: str, text: str, expected: object) -> None:
    assert getattr(options(tmp_path, {}, **{f"DEVSERVER_{name.upper()}": text}), name) == expected


@pytest.mark.parametrize(
    ("flags", "environ", "toml", "message"),
    [
        ({"port": "abc"}, {}, "", "--port abc: not a number"),
        ({}, {"DEVSERVER_PORT": "abc"}, "", "DEVSERVER_PORT=abc: not a number"),
        ({}, {"DEVSERVER_PORT": "tcp://10.0.0.1:80"}, "", "DEVSERVER_PORT=tcp://10.0.0.1:80: not a number"),
        ({}, {}, "port = 70000", "port = 70000 in {file}: out of range"),
        ({}, {}, 'port = "80"', "port in [tool.devserver] of {file} is not a number"),
        ({}, {}, "port = true", "port in [tool.devserver] of {file} is not a number"),
        ({}, {}, "reload = 1", "reload in [tool.devserver] of {file} is not true or false"),
        ({}, {}, "host = 1", "host in [tool.devserver] of {file} is not a string"),
        ({}, {}, "static = [1]", "static in [tool.devserver] of {file} is not a string or an array of strings"),
        ({"port": "-1"}, {}, "", "--port -1: out of range"),
        ({"threads": "0"}, {}, "", "--threads 0: out of range"),
        ({"grace": "-0.1"}, {}, "", "--grace -0.1: out of range"),
        ({"grace": "nan"}, {}, "", "--grace nan: out of range"),
        ({"grace": "inf"}, {}, "", "--grace inf: out of range"),
        ({"grace": "soon"}, {}, "", "--grace soon: not a number"),
        ({}, {"DEVSERVER_RELOAD": "maybe"}, "", "DEVSERVER_RELOAD=maybe: neither on nor off"),
        ({"interface": "cgi"}, {}, "", "--interface cgi: no such choice"),
        ({"host": ""}, {}, "", "--host : empty"),
        ({"host": "http://localhost"}, {}, "", "--host http://localhost: a URL, not a host"),
        ({"host": "0.0.0.0:80"}, {}, "", "--host 0.0.0.0:80: a host and a port"),
        ({"host": "[::1]:80"}, {}, "", "--host [::1]:80: a host and a port"),
        ({"app_dir": "missing"}, {}, "", "--app-dir missing: no such folder"),
        ({"app_dir": "file.txt"}, {}, "", "--app-dir file.txt: not a folder"),
        ({"env_file": ".env"}, {}, "", "--env-file .env: no such file"),
        ({"env_file": "."}, {}, "", "--env-file .: not a file"),
        ({"reload_dir": ("missing",)}, {}, "", "--reload-dir missing: no such folder"),
        ({"static": ("static",)}, {}, "", "--static static: not of the form /url=folder"),
        ({"static": ("static=.",)}, {}, "", "--static static=.: not of the form /url=folder"),
        ({"static": ("/s=",)}, {}, "", "--static /s=: not of the form /url=folder"),
        ({"static": ("/s=missing",)}, {}, "", "--static /s=missing: no such folder"),
        ({"editor": "code 'x"}, {}, "", "--editor code 'x: not a command"),
        ({"editor": " "}, {}, "", "--editor  : empty"),
        ({}, {}, 'static = ["/s=missing"]', "static = /s=missing in {file}: no such folder"),
    ],
)
def test_wrong_values_name_their_source(
    tmp_path: Path, flags: Mapping[str, object], environ: Mapping[str, str], toml: str, message: str
) -> None:
    (tmp_path / "file.txt").touch()
    path = pyproject(tmp_path, f"[tool.devserver]\n{toml}\n")
    with pytest.raises(UsageError) as caught:
        configure(flags, environ, str(tmp_path))
    assert caught.value.message == message.format(file=path)
    assert caught.value.exit_code == 2


def test_wrong_values_have_a_hint(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        options(tmp_path, {"port": "70000"})
    assert caught.value.hint == "give a whole number from 0 to 65535"


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("prot", "did you mean `port`?"),
        ("reload_dir", "did you mean `reload-dir`"),
        ("Host", "did you mean `host` or `hoist`?"),
        ("quux", "known keys: target, interface"),
    ],
)
def test_unknown_keys_get_close_matches(tmp_path: Path, key: str, hint: str) -> None:
    path = pyproject(tmp_path, f"[tool.devserver]\n{key} = 1\n")
    with pytest.raises(UsageError) as caught:
        options(tmp_path)
    assert caught.value.message == f"unknown key `{key}` in [tool.devserver] of {path}"
    assert caught.value.hint is not None
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize("text", ["[tool.devserver", "tool = 1 2", "\udcff"])
def test_broken_toml_is_an_error_with_its_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match="is not valid TOML") as caught:
        options(tmp_path)
    assert str(path) in caught.value.message


@pytest.mark.parametrize("text", ["tool = 1", "", "[tool.other]\nport = 1"])
def test_a_file_without_our_table_says_nothing(tmp_path: Path, text: str) -> None:
    pyproject(tmp_path, text)
    assert options(tmp_path) == Options()


def test_our_table_has_to_be_a_table(tmp_path: Path) -> None:
    pyproject(tmp_path, "[tool]\ndevserver = 1\n")
    with pytest.raises(UsageError, match="is not a table"):
        options(tmp_path)


@pytest.mark.parametrize(
    ("flag", "environ", "expected"),
    [
        (None, {}, ColorChoice.AUTO),
        (None, {"NO_COLOR": "1"}, ColorChoice.NEVER),
        (None, {"NO_COLOR": ""}, ColorChoice.AUTO),
        (None, {"FORCE_COLOR": "1"}, ColorChoice.ALWAYS),
        (None, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, ColorChoice.NEVER),
        ("auto", {"NO_COLOR": "1"}, ColorChoice.NEVER),
        ("always", {"NO_COLOR": "1"}, ColorChoice.ALWAYS),
        ("never", {"FORCE_COLOR": "1"}, ColorChoice.NEVER),
    ],
)
def test_colour(tmp_path: Path, flag: str | None, environ: Mapping[str, str], expected: ColorChoice) -> None:
    assert configure({"color": flag}, environ, str(tmp_path)).options.color is expected


@given(st.sampled_from(OPTIONS), st.text())
def test_any_text_is_a_value_or_a_usage_error(option: Option, text: str) -> None:
    # A traceback for a wrong environment variable would be the one thing that nobody can read.
    message = f"{option.variable}="
    try:
        configure({}, {option.variable: text}, os.sep)
    except UsageError as error:
        message = error.message
    assert message.startswith(f"{option.variable}=")


# --- .env files ---


def env_file(folder: Path, text: str) -> str:
    path = folder / ".env"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_env_file_gives_what_is_not_set_yet(tmp_path: Path) -> None:
    path = env_file(tmp_path, "# comment\nA=1\nexport B='two words'\nC=\nD\n")
    assert read_env_file(path, {"A": "kept"}) == (("B", "two words"), ("C", ""))


def test_env_file_expands_what_the_app_will_see(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAME", "outer")
    path = env_file(tmp_path, "NAME=inner\nURL=db://${NAME}/${OTHER:-none}\n")
    assert read_env_file(path, os.environ) == (("URL", "db://outer/none"),)


def test_env_file_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"A=\xff\n")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_env_file(str(path), {})


def test_env_file_that_went_away_while_running_gives_nothing(tmp_path: Path) -> None:
    assert read_env_file(str(tmp_path / ".env"), {}) == ()


def test_an_env_file_may_be_a_pipe(tmp_path: Path) -> None:
    """`--env-file <(command)`: the writer may come late, and take its time."""
    path = tmp_path / "pipe"
    os.mkfifo(path)

    def write() -> None:
        with path.open("w") as pipe:
            for piece in ("ONE=1\nTW", "O=2\n"):
                pipe.write(piece)
                pipe.flush()

    writer = threading.Thread(target=write)
    writer.start()
    assert read_env_file(str(path), {}) == (("ONE", "1"), ("TWO", "2"))
    writer.join()
