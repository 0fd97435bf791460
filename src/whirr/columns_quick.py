"""The quick road of ``read_columns``: a whole file by DuckDB, and the proof that it gave what there is.

Told the names, DuckDB reads lines faster than anything else, but it silently leaves out other names, takes
the first of two equal ones, makes numbers of texts, and allows trailing commas and NaN. So the double
quotes and commas of the file are counted, which takes a tenth of the time: every name and every text has
two quotes, and all but the first name of a record a comma. The sums over the cells that DuckDB gave agree
only when these are all there are. Any doubt, and any error, gives None, and the exact road is taken.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import orjson

from whirr.columns import Block, Column
from whirr.encode import INDEX, NON_FINITE, TIMESTAMP

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLES, SAMPLE_BYTES = 128, 2**13
LONGEST_LINE = 2**20
CACHED_BYTES = 2**18
MOST_SPELLINGS = 64
MOST_EXACT = 2.0**53
NON_FINITE_WORDS = ("nan", "inf", "-inf")
TEXTS = frozenset((TIMESTAMP, NON_FINITE))
# orjson writes no fraction where it is zero
STAMPS = "['%Y-%m-%dT%H:%M:%S.%fZ', '%Y-%m-%dT%H:%M:%SZ']"

Cells = dict[str, Any]
"""The arrays that DuckDB gives by name; masked ones where a cell is null."""


def read_whole(handle: int, size: int, *, torn: bool) -> Block | None:
    """The first ``size`` bytes of an open file, or None when anything about them is in doubt.

    Args:
        torn: the file goes on with the start of a line.
    """
    names = _names(handle, size)
    if names is None:
        return None
    quotes, commas, newlines = _count(handle, size, b'",\n')
    lines = newlines + (os.pread(handle, 1, size - 1) != b"\n")
    cells = _query(handle, names, lines, torn)
    if cells is None or list(cells) != names or not _is_plain(cells):
        return None
    cells[INDEX] = cells[INDEX].astype(np.int64)
    rows = len(cells[INDEX])
    columns = {name: _column(array) for name, array in cells.items() if name != NON_FINITE}
    spelled = _spellings(cells.get(NON_FINITE))
    if spelled is None or not all(_put(columns, words, chosen) for words, chosen in spelled):
        return None
    given = sum(rows - int(np.count_nonzero(np.ma.getmask(array))) for array in cells.values())
    named = sum(len(words) * len(chosen) for words, chosen in spelled)
    nested = sum(len(chosen) for _, chosen in spelled)
    # A moment is a text; a non-finite float is the name of a null, another name and a text.
    if (quotes, commas) != (2 * (given + rows + 3 * named), given - rows + 2 * named - nested):
        return None
    return Block(rows, columns)


def _names(handle: int, size: int) -> list[str] | None:
    """The names in a sample of the records; None where it has a line that is none."""
    names: dict[str, None] = dict.fromkeys((INDEX, TIMESTAMP))
    for line in _sample(handle, size):
        record = _loads(line)
        if record is None:
            return None
        if not record.keys() <= names.keys():
            names |= dict.fromkeys(record)
    return list(names)


def _loads(text: bytes | str) -> dict[str, Any] | None:
    try:
        record = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return record if type(record) is dict else None


def _sample(handle: int, size: int) -> Iterator[bytes]:
    """Whole lines from all over the file, its first and last among them."""
    first = os.pread(handle, min(size, LONGEST_LINE), 0).partition(b"\n")[0]
    yield first
    window = max(SAMPLE_BYTES, 4 * len(first))
    for share in range(SAMPLES):
        start = max(size - window, 0) * share // (SAMPLES - 1)
        yield from os.pread(handle, min(window, size - start), start).split(b"\n")[1:-1]


def _query(handle: int, names: list[str], lines: int, torn: bool) -> Cells | None:
    kinds = ", ".join(f"{_quoted(name)}: '{'VARCHAR' if name in TEXTS else 'DOUBLE'}'" for name in names)
    query = f"""
        select * replace (strptime({TIMESTAMP}, {STAMPS}) as {TIMESTAMP})
        from read_json('/proc/self/fd/{handle}', format = 'newline_delimited', auto_detect = false,
                       hive_partitioning = false, ignore_errors = {torn}, columns = {{{kinds}}})"""
    try:
        with duckdb.connect() as connection:
            cells: Cells = connection.execute(query).fetchnumpy()
    except (duckdb.Error, ValueError):
        return None
    # Not what was written since, nor the record of nulls that a torn line makes.
    return {name: array[:lines] for name, array in cells.items()}


def _quoted(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"


def _is_plain(cells: Cells) -> bool:
    """Whether every record has a number and a moment, and no number is one that JSON does not know."""
    if np.ma.is_masked(cells[INDEX]) or np.ma.is_masked(cells[TIMESTAMP]):
        return False
    index = np.asarray(cells[INDEX])
    if np.any(np.abs(index) > MOST_EXACT) or np.any(index != np.rint(index)):
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        sums = [array.sum() for name, array in cells.items() if name not in TEXTS]
    return all(value is np.ma.masked or np.isfinite(value) for value in sums)


def _column(array: NDArray[Any]) -> Column:
    if not np.ma.is_masked(array):
        return Column(np.asarray(array))
    return Column(np.ma.filled(array, np.nan), ~np.ma.getmaskarray(array))


def _spellings(texts: NDArray[Any] | None) -> list[tuple[dict[str, Any], NDArray[np.intp]]] | None:
    """Which non-finite floats were logged in which records; None when there is doubt."""
    if texts is None:
        return []
    rows = np.flatnonzero(~np.ma.getmaskarray(texts))
    spelled = np.asarray(texts)[rows]
    different = set(spelled.tolist())
    if len(different) > MOST_SPELLINGS:
        return None
    found = [(_loads(text), rows[spelled == text]) for text in different]
    plain = [(words, chosen) for words, chosen in found if words is not None]
    return plain if len(plain) == len(found) else None


def _put(columns: dict[str, Column], words: dict[str, Any], rows: NDArray[np.intp]) -> bool:
    for name, word in words.items():
        column = columns.get(name)
        if word not in NON_FINITE_WORDS or column is None or column.present is None:
            return False
        if column.present[rows].any():
            return False
        column.values[rows] = float(word)
        column.present[rows] = True
    return True


def _count(handle: int, size: int, wanted: bytes) -> list[int]:
    """How often each of some bytes occurs; by numpy, in pieces that stay in the processor's cache."""
    buffer = bytearray(CACHED_BYTES)
    counts = [0] * len(wanted)
    for start in range(0, size, CACHED_BYTES):
        read = os.preadv(handle, [memoryview(buffer)[: size - start]], start)
        piece = np.frombuffer(buffer, np.uint8, read)
        for place, byte in enumerate(wanted):
            counts[place] += int(np.count_nonzero(piece == byte))
    return counts
