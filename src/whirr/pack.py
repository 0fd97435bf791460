"""Many small JSON records in one cache file: found by name at once, decoded only when looked at.

A cache may be deleted at any time, and an unreadable one is the same as none. Layout: the size of
the header (8 bytes, little endian), the header (JSON columns: names, signatures, order and
sizes), the body (the records one after the other).
"""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import orjson

from whirr.jsonio import write_atomic


class Packed(NamedTuple):
    """One record of a pack.

    Attributes:
        signature: what its sources looked like when it was made; another number means it is stale.
        order: text to sort by without decoding (the start of a run).
        data: the record as JSON.
    """

    signature: int
    order: str
    data: bytes | memoryview


def packed_json(record: object) -> bytes:
    """A record as JSON to be kept. What orjson gives lies in a buffer of 4 KiB: too much where there are many."""
    return bytes(memoryview(orjson.dumps(record)))


def read_pack(path: Path) -> dict[str, Packed]:
    """The records of a pack by name; empty when there is none or it is cut off.

    What a record holds is not looked at: whoever decodes it must be ready for damage.
    """
    try:
        whole = memoryview(path.read_bytes())
        start = 8 + int.from_bytes(whole[:8], "little")
        header = orjson.loads(whole[8:start])
        body = whole[start:]
        ends = list(accumulate(header["sizes"], initial=0))
        if ends[-1] != len(body):
            return {}
        records = map(body.__getitem__, map(slice, ends, ends[1:]))
        rows = map(Packed._make, zip(header["signatures"], header["order"], records, strict=True))
        return dict(zip(header["names"], rows, strict=True))
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def write_pack(path: Path, records: dict[str, Packed]) -> bool:
    """Replace a pack atomically (the last of several writers wins); False where it cannot be written."""
    header = orjson.dumps(
        {
            "names": list(records),
            "signatures": [record.signature for record in records.values()],
            "order": [record.order for record in records.values()],
            "sizes": [len(record.data) for record in records.values()],
        }
    )
    try:
        path.parent.mkdir(exist_ok=True)
        size = len(header).to_bytes(8, "little")
        write_atomic(path, b"".join((size, header, *(record.data for record in records.values()))))
    except OSError:
        return False
    return True
