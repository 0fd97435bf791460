"""A small schema for tests of the store itself, which then do not depend on the queue's."""

from __future__ import annotations

from pathlib import Path

from whirr.store.database import Clock, Database
from whirr.store.migrate import migrate
from whirr.store.postgres import PostgresDatabase
from whirr.store.sqlite import SqliteDatabase

STATEMENTS = """
-- name: add
INSERT INTO things (name, amount, weight, note) VALUES (:name, :amount, :weight, :note) RETURNING *;
-- name: add_plain
INSERT INTO things (name, amount) VALUES (:name, :amount);
-- name: things
SELECT * FROM things ORDER BY id;
-- name: thing
SELECT * FROM things WHERE id = :id;
-- name: lock
SELECT * FROM things WHERE id = :id {for_update};
-- name: next
SELECT id FROM things ORDER BY id LIMIT 1 {for_update_skip_locked};
-- name: raise
UPDATE things SET amount = amount + :by WHERE id = :id RETURNING amount;
-- name: set_amount
UPDATE things SET amount = :amount WHERE amount < :below;
-- name: remove
DELETE FROM things WHERE id = :id;
-- name: add_part
INSERT INTO parts (thing) VALUES (:thing);
-- name: parts
SELECT * FROM parts ORDER BY id;
-- name: numbers
SELECT COUNT(*) AS count, SUM(amount) AS total, AVG(amount) AS mean, '100%' AS text, 7 % 4 AS rest FROM things;
-- name: versions
SELECT version, name FROM schema_version ORDER BY version;
"""

FIRST = """
CREATE TABLE things (
    id {identity},
    name TEXT NOT NULL UNIQUE,
    amount {bigint} NOT NULL CHECK (amount >= 0),
    weight {real},
    note TEXT DEFAULT '{}; :no %'
);
CREATE TABLE parts (id {identity}, thing {bigint} NOT NULL REFERENCES things (id) ON DELETE CASCADE);
"""


class Schema:
    """Named statements and migrations in a folder."""

    def __init__(self, folder: Path) -> None:
        self.sql = folder / "sql"
        self.migrations = folder / "migrations"
        self.sql.mkdir(parents=True)
        self.migrations.mkdir()
        (self.sql / "things.sql").write_text(STATEMENTS)
        self.write(1, FIRST)

    def write(self, number: int, text: str) -> None:
        """Write one migration."""
        (self.migrations / f"{number:04}_change.sql").write_text(text)

    def remove(self, number: int) -> None:
        """Forget one migration, as an older program would not have it."""
        (self.migrations / f"{number:04}_change.sql").unlink()

    def connect(
        self, url: str, *, clock: Clock | None = None, wait_s: float = 30.0, wal: bool | None = None
    ) -> Database:
        """Open a database without bringing its schema up to date."""
        if url.startswith("postgresql:"):
            return PostgresDatabase(url, clock=clock, wait_s=wait_s, sql_folder=str(self.sql))
        return SqliteDatabase(url, clock=clock, wait_s=wait_s, wal=wal, sql_folder=str(self.sql))

    def open(self, url: str, *, clock: Clock | None = None, wait_s: float = 30.0, wal: bool | None = None) -> Database:
        """Open a database with this schema."""
        database = self.connect(url, clock=clock, wait_s=wait_s, wal=wal)
        try:
            migrate(database, str(self.migrations))
        except BaseException:
            database.close()
            raise
        return database
