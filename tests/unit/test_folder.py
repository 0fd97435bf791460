"""Where runs lie, and how they are read back whatever happened to their files."""

from __future__ import annotations

import json
import math
import os
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import whirr
from whirr.config import Settings
from whirr.errors import FolderError, NotFound, WhirrWarning
from whirr.folder import CHUNK, find_root, inside, make_root, read_meta, read_metrics
from whirr.process import identity


def record(index: int, **values: Any) -> bytes:
    return json.dumps({"_idx": index, "_timestamp": f"2026-01-01T00:00:{index:09.6f}Z", **values}).encode()


class TestRoot:
    """The ``.whirr`` folder in force."""

    def test_the_working_directory_outside_git(self, tmp_path: Path) -> None:
        assert find_root(Settings({}), tmp_path) == tmp_path / ".whirr"
        assert os.listdir(tmp_path) == []

    @pytest.mark.parametrize("kind", ["folder", "file"])
    def test_the_root_of_the_git_work_tree(self, tmp_path: Path, kind: str) -> None:
        deep = tmp_path / "a" / "b"
        deep.mkdir(parents=True)
        if kind == "folder":
            (tmp_path / ".git").mkdir()
        else:  # a linked work tree or a submodule
            (tmp_path / ".git").write_text("gitdir: elsewhere")
        assert find_root(Settings({}), deep) == tmp_path / ".whirr"

    def test_the_nearest_one_above_wins(self, tmp_path: Path) -> None:
        deep = tmp_path / "a" / "b"
        deep.mkdir(parents=True)
        (deep / ".git").mkdir()
        (tmp_path / ".whirr").mkdir()
        assert find_root(Settings({}), deep) == tmp_path / ".whirr"
        (tmp_path / "a" / ".whirr").mkdir()
        assert find_root(Settings({}), deep) == tmp_path / "a" / ".whirr"

    def test_a_file_of_that_name_is_none(self, tmp_path: Path) -> None:
        (tmp_path / ".whirr").write_text("")
        (tmp_path / "a").mkdir()
        assert find_root(Settings({}), tmp_path / "a") == tmp_path / "a" / ".whirr"

    def test_a_setting_wins(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / ".whirr").mkdir()
        monkeypatch.setenv("HOME", "/home/me")
        assert find_root(Settings({"WHIRR_DIR": "/data/runs"}), tmp_path) == Path("/data/runs")
        assert find_root(Settings({"WHIRR_DIR": "runs"}), tmp_path) == tmp_path / "runs"
        assert find_root(Settings({"WHIRR_DIR": "~/runs"}), tmp_path) == Path("/home/me/runs")

    def test_one_that_was_only_made_is_hidden_too(self, tmp_path: Path) -> None:
        (tmp_path / ".whirr").mkdir()
        make_root(tmp_path / ".whirr")
        assert (tmp_path / ".whirr" / ".gitignore").read_text() == "*\n"

    def test_what_is_in_it_is_kept(self, tmp_path: Path) -> None:
        root = tmp_path / ".whirr"
        root.mkdir()
        (root / ".gitignore").write_text("mine")
        make_root(root)
        assert (root / ".gitignore").read_text() == "mine"

    def test_a_folder_of_other_things_is_not_hidden(self, tmp_path: Path) -> None:
        """WHIRR_DIR=. in a git work tree must not make git blind to the whole project."""
        (tmp_path / "train.py").write_text("")
        make_root(tmp_path)
        assert sorted(os.listdir(tmp_path)) == ["runs", "train.py"]

    def test_one_that_cannot_be_made_is_one_clear_error(self, tmp_path: Path) -> None:
        (tmp_path / ".whirr").write_text("")
        with pytest.raises(FolderError, match="cannot write a run") as caught:
            make_root(tmp_path / ".whirr")
        assert "WHIRR_DIR" in str(caught.value.hint)


@pytest.mark.parametrize("name", ["a", "a/b.txt", "a..b", "...", "./a", "a//b", "naïve", "-", " "])
def test_names_inside(tmp_path: Path, name: str) -> None:
    assert inside(tmp_path, name) == tmp_path / name


@pytest.mark.parametrize("name", ["", ".", "./", "..", "../a", "a/..", "a/../../b", "/etc/passwd", "//a", "a\0b", "\0"])
def test_names_that_leave(tmp_path: Path, name: str) -> None:
    assert inside(tmp_path, name) is None


def test_links_that_leave(tmp_path: Path) -> None:
    base = tmp_path / "base"
    (base / "deep").mkdir(parents=True)
    (tmp_path / "base2").mkdir()
    (base / "out").symlink_to(tmp_path)
    (base / "sibling").symlink_to(tmp_path / "base2")
    (base / "in").symlink_to(base / "deep")
    assert inside(base, "out/a") is None
    assert inside(base, "out/base/deep/../a") is None
    assert inside(base, "sibling/a") is None
    assert inside(base, "in/a") == base / "in/a"


