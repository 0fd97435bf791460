"""What git prints, read in whole and cut anywhere."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from whirr.capture import git_info
from whirr.capture.git import find_repository, parse_status, read_head

OID = "0123456789abcdef0123456789abcdef01234567"
BLOBS = f"100644 100644 100644 {OID} {OID}"
WHOLE = b"\0".join(
    [
        f"# branch.oid {OID}".encode(),
        b"# branch.head feature/x",
        b"# branch.upstream origin/feature/x",
        f"1 .M N... {BLOBS} a name with spaces".encode(),
        f"1 .M S.M. 160000 160000 160000 {OID} {OID} sub".encode(),
        f"u UU N... 100644 {BLOBS} {OID} torn".encode(),
        b"? new file\nwith a newline",
        b"",
    ]
)


def test_a_status_is_read_in_full() -> None:
    status = parse_status(WHOLE)
    assert (status.commit, status.branch) == (OID, "feature/x")
    assert [c.path for c in status.changes] == [b"a name with spaces", b"sub", b"torn"]
    assert [c.inside for c in status.changes] == [False, True, False]
    assert status.untracked == [b"new file\nwith a newline"]


@given(st.integers(min_value=0, max_value=len(WHOLE)))
def test_a_status_cut_anywhere_gives_no_half_name(length: int) -> None:
    whole = parse_status(WHOLE)
    part = parse_status(WHOLE[:length], complete=False)
    assert {c.path for c in part.changes} <= {c.path for c in whole.changes}
    assert set(part.untracked) <= set(whole.untracked)
    assert part.commit in (None, OID)
    assert not part.complete


def test_before_the_first_commit_and_detached() -> None:
    status = parse_status(b"# branch.oid (initial)\0# branch.head (detached)\0")
    assert (status.commit, status.branch) == (None, None)


def test_no_work_tree_is_no_information(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()  # not a repository: git itself looks further up
    assert find_repository(str(tmp_path), 0) is None
    assert git_info(tmp_path, None) is None
    assert git_info(tmp_path / "missing", None) is None


def test_commit_and_branch_are_read_from_files(tmp_path: Path) -> None:
    assert read_head(str(tmp_path)) == (None, None)
    (tmp_path / "HEAD").write_text(OID + "\n")
    assert read_head(str(tmp_path)) == (OID, None)
    (tmp_path / "HEAD").write_text("ref: refs/heads/a/b\n")
    assert read_head(str(tmp_path)) == (None, "a/b")
    (tmp_path / "packed-refs").write_text(f"# pack-refs\n{OID} refs/heads/a/b\n")
    assert read_head(str(tmp_path)) == (OID, "a/b")
    (tmp_path / "refs/heads/a").mkdir(parents=True)
    (tmp_path / "refs/heads/a/b").write_text("f" * 40)
    assert read_head(str(tmp_path)) == ("f" * 40, "a/b")
