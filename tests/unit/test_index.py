from __future__ import annotations

import os
import shutil
import tracemalloc
from pathlib import Path

import pytest
from run_folders import LONG_AGO, meta_of, settle, write_rows, write_run

from whirr.errors import Ambiguous, FolderError, NotFound
from whirr.index import MANY, RunIndex
from whirr.jsonio import dumps, write_atomic
from whirr.pack import packed_json
from whirr.process import identity


def listed(root: Path) -> dict[str, str]:
    return {run.id: run.status for run in RunIndex(root).runs()}


def test_no_folder_no_runs_and_nothing_made(tmp_path: Path) -> None:
    assert RunIndex(tmp_path / ".whirr").runs() == []
    assert list(tmp_path.iterdir()) == []


def test_newest_first(tmp_path: Path) -> None:
    write_run(tmp_path, "job-9", started_at="2026-01-02T00:00:00.000000Z")
    write_run(tmp_path, "local-20260101-000000-aaaaaa", started_at="2026-01-01T00:00:00.000000Z")
    write_run(tmp_path, "job-10", started_at="2026-01-03T00:00:00.000000Z")
    for _ in range(2):
        assert list(listed(tmp_path)) == ["job-10", "job-9", "local-20260101-000000-aaaaaa"]


def test_what_an_entry_says(tmp_path: Path) -> None:
    write_run(
        tmp_path,
        "r1",
        name="base",
        tags=["a", "b"],
        summary={"loss": float("nan")},
        config={"lr": 0.1},
        rows=[{"_idx": 0, "_timestamp": "t", "step": 0, "loss": 2.0}],
        environment={"host": "h"},
    )
    for _ in range(2):
        (run,) = RunIndex(tmp_path).runs()
        assert (run.id, run.name, run.status, run.tags) == ("r1", "base", "completed", ["a", "b"])
        assert (run.summary, run.config, run.problems) == ({"loss": "NaN"}, {"lr": 0.1}, [])
        assert run.path == tmp_path / "runs" / "r1"
        assert run.metrics["loss"].last == 2.0
        assert "environment" not in run.record


