"""A metrics file that was cut anywhere, or got garbage inside, gives every intact record."""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import whirr
from whirr.metrics import MetricsWriter

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
VALUES = st.floats() | st.integers(-(2**40), 2**40) | st.text(max_size=6) | st.booleans() | st.none()
RECORDS = st.lists(st.dictionaries(NAMES, VALUES, max_size=4), min_size=1, max_size=6)


def written(folder: str, records: list[dict[str, Any]]) -> Path:
    path = Path(folder) / "metrics.jsonl"
    writer = MetricsWriter(str(path))
    for step, record in enumerate(records):
        writer.append(record, step)
    writer.close()
    return path


def lines_within(data: bytes, cut: int) -> int:
    """How many lines of `data` are whole in its first `cut` bytes; the last one needs no newline."""
    ends = [position for position, byte in enumerate(data) if byte == 0x0A]
    return sum(end <= cut for end in ends)


def comparable(records: list[dict[str, Any]]) -> list[str]:
    return [repr(record) for record in records]  # NaN is equal to nothing, but is always written alike


@settings(max_examples=20)
@given(RECORDS)
def test_cut_at_every_byte(records: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = written(folder, records)
        data = path.read_bytes()
        whole = comparable(whirr.read_metrics(path))
        assert len(whole) == len(records)
        for cut in range(len(data), -1, -1):
            os.truncate(path, cut)
            assert comparable(whirr.read_metrics(path)) == whole[: lines_within(data, cut)]


@given(RECORDS, st.integers(0, 10**6))
def test_a_writer_goes_on_after_any_cut(records: list[dict[str, Any]], where: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = written(folder, records)
        data = path.read_bytes()
        cut = where % (len(data) + 1)
        kept = comparable(whirr.read_metrics(path))[: lines_within(data, cut)]
        path.write_bytes(data[:cut])
        writer = MetricsWriter(str(path))
        writer.append({"after": 1})
        writer.close()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", whirr.WhirrWarning)
            found = whirr.read_metrics(path)
        assert comparable(found[:-1]) == kept
        assert found[-1]["after"] == 1
        indices = [record["_idx"] for record in found]
        assert indices == sorted(set(indices))


GARBAGE = st.binary(min_size=1, max_size=20).filter(lambda noise: b"\n" not in noise and noise.strip() != b"")


@given(RECORDS, GARBAGE, st.integers(0, 10**6))
def test_a_garbage_line_costs_itself_only(records: list[dict[str, Any]], noise: bytes, where: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = written(folder, records)
        whole = comparable(whirr.read_metrics(path))
        lines = path.read_bytes().split(b"\n")
        lines.insert(where % len(lines), noise)
        path.write_bytes(b"\n".join(lines))
        try:
            is_record = isinstance(json.loads(noise), dict)
        except ValueError:
            is_record = False
        if is_record:
            return
        with pytest.warns(whirr.WhirrWarning, match="1 line"):
            assert comparable(whirr.read_metrics(path)) == whole


def test_a_block_of_zeros_as_a_power_cut_leaves(tmp_path: Path) -> None:
    path = written(str(tmp_path), [{"loss": 0.5}, {"loss": 0.25}])
    with path.open("ab") as file:
        file.write(bytes(4096))
    assert [record["loss"] for record in whirr.read_metrics(path)] == [0.5, 0.25]
    writer = MetricsWriter(str(path))
    writer.append({"loss": 0.125})
    writer.close()
    with pytest.warns(whirr.WhirrWarning, match="1 line"):
        assert [record["loss"] for record in whirr.read_metrics(path)] == [0.5, 0.25, 0.125]
