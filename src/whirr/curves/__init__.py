"""Curves to draw: the logged numbers of runs by column in a cache, and as many points of them as a picture shows.

``cache.CurveCache`` is the door. Each file of records has a store (``source``) of volumes (``volume``, ``packing``),
which hold the tables (``table``) that its lines come to. A curve is put together from the strands of a metric
(``strand``), one a file, and drawn (``drawing``), its points thinned (``downsample``) such that every extreme stays.
"""

from __future__ import annotations

from whirr.errors import MissingExtra, how_to_install

try:
    import numpy  # noqa: F401
    import tsdownsample  # noqa: F401
except ModuleNotFoundError:
    raise MissingExtra("curves need numpy and tsdownsample", hint=how_to_install("server")) from None
