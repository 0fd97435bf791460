"""What a project sets: found where it may be, and never misread."""

from __future__ import annotations

from pathlib import Path

import pytest

from whirr.errors import UsageError
from whirr.project import Project, find_project

WHOLE = '[submit]\nsnapshot = true\ninclude = ["data/words.txt"]\nuntracked_mib = 3\n'


def test_it_is_found_up_to_the_top_of_the_work_tree(tmp_path: Path) -> None:
    top, inner = tmp_path / "top", tmp_path / "top/a/b"
    inner.mkdir(parents=True)
    (top / ".git").mkdir()
    (tmp_path / "whirr.toml").write_text(WHOLE)
    assert find_project(inner) == Project(), "what lies above the work tree is not the project's"
    (top / "whirr.toml").write_text(WHOLE)
    (tmp_path / "link").symlink_to(inner)
    for place in (top, inner, tmp_path / "link"):
        assert find_project(place) == Project(True, (str(top / "data/words.txt"),), 3 << 20)
    (inner / "whirr.toml").write_text("")
    assert find_project(inner) == Project()


def test_outside_of_a_work_tree_only_the_folder_itself_counts(tmp_path: Path) -> None:
    (tmp_path / "whirr.toml").write_text(WHOLE)
    (tmp_path / "inner").mkdir()
    assert find_project(tmp_path / "inner") == Project()
    assert find_project(tmp_path).snapshot
    assert find_project(tmp_path / "gone") == Project()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[submit]\nsnapshot = 1\n", "snapshot in"),
        ("[submit]\ninclude = 'x'\n", "include in"),
        ("[submit]\ninclude = [1]\n", "include in"),
        ("[submit]\nuntracked_mib = true\n", "untracked_mib in"),
        ("[submit]\nuntracked_mib = -1\n", "untracked_mib in"),
        ("[submit]\nsnapshots = true\n", "no 'snapshots'"),
        ("[server]\nurl = 'http://elsewhere'\n", "no table 'server'"),
        ("submit = 1\n", "no table 'submit'"),
        ("[submit\n", "cannot be read"),
        ("\udcff", "cannot be read"),
    ],
)
def test_what_means_nothing_is_an_error_that_names_it(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "whirr.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match=named) as caught:
        find_project(tmp_path)
    assert str(tmp_path / "whirr.toml") in str(caught.value)
