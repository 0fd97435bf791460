"""Numbered changes of the schema, forward only: ``0001_name.sql``, ``0002_name.sql``, each in one transaction."""

from __future__ import annotations

import os
import re

from whirr.errors import SchemaTooNew
from whirr.store.database import HERE, Database
from whirr.store.queries import Statement, translate

FOLDER = os.path.join(HERE, "migrations")

CREATE = (
    "CREATE TABLE IF NOT EXISTS schema_version "
    "(version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL)"
)
NEWEST = "SELECT COALESCE(MAX(version), 0) AS version FROM schema_version"
INSERT = Statement(
    "INSERT INTO schema_version (version, name, applied_at) VALUES (:version, :name, :applied_at)",
    frozenset({"version", "name", "applied_at"}),
)

_FILE = re.compile(r"(\d{4})_(\w+)\.sql")


class Migration:
    """One file of statements.

    Attributes:
        version: its number, counted from 1.
        name: what its file is called after the number.
    """

    __slots__ = ("name", "path", "version")

    def __init__(self, path: str, version: int, name: str) -> None:
        self.path = path
        self.version = version
        self.name = name

    def statements(self, dialect: str) -> list[Statement]:
        """What is to be run, in order."""
        with open(self.path, encoding="utf-8") as file:
            return translate(file.read(), dialect)


def migrations(folder: str = FOLDER) -> list[Migration]:
    """The migrations of a folder, oldest first.

    Raises:
        LookupError: their numbers do not count from 1.
    """
    found = [
        Migration(os.path.join(folder, match[0]), int(match[1]), match[2])
        for match in map(_FILE.fullmatch, sorted(os.listdir(folder)))
        if match
    ]
    if [one.version for one in found] != list(range(1, len(found) + 1)):
        raise LookupError(f"migrations are not numbered from 1 on: {[one.version for one in found]}")
    return found


def migrate(database: Database, folder: str = FOLDER) -> None:
    """Bring the schema up to date; any number of processes may do so at once.

    Raises:
        SchemaTooNew: a newer whirr has been here.
        StoreError: the database cannot be changed.
    """
    known = migrations(folder)
    version = database.schema_version()
    if version > len(known):
        raise SchemaTooNew(
            f"{database.url} has schema {version}, this whirr knows {len(known)}",
            hint="a newer whirr has written it: update this one",
        )
    for migration in known[version:]:
        database.apply(migration.version, migration.name, migration.statements(database.kind))
