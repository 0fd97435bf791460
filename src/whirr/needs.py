"""Jobs that wait for other jobs: brought up to date inside the transaction that changes what they wait for."""

from __future__ import annotations

from collections.abc import Callable

from whirr.errors import LeaseLost, NotFound
from whirr.following import Following
from whirr.model import Cause, CauseKind, Job, Lease
from whirr.store.database import Row, Transaction
from whirr.store.rows import cause_text, job_of


class Needs:
    """See the module.

    Args:
        following: writes the folders of jobs.
        stamp: the UTC stamp of this moment.
    """

    def __init__(self, following: Following, stamp: Callable[[], str]) -> None:
        self._following = following
        self._stamp = stamp

    def look(self, tx: Transaction, job_id: int) -> Job:
        """Bring what a queued job waits for up to date; it fails where that can no longer come true."""
        tx.one("lock_job", id=job_id)  # two needs that end at once must not each see the other as unmet
        unmet = tx.all("unmet_needs", job_id=job_id)
        hopeless = [row["id"] for row in unmet if row["status"] in ("failed", "cancelled")]
        if hopeless:
            cause = Cause(CauseKind.DEPENDENCY_FAILED, f"job {hopeless[0]}, which it needs, did not complete")
            tx.run("fail_dependent", id=job_id, now_at=self._stamp(), cause=cause_text(cause))
        else:
            tx.run("set_blocked", id=job_id, blocked=len(unmet))
        return job_of(only(tx.one("job", id=job_id)))

    def look_at_dependents(self, tx: Transaction, job_id: int) -> None:
        """A job has ended or is queued again: what needs it may start, waits again, or fails with it."""
        for row in tx.all("dependents_of", needs=job_id):
            dependent = self.look(tx, row["id"])
            if dependent.status.terminal:
                self._following.mark(dependent)
                self.look_at_dependents(tx, dependent.id)


def only(row: Row | None) -> Row:
    """A row that must be there, since this very transaction wrote or locked it."""
    if row is None:
        raise LookupError("a row that was just written is gone")
    return row


def lease_lost(lease: Lease) -> LeaseLost:
    """The error for an attempt that no longer holds its lease."""
    return LeaseLost(
        f"attempt {lease.attempt} at job {lease.job_id} no longer holds its lease",
        hint="the job was given to another attempt; what this one wrote is kept as its own",
    )


def no_such_job(job_id: int) -> NotFound:
    """The error for a number that no job has."""
    return NotFound(f"there is no job {job_id}", hint="whirr status lists the jobs there are")
