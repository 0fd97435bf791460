"""read_columns gives what read_metrics gives, whatever the file holds and by whichever road."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from whirr.columns import Column, load, read_columns
from whirr.columns_quick import read_whole
from whirr.encode import Encoder
from whirr.errors import WhirrWarning
from whirr.folder import read_metrics

START = datetime(2026, 11, 23, 12, 48, 0, 123456, tzinfo=UTC)
STAMP = "2026-11-23T12:48:00.000001Z"
RESERVED = ("_idx", "_timestamp", "step")
GARBAGE = [
    b"",
    b"  ",
    b"{",
    b"5",
    b"null",
    b"[1]",
    b"{}",
    b"\x00\x00",
    b"\xff\xfe",
    b'{"_idx":1}',
    b'{"loss":NaN}',
    b'{"_idx":1,"_timestamp":"' + STAMP.encode() + b'","loss":1,"loss":2}',
    b'{"_idx":1,"_timestamp":"' + STAMP.encode() + b'","loss":{"a":"b"}}',
    b'{"_idx":1,"_timestamp":"' + STAMP.encode() + b'","loss":1e400}',
    b'{"_idx":1,"_timestamp":"' + STAMP.encode() + b'","_nonfinite":5}',
    b'{"_idx":1,"_timestamp":"' + STAMP.encode() + b'"}{"_idx":2}',
    b'{"_idx":1,"_timestamp":5,"loss":1}',
    b'{"_idx":1,"_timestamp":"2026-11-23T12:48:00Z","loss":1}',
]

finite = st.floats(allow_nan=False, allow_infinity=False)
usual = st.one_of(st.just(0.5), finite)
rare = st.one_of(st.floats(), st.integers(-(2**70), 2**70), st.booleans(), st.none(), st.text(max_size=5))
names = st.one_of(st.sampled_from(["loss", "val/acc", "lr"]), st.text(max_size=4))


def records_of(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(st.dictionaries(names, values, max_size=4), min_size=1, max_size=30)


def line(index: int, metrics: dict[str, Any], step: int | None = None) -> bytes:
    return Encoder().encode(index, START + timedelta(milliseconds=index), metrics, step)


def write(path: Path, records: list[dict[str, Any]], first: int = 0) -> Path:
    path.write_bytes(b"".join(line(first + n, record, first + n) for n, record in enumerate(records)))
    return path


def assert_same(columns: dict[str, Column], records: list[dict[str, Any]]) -> None:
    assert set(columns) == {name for record in records for name in record} | set(RESERVED)
    for name, (values, present) in columns.items():
        assert len(values) == len(records)
        for row, record in enumerate(records):
            assert (present is None or present[row]) == (name in record) or name == "_idx"
            assert_same_value(name, values[row], record.get(name))


def assert_same_value(name: str, ours: Any, theirs: Any) -> None:
    if name == "_idx":
        assert ours == (-1 if theirs is None else theirs)
    elif name == "_timestamp":
        stamp = theirs.removesuffix("Z") if isinstance(theirs, str) else "NaT"
        assert ours == np.datetime64(stamp) or np.isnat(ours) == (stamp == "NaT")
    elif isinstance(theirs, str | dict):
        assert ours == theirs
        assert type(ours) is type(theirs)
    elif theirs is None:
        assert ours is None or math.isnan(ours)
    else:
        assert ours == float(theirs) or (math.isnan(theirs) and math.isnan(ours))


@pytest.mark.filterwarnings("ignore::whirr.errors.WhirrWarning")
@pytest.mark.parametrize("quick_from", [0, 2**60], ids=["quick", "exact"])
@pytest.mark.parametrize("block_bytes", [150, 2**20])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_same_as_the_dict_reader(tmp_path: Path, quick_from: int, block_bytes: int, data: st.DataObject) -> None:
    records = data.draw(st.one_of(records_of(usual), records_of(st.one_of(usual, usual, rare))))
    path = write(tmp_path / "metrics.jsonl", records)
    lines = path.read_bytes().splitlines(keepends=True)
    if garbage := data.draw(st.one_of(st.none(), st.sampled_from(GARBAGE))):
        lines.insert(data.draw(st.integers(0, len(lines))), garbage + b"\n")
    content = b"".join(lines)
    cut = data.draw(st.one_of(st.none(), st.integers(0, len(content))))
    path.write_bytes(content[:cut])
    columns = load(path, block_bytes=block_bytes, quick_from=quick_from)
    assert_same(columns, read_metrics(path))


def takes_the_quick_road(path: Path, records: list[dict[str, Any]], torn: bytes = b"") -> bool:
    size = write(path, records).stat().st_size
    with path.open("ab") as file:
        file.write(torn)
    with path.open("rb") as file:
        return read_whole(file.fileno(), size, torn=bool(torn)) is not None


USUAL: list[dict[str, Any]] = [{"loss": 0.5, "acc": 1}] * 20000


@pytest.mark.parametrize("others", [[], [{"loss": math.nan, "ok": True}] * 50, [{"val/loss": 0.1}], [{"it's": -0.0}]])
@pytest.mark.parametrize("torn", [b"", b'{"_idx', b'{"_idx":7,"_timestamp":"'])
def test_plain_diverged_and_torn_files_take_the_quick_road(
    tmp_path: Path, others: list[dict[str, Any]], torn: bytes
) -> None:
    assert takes_the_quick_road(tmp_path / "m.jsonl", USUAL + others, torn)


@pytest.mark.parametrize("later", [b"", b'{"_idx'], ids=["whole", "torn"])
def test_what_is_written_while_the_file_is_read_is_left_for_the_next_time(tmp_path: Path, later: bytes) -> None:
    path = write(tmp_path / "m.jsonl", USUAL)
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(line(20000, {"new": 1}) + later)
    with path.open("rb") as file:
        block = read_whole(file.fileno(), size, torn=bool(later))
    assert block is not None
    assert (block.rows, "new" in block.columns) == (20000, False)


@pytest.mark.parametrize(
    "other", [{"late": 1}, {"loss": "0.5"}, {"loss": "x"}, {"loss": None}, {'lo"ss': 1}, {"a,b": 1}, {"": 2}]
)
def test_any_doubt_leaves_the_quick_road(tmp_path: Path, other: dict[str, Any]) -> None:
    records = [*USUAL[:120], other, *USUAL]  # a place that is in no sample
    assert not takes_the_quick_road(tmp_path / "m.jsonl", records)


@pytest.mark.parametrize("garbage", [b"5", b"null", b"{", b'{"_idx":1,"_timestamp":"' + STAMP.encode() + b'",}'])
@pytest.mark.parametrize("torn", [b"", b'{"_idx'])
def test_garbage_leaves_the_quick_road(tmp_path: Path, garbage: bytes, torn: bytes) -> None:
    path = write(tmp_path / "m.jsonl", USUAL)
    lines = path.read_bytes().splitlines(keepends=True)
    content = b"".join([*lines[:77], garbage + b"\n", *lines[77:]])
    path.write_bytes(content + torn)
    with path.open("rb") as file:
        assert read_whole(file.fileno(), len(content), torn=bool(torn)) is None


def test_kinds_of_arrays(tmp_path: Path) -> None:
    path = write(tmp_path / "m.jsonl", [{"loss": 1, "ok": True}, {"phase": "test", "loss": math.inf}])
    columns = read_columns(path)
    assert list(columns) == ["_idx", "_timestamp", "step", "loss", "ok", "phase"]
    assert {name: values.dtype.str for name, values in columns.items()} == {
        "_idx": "<i8",
        "_timestamp": "<M8[us]",
        "step": "<f8",
        "loss": "<f8",
        "ok": "<f8",
        "phase": "|O",
    }
    assert columns["loss"].tolist() == [1.0, math.inf]
    assert columns["phase"].tolist() == [None, "test"]
    assert columns["_timestamp"].tolist() == [START.replace(tzinfo=None) + timedelta(milliseconds=n) for n in (0, 1)]
    columns["loss"][0] = 5  # the arrays are the caller's own


def test_masks_tell_absent_from_logged_nan(tmp_path: Path) -> None:
    path = write(tmp_path / "m.jsonl", [{"loss": math.nan}, {"other": 1}, {"loss": None}, {"loss": 1}])
    loss = read_columns(path, masked=True)["loss"]
    assert loss.mask.tolist() == [False, True, False, False]
    assert np.isnan(loss.data).tolist() == [True, True, True, False]


def test_keys_choose_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "m.jsonl", [{"loss": 1, "acc": 2}] * 3)
    columns = read_columns(path, ["acc", "nowhere"])
    assert list(columns) == [*RESERVED, "acc", "nowhere"]
    assert columns["acc"].tolist() == [2, 2, 2]
    assert np.isnan(columns["nowhere"]).tolist() == [True] * 3


def test_missing_and_empty_files_have_no_records(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    for name in ("empty.jsonl", "missing.jsonl"):
        columns = read_columns(tmp_path / name, ["loss"])
        assert {key: len(values) for key, values in columns.items()} == {
            **dict.fromkeys(RESERVED, 0),
            "loss": 0,
        }


def test_garbage_costs_one_warning(tmp_path: Path) -> None:
    path = write(tmp_path / "m.jsonl", [{"loss": 1}] * 3)
    path.write_bytes(b"garbage\n" + path.read_bytes() + b"5\n" + path.read_bytes() + b'{"torn')
    with pytest.warns(WhirrWarning, match=r"m\.jsonl: 2 line\(s\)") as caught:
        columns = read_columns(path)
    assert len(caught) == 1
    assert len(columns["_idx"]) == 6


@pytest.mark.parametrize("quick_from", [0, 2**60], ids=["quick", "exact"])
def test_further_writers_are_merged(tmp_path: Path, quick_from: int) -> None:
    path = write(tmp_path / "metrics.jsonl", [{"loss": n} for n in range(3)])
    clock_set_back = write(tmp_path / "later", [{"loss": n} for n in (3, 4)], first=-100).read_bytes()
    path.write_bytes(path.read_bytes() + clock_set_back)
    write(tmp_path / "metrics.rank1-aa.jsonl", [{"loss": n, "rank": 1} for n in range(5)], first=1)
    columns = load(tmp_path, quick_from=quick_from)
    assert_same(columns, read_metrics(tmp_path / "metrics.jsonl"))
    assert columns["_idx"].values.tolist() == list(range(10))
    assert len(load(tmp_path / "metrics.rank1-aa.jsonl")["_idx"].values) == 5
