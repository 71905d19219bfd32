"""One line when another virtual environment is meant than the one in use."""

from __future__ import annotations

from pathlib import Path

from devserver.environment import check_environment


def environment(path: Path, *programs: str) -> str:
    (path / "bin").mkdir(parents=True)
    (path / "pyvenv.cfg").touch()
    for program in programs:
        (path / "bin" / program).touch()
    return str(path)


def test_nothing_to_say(tmp_path: Path) -> None:
    assert check_environment("/usr", {}, [str(tmp_path)]) is None


def test_the_one_in_use_is_right(tmp_path: Path) -> None:
    path = environment(tmp_path / ".venv")
    assert check_environment(path, {}, [str(tmp_path)]) is None
    assert check_environment(path, {"VIRTUAL_ENV": path}, [str(tmp_path)]) is None


def test_links_to_the_one_in_use_are_right(tmp_path: Path) -> None:
    path = environment(tmp_path / "envs" / "one")
    (tmp_path / ".venv").symlink_to(path)
    assert check_environment(path, {}, [str(tmp_path)]) is None
    assert check_environment(path, {"VIRTUAL_ENV": str(tmp_path / ".venv")}, []) is None


def test_another_is_active(tmp_path: Path) -> None:
    active = environment(tmp_path / "active", "devserver")
    line = check_environment("/usr", {"VIRTUAL_ENV": active}, [])
    assert line == f"the active virtual environment {active} is not in use, but /usr; run  {active}/bin/devserver"


def test_another_lies_beside_the_project(tmp_path: Path) -> None:
    beside = environment(tmp_path / "venv")
    line = check_environment("/usr", {}, [str(tmp_path / "missing"), str(tmp_path)])
    assert line is not None
    assert line.startswith(f"the virtual environment {beside} is not in use, but /usr; run  {beside}/bin/python -m pip")
    assert "\n" not in line


def test_an_active_one_in_use_is_a_choice(tmp_path: Path) -> None:
    environment(tmp_path / ".venv")
    active = environment(tmp_path / "active")
    assert check_environment(active, {"VIRTUAL_ENV": active}, [str(tmp_path)]) is None


def test_leftovers_are_no_environment(tmp_path: Path) -> None:
    (tmp_path / ".venv").mkdir()
    assert check_environment("/usr", {"VIRTUAL_ENV": str(tmp_path / "gone")}, [str(tmp_path)]) is None
