"""Tables in the library that somebody wants them in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

from whirr.errors import MissingExtra, UsageError
from whirr.where import text_of

if TYPE_CHECKING:
    from numpy.ma import MaskedArray

Row = dict[str, Any]
Columns = Mapping[str, "MaskedArray[Any, Any]"]
FRAMES = ("pandas", "polars")


class Frame(Protocol):
    """Makes tables of one kind.

    Attributes:
        by_columns: whether ``part`` takes arrays, not rows.
    """

    by_columns: bool

    def table(self, rows: Sequence[Row], first: Sequence[str]) -> Any:
        """A table of rows; the columns ``first`` are there also where no row has them, and come first."""

    def part(self, columns: Columns) -> Any:
        """A table of arrays of one length."""

    def joined(self, parts: Sequence[Any], first: Sequence[str]) -> Any:
        """Parts, or lists of rows, one after the other."""


def chosen(frame: str | None) -> Frame:
    """What makes the tables.

    Args:
        frame: ``pandas``, ``polars``, ``auto`` (the first that is installed), or None.

    Raises:
        UsageError: there is no such kind.
        MissingExtra: the library is not installed.
    """
    if frame is None:
        return Plain()
    if frame not in ("auto", *FRAMES):
        raise UsageError(f"frame={frame!r} is no kind of table", hint='"pandas", "polars", "auto" or None')
    installed = [name for name in FRAMES if (frame in ("auto", name)) and find_spec(name)]
    if not installed:
        what, which = ("neither pandas nor polars", "polars") if frame == "auto" else (f"{frame} is not", frame)
        what = f"{what} is installed" if frame == "auto" else f"{what} installed"
        raise MissingExtra(what, hint=f"pip install {which}; or frame=None, which gives a list of dicts")
    library = import_module(installed[0])
    return Pandas(library) if installed[0] == "pandas" else Polars(library)


class Plain:
    """Lists of dicts."""

    by_columns = False

    def table(self, rows: Sequence[Row], first: Sequence[str]) -> list[Row]:
        """The rows as they are."""
        return list(rows)

    def part(self, columns: Columns) -> list[Row]:
        """The rows of arrays; what is masked is None."""
        rows = zip(*(values.tolist() for values in columns.values()), strict=True)
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def joined(self, parts: Sequence[Any], first: Sequence[str]) -> list[Row]:
        """The rows of all parts."""
        return [row for part in parts for row in part]


class Pandas:
    """``pandas.DataFrame``."""

    by_columns = True

    def __init__(self, library: Any) -> None:
        self._pd = library

    def table(self, rows: Sequence[Row], first: Sequence[str]) -> Any:
        """A frame of rows."""
        columns = _turned(rows, first)
        return self._pd.DataFrame({name: self._pd.Series(values) for name, values in columns.items()})

    def part(self, columns: Columns) -> Any:
        """A frame of arrays; what is masked is NaN, None or NaT."""
        found = {name: self._filled(values) for name, values in columns.items()}
        return self._pd.DataFrame(found)

    def _filled(self, values: Any) -> Any:
        if values.dtype.kind == "M":
            return self._pd.Series(_filled(values)).dt.tz_localize("UTC")
        return self._pd.Series(_filled(values), dtype=object) if values.dtype.kind == "O" else _filled(values)

    def joined(self, parts: Sequence[Any], first: Sequence[str]) -> Any:
        """The frames one below the other."""
        filled = [part for part in parts if len(part)]
        if not filled:
            return self._pd.DataFrame({name: [] for name in first})
        found = self._pd.concat(filled, ignore_index=True)
        return found[[*first, *(name for name in found.columns if name not in first)]]


class Polars:
    """``polars.DataFrame``."""

    def __init__(self, library: Any) -> None:
        self._pl = library
        self.by_columns = find_spec("numpy") is not None

    def table(self, rows: Sequence[Row], first: Sequence[str]) -> Any:
        """A frame of rows; a column of values of different kinds becomes one of texts."""
        columns = _turned(rows, first)
        return self._pl.DataFrame([self._series(name, values) for name, values in columns.items()])

    def _series(self, name: str, values: list[Any]) -> Any:
        kinds = {type(value) for value in values} - {type(None)}
        if kinds == {datetime}:
            return self._pl.Series(name, values, dtype=self._pl.Datetime("us", "UTC"))
        if kinds == {list} and all(isinstance(item, str) for value in values for item in value or ()):
            return self._pl.Series(name, values, dtype=self._pl.List(self._pl.String))
        if kinds == {int, float}:
            values = [value if value is None else float(value) for value in values]
        elif len(kinds) > 1 or kinds & {list, dict}:
            values = [value if value is None or isinstance(value, str) else text_of(value) for value in values]
        return self._pl.Series(name, values)

    def part(self, columns: Columns) -> Any:
        """A frame of arrays; what is masked is null."""
        return self._pl.DataFrame([self._of_array(name, values) for name, values in columns.items()])

    def _of_array(self, name: str, values: Any) -> Any:
        if values.dtype.kind == "O":
            return self._series(name, _filled(values).tolist())
        found = self._pl.Series(name, values.data)
        if values.dtype.kind == "M":
            found = found.dt.replace_time_zone("UTC")
        if values.mask.any():
            nothing = self._pl.Series([None] * len(values), dtype=found.dtype)
            found = found.zip_with(self._pl.Series(~values.mask), nothing)
        return found.alias(name)

    def joined(self, parts: Sequence[Any], first: Sequence[str]) -> Any:
        """The frames one below the other; where kinds differ, numbers become floats and all else texts."""
        if not self.by_columns:
            return self.table([row for part in parts for row in part], first)
        filled = [part for part in parts if len(part)]
        if not filled:
            return self._pl.DataFrame({name: [] for name in first})
        texts = {name for part in filled for name, kind in part.schema.items() if kind == self._pl.String}
        alike = [part.with_columns(self._pl.col([*texts & set(part.columns)]).cast(self._pl.String)) for part in filled]
        found = self._pl.concat(alike, how="diagonal_relaxed")
        return found.select([*first, *(name for name in found.columns if name not in first)])


def _filled(values: Any) -> Any:
    """An array with what its kind has for nothing in the masked places."""
    nothing = {"O": None, "f": float("nan"), "M": "NaT"}.get(values.dtype.kind)
    found = values.data.copy()
    if values.mask.any():
        found[values.mask] = nothing
    return found


def _turned(rows: Sequence[Row], first: Sequence[str]) -> dict[str, list[Any]]:
    """Rows as columns; the rest of them in the order in which they come, room by room."""
    names = dict.fromkeys(first)
    for row in rows:
        names |= dict.fromkeys(row)
    return {name: [row.get(name) for row in rows] for name in names}
