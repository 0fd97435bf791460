"""A queue's database on another machine, and the one ``.whirr`` folder that holds the runs of its jobs.

Such a database does not show where that folder is. Programs that open it with different folders would each record a
part: a job would start without what was said of it at its submission, and its results lie where nobody looks.
So both keep the same id, and who comes with another folder is told.
"""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path
from typing import Any

import orjson

from whirr import clock
from whirr.errors import UsageError, not_written
from whirr.folder import QUEUE, make_root
from whirr.jsonio import read_document, write_atomic
from whirr.locks import SERVER, is_dead, is_held, told
from whirr.model import UNSEEN_AFTER_S
from whirr.store.database import Database, Transaction
from whirr.store.rows import worker_of

FACT = "folder"
FILE = "folder.json"


def pair(root: Path, database: Database, *, adopt: bool = False) -> None:
    """See that a folder and a database belong together; they do from now on where the database has none yet.

    Args:
        adopt: they do from now on, whatever folder the database had.

    Raises:
        UsageError: the database has another folder; nothing was written into this one.
        FolderError: the folder cannot be made.
    """
    with database.snapshot() as tx:
        known = _known(tx)
    if known is None or adopt:
        known = database.retry(lambda tx: _settle(tx, root, adopt), durable=True)
    if known["id"] != _id_of(root):
        raise UsageError(
            f"the queue at {database.url} keeps its runs in {known['path']} on {known['host']}, not in {root}",
            hint="name that folder (WHIRR_DIR, --dir, --data-dir) or another database;"
            " where this folder has taken its place: whirr init --adopt",
        )


def see_unused(root: Path, database: Database) -> None:
    """See that no worker and no server that can be seen still goes on with another folder of a database.

    Raises:
        UsageError: one does.
    """
    with database.snapshot() as tx:
        known, workers = _known(tx), [worker_of(row) for row in tx.all("workers")]
    if known is None or known["id"] == _id_of(root):
        return
    queue = Path(known["path"]) / QUEUE
    since = clock.now().timestamp() - UNSEEN_AFTER_S
    alive = [
        f"worker {worker.name} on {worker.host}"
        for worker in workers
        if clock.epoch(worker.seen_at) >= since and not is_dead(worker, queue)
    ]
    if is_held(queue / SERVER, shared=True):
        alive.append(f"the server {told(queue / SERVER)}")
    if alive:
        raise UsageError(
            f"they still work with {known['path']}: {', '.join(alive)}",
            hint=f"stop them first; one that was killed counts for {UNSEEN_AFTER_S:g} s",
        )


def _settle(tx: Transaction, root: Path, adopt: bool) -> dict[str, Any]:
    """The folder that the database has after this; where it is ``root``, that knows it before the database does."""
    ours = _id_of(root)
    value = {"id": ours or secrets.token_hex(8), "path": os.path.abspath(root), "host": socket.gethostname()}
    if adopt:
        tx.run("forget_fact", name=FACT)
    tx.run("keep_fact", name=FACT, value=orjson.dumps(value).decode())
    known = _known(tx) or value
    if known == value and ours is None:
        make_queue(root)
        write_atomic(root / QUEUE / FILE, orjson.dumps({"id": value["id"]}), durable=True)
    return known


def make_queue(root: Path) -> None:
    """Make a ``.whirr`` folder and the queue's part of it.

    Raises:
        FolderError: it cannot be made.
    """
    make_root(root, not_written)
    try:
        (root / QUEUE).mkdir(mode=0o700, exist_ok=True)  # what is submitted may hold secrets
    except OSError as error:
        raise not_written(root, error) from None


def _known(tx: Transaction) -> dict[str, Any] | None:
    row = tx.one("fact", name=FACT)
    return None if row is None else orjson.loads(row["value"])


def _id_of(root: Path) -> str | None:
    try:
        return str(read_document(root / QUEUE / FILE)["id"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # none yet, or damaged: it can be adopted
        return None
    except OSError as error:
        raise not_written(root, error) from None
