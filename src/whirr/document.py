"""A JSON document that a live run owns: kept in memory, replaced on disk as a whole, never raising."""

from __future__ import annotations

import threading
from contextlib import suppress

from whirr.errors import warn
from whirr.folder import RESERVE
from whirr.jsonio import dumps, write_atomic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

RESERVED_BYTES = 2**15


class Document:
    """``meta.json`` or ``writer.<writer>.json`` of a run in this process.

    Attributes:
        content: what the file says, or will say as soon as it can be written.
        unsaved: the file could not be written; ``save`` tries again.
    """

    def __init__(self, path: Path, content: dict[str, Any]) -> None:
        self.path = path
        self.content = content
        self.unsaved = False
        self._reserve: Path | None = None
        self._lock = threading.RLock()

    def update(self, changes: dict[str, Any], *, durable: bool = False) -> None:
        """Change some keys, in memory for certain and on disk if it can be written."""
        with self._lock:
            self.content = {**self.content, **changes}
            self.save(durable=durable)

    def save(self, *, durable: bool = False) -> bool:
        """Write the file; False (and one warning) when that is not possible now."""
        with self._lock:
            try:
                write_atomic(self.path, dumps(self.content), durable=durable)
            except OSError as error:
                if not self.unsaved:
                    warn(f"{self.path} cannot be written now ({error.strerror})")
                self.unsaved = True
                return False
            self.unsaved = False
            return True

    def move(self, folder: Path) -> None:
        """The run's folder has another name now."""
        with self._lock:
            self.path = folder / self.path.name
            if self._reserve is not None:
                self._reserve = folder / RESERVE

    def set_space_aside(self) -> None:
        """Take some disk space now, so that the ending can be written even if the disk is full by then.

        Raises:
            OSError: the folder cannot be written.
        """
        self._reserve = self.path.with_name(RESERVE)
        self._reserve.write_bytes(bytes(RESERVED_BYTES))

    def end(self, changes: dict[str, Any], *, durable: bool) -> None:
        """The last update; it may use the space set aside."""
        with self._lock:
            self.content = {**self.content, **changes}
            saved = self.save(durable=durable)
            if self._reserve is not None:
                with suppress(OSError):
                    self._reserve.unlink(missing_ok=True)
            if not saved and not self.save(durable=durable):
                warn(f"{self.path} could not be written: how the run ended is not recorded")
