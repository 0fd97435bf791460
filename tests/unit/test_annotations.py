"""Notes and tags that people give a run: the file, and where its tags and notes are seen."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_folders import write_run

import whirr
from whirr.annotations import ANNOTATIONS, Annotations, Edit, annotate, annotations_of, read_annotations
from whirr.errors import EditConflict, FolderError, UsageError
from whirr.index import RunIndex

NAMES = st.text("abcd", min_size=1, max_size=2)
TAGS = st.lists(NAMES, max_size=4, unique=True)


def tags_of(root: Path, run_id: str) -> list[str]:
    return next(run.tags for run in RunIndex(root).runs() if run.id == run_id)


class TestEdits:
    def test_nothing_is_written_where_nothing_changes(self, tmp_path: Path) -> None:
        assert annotate(tmp_path, ["own"], Edit(add=("own",), remove=("other",))) == Annotations()
        assert list(tmp_path.iterdir()) == []

    def test_what_stands_in_the_file(self, tmp_path: Path) -> None:
        annotate(tmp_path, ["own", "kept"], Edit(notes="n", add=(" new ",), remove=("own",)))
        found = json.loads((tmp_path / ANNOTATIONS).read_text())
        assert found == {"notes": "n", "tags_added": ["new"], "tags_removed": ["own"]}

    @given(TAGS, TAGS, TAGS)
    def test_tags_are_those_of_the_run_added_less_removed(
        self, own: list[str], added: list[str], removed: list[str]
    ) -> None:
        found = Annotations("", tuple(added), tuple(removed)).tags(own)
        assert set(found) == (set(own) - set(removed)) | set(added)
        assert len(found) == len(set(found))

    @given(TAGS, TAGS)
    def test_a_whole_list_is_what_the_run_has_then(self, own: list[str], wanted: list[str]) -> None:
        with TemporaryDirectory() as place:
            found = annotate(Path(place), own, Edit(tags=tuple(wanted)))
            assert sorted(found.tags(own)) == sorted(wanted)
            assert read_annotations(Path(place)) == found

    def test_notes_of_somebody_else_are_not_overwritten(self, tmp_path: Path) -> None:
        annotate(tmp_path, [], Edit(notes="theirs", over=""))
        with pytest.raises(EditConflict):
            annotate(tmp_path, [], Edit(notes="mine", over=""))
        annotate(tmp_path, [], Edit(notes="theirs", over=""))  # sent twice
        annotate(tmp_path, [], Edit(notes="mine", over="theirs"))
        annotate(tmp_path, [], Edit(notes="whatever"))
        assert read_annotations(tmp_path).notes == "whatever"

    @pytest.mark.parametrize("tag", ["", " ", "a\nb", "\x1b[31m", "x" * 201])
    def test_what_is_no_tag(self, tmp_path: Path, tag: str) -> None:
        with pytest.raises(UsageError, match="is no tag"):
            annotate(tmp_path, [], Edit(add=(tag,)))

    def test_too_much(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="too many"):
            annotate(tmp_path, [], Edit(tags=tuple(map(str, range(201)))))
        with pytest.raises(UsageError, match="too long"):
            annotate(tmp_path, [], Edit(notes="x" * 50_001))

    def test_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(FolderError):
            annotate(tmp_path / "none", [], Edit(notes="x"))

    @pytest.mark.parametrize(
        "found", [{"notes": 1, "tags_added": "x", "tags_removed": [1, "y"]}, {}, {"tags_added": None}]
    )
    def test_what_is_of_the_wrong_kind_is_left_out(self, found: dict[str, object]) -> None:
        assert annotations_of(found).notes == ""
        assert annotations_of(found).added == ()


class TestSeen:
    def test_in_listings_after_each_edit(self, tmp_path: Path) -> None:
        folder = write_run(tmp_path, "r", tags=["own"])
        assert tags_of(tmp_path, "r") == ["own"]
        annotate(folder, ["own"], Edit(add=("a",)))
        assert tags_of(tmp_path, "r") == ["own", "a"]
        annotate(folder, ["own"], Edit(remove=("own",)))
        assert tags_of(tmp_path, "r") == ["a"]

    def test_by_read_meta(self, tmp_path: Path) -> None:
        folder = write_run(tmp_path, "r", tags=["own"])
        assert (whirr.read_meta(folder)["tags"], whirr.read_meta(folder)["notes"]) == (["own"], "")
        annotate(folder, ["own"], Edit(notes="n", add=("a",)))
        assert (whirr.read_meta(folder)["tags"], whirr.read_meta(folder)["notes"]) == (["own", "a"], "n")
        (folder / ANNOTATIONS).write_text("[]")
        assert any(ANNOTATIONS in problem for problem in whirr.read_meta(folder)["problems"])

    def test_the_training_process_goes_on_writing(self, workplace: Path) -> None:
        run = whirr.init(tags=["own"], system_metrics=False, capture_git=False, capture_pip=False)
        annotate(run.run_dir, ["own"], Edit(notes="while it runs", remove=("own",)))
        run.summary({"acc": 1.0})
        run.finish()
        assert (whirr.read_meta(run.run_dir)["tags"], whirr.read_meta(run.run_dir)["notes"]) == ([], "while it runs")

    def test_a_key_of_that_name_in_meta_means_nothing(self, tmp_path: Path) -> None:
        write_run(tmp_path, "r", notes={"deep": [1]})
        assert next(iter(RunIndex(tmp_path).runs())).notes == ""
