"""The one place that chooses which hub a program gets."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from whirr.config import Settings
from whirr.errors import NotFound, no_access, warn
from whirr.folder import QUEUE
from whirr.local import LocalHub
from whirr.pairing import make_queue, pair, see_unused
from whirr.store import open_database
from whirr.store.database import Clock
from whirr.transport import TRIES, Transport

if TYPE_CHECKING:
    from whirr.remote import RemoteHub

DATABASE = "queue.db"
SERVING_WAIT_S = 8.0
"""How long a server waits for its database: who asked it then hears what is wrong, before giving up (``transport``)."""


def connect(
    root: Path,
    settings: Settings,
    *,
    make: bool = False,
    adopt: bool = False,
    said: Callable[[str], None] = warn,
) -> LocalHub:
    """The hub of a ``.whirr`` folder.

    Args:
        make: make the queue where there is none; otherwise that is an error, and nothing is written.
        adopt: as in ``open_hub``, unless a worker or a server still works with the other folder.
        said: as in ``open_hub``.

    Raises:
        NotFound: there is no queue yet.
        FolderError: as ``open_hub``, or it may not be looked into.
        UsageError: as ``open_hub``; somebody works with the other folder.
        StoreError: the database cannot be opened.
    """
    if not (make or settings.database_url or has_queue(root)):
        raise NotFound(f"there is no queue in {root}", hint="whirr submit -- COMMAND makes one")
    if adopt and settings.database_url:
        with closing(open_database(settings.database_url)) as database:
            see_unused(root, database)
    return open_hub(root, settings.database_url, adopt=adopt, said=said)


def has_queue(root: Path) -> bool:
    """Whether a ``.whirr`` folder holds a queue in SQLite.

    Raises:
        FolderError: it may not be looked into.
    """
    try:
        return (root / QUEUE / DATABASE).exists()
    except PermissionError as error:
        raise no_access(root, error) from None


def reach(url: str, settings: Settings, *, tries: int = TRIES) -> RemoteHub:
    """The hub of a server, with the token of the settings or of the credentials file.

    Args:
        tries: so often what may be sent again is sent before that is an error.

    Raises:
        MissingExtra: httpx is not installed.
        Unreachable, AccessDenied, BadAnswer: there is no server, it wants another token, it is none of whirr.
    """
    from whirr.credentials import token_for
    from whirr.remote import RemoteHub

    transport = Transport(url, settings.token or token_for(url), tries=tries)
    try:
        return RemoteHub(transport)
    except BaseException:
        transport.close()
        raise


def open_hub(
    root: Path,
    database_url: str | None = None,
    *,
    now: Clock | None = None,
    serving: bool = False,
    outage_s: float = 0.0,
    adopt: bool = False,
    said: Callable[[str], None] = warn,
) -> LocalHub:
    """The hub of a folder and a database, made where they are missing.

    Args:
        database_url: a PostgreSQL database; None: SQLite in ``root``.
        now: the time for leases and waits; None: the database's own.
        serving: as in ``LocalHub``, as are ``outage_s`` and ``said``.
        adopt: a PostgreSQL database belongs to this folder from now on, whatever folder it had.

    Raises:
        UsageError: the database belongs to another folder.
        FolderError: the folder cannot be made.
        StoreError: the database cannot be opened.
    """
    wait_s = SERVING_WAIT_S if serving else None
    if database_url is None:
        make_queue(root)
        database = open_database(root / QUEUE / DATABASE, clock=now, wait_s=wait_s)
    else:
        database = open_database(database_url, clock=now, wait_s=wait_s)
        try:
            pair(root, database, adopt=adopt)
        except BaseException:
            database.close()
            raise
        make_queue(root)
    return LocalHub(root, database, said=said, serving=serving, outage_s=outage_s)
