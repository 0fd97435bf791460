"""Which columns a table of runs shows when nobody has chosen any."""

from __future__ import annotations

import re
from collections.abc import Iterator

from whirr.runtable.keys import name_of
from whirr.runtable.rows import Rows
from whirr.runtable.sources import Source

MOST, MOST_RESULTS = 6, 3
HELD_OUT = re.compile(r"(^|[^a-z])(val|valid|validation|eval|test|dev)([^a-z]|$)", re.IGNORECASE)
QUALITIES = ("acc", "f1", "auc", "map", "score", "reward", "bleu", "perplexity", "ppl", "loss", "error")
TUNED = ("lr", "learning_rate", "optimizer", "optim", "model", "arch", "weight_decay", "batch_size", "batch", "dropout")
LAST = ("seed",)


def proposed(rows: Rows) -> Iterator[str]:
    """Keys in which the runs differ, or that the only run has: results first, then the configuration.

    Results on held out data come before others.
    """
    results = _ranked(rows, ("summary", "metrics"))
    settings = _ranked(rows, ("config",))
    first = results[: max(MOST_RESULTS, MOST - len(settings))]
    yield from (*first, *settings[: MOST - len(first)])


def _ranked(rows: Rows, rooms: tuple[str, ...]) -> list[str]:
    """The keys of some rooms that vary, the most telling first."""
    found: dict[str, tuple[float, int, int, str]] = {}
    for source in rows.known():
        column = rows.peek(source) if source.room in rooms else None
        if column is not None and (len(rows.order) == 1 or column.varies(rows.order)):
            name = name_of(rows, source)
            if not name.startswith(f"{source.room}."):  # what is hidden behind another key of that name is no column
                found[name] = (*_rank(source), -rows.count(source), name)
    return sorted(found, key=found.__getitem__)


def _rank(source: Source) -> tuple[float, int]:
    """Smaller for what tells more, by the name of a key."""
    name = source.path[-1].lower()
    if source.room == "config":
        return len(source.path) + 10 * (name in LAST), TUNED.index(name) if name in TUNED else len(TUNED)
    quality = next((place for place, word in enumerate(QUALITIES) if word in name), len(QUALITIES))
    return not HELD_OUT.search(name), quality
