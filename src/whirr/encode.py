"""One metrics record as one line of strict JSON.

Values are scalars: Python, numpy, torch and jax numbers, bools, texts and None. Nested mappings become
``a/b``, short sequences ``name/0``, ``name/1``... JSON has no NaN and no infinity: such a float is ``null``
in place, and its spelling stands under ``_nonfinite``, so that other JSON readers see a missing number.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from datetime import datetime
from enum import Enum

import orjson

from whirr.errors import NotAMapping, let_through, warn
from whirr.values import DEEPEST, scalar, show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z
INDEX, TIMESTAMP, STEP, NON_FINITE = "_idx", "_timestamp", "step", "_nonfinite"
RESERVED = frozenset((INDEX, TIMESTAMP, STEP, NON_FINITE))
USER_PREFIX = "user/"
"""A metric whose name is taken (``_idx``, ``_timestamp``, ``_nonfinite``, ``step``) is kept under this prefix."""

LONGEST_SEQUENCE = 64


class Encoder:
    """The slow road of ``log()``: everything that is not a flat mapping of plain numbers.

    Remembers which names it has warned about, so that one bad value costs one warning, not one a step.
    """

    def __init__(self) -> None:
        self._warned: set[str] = set()

    def encode(self, index: int, moment: datetime, metrics: Mapping[str, Any], step: Any) -> bytes:
        """The line of a record; a value that cannot be kept costs its key and one warning.

        Raises:
            NotAMapping: ``metrics`` has no names.
        """
        if not hasattr(metrics, "keys"):
            raise NotAMapping(
                f"log() takes a mapping of names to values, not {type(metrics).__name__}",
                hint='write run.log({"loss": loss}, step=step)',
            )
        flat: dict[str, Any] = {}
        self._flatten(flat, "", metrics, ())
        return self._line(index, moment, flat, self._step(flat, step))

    def _line(self, index: int, moment: datetime, flat: dict[str, Any], step: Any) -> bytes:
        record: dict[str, Any] = {INDEX: index, TIMESTAMP: moment}
        if step is not None:
            record[STEP] = step
        non_finite = {}
        for name, value in flat.items():
            free = _free(name, {*RESERVED, *record}) if name in RESERVED or name in record else name
            if isinstance(value, float) and not math.isfinite(value):
                non_finite[free] = str(value)
                value = None
            record[free] = value
        if non_finite:
            record[NON_FINITE] = non_finite
        return orjson.dumps(record, option=OPTIONS)

    def _step(self, flat: dict[str, Any], step: Any) -> Any:
        """The record's step: the argument, or without one a number logged under the name ``step``."""
        if step is None:
            return flat.pop(STEP) if _is_number(flat.get(STEP)) else None
        try:
            number = _value(step)
        except Exception as error:
            let_through(error)
            number = None
        if _is_number(number):
            return number
        self._complain(STEP, f"step={show(step):.60} is not a finite number; the record is kept without a step")
        return None

    def _flatten(self, flat: dict[str, Any], prefix: str, metrics: Any, above: tuple[int, ...]) -> None:
        for key in list(metrics.keys()):  # asked for: a pandas Series iterates over its values
            name = prefix + _name(key)
            try:
                self._add(flat, name, metrics[key], above)
            except Exception as error:
                let_through(error)
                self._complain(name, f"metric {name!r} is not kept: {_reason(error)}")

    def _add(self, flat: dict[str, Any], name: str, value: Any, above: tuple[int, ...]) -> None:
        if id(value) in above or len(above) > DEEPEST:
            raise TypeError("it is nested too deeply")
        parts = value if isinstance(value, Mapping) else _sequence(value)
        if parts is None:
            flat[_free(name, flat)] = _value(value)
        else:
            self._flatten(flat, f"{name}/", parts, (*above, id(value)))

    def _complain(self, name: str, text: str) -> None:
        if name not in self._warned:
            self._warned.add(name)
            warn(text)


def _name(key: Any) -> str:
    try:
        text = str(key)
    except Exception as error:
        let_through(error)
        text = show(key)
    return text.encode("utf-8", "backslashreplace").decode()


def _free(name: str, taken: Container[str]) -> str:
    while name in taken:
        name = USER_PREFIX + name
    return name


def _reason(error: Exception) -> str:
    try:
        return " ".join(str(error).split())
    except Exception as unspeakable:
        let_through(unspeakable)
        return type(error).__name__


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _sequence(value: Any) -> dict[int, Any] | None:
    """The items of a short list, tuple or array by position; None for a single value."""
    if not isinstance(value, list | tuple):
        if not getattr(value, "shape", None) or math.prod(value.shape) == 1:
            return None
        if math.prod(value.shape) <= LONGEST_SEQUENCE:
            value = value.tolist()
    if not isinstance(value, list | tuple) or len(value) > LONGEST_SEQUENCE:
        raise TypeError(f"it has more than {LONGEST_SEQUENCE} values; save large arrays with save_artifact()")
    return dict(enumerate(value))


def _value(value: Any) -> bool | int | float | str | None:
    if isinstance(value, Enum):
        value = value.value
    if value is None or isinstance(value, bool):
        return value
    if type(value) not in (int, float, str):
        value = scalar_or_text(value)
    if isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        # JSON readers disagree about longer integers; a float keeps the magnitude.
        return int(value) if -(2**63) <= value < 2**64 else float(value)
    return str(value).encode("utf-8", "backslashreplace").decode()


def scalar_or_text(value: Any) -> Any:
    """The single Python value in ``value``; texts and ints of a subclass as themselves."""
    return value if isinstance(value, str | int) else scalar(value)
