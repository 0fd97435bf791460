"""Submissions that come at the same time are queued together: one thread, one transaction, one ring."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from whirr.local import LocalHub
from whirr.model import Job
from whirr.server.observe import LOG
from whirr.submitting import Submission

MOST = 64
"""So many are queued in one transaction."""


class _Waiting(NamedTuple):
    submission: Submission
    then: Callable[[Job], None]
    future: asyncio.Future[Job]


class Submissions:
    """See the module. A thread for each would fight over the interpreter, and commit each on its own."""

    def __init__(self, hub: LocalHub) -> None:
        self._hub = hub
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="whirr-submit")
        self._waiting: deque[_Waiting] = deque()
        self._queueing: asyncio.Task[None] | None = None

    async def submit(self, submission: Submission, then: Callable[[Job], None]) -> Job:
        """The job that came of it; raises as ``hub.submit``.

        Args:
            then: called with the job, in the thread. That it fails is logged: the job is queued all the same.
        """
        mine = _Waiting(submission, then, asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        if self._queueing is None:
            self._queueing = asyncio.create_task(self._queue())
        return await mine.future

    def close(self) -> None:
        """End the thread once it has done what it was given."""
        self._thread.shutdown(wait=False)

    async def _queue(self) -> None:
        try:
            while self._waiting:
                group = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST))]
                for one, done in zip(group, await self._done(group), strict=True):
                    if one.future.done():  # nobody waits for it any more
                        continue
                    if isinstance(done, Exception):
                        one.future.set_exception(done)
                    else:
                        one.future.set_result(done)
        finally:
            self._queueing = None

    async def _done(self, group: list[_Waiting]) -> list[Job | Exception]:
        """What comes of each; of all the same error where the hub breaks, or the thread is gone."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._submitted, group)
        except Exception as error:
            return [error] * len(group)

    def _submitted(self, group: list[_Waiting]) -> list[Job | Exception]:
        found = self._hub.submit_all([one.submission for one in group])
        for one, done in zip(group, found, strict=True):
            if not isinstance(done, Exception):
                try:
                    one.then(done)
                except Exception:
                    LOG.exception("job %s is queued; what was to follow broke", done.id)
        return found
