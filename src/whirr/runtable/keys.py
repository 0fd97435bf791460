"""The keys that runs have, as they are offered to people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from whirr.expression.keys import Key, Keys
from whirr.runtable.column import Column
from whirr.runtable.rows import Rows
from whirr.runtable.sources import TAG, Source
from whirr.where import dotted

if TYPE_CHECKING:
    from whirr.runtable.column import Slots

FEW = 12
LONGEST = 80
"""Characters of a value that is offered."""


def keys_of(rows: Rows) -> Keys:
    """The keys, values and tags of all runs."""
    found: dict[str, list[Key]] = {"metrics": [], "summary": [], "config": []}
    for source in rows.known():
        if count := rows.count(source):
            found[source.room].append(_key(rows, source, count))
    metrics, summary, config = (tuple(sorted(keys, key=lambda key: key.key)) for keys in found.values())
    return Keys(metrics=metrics, summary=summary, config=config, tags=tuple(tags_of(rows)))


def all_keys(rows: Rows) -> Iterator[str]:
    """How each key is written."""
    return (name_of(rows, source) for source in rows.known())


def name_of(rows: Rows, source: Source) -> str:
    """The key that leads to a source; with its room before it where the bare one leads elsewhere first."""
    bare = dotted(source.path)
    return bare if rows.sources(bare)[:1] == [source] else f"{source.room}.{bare}"


def tags_of(rows: Rows) -> list[str]:
    """All tags of runs."""
    column = rows.built(Source("field", (TAG,)))
    return sorted({tag for tags in column.distinct(rows.order) for tag in tags})


def _key(rows: Rows, source: Source, count: int) -> Key:
    column = rows.peek(source)
    if column is None:
        return Key(name_of(rows, source), count)
    low, high = column.bounds(rows.order)
    values = _few(column, rows.order) if source.room == "config" else ()
    return Key(name_of(rows, source), count, values, low, high)


def _few(column: Column, slots: Slots) -> tuple[object, ...]:
    """The different values, where they are few and short."""
    if len(column.distinct(slots[:1000], FEW + 1)) > FEW:
        return ()
    values = column.distinct(slots, FEW + 1)
    texts = [value for value in values if isinstance(value, str | int | float | bool)]
    return tuple(texts) if len(values) <= FEW and all(len(str(text)) <= LONGEST for text in texts) else ()
