"""Files by which a worker finds out whether it shares the server's disk."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from whirr.errors import FolderError

PREFIX = ".probe-"
NAME = re.compile(re.escape(PREFIX) + "[0-9a-f]{16}")
MOST = 100


class Probes:
    """The files that are there now; one that nobody took away goes when there are too many."""

    def __init__(self) -> None:
        self._made: list[Path] = []

    def make(self, root: Path) -> tuple[str, str]:
        """Make one; its name and content.

        Raises:
            FolderError: the folder cannot be written.
        """
        name, content = f"{PREFIX}{os.urandom(8).hex()}", secrets.token_hex(16)
        try:
            (root / name).write_text(content)
        except OSError as error:
            raise FolderError(f"cannot write into {root}: {error.strerror}", hint="make room") from None
        self._made.append(root / name)
        while len(self._made) > MOST:
            self._made.pop(0).unlink(missing_ok=True)
        return name, content

    def remove(self, root: Path, name: str) -> int:
        """Take one away; how many there were of that name."""
        path = root / name
        if not NAME.fullmatch(name) or path not in self._made:
            return 0
        self._made.remove(path)
        path.unlink(missing_ok=True)
        return 1
