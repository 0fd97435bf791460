"""Make ``queue-schema-<n>.db``: a queue with jobs in every state, kept to test that later versions can read it.

    python tests/data/make_queue.py

Run it once for each schema that is released, and never again for that one.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from hubs import STAMP, Ticker, known, outcome, spec, worker  # noqa: E402

from whirr.connect import open_hub  # noqa: E402
from whirr.local import LocalHub  # noqa: E402
from whirr.model import CauseKind, Verdict, WorkerInfo  # noqa: E402
from whirr.store.sqlite import SqliteDatabase  # noqa: E402


def fill(hub: LocalHub) -> None:
    """Jobs 1 to 12: see the comments."""
    locked = worker("locked", "node", gpus=("GPU-a", "GPU-b"))
    timed = worker("timed", "node", lease_s=60.0)
    for each in (locked, timed):
        known(hub, each)
    hub.submit(spec("python", "train.py", name="first", config={"lr": 0.1}, tags=("sweep", "night")))
    end(hub, timed, Verdict.COMPLETED)  # 1 completed
    hub.submit(spec("false", tags=("sweep",)))
    end(hub, timed, Verdict.FAILED, exit_code=3)  # 2 failed
    hub.submit(spec("true", after=(2,)))  # 3 failed with 2
    hub.submit(spec("true"))
    hub.cancel(4, "ada@lab")  # 4 cancelled
    hub.submit(spec("crasher"))
    for _ in range(3):
        end(hub, timed, Verdict.CRASHED, kind=CauseKind.WORKER_LOST)  # 5 set aside
    hub.submit(spec("true", gpus=0, timeout_s=7200.0, env={"KEY": "é"}))
    hub.claim(timed)  # 6 running under a timed lease
    hub.submit(spec("true", gpus=2))
    hub.claim(locked)  # 7 running, with both GPUs
    hub.submit(spec("true", gpus=0))
    hub.claim(locked)
    hub.cancel(8, "ada@lab")  # 8 being cancelled
    hub.submit(spec("true", gpus=0, retries=2))
    end(hub, timed, Verdict.FAILED)  # 9 queued, to be tried again in 5 s
    hub.submit(spec("true", after=(6, 7), after_any=(8,)))  # 10 waits for three
    hub.submit(spec("true", priority=5, gpus=1))  # 11 waits for a GPU
    hub.submit(spec("true", gpus=0, submitted={"packages": 3}, submitted_by="ada@lab"))  # 12 queued


def end(hub: LocalHub, by: WorkerInfo, verdict: Verdict, **about: object) -> None:
    """Run the next job to its end."""
    claim = hub.claim(by)
    assert claim is not None
    hub.finish(claim.lease, outcome(verdict, **about))


def main() -> None:
    """Write the file."""
    with tempfile.TemporaryDirectory() as place:
        open_hub(Path(place) / ".whirr", now=Ticker()).close()
        path = Path(place, ".whirr", "queue", "queue.db")
        database = SqliteDatabase(str(path), clock=Ticker())
        version = database.schema_version()
        hub = LocalHub(Path(place, ".whirr"), database, stamp=lambda: STAMP)
        fill(hub)
        hub.close()
        target = HERE / f"queue-schema-{version}.db"
        target.unlink(missing_ok=True)
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
            connection.execute(f"VACUUM INTO '{target}'")
        print(target)


if __name__ == "__main__":
    main()
