"""What a run has logged, as rows or as arrays."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from whirr import clock
from whirr.encode import RESERVED, STEP, TIMESTAMP
from whirr.folder import read_metrics
from whirr.query.frames import Frame, Row

if TYPE_CHECKING:
    from numpy.ma import MaskedArray

    Array = MaskedArray[Any, Any]

COMPUTED = ("time", "relative")


class Wanted(NamedTuple):
    """What is wanted of each record, as in ``query.metrics``."""

    keys: list[str] | None
    x: str
    between: tuple[float | None, float | None]

    @property
    def names(self) -> list[str]:
        """The columns that there are in any case."""
        more = [self.x] if self.x != STEP else []
        return list(dict.fromkeys(["run", STEP, "timestamp", *more, *(self.keys or ())]))

    @property
    def low(self) -> float:
        """The smallest ``x``."""
        return -math.inf if self.between[0] is None else self.between[0]

    @property
    def high(self) -> float:
        """The largest ``x``."""
        return math.inf if self.between[1] is None else self.between[1]

    @property
    def bounded(self) -> bool:
        """Whether not every ``x`` is wanted."""
        return self.between != (None, None)


def points(run_id: str, folder: Path, wanted: Wanted, started: float | None, frame: Frame) -> Any:
    """The records of a run as a part of a table, or as rows.

    Args:
        started: when the run did, seconds since 1970, where that is wanted.
    """
    if frame.by_columns:
        return frame.part(_arrays(run_id, folder, wanted, started))
    rows = list(_rows(run_id, folder, wanted, started))
    if wanted.x != STEP:
        rows.sort(key=lambda row: _place(row.get(wanted.x)))
    return rows


def _place(value: Any) -> float:
    return value if isinstance(value, int | float) and value == value else math.inf


def _rows(run_id: str, folder: Path, wanted: Wanted, started: float | None) -> Iterator[Row]:
    for record in read_metrics(folder):
        moment = None
        with suppress(ValueError, TypeError, OverflowError):
            moment = clock.epoch(record[TIMESTAMP]) if TIMESTAMP in record else None
        computed = {} if moment is None else {"time": moment}
        if moment is not None and started is not None:
            computed["relative"] = moment - started
        x = computed.get(wanted.x) if wanted.x in COMPUTED else record.get(wanted.x)
        if wanted.bounded and not (isinstance(x, int | float) and wanted.low <= x <= wanted.high):
            continue
        names = [name for name in (record if wanted.keys is None else wanted.keys) if name in record]
        values = {name: record[name] for name in names if name not in RESERVED}
        if values:
            own = {"run": run_id, STEP: record.get(STEP), "timestamp": None if moment is None else clock.at(moment)}
            yield own | ({wanted.x: x} if wanted.x != STEP and x is not None else {}) | values


def _arrays(run_id: str, folder: Path, wanted: Wanted, started: float | None) -> dict[str, Array]:
    import numpy as np

    from whirr.columns import read_columns

    more = [wanted.x] if wanted.x not in (*COMPUTED, STEP) else []
    keys = None if wanted.keys is None else list(dict.fromkeys([*wanted.keys, *more]))
    read: dict[str, Any] = dict(read_columns(folder, keys, masked=True))
    stamps = read.pop(TIMESTAMP)
    metrics = {name: values for name, values in read.items() if name not in RESERVED}
    x = _x(wanted.x, read, stamps, started)
    kept = np.zeros(len(stamps), np.bool_)
    for name, values in metrics.items():
        if wanted.keys is None or name in wanted.keys:
            kept |= ~np.ma.getmaskarray(values)
    if wanted.bounded:
        kept &= ~np.ma.getmaskarray(x) & (x.data >= wanted.low) & (x.data <= wanted.high)
    order = np.flatnonzero(kept)
    if wanted.x != STEP:
        order = order[np.argsort(np.where(np.ma.getmaskarray(x)[order], np.inf, x.data[order]), kind="stable")]
    run = np.ma.MaskedArray(np.full(len(stamps), run_id, object))
    columns = {"run": run, STEP: _whole(read[STEP]), "timestamp": stamps}
    columns |= {wanted.x: x} if wanted.x != STEP else {}
    taken = {name: values[order] for name, values in (columns | metrics | columns).items()}
    return {name: np.ma.MaskedArray(values.data, np.ma.getmaskarray(values)) for name, values in taken.items()}


def _x(name: str, read: dict[str, Array], stamps: Array, started: float | None) -> Array:
    """The values by which records are put in order, as floats."""
    import numpy as np

    if name not in COMPUTED:
        values = read[name]
        if values.dtype.kind != "O":
            return values
        numbers = [value if isinstance(value, int | float) else math.nan for value in values.filled(None)]
        found = np.array(numbers, np.float64)
        return np.ma.MaskedArray(found, np.isnan(found))
    missing = np.isnat(stamps.data) | np.ma.getmaskarray(stamps)
    seconds = np.where(missing, 0, stamps.data.view(np.int64)) / 1e6
    if name == "relative":
        seconds, missing = seconds - (started or 0.0), missing | (started is None)
    return np.ma.MaskedArray(seconds, missing)


def _whole(steps: Array) -> Array:
    """Steps as integers where all are."""
    import numpy as np

    numbers = steps.data
    if steps.dtype.kind != "f" or np.ma.getmaskarray(steps).any() or not (numbers == np.trunc(numbers)).all():
        return steps
    return np.ma.MaskedArray(numbers.astype(np.int64)) if (np.abs(numbers) < 2**53).all() else steps