class TestReadMetrics:
    """Every intact record, whatever else is in the file."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "metrics.jsonl"

    def test_it_is_public(self) -> None:
        assert whirr.read_metrics is read_metrics

    def test_missing_and_empty_give_nothing(self, path: Path) -> None:
        assert read_metrics(path) == []
        assert read_metrics(path.parent) == []
        path.write_bytes(b"")
        assert read_metrics(path) == []

    def test_paths_of_every_kind(self, path: Path) -> None:
        path.write_bytes(record(0, i=1) + b"\n")
        found = read_metrics(path)
        assert [row["i"] for row in found] == [1]
        assert read_metrics(str(path)) == read_metrics(path.parent) == read_metrics(str(path.parent)) == found

    def test_a_file_of_another_name(self, path: Path) -> None:
        other = path.with_name("copy.jsonl")
        other.write_bytes(record(0, i=1) + b"\n")
        path.with_name("metrics.p1.jsonl").write_bytes(record(0, i=2) + b"\n")
        assert [row["i"] for row in read_metrics(other)] == [1]

    def test_the_examples_of_the_contract(self, path: Path) -> None:
        path.write_text(
            '{"_idx": 0, "_timestamp": "2024-01-15T10:30:00Z", "step": 0, "loss": 2.34}\n'
            '{"_idx": 1, "_timestamp": "2024-01-15T10:30:15Z", "step": 1, "loss": 1.89}\n'
        )
        assert read_metrics(path)[1] == {"_idx": 1, "_timestamp": "2024-01-15T10:30:15Z", "step": 1, "loss": 1.89}

    def test_a_last_line_cut_anywhere_is_silent(self, path: Path) -> None:
        lines = [record(0, i=0), record(1, i=1, _nonfinite={"x": "nan"}, x=None, text="a,b}{][\u2028")]
        whole = b"\n".join(lines) + b"\n"
        for cut in range(len(whole) + 1):
            path.write_bytes(whole[:cut])
            complete = sum(cut >= end for end in (len(lines[0]), len(whole) - 1))
            assert len(read_metrics(path)) == complete, cut

    @pytest.mark.parametrize(
        "garbage",
        [
            b"garbage",
            b"{",
            b"}",
            b'{"_idx": 5',
            b'"_idx": 5}',
            b"[1, 2]",
            b"17",
            b'"text"',
            b"null",
            b"NaN",
            b'{"a": NaN}',
            b"\0" * 100,
            b"\xff\xfe",
            b'{"a": "\xff"}',
            b",",
            b"{},",
            b"],[",
            b'{"_idx":0}{"_idx":1}',
            b'{"_idx":0},{"_idx":1}',
            b"[" * 2000,
            b'{"a":' * 2000,
        ],
    )
    @pytest.mark.parametrize("place", [0, 1, 2])
    def test_garbage_costs_its_line_and_one_warning(self, path: Path, garbage: bytes, place: int) -> None:
        lines = [record(0, i=0), record(1, i=1)]
        lines.insert(place, garbage)
        path.write_bytes(b"\n".join(lines) + b"\n")
        with pytest.warns(WhirrWarning, match="1 line") as caught:
            assert [row["i"] for row in read_metrics(path)] == [0, 1]
        assert len(caught) == 1
        assert str(path) in str(caught[0].message)

    @pytest.mark.parametrize(
        "broken",
        [
            [b'{"a":[1', b"2]}"],
            [b'{"a":"x', b'y"}'],
            [b'{"a":1', b'"b":2}'],
            [b'{"_idx":7},{"_idx":8}', b'{"a":[1', b"2]}"],
            [b'{"_idx":7} , {"_idx":8}', b'{"a":"x', b'y"}'],
            [b'{"a":[1', b"2]}", b'{"_idx":7},{"_idx":8}'],
        ],
    )
    def test_lines_that_would_make_json_together_are_garbage(self, path: Path, broken: list[bytes]) -> None:
        path.write_bytes(b"\n".join([record(0, i=0), *broken, record(1, i=1)]) + b"\n")
        with pytest.warns(WhirrWarning, match=f"{len(broken)} line"):
            assert [row["i"] for row in read_metrics(path)] == [0, 1]

    def test_text_that_looks_like_two_records_is_none(self, path: Path) -> None:
        path.write_bytes(record(0, text="},{") + b"\n" + record(1, deep={"a": {}, "b": 1}) + b"\n")
        assert [row["_idx"] for row in read_metrics(path)] == [0, 1]

    def test_line_ends_of_other_systems_and_empty_lines(self, path: Path) -> None:
        path.write_bytes(record(0, i=0) + b"\r\n\r\n\n   \n" + record(1, i=1) + b"\r\n")
        assert [row["i"] for row in read_metrics(path)] == [0, 1]

    @pytest.mark.parametrize("shift", [-2, -1, 0, 1, 2])
    def test_lines_across_blocks(self, path: Path, shift: int) -> None:
        first = record(0, i=0, pad="")
        lines = [
            record(0, i=0, pad="x" * (CHUNK - len(first) + shift)),
            record(1, i=1, pad="y" * 3 * CHUNK),
            record(2, i=2),
        ]
        path.write_bytes(b"\n".join(lines))
        assert [row["i"] for row in read_metrics(path)] == [0, 1, 2]

    def test_garbage_longer_than_a_block(self, path: Path) -> None:
        path.write_bytes(record(0, i=0) + b"\n" + b"g" * 3 * CHUNK + b"\n" + record(1, i=1) + b"\n")
        with pytest.warns(WhirrWarning, match="1 line"):
            assert [row["i"] for row in read_metrics(path)] == [0, 1]

    def test_non_finite_floats_come_back(self, path: Path) -> None:
        path.write_bytes(
            record(0, a=None, b=None, c=None, d=None, _nonfinite={"a": "nan", "b": "inf", "c": "-inf"}) + b"\n"
        )
        (row,) = read_metrics(path)
        assert math.isnan(row["a"])
        assert (row["b"], row["c"], row["d"]) == (math.inf, -math.inf, None)
        assert "_nonfinite" not in row

    @pytest.mark.parametrize("spelled", [{"a": "huge"}, {"a": []}, {"a": {}}, {"a": 1}, {"a": None}])
    def test_a_spelling_that_means_nothing_is_left_alone(self, path: Path, spelled: Any) -> None:
        path.write_bytes(record(0, a=None, _nonfinite=spelled) + b"\n")
        assert read_metrics(path) == [{**json.loads(record(0)), "a": None}]

    def test_a_number_of_that_very_name_is_kept(self, path: Path) -> None:
        path.write_bytes(record(0, _nonfinite=3.5) + b"\n")
        assert read_metrics(path) == [{**json.loads(record(0)), "user/_nonfinite": 3.5}]

    def test_a_file_that_cannot_be_read_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "metrics.jsonl").mkdir()
        with pytest.raises(OSError, match="directory"):
            read_metrics(tmp_path)

    @given(
        st.lists(
            st.one_of(st.binary(max_size=12), st.sampled_from(list(b'[]{},:"\n\\1 ')).map(lambda c: bytes([c]))),
            max_size=8,
        )
    )
    def test_any_bytes_between_two_records(self, tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]) -> None:
        path = tmp_path_factory.mktemp("run") / "metrics.jsonl"
        path.write_bytes(record(0, i="first") + b"\n" + b"".join(pieces) + b"\n" + record(1, i="last") + b"\n")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", WhirrWarning)
            rows = read_metrics(path)
        assert (rows[0]["i"], rows[-1]["i"]) == ("first", "last")
        assert all(type(row) is dict for row in rows)


class TestSeveralWriters:
    """Further processes of a run have files of their own."""

    def test_all_records_by_time_numbered_anew(self, tmp_path: Path) -> None:
        (tmp_path / "metrics.jsonl").write_bytes(record(0, i=0) + b"\n" + record(2, i=2) + b"\n")
        (tmp_path / "metrics.p7.jsonl").write_bytes(record(1, i=1) + b"\n" + record(3, i=3) + b"\n" + b'{"torn')
        rows = read_metrics(tmp_path)
        assert [(row["_idx"], row["i"]) for row in rows] == [(0, 0), (1, 1), (2, 2), (3, 3)]
        assert read_metrics(tmp_path / "metrics.jsonl") == rows
        assert [row["i"] for row in read_metrics(tmp_path / "metrics.p7.jsonl")] == [1, 3]

    def test_a_run_of_further_writers_alone(self, tmp_path: Path) -> None:
        (tmp_path / "metrics.rank1.jsonl").write_bytes(record(5, i=1) + b"\n")
        assert [(row["_idx"], row["i"]) for row in read_metrics(tmp_path)] == [(0, 1)]

    def test_a_clock_that_was_set_back_does_not_shuffle_a_writer(self, tmp_path: Path) -> None:
        (tmp_path / "metrics.jsonl").write_bytes(b"\n".join([record(5, i="a"), record(1, i="b"), record(6, i="c")]))
        (tmp_path / "metrics.p7.jsonl").write_bytes(record(3, i="x") + b"\n" + record(9, i="y") + b"\n")
        assert [row["i"] for row in read_metrics(tmp_path)] == ["x", "a", "b", "c", "y"]

    def test_records_without_a_stamp_go_first(self, tmp_path: Path) -> None:
        (tmp_path / "metrics.jsonl").write_bytes(record(1, i="a"))
        (tmp_path / "metrics.p7.jsonl").write_bytes(b'{"i":"x"}\n{"i":"y","_timestamp":3}')
        assert [row["i"] for row in read_metrics(tmp_path)] == ["x", "a", "y"]


class TestReadMeta:
    """What is known of a run, even of a broken one."""

    @staticmethod
    def write(folder: Path, meta: Any = None, config: Any = None, **writers: Any) -> None:
        for name, content in (("meta", meta), ("config", config)):
            if content is not None:
                (folder / f"{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))
        for name, content in writers.items():
            (folder / f"writer.{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))

    def test_it_is_public(self) -> None:
        assert whirr.read_meta is read_meta

    def test_meta_and_config(self, tmp_path: Path) -> None:
        self.write(tmp_path, {"run_id": "r", "status": "completed", "summary": {"loss": "NaN"}}, {"lr": "Infinity"})
        meta = read_meta(tmp_path)
        assert math.isnan(meta["summary"]["loss"])
        assert repr(read_meta(str(tmp_path))) == repr(meta)
        assert (meta["run_id"], meta["status"], meta["config"], meta["problems"]) == (
            "r",
            "completed",
            {"lr": math.inf},
            [],
        )

    def test_the_file_itself_is_a_name_too(self, tmp_path: Path) -> None:
        self.write(tmp_path, {"run_id": "r", "status": "completed"})
        assert read_meta(tmp_path / "meta.json")["run_id"] == "r"

    def test_a_folder_that_is_missing(self, tmp_path: Path) -> None:
        with pytest.raises(NotFound, match="gone"):
            read_meta(tmp_path / "gone")

    @pytest.mark.parametrize("text", ["", "{", "[]", "17", "\0", '{"a":NaN}', "[" * 1000 + "]" * 1000])
    def test_a_broken_file_is_a_problem_and_no_more(self, tmp_path: Path, text: str) -> None:
        self.write(tmp_path, text, text, p1=text)
        meta = read_meta(tmp_path)
        assert (meta["run_id"], meta["status"], meta["config"]) == (tmp_path.name, "unknown", {})
        assert [problem.split()[0] for problem in meta["problems"]] == ["meta.json", "config.json", "writer.p1.json"]

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        meta = read_meta(tmp_path)
        assert (meta["status"], meta["problems"]) == ("unknown", ["meta.json is missing"])

    def test_a_file_that_cannot_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "meta.json").mkdir()
        assert read_meta(tmp_path)["problems"] == ["meta.json cannot be read: Is a directory"]

    def test_summaries_of_further_writers_do_not_replace_the_runs_own(self, tmp_path: Path) -> None:
        self.write(
            tmp_path,
            {"status": "completed", "summary": {"loss": 1}},
            p1={"summary": {"loss": 2, "acc": 3}},
            p2={"summary": None, "cause": {"kind": "exit"}},
        )
        meta = read_meta(tmp_path)
        assert meta["summary"] == {"loss": 1, "acc": 3}
        assert [writer["writer"] for writer in meta["writers"]] == ["p1", "p2"]

    def test_a_run_of_a_living_process_is_running(self, tmp_path: Path) -> None:
        self.write(tmp_path, {"status": "running", "process": identity()})
        assert read_meta(tmp_path)["status"] == "running"

    def test_a_run_whose_process_is_gone_has_failed(self, tmp_path: Path) -> None:
        self.write(tmp_path, {"status": "running", "process": {**identity(), "start_ticks": 1}})
        meta = read_meta(tmp_path)
        assert (meta["status"], meta["cause"]["kind"]) == ("failed", "killed")
        assert meta["last_seen_at"].endswith("Z")
        assert json.loads((tmp_path / "meta.json").read_text())["status"] == "running"

    @pytest.mark.parametrize(
        "process", ["text", 17, [], {"pid": "text"}, {"pid": None}, {"pid": [1]}, {"pid": 10**18}, {"pid": -1}, None]
    )
    def test_a_process_that_means_nothing_is_judged_by_signs_of_life(self, tmp_path: Path, process: Any) -> None:
        self.write(tmp_path, {"status": "running", "process": process})
        assert read_meta(tmp_path)["status"] == "running"
        os.utime(tmp_path / "meta.json", (1, 1))
        assert read_meta(tmp_path)["cause"]["kind"] == "lost"
