"""Curves as the bytes of an answer: a header of JSON, then the numbers of each curve as columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from whirr.curves.cache import Curve
from whirr.curves.table import Numbers

VISIBLE = 1e-4
"""A share of what is drawn that is too small to see."""

LEAST = np.finfo(np.float32).tiny
"""Below this 32 bits lose digits, and then the value: on a logarithmic axis that is seen."""


class Sent(NamedTuple):
    """The numbers of a curve, as they are sent.

    Attributes:
        data: x and y, each padded to a multiple of 8 bytes.
        x0: what is to be added to x.
        x8: x is of 64 bits, and absolute.
        y8: y is of 64 bits.
    """

    data: bytes
    x0: float
    x8: bool
    y8: bool


def encode(metric: str, axis: str, curves: Sequence[tuple[str, Curve]], problems: Sequence[dict[str, str]]) -> bytes:
    """The answer.

    The length of the header (4 bytes, little endian), the header, padded with spaces so that the data begin at a
    multiple of 8, the data. For each curve ``n`` numbers x, then from the next multiple of 8 on ``n`` numbers y, all
    little endian: 32-bit floats, which are to be added to ``x0`` in x, or 64-bit floats where ``x8`` or ``y8`` is true.

    Args:
        metric: what they are of.
        axis: the one that was asked for.
        curves: by the id of the run.
        problems: ``run`` and ``message`` of runs that could not be read.
    """
    series: list[dict[str, Any]] = []
    parts: list[bytes] = []
    at = 0
    for run, curve in curves:
        sent = columns(curve.drawn.x, curve.drawn.y)
        series.append(_about(run, curve, sent, at))
        parts.append(sent.data)
        at += len(sent.data)
    head = orjson.dumps(
        {
            "metric": metric,
            "x": curves[0][1].axis if curves else axis,
            "total": sum(curve.drawn.total for _, curve in curves),
            "series": series,
            "problems": list(problems),
        }
    )
    head = head.ljust(len(head) + -(len(head) + 4) % 8)
    return b"".join((len(head).to_bytes(4, "little"), head, *parts))


def _about(run: str, curve: Curve, sent: Sent, at: int) -> dict[str, Any]:
    drawn = curve.drawn
    found = {
        "run": run,
        "n": len(drawn.x),
        "at": at,
        "x0": sent.x0,
        "total": drawn.total,
        "first": drawn.first,
        "last": drawn.last,
        "last_y": drawn.last_y,
        "min": drawn.low,
        "max": drawn.high,
        "nonfinite": drawn.nonfinite,
        "nonfinite_total": drawn.nonfinite_total,
        "restarts": drawn.restarts,
        "version": curve.version,
    }
    wide = {name: True for name, is_so in (("x8", sent.x8), ("y8", sent.y8)) if is_so}
    return {**found, **wide, **({"zero": curve.zero} if curve.axis == "relative" else {})}


def columns(x: Numbers, y: Numbers) -> Sent:
    """Points as columns, of 32 bits where nobody could see the difference."""
    x0 = float(x[0]) if len(x) else 0.0
    with np.errstate(over="ignore"):
        offsets = x - x0
    x8, y8 = not _narrow_enough(offsets), not _close_enough(y)
    parts = (x.astype("<f8") if x8 else offsets.astype("<f4")), y.astype("<f8" if y8 else "<f4", copy=False)
    return Sent(b"".join(map(_padded, parts)), x0, x8, y8)


def _padded(numbers: NDArray[Any]) -> bytes:
    data = numbers.tobytes()
    return data.ljust(-(-len(data) // 8) * 8, b"\0")


def _narrow_enough(offsets: Numbers) -> bool:
    """Whether 32 bits keep whole numbers as they are, and others apart where they are."""
    with np.errstate(over="ignore"):
        narrow = offsets.astype(np.float32)
    if not np.isfinite(narrow).all():
        return False
    if np.array_equal(narrow, offsets):
        return True
    whole = np.array_equal(offsets, np.rint(offsets))
    apart = np.array_equal(narrow[1:] > narrow[:-1], offsets[1:] > offsets[:-1])
    return not whole and apart


def _close_enough(y: Numbers) -> bool:
    """Whether 32 bits are near enough for a picture as high as the values reach, or of their powers of ten."""
    finite = y[np.isfinite(y)]
    if not len(finite):
        return True
    with np.errstate(over="ignore", under="ignore"):
        narrow = finite.astype(np.float32).astype(np.float64)
    if not np.isfinite(narrow).all():
        return False
    if ((finite != 0) & (np.abs(finite) < LEAST)).any():
        return False
    height = finite.max() / 2 - finite.min() / 2
    return bool(np.abs(narrow - finite).max() <= VISIBLE * height) or bool(height == 0)
