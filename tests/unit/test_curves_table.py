"""Lines as tables: the quick road gives what the exact one gives, and what is no number is left out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from curve_runs import START, line, values

from whirr import clock
from whirr.curves.table import Table, join, parse, seconds

ALIKE = [line(index, index, index / 2, a=index * 1.5, b=-index) for index in range(4)]
STAMP = b'"_timestamp":"2026-11-23T12:00:00.000000Z"'


def as_dict(table: Table) -> dict[str, list[tuple[Any, ...]]]:
    """By metric: row, step, time, place and value of each record."""
    found = {}
    for name, column in table.columns.items():
        group = table.groups[column.group]
        found[name] = [tuple(map(str, row)) for row in zip(*(part.tolist() for part in (*group, column.values)))]  # noqa: B905
    return found


@pytest.mark.parametrize(
    "odd",
    [
        b'{"_idx":9,"_timestamp":"2026-11-23T12:00:00.000000Z","step":9,"a":null,"b":1}\n',
        b'{"_idx":9,"_timestamp":"2026-11-23T12:00:00.000000Z","step":9,"a":"1.5","b":1}\n',
        b'{"_idx":9,"_timestamp":"2026-11-23T12:00:00.000000Z","step":9,"a":[1],"b":1}\n',
        b'{"_idx":9,"_timestamp":"2026-11-23T12:00:00.000000Z","step":9,"a":1,"b":{"c":1}}\n',
        b'{"_idx":9,"_timestamp":"2026-11-23T12:00:00.000000Z","step":9,"a":1,"c":1}\n',
        b'{"_idx":9,"_timestamp":"2026-11-23T12:00:00.000000Z","step":9,"a":1,"b":1,"c":2}\n',
        b'{"_idx":9,"_timestamp":"2026-11-23T12:00:00.000000Z","step":9,"a":1}\n',
        b'{"_idx":9,"_timestamp":17,"step":9,"a":1,"b":"1"}\n',
        b'{"_idx":9,"_timestamp":17,"step":9,"a":1,"b":1}\n',
        b'{"_idx":9,"_timestamp":"yesterday","step":9,"a":1,"b":1}\n',
        b'{"_idx":9,"_timestamp":"2026-11-23T12:00:00Z","step":9,"a":true,"b":1}\n',
        b'{"_idx":9,"_timestamp":"2026-11-23T12:00:00.000000Z","step":9,"a":1,"a":2,"b":1}\n',
        b'{"_idx":9,"_timestamp":"2026-11-23T12:00:00.000000Z","step":9,"a":null,"b":1,"_nonfinite":{"a":"nan"}}\n',
        b'{"_idx":9,"_timestamp":"2026-11-23T12:00:00.000000Z","step":null,"a":1,"b":1}\n',
        b'{"_idx":9,"_timestamp":"2026-11-23T12:00:00.000000Z","step":9,\n"a":1,"b":1}\n',
        b'{"_idx":9,"_timestamp":"2026-11-23T12:00:00.000000Z"},{"step":9,"a":1,"b":1}\n',
        b'{"_idx":9,"_timestamp":"2026-11-23T12:00:00.000000Z","step":9,"a":1,"b":1\n',
        b'{"_idx":9,"_timestamp":"2026-11-23T12:00:00.000000Z","step":9,"a":18446744073709551615,"b":1e400}\n',
        b"\n",
        b"\xff\n",
        b"[1,2]\n",
    ],
)
def test_one_odd_line_among_others_changes_nothing_for_them(odd: bytes) -> None:
    block = b"".join([*ALIKE[:2], odd, *ALIKE[2:]])
    table = parse(block[:-1], 0)
    for name in ("a", "b", "c"):
        column = table.columns.get(name)
        told = [] if column is None else column.values.tolist()
        assert repr(told) == repr([value.y for value in values(block, name)])


def test_lines_at_once_are_the_lines_one_by_one() -> None:
    lines = [*ALIKE, line(4, 4, 2.0, c=math.nan), line(5, None, None, a=1, text="x"), *ALIKE, line(6, 9, 1.0, b=2)]
    whole = parse(b"".join(lines)[:-1], 0)
    assert as_dict(join(parse(one[:-1], number) for number, one in enumerate(lines))) == as_dict(whole)
    assert (whole.rows, set(whole.columns)) == (len(lines), {"a", "b", "c"})


def test_metrics_of_the_same_records_share_a_group() -> None:
    lines = [line(index, index, 0.0, a=1, b=2, **({"c": 3} if index % 10 == 0 else {})) for index in range(100)]
    table = parse(b"".join(lines)[:-1], 0)
    assert table.columns["a"].group == table.columns["b"].group != table.columns["c"].group
    assert table.groups[table.columns["c"].group].rows.tolist() == list(range(0, 100, 10))


def test_records_without_an_index_are_numbered_by_their_place_in_the_file() -> None:
    block = b"{" + STAMP + b',"a":1,"b":2}\n{' + STAMP + b',"a":1,"b":2}'
    assert parse(block, 7).groups[0].place.tolist() == [7, 8]


@pytest.mark.parametrize(
    "odd",
    [
        "2026-11-23T12:00:00.00+01Z",
        "2026-11-23T12:00:00.12345ZZ",
        "2026-02-30T12:00:00.000000Z",
        "2026-11-23 12:00:00.000000Z",
        "٢٠٢٦-11-23T12:00:00.000000Z",
        "",
        None,
        17,
        "9999999999999999999999999999",
    ],
)
def test_stamps_mean_the_same_among_others_and_alone(odd: Any) -> None:
    try:
        right = clock.epoch(odd)
    except (TypeError, ValueError):
        right = math.nan
    found = seconds([START, odd, START])
    np.testing.assert_array_equal(found, [clock.epoch(START), right, clock.epoch(START)])
    np.testing.assert_array_equal(seconds([odd, odd]), [right, right])
