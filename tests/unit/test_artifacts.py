"""Artifacts: copies that are whole or not there, and a source that stays as it is."""

from __future__ import annotations

import os
import resource
import socket
import sys
from pathlib import Path

import pytest

from whirr import artifacts
from whirr.errors import ArtifactNameError


def tree(folder: Path) -> dict[str, str | None]:
    """Every path below a folder with the text of the files."""
    paths = sorted(folder.rglob("*"))
    return {str(path.relative_to(folder)): None if path.is_dir() else path.read_text() for path in paths}


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "project" / ".whirr" / "runs" / "local-1"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def project(run_dir: Path) -> Path:
    return run_dir.parents[2]


def save(run_dir: Path, source: Path, name: str | None = None) -> Path:
    target = artifacts.target_of(run_dir, source, name)
    artifacts.save(source, target)
    return target


@pytest.mark.parametrize(
    ("source", "name", "kept"),
    [
        ("results.csv", None, "results.csv"),
        ("deep/results.csv", None, "results.csv"),
        ("results.csv", "best.csv", "best.csv"),
        ("results.csv", "checkpoints/7/best.csv", "checkpoints/7/best.csv"),
        ("results.csv", Path("a/b"), "a/b"),
        ("folder/", None, "folder"),
        ("folder/.", None, "folder"),
    ],
)
def test_where_it_goes(tmp_path: Path, source: str, name: str | None, kept: str) -> None:
    assert artifacts.target_of(tmp_path, Path(source), name) == tmp_path / "artifacts" / kept


@pytest.mark.parametrize("name", ["", ".", "..", "../meta.json", "a/../../b", "/etc/passwd", "a\0b"])
def test_names_that_leave_are_refused(run_dir: Path, name: str) -> None:
    with pytest.raises(ArtifactNameError) as caught:
        artifacts.target_of(run_dir, Path("source"), name)
    assert isinstance(caught.value, ValueError)
    assert caught.value.hint


@pytest.mark.parametrize(
    "name", ["n" * 256, "deep/" + "é" * 128, "a/" * 2000 + "b", "half of a \ud83d", "\ud83d/deep"], ids=range(5)
)
def test_names_that_no_file_can_have_are_refused(run_dir: Path, name: str) -> None:
    with pytest.raises(ArtifactNameError) as caught:
        artifacts.target_of(run_dir, Path("source"), name)
    assert caught.value.hint
    assert len(str(caught.value)) < 120


def test_a_name_that_is_no_unicode_but_bytes_is_kept(run_dir: Path, project: Path) -> None:
    source = project / os.fsdecode(b"caf\xe9")
    source.write_text("x")
    assert os.fsencode(save(run_dir, source).name) == b"caf\xe9"


def test_a_way_through_a_link_is_refused(run_dir: Path, tmp_path: Path) -> None:
    (run_dir / "artifacts").mkdir()
    (run_dir / "artifacts" / "out").symlink_to(tmp_path)
    with pytest.raises(ArtifactNameError):
        artifacts.target_of(run_dir, Path("source"), "out/a")


def test_a_link_in_the_place_is_replaced_not_followed(run_dir: Path, project: Path) -> None:
    (run_dir / "artifacts").mkdir()
    (project / "victim").write_text("mine")
    (project / "source").write_text("new")
    (run_dir / "artifacts" / "a").symlink_to(project / "victim")
    target = save(run_dir, project / "source", "a")
    assert (target.is_symlink(), target.read_text()) == (False, "new")
    assert (project / "victim").read_text() == "mine"


def test_a_root_has_no_name(run_dir: Path) -> None:
    with pytest.raises(ArtifactNameError):
        artifacts.target_of(run_dir, Path("/"), None)


def test_the_source_is_untouched_and_the_copy_independent(run_dir: Path, project: Path) -> None:
    source = project / "model.pt"
    source.write_text("weights")
    source.chmod(0o640)
    os.utime(source, ns=(10**18, 10**18 + 5))
    before = source.stat()
    target = save(run_dir, source)
    after = source.stat()
    assert (before.st_mtime_ns, before.st_mode, before.st_ino) == (after.st_mtime_ns, after.st_mode, after.st_ino)
    assert after.st_nlink == 1
    assert (target.stat().st_mtime_ns, target.stat().st_mode) == (before.st_mtime_ns, before.st_mode)
    source.write_text("more training")
    assert target.read_text() == "weights"


def test_an_empty_file_and_a_large_one(run_dir: Path, project: Path) -> None:
    for name, data in (("empty", b""), ("large", os.urandom(5 * 2**20))):
        (project / name).write_bytes(data)
        assert save(run_dir, project / name).read_bytes() == data


