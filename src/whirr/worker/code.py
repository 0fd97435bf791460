"""Whether a job's code is still what was submitted, looked at as it starts.

It happens beside the job, in one thread, so that no start waits for git; the answer is a file of the run, which the
job's own program never writes.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from whirr.folder import CODE_CHANGES
from whirr.jsonio import dumps, write_atomic
from whirr.submission import Changes, Tree, changed_since

NAMED = 3
"""So many changed files are named on the worker's screen; the run names more."""


class CodeCheck:
    """The thread that compares.

    Args:
        said: is told of each job whose code has changed.
    """

    def __init__(self, said: Callable[[str], None]) -> None:
        self._said = said
        self._wanted: queue.SimpleQueue[tuple[int, Path, Tree] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def ask(self, job_id: int, run_dir: Path, submitted: Mapping[str, Any]) -> None:
        """Compare the work folder of a job that starts now with the tree recorded at its submission, if one was."""
        if not submitted.get("tree") or not os.path.isdir(Tree.from_dict(submitted["tree"]).top):
            return  # submitted outside a work tree, or on another machine
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="whirr-code", daemon=True)
            self._thread.start()
        self._wanted.put((job_id, run_dir, Tree.from_dict(submitted["tree"])))

    def close(self, patience_s: float = 5.0) -> None:
        """Finish what was asked, for so long."""
        if self._thread is not None:
            self._wanted.put(None)
            self._thread.join(patience_s)

    def _work(self) -> None:
        while (asked := self._wanted.get()) is not None:
            job_id, run_dir, tree = asked
            changes = changed_since(tree).of_code()
            if changes.same:
                continue
            with suppress(OSError):  # a full disk costs the remark in the run, not the one on the worker's screen
                write_atomic(run_dir / CODE_CHANGES, dumps(changes.as_dict()))
            self._said(f"job {job_id}: {_words(changes)}")


def _words(changes: Changes) -> str:
    if changes.unknown is not None:
        return f"whether its code is what was submitted is not known: {changes.unknown}"
    named = ", ".join(f"{one.letter} {one.path}" for one in changes.names[:NAMED])
    more = f" and {changes.count - NAMED} more" if changes.count > NAMED else ""
    return f"its code has changed since it was submitted: {named}{more}"
