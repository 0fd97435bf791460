"""``metrics.jsonl`` read by columns: one numpy array a metric, for files of millions of records.

A large file takes the quick road (``columns_quick``: DuckDB, then a proof that nothing was dropped) and,
where that is in doubt, the exact road: the decoder of ``read_metrics``, a block of lines at a time. Both
give the values that ``read_metrics`` gives.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from whirr.encode import INDEX, STEP, TIMESTAMP
from whirr.errors import MissingExtra, how_to_install, warn
from whirr.folder import METRICS, decode, further_writers

try:
    import numpy as np
except ModuleNotFoundError:
    raise MissingExtra("read_columns() needs numpy", hint=how_to_install("columns")) from None

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK_BYTES = 8 * 2**20
QUICK_FROM_BYTES = 2**20
"""Below this size importing DuckDB takes longer than reading without it."""
QUICK_TAIL_BYTES = 2**20

NUMBERS = frozenset((int, float, bool, type(None)))
ALWAYS = (INDEX, TIMESTAMP, STEP)
NO_INDEX = -1
MICROSECONDS = np.dtype("datetime64[us]")
SHORTEST_STAMP = len("2026-11-23T12:48:00Z")


class Column(NamedTuple):
    """One metric in a block.

    Attributes:
        values: one a record.
        present: which records have it; None when all do.
    """

    values: NDArray[Any]
    present: NDArray[np.bool_] | None = None


class Block(NamedTuple):
    """The records of some whole lines, by column.

    Attributes:
        rows: how many records.
        columns: by name; a name that no record has is left out.
        garbage: how many lines were no records.
    """

    rows: int
    columns: dict[str, Column]
    garbage: int = 0


def read_columns(
    path: Path | str, keys: Sequence[str] | None = None, *, masked: bool = False
) -> dict[str, NDArray[Any]]:
    """The records of a ``metrics.jsonl`` by column.

    The same records in the same order as ``read_metrics`` gives them: a missing or empty file has none, a
    torn last line is left out, garbage elsewhere is skipped and reported by one ``WhirrWarning``, and where
    several processes wrote into the run their records are merged by time.

    Args:
        path: the file, or the run folder it lies in.
        keys: the metrics wanted; default: all. A name that no record has gives a column of NaN.
        masked: give masked arrays (``numpy.ma``) whose mask is true where a record lacks the metric, which
            tells that apart from a logged NaN or None.

    Returns:
        Arrays of one length, the number of records, by name: ``_idx`` (int64), ``_timestamp``
        (datetime64[us], UTC), ``step`` and the metrics (float64; bools are 1.0 and 0.0; NaN where a record
        lacks the metric or None was logged). A metric that was ever a text is an array of objects: what was
        logged (an integer or bool may have become a float), None where a record lacks it. Integers beyond
        2**53 are rounded to the nearest float.

    Raises:
        MissingExtra: numpy is not installed.
        OSError: the file cannot be read.
    """
    columns = load(path, keys)
    return {name: _mask(column) if masked else column.values for name, column in columns.items()}


def load(
    path: Path | str,
    keys: Sequence[str] | None = None,
    *,
    block_bytes: int = BLOCK_BYTES,
    quick_from: int = QUICK_FROM_BYTES,
) -> dict[str, Column]:
    """``read_columns`` with the presence of values beside them, and with the sizes that choose the road."""
    file = Path(path)
    if file.is_dir():
        file = file / METRICS
    others = further_writers(file.parent) if file.name == METRICS else []
    writers = [_read_file(one, block_bytes, quick_from) for one in (file, *others)]
    blocks = [block for writer in writers for block in writer]
    names = _names(blocks) if keys is None else list(dict.fromkeys([*ALWAYS, *keys]))
    columns = {name: _join(blocks, name) for name in names}
    return _by_time(columns, [sum(block.rows for block in writer) for writer in writers]) if others else columns


def _names(blocks: list[Block]) -> list[str]:
    metrics = {name for block in blocks for name in block.columns}
    return [*ALWAYS, *sorted(metrics.difference(ALWAYS))]


def _mask(column: Column) -> NDArray[Any]:
    mask = False if column.present is None else ~column.present
    masked: NDArray[Any] = np.ma.MaskedArray(column.values, mask)
    return masked


def _by_time(columns: dict[str, Column], rows: list[int]) -> dict[str, Column]:
    # As numbers, of which NaT is the smallest: records without a stamp do not move. The latest moment up to
    # each counts: a clock that was set back must not shuffle a writer's records.
    writers = np.split(columns[TIMESTAMP].values.view(np.int64), np.cumsum(rows)[:-1])
    latest = np.concatenate([np.maximum.accumulate(moments) for moments in writers])
    order = np.argsort(latest, kind="stable")
    merged = {
        name: Column(values[order], None if present is None else present[order])
        for name, (values, present) in columns.items()
    }
    return {**merged, INDEX: Column(np.arange(len(order), dtype=np.int64))}


def _read_file(file: Path, block_bytes: int, quick_from: int) -> list[Block]:
    try:
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return []
    try:
        size = os.fstat(handle).st_size
        blocks = _quick(handle, size) if size >= quick_from else None
        if blocks is None:
            spans = _spans(handle, size, block_bytes)
            blocks = [block for start, end in spans for block in _read_lines(os.pread(handle, end - start, start))]
    finally:
        os.close(handle)
    if garbage := sum(block.garbage for block in blocks):
        warn(f"{file}: {garbage} line(s) are no records and were skipped")
    return blocks


def _quick(handle: int, size: int) -> list[Block] | None:
    """The file by the quick road; None where DuckDB is not installed or the file is not plain enough."""
    try:
        from whirr.columns_quick import read_whole
    except ModuleNotFoundError:
        return None
    tail = os.pread(handle, QUICK_TAIL_BYTES, max(size - QUICK_TAIL_BYTES, 0))
    rest = tail[tail.rfind(b"\n") + 1 :]
    torn = bool(rest) and not decode(rest)[0]
    block = read_whole(handle, size - len(rest) if torn else size, torn=torn)
    return None if block is None else [block]


def _spans(handle: int, size: int, block_bytes: int) -> Iterator[tuple[int, int]]:
    """The file cut after newlines, about every ``block_bytes``."""
    start = 0
    while start < size:
        end = min(start + block_bytes, size)
        while end < size:
            more = os.pread(handle, 2**16, end)
            newline = more.find(b"\n")
            end = min(end + (newline + 1 or len(more) or size), size)
            if newline >= 0:
                break
        yield start, end
        start = end


def _read_lines(data: bytes) -> list[Block]:
    end = data.rfind(b"\n") + 1
    block = _exact(*decode(data[: max(end - 1, 0)]))
    # Without its newline the rest is a whole record or a torn one.
    return [block, _exact(decode(data[end:])[0], 0)] if data[end:] else [block]


def _exact(records: list[dict[str, Any]], garbage: int) -> Block:
    names = dict.fromkeys(name for record in records for name in record)
    columns = {name: _column(records, name) for name in names}
    return Block(len(records), columns, garbage)


def _column(records: list[dict[str, Any]], name: str) -> Column:
    values = [record.get(name) for record in records]
    if name == INDEX:
        return Column(np.array([_index(value) for value in values], np.int64))
    kinds = set(map(type, values))
    present, none_logged = None, False
    if type(None) in kinds:
        present = np.fromiter((name in record for record in records), np.bool_, len(records))
        none_logged = values.count(None) > int(np.count_nonzero(~present))
    if name == TIMESTAMP:
        return Column(_moments(values, kinds), present)
    if kinds <= NUMBERS and not none_logged:
        return Column(np.array(values, np.float64), present)
    # A logged None stays one until it is known whether the column is one of numbers.
    return Column(np.fromiter(values, np.object_, len(values)), present)


def _index(value: Any) -> int:
    return int(value) if type(value) in (int, float) and abs(value) < 2**63 and value == int(value) else NO_INDEX


def _moments(values: list[Any], kinds: set[type]) -> NDArray[np.datetime64]:
    lengths = {len(value) for value in values} if kinds == {str} else set()
    if len(lengths) == 1 and all(value.endswith("Z") for value in values) and min(lengths) >= SHORTEST_STAMP:
        with suppress(ValueError):
            return np.array(values, f"S{min(lengths) - 1}").astype(MICROSECONDS)
    return np.array([_moment(value) for value in values], MICROSECONDS)


def _moment(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (TypeError, ValueError, OverflowError):
        return None


def _join(blocks: list[Block], name: str) -> Column:
    parts = [block.columns.get(name) or _absent(block.rows, name) for block in blocks]
    if not parts:
        return _absent(0, name)
    if len(parts) == 1 and parts[0].values.dtype != np.object_:
        return parts[0]
    objects = [part.values for part in parts if part.values.dtype == np.object_]
    if any(kind not in NUMBERS for values in objects for kind in set(map(type, values))):
        parts = [_as_objects(part) for part in parts]
    elif objects:
        parts = [Column(part.values.astype(np.float64), part.present) for part in parts]
    values = np.concatenate([part.values for part in parts])
    if all(part.present is None for part in parts):
        return Column(values)
    return Column(values, np.concatenate([_presence(part) for part in parts]))


def _presence(column: Column) -> NDArray[np.bool_]:
    return np.ones(len(column.values), np.bool_) if column.present is None else column.present


def _absent(rows: int, name: str) -> Column:
    none: NDArray[Any]
    if name == INDEX:
        none = np.full(rows, NO_INDEX, np.int64)
    elif name == TIMESTAMP:
        none = np.full(rows, "NaT", MICROSECONDS)
    else:
        none = np.full(rows, np.nan)
    return Column(none, np.zeros(rows, np.bool_))


def _as_objects(column: Column) -> Column:
    values = column.values.astype(np.object_)
    if column.present is not None:
        values[~column.present] = None
    return Column(values, column.present)