def test_a_name_as_long_as_the_file_system_takes(run_dir: Path, project: Path) -> None:
    source = project / ("n" * 255)
    source.write_text("x")
    assert save(run_dir, source).read_text() == "x"


class TestReplacing:
    """The same name again."""

    def test_file_by_file(self, run_dir: Path, project: Path) -> None:
        for text in ("one", "two"):
            (project / "a").write_text(text)
            save(run_dir, project / "a")
        assert tree(run_dir / "artifacts") == {"a": "two"}

    def test_a_folder_joins_the_one_of_its_name(self, run_dir: Path, project: Path) -> None:
        (project / "file").write_text("own name")
        save(run_dir, project / "file", "folder/own")
        for name in ("one", "two"):
            (project / name / "sub").mkdir(parents=True)
            (project / name / "sub" / name).write_text(name)
            (project / name / "both").write_text(name)
            save(run_dir, project / name, "folder")
        assert tree(run_dir / "artifacts") == {
            "folder": None,
            "folder/both": "two",
            "folder/own": "own name",
            "folder/sub": None,
            "folder/sub/one": "one",
            "folder/sub/two": "two",
        }

    def test_two_saves_of_one_new_folder_at_the_same_moment(self, run_dir: Path, project: Path) -> None:
        for name in ("one", "two"):
            (project / name / "sub").mkdir(parents=True)
            (project / name / "sub" / name).write_text(name)

        class Target(type(project)):  # type: ignore[misc]
            """Another save puts a folder in place just after it was seen that there is none."""

            def is_dir(self) -> bool:
                found: bool = super().is_dir()
                if not found:
                    save(run_dir, project / "two", "folder")
                return found

        artifacts.save(project / "one", Target(artifacts.target_of(run_dir, project, "folder")))
        assert tree(run_dir / "artifacts") == {
            "folder": None,
            "folder/sub": None,
            "folder/sub/one": "one",
            "folder/sub/two": "two",
        }

    def test_neither_kind_takes_the_place_of_the_other(self, run_dir: Path, project: Path) -> None:
        (project / "file").write_text("x")
        (project / "folder").mkdir()
        save(run_dir, project / "file", "a")
        save(run_dir, project / "folder", "b")
        with pytest.raises(ArtifactNameError, match="is a file already"):
            save(run_dir, project / "folder", "a")
        with pytest.raises(ArtifactNameError, match="is a folder already"):
            save(run_dir, project / "file", "b")
        assert tree(run_dir / "artifacts") == {"a": "x", "b": None}

    def test_a_name_below_a_file_is_refused(self, run_dir: Path, project: Path) -> None:
        (project / "file").write_text("x")
        save(run_dir, project / "file", "a/b.txt")
        for name in ("a/b.txt/c", "a/b.txt/c/d"):
            with pytest.raises(ArtifactNameError, match=r"'a/b\.txt' is a file already"):
                save(run_dir, project / "file", name)
        assert tree(run_dir / "artifacts") == {"a": None, "a/b.txt": "x"}

    def test_a_clash_inside_a_folder_changes_nothing(self, run_dir: Path, project: Path) -> None:
        for name in ("first", "second"):
            (project / name).mkdir()
            (project / name / "both").write_text(name)
        (project / "first" / "clash").write_text("file")
        (project / "second" / "clash").mkdir()
        save(run_dir, project / "first", "folder")
        before = tree(run_dir / "artifacts")
        with pytest.raises(ArtifactNameError, match="'clash' is a file already"):
            save(run_dir, project / "second", "folder")
        assert tree(run_dir / "artifacts") == before

    def test_a_file_onto_itself(self, run_dir: Path, project: Path) -> None:
        (project / "a").write_text("x")
        target = save(run_dir, project / "a")
        assert save(run_dir, target) == target
        assert tree(run_dir / "artifacts") == {"a": "x"}

    def test_an_artifact_under_another_name(self, run_dir: Path, project: Path) -> None:
        (project / "a").write_text("x")
        save(run_dir, save(run_dir, project / "a"), "b")
        assert tree(run_dir / "artifacts") == {"a": "x", "b": "x"}


