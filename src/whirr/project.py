"""``whirr.toml``: what a project sets for all who work in it.

    [submit]
    snapshot = true                      # as if each submission had --snapshot
    include = ["data/vocabulary.txt"]    # as if each had --include; relative to this file
    untracked_mib = 200                  # so much of untracked files is recorded

It is looked for in the working folder and above, up to the top of the git work tree; outside of one only in the working
folder, since the folders above may be anybody's. What a command says itself wins. No server can be named there: to whom
code and tokens are sent is not for whoever wrote a repository to say.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from whirr.errors import UsageError

NAME = "whirr.toml"
TABLE = "submit"
MOST_MIB = 2**20


class Project(NamedTuple):
    """What a project sets.

    Attributes:
        snapshot: jobs run in a checkout of the submitted files.
        include: files that are recorded whatever their name and size, absolute.
        untracked_limit: bytes of untracked files that are recorded; None: not set.
    """

    snapshot: bool = False
    include: tuple[str, ...] = ()
    untracked_limit: int | None = None


class Key(NamedTuple):
    """What the value of a key may be, and how that is called."""

    admits: Callable[[Any], bool]
    words: str


KEYS = {
    "snapshot": Key(lambda value: isinstance(value, bool), "true or false"),
    "include": Key(
        lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value), "a list of texts"
    ),
    "untracked_mib": Key(
        lambda value: type(value) is int and 0 <= value <= MOST_MIB, f"a whole number from 0 to {MOST_MIB}"
    ),
}


def find_project(folder: Path) -> Project:
    """What is set for a folder.

    Raises:
        UsageError: the file cannot be understood.
    """
    start = Path(os.path.realpath(folder))
    places = (start, *start.parents)
    top = next((number for number, place in enumerate(places) if (place / ".git").exists()), 0)
    found = next((place / NAME for place in places[: top + 1] if (place / NAME).is_file()), None)
    return Project() if found is None else _read(found)


def _read(path: Path) -> Project:
    import tomllib

    try:
        with path.open("rb") as file:
            found = tomllib.load(file)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    for table, content in found.items():
        if table != TABLE or not isinstance(content, dict):
            raise UsageError(f"{path}: there is no table {table!r}", hint=f"all it may hold is in [{TABLE}]")
    submit: dict[str, Any] = found.get(TABLE, {})
    for name, value in submit.items():
        if name not in KEYS:
            raise UsageError(f"{path}: [{TABLE}] has no {name!r}", hint=f"it may have {', '.join(KEYS)}")
        if not KEYS[name].admits(value):
            raise UsageError(f"{path}: {name} in [{TABLE}] must be {KEYS[name].words}")
    untracked = submit.get("untracked_mib")
    return Project(
        snapshot=submit.get("snapshot", False),
        include=tuple(os.path.join(path.parent, name) for name in submit.get("include", ())),
        untracked_limit=None if untracked is None else untracked << 20,
    )
