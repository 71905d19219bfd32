"""Advice on what is read and written, and on the machine: real errors of the system where it makes them."""

from __future__ import annotations

import errno
import json
import os
import socket
import sqlite3
import ssl
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hints.raised import advice_on, text_on


def raising(error: BaseException) -> Callable[[], object]:
    def fails() -> None:
        raise error

    return fails


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- encodings and formats ---


@pytest.mark.parametrize(
    ("data", "encoding", "part"),
    [
        (b"caf\xe9", "utf-8", "not UTF-8"),
        (b"\xff\xfea\x00", "utf-8", "UTF-16"),
        ("é".encode(), "ascii", 'encoding="utf-8"'),
    ],
)
def test_undecodable(folder: Path, data: bytes, encoding: str, part: str) -> None:
    file = folder / "menu.txt"
    file.write_bytes(data)
    assert part in text_on(lambda: file.read_text(encoding))


def test_unencodable() -> None:
    assert 'encoding="utf-8"' in text_on(lambda: "€".encode("latin-1"))
    assert text_on(lambda: "\udc80".encode()) == ""


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "The text is empty"),
        (" \n", "The text is empty"),
        ("<!doctype html>", "HTML came in place of JSON"),
        ("{'a': 1}", "double quotes"),
        ('{"a": 1} {"a": 2}', "parse line by line"),
        ('{"a" 1}', "line 1, column 6"),
    ],
)
def test_invalid_json(text: str, part: str) -> None:
    assert part in text_on(lambda: json.loads(text))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a = b", "Correct line 1 of the TOML"),
        ("a = [1", "Correct the end of the TOML"),
        ("a = 1\na = 2", "one of the two definitions"),
    ],
)
def test_invalid_toml(text: str, part: str) -> None:
    assert part in text_on(lambda: tomllib.loads(text))


def test_toml_as_text(folder: Path) -> None:
    (folder / "a.toml").write_text("")

    def fails() -> None:
        with open("a.toml") as file:
            tomllib.load(file)  # type: ignore[arg-type]

    assert '`open(path, "rb")`' in text_on(fails)


# --- files ---


def test_relative_path(folder: Path) -> None:
    text = text_on(lambda: Path("menu.txt").read_text())
    assert f"the working folder ({folder})" in text
    assert "Path(__file__).parent / 'menu.txt'" in text


def test_absolute_path(folder: Path) -> None:
    assert f"There is no {folder}/no/menu.txt" in text_on(lambda: (folder / "no" / "menu.txt").write_text(""))


def test_home_folder() -> None:
    assert "expanduser()" in text_on(lambda: Path("~/menu.txt").read_text())


def test_program() -> None:
    assert "There is no program no-such-program" in text_on(lambda: subprocess.run(["no-such-program"], check=False))


def test_a_file_that_a_library_does_without() -> None:
    def fails() -> None:
        try:
            Path("menu.txt").read_text()
        except FileNotFoundError:
            raise ValueError("no menu") from None

    assert text_on(fails) == ""


def test_folder_in_place_of_a_file(folder: Path) -> None:
    assert "is a folder" in text_on(lambda: folder.read_text())


def test_not_permitted() -> None:
    error = PermissionError(errno.EACCES, "Permission denied", "/etc/shadow")
    assert "`ls -l`" in text_on(raising(error))
    error = PermissionError(13, "error while attempting to bind on address ('127.0.0.1', 80): permission denied")
    assert "Ports below 1024" in text_on(raising(error))
    assert text_on(raising(PermissionError(errno.EPERM, "Operation not permitted"))) == ""


# --- the machine ---


@pytest.mark.parametrize(
    ("reason", "part"),
    [
        ("unable to get local issuer certificate", "update certifi"),
        ("self-signed certificate", "SSL_CERT_FILE"),
        ("self signed certificate in certificate chain", "SSL_CERT_FILE"),
        ("certificate has expired", "has expired"),
        ("Hostname mismatch, certificate is not valid for 'a.test'.", "not for a.test"),
    ],
)
def test_certificate(reason: str, part: str) -> None:
    message = f"[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {reason} (_ssl.c:1006)"
    assert part in text_on(raising(ssl.SSLCertVerificationError(1, message)))