def test_unchanged_folders_are_not_opened_again(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "r1", name="remembered")
    RunIndex(tmp_path).runs()
    # The same bytes count, inode and times, other content: only who opens the file can see it.
    path = folder / "meta.json"
    before = path.stat()
    with path.open("r+b") as file:
        file.write(path.read_bytes().replace(b"remembered", b"overlooked"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    (run,) = RunIndex(tmp_path).runs()
    assert run.name == "remembered"


def test_replaced_documents_are_seen(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "r1", config={"lr": 1})
    assert listed(tmp_path) == {"r1": "completed"}
    write_atomic(folder / "meta.json", dumps(meta_of("r1", status="failed")))
    assert listed(tmp_path) == {"r1": "failed"}
    settle(folder, LONG_AGO + 1)
    assert listed(tmp_path) == {"r1": "failed"}
    write_atomic(folder / "config.json", dumps({"lr": 2}))
    (run,) = RunIndex(tmp_path).runs()
    assert run.config == {"lr": 2}


@pytest.mark.parametrize(("name", "text"), [("meta.json", '{"status": "failed"}'), ("config.json", '{"lr": 2}')])
def test_documents_edited_in_place_are_seen(tmp_path: Path, name: str, text: str) -> None:
    folder = write_run(tmp_path, "r1", config={"lr": 1})
    RunIndex(tmp_path).runs()
    (folder / name).write_text(text)
    settle(folder)
    for _ in range(2):
        index = RunIndex(tmp_path)
        (run,) = index.runs()
        assert (run.status, run.config) == (("failed", {"lr": 1}) if name == "meta.json" else ("completed", {"lr": 2}))
        index.save()


def test_new_and_deleted_runs(tmp_path: Path) -> None:
    write_run(tmp_path, "r1")
    assert set(listed(tmp_path)) == {"r1"}
    write_run(tmp_path, "r2")
    assert set(listed(tmp_path)) == {"r1", "r2"}
    shutil.rmtree(tmp_path / "runs" / "r1")
    assert set(listed(tmp_path)) == {"r2"}


def test_a_run_that_changed_a_moment_ago_is_read_again(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "r1", name="before")
    os.utime(folder)
    now = folder.stat().st_mtime_ns
    RunIndex(tmp_path).runs()
    write_atomic(folder / "meta.json", dumps(meta_of("r1", started_at="2027-01-01T00:00:00.000000Z")))
    os.utime(folder, ns=(now, now))  # the same tick of the clock
    write_run(tmp_path, "r2", started_at="2026-06-01T00:00:00.000000Z")
    assert list(listed(tmp_path)) == ["r1", "r2"]


BROKEN = {
    "cut": ('{"status": "comp', "meta.json is not JSON"),
    "empty": ("", "meta.json is not JSON"),
    "list": ("[1]", "meta.json holds no JSON object"),
    "binary": ("\x00\x01", "meta.json is not JSON"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_meta_is_listed_with_its_problem(tmp_path: Path, case: str) -> None:
    text, problem = BROKEN[case]
    write_run(tmp_path, "good")
    folder = write_run(tmp_path, "bad", config={"lr": 1})
    (folder / "meta.json").write_text(text)
    runs = {run.id: run for run in RunIndex(tmp_path).runs()}
    assert runs["good"].problems == []
    assert runs["bad"].status == "unknown"
    assert runs["bad"].config == {"lr": 1}
    assert [found.startswith(problem) for found in runs["bad"].problems] == [True]


def test_missing_documents(tmp_path: Path) -> None:
    (tmp_path / "runs" / "empty").mkdir(parents=True)
    write_run(tmp_path, "no-config")
    (tmp_path / "runs" / "no-config" / "config.json").unlink()
    (tmp_path / "runs" / "a-file").write_text("x")
    (tmp_path / "runs" / ".hidden").mkdir()
    os.mkdir(os.fsencode(tmp_path / "runs") + b"/\xff")
    runs = {run.id: run for run in RunIndex(tmp_path).runs()}
    assert set(runs) == {"empty", "no-config"}
    assert (runs["empty"].status, runs["empty"].problems) == ("unknown", ["meta.json is missing"])
    assert runs["no-config"].problems == []


def test_foreign_kinds_in_meta_do_no_harm(tmp_path: Path) -> None:
    write_run(tmp_path, "odd", tags="a", summary=[1], cause="x", started_at=5, status={"a": 1}, name=7, job_id=True)
    folder = write_run(tmp_path, "mixed", tags=["a", 1], git_info=[1], duration_seconds="long", dropped_records="many")
    (folder / "writer.1.json").write_text('{"summary": 5}')
    for _ in range(2):
        runs = {run.id: run for run in RunIndex(tmp_path).runs()}
        odd, mixed = runs["odd"], runs["mixed"]
        assert (odd.tags, odd.summary, odd.status, odd.name) == ([], {}, "unknown", None)
        assert [odd.record[key] for key in ("cause", "started_at", "job_id")] == [None, None, None]
        assert sorted(odd.problems) == [
            "meta.json: cause is not an object",
            "meta.json: job_id is not a text or a number",
            "meta.json: name is not a text",
            "meta.json: started_at is not a text",
            "meta.json: status is not a text",
            "meta.json: summary is not an object",
            "meta.json: tags is not a list of texts",
        ]
        assert (mixed.status, mixed.tags, mixed.record["git_info"]) == ("completed", ["a"], None)
        assert "writer.1.json: summary is not an object" in mixed.problems
        assert len(mixed.problems) == 5


def test_damaged_metrics_are_a_problem_until_they_are_mended(tmp_path: Path) -> None:
    garbage = write_run(tmp_path, "garbage") / "metrics.jsonl"
    garbage.write_bytes(b'{"loss":1}\nnonsense\n{"loss":2}\n{"loss":')
    folder = write_run(tmp_path, "folder") / "metrics.jsonl"
    folder.unlink(missing_ok=True)
    folder.mkdir()
    for _ in range(2):  # read, then remembered
        index = RunIndex(tmp_path)
        runs = {run.id: run for run in index.runs()}
        assert runs["garbage"].problems == ["metrics.jsonl: lines that are no records: 1"]
        assert runs["folder"].problems == ["metrics.jsonl cannot be read: Is a directory"]
        index.save()
    garbage.write_bytes(b'{"loss":1}\n')
    folder.rmdir()
    for _ in range(2):
        index = RunIndex(tmp_path)
        assert [run.problems for run in index.runs()] == [[], []]
        index.save()


def test_metrics_that_may_be_read_again(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "r1", rows=[{"_idx": 0, "loss": 1.0}])
    file = folder / "metrics.jsonl"
    state, error = RunIndex(tmp_path), "metrics.jsonl cannot be read: Too many levels of symbolic links"
    file.rename(folder / "kept")
    file.symlink_to(file.name)
    assert state.runs()[0].problems == [error]
    state.save()
    file.unlink()
    (folder / "kept").rename(file)
    (run,) = RunIndex(tmp_path).runs()
    assert (run.problems, run.metrics["loss"].last) == ([], 1.0)


def test_further_writers_add_to_the_summary(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "r1", summary={"loss": 1})
    (folder / "writer.rank1.json").write_text('{"summary": {"loss": 9, "rank1": 2}}')
    (run,) = RunIndex(tmp_path).runs()
    assert run.summary == {"loss": 1, "rank1": 2}


def test_running_is_judged_each_time(tmp_path: Path) -> None:
    me = identity()
    write_run(tmp_path, "alive", status="running", process=me)
    write_run(tmp_path, "dead", status="running", process={**me, "start_ticks": 1})
    for _ in range(2):
        runs = {run.id: run for run in RunIndex(tmp_path).runs()}
        assert (runs["alive"].status, runs["dead"].status) == ("running", "failed")
        assert runs["dead"].record["cause"]["kind"] == "killed"


def test_the_cache_may_be_deleted_at_any_time(tmp_path: Path) -> None:
    write_run(tmp_path, "r1", rows=[{"_idx": 0, "loss": 1.0}])
    index = RunIndex(tmp_path)
    (run,) = index.runs()
    shutil.rmtree(tmp_path / "cache")
    assert run.metrics["loss"].last == 1.0
    index.save()
    assert listed(tmp_path) == {"r1": "completed"}


@pytest.mark.parametrize("damage", ["cut", "empty", "garbage", "zeros", "huge header"])
def test_a_damaged_cache_is_made_anew(tmp_path: Path, damage: str) -> None:
    write_run(tmp_path, "r1", name="base", rows=[{"_idx": 0, "loss": 1.0}])
    index = RunIndex(tmp_path)
    assert index.runs()[0].metrics
    index.save()
    files = list((tmp_path / "cache").iterdir())
    assert len(files) == 2
    for file in files:
        whole = file.read_bytes()
        start = 8 + int.from_bytes(whole[:8], "little")
        file.write_bytes(
            {
                "cut": whole[:-3],
                "empty": b"",
                "garbage": b"\xff" * 100,
                "zeros": whole[:start] + bytes(len(whole) - start),
                "huge header": b"\xff" * 8 + whole[8:],
            }[damage]
        )
    (run,) = RunIndex(tmp_path).runs()
    assert (run.name, run.status, run.metrics["loss"].last) == ("base", "completed", 1.0)


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    write_run(tmp_path, "r1")
    (tmp_path / "cache").write_text("in the way")
    for _ in range(2):
        assert listed(tmp_path) == {"r1": "completed"}


def test_many_listings_at_once(tmp_path: Path) -> None:
    for number in range(20):
        write_run(tmp_path, f"r{number}")
    indexes = [RunIndex(tmp_path) for _ in range(5)]
    assert {len(index.runs()) for index in indexes} == {20}
    for index in indexes:
        index.save()
    assert len(RunIndex(tmp_path).runs()) == 20
    assert [path for path in (tmp_path / "cache").iterdir() if path.name.endswith(".tmp")] == []


def test_runs_in_the_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("no folder")
    with pytest.raises(FolderError, match="cannot read"):
        RunIndex(tmp_path).runs()


class TestFind:
    @pytest.fixture
    def index(self, tmp_path: Path) -> RunIndex:
        write_run(tmp_path, "local-20260101-000000-aaaaaa", name="base", started_at="2026-01-01T00:00:00.000000Z")
        write_run(tmp_path, "local-20260102-000000-bbbbbb", name="base", started_at="2026-01-02T00:00:00.000000Z")
        write_run(tmp_path, "job-1", name="queue", started_at="2026-01-03T00:00:00.000000Z")
        write_run(tmp_path, "job-12", started_at="2026-01-04T00:00:00.000000Z")
        return RunIndex(tmp_path)

    @pytest.mark.parametrize(
        ("reference", "run_id"),
        [
            ("job-1", "job-1"),
            ("job-12", "job-12"),
            ("-", "job-12"),
            ("queue", "job-1"),
            ("local-20260102", "local-20260102-000000-bbbbbb"),
            ("aaaaaa", "local-20260101-000000-aaaaaa"),
        ],
    )
    def test_found(self, index: RunIndex, reference: str, run_id: str) -> None:
        assert index.find(reference) == run_id

    @pytest.mark.parametrize("reference", ["base", "local", "job"])
    def test_ambiguous(self, index: RunIndex, reference: str) -> None:
        with pytest.raises(Ambiguous, match="fits 2 runs") as caught:
            index.find(reference)
        assert caught.value.hint is not None
        assert "-12" in caught.value.hint or "bbbbbb (base)" in caught.value.hint

    @pytest.mark.parametrize("reference", ["nothing", "", "aaaaa", "BASE"])
    def test_not_found(self, index: RunIndex, reference: str) -> None:
        with pytest.raises(NotFound):
            index.find(reference)

    def test_no_runs_at_all(self, tmp_path: Path) -> None:
        with pytest.raises(NotFound, match="no runs"):
            RunIndex(tmp_path / "empty").find("-")


def test_latest_of_long_metrics_reads_their_end(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "r1")
    line = b'{"_idx":0,"_timestamp":"t","loss":1.0,"pad":"' + b"x" * 1000 + b'"}\n'
    (folder / "metrics.jsonl").write_bytes(b'{"early":1}\n' + line * 17_500 + b'garbage\n{"loss":0.5}\n{"loss":')
    index = RunIndex(tmp_path)
    (run,) = index.runs()
    latest = index.glance(run).metrics
    assert latest["loss"].last == 0.5
    assert "early" not in latest
    assert index.glance(run).problems == ["metrics.jsonl: lines that are no records: at least 1"]
    assert (run.metrics["early"].last, run.metrics["loss"].times) == (1, 17_501)
    assert run.problems == ["metrics.jsonl: lines that are no records: 1"]
    assert index.glance(run).metrics["early"].last == 1


def test_derived_metrics_are_remembered_and_continued(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "r1", rows=[{"_idx": 0, "loss": 3.0}, {"_idx": 1, "loss": 1.0}])
    for rows in ([], [{"_idx": 2, "loss": 2.0}]):
        with (folder / "metrics.jsonl").open("ab") as file:
            file.writelines(dumps_line(row) for row in rows)
        index = RunIndex(tmp_path)
        (run,) = index.runs()
        metric = run.metrics["loss"]
        index.save()
    assert (metric.last, metric.min, metric.max, metric.times) == (2.0, 1.0, 3.0, 3)


def dumps_line(row: dict[str, object]) -> bytes:
    import orjson

    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def test_what_was_derived_of_deleted_runs_is_forgotten(tmp_path: Path) -> None:
    for name in ("r1", "r2"):
        write_rows(write_run(tmp_path, name) / "metrics.jsonl", [{"loss": 1.0}] * 100)
    index = RunIndex(tmp_path)
    for run in index.runs():
        assert run.metrics
    index.save()
    (file,) = (tmp_path / "cache").glob("metrics-index.*")
    assert b'"r2"' in file.read_bytes()
    shutil.rmtree(tmp_path / "runs" / "r2")
    with (tmp_path / "runs" / "r1" / "metrics.jsonl").open("ab") as more:
        more.write(b'{"loss":2.0}\n')
    index = RunIndex(tmp_path)
    assert index.runs()[0].metrics["loss"].last == 2.0
    index.save()
    assert b'"r2"' not in file.read_bytes()


def test_more_runs_than_one_reader_reads(tmp_path: Path) -> None:
    for number in range(MANY + 1):
        write_run(tmp_path, f"r{number}", name=f"name-{number}")
    for _ in range(2):
        runs = RunIndex(tmp_path).runs()
        assert {run.id: run.name for run in runs} == {f"r{number}": f"name-{number}" for number in range(MANY + 1)}


def test_records_that_are_kept_take_no_more_memory_than_they_are_long() -> None:
    tracemalloc.start()
    try:
        kept = [packed_json({"number": number, "text": "x" * 300}) for number in range(1000)]
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert taken < 2 * sum(map(len, kept))
