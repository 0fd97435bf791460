"""What opening the store costs a program: no database is loaded that is not used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DATABASES = {"sqlite3", "psycopg"}


def loaded(code: str, place: Path) -> set[str]:
    command = [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"]
    return set(subprocess.run(command, cwd=place, capture_output=True, text=True, check=True).stdout.split())


def test_only_the_database_that_is_used_is_loaded(tmp_path: Path) -> None:
    assert loaded("import whirr.store", tmp_path) - loaded("import whirr", tmp_path) == {"whirr.store"}
    used = loaded("from whirr.store import open_database\nopen_database('queue.db').close()", tmp_path)
    assert used & DATABASES == {"sqlite3"}
