"""What the pages of a run, of a comparison and of the artifacts are told: words, events, attempts, rows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from run_folders import write_run

from whirr.catalog import FileEntry
from whirr.dashboard import artifact_list, comparison, run_facts
from whirr.localruns import LocalRuns
from whirr.model import Attempt, Cause, CauseKind
from whirr.progress import Progress

STAMP = "2026-01-01T00:00:{:02}.000000Z"


def files(*paths: str) -> list[FileEntry]:
    return [FileEntry(path, 1, STAMP.format(0)) for path in paths]


def attempt(number: int, **about: Any) -> Attempt:
    known = {"started_at": STAMP.format(number), "finished_at": None, "outcome": None, "cause": None, "usage": {}}
    return Attempt(7, number, "w@w", (), **{**known, **about})


class TestEnding:
    def said(self, root: Path, **meta: Any) -> dict[str, Any]:
        write_run(root, "r", **meta)
        found = LocalRuns(root).detail("r", curves=False)
        return run_facts.ending(found.run, found.meta)

    def test_well(self, tmp_path: Path) -> None:
        assert self.said(tmp_path) == {"word": "Completed", "text": "", "detail": None}

    def test_by_an_exception(self, tmp_path: Path) -> None:
        lines = "\n".join(f"line {number}" for number in range(40))
        cause = {"kind": "exception", "type": "ValueError", "message": "bad lr", "traceback": lines}
        found = self.said(tmp_path, status="failed", cause=cause)
        assert (found["word"], found["text"]) == ("Failed", "ValueError: bad lr")
        assert found["detail"]["lines"] == 40
        assert found["detail"]["text"].split("\n")[-1] == "line 39"

    def test_out_of_gpu_memory_as_the_queue_knows(self, tmp_path: Path) -> None:
        cause = {"kind": "exception", "type": "E", "message": "m", "queue": "gpu-out-of-memory"}
        assert self.said(tmp_path, status="failed", cause=cause)["text"] == "out of GPU memory: E: m"

    def test_cancelled_and_killed(self, tmp_path: Path) -> None:
        cause = {"kind": "cancelled", "message": "cancelled by ada"}
        assert self.said(tmp_path, status="cancelled", cause=cause)["text"] == "cancelled by ada"
        assert self.said(tmp_path, status="failed", cause={"kind": "killed"})["text"] == "killed"

    def test_broken(self, tmp_path: Path) -> None:
        (tmp_path / "runs" / "r").mkdir(parents=True)
        (tmp_path / "runs" / "r" / "meta.json").write_text("{")
        found = LocalRuns(tmp_path).detail("r", curves=False)
        said = run_facts.ending(found.run, found.meta)
        assert said["word"] == "Unknown"
        assert "meta.json" in said["text"]


class TestAttempts:
    def test_of_the_queue_with_the_files_that_are_kept(self) -> None:
        failed = attempt(
            1, finished_at=STAMP.format(9), outcome="failed", cause=Cause(CauseKind.EXIT, "exited with code 3", 3)
        )
        kept = files("output.log", "attempts/1/output.log", "attempts/1/deep/x", "attempts/x", "attempts/y/z")
        first, second = run_facts.attempts([failed, attempt(2)], kept, 2)
        assert (first["output"], first["seconds"], first["cause"]["exit_code"]) == ("attempts/1/output.log", 8.0, 3)
        assert first["files"] == ["attempts/1/output.log", "attempts/1/deep/x"]
        assert (second["output"], second["seconds"], second["files"]) == ("output.log", None, [])

    def test_without_a_queue(self) -> None:
        (only,) = run_facts.attempts([], files("attempts/3/meta.json"), 0)
        assert (only["number"], only["output"]) == (3, None)


class TestEvents:
    def test_of_a_run_by_hand(self, tmp_path: Path) -> None:
        write_run(tmp_path, "r", started_at=STAMP.format(1), finished_at=STAMP.format(3))
        found = run_facts.events(LocalRuns(tmp_path).detail("r", curves=False), None, [])
        assert [event["kind"] for event in found] == ["started", "ended"]
        assert found[1]["at"] - found[0]["at"] == 2

    def test_stamps_that_are_none(self, tmp_path: Path) -> None:
        write_run(tmp_path, "r", started_at="yesterday", finished_at=None, status="failed")
        assert run_facts.events(LocalRuns(tmp_path).detail("r", curves=False), None, []) == []


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a/b.PNG", "image"),
        ("metrics.jsonl", "json"),
        ("t.tsv", "csv"),
        ("output.log", "text"),
        ("model.pt", "other"),
        ("Makefile", "other"),
        (".hidden", "other"),
    ],
)
def test_kinds_of_files(path: str, kind: str) -> None:
    assert run_facts.kind_of(path) == kind


def test_packages() -> None:
    text = "numpy==1.26.4\n# a comment\npkg @ file:///x\n-e git+https://h/r@abc#egg=mine\n\ntorch==2.3.0+cu121\n"
    assert run_facts.packages_of(text) == [
        ("numpy", "1.26.4"),
        ("pkg", "@ file:///x"),
        ("mine", "-e git+https://h/r@abc#egg=mine"),
        ("torch", "2.3.0+cu121"),
    ]


@pytest.mark.parametrize(
    ("done", "total", "share"),
    [(5.0, 10.0, 0.5), (20.0, 10.0, 1.0), (None, 10.0, None), (5.0, None, None), (0.0, 0.0, None)],
)
def test_share(done: float | None, total: float | None, share: float | None) -> None:
    assert run_facts.share_of(Progress(1, done, total, {})) == share


class TestRows:
    def test_what_differs(self) -> None:
        rows = comparison.rows_of(
            [comparison.flat({"a": {"b": 1}, "c": 1}), comparison.flat({"a": {"b": 1}, "d": None})]
        )
        assert [(row["key"], row["differs"], row["missing"]) for row in rows] == [
            ("a.b", False, []),
            ("c", True, [1]),
            ("d", True, [0]),
        ]

    @pytest.mark.parametrize(("one", "other"), [(1, 1.5), (1, True), ("1", 1), (None, "null"), ([1], [2])])
    def test_values_of_other_kinds_differ(self, one: Any, other: Any) -> None:
        assert comparison.rows_of([{"k": one}, {"k": other}])[0]["differs"]

    def test_an_empty_object_is_a_value(self) -> None:
        assert comparison.flat({"a": {}, "b": {"c": {}}}) == {"a": {}, "b.c": {}}


class TestArtifacts:
    def made(self, root: Path, count: int) -> LocalRuns:
        for number in range(count):
            folder = write_run(root, f"r{number:03}", name=f"n{number}", started_at=f"2026-01-01T00:{number:02}:00Z")
            if number % 2 == 0:
                (folder / "artifacts" / "deep").mkdir(parents=True)
                (folder / "artifacts" / "model.pt").write_text("x")
                (folder / "artifacts" / "deep" / f"p{number}.png").write_text("xy")
        return LocalRuns(root)

    def test_newest_first_in_pages(self, tmp_path: Path) -> None:
        runs, found, after, pages = self.made(tmp_path, 21), [], None, 0
        while True:
            page = artifact_list.artifacts(runs, "", after, 4)
            found += page["files"]
            pages += 1
            assert page["looked"] <= page["every"] == 21
            after = page["next"]
            if after is None:
                break
        ids = list(dict.fromkeys(file["run"] for file in found))
        assert ids == sorted(ids, reverse=True)
        assert (len(found), len(ids)) == (22, 11)
        assert pages > 2

    def test_filters(self, tmp_path: Path) -> None:
        runs = self.made(tmp_path, 5)
        paths = [file["path"] for file in artifact_list.artifacts(runs, "*.png", None, 99)["files"]]
        assert paths == [f"artifacts/deep/p{number}.png" for number in (4, 2, 0)]
        assert len(artifact_list.artifacts(runs, "N2", None, 99)["files"]) == 2
        assert artifact_list.artifacts(runs, "none", None, 99)["files"] == []

    def test_links_are_not_followed(self, tmp_path: Path) -> None:
        folder = write_run(tmp_path, "r")
        os.symlink("/etc", folder / "artifacts")
        assert artifact_list.artifacts(LocalRuns(tmp_path), "", None, 99)["files"] == []