def test_other_errors_of_ssl_are_left_alone() -> None:
    assert text_on(raising(ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)"))) == ""


@pytest.mark.parametrize(
    "message", ["Name or service not known", "Temporary failure in name resolution", "nodename nor servname provided"]
)
def test_unknown_host(message: str) -> None:
    assert "check its spelling" in text_on(raising(socket.gaierror(socket.EAI_NONAME, message)))


def test_timed_out() -> None:
    assert "does not answer" in text_on(raising(TimeoutError(errno.ETIMEDOUT, "Connection timed out")))
    assert text_on(raising(TimeoutError())) == ""


def test_disk_full() -> None:
    assert "The disk is full" in text_on(lambda: os.write(os.open("/dev/full", os.O_WRONLY), b"a"))
    assert "The disk is full" in text_on(raising(sqlite3.OperationalError("database or disk is full")))


def test_too_many_files() -> None:
    assert "open them by `with`" in text_on(raising(OSError(errno.EMFILE, os.strerror(errno.EMFILE), "a.txt")))


# --- databases ---


def sqlite(*statements: str) -> Callable[[], object]:
    def fails() -> None:
        connection = sqlite3.connect(":memory:")
        try:
            connection.execute("pragma foreign_keys = on")
            connection.execute("create table shop (id integer primary key, name text not null unique)")
            connection.execute("create table item (shop references shop (id))")
            for statement in statements:
                connection.execute(statement)
        finally:
            connection.close()

    return fails


@pytest.mark.parametrize(
    ("statements", "part"),
    [
        (["select * from shops"], "no such table yet"),
        (["select price from shop"], "no such column"),
        (["insert into shop (price) values (1)"], "no such column"),
        (["insert into shop (name) values (null)"], "Give name a value"),
        (["insert into shop (name) values ('a')"] * 2, "a row with this shop.name already"),
        (["insert into item values (9)"], "referred to first"),
    ],
)
def test_sqlite(statements: list[str], part: str) -> None:
    assert part in text_on(sqlite(*statements))


def test_sqlite_that_says_something_else() -> None:
    assert text_on(sqlite("select from")) == ""


def test_sqlite_locked(folder: Path) -> None:
    first, second = (sqlite3.connect(folder / "db", timeout=0) for _ in range(2))
    try:
        first.execute("create table a (b)")
        first.execute("begin immediate")
        assert "is writing to this SQLite file" in text_on(lambda: second.execute("begin immediate"))
    finally:
        first.close()
        second.close()


def test_sqlite_in_a_missing_folder() -> None:
    assert "Make the folder" in text_on(lambda: sqlite3.connect("no/db"))


@pytest.mark.parametrize(
    ("message", "part", "command"),
    [
        ('FATAL:  password authentication failed for user "shop"', "does not let shop in", ""),
        ('FATAL:  Peer authentication failed for user "shop"', "does not let shop in", ""),
        ("(1045, \"Access denied for user 'shop'@'localhost' (using password: YES)\")", "does not let shop in", ""),
        ("fe_sendauth: no password supplied", "wants a password", ""),
        ('FATAL:  role "shop" does not exist', "no user shop", "createuser --pwprompt shop"),
        ('FATAL:  database "shop" does not exist', "no database shop", "createdb shop"),
        ("(1049, \"Unknown database 'shop'\")", "CREATE DATABASE shop;", ""),
        ('column "price" of relation "shop" does not exist\nLINE 1: …', "no such column", ""),
        ("column shop.price does not exist", "no such column", ""),
        ("(1054, \"Unknown column 'shop.price' in 'field list'\")", "no such column", ""),
        ('null value in column "name" of relation "shop" violates not-null constraint', "Give name a value", ""),
        ("(1048, \"Column 'name' cannot be null\")", "Give name a value", ""),
        (
            'duplicate key value violates unique constraint "u"\nDETAIL:  Key (name)=(a) already exists.',
            "this name",
            "",
        ),
        ("(1062, \"Duplicate entry 'a' for key 'shop.name'\")", "this shop.name", ""),
        ('insert or update on table "item" violates foreign key constraint "f"', "referred to first", ""),
        ("failed to resolve host 'db': [Errno -2] Name or service not known", "the host db", ""),
        ("connection timeout expired", "does not answer", ""),
        ('connection to server at "127.0.0.1", port 5432 failed: Connection refused', "start PostgreSQL", ""),
    ],
)
def test_servers(message: str, part: str, command: str) -> None:
    import psycopg

    (advice,) = advice_on(raising(psycopg.OperationalError(message)))
    assert part in advice.text
    assert advice.command == command


@pytest.mark.parametrize("module", ["mysql.connector.errors", "MySQLdb", "pymysql.err", "psycopg2"])
def test_drivers(module: str) -> None:
    error = type("Error", (Exception,), {"__module__": module})
    assert "does not let shop in" in text_on(raising(error("Access denied for user 'shop'@'localhost'")))


def test_sqlalchemy_speaks_for_its_driver() -> None:
    from sqlalchemy import create_engine, text

    def fails() -> None:
        engine = create_engine("sqlite://")
        try:
            with engine.connect() as connection:
                connection.execute(text("select a from shop"))
        finally:
            engine.dispose()

    assert "no such table yet" in text_on(fails)
