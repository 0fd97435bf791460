"""Submissions that come at the same time are queued together: one thread, one transaction, one ring."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from whirr.local import LocalHub
from whirr.model import Job
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
            then: called with the job, in the thread.
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
        loop = asyncio.get_running_loop()
        while self._waiting:
            group = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST))]
            for one, done in zip(group, await loop.run_in_executor(self._thread, self._done, group), strict=True):
                if one.future.done():  # nobody waits for it any more
                    continue
                if isinstance(done, Exception):
                    one.future.set_exception(done)
                else:
                    one.future.set_result(done)
        self._queueing = None

    def _done(self, group: list[_Waiting]) -> list[Job | Exception]:
        try:
            found = self._hub.submit_all([one.submission for one in group])
            for one, done in zip(group, found, strict=True):
                if not isinstance(done, Exception):
                    one.then(done)
        except Exception as error:
            return [error] * len(group)
        return found