class TestFolders:
    """A whole folder at once."""

    def test_all_that_is_in_it(self, run_dir: Path, project: Path) -> None:
        source = project / "out"
        (source / "deep" / "empty").mkdir(parents=True)
        (source / "deep" / "a").write_text("x")
        (source / ".hidden").write_text("y")
        target = save(run_dir, source)
        assert tree(target) == tree(source)

    def test_links_become_what_they_lead_to(self, run_dir: Path, project: Path) -> None:
        (project / "out" / "deep").mkdir(parents=True)
        (project / "data").write_text("x")
        (project / "out" / "link").symlink_to(project / "data")
        (project / "out" / "nowhere").symlink_to(project / "gone")
        (project / "out" / "deep" / "around").symlink_to(project / "out")
        (project / "out" / "self").symlink_to(".")
        target = save(run_dir, project / "out")
        assert tree(target) == {"link": "x", "deep": None}
        assert not (target / "link").is_symlink()

    def test_a_relative_link_leads_on_from_its_own_folder(self, run_dir: Path, project: Path) -> None:
        (project / "out" / "epochs").mkdir(parents=True)
        (project / "out" / "epochs" / "3.pt").write_text("x")
        (project / "out" / "best.pt").symlink_to("epochs/3.pt")
        (project / "out" / "all").symlink_to("epochs")
        (project / "out" / "nowhere").symlink_to("epochs/4.pt")
        assert tree(save(run_dir, project / "out")) == {
            "all": None,
            "all/3.pt": "x",
            "best.pt": "x",
            "epochs": None,
            "epochs/3.pt": "x",
        }

    def test_links_that_lead_round_through_other_folders_are_left_out(self, run_dir: Path, project: Path) -> None:
        for name, other in (("a", "b"), ("b", "a")):
            (project / "out" / name).mkdir(parents=True)
            (project / "out" / name / "file").write_text(name)
            for number in (1, 2):
                (project / "out" / name / f"{other}{number}").symlink_to(project / "out" / other)
        assert tree(save(run_dir, project / "out")) == {
            "a": None,
            "a/b1": None,
            "a/b1/file": "b",
            "a/b2": None,
            "a/b2/file": "b",
            "a/file": "a",
            "b": None,
            "b/a1": None,
            "b/a1/file": "a",
            "b/a2": None,
            "b/a2/file": "a",
            "b/file": "b",
        }

    def test_folders_nested_too_deeply_are_an_os_error(self, run_dir: Path, project: Path) -> None:
        (project / "out" / os.path.join(*"d" * 240)).mkdir(parents=True)
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(400)
        try:
            with pytest.raises(OSError, match="nested too deeply"):
                save(run_dir, project / "out")
        finally:
            sys.setrecursionlimit(limit)
        assert tree(run_dir / "artifacts") == {}

    def test_sockets_and_pipes_are_left_out(
        self, run_dir: Path, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (project / "out").mkdir()
        (project / "out" / "a").write_text("x")
        os.mkfifo(project / "out" / "pipe")
        monkeypatch.chdir(project / "out")  # a socket's path must be short
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("socket")
            assert tree(save(run_dir, project / "out")) == {"a": "x"}

    def test_a_pipe_alone_is_an_error_and_does_not_hang(self, run_dir: Path, project: Path) -> None:
        os.mkfifo(project / "pipe")
        with pytest.raises(OSError, match="neither a file nor a folder"):
            save(run_dir, project / "pipe")
        assert tree(run_dir) == {"artifacts": None}

    @pytest.mark.parametrize("around", ["project", ".whirr", "runs", "local-1", "artifacts"])
    def test_a_folder_around_the_copy_is_copied_without_the_way_to_it(
        self, run_dir: Path, project: Path, around: str
    ) -> None:
        source = next(folder for folder in (run_dir / "artifacts", *run_dir.parents, run_dir) if folder.name == around)
        (run_dir / "artifacts").mkdir()
        (source / "deep").mkdir()
        (source / "deep" / "a").write_text("x")
        target = save(run_dir, source, "copy")
        assert tree(target) == {"deep": None, "deep/a": "x"}

    def test_the_way_to_the_copy_through_a_link(self, run_dir: Path, project: Path, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "a").write_text("x")
        (tmp_path / "out" / "runs").symlink_to(run_dir.parent)
        assert tree(save(run_dir, tmp_path / "out")) == {"a": "x"}


class TestFailures:
    """Nothing half is ever seen."""

    def test_a_source_that_is_missing(self, run_dir: Path, project: Path) -> None:
        with pytest.raises(FileNotFoundError):
            save(run_dir, project / "gone")
        assert tree(run_dir / "artifacts") == {}

    @pytest.mark.parametrize("folder", [True, False])
    def test_without_room_the_earlier_copy_stays(self, run_dir: Path, project: Path, folder: bool) -> None:
        source = project / "out"
        if folder:
            source.mkdir()
        part = source / "part" if folder else source
        part.write_text("old")
        save(run_dir, source)
        before = tree(run_dir / "artifacts")
        part.write_text("n" * 5000)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        try:
            with pytest.raises(OSError, match="too large"):
                save(run_dir, source)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert tree(run_dir / "artifacts") == before
