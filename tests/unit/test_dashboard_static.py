"""The files that pages load."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from whirr.dashboard.static_files import FOLDER, StaticFiles, files
from whirr.errors import NotFound

LIGHT_BYTES = 400_000
"""With the fonts, compressed as browsers ask for it."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "js").mkdir()
    (tmp_path / "js" / "main.js").write_text('import { a } from "./a.js";\nimport "./b.js";\n' + "// long\n" * 50)
    (tmp_path / "js" / "a.js").write_text('import {\n  c,\n} from "../lib/c.js";\nexport { d } from "../lib/d.js";\n')
    (tmp_path / "js" / "b.js").write_text('import "./a.js";\nconst later = () => import("../lib/late.js");\n')
    (tmp_path / "lib").mkdir()
    for name in ("c", "d", "late"):
        (tmp_path / "lib" / f"{name}.js").write_text('// import "./main.js"\nexport const x = 1;\n')
    (tmp_path / "font.woff2").write_bytes(b"w" * 500)
    (tmp_path / "notes.md").write_text("for people")
    return tmp_path


def test_the_version_changes_with_any_file(folder: Path) -> None:
    before = StaticFiles(folder).version
    assert StaticFiles(folder).version == before
    (folder / "lib" / "c.js").write_text("export const x = 2;\n")
    assert StaticFiles(folder).version != before


def test_text_is_compressed_once_and_a_font_never(folder: Path) -> None:
    found = StaticFiles(folder)
    kept = found.get("js/main.js")
    assert kept.packed is not None
    assert gzip.decompress(kept.packed) == kept.data
    assert found.get("js/main.js") is kept
    assert found.get("font.woff2").packed is None
    assert found.get("font.woff2").kind == "font/woff2"


@pytest.mark.parametrize("path", ["", "js", "notes.md", "../static_files.py", "/etc/passwd", "js/../js/main.js", "x\0"])
def test_nothing_else_is_given(folder: Path, path: str) -> None:
    with pytest.raises(NotFound):
        StaticFiles(folder).get(path)


def test_all_modules_that_a_module_needs_are_known(folder: Path) -> None:
    assert StaticFiles(folder).modules_of("js/main.js") == ["js/a.js", "js/b.js", "lib/c.js", "lib/d.js"]
    assert StaticFiles(folder).modules_of("lib/c.js") == []
    assert StaticFiles(folder).modules_of("js/missing.js") == []


def test_every_import_of_our_modules_is_found() -> None:
    for script in (FOLDER / "js").rglob("*.js"):
        direct = re.findall(r"""^import[^;'"]*["'](\.[^"']+)["']""", script.read_text(), re.MULTILINE)
        there = {(script.parent / path).resolve().relative_to(FOLDER).as_posix() for path in direct}
        found = set(files().modules_of(script.relative_to(FOLDER).as_posix()))
        assert there <= found, script


@pytest.mark.parametrize("page", ["runs", "run", "compare", "queue", "workers", "artifacts", "login"])
def test_a_page_weighs_little(page: str) -> None:
    templates = [(FOLDER.with_name("templates") / f"{name}.html").read_text() for name in ("base", page)]
    named = {path for text in templates for path in re.findall(r"static\('([^']+)'\)", text)}
    fonts = {path.relative_to(FOLDER).as_posix() for path in (FOLDER / "vendor").rglob("*.woff2")}
    modules = {module for path in named for module in files().modules_of(path)}
    kept = [files().get(path) for path in named | fonts | modules]
    assert sum(len(one.packed or one.data) for one in kept) < LIGHT_BYTES


def test_vendored_files_are_listed_with_their_licences() -> None:
    listed = (FOLDER / "vendor" / "LICENSES.md").read_text()
    folders = {path.name for path in (FOLDER / "vendor").iterdir() if path.is_dir()}
    assert folders == set(re.findall(r"^\| `([a-z]+)/", listed, re.MULTILINE))
    fonts = {path.name.partition("-latin")[0] for path in (FOLDER / "vendor" / "fonts").iterdir()}
    assert fonts == set(re.findall(r"^\| `fonts/([a-z-]+)-\*`", listed, re.MULTILINE))
    assert listed.count("SIL OPEN FONT LICENSE Version 1.1") == 1
