"""Named statements and migrations: read from files, put into the words of either dialect."""

from __future__ import annotations

from pathlib import Path

import pytest

from whirr.store.database import SQL_FOLDER
from whirr.store.migrate import migrations
from whirr.store.queries import POSTGRESQL, SQLITE, Statements, translate


def both(text: str) -> tuple[str, str]:
    (sqlite,), (postgres,) = translate(text, SQLITE), translate(text, POSTGRESQL)
    assert sqlite.parameters == postgres.parameters
    return sqlite.sql, postgres.sql


@pytest.mark.parametrize(
    ("text", "sqlite", "postgres"),
    [
        ("SELECT :a, :b_2", "SELECT :a, :b_2", "SELECT %(a)s, %(b_2)s"),
        ("SELECT :a::text", "SELECT :a::text", "SELECT %(a)s::text"),
        ("SELECT x::text, 7 % 3", "SELECT x::text, 7 % 3", "SELECT x::text, 7 %% 3"),
        ("SELECT ':a %s; {b}', \"c:d\"", "SELECT ':a %s; {b}', \"c:d\"", "SELECT ':a %%s; {b}', \"c:d\""),
        ("SELECT 'it''s :a'", "SELECT 'it''s :a'", "SELECT 'it''s :a'"),
        ("SELECT 1 -- :a 100% {no} 'x\n, 2", "SELECT 1  \n, 2", "SELECT 1  \n, 2"),
        ("SELECT /* :a; {no} ' */ 1", "SELECT   1", "SELECT   1"),
        ("SELECT a[1:2]", "SELECT a[1:2]", "SELECT a[1:2]"),
        ("SELECT 1 {for_update};", "SELECT 1", "SELECT 1 FOR UPDATE"),
        ("x {real} DEFAULT '{}'", "x REAL DEFAULT '{}'", "x DOUBLE PRECISION DEFAULT '{}'"),
    ],
)
def test_a_statement_in_both_dialects(text: str, sqlite: str, postgres: str) -> None:
    assert both(text) == (sqlite, postgres)


def test_parameters_are_those_outside_of_literals_and_comments() -> None:
    (found,) = translate("SELECT :a, ':b', \":c\", x::d -- :e\n, /* :f */ :g, :a", SQLITE)
    assert found.parameters == {"a", "g"}


def test_statements_end_at_semicolons_only() -> None:
    found = translate("SELECT ';'; -- one;\n SELECT :two ;\n;\n -- nothing\n", POSTGRESQL)
    assert [(one.sql, one.parameters) for one in found] == [("SELECT ';'", set()), ("SELECT %(two)s", {"two"})]


def test_an_unknown_word_is_refused() -> None:
    with pytest.raises(LookupError, match=r"\{for_updates\}"):
        translate("SELECT 1 {for_updates}", SQLITE)


def test_statements_are_found_by_name_in_all_files(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("-- About a.\n\n-- name: one\n-- Why.\nSELECT 1;\n\n-- name: two\nSELECT :x\n")
    (tmp_path / "b.sql").write_text("-- name: three\nSELECT 3 {for_update};\n")
    (tmp_path / "c.txt").write_text("-- name: four\nSELECT 4\n")
    statements = Statements(str(tmp_path), POSTGRESQL)
    assert statements.names() == ["one", "three", "two"]
    assert [statements.get(name).sql for name in ("one", "two", "three")] == [
        "SELECT 1",
        "SELECT %(x)s",
        "SELECT 3 FOR UPDATE",
    ]
    with pytest.raises(LookupError, match="four"):
        statements.get("four")


@pytest.mark.parametrize(
    ("text", "name", "match"),
    [
        ("SELECT 0;\n-- name: one\nSELECT 1;", "one", "no name"),
        ("-- name: one\nSELECT 1;\n-- name: one\nSELECT 2;", "one", "two statements"),
        ("-- name: one\nSELECT 1; SELECT 2;", "one", "2 statements"),
        ("-- name: one\n-- name: two\nSELECT 2;", "one", "0 statements"),
    ],
)
def test_a_file_that_is_wrong_is_told(tmp_path: Path, text: str, name: str, match: str) -> None:
    (tmp_path / "a.sql").write_text(text)
    with pytest.raises(LookupError, match=match):
        Statements(str(tmp_path), SQLITE).get(name)


@pytest.mark.parametrize("dialect", [SQLITE, POSTGRESQL])
def test_every_statement_and_migration_of_whirr_can_be_read(dialect: str) -> None:
    statements = Statements(SQL_FOLDER, dialect)
    assert statements.names()
    for name in statements.names():
        assert statements.get(name).sql
    for migration in migrations():
        assert migration.statements(dialect)


def test_migrations_are_numbered_from_one(tmp_path: Path) -> None:
    for name in ("0002_second.sql", "0001_first.sql", "notes.txt"):
        (tmp_path / name).touch()
    assert [(one.version, one.name) for one in migrations(str(tmp_path))] == [(1, "first"), (2, "second")]
    (tmp_path / "0004_fourth.sql").touch()
    with pytest.raises(LookupError, match="numbered"):
        migrations(str(tmp_path))
