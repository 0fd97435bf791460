"""The one place that chooses which hub a program gets."""

from __future__ import annotations

from pathlib import Path

from whirr.config import Settings
from whirr.errors import NotFound
from whirr.folder import QUEUE, cannot_write, make_root
from whirr.local import LocalHub
from whirr.store import open_database
from whirr.store.database import Clock

DATABASE = "queue.db"


def connect(root: Path, settings: Settings, *, make: bool = False) -> LocalHub:
    """The hub of a ``.whirr`` folder.

    Args:
        make: make the queue where there is none; otherwise that is an error, and nothing is written.

    Raises:
        NotFound: there is no queue yet.
        FolderError: the folder cannot be made.
        StoreError: the database cannot be opened.
    """
    if not (make or settings.database_url or (root / QUEUE / DATABASE).exists()):
        raise NotFound(f"there is no queue in {root}", hint="whirr submit -- COMMAND makes one")
    return open_hub(root, settings.database_url)


def open_hub(root: Path, database_url: str | None = None, *, now: Clock | None = None) -> LocalHub:
    """The hub of a folder and a database, made where they are missing.

    Args:
        database_url: a PostgreSQL database; None: SQLite in ``root``.
        now: the time for leases and waits; None: the database's own.

    Raises:
        FolderError: the folder cannot be made.
        StoreError: the database cannot be opened.
    """
    make_root(root)
    try:
        (root / QUEUE).mkdir(mode=0o700, exist_ok=True)  # what is submitted may hold secrets
    except OSError as error:
        raise cannot_write(root, error) from None
    return LocalHub(root, open_database(database_url or root / QUEUE / DATABASE, clock=now))
