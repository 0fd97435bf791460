"""Whatever JSON stands in the files of a run, every reader of the listing gives an answer."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from whirr.catalog import RunQuery
from whirr.cli.common import status_words
from whirr.cli.report import report
from whirr.cli.screen import Screen
from whirr.localruns import LocalRuns
from whirr.records import KINDS
from whirr.where import FIELDS, Selection, lookup, parse_condition, sort_by

INNER = (
    *("message", "kind", "type", "traceback", "commit", "branch", "dirty", "patch", "file", "bytes", "remote_url"),
    *("command", "user", "host", "python", "why", "summary"),
)
LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=5)
VALUES = st.recursive(
    LEAVES | st.just("NaN"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(INNER) | st.text(), inner, max_size=4),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from(INNER), VALUES, max_size=4)
METAS = st.tuples(
    st.dictionaries(st.sampled_from([*KINDS, "last_seen_at", "config", "problems", "_seen"]), VALUES | OBJECTS),
    st.dictionaries(st.just("status"), st.sampled_from(["running", "completed", "failed"])),
).map(lambda parts: parts[0] | parts[1])
ROWS = st.lists(
    st.dictionaries(st.sampled_from(["loss", "step", "_idx", "_timestamp", "_nonfinite", "gpu_0_utilization"]), VALUES)
)


@given(meta=METAS, config=VALUES, rows=ROWS, said=VALUES)
def test_any_json(meta: Any, config: Any, rows: Any, said: Any) -> None:
    with TemporaryDirectory() as place:
        folder = Path(place) / "runs" / "r1"
        folder.mkdir(parents=True)
        for name, content in (("meta", meta), ("config", config), ("writer.1", said)):
            (folder / f"{name}.json").write_bytes(orjson.dumps(content))
        for name in ("metrics", "system"):
            (folder / f"{name}.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        for _ in range(2):
            runs = LocalRuns(Path(place))
            (run,) = runs.page(RunQuery()).runs
            assert run.id == "r1"
            assert status_words(run)
            assert orjson.dumps(run.as_dict())
            assert report(runs.detail("r1"), Screen(80, True, True, True), (), whole_traceback=True)
            for key in (*FIELDS, "loss", "loss.min", "command.why"):
                lookup(run, key)
                sort_by([run, run], key)
                Selection(name="x*", conditions=(parse_condition(f"{key}~x"),)).admits(run)
