"""Every page runs: its Python, its commands and the output it shows (how: see page.py)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(#[^)\s]+)?\)")


def relative(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """The link targets of a page's headings, as the usual renderers make them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {"#" + re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_page_runs(page: Path, tmp_path: Path) -> None:
    # First on PATH: a shell started by the page finds the `python` and `whirr` that run this test.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONWARNINGS": "error"}
    environment.pop("COLUMNS", None)
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("page.py")), str(page)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text()):
        file = page.parent / target if target else page
        assert file.exists(), f"{relative(page)}: no {target}"
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), f"{relative(page)}: no {anchor} in {file.name}"


def test_every_page_is_on_the_map() -> None:
    targets = {(ROOT / target).resolve() for target, _ in LINK.findall((ROOT / "README.md").read_text())}
    missing = [relative(page) for page in PAGES if page.parent != ROOT and page.resolve() not in targets]
    assert missing == []
