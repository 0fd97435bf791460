"""As many points of a curve as a picture shows, such that no extreme is lost.

The range is cut into bins of equal width; of each its smallest and its largest value are kept, where they stand
(min-max, by ``tsdownsample``). Bins are told by ``Bins`` alone, so that a block of values that lies in one bin can
stand for itself by its two extremes: the points are then those that all values would give.
"""

from __future__ import annotations

from math import ceil, log2
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tsdownsample import MinMaxDownsampler

from whirr.curves.table import Numbers

FEWEST = 2
FARTHEST = 1e300
RUNGS = 4
"""A range that grows gets new bins so many times until it is twice as long."""

MIN_MAX: Any = MinMaxDownsampler()  # type: ignore[no-untyped-call]


class Bins(NamedTuple):
    """Bins of equal width.

    Attributes:
        first: where the first begins.
        last: where the last ends.
        many: how many, two at least.
    """

    first: float
    last: float
    many: int

    @classmethod
    def growing(cls, first: float, last: float, many: int) -> Bins:
        """Bins that reach so far beyond ``last`` that they stay the same while a run goes on for a while.

        Else each new value would move the edges of all bins, and the whole curve of a live run would flicker.
        """
        reach = last - first
        if not 0 < reach < FARTHEST:
            return cls(first, last, many)
        return cls(first, max(first + 2 ** (ceil(RUNGS * log2(reach)) / RUNGS), last), many)

    def of(self, x: Numbers) -> Numbers:
        """The numbers of the bins in which places lie; those outside belong to the first or the last."""
        # By halves, so that the width of the widest range is a number, too.
        width = self.last / 2 - self.first / 2
        if not width > 0:
            return np.zeros(len(x))
        shares = x / 2
        shares -= self.first / 2
        shares *= self.many / width if np.isfinite(self.many / width) else 0.0
        return np.clip(np.floor(shares, out=shares), 0, self.many - 1, out=shares)


def min_max(x: Numbers, y: Numbers, bins: Bins) -> NDArray[np.intp]:
    """Which points to keep: the smallest and the largest of each bin, the first and the last of all.

    Args:
        x: increasing.
        y: finite.
        bins: see there.

    Returns:
        Their numbers, increasing.
    """
    if len(x) <= FEWEST:
        return np.arange(len(x))
    numbers = bins.of(x)
    if numbers[0] == numbers[-1]:
        found = np.array([np.argmin(y), np.argmax(y)])
    else:
        # Renumbered from 0 without holes: then the library, which cuts into bins of equal width itself, cuts the same.
        dense = np.zeros(len(x))
        np.cumsum(numbers[1:] != numbers[:-1], out=dense[1:])
        found = MIN_MAX.downsample(dense, np.ascontiguousarray(y), n_out=2 * (int(dense[-1]) + 1))
    return np.unique(np.concatenate(([0], found.astype(np.intp), [len(x) - 1])))
