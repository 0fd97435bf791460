"""Where the jobs of a dead worker wrote: each worker says it in its lock, as others may have another data folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from whirr.hub import Hub
from whirr.locks import told, worker_lock
from whirr.model import WorkerInfo
from whirr.worker.folders import Folders, InPlace, Spool

SENT, SHARED = "sent", "shared"


def described(folders: Folders) -> str:
    """What a worker of a server says of its folders in its lock."""
    return f"{SENT if folders.sends else SHARED} {folders.root}"


class Places:
    """The folders of the workers of this machine.

    Args:
        own: those of the worker that asks; also of one that said nothing.
        queue: the folder of this machine's locks.
        said: is told of troubles, a line each.
    """

    def __init__(self, own: Folders, queue: Path, hub: Hub, said: Callable[[str], None]) -> None:
        self._own, self._queue, self._hub, self._said = own, queue, hub, said
        self._others: dict[str, Folders] = {}

    def of(self, worker: WorkerInfo) -> Folders:
        """Where the jobs of a worker wrote.

        Raises:
            FolderError: that cannot be reached.
        """
        text = told(worker_lock(self._queue, worker.id))
        if text in ("", described(self._own)):
            return self._own
        if text not in self._others:
            self._others[text] = self._made(text)
        return self._others[text]

    def _made(self, text: str) -> Folders:
        kind, _, root = text.partition(" ")
        return Spool(Path(root), self._queue, self._hub, self._said) if kind == SENT else InPlace(Path(root))

    def close(self) -> None:
        """Let go of all but the worker's own."""
        for folders in self._others.values():
            folders.close()
