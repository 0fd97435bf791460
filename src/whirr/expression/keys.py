"""Which keys there are to write into an expression."""

from __future__ import annotations

from typing import Any, NamedTuple

from whirr.where import FIELDS


class Key(NamedTuple):
    """A key that runs have.

    Attributes:
        key: as it is written, but for quotes.
        runs: how many have it.
        values: the different values, where they are few.
        lo: the smallest finite number; None: there is none.
        hi: the largest.
    """

    key: str
    runs: int
    values: tuple[Any, ...] = ()
    lo: float | None = None
    hi: float | None = None


class Keys(NamedTuple):
    """All keys that runs have, and all their tags; each sorted."""

    fields: tuple[str, ...] = (*FIELDS, "tag")
    metrics: tuple[Key, ...] = ()
    summary: tuple[Key, ...] = ()
    config: tuple[Key, ...] = ()
    tags: tuple[str, ...] = ()
