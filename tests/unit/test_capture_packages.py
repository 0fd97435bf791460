"""Metadata folders of every age and state, read into the lines of a requirements file."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from whirr.capture import packages


def install(site: Path, folder: str, text: str, direct_url: object = None) -> Path:
    info = site / folder
    info.mkdir(parents=True)
    (info / "METADATA").write_text(text, encoding="utf-8")
    if direct_url is not None:
        (info / "direct_url.json").write_text(json.dumps(direct_url))
    return info


def metadata(name: str, version: str) -> str:
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: Name: x\n\nName: body\n"


def freeze(*path: Path) -> list[str]:
    return packages([str(p) for p in path])


def test_names_are_kept_versions_made_normal_and_lines_sorted(tmp_path: Path) -> None:
    install(tmp_path, "zope.x-1.dist-info", metadata("Zope.X", "1.0-beta"))
    install(tmp_path, "aa-1.dist-info", metadata("aa", "2023.07.22"))
    install(tmp_path, "b-1.dist-info", metadata("B", "not a version"))
    assert freeze(tmp_path) == ["aa==2023.7.22", "B===not a version", "Zope.X==1.0b0"]


def test_the_first_on_the_path_counts(tmp_path: Path) -> None:
    install(tmp_path / "one", "a_b-1.dist-info", metadata("a_b", "1"))
    install(tmp_path / "two", "A.B-2.dist-info", metadata("A.B", "2"))
    assert freeze(tmp_path / "one", tmp_path / "two") == ["a_b==1"]
    assert freeze(tmp_path / "two", tmp_path / "one") == ["A.B==2"]


def test_old_forms_of_metadata(tmp_path: Path) -> None:
    (tmp_path / "file-1.egg-info").write_text(metadata("file", "1"))
    (tmp_path / "folder-1.egg-info").mkdir()
    (tmp_path / "folder-1.egg-info/PKG-INFO").write_text(metadata("folder", "1"))
    egg = tmp_path / "egg-1-py3.11.egg"
    (egg / "EGG-INFO").mkdir(parents=True)
    (egg / "EGG-INFO/PKG-INFO").write_text(metadata("egg", "1"))
    assert freeze(tmp_path, egg) == ["egg==1", "file==1", "folder==1"]


def test_broken_folders_cost_only_themselves(tmp_path: Path) -> None:
    install(tmp_path, "~alf-1.dist-info", metadata("half", "1"))
    install(tmp_path, "noname-1.dist-info", "Metadata-Version: 2.1\n\n")
    (tmp_path / "empty-1.dist-info").mkdir()
    install(tmp_path, "bytes-1.dist-info", metadata("bytes", "1"))
    (tmp_path / "bytes-1.dist-info/direct_url.json").write_bytes(b"\xff{")
    install(tmp_path, "late-1.dist-info", "Description: " + "x" * 9000 + "\nName: late\nVersion: 2\n\n")
    assert freeze(tmp_path, tmp_path / "missing") == ["bytes==1", "late==2"]


def test_the_tools_pip_itself_leaves_out(tmp_path: Path) -> None:
    for name in ("pip", "setuptools", "wheel", "distribute", "wsgiref", "argparse", "kept"):
        install(tmp_path, f"{name}-1.dist-info", metadata(name, "1"))
    old = [] if sys.version_info < (3, 12) else ["distribute==1", "kept==1", "setuptools==1", "wheel==1"]
    assert freeze(tmp_path) == (old or ["kept==1"])


@pytest.mark.parametrize(
    ("direct_url", "line"),
    [
        ({"url": "file:///w/a.whl", "archive_info": {"hash": "sha256=1"}}, "a @ file:///w/a.whl#sha256=1"),
        ({"url": "https://h/a.whl", "archive_info": {}}, "a @ https://h/a.whl"),
        (
            {"url": "https://u:p@h/a.zip", "archive_info": {"hashes": {"md5": "2"}}},
            "a @ https://h/a.zip#md5=2",
        ),
        ({"url": "file:///src/a", "dir_info": {}}, "a @ file:///src/a"),
        ({"url": "file:///src", "dir_info": {}, "subdirectory": "a"}, "a @ file:///src#subdirectory=a"),
        (
            {
                "url": "https://t@h/r.git",
                "vcs_info": {"vcs": "git", "commit_id": "c0", "requested_revision": "x"},
            },
            "a @ git+https://h/r.git@c0",
        ),
        ({"url": "https://h/r.git", "vcs_info": {"vcs": "git"}}, "a==1"),
        ({"url": 3, "dir_info": {}}, "a==1"),
        ({"url": "https://h/a", "dir_info": {}, "archive_info": {}}, "a==1"),
        ({"url": "https://h/a"}, "a==1"),
        ([], "a==1"),
    ],
)
def test_where_a_package_came_from(tmp_path: Path, direct_url: object, line: str) -> None:
    install(tmp_path, "a-1.dist-info", metadata("a", "1"), direct_url)
    assert freeze(tmp_path) == [line]


def test_an_egg_link_leads_to_an_editable(tmp_path: Path) -> None:
    site, source = tmp_path / "site", tmp_path / "source"
    (source / "my_pkg.egg-info").mkdir(parents=True)
    (source / "my_pkg.egg-info/PKG-INFO").write_text(metadata("my_pkg", "1"))
    site.mkdir()
    (site / "my-pkg.egg-link").write_text(f"{source}\n.")
    assert freeze(site) == ["# Editable install with no version control (my_pkg==1)", f"-e {source}"]


def test_a_spent_limit_is_said_and_keeps_the_file_readable(tmp_path: Path) -> None:
    install(tmp_path, "a-1.dist-info", metadata("a", "1"))
    assert packages([str(tmp_path)], limit_s=-1) == ["# not complete: reading the installed packages took over -1 s"]
