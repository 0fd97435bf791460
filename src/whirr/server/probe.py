"""Files by which a worker finds out whether it shares the server's disk; the folder itself says which there are."""

from __future__ import annotations

import os
import re
import secrets
import time
from pathlib import Path

from whirr.errors import not_written

PREFIX = ".probe-"
NAME = re.compile(re.escape(PREFIX) + "[0-9a-f]{16}")
LEFT_S = 600.0
"""A file that nobody took away goes after so long, when the next one is made."""


def make(root: Path) -> tuple[str, str]:
    """Put a file into the server's folder; its name and content.

    Raises:
        FolderError: the folder cannot be written.
    """
    name, content = f"{PREFIX}{os.urandom(8).hex()}", secrets.token_hex(16)
    try:
        for left in root.glob(f"{PREFIX}*"):
            if left.stat().st_mtime < time.time() - LEFT_S:
                left.unlink(missing_ok=True)
        (root / name).write_text(content)
    except OSError as error:
        raise not_written(root, error) from None
    return name, content


def remove(root: Path, name: str) -> int:
    """Take one away, whichever server made it; how many there were of that name."""
    try:
        if not NAME.fullmatch(name):
            return 0
        (root / name).unlink()
    except FileNotFoundError:
        return 0
    return 1
